use std::time::Duration;

use super::{elements, read, script};
use crate::domain::command::{Waiter, read_command};

#[test]
fn commands_that_wait() {
    for row in COMMANDS.lines().filter(|row| !row.is_empty()) {
        let (line, want) = row.split_once(" => ").unwrap_or_default();
        assert_eq!(shown(read(&line.replace("\\n", "\n")).waiter), want, "{row}");
    }
    for (image, args, want) in BY_IMAGE {
        let reading = read_command(&[], &elements(args), Some(image));
        assert_eq!(shown(reading.waiter), *want, "{image} {args}");
    }
    let by_image = read_command(&[], &elements("pod -lapp=db"), Some("groundnuty/k8s-wait-for"));
    assert!(by_image.waiter.is_some());
    let by_image =
        read_command(&[], &elements("wait pod/db --timeout=9s"), Some("bitnami/kubectl"));
    assert_eq!(shown(by_image.waiter), "kubectl wait 9");
}

/// An image whose own entrypoint takes the arguments.
const BY_IMAGE: &[(&str, &str, &str)] = &[
    ("wavegate/wavegate", "wait-for-db --timeout=45s", "wavegate wait-for-db 45"),
    ("mirror/ghcr/wavegate", "wait-for-db", "wavegate wait-for-db 60"),
    ("wavegate", "serve", ""),
    ("wavegate", "wait-for-db --help", ""),
    ("wavegate", "wait-for-db -h", ""),
    ("shop/wavegate-tools", "--timeout=60s", ""),
    ("willwill/wait-for-it", "db:5432 -t 30", "wait-for-it 30"),
    ("mirror/willwill/wait-for-it", "db:5432", "wait-for-it 15"),
    ("jwilder/dockerize", "-wait tcp://db:5432 -timeout 60s", "dockerize 60"),
    ("jwilder/dockerize", "-template /a:/b", ""),
    ("atkrad/wait4x", "tcp db:5432 -t 30s", "wait4x 30"),
    ("groundnuty/k8s-wait-for", "service db", "k8s-wait-for"),
    ("dadarek/wait-for-dependencies", "db:5432", "wait script"),
    ("bitnami/kubectl", "rollout status statefulset/db --timeout=90s", "kubectl rollout status 90"),
    ("bitnami/kubectl", "get pods", ""),
    ("bitnami/wait-for-port", "--host=db --timeout=20 5432", "wait-for-port 20"),
    ("shop/api", "db:5432 -t 30", ""),
];

/// Tool and bound in seconds.
fn shown(waiter: Option<Waiter>) -> String {
    waiter.map_or_else(String::new, |waiter| match waiter.bound {
        Some(bound) => format!("{} {}", waiter.tool, bound.as_secs()),
        None => waiter.tool.to_owned(),
    })
}

