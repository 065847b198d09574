//! Shell scripts, as far as it takes to see which commands a script runs and what becomes of their status.
//!
//! POSIX sh with the common parts of bash. Parsing never fails: what cannot be understood is skipped, so
//! a malformed script still yields the commands that were. Size, nesting and token count are bounded.
//! Source: POSIX.1-2024, Shell Command Language; bash reference manual, Shell Syntax.

mod lexer;
mod parser;

/// Bytes of a script that are read; the rest is ignored.
pub const MAX_SCRIPT: usize = 64 * 1024;
/// Levels of compound commands and substitutions that are read.
pub const MAX_DEPTH: usize = 32;
/// Tokens of a script that are read.
const MAX_TOKENS: usize = 20_000;

/// A parsed script.
#[derive(Debug, Default)]
pub struct Script {
    /// Its commands.
    pub body: List,
    here_documents: Vec<String>,
}

impl Script {
    /// Parses a script.
    pub fn parse(text: &str) -> Self {
        let end = text.floor_char_boundary(MAX_SCRIPT);
        parser::parse(text.get(..end).unwrap_or_default())
    }

    /// The text of a here-document.
    pub fn here_document(&self, id: usize) -> &str {
        self.here_documents.get(id).map_or("", String::as_str)
    }
}

/// Commands in sequence.
#[derive(Debug, Default)]
pub struct List {
    /// What stands between `;`, `&` and newlines.
    pub items: Vec<Item>,
}

/// Pipelines joined by `&&` and `||`.
#[derive(Debug)]
pub struct Item {
    /// The first pipeline.
    pub first: Pipeline,
    /// The others.
    pub rest: Vec<(Connector, Pipeline)>,
    /// Whether `&` ends it.
    pub background: bool,
}

impl Item {
    /// All pipelines, in order.
    pub fn pipelines(&self) -> impl Iterator<Item = &Pipeline> {
        std::iter::once(&self.first).chain(self.rest.iter().map(|(_, pipeline)| pipeline))
    }
}

/// What joins two pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connector {
    /// `&&`
    And,
    /// `||`
    Or,
}

/// Commands joined by `|`.
#[derive(Debug, Default)]
pub struct Pipeline {
    /// Whether `!` inverts its status.
    pub inverted: bool,
    /// The commands.
    pub commands: Vec<Command>,
}

/// A command with its redirections.
#[derive(Debug)]
pub struct Command {
    /// The command.
    pub kind: Kind,
    /// Its redirections.
    pub redirects: Vec<Redirect>,
}

/// The kinds of command.
#[derive(Debug)]
pub enum Kind {
    /// A program or builtin with its words; also `[[ ... ]]` and `(( ... ))`.
    Simple(Simple),
    /// `{ ...; }`
    Group(List),
    /// `( ... )`
    Subshell(List),
    /// `if`: conditions with their bodies, and the `else` body.
    If {
        /// `if` and each `elif`.
        branches: Vec<(List, List)>,
        /// `else`.
        otherwise: Option<List>,
    },
    /// `while` and `until`.
    Loop {
        /// Whether it is `until`.
        until: bool,
        /// The condition.
        condition: List,
        /// The body.
        body: List,
    },
    /// `for` and `select`.
    For {
        /// The variable; for `for ((...))` the text of the header.
        variable: String,
        /// The words it takes.
        words: Vec<Word>,
        /// The body.
        body: List,
    },
    /// `case`: the bodies of its arms.
    Case(Vec<List>),
    /// A function's definition.
    Function {
        /// Its name.
        name: String,
        /// Its body.
        body: Box<Command>,
    },
}

/// Assignments and words.
#[derive(Debug, Default)]
pub struct Simple {
    /// `NAME=value` in front of the words, or alone.
    pub assignments: Vec<Assignment>,
    /// Program and arguments.
    pub words: Vec<Word>,
}

/// `NAME=value`
#[derive(Debug)]
pub struct Assignment {
    /// The name.
    pub name: String,
    /// The value.
    pub value: Word,
}

/// A word after quote removal.
#[derive(Debug, Default)]
pub struct Word {
    /// The text. Parameters stand as they are written (`$HOME`); a command substitution stands as `$()`.
    pub text: String,
    /// The commands of its command and process substitutions.
    pub substitutions: Vec<List>,
    /// Where its first quoted character stands in the text.
    quoted_from: Option<usize>,
}

impl Word {
    fn is_bare(&self, text: &str) -> bool {
        self.quoted_from.is_none() && self.text == text
    }
}

/// A redirection.
#[derive(Debug)]
pub struct Redirect {
    /// What is redirected.
    pub kind: RedirectKind,
    /// The file, or the text of a here-string.
    pub target: Word,
}

/// The kinds of redirection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectKind {
    /// `<`
    Read,
    /// `>`, `>>` and the like.
    Write,
    /// `<<`, with the number of its text.
    HereDocument(usize),
    /// `<<<`
    HereString,
}

#[cfg(test)]
mod tests;
