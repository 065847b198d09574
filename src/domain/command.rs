//! What a container's command does: runs a database migration, waits for a database, checks one.

mod input;
mod script;
mod status;

use std::time::Duration;

use super::runner::sql::{self, Input};
use super::runner::wrapper::{self, Step};
use super::runner::{self, Certainty, KnownRunner, Program, Verdict, Via};
use super::shell::Script;
use super::waiter::{self, Waiting};

pub use super::runner::{LostHow, LostStatus, RunnerMatch};
pub use super::waiter::Waiter;

/// Elements of a command line that are read.
const MAX_ARGS: usize = 256;
/// Wrappers around one command that are taken off.
const MAX_WRAPPERS: usize = 24;
/// Scripts within scripts that are read.
const MAX_NESTED: usize = 6;
/// Scripts of one command that are read.
const MAX_SCRIPTS: usize = 64;

/// What a container's command does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandReading {
    /// The most telling command that changes a schema: the first that is certain.
    pub runner: Option<RunnerMatch>,
    /// What waits for a database or a port before the runner, or at all where there is none. Several
    /// waits count as one with the sum of their bounds.
    pub waiter: Option<Waiter>,
    /// The first command that checks a schema or a service: program and verb.
    pub checks: Option<String>,
    /// The verb of a migration, said by a program that we do not know.
    pub bare_verb: Option<String>,
    /// How the script hides the failure of its last runner.
    pub lost_status: Option<LostStatus>,
}

/// Reads a container's command.
///
/// `command` and `args` are as in the container. `image_name` is the repository's path without registry,
/// tag and digest: with an empty `command` the image's entrypoint takes the arguments.
pub fn read_command(command: &[&str], args: &[&str], image_name: Option<&str>) -> CommandReading {
    read_command_knowing(&[], command, args, image_name)
}

/// The same with further programs that change a schema.
pub fn read_command_knowing<T: AsRef<str>>(
    known: &[KnownRunner],
    command: &[T],
    args: &[T],
    image_name: Option<&str>,
) -> CommandReading {
    let line = command.iter().chain(args).map(AsRef::as_ref).take(MAX_ARGS);
    let line: Vec<&str> = line.collect();
    let mut reader = Reader { known, ..Reader::default() };
    if line.is_empty() {
        CommandReading::default()
    } else if command.is_empty() {
        reader.arguments(&line, image_name)
    } else {
        reader.line(&line, &Input::default())
    }
}

impl CommandReading {
    /// Whether nothing was found.
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn add_waiter(&mut self, next: Waiter) {
        match &mut self.waiter {
            Some(waiter) => waiter.then(&next),
            None => self.waiter = Some(next),
        }
    }

    /// Adds what a later command does. Its runner only counts where there is none yet.
    fn then(&mut self, next: Self) {
        if let Some(waiter) = next.waiter.filter(|_| self.runner.is_none()) {
            self.add_waiter(waiter);
        }
        self.runner = self.runner.take().or(next.runner);
        self.checks = self.checks.take().or(next.checks);
        self.bare_verb = self.bare_verb.take().or(next.bare_verb);
        self.lost_status = next.lost_status.or(self.lost_status.take());
    }
}

impl From<Verdict> for CommandReading {
    fn from(verdict: Verdict) -> Self {
        let mut reading = Self::default();
        match verdict {
            Verdict::Runs(runner) => reading.runner = Some(runner),
            Verdict::Checks(text) => reading.checks = Some(text),
            Verdict::Verb(verb) => reading.bare_verb = Some(verb),
            Verdict::Nothing => {}
        }
        reading
    }
}

/// How a shell was started.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    errexit: bool,
    pipefail: bool,
}

/// Reads commands within commands, within bounds.
#[derive(Debug, Default)]
struct Reader<'k> {
    /// Programs that a policy names.
    known: &'k [KnownRunner],
    nested: usize,
    scripts: usize,
}

