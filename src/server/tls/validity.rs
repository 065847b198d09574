//! Serial number and validity of a certificate: the few fields of it that an operator asks for.

use std::fmt;

use crate::server::calendar::{civil_from_days, days_from_civil};

/// From when to when a certificate holds, in Unix seconds, and which one it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(in crate::server) serial: Serial,
    pub(in crate::server) not_before: UnixTime,
    pub(in crate::server) not_after: UnixTime,
}

/// A serial number, written as hexadecimal digits, as openssl and browsers do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) struct Serial(Vec<u8>);

/// Seconds since 1970, written as an RFC 3339 time in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::server) struct UnixTime(pub(in crate::server) i64);

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

impl Validity {
    /// Reads a DER certificate (RFC 5280 section 4.1). None where it is not one.
    pub(crate) fn of(certificate: &[u8]) -> Option<Self> {
        let mut certificate = Der(Der(certificate).sequence()?);
        let mut fields = Der(certificate.sequence()?);
        let (mut tag, mut serial) = fields.next()?;
        if tag == TAG_VERSION {
            (tag, serial) = fields.next()?;
        }
        if tag != TAG_INTEGER {
            return None;
        }
        let _signature_algorithm = fields.sequence()?;
        let _issuer = fields.sequence()?;
        let mut validity = Der(fields.sequence()?);
        Some(Self {
            serial: Serial(serial.to_vec()),
            not_before: UnixTime::parse(validity.next()?)?,
            not_after: UnixTime::parse(validity.next()?)?,
        })
    }

    /// From when to when it holds, in Unix seconds.
    pub(crate) const fn seconds(&self) -> (i64, i64) {
        (self.not_before.0, self.not_after.0)
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The leading zero keeps a positive number positive in DER; it is no part of the number.
        let digits = self.0.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(&self.0);
        digits.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl UnixTime {
    fn parse((tag, text): (u8, &[u8])) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
        let (year, rest) = match tag {
            TAG_UTC_TIME => {
                let (year, rest) = text.split_at_checked(2)?;
                let year: i64 = number(year)?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            TAG_GENERALIZED_TIME => {
                let (year, rest) = text.split_at_checked(4)?;
                (number(year)?, rest)
            }
            _ => return None,
        };
        let (month, rest) = rest.split_at_checked(2)?;
        let (day, rest) = rest.split_at_checked(2)?;
        let (hour, rest) = rest.split_at_checked(2)?;
        let (minute, second) = rest.split_at_checked(2)?;
        let days = days_from_civil(year, number(month)?, number(day)?);
        let time = (number(hour)? * 60 + number(minute)?) * 60 + number(second)?;
        Some(Self(days * SECONDS_PER_DAY + time))
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(SECONDS_PER_DAY));
        let time = self.0.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Two or four digits and nothing else (`parse` alone would take a sign).
fn number(digits: &str) -> Option<i64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

const TAG_INTEGER: u8 = 0x02;
const TAG_UTC_TIME: u8 = 0x17;
const TAG_GENERALIZED_TIME: u8 = 0x18;
const TAG_SEQUENCE: u8 = 0x30;
const TAG_VERSION: u8 = 0xa0;

/// A run of DER values with one-byte tags.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value's tag and content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, length], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(length), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                (bytes.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn sequence(&mut self) -> Option<&'a [u8]> {
        self.next().and_then(|(tag, content)| (tag == TAG_SEQUENCE).then_some(content))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let cases: [(u8, &str, Option<&str>); 9] = [
            (TAG_UTC_TIME, "700101000000Z", Some("1970-01-01T00:00:00Z")),
            (TAG_UTC_TIME, "261124020304Z", Some("2026-11-24T02:03:04Z")),
            (TAG_UTC_TIME, "491231235959Z", Some("2049-12-31T23:59:59Z")),
            (TAG_UTC_TIME, "500101000000Z", Some("1950-01-01T00:00:00Z")),
            (TAG_GENERALIZED_TIME, "20500228235959Z", Some("2050-02-28T23:59:59Z")),
            (TAG_GENERALIZED_TIME, "20000229000000Z", Some("2000-02-29T00:00:00Z")),
            (TAG_UTC_TIME, "261124020304+0100", None),
            (TAG_UTC_TIME, "2611240203+4Z", None),
            (TAG_INTEGER, "261124020304Z", None),
        ];
        for (tag, text, wanted) in cases {
            let got = UnixTime::parse((tag, text.as_bytes())).map(|time| time.to_string());
            assert_eq!(got.as_deref(), wanted, "{text}");
        }
        assert_eq!(UnixTime(1_800_000_000).to_string(), "2027-01-15T08:00:00Z");
    }

    #[test]
    fn serials_are_written_as_openssl_writes_them() {
        for (bytes, text) in [(&[0x00, 0x9f, 0x01][..], "9f01"), (&[0x07], "07"), (&[0x00], "00")] {
            assert_eq!(Serial(bytes.to_vec()).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn days_go_there_and_back(days in -800_000_i64..3_000_000) {
            let (year, month, day) = civil_from_days(days);
            prop_assert_eq!(days_from_civil(year, month, day), days);
            prop_assert!((1..=12).contains(&month) && (1..=31).contains(&day));
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Validity::of(&bytes);
        }
    }
}
