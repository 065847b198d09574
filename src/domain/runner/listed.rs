//! Programs that a policy names.

use super::program::Program;
use super::signature::{self, Dry, position};
use super::{Certainty, Effect, Verdict, names};
use crate::domain::glob::Glob;

/// A program that changes a schema and that no table knows, such as a company's own.
///
/// A verb of several words matches positional arguments in that order, with others in between; `*` at a word's end or
/// beginning stands for anything, as in the table of known tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRunner {
    /// Its file name, or the name of a script, module or target.
    pub program: Glob,
    /// Verbs that apply migrations. Where a runner has no verbs at all, calling it does.
    pub applies: Vec<String>,
    /// Verbs that undo them.
    pub reverts: Vec<String>,
    /// Verbs that remove what only old code needs.
    pub contracts: Vec<String>,
    /// Verbs that change nothing.
    pub looks: Vec<String>,
}

fn first<'v>(verbs: &'v [String], words: &[&str]) -> Option<&'v str> {
    verbs.iter().find(|verb| position(verb, words).is_some()).map(String::as_str)
}

impl KnownRunner {
    /// What it does with these arguments; `None` where it is another program.
    pub(in crate::domain) fn read(&self, program: &Program<'_>, args: &[&str]) -> Option<Verdict> {
        if !self.program.matches(program.name) && !self.program.matches(program.full) {
            return None;
        }
        let words: Vec<&str> = args.iter().copied().filter(|arg| !arg.starts_with('-')).collect();
        let has = |verbs| first(verbs, &words);
        if let Some(verb) = has(&self.looks) {
            return Some(Verdict::Checks(names::shown(&[program.name, verb])));
        }
        let found = has(&self.reverts)
            .map(|verb| (verb, Effect::Revert))
            .or_else(|| has(&self.contracts).map(|verb| (verb, Effect::Contract)))
            .or_else(|| has(&self.applies).map(|verb| (verb, Effect::Apply)));
        let always = self.applies.is_empty();
        let (verb, effect) = found.or_else(|| always.then_some(("", Effect::Apply)))?;
        let command = names::shown(&[program.name, verb]);
        Some(match signature::dry(args) {
            Some(Dry::Looks) => Verdict::Checks(command),
            Some(Dry::Other) => Verdict::Nothing,
            None => Verdict::runs("named in the policy", command, effect, Certainty::Certain),
        })
    }
}
