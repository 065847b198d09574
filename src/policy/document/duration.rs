//! Durations as a policy writes them: numbers with units, such as `90s`, `1h30m` or `180d`.

use jiff::SignedDuration;
use thiserror::Error;

use crate::domain::duration;

/// The longest that anything here may last.
const LONGEST_DAYS: i64 = 3650;

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum DurationError {
    #[error(
        "{0:?} is no duration; write numbers with the units d, h, m or s, such as 180d, 24h or 1h30m"
    )]
    Malformed(String),
    #[error("{0:?} is longer than {LONGEST_DAYS} days; write a shorter duration")]
    TooLong(String),
    #[error("{0:?} is no time at all; write a longer duration")]
    Zero(String),
}

/// Reads a duration above zero. A policy has whole seconds, as the pattern of its fields says.
pub(super) fn parse(text: &str) -> Result<SignedDuration, DurationError> {
    let malformed = || DurationError::Malformed(text.to_owned());
    let too_long = || DurationError::TooLong(text.to_owned());
    if text.contains("ms") {
        return Err(malformed());
    }
    let read = duration::parse(text).map_err(|error| match error {
        duration::DurationError::Malformed => malformed(),
        duration::DurationError::TooLong => too_long(),
    })?;
    match SignedDuration::try_from(read) {
        Ok(SignedDuration::ZERO) => Err(DurationError::Zero(text.to_owned())),
        Ok(read) if read <= SignedDuration::from_hours(LONGEST_DAYS * 24) => Ok(read),
        _ => Err(too_long()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        let seconds = |text: &str| parse(text).map(|duration| duration.as_secs());
        for (text, want) in
            [("90s", 90), ("1h30m", 5400), ("180d", 15_552_000), ("3650d", 315_360_000)]
        {
            assert_eq!(seconds(text), Ok(want), "{text}");
        }
        for text in ["", "90", "s", "1.5h", "-1s", "1h ", "1w", "h1", "500ms", "1s500ms"] {
            assert_eq!(seconds(text), Err(DurationError::Malformed(text.to_owned())), "{text:?}");
        }
        for text in ["3651d", "99999999999999999999s", "9223372036854775807d"] {
            assert_eq!(seconds(text), Err(DurationError::TooLong(text.to_owned())), "{text:?}");
        }
        assert_eq!(seconds("0h"), Err(DurationError::Zero("0h".to_owned())));
    }
}
