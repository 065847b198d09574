//! What becomes of the status of a script's last runner.

use crate::domain::runner::{LostHow, LostStatus, file_name, listed};
use crate::domain::shell::{Command, Connector, Item, Kind, List, MAX_DEPTH, Pipeline};

/// What a failure of the last runner so far leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// There is no runner.
    None,
    /// The construct fails too: what stands around it decides. The runner's command; whether `!` turns
    /// its status round.
    Fails(String, bool),
    /// It is tried again until it works or a loop ends.
    Retries(String),
    /// The script ends with a failure, or looks at the status. The runner's command.
    Handled(String),
    /// The script goes on as if nothing had happened.
    Lost(LostStatus),
}

impl Fate {
    pub(super) fn lost(how: LostHow, excerpt: &str) -> Self {
        const LONGEST: usize = 60;
        let excerpt = excerpt.chars().take(LONGEST).collect();
        Self::Lost(LostStatus { how, excerpt })
    }

    /// At the end of a script, or of a function that nothing looks at.
    pub(super) fn at_end(self) -> Option<LostStatus> {
        match self.settled() {
            Self::Lost(lost) => Some(lost),
            Self::Retries(command) => {
                match Self::lost(LostHow::Continues, &format!("{command} && break")) {
                    Self::Lost(lost) => Some(lost),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Outside a condition, `!` takes failure for success.
    pub(super) fn settled(self) -> Self {
        match self {
            Self::Fails(command, true) => Self::lost(LostHow::Inverted, &format!("! {command}")),
            fate => fate,
        }
    }

    /// Leaving a subshell or a stage of a pipeline by `exit` is a failure of the whole command.
    pub(super) fn outside_subshell(self) -> Self {
        match self {
            Self::Handled(command) => Self::Fails(command, false),
            fate => fate,
        }
    }

    /// When an item without a runner follows.
    pub(super) fn before(self, next: &Item) -> Self {
        match self.settled() {
            Self::Fails(command, _) => {
                let looks =
                    any_word(next, &|text| text.contains("$?") || text.contains("PIPESTATUS"));
                if next.rest.is_empty() && matches!(kind(&next.first), Some(Kind::Function { .. }))
                {
                    Self::Fails(command, false)
                } else if looks || exits_as_is(next) {
                    Self::Handled(command)
                } else {
                    let excerpt = format!("{command}; {}", program_of(&next.first));
                    Self::lost(LostHow::Continues, &excerpt)
                }
            }
            Self::Retries(command) => {
                let looks =
                    any_word(next, &|text| text.contains("$?") || matches!(text, "[" | "[["));
                if looks || reacts_item(next) {
                    Self::Handled(command)
                } else {
                    Self::Retries(command)
                }
            }
            Self::Lost(lost) => {
                let recovered = match lost.how {
                    LostHow::Pipe => any_word(next, &|text| text.contains("PIPESTATUS")),
                    LostHow::Background => waits_for_one(next),
                    _ => false,
                };
                if recovered { Self::Handled(lost.excerpt) } else { Self::Lost(lost) }
            }
            fate => fate,
        }
    }
}

/// What the right-hand side of `||` makes of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rescue {
    /// `true`, `:`, `exit 0`
    Succeeds(&'static str),
    /// It succeeds, but does not look as if that were the point: `echo failed`.
    Harmless,
    /// It fails, but does not end the script: `false`.
    Fails,
    /// It ends the script, or may.
    Ends,
}

/// Commands that cannot fail in earnest.
const HARMLESS: &str =
    "touch mkdir rm curl wget echo printf logger sleep date cat set export unset wait";

/// What makes the last of several alternatives succeed, where each stands behind `||` and none ends the script:
/// then it makes no difference what the others do.
pub(super) fn swallowed(rest: &[(Connector, Pipeline)]) -> Option<&'static str> {
    let ((_, last), before) = rest.split_last()?;
    let ends = |pipeline: &Pipeline| {
        let word = pipeline.commands.first().and_then(|command| match &command.kind {
            Kind::Simple(simple) => simple.words.first(),
            _ => None,
        });
        word.is_none_or(|word| matches!(word.text.as_str(), "exit" | "return" | "exec"))
    };
    let alternatives = rest.iter().all(|(connector, _)| *connector == Connector::Or);
    if !alternatives || before.iter().any(|(_, pipeline)| ends(pipeline)) {
        return None;
    }
    match rescue(last, None) {
        Rescue::Succeeds(by) => Some(by),
        Rescue::Harmless | Rescue::Fails | Rescue::Ends => None,
    }
}

/// Whether a command waits for a process that it names. `wait` alone succeeds whatever the processes did.
fn waits_for_one(item: &Item) -> bool {
    any_command(item, 0, &|command| match &command.kind {
        Kind::Simple(simple) => {
            let mut words = simple.words.iter().map(|word| word.text.as_str());
            words.next() == Some("wait") && words.next().is_some()
        }
        _ => false,
    })
}

/// Finds the body of a function of the script.
pub(super) type Functions<'f, 's> = &'f dyn Fn(&str) -> Option<&'s Command>;

/// Reads the right-hand side of `||`. Functions are looked into, but not those that they call.
pub(super) fn rescue(pipeline: &Pipeline, functions: Option<Functions<'_, '_>>) -> Rescue {
    let [command] = pipeline.commands.as_slice() else {
        return Rescue::Ends;
    };
    rescue_by(command, functions)
}

fn rescue_by(command: &Command, functions: Option<Functions<'_, '_>>) -> Rescue {
    match &command.kind {
        Kind::Simple(simple) => {
            let words: Vec<&str> = simple.words.iter().map(|word| word.text.as_str()).collect();
            match words.as_slice() {
                ["true", ..] => Rescue::Succeeds("true"),
                [":", ..] => Rescue::Succeeds(":"),
                ["exit" | "return", "0"] => Rescue::Succeeds("exit 0"),
                ["false"] => Rescue::Fails,
                [name, ..] if listed(HARMLESS, name) => Rescue::Harmless,
                [name, ..] => match functions.and_then(|functions| functions(name)) {
                    Some(body) => rescue_by(body, None),
                    None => Rescue::Ends,
                },
                // A flag for later: `|| failed=1`.
                [] => Rescue::Ends,
            }
        }
        Kind::Group(list) => rescue_by_list(list, functions),
        Kind::Subshell(list) => match rescue_by_list(list, functions) {
            Rescue::Ends => Rescue::Fails,
            rescue => rescue,
        },
        _ => Rescue::Ends,
    }
}

fn rescue_by_list(list: &List, functions: Option<Functions<'_, '_>>) -> Rescue {
    let mut end = Rescue::Harmless;
    for pipeline in list.items.iter().flat_map(Item::pipelines) {
        end = rescue(pipeline, functions);
        if matches!(end, Rescue::Ends | Rescue::Succeeds("exit 0")) {
            break;
        }
    }
    end
}

/// Whether a branch for failure makes the script fail, or notes the failure for later.
pub(super) fn reacts(list: &List) -> bool {
    list.items.iter().any(reacts_item)
}

fn reacts_item(item: &Item) -> bool {
    any_command(item, 0, &|command| match &command.kind {
        Kind::Simple(simple) => {
            let words: Vec<&str> = simple.words.iter().map(|word| word.text.as_str()).collect();
            match words.as_slice() {
                [] => !simple.assignments.is_empty(),
                ["exit" | "return", status, ..] => *status != "0",
                ["exit" | "return" | "false" | "break" | "continue" | "kill"] | ["kill", ..] => {
                    true
                }
                [name, ..] => ["die", "fail", "abort", "error", "fatal"]
                    .iter()
                    .any(|word| name.contains(word)),
            }
        }
        _ => false,
    })
}

/// Whether a loop may end by `break`.
pub(super) fn breaks(body: &List) -> bool {
    body.items.iter().any(|item| any_word(item, &|text| text == "break"))
}

/// Whether a branch for success leaves the loop or the script.
pub(super) fn leaves(list: &List) -> bool {
    list.items.iter().any(|item| item.pipelines().any(leaves_by))
}

/// `break`, `exit 0`, `return 0`
pub(super) fn leaves_by(pipeline: &Pipeline) -> bool {
    match kind(pipeline) {
        Some(Kind::Simple(simple)) => {
            let words: Vec<&str> = simple.words.iter().map(|word| word.text.as_str()).collect();
            matches!(
                words.as_slice(),
                ["break", ..] | ["exit" | "return"] | ["exit" | "return", "0"]
            )
        }
        Some(Kind::Group(list)) => list.items.iter().any(|item| kind_leaves(&item.first)),
        _ => false,
    }
}

fn kind_leaves(pipeline: &Pipeline) -> bool {
    matches!(kind(pipeline), Some(Kind::Simple(_))) && leaves_by(pipeline)
}

/// `while true`, `while :`, `until false`
pub(super) fn is_endless(condition: &List, until: bool) -> bool {
    let [item] = condition.items.as_slice() else {
        return false;
    };
    let Some(Command { kind: Kind::Simple(simple), .. }) = item.first.commands.first() else {
        return false;
    };
    let word = simple.words.first().map_or("", |word| file_name(&word.text));
    item.rest.is_empty() && if until { word == "false" } else { matches!(word, "true" | ":" | "1") }
}

/// The single command of a pipeline.
fn kind(pipeline: &Pipeline) -> Option<&Kind> {
    match pipeline.commands.as_slice() {
        [command] => Some(&command.kind),
        _ => None,
    }
}

/// `exit` alone ends the script with the status of the command before it.
fn exits_as_is(item: &Item) -> bool {
    let Some(Kind::Simple(simple)) = kind(&item.first) else {
        return false;
    };
    matches!(simple.words.as_slice(), [word] if word.text == "exit" || word.text == "return")
}

/// Program that a pipeline begins with, for an excerpt. Never an argument.
pub(super) fn program_of(pipeline: &Pipeline) -> String {
    pipeline.commands.first().map_or_else(String::new, program_name)
}

/// Program of a command, for an excerpt.
pub(super) fn program_name(command: &Command) -> String {
    let name = match &command.kind {
        Kind::Simple(simple) => {
            let word = simple.words.first().map_or("", |word| word.text.as_str());
            let name = file_name(word);
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-[".contains(&byte);
            if !name.is_empty() && name.len() <= 20 && name.bytes().all(is_plain) {
                name
            } else {
                "..."
            }
        }
        Kind::If { .. } => "if",
        Kind::Loop { until: true, .. } => "until",
        Kind::Loop { .. } => "while",
        Kind::For { .. } => "for",
        Kind::Case(_) => "case",
        Kind::Group(_) | Kind::Subshell(_) | Kind::Function { .. } => "...",
    };
    name.to_owned()
}

fn any_word(item: &Item, wanted: &dyn Fn(&str) -> bool) -> bool {
    any_command(item, 0, &|command| match &command.kind {
        Kind::Simple(simple) => {
            let values = simple.assignments.iter().map(|assignment| &assignment.value);
            values.chain(&simple.words).any(|word| wanted(&word.text))
        }
        _ => false,
    })
}

fn any_command(item: &Item, depth: usize, wanted: &dyn Fn(&Command) -> bool) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    let in_list = |list: &List| list.items.iter().any(|item| any_command(item, depth + 1, wanted));
    item.pipelines().flat_map(|pipeline| &pipeline.commands).any(|command| {
        wanted(command)
            || match &command.kind {
                Kind::Simple(_) | Kind::Function { .. } => false,
                Kind::Group(list) | Kind::Subshell(list) | Kind::For { body: list, .. } => {
                    in_list(list)
                }
                Kind::If { branches, otherwise } => {
                    branches.iter().any(|(condition, body)| in_list(condition) || in_list(body))
                        || otherwise.as_ref().is_some_and(in_list)
                }
                Kind::Loop { condition, body, .. } => in_list(condition) || in_list(body),
                Kind::Case(arms) => arms.iter().any(in_list),
            }
    })
}
