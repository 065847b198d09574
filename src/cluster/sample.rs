//! Attempts for tests: one line each.

use jiff::Timestamp;

use super::attempt::Attempt;
use super::shared::Shared;
use super::state::{MigrationFacts, ObjectKey};
use crate::domain::argocd::{HookPhase, Ordering};
use crate::domain::image::ImageRef;
use crate::domain::migration::Migration;
use crate::domain::outcome::Outcome;
use crate::domain::role::{Confidence, MigrationPhase};

/// The instant that many seconds after the beginning of a test's time.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("a time of our century")
}

/// An attempt in namespace `shop` of the migration `shop-migrate` with the image `shop/api:<release>`, running
/// since second 0, unless it is said otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Sample(Attempt);

impl Sample {
    pub(crate) fn new(uid: &str, release: &str) -> Self {
        Self(Attempt {
            uid: uid.to_owned(),
            facts: MigrationFacts {
                key: ObjectKey {
                    kind: "Job",
                    namespace: "shop".to_owned(),
                    name: format!("job-{uid}"),
                },
                ties: Shared::default(),
                image: ImageRef::parse(&format!("shop/api:{release}")).ok(),
                ordering: Ordering::of(vec![HookPhase::PreSync], Some(-1)).into(),
                confidence: Confidence::Strong,
            },
            migration: Migration {
                name: "shop-migrate".to_owned(),
                command: "manage.py migrate".to_owned(),
            }
            .into(),
            phase: MigrationPhase::Expand,
            phase_declared: false,
            safe_from: None,
            creator: None,
            container: None,
            image_id: None,
            outcome: Outcome::Running,
            reason: None,
            failure: None,
            created: at(0),
            started: Some(at(0)),
            completed: None,
        })
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Attempt)) -> Self {
        change(&mut self.0);
        self
    }

    pub(crate) fn app(self, app: &str) -> Self {
        self.with(|attempt| attempt.facts.ties.app = Some(app.to_owned()))
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.with(|attempt| attempt.facts.ties.release = Some(token.to_owned()))
    }

    pub(crate) fn repository(self, repository: &str) -> Self {
        self.with(|attempt| {
            let tag = attempt.facts.image.as_ref().map_or("latest", ImageRef::tag_or_latest);
            attempt.facts.image = ImageRef::parse(&format!("{repository}:{tag}")).ok();
        })
    }

    pub(crate) fn named(self, migration: &str) -> Self {
        self.with(|attempt| migration.clone_into(&mut attempt.migration.name))
    }

    pub(crate) fn created(self, second: i64) -> Self {
        self.with(|attempt| (attempt.created, attempt.started) = (at(second), Some(at(second))))
    }

    pub(crate) fn confidence(self, confidence: Confidence) -> Self {
        self.with(|attempt| attempt.facts.confidence = confidence)
    }

    pub(crate) fn phase(self, phase: MigrationPhase, declared: bool) -> Self {
        self.with(|attempt| (attempt.phase, attempt.phase_declared) = (phase, declared))
    }

    pub(crate) fn safe_from(self, release: &str) -> Self {
        self.with(|attempt| attempt.safe_from = Some(release.to_owned()))
    }

    pub(crate) fn succeeded(self, second: i64) -> Self {
        self.ended(Outcome::Succeeded, second)
    }

    pub(crate) fn failed(self, second: i64) -> Self {
        self.ended(Outcome::Failed, second)
    }

    pub(crate) fn ended(self, outcome: Outcome, second: i64) -> Self {
        self.with(|attempt| (attempt.outcome, attempt.completed) = (outcome, Some(at(second))))
    }

    pub(crate) fn attempt(self) -> Attempt {
        self.0
    }
}
