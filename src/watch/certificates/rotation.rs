//! What is to be done with the certificates now: a pure decision over what is stored and what is published.
//!
//! ```text
//! CA due -> Prepare: a next CA -> both CAs are published, for `settle` -> Promote: a leaf of the next CA
//!        -> for `overlap` the old CA stays published -> Retire
//! ```
//!
//! So whoever checks a leaf has known its CA for `settle`, and whoever still serves a leaf of the old CA has `overlap` to
//! hear of the new one.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How long everything lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of a server certificate.
    pub leaf: Duration,
    /// Of a CA.
    pub ca: Duration,
    /// From the publication of a CA to the first certificate that it signs: what every API server needs to hear of it.
    pub settle: Duration,
    /// From a new CA's first certificate to the removal of the old CA: what every replica needs to hear of it.
    pub overlap: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            leaf: Duration::from_hours(90 * 24),
            ca: Duration::from_hours(1825 * 24),
            settle: Duration::from_mins(1),
            overlap: Duration::from_hours(1),
        }
    }
}

impl Lifetimes {
    /// Why these do not fit together.
    pub fn check(self) -> Result<Self, String> {
        let Self { leaf, ca, settle, overlap } = self;
        if leaf < Duration::from_secs(2) {
            Err("a certificate must hold for two seconds at least".to_owned())
        } else if leaf > ca {
            Err("a certificate must not outlive its CA".to_owned())
        } else if settle.saturating_add(overlap) > ca / 4 {
            // A third of a CA's life is left when its successor is made.
            Err("settling and overlap together must fit into a quarter of the CA's lifetime"
                .to_owned())
        } else {
            Ok(self)
        }
    }
}

/// From when to when a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) issued: Timestamp,
    pub(super) ends: Timestamp,
}

impl Span {
    pub(super) fn is_over(self, now: Timestamp) -> bool {
        now >= self.ends
    }

    /// Two thirds are over: time for the next one, with a third of it left for whatever goes wrong.
    fn is_due(self, now: Timestamp) -> bool {
        let Self { issued, ends } = self;
        now.duration_since(issued) >= ends.duration_since(issued).saturating_mul(2) / 3
    }
}

/// What a person may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Leaf,
    Ca,
}

/// What is stored and usable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The CA that signs.
    pub(super) signer: Option<Span>,
    /// The CA that will sign.
    pub(super) next: Option<Span>,
    /// The server's certificate, if the signer signed it for all names that are wanted.
    pub(super) leaf: Option<Span>,
    /// Whether CAs are published that sign no more.
    pub(super) retired: bool,
    pub(super) asked: Option<Asked>,
    /// Whether something is stored that cannot be used.
    pub(super) damaged: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Make the next CA.
    Prepare,
    /// Let the next CA sign, beginning with a new certificate.
    Promote,
    /// A new certificate by the same CA.
    Issue,
    /// Publish no longer what signs no more.
    Retire,
    /// Write anew what can be used, and what is published.
    Tidy,
    /// Nothing.
    Rest,
}

/// What is known of the configurations that carry what is to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Published {
    /// One of them could not be read. It may carry any CA, and somebody may be trusted by it.
    Unread,
    /// One of them does not carry it.
    Incomplete,
    /// Each of them carries it, and did whenever it was read since then.
    Since(Timestamp),
}

impl Published {
    /// Since when, if it is known to be so.
    pub(super) const fn since(self) -> Option<Timestamp> {
        match self {
            Self::Since(since) => Some(since),
            Self::Unread | Self::Incomplete => None,
        }
    }
}

/// The next step.
pub(super) fn decide(
    facts: &Facts,
    published: Published,
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Step {
    let unread = published == Published::Unread;
    // First of all: what is published is then stored again, and nothing below forgets who rests on it. Where that is
    // not known the Secret stays as it is, since whatever is written there would make it whole without them.
    if facts.damaged {
        return if unread { Step::Rest } else { Step::Tidy };
    }
    let passed = |since: Timestamp, time: Duration| {
        let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        now.duration_since(since) >= time
    };
    let alive = |span: Option<Span>| span.filter(|span| !span.is_over(now));
    let (signer, next) = (alive(facts.signer), alive(facts.next));
    if next.is_some() {
        // Where nothing was ever published, nobody can be serving what it covers: a first start waits for nothing.
        let nobody = signer.is_none() && !facts.retired && !unread;
        if nobody || published.since().is_some_and(|since| passed(since, lifetimes.settle)) {
            return Step::Promote;
        }
    }
    let Some(signer) = signer else {
        return if next.is_some() { Step::Rest } else { Step::Prepare };
    };
    let Some(leaf) = alive(facts.leaf) else { return Step::Issue };
    // A certificate that ends with its CA gains nothing by being made again.
    if facts.asked == Some(Asked::Leaf) || leaf.is_due(now) && leaf.ends < signer.ends {
        Step::Issue
    } else if next.is_none() && (facts.asked == Some(Asked::Ca) || signer.is_due(now)) {
        Step::Prepare
    } else if facts.retired && !unread && passed(leaf.issued, lifetimes.overlap) {
        Step::Retire
    } else {
        Step::Rest
    }
}

#[cfg(test)]
mod tests;
