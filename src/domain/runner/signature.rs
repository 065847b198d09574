//! Matching a command with the table of known tools.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use super::names::{self, Named};
use super::program::{Program, Via};
use super::table::SIGNATURES;
use super::{Certainty, Effect, Verdict};

/// A tool and what it can be told to do. Lists are separated by commas. A verb of several words matches
/// positional arguments in that order, with others in between; `*` at a word's end stands for anything.
#[derive(Clone, Copy)]
pub(super) struct Signature {
    tool: &'static str,
    /// File names, or with `*` in front their ends.
    programs: &'static str,
    apply: &'static str,
    revert: &'static str,
    contract: &'static str,
    /// Looks at the schema and changes nothing.
    check: &'static str,
    /// Does something else.
    inert: &'static str,
    /// Options that make the tool apply migrations.
    apply_options: &'static str,
    /// Options that make it undo them.
    revert_options: &'static str,
    /// Options that keep it from changing anything.
    dry_options: &'static str,
    /// Options without which it changes nothing.
    needed_options: &'static str,
    /// Without a verb it applies migrations.
    always: bool,
    /// Takes several verbs and runs them all.
    many: bool,
    certainty: Certainty,
}

/// Begins an entry of the table.
pub(super) const fn tool(tool: &'static str, programs: &'static str) -> Signature {
    Signature {
        tool,
        programs,
        apply: "",
        revert: "",
        contract: "",
        check: "",
        inert: "",
        apply_options: "",
        revert_options: "",
        dry_options: "",
        needed_options: "",
        always: false,
        many: false,
        certainty: Certainty::Certain,
    }
}

macro_rules! setters {
    ($($name:ident)*) => {
        /// The parts of an entry.
        impl Signature {
            $(pub(super) const fn $name(mut self, list: &'static str) -> Self {
                self.$name = list;
                self
            })*

            pub(super) const fn always(mut self) -> Self {
                self.always = true;
                self
            }

            pub(super) const fn many(mut self) -> Self {
                self.many = true;
                self
            }

            pub(super) const fn uncertain(mut self) -> Self {
                self.certainty = Certainty::Uncertain;
                self
            }
        }
    };
}

setters! { apply revert contract check inert apply_options revert_options dry_options needed_options }

/// Options with which any tool only looks.
const LOOKING: &str = "--check, --plan, --dry-run, --dryrun, --dry, --pretend";

/// Options with which any tool writes the changes down, or says what it is.
const TELLING: &str = "--help, -dryRunOutput";

/// What keeps a command from changing anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dry {
    /// It checks what it would do.
    Looks,
    /// It does something else.
    Other,
}

/// Less is more fitting: missing words, where the verb ends, whether it is a pattern.
type Rank = (usize, usize, bool);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Check,
    Inert,
    Change(Effect),
}

/// What a known tool does; `None` where nothing in the table fits.
pub(super) fn read(program: &Program<'_>, args: &[&str]) -> Option<Verdict> {
    // `npm run migrate` is the app's script, whatever tools are called so.
    if matches!(program.via, Via::Target(_)) && program.name == "migrate" {
        return None;
    }
    let mut known = false;
    for (signature, name) in candidates(program) {
        known = true;
        if let Some(verdict) = signature.read(name, args) {
            return Some(verdict);
        }
    }
    // With a verb that we do not know, or none, it may be an app's own script of that name.
    let is_own =
        program.via != Via::Path || program.full.contains('/') || program.name == "migrate";
    let is_own = is_own && names::read_name(program.name) != Named::Nothing;
    (known && !is_own).then(|| own_verb(program, args))
}

/// Frameworks let an app add verbs of its own, such as `manage.py migrate_all_tenants`.
fn own_verb(program: &Program<'_>, args: &[&str]) -> Verdict {
    let extensible =
        matches!(program.name, "manage.py" | "manage" | "artisan" | "console" | "rails" | "rake");
    let verb = args.iter().find(|arg| !arg.starts_with('-'));
    match verb.filter(|verb| extensible && verb.contains(['_', ':', '-'])) {
        Some(verb) if dry(args).is_none() => {
            let command = || names::shown(&[program.name, verb]);
            match names::read_name(verb) {
                Named::Runs(effect) => {
                    Verdict::runs("own script", command(), effect, Certainty::Uncertain)
                }
                Named::Checks => Verdict::Checks(command()),
                Named::Nothing => Verdict::Nothing,
            }
        }
        _ => Verdict::Nothing,
    }
}

/// Entries that name the program, each with the name that fits.
fn candidates<'a>(program: &Program<'a>) -> impl Iterator<Item = (&'static Signature, &'a str)> {
    let Program { name, full, first, .. } = *program;
    let names = [name, full, first];
    let by_name = names.into_iter().enumerate().flat_map(move |(index, name)| {
        let repeated = names.iter().take(index).any(|earlier| *earlier == name);
        let entries = index_of_names().exact.get(name).filter(|_| !repeated);
        entries.into_iter().flatten().map(move |entry| (*entry, name))
    });
    let ends = index_of_names().ends.iter().filter(move |(end, _)| full.ends_with(end));
    by_name.chain(ends.map(move |(_, entry)| (*entry, name)))
}

/// The table, by the names of programs and by their ends.
struct Index {
    exact: HashMap<&'static str, Vec<&'static Signature>>,
    ends: Vec<(&'static str, &'static Signature)>,
}

