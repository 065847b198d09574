//! Findings shown in their source, in the manner of rustc.

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::yaml::Location;

/// Columns that an excerpt takes. A longer source line is shortened around what it underlines; texts
/// of ours are not.
const WIDTH: usize = 120;

/// How far the line of an underline is looked at before and behind its start, in bytes. Minified
/// JSON is one line, and all of it for each finding would be quadratic work.
const REACH: usize = 1024;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// `error`.
    Error,
    /// `warning`.
    Warning,
    /// `note`.
    Note,
}

/// A finding and the place it is about.
///
/// Texts may come from manifests: what could steer a terminal is replaced before it is printed.
#[derive(Clone, Copy, Debug)]
pub struct Excerpt<'a> {
    /// Says the first word.
    pub severity: Severity,
    /// Code behind it, such as `WG101`.
    pub code: Option<&'a str>,
    /// The finding in a line.
    pub title: &'a str,
    /// Name of the file, for the reader.
    pub file: &'a str,
    /// The whole text of the file.
    pub source: &'a str,
    /// What to underline.
    pub location: Location,
    /// What stands beside the underline; may be empty.
    pub label: &'a str,
    /// What to do.
    pub help: Option<&'a str>,
    /// Where to read more.
    pub docs: Option<&'a str>,
}

impl Excerpt<'_> {
    /// The excerpt as text that ends with a line break, with terminal colours on request.
    pub fn render(&self, colour: bool) -> String {
        let line = Line::around(self.source, self.location.start, self.location.end);
        let file = printable(self.file);
        let label = Some(printable(self.label)).filter(|label| !label.is_empty());
        let underline = AnnotationKind::Primary.span(line.underline.clone()).label(label);
        let snippet = Snippet::source(line.text)
            .line_start(self.location.line)
            .path(file.as_ref())
            .annotation(underline);
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut title = level.primary_title(printable(self.title));
        if let Some(code) = self.code {
            title = title.id(printable(code));
        }
        let help = self.help.map(|help| Level::HELP.message(printable(help)));
        let docs = self.docs.map(|docs| Level::NOTE.with_name("docs").message(printable(docs)));
        let group = title.element(snippet).elements(help).elements(docs);
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = renderer.term_width(WIDTH).render(&[group]);
        if line.column() != self.location.column {
            // The renderer counts columns in what it is given, which is not the whole line.
            let place = |column| format!("{file}:{}:{column}\n", self.location.line);
            text = text.replacen(&place(line.column()), &place(self.location.column), 1);
        }
        text.push('\n');
        text
    }
}

/// The line of an underline, or the part of it within [`REACH`].
struct Line<'s> {
    text: &'s str,
    underline: Range<usize>,
}

impl<'s> Line<'s> {
    /// Takes any offsets: those outside of the source, or within a character, are moved to it.
    fn around(source: &'s str, start: usize, end: usize) -> Self {
        let start = source.floor_char_boundary(start);
        let from = source.floor_char_boundary(start.saturating_sub(REACH));
        let to = source.floor_char_boundary(start.saturating_add(REACH));
        let before = source.get(from..start).unwrap_or_default();
        let before = before.rsplit(['\n', '\r']).next().unwrap_or_default();
        let before = before.trim_start_matches('\u{feff}');
        let after = source.get(start..to).unwrap_or_default();
        let after = after.split(['\n', '\r']).next().unwrap_or_default();
        let width = after.floor_char_boundary(end.saturating_sub(start));
        let text = source.get(start - before.len()..start + after.len()).unwrap_or_default();
        Self { text, underline: before.len()..before.len() + width }
    }

    /// Column of the underline within `text`, in characters, from 1.
    fn column(&self) -> usize {
        self.text.get(..self.underline.start).map_or(0, |before| before.chars().count()) + 1
    }
}

