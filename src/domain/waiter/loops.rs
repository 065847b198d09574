//! Loops of a script that wait.

use std::collections::HashMap;
use std::time::Duration;

use super::{PROBES, Waiter, seconds};
use crate::domain::runner::file_name;
use crate::domain::shell::{Command, Item, Kind, List, Simple, Word};

/// Variables of a script that are assigned a literal.
#[derive(Debug, Default)]
pub(in crate::domain) struct Literals(HashMap<String, String>);

impl Literals {
    /// Longest value kept, in bytes.
    const LONGEST: usize = 200;

    /// Remembers an assignment; one of an unknown value makes the variable unknown.
    pub(in crate::domain) fn assign(&mut self, name: &str, value: &str) {
        if value.contains('$') || value.len() > Self::LONGEST {
            self.0.remove(name);
        } else {
            self.0.insert(name.to_owned(), value.to_owned());
        }
    }

    /// The text with known variables put in.
    pub(in crate::domain) fn expand(&self, text: &str) -> String {
        const LONGEST: usize = 1024;
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            expanded.push_str(before);
            let (name, behind) = variable(after);
            match self.0.get(name) {
                Some(value) if expanded.len() < LONGEST => {
                    expanded.push_str(value);
                    rest = behind;
                }
                _ => {
                    expanded.push('$');
                    rest = after;
                }
            }
        }
        expanded.push_str(rest);
        expanded
    }

    fn number(&self, text: &str) -> Option<u32> {
        self.expand(text).trim().parse().ok()
    }
}

/// The name behind a `$`, and what follows.
fn variable(text: &str) -> (&str, &str) {
    if let Some(inner) = text.strip_prefix('{') {
        return inner.split_once('}').unwrap_or(("", text));
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.split_at(end)
}

/// The waiter that a loop is: it tries to reach something until it can.
pub(in crate::domain) fn waiting_loop(command: &Command, known: &Literals) -> Option<Waiter> {
    let (condition, body) = match &command.kind {
        Kind::Loop { condition, body, .. } => (Some(condition), body),
        Kind::For { body, .. } => (None, body),
        _ => return None,
    };
    let mut found = Survey::default();
    found.list(body, 0);
    // In the body, a probe is tried again only where the loop pauses and may end.
    let pauses = found.sleep.is_some() && (found.leaves || condition.is_some());
    let tried = found.probe.filter(|_| pauses);
    let probe = condition.and_then(probe_in).or(tried)?;
    if let Some(condition) = condition {
        found.list(condition, 0);
    }
    let rounds = match &command.kind {
        Kind::For { variable, words, .. } => rounds_of_for(variable, words, known),
        Kind::Loop { condition, body, .. } => {
            let counters = Counters { names: &found.counted, known };
            counters.rounds(condition, body)
        }
        _ => None,
    };
    let bound = rounds.zip(found.sleep).map(|(rounds, sleep)| sleep.saturating_mul(rounds));
    Some(Waiter { tool: probe, bound })
}

fn probe_in(list: &List) -> Option<&'static str> {
    let mut found = Survey::default();
    found.list(list, 0);
    found.probe
}

/// What stands somewhere in a list.
#[derive(Default)]
struct Survey {
    probe: Option<&'static str>,
    sleep: Option<Duration>,
    /// Whether `break` and the like leave it.
    leaves: bool,
    /// Variables that are assigned the outcome of arithmetic.
    counted: Vec<String>,
}

impl Survey {
    fn list(&mut self, list: &List, depth: usize) {
        if depth > crate::domain::shell::MAX_DEPTH {
            return;
        }
        for item in &list.items {
            for command in item.pipelines().flat_map(|pipeline| &pipeline.commands) {
                self.command(command, depth);
            }
        }
    }

