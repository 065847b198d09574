//! The report as JUnit XML, which CI systems show as tests: a suite for each file, a test for each object.
//!
//! Nobody owns the format. What is written is what its readers agree on: one failure a test, no two tests of a name in a
//! file, since some keep only the last, and `file`, by which GitLab links.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::iter;
use std::sync::Arc;

use crate::check::load::Bundle;
use crate::check::{CheckError, Checked, CheckedObject, Place, Report};
use crate::policy::Effect;

/// The reports of all bundles. A test fails by the findings with an effect that fails the check, and tells of others.
pub fn render(checked: &[(Bundle, Report)], fails: impl Fn(Effect) -> bool) -> String {
    let suites = checked.iter().flat_map(|(bundle, report)| suites(bundle, report, &fails));
    let suites: Vec<Suite<'_>> = suites.collect();
    let sum = |count: fn(&Suite<'_>) -> usize| suites.iter().map(count).sum();
    let counts = [sum(|s| s.cases.len()), sum(|s| s.ended(FAILURE)), sum(|s| s.ended(ERROR))];
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    open(&mut xml, "<testsuites", "wavegate", counts);
    for suite in &suites {
        suite.write(&mut xml);
    }
    xml.push_str("</testsuites>\n");
    xml
}

const FAILURE: &str = "failure";
const ERROR: &str = "error";

/// What is said of a file.
struct Suite<'r> {
    file: &'r str,
    cases: Vec<Case>,
    notices: Vec<String>,
}

/// What is said of an object.
struct Case {
    name: String,
    place: Place,
    end: Option<End>,
    warnings: Vec<String>,
}

/// Why a test did not pass.
struct End {
    element: &'static str,
    kind: String,
    lines: Vec<String>,
}

/// The suites of a bundle, in time linear in what is said of it.
fn suites<'r>(
    bundle: &'r Bundle,
    report: &'r Report,
    fails: &dyn Fn(Effect) -> bool,
) -> Vec<Suite<'r>> {
    let suite = |file| Suite { file, cases: Vec::new(), notices: Vec::new() };
    let mut suites: Vec<Suite<'r>> = bundle.sources.iter().map(|s| suite(&*s.name)).collect();
    let errors = report.errors.iter();
    let unreadable: HashMap<*const CheckedObject, &CheckError> =
        errors.filter_map(|e| Some((Arc::as_ptr(e.object.as_ref()?), e))).collect();
    let mut findings = report.findings.iter().peekable();
    for object in &report.objects {
        let own = || findings.next_if(|found| Arc::ptr_eq(&found.object, object));
        let own: Vec<&Checked> = iter::from_fn(own).collect();
        let error = unreadable.get(&Arc::as_ptr(object)).copied();
        if let Some(suite) = suites.get_mut(object.place.source) {
            suite.cases.push(Case::of(object, &own, error, fails));
        }
    }
    for error in report.errors.iter().filter(|error| error.object.is_none()) {
        if let Some(suite) = suites.get_mut(error.place.source) {
            suite.cases.push(Case::of_error(error));
        }
    }
    for notice in &report.notices {
        if let Some(suite) = suites.get_mut(notice.place.source) {
            suite.notices.push(at(&notice.place, &notice.message));
        }
    }
    suites.retain(|suite| !suite.cases.is_empty() || !suite.notices.is_empty());
    suites.iter_mut().for_each(Suite::tell_apart);
    suites
}

impl Case {
    fn of(
        object: &CheckedObject,
        findings: &[&Checked],
        error: Option<&CheckError>,
        fails: &dyn Fn(Effect) -> bool,
    ) -> Self {
        let (failures, warnings): (Vec<&Checked>, Vec<&Checked>) =
            findings.iter().partition(|found| fails(found.finding.effect()));
        let failure = || End {
            element: FAILURE,
            kind: failures.iter().map(|found| found.finding.code()).collect::<Vec<_>>().join(","),
            lines: failures.iter().copied().map(line).collect(),
        };
        Self {
            name: object.to_string(),
            place: object.place,
            end: error.map(End::of).or_else(|| (!failures.is_empty()).then(failure)),
            warnings: warnings.into_iter().map(line).collect(),
        }
    }

    fn of_error(error: &CheckError) -> Self {
        let name = position(&error.place);
        Self { name, place: error.place, end: Some(End::of(error)), warnings: Vec::new() }
    }

