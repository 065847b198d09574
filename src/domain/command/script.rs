//! What a script's commands do, and what becomes of the status of its last runner.

use std::collections::HashMap;

use super::input::Variables;
use super::status::{self, Fate, Rescue};
use super::{CommandReading, Options, Reader};
use crate::domain::runner::sql::Input;
use crate::domain::runner::{Certainty, Effect, LostHow, RunnerMatch};
use crate::domain::shell::{
    Command, Connector, Item, Kind, List, MAX_DEPTH, Pipeline, Script, Simple,
};
use crate::domain::waiter::waiting_loop;

/// Reads a script. `parameters` are what `"$@"` stands for, the shell's name first.
pub(super) fn read(
    reader: &mut Reader<'_>,
    script: &Script,
    options: Options,
    parameters: &[&str],
) -> CommandReading {
    let mut walk = Walk {
        reader,
        script,
        options,
        reading: CommandReading::default(),
        rank: usize::MAX,
        place: Place::Main,
        spared: false,
        variables: Variables::new(parameters),
        functions: HashMap::new(),
        calls: 0,
        depth: 0,
    };
    let fate = walk.list(&script.body);
    walk.reading.lost_status = fate.at_end();
    walk.uncalled_functions();
    walk.reading
}

/// Where a command stands, as far as it matters for what a runner there means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Main,
    /// Behind `||`.
    Rescue,
    /// In the condition of `if` or a loop: it runs, but maybe to find something out.
    Condition,
}

/// A function of the script.
#[derive(Clone, Debug)]
enum Function<'s> {
    Defined(&'s Command),
    Called(&'s Command, Fate),
}

/// Goes through a script in the order in which it runs.
struct Walk<'s, 'r, 'k> {
    reader: &'r mut Reader<'k>,
    script: &'s Script,
    options: Options,
    reading: CommandReading,
    /// How telling the runner found so far is; less is more.
    rank: usize,
    place: Place,
    /// Whether errexit is without effect here.
    spared: bool,
    variables: Variables,
    functions: HashMap<&'s str, Function<'s>>,
    calls: usize,
    depth: usize,
}

impl<'s> Walk<'s, '_, '_> {
    /// Commands in sequence; the fate of the last runner among them.
    fn list(&mut self, list: &'s List) -> Fate {
        let mut fate = Fate::None;
        for item in &list.items {
            fate = match self.item(item) {
                Fate::None => fate.before(item),
                own => own.settled(),
            };
        }
        fate
    }

    fn item(&mut self, item: &'s Item) -> Fate {
        let spared = self.spared;
        let place = self.place;
        // errexit spares all pipelines of a list but the last, with everything that they call.
        let mut is_last = item.rest.is_empty();
        self.spared |= !is_last || place == Place::Condition;
        let mut fate = self.pipeline(&item.first);
        let mut runner = failing(&fate).map(|command| (command, 0));
        for (at, (connector, pipeline)) in item.rest.iter().enumerate() {
            if *connector == Connector::Or && fate != Fate::None && place == Place::Main {
                self.place = Place::Rescue;
            }
            let at_end = at + 1 == item.rest.len();
            self.spared = spared || !at_end || place == Place::Condition;
            let own = self.pipeline(pipeline);
            self.place = place;
            if own != Fate::None {
                fate = own;
                is_last = at_end;
                runner = failing(&fate).map(|command| (command, at + 1));
            } else if let Fate::Fails(command, _) = fate.clone().settled() {
                match connector {
                    Connector::And if status::leaves_by(pipeline) => fate = Fate::Retries(command),
                    Connector::And => {}
                    Connector::Or => {
                        fate = self.rescued(command, pipeline);
                        is_last = at_end;
                    }
                }
            }
        }
        if let Some((command, behind)) = runner
            && let Some(by) = status::swallowed(item.rest.get(behind..).unwrap_or_default())
        {
            fate = Fate::lost(LostHow::OrTrue, &format!("{command} || {by}"));
        }
        let ends = self.options.errexit && is_last && !self.spared;
        self.spared = spared;
        match fate {
            Fate::Fails(command, _) if item.background => {
                Fate::lost(LostHow::Background, &format!("{command} &"))
            }
            Fate::Fails(command, false) if ends => Fate::Handled(command),
            fate => fate,
        }
    }