    fn command(&mut self, command: &Command, depth: usize) {
        if command.redirects.iter().any(|redirect| is_device(&redirect.target.text)) {
            self.probe.get_or_insert("/dev/tcp");
        }
        match &command.kind {
            Kind::Simple(simple) => self.simple(simple, depth),
            Kind::Group(list) | Kind::Subshell(list) => self.list(list, depth + 1),
            Kind::If { branches, otherwise } => {
                for (condition, body) in branches {
                    self.list(condition, depth + 1);
                    self.list(body, depth + 1);
                }
                if let Some(list) = otherwise {
                    self.list(list, depth + 1);
                }
            }
            Kind::Loop { condition, body, .. } => {
                self.list(condition, depth + 1);
                self.list(body, depth + 1);
            }
            Kind::For { body, .. } => self.list(body, depth + 1),
            Kind::Case(arms) => {
                for list in arms {
                    self.list(list, depth + 1);
                }
            }
            Kind::Function { .. } => {}
        }
    }

    fn simple(&mut self, simple: &Simple, depth: usize) {
        let values = simple.assignments.iter().map(|assignment| &assignment.value);
        for list in values.chain(&simple.words).flat_map(|word| &word.substitutions) {
            self.list(list, depth + 1);
        }
        for assignment in &simple.assignments {
            let value = &assignment.value;
            if value.text.starts_with("$((") || is_expr(value) {
                self.counted.push(assignment.name.clone());
            }
        }
        let words: Vec<&str> = simple.words.iter().map(|word| word.text.as_str()).collect();
        match words.as_slice() {
            ["sleep", time, ..] => self.sleep = self.sleep.or_else(|| seconds(time)),
            ["break" | "exit" | "return", ..] => self.leaves = true,
            ["((" | "let", text, ..] if text.contains(['+', '-']) => {
                let name = text.trim_start_matches(['+', '-', ' ']);
                let end = name.find(['+', '-', '=', ' ']).unwrap_or(name.len());
                self.counted.extend(name.get(..end).map(str::to_owned));
            }
            _ => {}
        }
        if self.probe.is_none() {
            self.probe = probe(&words);
        }
    }
}

/// `$(expr $i + 1)`
fn is_expr(word: &Word) -> bool {
    let commands = word
        .substitutions
        .iter()
        .flat_map(|list| &list.items)
        .flat_map(|item| &item.first.commands);
    commands.into_iter().any(|command| match &command.kind {
        Kind::Simple(simple) => simple.words.first().is_some_and(|word| word.text == "expr"),
        _ => false,
    })
}

fn is_device(text: &str) -> bool {
    text.contains("/dev/tcp/") || text.contains("/dev/udp/")
}

/// The program of a command that tells whether something can be reached.
fn probe(words: &[&str]) -> Option<&'static str> {
    let name = file_name(words.first()?);
    if !matches!(name, "echo" | "printf") && words.iter().any(|word| is_device(word)) {
        return Some("/dev/tcp");
    }
    // Probes stand behind few wrappers: `timeout 1`, `env`, `sudo -u postgres`, `kubectl exec db --`.
    let skips =
        matches!(name, "timeout" | "env" | "sudo" | "command" | "busybox" | "exec" | "sh" | "bash");
    let reach = if skips { 8 } else { 1 };
    let direct = words.iter().take(reach).find_map(|word| {
        let first = word.split_whitespace().next()?;
        PROBES.split_ascii_whitespace().find(|probe| *probe == file_name(first))
    });
    direct.or_else(|| {
        let has = |text: &str| words.contains(&text);
        let asks = (has("artisan") && (has("db:show") || has("db:monitor")))
            || (has("manage.py") && (has("dbshell") || (has("check") && has("--database"))))
            || has("db:version");
        let connects = matches!(name, "python" | "python3" | "node" | "php" | "ruby" | "perl")
            && words.iter().any(|word| word.contains("connect") || word.contains("PDO"));
        (asks || connects).then_some("connection attempt")
    })
}

