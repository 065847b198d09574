//! What a certificate is asked for with: names and a time.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rustls::pki_types::ServerName;

use super::CertsError;

/// A name that a certificate speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectName {
    /// A DNS name, its first label `*` at most.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
}

impl SubjectName {
    /// The names by which a Service is called inside its cluster. The API server uses
    /// `SERVICE.NAMESPACE.svc` alone (k8s.io/apiserver/pkg/util/webhook); the others are for people.
    pub fn of_service(service: &str, namespace: &str) -> Result<Vec<Self>, CertsError> {
        [".svc", ".svc.cluster.local", ""]
            .into_iter()
            .map(|suffix| format!("{service}.{namespace}{suffix}").parse())
            .collect()
    }
}

impl FromStr for SubjectName {
    type Err = CertsError;

    fn from_str(text: &str) -> Result<Self, CertsError> {
        let bare = text.strip_prefix("*.").unwrap_or(text);
        match ServerName::try_from(bare) {
            Ok(ServerName::DnsName(_)) => Ok(Self::Dns(text.to_ascii_lowercase())),
            Ok(ServerName::IpAddress(ip)) if bare == text => Ok(Self::Ip(ip.into())),
            _ => Err(CertsError::Name { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

/// How long a certificate holds: 1 day to 10 years. Written `90`, `90d`, `12w` or `2y`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    days: u32,
}

impl Validity {
    const LONGEST_DAYS: u32 = 3650;

    /// A number of days.
    pub fn from_days(days: u32) -> Result<Self, CertsError> {
        if (1..=Self::LONGEST_DAYS).contains(&days) {
            Ok(Self { days })
        } else {
            Err(CertsError::Validity { text: days.to_string() })
        }
    }

    /// The number of days.
    pub const fn days(self) -> u32 {
        self.days
    }
}

impl Default for Validity {
    /// A year: long enough to be forgotten, so renewal belongs into a calendar, or to cert-manager.
    fn default() -> Self {
        Self { days: 365 }
    }
}

impl FromStr for Validity {
    type Err = CertsError;

    fn from_str(text: &str) -> Result<Self, CertsError> {
        let (number, days) = match text.strip_suffix(['d', 'w', 'y']) {
            Some(number) if text.ends_with('w') => (number, 7),
            Some(number) if text.ends_with('y') => (number, 365),
            Some(number) => (number, 1),
            None => (text, 1),
        };
        number
            .parse::<u32>()
            .ok()
            .and_then(|number| number.checked_mul(days))
            .and_then(|days| Self::from_days(days).ok())
            .ok_or_else(|| CertsError::Validity { text: text.to_owned() })
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.days {
            1 => f.write_str("1 day"),
            days => write!(f, "{days} days"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_names_or_addresses() {
        let cases = [
            ("wavegate.wavegate.svc", Some("wavegate.wavegate.svc")),
            ("LocalHost", Some("localhost")),
            ("*.example.org", Some("*.example.org")),
            ("::1", Some("::1")),
            ("", None),
            ("*", None),
            ("*.10.0.0.1", None),
            ("a b", None),
            ("https://example.org", None),
            ("example.org:443", None),
            ("b\u{fc}cher.example", None),
        ];
        for (text, wanted) in cases {
            let got = text.parse::<SubjectName>().ok().map(|name| name.to_string());
            assert_eq!(got.as_deref(), wanted, "{text:?}");
        }
        let service = SubjectName::of_service("gate", "ops").expect("names");
        let service: Vec<_> = service.iter().map(ToString::to_string).collect();
        assert_eq!(service, ["gate.ops.svc", "gate.ops.svc.cluster.local", "gate.ops"]);
        assert!(SubjectName::of_service("gate", "not a namespace").is_err());
    }

    #[test]
    fn validity_is_days_weeks_or_years() {
        let cases = [
            ("90", Some(90)),
            ("1d", Some(1)),
            ("12w", Some(84)),
            ("2y", Some(730)),
            ("10y", Some(3650)),
            ("11y", None),
            ("0", None),
            ("-1", None),
            ("1h", None),
            ("d", None),
            ("", None),
            ("4294967295y", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(text.parse::<Validity>().ok().map(Validity::days), wanted, "{text:?}");
        }
    }
}