    /// A failure with something behind `||`.
    fn rescued(&self, command: String, pipeline: &Pipeline) -> Fate {
        let functions = |name: &str| match self.functions.get(name)? {
            Function::Defined(body) | Function::Called(body, _) => Some(*body),
        };
        match status::rescue(pipeline, Some(&functions)) {
            Rescue::Succeeds(by) => Fate::lost(LostHow::OrTrue, &format!("{command} || {by}")),
            Rescue::Harmless => {
                let excerpt = format!("{command} || {}", status::program_of(pipeline));
                Fate::lost(LostHow::OrOther, &excerpt)
            }
            Rescue::Fails => Fate::Fails(command, false),
            Rescue::Ends => Fate::Handled(command),
        }
    }

    fn pipeline(&mut self, pipeline: &'s Pipeline) -> Fate {
        let mut fate = Fate::None;
        let mut before: Option<&Command> = None;
        for (at, command) in pipeline.commands.iter().enumerate() {
            let input = self.variables.input(self.script, command, before);
            before = Some(command);
            let options = self.options;
            let own = self.command(command, &input);
            let is_subshell = pipeline.commands.len() > 1;
            if is_subshell {
                self.options = options;
            }
            if own == Fate::None {
                continue;
            }
            fate = own;
            if is_subshell {
                fate = fate.outside_subshell();
                if let (Fate::Fails(command, _), Some(next)) =
                    (&fate, pipeline.commands.get(at + 1))
                    && !self.options.pipefail
                {
                    let excerpt = format!("{command} | {}", status::program_name(next));
                    fate = Fate::lost(LostHow::Pipe, &excerpt);
                }
            }
        }
        match fate {
            Fate::Fails(command, inverted) if pipeline.inverted => Fate::Fails(command, !inverted),
            fate => fate,
        }
    }

    fn command(&mut self, command: &'s Command, input: &Input) -> Fate {
        if self.depth >= MAX_DEPTH {
            return Fate::None;
        }
        self.depth += 1;
        let fate = match &command.kind {
            Kind::Simple(simple) => self.simple(command, simple, input),
            Kind::Group(list) => self.list(list),
            Kind::Subshell(list) => self.subshell(list),
            Kind::If { branches, otherwise } => self.conditional(branches, otherwise.as_ref()),
            Kind::Loop { .. } | Kind::For { .. } => self.repeated(command),
            Kind::Case(arms) => {
                let mut fate = Fate::None;
                for arm in arms {
                    fate = or_before(self.list(arm), fate);
                }
                fate
            }
            Kind::Function { name, body } => {
                self.functions.insert(name, Function::Defined(body));
                Fate::None
            }
        };
        self.depth -= 1;
        fate
    }

    fn subshell(&mut self, list: &'s List) -> Fate {
        let options = self.options;
        let fate = self.list(list);
        self.options = options;
        fate.outside_subshell()
    }

    fn conditional(&mut self, branches: &'s [(List, List)], otherwise: Option<&'s List>) -> Fate {
        let mut fate = Fate::None;
        for (at, (condition, body)) in branches.iter().enumerate() {
            let place = self.place;
            if place == Place::Main {
                self.place = Place::Condition;
            }
            let tested = self.condition(condition);
            self.place = place;
            let own = self.list(body);
            if let Fate::Fails(command, inverted) = tested {
                // An `elif` may look at anything.
                let goes_on = !inverted && at + 1 < branches.len();
                let failing = if inverted { Some(body) } else { otherwise };
                fate = if goes_on || failing.is_some_and(status::reacts) {
                    Fate::Handled(command)
                } else if !inverted && status::leaves(body) {
                    Fate::Retries(command)
                } else {
                    let not = if inverted { "! " } else { "" };
                    Fate::lost(LostHow::Condition, &format!("if {not}{command}"))
                };
            } else {
                fate = or_before(tested, fate);
            }
            fate = or_before(own, fate);
        }
        if let Some(list) = otherwise {
            fate = or_before(self.list(list), fate);
        }
        fate
    }