fn index_of_names() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut index = Index { exact: HashMap::new(), ends: Vec::new() };
        for signature in SIGNATURES {
            for name in list(signature.programs) {
                match name.strip_prefix('*') {
                    Some(end) => index.ends.push((end, signature)),
                    None => index.exact.entry(name).or_default().push(signature),
                }
            }
        }
        index
    })
}

impl Signature {
    fn read(&self, name: &str, args: &[&str]) -> Option<Verdict> {
        let applies = || self.always || args.iter().any(|arg| has_option(arg, self.apply_options));
        let (does, verb) = match self.find(args) {
            Some(found) => found,
            None if applies() => (Does::Change(Effect::Apply), ""),
            None => return None,
        };
        let command = names::shown(&[name, verb]);
        Some(match (does, self.dry(args)) {
            (Does::Inert, _) | (Does::Change(_), Some(Dry::Other)) => Verdict::Nothing,
            (Does::Check, _) | (Does::Change(_), Some(Dry::Looks)) => Verdict::Checks(command),
            (Does::Change(effect), None) => {
                let undone = args.iter().any(|arg| has_option(arg, self.revert_options));
                let effect = if undone { Effect::Revert } else { effect };
                Verdict::runs(self.tool, command, effect, self.certainty)
            }
        })
    }

    fn dry(&self, args: &[&str]) -> Option<Dry> {
        let has = |options: &'static str| args.iter().any(|arg| has_option(arg, options));
        let lacks = !self.needed_options.is_empty() && !has(self.needed_options);
        if lacks || has(self.dry_options) { Some(Dry::Other) } else { dry(args) }
    }

    /// The first known verb decides. Of those that begin at one word the longest does, so that
    /// `migrate status` is not taken for `migrate`, and one without `*` before one with.
    fn find<'a>(&self, args: &[&'a str]) -> Option<(Does, &'a str)> {
        let words: Vec<&str> = args.iter().copied().filter(|arg| !arg.starts_with('-')).collect();
        let lists = [
            (self.check, Does::Check),
            (self.inert, Does::Inert),
            (self.revert, Does::Change(Effect::Revert)),
            (self.contract, Does::Change(Effect::Contract)),
            (self.apply, Does::Change(Effect::Apply)),
        ];
        let mut best: BTreeMap<usize, (Rank, Does, &'a str)> = BTreeMap::new();
        for (verbs, does) in lists {
            for verb in list(verbs) {
                let Some((start, end)) = position(verb, &words) else {
                    continue;
                };
                let is_pattern = verb.contains('*');
                let rank = (usize::MAX - verb.split(' ').count(), end, is_pattern);
                if best.get(&start).is_none_or(|(than, ..)| rank < *than) {
                    let written = words.get(start).copied().unwrap_or_default();
                    best.insert(start, (rank, does, if is_pattern { written } else { verb }));
                }
            }
        }
        let all = || best.values().map(|(_, does, verb)| (*does, *verb));
        let change = all().find(|(does, _)| self.many && matches!(does, Does::Change(_)));
        change.or_else(|| all().next())
    }
}

/// Where a verb's first and last word stand among the positional arguments.
pub(super) fn position(verb: &str, words: &[&str]) -> Option<(usize, usize)> {
    let mut wanted = verb.split(' ');
    let first = wanted.next()?;
    let start = words.iter().position(|word| matches_word(first, word))?;
    let mut at = start;
    for want in wanted {
        at += 1 + words.get(at + 1..)?.iter().position(|word| matches_word(want, word))?;
    }
    Some((start, at))
}

/// `mix do ecto.create, ecto.migrate` puts commas behind tasks; rake takes arguments in brackets.
fn matches_word(pattern: &str, word: &str) -> bool {
    let word = word.strip_suffix(',').unwrap_or(word);
    let word = word.split_once('[').map_or(word, |(task, _)| task);
    match pattern.split_once('*') {
        Some((start, end)) => {
            word.len() >= start.len() + end.len() && word.starts_with(start) && word.ends_with(end)
        }
        None => word == pattern,
    }
}

fn has_option(arg: &str, options: &'static str) -> bool {
    arg.starts_with('-') && list(options).any(|option| option_is(arg, option))
}

fn option_is(arg: &str, option: &str) -> bool {
    match arg.split_once('=') {
        Some(_) if option.contains('=') => arg == option,
        Some((name, value)) => name == option && !matches!(value, "false" | "0" | "no" | "none"),
        None => arg == option,
    }
}

/// What keeps a command of any tool from changing anything.
pub(super) fn dry(args: &[&str]) -> Option<Dry> {
    let has = |options: &'static str| args.iter().any(|arg| has_option(arg, options));
    if has(LOOKING) { Some(Dry::Looks) } else { (has(TELLING) || asks(args)).then_some(Dry::Other) }
}

/// `-h` and `--version` ask for help where no value follows; elsewhere they name a host or a target.
fn asks(args: &[&str]) -> bool {
    args.iter().enumerate().any(|(at, arg)| {
        matches!(*arg, "-h" | "--version")
            && args.get(at + 1).is_none_or(|next| next.starts_with('-'))
    })
}

fn list(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split(", ").filter(|entry| !entry.is_empty())
}
