//! Database clients that are given SQL.

use super::names::{listed, shown, words};
use super::{Certainty, Effect, Verdict};

/// A client, its options that SQL follows, and those that a file follows.
struct Client {
    names: &'static str,
    text: &'static str,
    file: &'static str,
}

const fn client(names: &'static str, text: &'static str, file: &'static str) -> Client {
    Client { names, text, file }
}

const CLIENTS: &[Client] = &[
    client("psql ysqlsh usql pgcli", "-c --command", "-f --file"),
    client("mysql mariadb", "-e --execute", ""),
    client("sqlcmd sqlcmd.exe", "-Q -q", "-i"),
    client("clickhouse-client clickhouse", "--query -q", "--queries-file"),
    client("cqlsh", "-e --execute", "-f --file"),
    client("cockroach", "-e --execute", "-f --file"),
    client(MONGO, "--eval", "-f --file"),
];

/// Clients that are given JavaScript.
const MONGO: &str = "mongosh mongo";

/// What a client reads from its standard input.
#[derive(Clone, Debug, Default)]
pub(in crate::domain) struct Input {
    /// The text itself, as far as the script shows it.
    pub(in crate::domain) text: Option<String>,
    /// Path of a file.
    pub(in crate::domain) file: Option<String>,
}

/// What SQL does, the most telling last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sql {
    /// Data, users, databases.
    Other,
    /// Only looks.
    Looks,
    /// May change a schema.
    Perhaps(&'static str),
    /// Changes a schema: the statement's first words.
    Changes(&'static str),
}

/// What a client does; `None` where the program is none.
pub(in crate::domain) fn read(name: &str, args: &[&str], input: &Input) -> Option<Verdict> {
    let client = CLIENTS.iter().find(|client| listed(client.names, name))?;
    let mut all_text = values(args, client.text);
    all_text.extend(input.text.as_deref());
    let judged = |text: &&str| {
        if client.names == MONGO { read_mongo(text) } else { read_sql(text) }
    };
    let judged: Vec<Sql> = all_text.iter().map(judged).collect();
    let change = judged.iter().max().copied();
    if let Some(Sql::Changes(words) | Sql::Perhaps(words)) = change {
        let sure = matches!(change, Some(Sql::Changes(_)));
        let certainty = if sure { Certainty::Certain } else { Certainty::Uncertain };
        return Some(Verdict::runs("raw SQL", shown(&[name, words]), Effect::Apply, certainty));
    }
    let mut files = values(args, client.file);
    files.extend(input.file.as_deref());
    if let Some(certainty) = files.iter().filter_map(|file| read_path(file)).max() {
        return Some(Verdict::runs("raw SQL", shown(&[name, "file"]), Effect::Apply, certainty));
    }
    let looks =
        !judged.is_empty() && judged.iter().all(|sql| *sql == Sql::Looks) && files.is_empty();
    Some(if looks { Verdict::Checks(shown(&[name, "SELECT"])) } else { Verdict::Nothing })
}

/// Values of these options: `-c SQL`, `-tAc SQL`, `-cSQL`, `--command=SQL`.
fn values<'a>(args: &[&'a str], options: &str) -> Vec<&'a str> {
    let mut values = Vec::new();
    for (at, arg) in args.iter().enumerate() {
        let next = || args.get(at + 1).copied();
        for option in options.split_ascii_whitespace() {
            if *arg == option {
                values.extend(next());
            } else if let Some(rest) = arg.strip_prefix(option) {
                let attached =
                    if option.starts_with("--") { rest.strip_prefix('=') } else { Some(rest) };
                values.extend(attached);
            } else if let (Some(cluster), Some(letter)) =
                (arg.strip_prefix('-'), option.strip_prefix('-'))
            {
                let letters = cluster.bytes().all(|byte| byte.is_ascii_alphabetic());
                if letter.len() == 1 && letters && cluster.len() < 6 && cluster.ends_with(letter) {
                    values.extend(next());
                }
            }
        }
    }
    values
}

/// Kinds of object that make up a schema.
const OBJECTS: &str = "\
    SCHEMA TABLE INDEX VIEW TYPE SEQUENCE FUNCTION PROCEDURE TRIGGER COLUMN CONSTRAINT DOMAIN KEYSPACE
    DICTIONARY POLICY";

/// Words that may stand between the verb and the kind of object.
const BETWEEN: &str = "\
    OR REPLACE UNIQUE MATERIALIZED UNLOGGED FOREIGN CLUSTERED NONCLUSTERED FULLTEXT SPATIAL
    RECURSIVE EVENT CONSTRAINT AGGREGATE ONLINE LIVE";

/// Statements that change no schema, whatever words follow.
const HARMLESS: &str = "\
    GRANT REVOKE SELECT SHOW INSERT UPDATE DELETE SET COPY EXPLAIN COMMENT ANALYZE VACUUM DESCRIBE
    USE WITH CALL FLUSH REASSIGN";

const LOOKING: &str = "SELECT SHOW EXPLAIN DESCRIBE";

fn read_sql(text: &str) -> Sql {
    let text = without_strings(text);
    let mut most: Option<Sql> = None;
    for statement in text.split(';') {
        let mut words = statement.split_whitespace().peekable();
        let Some(first) = words.peek().map(|word| word.to_ascii_uppercase()) else {
            continue;
        };
        let sql = if listed(LOOKING, &first) {
            Sql::Looks
        } else if listed(HARMLESS, &first) {
            Sql::Other
        } else {
            read_statement(&words.collect::<Vec<_>>())
        };
        // One statement that does more than look is enough for the whole not to be a check.
        most = Some(match (most, sql) {
            (Some(Sql::Other), Sql::Looks) | (Some(Sql::Looks), Sql::Other) => Sql::Other,
            (Some(before), sql) => before.max(sql),
            (None, sql) => sql,
        });
    }
    most.unwrap_or(Sql::Other)
}

