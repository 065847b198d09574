//! One event as one line of JSON, written straight into the line's buffer.
//!
//! The subscriber's own JSON format builds a map per event, which costs more than the decision that the event
//! is about.

use std::fmt::{self, Debug, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::server::calendar::civil_from_days;

/// Formats events as `{"timestamp":...,"level":...,"message":...,...}`, each on its line. Spans are not written.
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut line = Line { text: String::with_capacity(512) };
        line.text.push_str("{\"timestamp\":\"");
        write_time(&mut line.text, SystemTime::now());
        line.text.push_str("\",\"level\":\"");
        line.text.push_str(metadata.level().as_str());
        line.text.push_str("\",\"target\":\"");
        line.text.push_str(metadata.target());
        line.text.push('"');
        event.record(&mut line);
        line.text.push_str("}\n");
        writer.write_str(&line.text)
    }
}

struct Line {
    text: String,
}

impl Line {
    fn key(&mut self, field: &Field) {
        self.text.push_str(",\"");
        self.text.push_str(field.name());
        self.text.push_str("\":");
    }

    fn plain(&mut self, field: &Field, value: impl fmt::Display) {
        self.key(field);
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{value}");
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.key(field);
        quote(&mut self.text, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.key(field);
        self.text.push('"');
        let _ = write!(Escaping(&mut self.text), "{value:?}");
        self.text.push('"');
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.key(field);
        self.text.push_str(if value { "true" } else { "false" });
    }
}

/// Appends a JSON string.
fn quote(text: &mut String, value: &str) {
    text.push('"');
    escape(text, value);
    text.push('"');
}

/// Appends what is within a JSON string.
fn escape(text: &mut String, value: &str) {
    let plain = |byte: &u8| *byte >= b' ' && !matches!(byte, b'"' | b'\\');
    if value.as_bytes().iter().all(plain) {
        return text.push_str(value);
    }
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            control if control < ' ' => {
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
}

/// Escapes what is formatted.
struct Escaping<'t>(&'t mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        escape(self.0, part);
        Ok(())
    }
}

/// Appends a time as RFC 3339 in UTC with microseconds.
fn write_time(text: &mut String, time: SystemTime) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or_default();
    let (year, month, day) = civil_from_days(seconds / 86_400);
    for (number, digits, end) in [
        (year, 4, '-'),
        (month, 2, '-'),
        (day, 2, 'T'),
        (seconds / 3_600 % 24, 2, ':'),
        (seconds / 60 % 60, 2, ':'),
        (seconds % 60, 2, '.'),
        (since.subsec_micros().into(), 6, 'Z'),
    ] {
        write_digits(text, number, digits);
        text.push(end);
    }
}

/// Appends the last digits of a number.
fn write_digits(text: &mut String, number: i64, digits: u32) {
    for place in (0..digits).rev() {
        let digit = number / 10_i64.pow(place) % 10;
        text.push(char::from(b'0' + u8::try_from(digit).unwrap_or_default()));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000000Z"),
            (1_709_251_200, "2024-03-01T00:00:00.000000Z"),
            (1_798_761_599, "2026-12-31T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ];
        for (seconds, want) in cases {
            let mut text = String::new();
            write_time(&mut text, UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(text, want);
        }
    }

    #[test]
    fn strings_are_quoted_as_json() {
        for value in ["plain", "", "a \"b\" \\ c\n\t\u{1}", "é 漢 🚀"] {
            let mut text = String::new();
            quote(&mut text, value);
            assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
        }
    }
}