/// `for i in $(seq 1 30)`, `{1..30}`, literal words, `((i=0; i<30; i++))`.
fn rounds_of_for(header: &str, words: &[Word], known: &Literals) -> Option<u32> {
    if words.is_empty() {
        let condition = header.split(';').nth(1)?;
        let (_, limit) = condition.split_once('<')?;
        let (limit, more) = limit.strip_prefix('=').map_or((limit, 0), |limit| (limit, 1));
        return Some(known.number(limit)?.saturating_add(more));
    }
    if let [word] = words {
        if let [list] = word.substitutions.as_slice() {
            return rounds_of_seq(list, known);
        }
        if let Some(range) = word.text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            let (first, last) = range.split_once("..")?;
            return (last.parse::<u32>().ok()?.checked_sub(first.parse().ok()?)?).checked_add(1);
        }
    }
    let is_literal = |word: &Word| !word.text.contains(['$', '*', '{']);
    words.iter().all(is_literal).then(|| u32::try_from(words.len()).ok())?
}

fn rounds_of_seq(list: &List, known: &Literals) -> Option<u32> {
    let [item] = list.items.as_slice() else {
        return None;
    };
    let Kind::Simple(simple) = &item.first.commands.first()?.kind else {
        return None;
    };
    let words: Vec<&str> = simple.words.iter().map(|word| word.text.as_str()).collect();
    match words.as_slice() {
        ["seq", end] => known.number(end),
        ["seq", start, end] => known.number(end)?.checked_sub(known.number(start)?)?.checked_add(1),
        _ => None,
    }
}

/// The variables that a loop counts its rounds with.
struct Counters<'a> {
    names: &'a [String],
    known: &'a Literals,
}

impl Counters<'_> {
    /// `while [ $i -lt 30 ]`, or a test of a counter in the body that leaves the loop.
    fn rounds(&self, condition: &List, body: &List) -> Option<u32> {
        self.limit(condition).or_else(|| {
            body.items.iter().find_map(|item| match &item.first.commands.first()?.kind {
                Kind::If { branches, .. } => {
                    let (test, then) = branches.first()?;
                    self.limit(test).filter(|_| leaves(then))
                }
                Kind::Simple(_) => {
                    let leaves =
                        item.rest.iter().any(|(_, pipeline)| leaves_by(&pipeline.commands));
                    self.limit_of(item.first.commands.first()?).filter(|_| leaves)
                }
                _ => None,
            })
        })
    }

    fn limit(&self, list: &List) -> Option<u32> {
        let all = list.items.iter().flat_map(Item::pipelines);
        all.flat_map(|pipeline| &pipeline.commands).find_map(|command| self.limit_of(command))
    }

    /// The number that a counter is compared with.
    fn limit_of(&self, command: &Command) -> Option<u32> {
        let Kind::Simple(simple) = &command.kind else {
            return None;
        };
        let words: Vec<&str> = simple.words.iter().map(|word| word.text.as_str()).collect();
        let (counter, limit) = match words.as_slice() {
            [
                "[" | "[[" | "test",
                counter,
                "-lt" | "-le" | "-gt" | "-ge" | "-eq" | "-ne",
                limit,
                ..,
            ] => (variable(counter.strip_prefix('$')?).0, *limit),
            ["((", text] => {
                let (counter, limit) = text.split_once(['<', '>'])?;
                (counter.trim(), limit.trim_start_matches('='))
            }
            _ => return None,
        };
        let is_counter = self.names.iter().any(|name| name == counter);
        self.known.number(limit).filter(|rounds| is_counter && *rounds > 1)
    }
}

fn leaves(list: &List) -> bool {
    list.items.iter().flat_map(Item::pipelines).any(|pipeline| leaves_by(&pipeline.commands))
}

fn leaves_by(commands: &[Command]) -> bool {
    commands.iter().any(|command| match &command.kind {
        Kind::Simple(simple) => {
            let first = simple.words.first().map_or("", |word| word.text.as_str());
            matches!(first, "exit" | "break" | "return")
        }
        Kind::Group(list) => leaves(list),
        _ => false,
    })
}
