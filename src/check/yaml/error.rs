//! What is wrong with a text, and what to do about it.

use granit_parser::{ErrorKind, ScanError};
use thiserror::Error;

use super::MAX_DEPTH;
use super::marks::{Location, Span};

/// A text that is not YAML, or YAML that is no manifest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {}, column {}: {message}{}", location.line, location.column, Suffix(*help))]
pub struct YamlError {
    /// Where it goes wrong.
    pub location: Location,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it, where something can be said.
    pub help: Option<&'static str>,
}

struct Suffix(Option<&'static str>);

impl std::fmt::Display for Suffix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

/// Something that kubectl takes, yet hardly as the author meant it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlWarning {
    /// The key in question.
    pub location: Location,
    /// What is odd about it: lower case, no full stop.
    pub message: String,
}

const RENDER_FIRST: &str =
    "this is a Helm template: render it with `helm template` and check the result";
const NO_TABS: &str = "indent with spaces: YAML takes no tab as indentation";
const ALIGN: &str = "align it with its siblings; a value with `: ` in it needs quotes";
const QUOTE: &str = "put the value in quotes";

impl YamlError {
    /// An error at a place that may be in an unrendered Helm template, which then is the cause.
    pub(super) fn new(
        text: &str,
        span: Span,
        message: impl Into<String>,
        help: Option<&'static str>,
    ) -> Self {
        let help = if template_near(text, span.start) { Some(RENDER_FIRST) } else { help };
        Self { location: span.location(true), message: message.into(), help }
    }

    pub(super) fn from_scan(text: &str, error: &ScanError) -> Self {
        let marker = error.marker();
        let start = marker.byte_offset().unwrap_or_default().min(text.len());
        let (line, column) = (marker.line(), marker.col() + 1);
        let mut span = Span { start, end: start, line, column };
        if *error.kind() == ErrorKind::TabInPlainScalar {
            // The scanner points at the end of the scalar, not at the tab on a line below.
            span = next_tab(text, span);
        }
        let next = text.get(span.start..).and_then(|rest| rest.chars().next());
        span.end += next.filter(|next| !matches!(next, '\n' | '\r')).map_or(0, char::len_utf8);
        let (message, help) = explain(error.kind(), indented_with_tab(text, span.start));
        Self::new(text, span, message, help)
    }

    pub(super) fn too_deep(text: &str, span: Span) -> Self {
        Self::new(text, span, too_deep(), None)
    }
}

fn too_deep() -> String {
    format!("lists and mappings are nested more than {MAX_DEPTH} deep")
}

fn explain(kind: &ErrorKind, tab: bool) -> (String, Option<&'static str>) {
    let (message, help) = match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::UnexpectedCharacter { character: '\t' } => {
            ("a tab is not allowed here", NO_TABS)
        }
        _ if tab => ("the line is indented with a tab", NO_TABS),
        ErrorKind::MappingValueNotAllowed => ("a mapping cannot start here", ALIGN),
        ErrorKind::ExpectedBlockMappingKey => ("a key was expected here", ALIGN),
        ErrorKind::SimpleKeyExpected => ("this line has no `: ` behind a key", ALIGN),
        ErrorKind::UnexpectedCharacter { character: '%' | '@' | '`' } => {
            ("an unquoted value cannot start with this character", QUOTE)
        }
        ErrorKind::UnknownAnchor => (
            "the alias names an anchor that the document has not set before",
            "write `*` values in quotes",
        ),
        ErrorKind::UnclosedQuotedScalar => ("the quote opened here is not closed", "close it"),
        ErrorKind::UnknownQuotedScalarEscape => (
            "unknown escape in double quotes",
            "write `\\\\` for a backslash, or use single quotes",
        ),
        ErrorKind::ExpectedDocumentStart => ("the document has ended above this line", ALIGN),
        ErrorKind::ExpectedBlockSequenceEntry => ("a `- ` item was expected here", ALIGN),
        ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            ("text behind the closing quote", "put all of the value within the quotes")
        }
        ErrorKind::BomInsideDocument => ("a byte order mark stands within the text", "remove it"),
        ErrorKind::RecursionLimitExceeded => return (too_deep(), None),
        other => return (other.to_string(), None),
    };
    (message.to_owned(), Some(help))
}

fn next_tab(text: &str, from: Span) -> Span {
    let rest = text.get(from.start..).unwrap_or_default();
    let Some(before) = rest.find('\t').and_then(|at| rest.get(..at)) else {
        return from;
    };
    let start = from.start + before.len();
    let line = from.line + before.matches('\n').count();
    let column = match before.rsplit_once('\n') {
        Some((_, last)) => last.chars().count() + 1,
        None => from.column + before.chars().count(),
    };
    Span { start, end: start, line, column }
}

/// Whether `{{` stands on the line of `offset` or the two above it.
fn template_near(text: &str, offset: usize) -> bool {
    let (Some(before), Some(after)) = (text.get(..offset), text.get(offset..)) else {
        return false;
    };
    let start = before.rmatch_indices('\n').nth(2).map_or(0, |(at, _)| at);
    let end = offset + after.find('\n').unwrap_or(after.len());
    text.get(start..end).is_some_and(|lines| lines.contains("{{"))
}

/// Whether the line of `offset` has a tab in its indentation.
fn indented_with_tab(text: &str, offset: usize) -> bool {
    let start = text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    text.get(start..).is_some_and(|line| line.trim_start_matches(' ').starts_with('\t'))
}