const COMMANDS: &str = r"
wait-for-it.sh db:5432 => wait-for-it 15
/wait-for-it.sh db:5432 -t 30 => wait-for-it 30
wait-for-it db:5432 --timeout=60 --strict -- alembic upgrade head => wait-for-it 60
wait-for-it.sh db:5432 -t 0 -- alembic upgrade head => wait-for-it
wait-for db:5432 -t 20 -- alembic upgrade head => wait-for 20
wait-for-postgres.sh db alembic upgrade head => wait script
bash /wait_postgres/wait.sh => wait script
/wait => wait script
python wait_for_db.py => wait script
npm run wait-for-db => wait command
timeout 30 python manage.py wait_for_db => wait command 30
dockerize -wait tcp://db:5432 => dockerize 10
dockerize -wait tcp://db:5432 -timeout 2m alembic upgrade head => dockerize 120
wait4x tcp db:5432 => wait4x 10
wait4x postgresql x -t 60s -- alembic upgrade head => wait4x 60
k8s-wait-for service db => k8s-wait-for
wait_for.sh job shop-migrate => k8s-wait-for
dbmate wait => dbmate 60
dbmate --wait --wait-timeout=90s up => dbmate 90
kubectl wait --for=condition=ready pod/db --timeout=180s => kubectl wait 180
kubectl wait --for=condition=ready pod/db => kubectl wait 30
airflow db check-migrations --migration-wait-timeout=45 => airflow 45
airflow db check-migrations => airflow 60
python manage.py wait_for_db => wait command
python manage.py wait_for_database --timeout 120 => wait command 120
wavegate wait-for-db --timeout 90s => wavegate wait-for-db 90
/wavegate wait-for-db --timeout=60s --target=db:5432 => wavegate wait-for-db 60
/wavegate wait-for-db => wavegate wait-for-db 60
timeout 20 wavegate wait-for-db => wavegate wait-for-db 20
waitforit -address=tcp://db:5432 -timeout=30 -- alembic upgrade head => waitforit 30
wait-for-port --timeout=45 --host=db 5432 => wait-for-port 45
wait-for-port --host=db 5432 => wait-for-port 30
npx wait-port -t 30000 db:5432 => wait-port 30
npx wait-port db:5432 => wait-port
wait-port --timeout=1500 db:5432 => wait-port 1
npx wait-on -t 60000 tcp:db:5432 => wait-on 60
npx wait-on --timeout 2m tcp:db:5432 => wait-on 120
wait-on tcp:db:5432 => wait-on
kubectl rollout status statefulset/db --timeout=120s => kubectl rollout status 120
kubectl rollout status statefulset/db => kubectl rollout status
curl --retry 30 --retry-delay 2 --retry-connrefused http://db:8123/ping => curl 60
curl -sf --retry 5 --retry-all-errors -o /dev/null http://db:8123/ping => curl 31
curl --retry 30 --retry-delay 2 --retry-connrefused --retry-max-time 45 http://db:8123/ping => curl 45
php artisan wait:db --timeout=30 => wait command 30
python manage.py wait_for_postgres => wait command
python -c :: import socket, time\nwhile True:\n  try:\n    socket.create_connection(('db', 5432)); break\n  except OSError: time.sleep(1) => connection attempt
python3 -c :: import socket, time\nfor _ in range(30):\n  if socket.socket().connect_ex(('db', 5432)) == 0: break\n  time.sleep(2) => connection attempt 60
lakekeeper wait-for-db => wait command
rails db:wait => wait command
flyway -connectRetries=60 migrate => flyway
timeout 60 wait-for-it.sh db:5432 -t 0 => wait-for-it 60
timeout 60 :: sh :: -c :: until nc -z db 5432; do sleep 1; done => nc 60
";

#[test]
fn loops_that_wait() {
    for row in LOOPS.lines().filter(|row| !row.is_empty()) {
        let (text, want) = row.split_once(" => ").unwrap_or_default();
        assert_eq!(shown(script(&text.replace("\\n", "\n")).waiter), want, "{row}");
    }
    let half = script("for i in 1 2 3; do nc -z db 1 && break; sleep 0.5; done").waiter;
    assert_eq!(half.and_then(|waiter| waiter.bound), Some(Duration::from_millis(1500)));
}

