//! Durations as people write them: numbers with units, such as `90s`, `1h30m`, `180d` or `500ms`.

use std::time::Duration;

use thiserror::Error;

/// Why a text is no duration, as the rest of a sentence about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DurationError {
    /// Something else than numbers with units.
    #[error(
        "is no duration; write numbers with the units d, h, m, s or ms, such as 90d, 1h30m or 10s"
    )]
    Malformed,
    /// A number that nothing here counts to.
    #[error("is too long; write a shorter duration")]
    TooLong,
}

/// Reads a sum of numbers with units. Kubernetes' own durations have no days, since Go has none; a day is 24 hours here.
///
/// # Errors
///
/// Fails where a number or a unit is missing, and beyond 2^64 milliseconds.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Malformed);
    }
    let mut millis: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(DurationError::Malformed)?;
        let (number, behind) = rest.split_at(digits);
        let end = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let unit = match unit {
            "d" => 86_400_000,
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1000,
            "ms" => 1,
            _ => return Err(DurationError::Malformed),
        };
        if number.is_empty() {
            return Err(DurationError::Malformed);
        }
        let number: u64 = number.parse().map_err(|_| DurationError::TooLong)?;
        let sum = number.checked_mul(unit).and_then(|part| millis.checked_add(part));
        millis = sum.ok_or(DurationError::TooLong)?;
        rest = behind;
    }
    Ok(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        let millis = |text: &str| parse(text).map(|duration| duration.as_millis());
        for (text, want) in [
            ("10s", 10_000),
            ("500ms", 500),
            ("0s", 0),
            ("2m", 120_000),
            ("1h30m", 5_400_000),
            ("1m500ms", 60_500),
            ("90d", 7_776_000_000),
        ] {
            assert_eq!(millis(text), Ok(want), "{text}");
        }
        for text in ["", "10", "s", "1.5h", "-1s", "1h ", "1w", "h1", "1ms2", "1hm", "1 s"] {
            assert_eq!(parse(text), Err(DurationError::Malformed), "{text:?}");
        }
        for text in ["99999999999999999999s", "18446744073709551615d", "18446744073709551615ms1s"] {
            assert_eq!(parse(text), Err(DurationError::TooLong), "{text:?}");
        }
    }
}
