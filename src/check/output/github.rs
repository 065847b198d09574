//! The report as annotations of a GitHub Actions run, which shows them beside the lines of a pull request.
//!
//! Source: [workflow commands](https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands),
//! escaped as `actions/toolkit` does (`packages/core/src/command.ts`).

use std::fmt::Write as _;

use super::level;
use super::text::summary;
use crate::check::load::{Bundle, STDIN};
use crate::check::{Place, Report};
use crate::policy::Policy;

/// The reports of all bundles as one workflow command a line, and a count, which is none.
pub fn render(checked: &[(Bundle, Report)], policy: &Policy) -> String {
    let mut text = String::new();
    for (bundle, report) in checked {
        let mut annotate = |level: &str, title: &str, place: &Place, message: &str| {
            let title = property(title);
            let at = position(bundle, place);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "::{level} {at}title={title}::{}", data(message));
        };
        for error in &report.errors {
            annotate("error", "could not be checked", &error.place, &error.message);
        }
        for found in &report.findings {
            let (code, name) = (found.finding.code(), found.finding.rule().name);
            let (object, page) = (&found.object, policy.page_of(code));
            let message = format!("{object}: {}. See {page}", found.sentence());
            let level = level(found.finding.effect());
            annotate(level, &format!("{code} {name}"), &found.place, &message);
        }
        for notice in &report.notices {
            annotate("notice", "wavegate", &notice.place, &notice.message);
        }
    }
    text + &summary(checked)
}

fn position(bundle: &Bundle, place: &Place) -> String {
    let file = bundle.name_of(place);
    if file == STDIN {
        return String::new();
    }
    let (line, column) = (place.location.line, place.location.column);
    format!("file={},line={line},col={column},", property(file))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_property_or_a_command_is_escaped() {
        assert_eq!(data("100 %\r\na: b, c"), "100 %25%0D%0Aa: b, c");
        assert_eq!(property("100 %\na: b, c"), "100 %25%0Aa%3A b%2C c");
    }
}
