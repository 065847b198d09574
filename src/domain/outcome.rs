//! How an attempt at a migration ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is known of an attempt's end. It only ever moves forward, in the order of [`Outcome::rank`]: several
/// replicas see the same Job at different times, and the one that saw more is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
pub enum Outcome {
    /// The Job has neither completed nor failed.
    Running,
    /// The Job is gone, and nobody saw how it ended.
    Unknown,
    /// The Job was deleted before it ended.
    Interrupted,
    /// The Job's condition `Failed` is `True`.
    Failed,
    /// The Job's condition `Complete` is `True`.
    Succeeded,
}

impl Outcome {
    /// Every outcome, in the order in which they may follow each other.
    pub const ALL: [Self; 5] =
        [Self::Running, Self::Unknown, Self::Interrupted, Self::Failed, Self::Succeeded];

    /// Name in records, messages and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Unknown => "Unknown",
            Self::Interrupted => "Interrupted",
            Self::Failed => "Failed",
            Self::Succeeded => "Succeeded",
        }
    }

    /// How much is known. What a Job itself said of its end is final: Kubernetes never takes `Complete` or
    /// `Failed` back.
    fn rank(self) -> u8 {
        match self {
            Self::Running => 0,
            Self::Unknown => 1,
            Self::Interrupted => 2,
            Self::Failed | Self::Succeeded => 3,
        }
    }

    /// Whether this may replace what was known.
    pub fn supersedes(self, known: Self) -> bool {
        self.rank() > known.rank()
    }

    /// Whether a Job said itself how it ended.
    pub fn is_final(self) -> bool {
        self.rank() == 3
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_only_move_forward() {
        for (position, known) in Outcome::ALL.into_iter().enumerate() {
            for (other, next) in Outcome::ALL.into_iter().enumerate() {
                let both_final = known.is_final() && next.is_final();
                assert_eq!(
                    next.supersedes(known),
                    other > position && !both_final,
                    "{known} {next}"
                );
            }
        }
    }
}