/// The text on one line, without characters that a terminal would act upon.
fn printable(text: &str) -> Cow<'_, str> {
    let acts = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(acts) {
        return text.into();
    }
    let replace = |character: char| match character {
        '\n' | '\r' | '\t' => ' ',
        _ if acts(character) => char::REPLACEMENT_CHARACTER,
        _ => character,
    };
    text.chars().map(replace).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::check::yaml::documents;

    /// An excerpt of the field at `path` of the one document in `source`.
    fn excerpt<'a>(source: &'a str, path: &str) -> Excerpt<'a> {
        let document = documents(source).unwrap().pop().unwrap();
        Excerpt {
            severity: Severity::Error,
            code: Some("WG101"),
            title: "a failed migration is run again",
            file: "deploy/job.yaml",
            source,
            location: document.locate(path),
            label: "is 6, want 0",
            help: None,
            docs: None,
        }
    }

    fn assert_renders(excerpt: &Excerpt<'_>, expected: &str) {
        let text = excerpt.render(false);
        let expected = expected.trim_start_matches('\n');
        assert!(text == expected, "rendered:\n{text}\nexpected:\n{expected}");
    }

    const JOB: &str = "kind: Job\nmetadata:\n  name: migrate\nspec:\n  # six times\n  backoffLimit: 6 # !\n  template: {}";

    #[test]
    fn a_finding_with_help_and_docs() {
        let excerpt = Excerpt {
            help: Some("write `backoffLimit: 0`"),
            docs: Some("https://wavegate.dev/rules/WG101"),
            ..excerpt(JOB, "spec.backoffLimit")
        };
        assert_renders(
            &excerpt,
            "
error[WG101]: a failed migration is run again
 --> deploy/job.yaml:6:3
  |
6 |   backoffLimit: 6 # !
  |   ^^^^^^^^^^^^^^^ is 6, want 0
  |
  = help: write `backoffLimit: 0`
  = docs: https://wavegate.dev/rules/WG101
",
        );
    }

    #[test]
    fn a_missing_field_and_no_code() {
        let excerpt = Excerpt {
            severity: Severity::Warning,
            code: None,
            title: "no deadline",
            label: "",
            help: Some("set one"),
            ..excerpt(JOB, "spec.activeDeadlineSeconds")
        };
        assert_renders(
            &excerpt,
            "
warning: no deadline
 --> deploy/job.yaml:4:1
  |
4 | spec:
  | ^^^^
  |
  = help: set one
",
        );
    }

    #[test]
    fn the_last_line_needs_no_end() {
        let excerpt =
            Excerpt { severity: Severity::Note, docs: Some("x"), ..excerpt(JOB, "spec.template") };
        assert_renders(
            &excerpt,
            "
note[WG101]: a failed migration is run again
 --> deploy/job.yaml:7:3
  |
7 |   template: {}
  |   ^^^^^^^^^^^^ is 6, want 0
  |
  = docs: x
",
        );
    }

    #[test]
    fn tabs_wide_characters_and_line_ends() {
        let source = "\u{feff}a: 1\r\nb:\r\n  \"größe\":\t\"日本\"\t# ü\r\n  c: 6\r\n";
        assert_renders(
            &excerpt(source, "a"),
            "
error[WG101]: a failed migration is run again
 --> deploy/job.yaml:1:1
  |
1 | a: 1
  | ^^^^ is 6, want 0
",
        );
        assert_renders(
            &excerpt(source, "b.größe"),
            "
error[WG101]: a failed migration is run again
 --> deploy/job.yaml:3:3
  |
3 |   \"größe\":    \"日本\"    # ü
  |   ^^^^^^^^^^^^^^^^^^ is 6, want 0
",
        );
    }

    #[test]
    fn long_lines_are_shortened_and_keep_their_column() {
        let rest = r#""k":{"v":[1]},"#.repeat(500);
        let source = format!(r#"{{{rest}"backoffLimit":6,{rest}"l":1}}"#);
        assert_renders(
            &excerpt(&source, "backoffLimit"),
            r#"
error[WG101]: a failed migration is run again
 --> deploy/job.yaml:1:7002
  |
1 | ...":{"v":[1]},"k":{"v":[1]},"k":{"v":[1]},"backoffLimit":6,"k":{"v":[1]},"k":{"v":[1]},"k":{"v":[1]},"k":{"v":[1...
  |                                            ^^^^^^^^^^^^^^^^ is 6, want 0
"#,
        );
        let source = format!("a: {}", "é".repeat(5000));
        let text = excerpt(&source, "a").render(false);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH + 20), "{text}");
        assert!(text.contains(" --> deploy/job.yaml:1:1\n"), "{text}");
    }

    #[test]
    fn nothing_steers_the_terminal() {
        let source = "b: \"\u{202e}\u{2066}\u{1b}[31m\"\n";
        let excerpt = Excerpt {
            title: "\u{1b}[31mred\nline",
            file: "\u{7}job\r.yaml",
            label: "\u{9b}1m\u{202e}",
            help: Some("\u{0}x"),
            source,
            ..excerpt("b: 1", "b")
        };
        let text = excerpt.render(false);
        let acts = |character: char| character.is_control() && character != '\n';
        assert!(!text.contains(acts), "{text:?}");
        assert!(!text.contains(['\u{202e}', '\u{2066}']), "{text:?}");
        assert!(text.starts_with("error[WG101]: \u{fffd}[31mred line\n"), "{text:?}");
    }

    #[test]
    fn colours_change_no_text() {
        let excerpt = excerpt(JOB, "spec.backoffLimit");
        let mut coloured = excerpt.render(true);
        assert!(coloured.contains("\u{1b}["));
        while let Some(start) = coloured.find("\u{1b}[") {
            let end = start + coloured[start..].find('m').unwrap();
            coloured.replace_range(start..=end, "");
        }
        assert_eq!(coloured, excerpt.render(false));
    }

    proptest! {
        /// Also places of another text, as after a file has changed.
        #[test]
        fn any_place_renders(
            source in "(\\PC|[\\x00-\\x20]|\u{feff}){0,80}",
            repeated in 1_usize..60,
            start in 0_usize..6000,
            width in 0_usize..6000,
            label in "\\PC{0,8}",
        ) {
            let source = source.repeat(repeated);
            let location = Location { line: 7, column: 3, start, end: start + width, exact: true };
            let excerpt = Excerpt {
                source: &source,
                location,
                label: &label,
                ..excerpt(JOB, "spec")
            };
            let text = excerpt.render(false);
            prop_assert!(text.contains(" --> deploy/job.yaml:7:3\n"), "{}", text);
        }
    }
}
