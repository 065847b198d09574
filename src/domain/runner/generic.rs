//! Programs that the table does not know: an app's own scripts and verbs.

use super::names::{self, Named, listed};
use super::program::{Program, Via};
use super::signature::{self, Dry};
use super::{Certainty, Effect, Verdict};

/// Directories of scripts, and parts of programs' names, that migrate something other than a database.
const FOREIGN_PLACES: &str = "\
    s3 storage crd crds webhook webhooks cert certs elasticsearch opensearch kafka redis minio vault
    consul etcd knative pvc pv kube";

/// Options that say that something other than a schema migrates.
const FOREIGN_OPTIONS: &str = "\
    --resource --crd --kubeconfig --pvc --volume --bucket --storage --index";

/// Options that make an app migrate and end.
const MIGRATING_OPTIONS: &str = "\
    --migrate -migrate --migrate-only --only-migrate --run-migrations --run-migration
    --apply-migrations --migrate-db --migrate-database --db-migrate";

/// Options that undo migrations.
const UNDOING_OPTIONS: &str = "--down -down --rollback --revert --direction=down -direction=down";

/// Verbs of two words that speak of a schema, whoever says them.
const PHRASES: &[(&str, &str)] = &[
    ("db database schema", "migrate upgrade migrations"),
    ("migrate", "up apply deploy run latest db database all"),
    ("migration migrations", "run up apply migrate latest deploy execute"),
];

/// Single verbs. Too common to mean anything alone.
const VERBS: &str = "\
    migrate migration migrations up upgrade-db upgrade_db upgradedb migratedb migrate-db migrate_db
    db-migrate db_migrate dbmigrate db-upgrade db_upgrade db-migrations run-migrations
    run_migrations apply-migrations migrate-database migrate-up migrate-all migrator schema-migrate
    migrate-schema";

/// What a program does that is not in the table.
pub(super) fn read(program: &Program<'_>, args: &[&str]) -> Verdict {
    let shown = [runner_of(program), program.name];
    own_script(program, &shown, args)
        .or_else(|| migrating_option(program, args))
        .unwrap_or_else(|| verbs(program.name, args))
}

fn runner_of(program: &Program<'_>) -> &'static str {
    match program.via {
        Via::Target(runner) => runner,
        _ => "",
    }
}

/// A script, target, module or assembly whose name says it: `run-migrations.sh`, `npm run db:migrate`.
fn own_script(program: &Program<'_>, shown: &[&str], args: &[&str]) -> Option<Verdict> {
    let (places, name) = places_and_name(program);
    if places.split(['/', '.', '-', '_']).any(|place| listed(FOREIGN_PLACES, place)) {
        return None;
    }
    let (named, mut certainty) = match names::read_name(name) {
        Named::Nothing => (in_migrations_directory(program, places, name)?, Certainty::Uncertain),
        named => (named, Certainty::Certain),
    };
    let command = names::shown(shown);
    let Named::Runs(mut effect) = named else {
        return Some(Verdict::Checks(command));
    };
    match signature::dry(args) {
        Some(Dry::Looks) => return Some(Verdict::Checks(command)),
        Some(Dry::Other) => return Some(Verdict::Nothing),
        None => {}
    }
    if args.iter().any(|arg| is_foreign(arg)) {
        return Some(Verdict::Nothing);
    }
    if args.iter().any(|arg| listed(UNDOING_OPTIONS, arg)) {
        effect = Effect::Revert;
    }
    for word in operands(args) {
        if names::undoes(word) {
            effect = Effect::Revert;
        } else if names::looks(word) {
            return Some(Verdict::Checks(command));
        } else if names::negates(word) {
            return Some(Verdict::Nothing);
        } else if !names::is_harmless(word) && !word.contains(['/', '.', ':', '$']) {
            certainty = Certainty::Uncertain;
        }
    }
    // A bare `migrate` from the search path may be anybody's.
    if program.via == Via::Path && !program.full.contains(['/', '.', '-', '_']) {
        certainty = Certainty::Uncertain;
    }
    Some(Verdict::runs("own script", command, effect, certainty))
}

fn places_and_name<'a>(program: &Program<'a>) -> (&'a str, &'a str) {
    // `Acme.Shop.DbMigrator`: what is in front of the last dot is a namespace.
    let stem = names::stem(program.name);
    let (namespace, class) = stem.rsplit_once('.').unwrap_or(("", stem));
    let is_class = class.starts_with(|c: char| c.is_ascii_uppercase());
    match program.via {
        Via::Module => program.full.rsplit_once('.').unwrap_or(("", program.full)),
        Via::Assembly => (namespace, class),
        Via::Target(_) => ("", program.full),
        Via::Path if is_class && !namespace.is_empty() => (namespace, class),
        Via::Path | Via::Interpreter => {
            (program.full.rsplit_once('/').map_or("", |(places, _)| places), program.name)
        }
    }
}

/// `migrations/run.js`, `cmd/migrate/main.go`
fn in_migrations_directory(program: &Program<'_>, places: &str, name: &str) -> Option<Named> {
    const ENTRY: &str = "run main index start up apply cli entrypoint execute app";
    let place = places.rsplit(['/', '.']).next().unwrap_or_default();
    let is_entry = listed(ENTRY, names::stem(name)) && program.via != Via::Assembly;
    match names::read_name(place) {
        Named::Runs(effect) if is_entry => Some(Named::Runs(effect)),
        _ => None,
    }
}

