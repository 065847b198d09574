use std::time::Instant;

use proptest::prelude::*;

use super::script;
use crate::domain::command::read_command;

/// Scripts as charts have them, to be mutated.
const SCRIPTS: &[&str] = &[
    "echo \"Waiting\"\nuntil pg_isready -h $DB_HOST -p $DB_PORT -U $DB_USER; do\n  sleep 2\ndone\nexport PGPASSWORD=$DB_PASSWORD\n\
     psql -h $DB_HOST -c \"\n  CREATE TABLE IF NOT EXISTS schema_migrations (\n    version VARCHAR(255) PRIMARY KEY\n  );\"\n\
     is_applied() {\n  psql -t -c \"SELECT 1 FROM schema_migrations WHERE version = '$1';\" | grep -q 1\n}\n\
     if [ -d \"/assets/migrations\" ]; then\n  for f in /assets/migrations/*.sql; do\n    [ -e \"$f\" ] || continue\n\
     version=$(basename \"$f\")\n    if is_applied \"$version\"; then\n      echo \"Skipping $version (already applied)\"\n    else\n\
     if psql -f \"$f\"; then\n echo ok\n else\n exit 1\n fi\n fi\n  done\nelse\n  echo none\nfi\n",
    "set -euo pipefail\nlog() {\n  echo \"[$(date -Iseconds)] $*\"\n}\nARGS=(\n  --host=\"$H\"\n)\nif [ -n \"${P:-}\" ]; then\n\
     ARGS+=(--password=\"$P\")\nfi\nvalue=\"${value//\\`/\\`\\`}\"\nprintf '`%s`' \"$value\"\nN=$((A * B))\ncleanup() {\n  set +e\n\
     clickhouse-client \"${ARGS[@]}\" --query=\"DROP TABLE IF EXISTS ${D}.${T}\" >/dev/null 2>&1\n}\ntrap cleanup EXIT\n",
    "i=0; while [ $i -lt 30 ]; do nc -z db 5432 && break; i=$((i+1)); sleep 2; done; python manage.py migrate --noinput || true",
    "cat <<'EOF' | psql\nALTER TABLE t ADD c int;\nEOF\ncase \"$1\" in up|all) goose up ;; *) exec \"$@\" ;; esac",
    "python manage.py migrate\nEXIT_CODE=$?\nif [ $EXIT_CODE -ne 0 ]; then\n  echo FAILED\n  exit 1\nfi\necho ok",
];

const PIECES: &[&str] = &[
    "sh -c ",
    "eval ",
    "exec ",
    "$(",
    ")",
    "`",
    "'",
    "\"",
    "\\",
    "{ ",
    "}",
    "(",
    ";",
    ";;",
    "&&",
    "||",
    "|",
    "&",
    "\n",
    "<<E\n",
    "if ",
    "then ",
    "else ",
    "fi ",
    "while ",
    "until ",
    "do ",
    "done ",
    "for i in ",
    "case x in ",
    "esac ",
    "f() ",
    "f ",
    "! ",
    "[[ ",
    "]] ",
    "((",
    "))",
    "${",
    "$a",
    "a=",
    "$((",
    "# ",
    "manage.py migrate ",
    "psql -c ",
    "nc -z db 1 ",
    "npm run ",
    "timeout 1 ",
    "env ",
    "xargs ",
    "wait-for.sh ",
    "-- ",
    "sleep 1 ",
    "é\u{1F600} ",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_breaks_it(text in ".{0,300}", args in proptest::collection::vec(".{0,20}", 0..6)) {
        script(&text);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        read_command(&args, &[], None);
        read_command(&[], &args, Some(&text));
    }

    #[test]
    fn no_arrangement_of_shell_breaks_it(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..60)) {
        script(&pieces.concat());
        read_command(&pieces, &[], None);
    }

    #[test]
    fn no_mutation_of_a_script_breaks_it(which in 0..SCRIPTS.len(), from in 0_usize..2000, cut in 0_usize..40, put in proptest::sample::select(PIECES)) {
        let chars: Vec<char> = SCRIPTS[which].chars().collect();
        let from = from % chars.len();
        let text: String = chars[..from].iter().copied().chain(put.chars()).chain(chars.iter().skip(from + cut).copied()).collect();
        script(&text);
    }

    /// Blanks, comments and a harmless command in front change nothing.
    #[test]
    fn layout_does_not_matter(before in "[ \\t\\n]{0,5}", comment in "#[a-z' ]{0,10}\n") {
        let plain = script("python manage.py migrate || true");
        let laid_out = script(&format!("{before}{comment}echo start{before}\n python  manage.py \\\n migrate ||\n{comment} true {comment}"));
        prop_assert_eq!(plain, laid_out);
    }

    /// Quoting a runner as an argument hides it.
    #[test]
    fn what_is_echoed_does_not_run(text in "[a-z .;|&]{0,20}") {
        let echoed = format!("echo '{text} python manage.py migrate {text}'");
        prop_assert_eq!(script(&echoed).runner, None);
    }
}

#[test]
fn time_grows_with_size_only() {
    let worst = [
        "sh -c 'x' ".repeat(6000),
        "eval ".repeat(10_000),
        "env ".repeat(10_000) + "x",
        "$(".repeat(20_000),
        "f() { f; f; }; ".repeat(3000) + "f",
        calls_of_calls(),
        "a=$a$a; ".repeat(6000) + "$a",
        "A=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n".to_owned() + &"$A".repeat(20_000),
        "alembic upgrade head\n".to_owned() + &"if x; then y; fi\n".repeat(3000),
        "while x; do ".repeat(3000) + "nc -z db 1; sleep 1",
        "echo x | ".repeat(6000) + "psql",
        "`".repeat(60_000),
        "\\`".repeat(30_000),
        "cat <<A\n".repeat(7000),
        "CREATE TABLE ".repeat(4000),
        "case x in a) ".repeat(4000),
        "wait-for.sh ".repeat(5000),
        format!("f() {{ x {}; }}; f {}", "\"$@\" ".repeat(5000), "a ".repeat(5000)),
    ];
    for text in worst {
        let start = Instant::now();
        script(&text);
        let words: Vec<&str> = text.split_whitespace().collect();
        read_command(&words, &[], None);
        let quoted = format!("psql -c '{text}'");
        script(&quoted);
        let head: String = text.chars().take(40).collect();
        assert!(start.elapsed().as_secs() < 5, "{head}: {:?}", start.elapsed());
    }
    // As deep as it gets: compound commands in scripts in scripts.
    let mut deep = "alembic upgrade head".to_owned();
    for _ in 0..6 {
        let quoted = deep.replace('\'', r"'\''");
        deep = format!("{}sh -c '{quoted}'{}", "{ ".repeat(30), "; }".repeat(30));
        script(&deep);
    }
    let deep =
        (0..40).fold("alembic upgrade head".to_owned(), |inner, _| format!("eval \"{inner}\""));
    script(&deep);
}

fn calls_of_calls() -> String {
    let functions = (0..1500).map(|n| format!("f{n}() {{ f{0}; f{0}; }}", n + 1));
    functions.chain(["f0 || f0".to_owned()]).collect::<Vec<_>>().join("\n")
}