    /// The condition of `if`, where `!` is not lost on the last pipeline.
    fn condition(&mut self, list: &'s List) -> Fate {
        let mut fate = Fate::None;
        for item in &list.items {
            fate = match self.item(item) {
                Fate::None => fate.before(item),
                own => own,
            };
        }
        fate
    }

    fn repeated(&mut self, command: &'s Command) -> Fate {
        let waiter = waiting_loop(command, &self.variables.known);
        let waits = waiter.is_some();
        if let Some(waiter) = waiter {
            self.reading.then(CommandReading { waiter: Some(waiter), ..CommandReading::default() });
        }
        let waiter = self.reading.waiter.clone();
        let fate = self.rounds(command, waits);
        if waits {
            // Its parts, such as `pg_isready`, do not wait once more.
            self.reading.waiter = waiter;
        }
        fate
    }

    fn rounds(&mut self, command: &'s Command, waits: bool) -> Fate {
        match &command.kind {
            Kind::Loop { condition, body, until } => {
                let place = std::mem::replace(&mut self.place, Place::Condition);
                let checks = self.reading.checks.take();
                let tested = self.condition(condition);
                self.place = place;
                if waits || checks.is_some() {
                    self.reading.checks = checks;
                }
                // `until alembic upgrade head` ends with success, or by `break`.
                let tested = match tested {
                    Fate::Fails(command, _) if status::breaks(body) => Fate::Retries(command),
                    Fate::Fails(command, _) => Fate::Handled(command),
                    fate => fate,
                };
                let endless = status::is_endless(condition, *until);
                let own = self.body(body, endless, if *until { "until" } else { "while" });
                or_before(own, tested)
            }
            Kind::For { variable, words, body } => {
                for list in words.iter().flat_map(|word| &word.substitutions) {
                    self.subshell(list);
                }
                if let Some(word) = words.first() {
                    self.variables.assign_item(variable, word);
                }
                self.body(body, false, "for")
            }
            _ => Fate::None,
        }
    }

    fn body(&mut self, body: &'s List, endless: bool, keyword: &str) -> Fate {
        match self.list(body) {
            Fate::Retries(command) if endless => Fate::Handled(command),
            Fate::Fails(command, _) if !self.options.errexit || self.spared => {
                Fate::lost(LostHow::Continues, &format!("{keyword} ...; do {command}; done"))
            }
            fate => fate,
        }
    }

    fn simple(&mut self, command: &'s Command, simple: &'s Simple, input: &Input) -> Fate {
        let mut substituted = Fate::None;
        let targets = command.redirects.iter().map(|redirect| &redirect.target);
        let values = simple.assignments.iter().map(|assignment| &assignment.value);
        for list in values.chain(&simple.words).chain(targets).flat_map(|word| &word.substitutions)
        {
            substituted = or_before(self.subshell(list), substituted);
        }
        for assignment in &simple.assignments {
            self.variables.known.assign(&assignment.name, &assignment.value.text);
        }
        if simple.words.is_empty() {
            return substituted;
        }
        if let Fate::Fails(inner, _) = substituted {
            let excerpt = format!("{} $({inner})", status::program_name(command));
            substituted = Fate::lost(LostHow::Continues, &excerpt);
        }
        let words = self.variables.words(&simple.words);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.set(&words);
        let called = words.first().filter(|name| self.functions.contains_key(**name));
        let own = if let Some(name) = called {
            self.call(name, words.get(1..).unwrap_or_default())
        } else {
            let reading = self.reader.line(&words, input);
            self.add(reading, words.first() == Some(&"exec"))
        };
        or_before(own, substituted)
    }