    fn write(&self, file: &str, xml: &mut String) {
        let line = self.place.location.line.to_string();
        xml.push_str("    <testcase");
        for (name, value) in
            [("name", self.name.as_str()), ("classname", file), ("file", file), ("line", &line)]
        {
            attribute(xml, name, value);
        }
        xml.push_str(">\n");
        if let Some(End { element, kind, lines }) = &self.end {
            let _ = write!(xml, "      <{element}");
            attribute(xml, "message", lines.first().map_or("", String::as_str));
            attribute(xml, "type", kind);
            let _ = writeln!(xml, ">{}</{element}>", escaped(&lines.join("\n"), false));
        }
        output(xml, "      ", &self.warnings);
        xml.push_str("    </testcase>\n");
    }
}

impl End {
    fn of(error: &CheckError) -> Self {
        let lines = vec![at(&error.place, &error.message)];
        Self { element: ERROR, kind: "could not be checked".to_owned(), lines }
    }
}

impl Suite<'_> {
    /// Adds its place to every name that several objects have, such as those of one `generateName`.
    fn tell_apart(&mut self) {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for case in &self.cases {
            *counts.entry(case.name.clone()).or_default() += 1;
        }
        for case in &mut self.cases {
            if counts.get(&case.name).is_some_and(|count| *count > 1) {
                case.name = format!("{} ({})", case.name, position(&case.place));
            }
        }
    }

    fn ended(&self, element: &str) -> usize {
        let ends = self.cases.iter().filter_map(|case| case.end.as_ref());
        ends.filter(|end| end.element == element).count()
    }

    fn write(&self, xml: &mut String) {
        let counts = [self.cases.len(), self.ended(FAILURE), self.ended(ERROR)];
        open(xml, "  <testsuite", self.file, counts);
        for case in &self.cases {
            case.write(self.file, xml);
        }
        output(xml, "    ", &self.notices);
        xml.push_str("  </testsuite>\n");
    }
}

fn line(found: &Checked) -> String {
    at(&found.place, &format!("{} {}", found.finding.code(), found.sentence()))
}

/// What is said of a place, as one line.
fn at(place: &Place, message: &str) -> String {
    format!("{}: {}", position(place), message.replace(['\r', '\n'], " "))
}

fn position(place: &Place) -> String {
    format!("{}:{}", place.location.line, place.location.column)
}

fn open(xml: &mut String, start: &str, name: &str, counts: [usize; 3]) {
    xml.push_str(start);
    attribute(xml, "name", name);
    for (name, count) in ["tests", "failures", "errors"].into_iter().zip(counts) {
        attribute(xml, name, &count.to_string());
    }
    xml.push_str(">\n");
}

fn output(xml: &mut String, indent: &str, lines: &[String]) {
    if !lines.is_empty() {
        let text = escaped(&lines.join("\n"), false);
        let _ = writeln!(xml, "{indent}<system-out>{text}</system-out>");
    }
}

fn attribute(xml: &mut String, name: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = write!(xml, " {name}=\"{}\"", escaped(value, true));
}

/// Text as XML 1.0 has it, which knows no way to write most control characters.
fn escaped(text: &str, in_attribute: bool) -> String {
    let mut xml = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' if in_attribute => xml.push_str("&quot;"),
            '\n' | '\t' if in_attribute => {
                let _ = write!(xml, "&#{};", u32::from(character));
            }
            '\n' | '\t' => xml.push(character),
            '\r' => xml.push_str("&#13;"),
            '\0'..=' ' if character != ' ' => xml.push(char::REPLACEMENT_CHARACTER),
            '\u{fffe}' | '\u{ffff}' => xml.push(char::REPLACEMENT_CHARACTER),
            _ => xml.push(character),
        }
    }
    xml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_written_as_xml() {
        let text = "a<b> & \"c\"\n\td\r\u{1}\u{ffff}é";
        assert_eq!(escaped(text, false), "a&lt;b&gt; &amp; \"c\"\n\td&#13;\u{fffd}\u{fffd}é");
        assert_eq!(
            escaped(text, true),
            "a&lt;b&gt; &amp; &quot;c&quot;&#10;&#9;d&#13;\u{fffd}\u{fffd}é"
        );
    }
}
