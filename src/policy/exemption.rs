//! Findings that do not deny for a while, because somebody who may say so has said why and until when.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::rule::Code;
use crate::domain::manifest::Metadata;

/// How long before its end an exemption is said to be near it.
pub const NEAR: SignedDuration = SignedDuration::from_hours(14 * 24);

/// One exemption, of one rule for one object or app. Exact: no pattern exempts what nobody thought of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemption {
    /// The rule.
    pub rule: Code,
    /// The namespace.
    pub namespace: String,
    /// What in it.
    pub target: Target,
    /// Why.
    pub reason: String,
    /// The last day on which it holds, in UTC.
    pub expires: Date,
}

/// What is exempted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The object of this name.
    Name(String),
    /// Objects made from this prefix.
    GenerateName(String),
    /// Whatever carries `wavegate.dev/app` with this value.
    App(String),
}

/// Where an exemption is in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It holds.
    Active,
    /// It holds, and ends soon.
    Expiring,
    /// It does not hold any more.
    Expired,
}

impl Standing {
    /// Every standing, in the order of time.
    pub const ALL: [Self; 3] = [Self::Active, Self::Expiring, Self::Expired];

    /// Name in metrics and status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
        }
    }
}

impl Exemption {
    /// The moment at which it has ended: the end of its last day, in UTC.
    pub fn end(&self) -> Timestamp {
        let midnight = self.expires.tomorrow().and_then(|day| day.to_zoned(TimeZone::UTC));
        midnight.map_or(Timestamp::MAX, |midnight| midnight.timestamp())
    }

    /// Where it is in its time.
    pub fn standing(&self, now: Timestamp) -> Standing {
        let end = self.end();
        if end <= now {
            Standing::Expired
        } else if now >= Timestamp::UNIX_EPOCH && end.duration_since(now) <= NEAR {
            Standing::Expiring
        } else {
            Standing::Active
        }
    }

    /// Whether it speaks of an object. The rule and the namespace are compared elsewhere.
    pub fn covers(&self, metadata: &Metadata<'_>, app: Option<&str>) -> bool {
        let is = |have: Option<&str>, want: &str| have == Some(want);
        match &self.target {
            Target::Name(name) => is(metadata.name.as_deref(), name),
            Target::GenerateName(prefix) => is(metadata.generate_name.as_deref(), prefix),
            Target::App(name) => is(app, name),
        }
    }

    /// What it exempts, for a person.
    pub fn object(&self) -> String {
        match &self.target {
            Target::Name(name) => format!("{}/{name}", self.namespace),
            Target::GenerateName(prefix) => format!("{}/{prefix}*", self.namespace),
            Target::App(app) => format!("app {app} in {}", self.namespace),
        }
    }
}

/// An exemption as a finding tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exempted {
    /// Why.
    pub reason: String,
    /// The last day on which it holds.
    pub expires: Date,
    /// Where it is in its time.
    pub standing: Standing,
}

impl std::fmt::Display for Exempted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { reason, expires, standing } = self;
        match standing {
            Standing::Expired => write!(f, "exemption expired on {expires}"),
            Standing::Active => write!(f, "exempt until {expires}: {reason}"),
            Standing::Expiring => write!(f, "exempt until {expires}, which is soon: {reason}"),
        }
    }
}

impl From<(&Exemption, Standing)> for Exempted {
    fn from((exemption, standing): (&Exemption, Standing)) -> Self {
        Self { reason: exemption.reason.clone(), expires: exemption.expires, standing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_to_the_end_of_its_last_day() {
        let exemption = Exemption {
            rule: "WG101",
            namespace: "shop".to_owned(),
            target: Target::Name("a".to_owned()),
            reason: String::new(),
            expires: "2027-03-31".parse().unwrap(),
        };
        let cases = [
            ("1970-01-01T00:00:00Z", Standing::Active),
            ("2027-03-17T23:59:59Z", Standing::Active),
            ("2027-03-18T00:00:00Z", Standing::Expiring),
            ("2027-03-31T23:59:59Z", Standing::Expiring),
            ("2027-04-01T00:00:00Z", Standing::Expired),
        ];
        for (now, want) in cases {
            assert_eq!(exemption.standing(now.parse().unwrap()), want, "{now}");
        }
    }
}