    /// Adds what a command does; its fate if it is a runner.
    fn add(&mut self, mut reading: CommandReading, replaces_shell: bool) -> Fate {
        let lost = reading.lost_status.take();
        // What may be a runner does not speak for the script where a certain one ran before.
        let is_aside =
            |runner: &RunnerMatch| runner.certainty == Certainty::Uncertain && self.rank < 2;
        reading.runner = reading.runner.filter(|runner| !is_aside(runner));
        let Some(mut runner) = reading.runner.take() else {
            self.reading.then(reading);
            return Fate::None;
        };
        if self.place == Place::Condition {
            runner.certainty = Certainty::Uncertain;
        }
        self.reading.then(reading);
        let command = runner.command.clone();
        self.add_runner(runner);
        match lost {
            Some(lost) => Fate::Lost(lost),
            None if replaces_shell => Fate::Handled(command),
            None => Fate::Fails(command, false),
        }
    }

    /// Certain runners before uncertain ones, those of the main line before those behind `||`, then the
    /// first. A contract counts more than what was applied before it.
    fn add_runner(&mut self, runner: RunnerMatch) {
        let rank = match (runner.certainty, self.place) {
            (Certainty::Certain, Place::Main) => 0,
            (Certainty::Certain, _) => 1,
            (Certainty::Uncertain, Place::Main) => 2,
            (Certainty::Uncertain, _) => 3,
        };
        let contracts = rank == 0
            && runner.effect == Effect::Contract
            && self.reading.runner.as_ref().is_some_and(|before| before.effect == Effect::Apply);
        if rank < self.rank || contracts {
            self.rank = rank;
            self.reading.runner = Some(runner);
        }
    }

    /// A function is gone through at its first call, and again where it is given arguments: it may run
    /// them, as `retry alembic upgrade head` does.
    fn call(&mut self, name: &str, args: &[&str]) -> Fate {
        const MOST_CALLS: usize = 64;
        let Some((name, function)) = self.functions.get_key_value(name) else {
            return Fate::None;
        };
        let (name, function) = (*name, function.clone());
        let body = match function {
            Function::Called(_, fate) if args.is_empty() || self.calls >= MOST_CALLS => {
                return fate;
            }
            Function::Defined(body) | Function::Called(body, _) => body,
        };
        self.calls += 1;
        // A function that calls itself finds itself called.
        self.functions.insert(name, Function::Called(body, Fate::None));
        let outside = self.variables.with_parameters(args);
        let fate = self.command(body, &Input::default());
        self.variables.parameters = outside;
        self.functions.insert(name, Function::Called(body, fate.clone()));
        fate
    }

    /// Functions that nothing in the script calls: a trap may.
    fn uncalled_functions(&mut self) {
        let mut names: Vec<&str> = self.functions.keys().copied().collect();
        names.sort_unstable();
        for name in names {
            self.call(name, &[]);
        }
    }

    /// `set -e`, `set +e`, `set -o pipefail`, `trap ... ERR`
    fn set(&mut self, words: &[&str]) {
        match words {
            ["trap", handler, .., "ERR"] => self.options.errexit = *handler != "-",
            ["set", args @ ..] => {
                for (at, arg) in args.iter().enumerate() {
                    let on = arg.starts_with('-');
                    let Some(letters) = arg.strip_prefix(['-', '+']) else {
                        continue;
                    };
                    if letters.contains('e') {
                        self.options.errexit = on;
                    }
                    match args.get(at + 1).filter(|_| letters.ends_with('o')) {
                        Some(&"errexit") => self.options.errexit = on,
                        Some(&"pipefail") => self.options.pipefail = on,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// The later fate, where there is one.
fn or_before(fate: Fate, before: Fate) -> Fate {
    if fate == Fate::None { before } else { fate }
}

/// The runner whose failure is still to be dealt with.
fn failing(fate: &Fate) -> Option<String> {
    match fate.clone().settled() {
        Fate::Fails(command, _) => Some(command),
        _ => None,
    }
}
