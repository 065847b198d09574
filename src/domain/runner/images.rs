//! Images whose entrypoint is a known tool, so that `args` alone say what runs.

/// Path of the repository, or its end behind a slash, and the program that takes the arguments.
/// Only images whose ENTRYPOINT really is the tool.
const ENTRYPOINTS: &[(&str, &str)] = &[
    ("migrate/migrate", "migrate"),
    ("golang-migrate/migrate", "migrate"),
    ("flyway/flyway", "flyway"),
    ("redgate/flyway", "flyway"),
    ("boxfuse/flyway", "flyway"),
    ("liquibase/liquibase", "liquibase"),
    ("liquibase", "liquibase"),
    ("amacneil/dbmate", "dbmate"),
    ("arigaio/atlas", "atlas"),
    ("ariga/atlas", "atlas"),
    ("gomicro/goose", "goose"),
    ("pressly/goose", "goose"),
    ("xataio/pgroll", "pgroll"),
    ("sqitch/sqitch", "sqitch"),
    ("apache/airflow", "airflow"),
    ("openfga/openfga", "openfga"),
    ("authzed/spicedb", "spicedb"),
    ("oryd/kratos", "kratos"),
    ("oryd/hydra", "hydra"),
    ("oryd/keto", "keto"),
    ("getsentry/sentry", "sentry"),
    ("getsentry/snuba", "snuba"),
    ("zitadel/zitadel", "zitadel"),
    ("authelia/authelia", "authelia"),
    ("matrix-authentication-service", "mas-cli"),
    ("goauthentik/server", "ak"),
    ("lakekeeper/catalog", "lakekeeper"),
    ("vakamo/lakekeeper", "lakekeeper"),
    ("treeverse/lakefs", "lakefs"),
    ("sourcegraph/migrator", "migrator"),
    ("signoz/signoz-schema-migrator", "signoz-schema-migrator"),
    ("signoz/signoz-otel-collector", "signoz-otel-collector"),
    ("hashicorp/boundary", "boundary"),
    ("pretix/standalone", "pretix"),
    ("metabase/metabase", "metabase"),
    ("projectquay/quay", "quay-entrypoint.sh"),
    ("plausible/analytics", "plausible"),
    ("plausible/community-edition", "plausible"),
    ("teamhanko/hanko", "hanko"),
    ("mikefarah/schemahero", "schemahero"),
    ("schemahero/schemahero", "schemahero"),
    ("skeema/skeema", "skeema"),
    // Waiters.
    ("groundnuty/k8s-wait-for", "wait_for.sh"),
    ("atkrad/wait4x", "wait4x"),
    ("wait4x/wait4x", "wait4x"),
    ("jwilder/dockerize", "dockerize"),
    ("powerman/dockerize", "dockerize"),
    ("willwill/wait-for-it", "wait-for-it.sh"),
    ("dadarek/wait-for-dependencies", "wait-for-dependencies"),
];

/// Names so telling that any registry's copy of the image counts.
const BY_NAME: &[&str] = &[
    "dbmate",
    "flyway",
    "pgroll",
    "openfga",
    "spicedb",
    "kratos",
    "hydra",
    "keto",
    "wait4x",
    "kubectl",
    "wavegate",
    "dockerize",
    "k8s-wait-for",
    "wait-for-it",
    "wait-for",
    "wait-port",
    "wait-on",
    "wait-for-port",
];

/// Options that only one tool takes: an image built on the tool's own keeps its entrypoint.
const BY_OPTIONS: &[(&[&str], &str)] = &[
    (&["-database", "-path"], "migrate"),
    (&["-database", "-source"], "migrate"),
    (&["-url=jdbc:"], "flyway"),
    (&["--changelog-file"], "liquibase"),
    (&["--changeLogFile"], "liquibase"),
];

/// The program that takes such arguments.
pub(in crate::domain) fn by_options(args: &[&str]) -> Option<&'static str> {
    let has = |option: &&str| args.iter().any(|arg| arg.starts_with(option));
    let known = BY_OPTIONS.iter().find(|(options, _)| options.iter().all(&has));
    known.map(|(_, program)| *program)
}

/// The program that an image's entrypoint runs. `path` is the repository without registry, tag and digest.
pub(in crate::domain) fn entrypoint(path: &str) -> Option<&'static str> {
    let known = ENTRYPOINTS.iter().find(|(image, _)| {
        path.strip_suffix(image).is_some_and(|before| before.is_empty() || before.ends_with('/'))
    });
    let name = path.rsplit('/').next().unwrap_or(path);
    known
        .map(|(_, program)| *program)
        .or_else(|| BY_NAME.iter().find(|known| **known == name).copied())
}