/// A release of an Elixir app: `bin/shop eval "Shop.Release.migrate()"`.
pub(super) fn release_task(program: &Program<'_>, args: &[&str]) -> Option<Verdict> {
    let at = args.iter().position(|arg| matches!(*arg, "eval" | "rpc"))?;
    let code = args.get(at + 1)?;
    let parts = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '!');
    for part in parts.filter(|part| !part.is_empty()).take(64) {
        let effect = match (names::read_name(part.trim_end_matches('!')), part) {
            (Named::Runs(effect), _) => effect,
            (_, "rollback") if code.contains("Release") || code.contains("Repo") => Effect::Revert,
            _ => continue,
        };
        let command = names::shown(&[program.name, args.get(at)?, part]);
        return Some(Verdict::runs("Ecto", command, effect, Certainty::Certain));
    }
    None
}

fn migrating_option(program: &Program<'_>, args: &[&str]) -> Option<Verdict> {
    let is_set = |arg: &&&str| {
        let (name, value) = arg.split_once('=').unwrap_or((arg, "true"));
        listed(MIGRATING_OPTIONS, name) && !matches!(value, "false" | "0" | "no")
    };
    let option = args.iter().find(is_set)?;
    if signature::dry(args).is_some() || args.iter().any(|arg| is_foreign(arg)) {
        return None;
    }
    let is_assembly = program.via == Via::Assembly;
    let certainty = if is_assembly { Certainty::Certain } else { Certainty::Uncertain };
    let option = option.split('=').next().unwrap_or_default();
    let command = names::shown(&[program.name, option]);
    Some(Verdict::runs("own program", command, Effect::Apply, certainty))
}

/// The verb of a program that nothing else is known of; `name` is empty where only arguments are known.
pub(in crate::domain) fn verbs(name: &str, args: &[&str]) -> Verdict {
    let speaks_of_other = names::words(name).iter().any(|word| listed(FOREIGN_PLACES, word));
    if speaks_of_other || signature::dry(args).is_some() || args.iter().any(|arg| is_foreign(arg)) {
        return Verdict::Nothing;
    }
    // An option in front of a word may take it as its value, or not: both readings count.
    let all = args.iter().copied().filter(|arg| !arg.starts_with('-'));
    verb(name, all)
        .or_else(|| verb(name, operands(args)))
        .or_else(|| mode(args))
        .unwrap_or(Verdict::Nothing)
}

/// `--mode=migrate`
fn mode(args: &[&str]) -> Option<Verdict> {
    let values = args.iter().filter_map(|arg| Some(arg.strip_prefix('-')?.split_once('=')?.1));
    let verb = values.into_iter().find(|value| listed("migrate migration migrations", value))?;
    Some(Verdict::Verb(verb.to_owned()))
}

fn verb<'a>(name: &str, mut words: impl Iterator<Item = &'a str>) -> Option<Verdict> {
    let first = words.next()?;
    let second = words.next().unwrap_or_default();
    if names::negates(second) {
        return None;
    }
    let command = |parts: &[&str]| {
        let all: Vec<&str> = std::iter::once(name).chain(parts.iter().copied()).collect();
        names::shown(&all)
    };
    let names_database = matches!(first, "db" | "database") && second.contains(':');
    if PHRASES.iter().any(|(left, right)| listed(left, first) && listed(right, second))
        || (names_database && names::read_name(second) == Named::Runs(Effect::Apply))
    {
        let third = words.next().unwrap_or_default();
        let command = command(&[first, second]);
        let uncertain =
            |effect| Verdict::runs("own program", command, effect, Certainty::Uncertain);
        return match third {
            third if names::negates(third) => None,
            third if names::undoes(third) => Some(uncertain(Effect::Revert)),
            _ => Some(uncertain(Effect::Apply)),
        };
    }
    if first.contains(':') {
        return match names::read_name(first) {
            Named::Runs(effect) => {
                Some(Verdict::runs("own program", command(&[first]), effect, Certainty::Uncertain))
            }
            Named::Checks => Some(Verdict::Checks(command(&[first]))),
            Named::Nothing => None,
        };
    }
    listed(VERBS, first).then(|| Verdict::Verb(first.to_owned()))
}

/// Whether the word alone is a verb of migrations rather than a program.
pub(in crate::domain) fn is_verb(word: &str) -> bool {
    listed(VERBS, word) || PHRASES.iter().any(|(left, _)| listed(left, word))
}

/// Positional arguments that cannot be the value of an option.
fn operands<'a>(args: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let before = std::iter::once("").chain(args.iter().copied());
    args.iter().copied().zip(before).filter_map(|(arg, before)| {
        let is_value = before.starts_with('-') && before != "--" && !before.contains('=');
        (!arg.starts_with('-') && !is_value).then_some(arg)
    })
}

/// Names of custom resources (`services.serving.knative.dev`) and options of other migrations.
fn is_foreign(arg: &str) -> bool {
    let option = arg.split('=').next().unwrap_or_default();
    let domain = arg.rsplit('.').next().unwrap_or_default();
    let is_resource = matches!(domain, "dev" | "io")
        && arg.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte)
        })
        && arg.bytes().filter(|byte| *byte == b'.').count() >= 2;
    listed(FOREIGN_OPTIONS, option) || is_resource
}