fn read_statement(words: &[&str]) -> Sql {
    let mut most = Sql::Other;
    for (at, word) in words.iter().enumerate() {
        let rest = words.get(at + 1..).unwrap_or_default();
        let found = match word.to_ascii_uppercase().as_str() {
            "CREATE" => object(rest).map(|(kind, name)| change("CREATE", kind, name, rest)),
            "ALTER" => object(rest).map(|(kind, name)| change("ALTER", kind, name, rest)),
            "DROP" => object(rest).map(|(kind, name)| change("DROP", kind, name, rest)),
            "RENAME" => object(rest).map(|(kind, name)| change("RENAME", kind, name, rest)),
            "TRUNCATE" => object(rest).map(|_| Sql::Perhaps("TRUNCATE")),
            _ => None,
        };
        most = found.map_or(most, |sql| most.max(sql));
    }
    most
}

/// The kind of object behind a verb, and its name.
fn object<'a>(words: &[&'a str]) -> Option<(&'static str, &'a str)> {
    for (at, word) in words.iter().enumerate().take(4) {
        let upper = word.to_ascii_uppercase();
        if let Some(kind) = OBJECTS.split_ascii_whitespace().find(|kind| *kind == upper) {
            let skipped = "IF NOT EXISTS CONCURRENTLY ONLY";
            let mut rest = words.iter().skip(at + 1);
            let name = rest.find(|word| !listed(skipped, &word.to_ascii_uppercase()));
            return Some((kind, name.copied().unwrap_or_default()));
        }
        if !listed(BETWEEN, &upper) {
            return None;
        }
    }
    None
}

fn change(verb: &'static str, kind: &'static str, name: &str, rest: &[&str]) -> Sql {
    // A change of owner is a matter of permissions.
    if verb == "ALTER" && rest.iter().any(|word| word.eq_ignore_ascii_case("OWNER")) {
        return Sql::Other;
    }
    let words = match (verb, kind) {
        ("CREATE", "TABLE") => "CREATE TABLE",
        ("CREATE", "INDEX") => "CREATE INDEX",
        ("ALTER", "TABLE") => "ALTER TABLE",
        ("DROP", "TABLE") => "DROP TABLE",
        (verb, _) => verb,
    };
    // What a variable names may be a probe's scratch table. A schema is as often set up as migrated.
    let named_by_variable = name.trim_start_matches(['"', '`']).starts_with('$');
    match (verb, named_by_variable) {
        ("DROP", true) => Sql::Other,
        (_, true) => Sql::Perhaps(words),
        _ if kind == "SCHEMA" => Sql::Perhaps(words),
        _ => Sql::Changes(words),
    }
}

/// Blanks out string literals and comments, so that only statements are left.
fn without_strings(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                while chars.next().is_some_and(|c| c != '\'') {}
                bare.push_str("''");
            }
            '-' if chars.peek() == Some(&'-') => while chars.next_if(|c| *c != '\n').is_some() {},
            '/' if chars.peek() == Some(&'*') => {
                let mut before = ' ';
                while let Some(c) = chars.next().filter(|c| (before, *c) != ('*', '/')) {
                    before = c;
                }
            }
            '(' => bare.push_str(" ("),
            _ => bare.push(c),
        }
    }
    bare
}

/// Calls that change the collections and indices of `MongoDB`. Too often set up rather than migrated to be sure.
fn read_mongo(text: &str) -> Sql {
    const CHANGES: &str = ".createIndex .createCollection .dropIndex .renameCollection collMod";
    const MORE: &str = "create insert update delete drop initiate grant";
    if CHANGES.split(' ').any(|call| text.contains(call)) {
        return Sql::Perhaps("schema change");
    }
    if MORE.split(' ').any(|call| text.contains(call)) { Sql::Other } else { Sql::Looks }
}

/// How sure a path is that its SQL migrates; `None` where it says something else.
fn read_path(path: &str) -> Option<Certainty> {
    const SCHEMA: &str = "migration migrations migrate schema schemas ddl upgrade upgrades";
    const OTHER: &str = "\
        init initdb initialize initialise bootstrap seed seeds user users role roles grant grants
        permission permissions backup backups restore dump dumps data fixture fixtures test tests
        extension extensions createdb privileges cleanup secret secrets password stdin";
    let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
    let (places, names) = (words(directory), words(file));
    let has = |words: &[String], list: &str| words.iter().any(|word| listed(list, word));
    let creates_database = has(&names, "create") && has(&names, "db database databases");
    if is_versioned(file) || has(&places, "migration migrations") {
        Some(Certainty::Certain)
    } else if has(&places, "initdb") || creates_database || names.is_empty() {
        None
    } else {
        match (has(&names, SCHEMA) || has(&places, SCHEMA), has(&names, OTHER)) {
            (true, false) => Some(Certainty::Certain),
            (false, true) => None,
            _ => Some(Certainty::Uncertain),
        }
    }
}

/// `V1__create_users.sql`, as Flyway names its files.
fn is_versioned(file: &str) -> bool {
    let Some((version, _)) = file.split_once("__") else {
        return false;
    };
    version.strip_prefix('V').is_some_and(|digits| {
        digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.bytes().all(|byte| byte.is_ascii_digit() || b"._".contains(&byte))
    })
}
