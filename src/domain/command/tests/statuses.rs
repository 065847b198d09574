use super::{elements, script};
use crate::domain::command::{LostHow, read_command};

#[test]
fn lost() {
    let mut wrong = Vec::new();
    for row in LOST.lines().filter(|row| !row.is_empty()) {
        let (text, want) = row.split_once(" => ").unwrap_or_default();
        let lost = script(&text.replace("\\n", "\n")).lost_status;
        let found =
            lost.map_or_else(String::new, |lost| format!("{:?}: {}", lost.how, lost.excerpt));
        if found != want {
            wrong.push(format!("{row}\n    found: {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each line: a script, with `\n` for a line's end, how it hides the failure, and the excerpt.
const LOST: &str = r"
python manage.py migrate || true => OrTrue: manage.py migrate || true
python manage.py migrate || : => OrTrue: manage.py migrate || :
alembic upgrade head || exit 0 => OrTrue: alembic upgrade || exit 0
set -e; alembic upgrade head || true; echo done => OrTrue: alembic upgrade || true
set -e; { alembic upgrade head; } || true => OrTrue: alembic upgrade || true
set -e; run() { alembic upgrade head; echo ok; }; run || exit 1 => Continues: alembic upgrade; echo
set -e; echo x | { set +e; }; if run; then alembic upgrade head || true; fi => OrTrue: alembic upgrade || true
alembic upgrade head || { echo no; true; } => OrTrue: alembic upgrade || true
alembic upgrade head || (echo no; exit 0) => OrTrue: alembic upgrade || exit 0
cd /app && alembic upgrade head || true => OrTrue: alembic upgrade || true
sh -c 'alembic upgrade head || true' => OrTrue: alembic upgrade || true
(alembic upgrade head || true) => OrTrue: alembic upgrade || true
alembic upgrade head || echo failed => OrOther: alembic upgrade || echo
alembic upgrade head && echo ok || echo failed => OrOther: alembic upgrade || echo
warn() { echo no; }; alembic upgrade head || warn => OrOther: alembic upgrade || warn
alembic upgrade head | tee log => Pipe: alembic upgrade | tee
set -e; alembic upgrade head 2>&1 | tee /tmp/log => Pipe: alembic upgrade | tee
alembic upgrade head |& grep -v x => Pipe: alembic upgrade | grep
alembic upgrade head; echo done => Continues: alembic upgrade; echo
alembic upgrade head\necho done => Continues: alembic upgrade; echo
set -e; set +e; alembic upgrade head; echo done => Continues: alembic upgrade; echo
set -e; alembic upgrade head && echo ok; echo done => Continues: alembic upgrade; echo
alembic upgrade head; exec gunicorn app --password x => Continues: alembic upgrade; exec
run() { alembic upgrade head; }; run; echo done => Continues: alembic upgrade; echo
run() { alembic upgrade head; echo done; }; run => Continues: alembic upgrade; echo
(alembic upgrade head || exit 1); echo done => Continues: alembic upgrade; echo
echo $(alembic upgrade head) => Continues: echo $(alembic upgrade)
for f in /migrations/*.sql; do psql -f $f; done => Continues: for ...; do psql file; done
for i in 1 2 3; do alembic upgrade head && break; sleep 1; done => Continues: alembic upgrade && break
until alembic upgrade head; do n=$((n+1)); if [ $n -ge 9 ]; then break; fi; sleep 1; done; echo ok => Continues: alembic upgrade && break
alembic upgrade head & => Background: alembic upgrade &
alembic upgrade head & exec gunicorn app => Background: alembic upgrade &
! alembic upgrade head => Inverted: ! alembic upgrade
if alembic upgrade head; then echo ok; fi => Condition: if alembic upgrade
if alembic upgrade head; then echo ok; else echo no; fi => Condition: if alembic upgrade
if ! alembic upgrade head; then echo no; fi => Condition: if ! alembic upgrade
set -e; if ! alembic upgrade head; then echo no; fi; echo done => Condition: if ! alembic upgrade
alembic upgrade head || exit 1; python manage.py migrate || true => OrTrue: manage.py migrate || true
case $1 in a) alembic upgrade head; echo ok;; esac => Continues: alembic upgrade; echo
";

#[test]
fn kept() {
    let mut wrong = Vec::new();
    for row in KEPT.lines().filter(|row| !row.is_empty()) {
        if let Some(lost) = script(&row.replace("\\n", "\n")).lost_status {
            wrong.push(format!("{row}: {lost:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const KEPT: &str = r#"
python manage.py migrate
echo start; python manage.py migrate --noinput\nEXIT_CODE=$?\nif [ $EXIT_CODE -ne 0 ]; then\n echo FAILED\n exit 1\nfi\necho ok
set -e; alembic upgrade head; echo done
alembic upgrade head && (psql -f /sql/more.sql || true)
set -e; alembic upgrade head; psql -f /sql/more.sql || true
set -euo pipefail\nalembic upgrade head | tee log\necho done
set -o errexit\nalembic upgrade head\necho done
#!/bin/sh -e\nalembic upgrade head\necho done
set -o pipefail; alembic upgrade head | tee log
alembic upgrade head | tee log; exit ${PIPESTATUS[0]}
trap 'exit 1' ERR; alembic upgrade head; echo done
alembic upgrade head && echo done
set -e; if [ -f x ]; then alembic upgrade head; fi; echo ok
set -e; run() { alembic upgrade head; echo ok; }; run
set -e; (alembic upgrade head; echo ok); echo x
cd /app && alembic upgrade head && echo done
set -e; if [ -f x ]; then alembic upgrade head; fi; echo ok
set -e; run() { alembic upgrade head; echo ok; }; run
set -e; (alembic upgrade head; echo ok); echo x
alembic upgrade head || exit 1; echo done
alembic upgrade head || exit; echo done
alembic upgrade head || { echo no; exit 1; }; echo done
alembic upgrade head || return 1
alembic upgrade head || false
set -e; alembic upgrade head || false; echo done
alembic upgrade head || handle_failure; echo done
alembic upgrade head || failed=1; exit $failed
die() { echo no; exit 1; }; alembic upgrade head || die; echo done
alembic upgrade head; exit $?
alembic upgrade head; exit
alembic upgrade head; [ $? -eq 0 ] || exit 1; echo ok
alembic upgrade head; rc=$?; echo $rc; exit $rc
alembic upgrade head; if [ $? -ne 0 ]; then exit 1; fi; echo ok
set +e; alembic upgrade head; rc=$?; set -e; echo x; exit $rc
alembic upgrade head & wait $!
alembic upgrade head & PID=$!; wait $PID
if ! alembic upgrade head; then echo no; exit 1; fi; echo ok
if alembic upgrade head; then echo ok; else exit 1; fi
if alembic upgrade head; then exit 0; fi; exit 1
if alembic upgrade head; then echo ok; else FAILED=1; fi; exit $FAILED
if [ -f x ]; then alembic upgrade head; fi
while true; do alembic upgrade head && break; sleep 1; done; echo ok
for i in 1 2 3; do alembic upgrade head && exit 0; sleep 1; done; exit 1
for i in 1 2 3; do alembic upgrade head && break; [ $i = 3 ] && exit 1; sleep 1; done
for i in 1 2 3; do if alembic upgrade head; then exit 0; fi; sleep 1; done; exit 1
set -e; for f in /migrations/*.sql; do psql -f $f; done; echo ok
for f in /migrations/*.sql; do psql -f $f || exit 1; done; echo ok
exec alembic upgrade head\necho never
until alembic upgrade head; do sleep 1; done; echo ok
n=0; until npx prisma migrate deploy; do n=$((n+1)); if [ "$n" -ge 9 ]; then echo no >&2; exit 1; fi; sleep 3; done; exec node app
until npx prisma migrate deploy || [ $N -eq $MAX ]; do sleep 1; done
echo y | alembic upgrade head
X=$(alembic upgrade head)
alembic upgrade head || true; exec python manage.py migrate
run() { alembic upgrade head || exit 1; }\nrun\necho ok
run() { alembic upgrade head; }\nrun
retry() { for i in 1 2 3; do "$@" && return 0; sleep 5; done; return 1; }; retry alembic upgrade head; echo ok
goose up || goose up
echo no runner || true
./app || true
alembic upgrade head; finish() { echo x; }
"#;

#[test]
fn options_of_the_shell_count() {
    let lost =
        |line: &str| read_command(&elements(line), &[], None).lost_status.map(|lost| lost.how);
    assert_eq!(lost("sh :: -c :: alembic upgrade head; echo"), Some(LostHow::Continues));
    assert_eq!(lost("sh :: -ec :: alembic upgrade head; echo"), None);
    assert_eq!(lost("sh :: -e :: -c :: alembic upgrade head; echo"), None);
    assert_eq!(lost("bash :: -o :: errexit :: -c :: alembic upgrade head; echo"), None);
    assert_eq!(lost("bash :: -euo :: pipefail :: -c :: alembic upgrade head | tee x"), None);
    assert_eq!(lost("bash :: -ec :: alembic upgrade head | tee x"), Some(LostHow::Pipe));
    assert_eq!(
        lost("timeout :: 60 :: sh :: -c :: alembic upgrade head || true"),
        Some(LostHow::OrTrue)
    );
    assert_eq!(lost("alembic upgrade head"), None);
}

#[test]
fn excerpts_hold_no_secrets() {
    for text in [
        "flyway -password=s3cret -url=jdbc:postgresql://u:s3cret@db/x migrate || true",
        "PGPASSWORD=s3cret psql postgres://u:s3cret@db/x -c 'ALTER TABLE t ADD c int' || echo s3cret",
        "mysql -ps3cret shop < /migrations/1.sql; curl -u u:s3cret http://u:s3cret@x",
        "mlflow db upgrade postgresql://u:s3cret@db/x | tee s3cret",
        "alembic -x url=postgres://u:s3cret@db upgrade head; http://u:s3cret@x",
        "rake 'db:migrate[s3cret]' || true",
    ] {
        let reading = script(text);
        let shown = format!("{reading:?}");
        assert!(reading.runner.is_some() && reading.lost_status.is_some(), "{text}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    let lost = script(&format!(
        "{} || true",
        "/very/long/path/run-migrations-for-all-tenants-of-production.sh"
    ));
    assert!(lost.lost_status.is_none_or(|lost| lost.excerpt.chars().count() <= 60));
}