impl Reader<'_> {
    /// Arguments of an entrypoint that we may know by its image.
    fn arguments(&mut self, args: &[&str], image_name: Option<&str>) -> CommandReading {
        let Some(first) = args.first() else {
            return CommandReading::default();
        };
        let by_image = image_name.and_then(runner::entrypoint);
        let is_option = first.starts_with('-');
        if let Some(program) = by_image.or_else(|| runner::by_options(args).filter(|_| is_option)) {
            let line: Vec<&str> = std::iter::once(program).chain(args.iter().copied()).collect();
            let reading = self.line(&line, &Input::default());
            // Of our own image we know that it never runs its arguments as a command.
            if !reading.is_empty() || program == "wavegate" {
                return reading;
            }
        }
        // Many entrypoints run their arguments as a command, but `migrate up` is no command.
        if !runner::is_verb(first) || runner::by_options(args).is_some() {
            let reading = self.line(args, &Input::default());
            if !reading.is_empty() {
                return reading;
            }
        }
        // The entrypoint may be a shell: `args: ["-c", "..."]`.
        if is_option && first.ends_with('c') && args.get(1).is_some_and(|text| text.contains(' ')) {
            let line: Vec<&str> = std::iter::once("sh").chain(args.iter().copied()).collect();
            return self.line(&line, &Input::default());
        }
        runner::verbs("", args).into()
    }

    /// A command line, from its outermost wrapper inwards.
    fn line(&mut self, line: &[&str], input: &Input) -> CommandReading {
        let mut reading = CommandReading::default();
        let mut limit: Option<Duration> = None;
        let (mut rest, mut via) = (line, Via::Path);
        for _ in 0..MAX_WRAPPERS {
            let Some((head, args)) = rest.split_first() else {
                break;
            };
            if head.contains(char::is_whitespace) {
                reading.then(self.phrase(head, args, input));
                break;
            }
            if let Some(Waiting { waiter, then }) = waiter::read(head, args) {
                let is_script = waiter.tool == waiter::SCRIPT;
                reading.add_waiter(waiter);
                match then {
                    Some(then) if is_script => {
                        reading.then(self.behind_wait_script(then, input));
                        break;
                    }
                    Some(then) => (rest, via) = (then, Via::Path),
                    // The waiter may be a part of the runner: `dbmate --wait up`.
                    None => {
                        reading.then(self.step(&wrapper::unwrap(rest, via), input));
                        break;
                    }
                }
                continue;
            }
            match wrapper::unwrap(rest, via) {
                Step::Command(inner) => (rest, via) = (inner, Via::Path),
                Step::Interpreted(inner) => (rest, via) = (inner, Via::Interpreter),
                Step::Timed(time, inner) => {
                    limit = Some(limit.map_or(time, |limit| limit.min(time)));
                    (rest, via) = (inner, Via::Path);
                }
                step => {
                    reading.then(self.step(&step, input));
                    break;
                }
            }
        }
        if let (Some(waiter), Some(limit)) = (&mut reading.waiter, limit) {
            waiter.within(limit);
        }
        reading
    }

    fn step(&mut self, step: &Step<'_>, input: &Input) -> CommandReading {
        match *step {
            Step::Script { text, errexit, pipefail, parameters } => {
                self.script(text, Options { errexit, pipefail }, parameters)
            }
            Step::Eval(words) => self.script(&words.join(" "), Options::default(), &[]),
            Step::Program(ref program, args) => self.program(program, args, input),
            Step::Targets(runner, words) => {
                let mut reading = CommandReading::default();
                for word in words.iter().take_while(|word| **word != "--") {
                    let target = Program::target(word, runner);
                    if !word.starts_with('-') && !word.contains('=') {
                        reading.then(self.program(&target, &[], input));
                    }
                }
                reading
            }
            Step::Command(_) | Step::Interpreted(_) | Step::Timed(..) | Step::Nothing => {
                CommandReading::default()
            }
        }
    }

    /// Scripts that wait and then run the rest take a host first, or not.
    fn behind_wait_script(&mut self, args: &[&str], input: &Input) -> CommandReading {
        for skipped in 0..2 {
            let Some(rest) = args.get(skipped..).filter(|rest| !rest.is_empty()) else {
                break;
            };
            let reading = self.inner_line(rest, input);
            if reading.runner.is_some() {
                return reading;
            }
        }
        CommandReading::default()
    }

    /// One element with blanks where a program should stand: `["python", "manage.py migrate"]`.
    fn phrase(&mut self, text: &str, args: &[&str], input: &Input) -> CommandReading {
        if text.contains(['\n', ';', '&', '|', '<', '>', '$', '`', '"', '\'']) {
            return self.script(text, Options::default(), args);
        }
        let words: Vec<&str> =
            text.split_whitespace().chain(args.iter().copied()).take(MAX_ARGS).collect();
        self.inner_line(&words, input)
    }

    /// A command line inside another.
    fn inner_line(&mut self, line: &[&str], input: &Input) -> CommandReading {
        if self.nested >= MAX_NESTED {
            return CommandReading::default();
        }
        self.nested += 1;
        let reading = self.line(line, input);
        self.nested -= 1;
        reading
    }

    fn script(&mut self, text: &str, options: Options, parameters: &[&str]) -> CommandReading {
        if self.nested >= MAX_NESTED || self.scripts >= MAX_SCRIPTS {
            return CommandReading::default();
        }
        self.nested += 1;
        self.scripts += 1;
        let script = Script::parse(text);
        let mut options = options;
        // `#!/bin/sh -e` only counts where a file is run, but whoever writes it means it.
        let first_line = text.lines().next().unwrap_or_default();
        options.errexit |= first_line.starts_with("#!") && first_line.contains(" -e");
        let reading = script::read(self, &script, options, parameters);
        self.nested -= 1;
        reading
    }

    fn program(&mut self, program: &Program<'_>, args: &[&str], input: &Input) -> CommandReading {
        if let Some(verdict) = self.known.iter().find_map(|known| known.read(program, args)) {
            return verdict.into();
        }
        let is_target = matches!(program.via, Via::Target(_));
        if let Some(waiter) = waiter::read_verb(program.name, is_target, args) {
            return CommandReading { waiter: Some(waiter), ..CommandReading::default() };
        }
        if is_health_request(program.name, args) {
            return Verdict::Checks(program.name.to_owned()).into();
        }
        let passed_on = self.behind_entrypoint(program, args);
        let is_sure = |runner: &RunnerMatch| runner.certainty == Certainty::Certain;
        if passed_on.waiter.is_some() || passed_on.runner.as_ref().is_some_and(is_sure) {
            return passed_on;
        }
        let verdict = match sql::read(program.name, args, input) {
            Some(verdict) => return verdict.into(),
            None => runner::read(program, args),
        };
        if verdict != Verdict::Nothing {
            return verdict.into();
        }
        if !passed_on.is_empty() {
            return passed_on;
        }
        let separator = args.iter().position(|arg| *arg == "--");
        match separator.and_then(|at| args.get(at + 1..)) {
            Some(rest) => self.inner_line(rest, input),
            None => self.behind_unknown(program, args, input),
        }
    }

    /// `docker-entrypoint.sh` and its like run their arguments, or take them for their own.
    fn behind_entrypoint(&mut self, program: &Program<'_>, args: &[&str]) -> CommandReading {
        if !program.name.contains("entrypoint") || self.nested >= MAX_NESTED {
            return CommandReading::default();
        }
        self.nested += 1;
        let reading = self.arguments(args, None);
        self.nested -= 1;
        reading
    }

    /// A script that we do not know may run the rest of its line: `./with-env.sh alembic upgrade head`.
    /// Only a known tool counts, and never for certain.
    fn behind_unknown(
        &mut self,
        program: &Program<'_>,
        args: &[&str],
        input: &Input,
    ) -> CommandReading {
        let is_script = program.name.rsplit('.').next() == Some("sh") || program.full == "/init";
        if !is_script || args.first().is_none_or(|first| first.starts_with('-')) {
            return CommandReading::default();
        }
        let mut reading = self.inner_line(args, input);
        if let Some(runner) = &mut reading.runner {
            runner.certainty = Certainty::Uncertain;
        }
        reading
    }
}

/// Whether a client asks for a page and keeps nothing of it.
pub(super) fn is_health_request(name: &str, args: &[&str]) -> bool {
    const SENDS: &str = "-d -T -F -O --data --upload --form --remote-name --post --body";
    let discards = |at: usize| args.get(at).is_some_and(|to| matches!(*to, "-" | "/dev/null"));
    match name {
        "curl" => !args.iter().enumerate().any(|(at, arg)| {
            let writes = matches!(*arg, "-o" | "--output") && !discards(at + 1);
            let asks = matches!(*arg, "-X" | "--request")
                && args.get(at + 1).is_some_and(|verb| *verb != "GET");
            writes
                || asks
                || SENDS.split(' ').any(|option| arg.starts_with(option))
                || arg.starts_with("-XP")
        }),
        "wget" => args.iter().enumerate().any(|(at, arg)| {
            *arg == "--spider"
                || (arg.starts_with('-') && (arg.ends_with("O-") || arg.ends_with("O/dev/null")))
                || (arg.starts_with('-') && arg.ends_with('O') && discards(at + 1))
        }),
        "grpc_health_probe" | "grpc-health-probe" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