const LOOPS: &str = r#"
until nc -z db 5432; do echo waiting; sleep 2; done => nc
while ! nc -z db 5432; do sleep 1; done; alembic upgrade head => nc
until pg_isready -h db -t 3; do sleep 2; done && ./migrate.sh => pg_isready
until mysqladmin ping -h db --silent; do sleep 2; done => mysqladmin
until psql -c 'select 1' > /dev/null 2>&1; do sleep 1; done => psql
until redis-cli -h r ping | grep PONG; do sleep 1; done => redis-cli
until (echo > /dev/tcp/db/5432) 2>/dev/null; do sleep 1; done => /dev/tcp
until timeout 1 bash -c 'cat < /dev/null > /dev/tcp/db/5432'; do sleep 1; done => /dev/tcp
until timeout 2 nc -z db 5432; do sleep 1; done => nc
until curl -s http://es:9200; do sleep 5; done => curl
until nslookup db; do echo waiting; sleep 2; done; => nslookup
until getent hosts db; do sleep 2; done => getent
until cqlsh db -e 'SHOW VERSION'; do sleep 1; done => cqlsh
until php artisan db:show > /dev/null 2>&1; do sleep 5; done => connection attempt
until python -c 'import socket; socket.create_connection(("db", 5432))'; do sleep 1; done => connection attempt
for i in $(seq 1 30); do nc -z db 5432 && break; sleep 2; done => nc 60
for i in $(seq 30); do nc -z db 5432 && break; sleep 2; done => nc 60
for i in `seq 1 30`; do pg_isready && break; sleep 1; done => pg_isready 30
for i in {1..30}; do if nc -z db 5432; then break; fi; sleep 2s; done => nc 60
for i in 1 2 3 4 5; do nc -z db 5432 && exit 0; sleep 3; done; exit 1 => nc 15
for ((i=0; i<20; i++)); do nc -z db 5432 && break; sleep 1; done => nc 20
N=40; for i in $(seq 1 $N); do nc -z db 5432 && break; sleep 1; done => nc 40
i=0; while [ $i -lt 30 ]; do nc -z db 5432 && break; i=$((i+1)); sleep 2; done => nc 60
i=0\nuntil nc -z db 5432; do\n i=$((i+1))\n if [ "$i" -ge 60 ]; then\n echo no\n exit 1\n fi\n sleep 1\ndone => nc 60
n=0; MAX=12; until nc -z db 1; do n=`expr $n + 1`; [ $n -gt "${MAX}" ] && exit 1; sleep 5; done => nc 60
while (( n < 10 )); do nc -z db 1 && break; ((n++)); sleep 1; done => nc 10
S=0; while [ $S -eq 0 ]; do S=1; if ! nc -z db 1; then S=0; sleep 10; fi; done => nc
while [ $code -ne 200 ]; do code=$(curl -s -w '%{http_code}' http://x); sleep 1; done => curl
wait-for-it db:1 -t 30; wait-for-it mq:2 -t 20; alembic upgrade head => wait-for-it 50
wait_db() { until nc -z db 1; do sleep 1; done; }\nwait_db\nalembic upgrade head => nc
sh -c 'until nc -z db 1; do sleep 1; done'; alembic upgrade head => nc
"#;

#[test]
fn not_waiters() {
    for text in [
        "alembic upgrade head; until nc -z cache 6379; do sleep 1; done",
        "nc -z db 5432 && alembic upgrade head",
        "until python manage.py migrate --check; do sleep 1; done",
        "until kubectl get secret x; do sleep 1; done",
        "sleep 30; alembic upgrade head",
        "alembic upgrade head & wait",
        "for i in 1 2 3; do echo $i; sleep 1; done",
        "for f in /migrations/*.sql; do psql -f $f; sleep 1; done",
        "for f in a b; do curl -O http://x/$f; done",
        "echo until nc -z db 5432",
        "echo wait-for-db",
        "echo wait-for-it.sh db:5432",
        "./wait-for-migrations.sh; alembic upgrade head",
    ] {
        assert_eq!(script(text).waiter, None, "{text}");
    }
}

#[test]
fn commands_that_do_not_wait() {
    for line in [
        "wavegate serve --timeout=60s",
        "wavegate check wait-for-db",
        "wavegate wait-for-db --help",
        "wavegate wait-for-db -h",
        "wavegate --version",
        "wait-for-it.sh --help",
        "wait4x --version",
        "python manage.py wait_for_db --help",
        "dockerize -template /a:/b alembic upgrade head",
        "kubectl rollout restart statefulset/db",
        "kubectl get pods --wait",
        // Gives up where nothing listens.
        "curl --retry 30 --retry-delay 2 http://db:8123/ping",
        "curl --retry 0 --retry-connrefused http://db:8123/ping",
        // A download, and a change.
        "curl --retry 5 --retry-connrefused -o schema.sql http://files/schema.sql",
        "curl --retry 5 --retry-connrefused -X POST http://api/migrate",
        "python -c :: import socket; socket.create_connection(('db', 5432))",
        "python -c :: import time; time.sleep(30)",
        "python -c :: import app, time\nwhile True: app.connect(); app.migrate(); time.sleep(1)",
        "node -e :: while (true) { connect(); sleep(1) }",
        "mysqladmin ping -h db",
        "await-nothing-of-ours --help",
    ] {
        assert_eq!(read(line).waiter, None, "{line}");
    }
}

#[test]
fn a_wait_for_a_migration_is_a_check() {
    let reading = script("until python manage.py migrate --check; do sleep 1; done");
    assert_eq!(reading.checks.as_deref(), Some("manage.py migrate"));
    assert!(reading.runner.is_none() && reading.waiter.is_none());
}
