//! The words and the standard input of a script's commands, as far as the script shows them.

use super::MAX_ARGS;
use crate::domain::runner::sql::Input;
use crate::domain::shell::{Command, Kind, Redirect, RedirectKind, Script, Word};
use crate::domain::waiter::Literals;

/// What stands for variables.
#[derive(Debug)]
pub(super) struct Variables {
    pub(super) known: Literals,
    /// What `"$@"` stands for.
    pub(super) parameters: Vec<String>,
}

impl Variables {
    /// `parameters` begin with the shell's name.
    pub(super) fn new(parameters: &[&str]) -> Self {
        let mut variables = Self { known: Literals::default(), parameters: Vec::new() };
        variables.with_parameters(parameters.get(1..).unwrap_or_default());
        variables
    }

    /// Puts other parameters in place of those that are there, which it returns.
    pub(super) fn with_parameters(&mut self, parameters: &[&str]) -> Vec<String> {
        let parameters = parameters.iter().map(|word| (*word).to_owned()).collect();
        std::mem::replace(&mut self.parameters, parameters)
    }

    /// The variable of a `for` loop stands for the first of its words; of `$(ls /migrations/*.sql)` for
    /// the path in it.
    pub(super) fn assign_item(&mut self, variable: &str, word: &Word) {
        let inner = word.substitutions.first().and_then(|list| list.items.first());
        let command = inner.and_then(|item| item.first.commands.first());
        let text = match command.map(|command| &command.kind) {
            Some(Kind::Simple(simple)) => {
                let path = simple.words.iter().find(|word| word.text.contains('/'));
                path.map_or("$()", |path| path.text.as_str())
            }
            _ => &word.text,
        };
        let text = self.known.expand(text);
        self.known.assign(variable, &text);
    }

    /// The words of a command.
    pub(super) fn words(&self, words: &[Word]) -> Vec<String> {
        let mut all = Vec::new();
        for word in words {
            // `"$@"` may stand there many times.
            if all.len() >= MAX_ARGS {
                break;
            }
            match word.text.as_str() {
                "$@" | "$*" => all.extend(self.parameters.iter().take(MAX_ARGS).cloned()),
                text if text.contains('$') => all.push(self.known.expand(text)),
                text => all.push(text.to_owned()),
            }
        }
        all
    }

    /// What a command reads; `before` is the one in front of it in a pipeline.
    pub(super) fn input(
        &self,
        script: &Script,
        command: &Command,
        before: Option<&Command>,
    ) -> Input {
        let mut input = Input::default();
        if let Some(Command { kind: Kind::Simple(simple), redirects }) = before {
            let words = self.words(&simple.words);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match words.as_slice() {
                ["echo" | "printf", rest @ ..] => input.text = Some(rest.join(" ")),
                ["cat" | "zcat" | "gunzip" | "envsubst" | "sed", rest @ ..] => {
                    let file = rest.last().filter(|word| !word.starts_with('-'));
                    input.file = file.map(|file| (*file).to_owned());
                    self.redirected(script, redirects, &mut input);
                }
                _ => {}
            }
        }
        self.redirected(script, &command.redirects, &mut input);
        input
    }

    fn redirected(&self, script: &Script, redirects: &[Redirect], input: &mut Input) {
        for redirect in redirects {
            let target = &redirect.target.text;
            match redirect.kind {
                RedirectKind::HereDocument(id) => {
                    input.text = Some(script.here_document(id).to_owned());
                }
                RedirectKind::HereString => input.text = Some(target.clone()),
                RedirectKind::Read => input.file = Some(self.known.expand(target)),
                RedirectKind::Write => {}
            }
        }
    }
}
