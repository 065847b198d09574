//! What the name of a script, target or verb says, where no tool is known.
//!
//! A name counts when it has a word for migrating a database and every other word is known to be
//! harmless. One word that is not, such as `s3` or `config`, and the name says nothing.

use super::Effect;

/// What a name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) enum Named {
    /// It changes a database schema.
    Runs(Effect),
    /// It looks at one.
    Checks,
    /// Nothing of the kind.
    Nothing,
}

const CORE: &str = "\
    migrate migrates migrating migration migrations migrator migrators dbmigrate dbmigration
    dbmigrations dbmigrator migratedb migrateall runmigration runmigrations upgradedb dbupgrade";

/// Pairs of words that only together speak of a schema.
const PAIRS: &[(&str, &str)] =
    &[("schema schemas", "upgrade upgrades"), ("db database", "upgrade upgrades deploy push")];

const ENGINES: &str = "pg postgres postgresql mysql mariadb mongo mongodb clickhouse cassandra rds";

const UNDOING: &str = "rollback down undo reset revert fresh drop downgrade";

const LOOKING: &str = "\
    status history current list info validate verify lint version show diff pending plan check
    checks checker dry";

const NEGATING: &str = "\
    no not skip skipped dump create generate gen new make test tests testing lock unlock squash docs
    doc wait waits waiting waiter await without disable ignore";

const HARMLESS: &str = "\
    run runs runner running do exec execute perform apply db dbs database databases schema schemas
    sql pg psql postgres postgresql mysql mariadb sqlite mssql mongo mongodb clickhouse cassandra
    rds prod production staging stage dev development deploy deployment auto automatic start startup
    docker container entrypoint django rails laravel flask prisma knex alembic typeorm sequelize
    drizzle mikro mikroorm orm ecto flyway liquibase goose dbmate atlas sqlx diesel gorm ef efcore
    dotnet node nodejs python php go golang up latest all head heads ci app apps api server backend
    service web core main job task cmd command script tool cli safe safely pre post hook presync
    predeploy init setup seed step once and then the release upgrade update sync primary tenant
    tenants multi local remote bin bash sh on ensure force zero downtime esm cjs js ts dist";

const EXTENSIONS: &str = "\
    sh bash py pyc js mjs cjs ts mts cts rb php pl exe jar dll bin ps1 exs ex go";

/// Reads the name of a script, target or verb: `db:migrate:deploy`, `run-migrations.sh`, `DbMigrator`.
pub(in crate::domain) fn read_name(name: &str) -> Named {
    if name.len() > 80 {
        return Named::Nothing;
    }
    let words = words(stem(name));
    let has = |list: &str| words.iter().any(|word| listed(list, word));
    // With an engine's name, an upgrade of the database may be one of the server.
    let core =
        has(CORE) || (!has(ENGINES) && PAIRS.iter().any(|(left, right)| has(left) && has(right)));
    // `wait-for-db-and-migrate` does both.
    let waits = has("and then");
    let known = |word: &String| {
        let word = word.as_str();
        let lists = [CORE, HARMLESS, UNDOING, LOOKING];
        lists.iter().any(|list| listed(list, word))
            || word.bytes().all(|byte| byte.is_ascii_digit())
            || (waits && matches!(word, "wait" | "for"))
    };
    if !core || !words.iter().all(known) {
        Named::Nothing
    } else if has(LOOKING) {
        Named::Checks
    } else if has(UNDOING) {
        Named::Runs(Effect::Revert)
    } else {
        Named::Runs(Effect::Apply)
    }
}

/// Whether a positional argument makes a migration script look only.
pub(super) fn looks(word: &str) -> bool {
    listed(LOOKING, &word.to_ascii_lowercase())
}

/// Whether a positional argument keeps a migration script from changing anything.
pub(super) fn negates(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    listed(LOOKING, &word) || listed(NEGATING, &word) || word == "help"
}

/// Whether a positional argument says that a migration is undone.
pub(super) fn undoes(word: &str) -> bool {
    listed(UNDOING, word)
}

/// Whether a positional argument of a migration script means nothing special.
pub(super) fn is_harmless(word: &str) -> bool {
    listed(CORE, word) || listed(HARMLESS, word) || word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the name is one that waits: `wait-for-db.sh`, `wait_for_postgres`, `waitForDatabase.js`.
pub(in crate::domain) fn is_waiter(name: &str) -> bool {
    const WAITING: &str = "wait waitfor waitforit waitup await wait4ports wait4";
    // All of these begin so, and most names do not.
    let first = name.chars().find(|c| c.is_alphanumeric());
    if name.len() > 80 || !first.is_some_and(|c| matches!(c, 'a' | 'A' | 'w' | 'W')) {
        return false;
    }
    let words = words(stem(name));
    let speaks = |list: &str| words.iter().any(|word| listed(list, word));
    words.first().is_some_and(|word| listed(WAITING, word))
        && !speaks(CORE)
        && !speaks("job jobs pod pods crd crds cert secret secrets rollout")
}

/// The name without what tells its language.
pub(super) fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension)) if listed(EXTENSIONS, extension) => stem,
        _ => name,
    }
}

/// Splits at everything that is no letter or digit, and where lower case turns to upper: in lower case.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = name.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let next_is_lower = chars.peek().is_some_and(char::is_ascii_lowercase);
        let turns = c.is_ascii_uppercase()
            && (before.is_ascii_lowercase() || (before.is_ascii_uppercase() && next_is_lower));
        if (turns || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Joins names for output. Only what a program or verb is made of, and not more than a line takes.
pub(in crate::domain) fn shown(parts: &[&str]) -> String {
    const LONGEST: usize = 40;
    let mut shown = String::new();
    for part in parts.iter().filter(|part| !part.is_empty() && !part.contains("://")) {
        if !shown.is_empty() {
            shown.push(' ');
        }
        let plain = |c: &char| c.is_ascii_alphanumeric() || " -_.:/".contains(*c);
        shown.extend(part.chars().filter(plain).take(LONGEST));
    }
    shown
}

/// Whether a list, whose words stand apart by blanks, has this word.
pub(in crate::domain) fn listed(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|listed| listed == word)
}
