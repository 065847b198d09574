//! One attempt's record, brought to what is known of the attempt.
//!
//! Every replica does this for every attempt, at its own time, and one may know less than another. So a creation
//! that finds a record is fine, outcomes only move forward (the API server refuses anything else, by the rules in
//! the `CustomResourceDefinition`), and what nobody saw is written only after looking once more.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{ListParams, PatchParams, PostParams};
use kube::core::Status;
use kube::{Api, Client, Error};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::failure::failure;
use super::feed::{AttemptKey, attempt_of_record};
use super::follow::Listings;
use super::image::image_id;
use super::known::Known;
use super::record;
use super::stored::{Kind, Stored};
use super::trouble;
use crate::cluster::{Attempt, Sighting};
use crate::domain::outcome::Outcome;
use crate::server::Metrics;
use crate::server::metrics::RecordWrite;

/// How long the API server may take to answer one request.
const BOUND: Duration = Duration::from_secs(10);

/// Requests at a time. Writing records is never urgent: decisions know what is to be written.
const REQUESTS: usize = 4;

/// More steps than any turn needs.
const MOST_STEPS: usize = 10;

/// Who owns the fields, in `managedFields`.
const MANAGER: &str = "wavegate";

/// Writes records.
pub(super) struct Writer {
    client: Client,
    known: Known,
    metrics: Arc<Metrics>,
    listings: watch::Receiver<Listings>,
    requests: Semaphore,
}

/// Why a record does not say yet what is known.
#[derive(Debug)]
pub(super) enum Failure {
    /// Worth another try.
    Later(String),
    /// No try can succeed.
    Never(String),
}

/// What a record needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing, or nothing before something else happens.
    Rest,
    /// The pods are looked at: which image ran, and by which container it failed.
    Look,
    /// The outcome is nothing that the Job said, so the Job must be gone indeed.
    Verify,
    Create,
    Update,
}

/// What was done in this turn, so that it is not done again.
#[derive(Clone, Debug, Default)]
struct Turn {
    /// The outcome while the pods were looked at. Of a Job that fails meanwhile they tell more afterwards.
    looked: Option<Outcome>,
    verified: Option<Gone>,
    /// The API server refused what was known, and what the record says now was taken into view.
    refused: bool,
}

/// The Job was looked for and is gone.
#[derive(Clone, Debug, Default)]
struct Gone {
    /// Version of the record at that time, where there was one.
    record: Option<String>,
}

/// Decides the next step. `complete`: all Jobs and records were listed once.
fn next(sighting: &Sighting, complete: bool, turn: &Turn) -> Step {
    let attempt = sighting.attempt();
    let outcome = sighting.outcome();
    // What the pods tell is worth a request while they may be there, yet not before the record is.
    let begun = sighting.has_record() || outcome.is_final();
    let image_unknown = attempt.image_id.is_none() && attempt.container.is_some();
    let failure_unknown = outcome == Outcome::Failed && attempt.failure.is_none();
    let unknown = image_unknown || failure_unknown;
    if begun && unknown && sighting.has_job() && turn.looked != Some(outcome) {
        return Step::Look;
    }
    if sighting.is_recorded() {
        return Step::Rest;
    }
    let guessed = matches!(outcome, Outcome::Unknown | Outcome::Interrupted);
    if outcome == Outcome::Unknown && !complete {
        return Step::Rest;
    }
    if guessed && turn.verified.is_none() {
        return Step::Verify;
    }
    if sighting.has_record() { Step::Update } else { Step::Create }
}

impl Writer {
    pub(super) fn new(
        client: Client,
        known: Known,
        metrics: Arc<Metrics>,
        listings: watch::Receiver<Listings>,
    ) -> Self {
        Self { client, known, metrics, listings, requests: Semaphore::new(REQUESTS) }
    }

    /// Brings the record of an attempt to what is known, request by request.
    pub(super) async fn settle(&self, key: &AttemptKey) -> Result<(), Failure> {
        // Never closed, so there is always a permit to be had.
        let _permit = self.requests.acquire().await;
        let mut turn = Turn::default();
        for _ in 0..MOST_STEPS {
            let Some(sighting) = self.known.attempt(key) else { return Ok(()) };
            let complete = self.listings.borrow().complete();
            match next(&sighting, complete, &turn) {
                Step::Rest => return Ok(()),
                Step::Look => {
                    turn.looked = Some(sighting.outcome());
                    self.look(key, sighting.attempt()).await?;
                }
                Step::Verify => match self.verify(key, &sighting).await? {
                    Some(gone) => turn.verified = Some(gone),
                    None => return Ok(()),
                },
                Step::Create => self.create(key, &sighting).await?,
                Step::Update => self.update(key, &sighting, &mut turn).await?,
            }
        }
        Err(Failure::Later("the record does not keep what is written to it".to_owned()))
    }

    /// Whether the pods tell anything does not matter enough to hold the record back.
    async fn look(&self, key: &AttemptKey, attempt: &Attempt) -> Result<(), Failure> {
        let container = attempt.container.as_deref();
        let selector = format!("batch.kubernetes.io/controller-uid={}", key.uid);
        let pods = self.api(Kind::Pod, key);
        let list = ListParams::default().labels(&selector);
        match self.answer(pods.list(&list)).await {
            Ok(pods) => {
                let image = container.and_then(|container| image_id(&pods.items, container));
                if let Some(image) = image {
                    self.known.change(|a| a.observe_image(&key.namespace, &key.uid, image));
                }
                let failed = attempt.outcome == Outcome::Failed;
                let failure = failed.then(|| failure(&pods.items, container)).flatten();
                if let Some(failure) = failure {
                    self.known.change(|a| a.observe_failure(&key.namespace, &key.uid, failure));
                }
                Ok(())
            }
            Err(Trouble::Api(status)) => {
                let reason = trouble::reason("list", Kind::Pod, &Error::Api(status));
                tracing::debug!(namespace = key.namespace, uid = key.uid, reason, "no pods");
                Ok(())
            }
            Err(trouble) => Err(trouble.later("list", Kind::Pod)),
        }
    }

    /// Looks whether the Job is gone and what the record says by now. Returns `None` where the Job is there, so that
    /// there is nothing to be written.
    async fn verify(&self, key: &AttemptKey, sighting: &Sighting) -> Result<Option<Gone>, Failure> {
        let jobs = self.api(Kind::Job, key);
        match self.answer(jobs.get_opt(&sighting.attempt().facts.key.name)).await {
            // The watch has yet to tell of it. One that lost its stamp is seen by live reads.
            Ok(Some(job)) if job.uid() == key.uid => return Ok(None),
            Ok(_) => {}
            Err(trouble) => return Err(trouble.later("get", Kind::Job)),
        }
        if !sighting.has_record() {
            return Ok(Some(Gone::default()));
        }
        Ok(Some(Gone { record: self.refresh(key).await? }))
    }

    async fn create(&self, key: &AttemptKey, sighting: &Sighting) -> Result<(), Failure> {
        let attempt = known(sighting);
        let record = record::of(&attempt).map_err(|error| Failure::Never(error.to_string()))?;
        let parameters =
            PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let records = self.api(Kind::Record, key);
        match self.answer(records.create(&parameters, &record)).await {
            Ok(created) => self.wrote(&created, &attempt, RecordWrite::Created),
            Err(Trouble::Api(status)) if status.code == 409 => {
                self.metrics.watch().wrote(RecordWrite::Known);
                self.refresh(key).await.map(drop)
            }
            Err(Trouble::Api(status)) if is_namespace_gone(&status) => {
                self.known.change(|attempts| attempts.forget_record(&key.namespace, &key.uid));
                Err(Failure::Never("its namespace is being deleted".to_owned()))
            }
            Err(trouble) => Err(trouble.failure("create", Kind::Record)),
        }
    }

    async fn update(
        &self,
        key: &AttemptKey,
        sighting: &Sighting,
        turn: &mut Turn,
    ) -> Result<(), Failure> {
        let version = turn.verified.take().and_then(|gone| gone.record);
        let attempt = known(sighting);
        let patch = record::progress(&attempt, version.as_deref())
            .map_err(|error| Failure::Never(error.to_string()))?;
        let parameters =
            PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let records = self.api(Kind::Record, key);
        match self.answer(records.patch(&key.uid, &parameters, &patch)).await {
            Ok(updated) => self.wrote(&updated, &attempt, RecordWrite::Updated),
            // Somebody knew more, or wrote at the same time.
            Err(Trouble::Api(status)) if matches!(status.code, 409 | 422) && !turn.refused => {
                turn.refused = true;
                self.metrics.watch().wrote(RecordWrite::Known);
                self.refresh(key).await.map(drop)
            }
            Err(Trouble::Api(status)) if status.code == 404 => self.refresh(key).await.map(drop),
            Err(trouble) => Err(trouble.failure("patch", Kind::Record)),
        }
    }

    /// Takes into view what the record says now, and returns its version; `None` if there is no record any more.
    async fn refresh(&self, key: &AttemptKey) -> Result<Option<String>, Failure> {
        let records = self.api(Kind::Record, key);
        match self.answer(records.get_opt(&key.uid)).await {
            Ok(Some(record)) => {
                self.observe(&record)?;
                Ok(Some(record.version().to_owned()))
            }
            Ok(None) => {
                self.known.change(|attempts| attempts.forget_record(&key.namespace, &key.uid));
                Ok(None)
            }
            Err(trouble) => Err(trouble.later("get", Kind::Record)),
        }
    }

    fn wrote(&self, record: &Stored, attempt: &Attempt, how: RecordWrite) -> Result<(), Failure> {
        self.metrics.watch().wrote(how);
        tracing::info!(
            namespace = record.namespace(),
            job = attempt.facts.key.name,
            uid = record.name(),
            outcome = attempt.outcome.name(),
            release = attempt.release(),
            "recorded"
        );
        self.observe(record)
    }

    /// What was written need not be waited for until the watch brings it.
    fn observe(&self, record: &Stored) -> Result<(), Failure> {
        let attempt = attempt_of_record(record)
            .map_err(|error| Failure::Never(format!("the record is not ours: {error}")))?;
        self.known.change(|attempts| attempts.observe_record(attempt));
        Ok(())
    }

    fn api(&self, kind: Kind, key: &AttemptKey) -> Api<Stored> {
        Api::namespaced_with(self.client.clone(), &key.namespace, &kind.resource())
    }

    async fn answer<T>(
        &self,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Trouble> {
        match timeout(BOUND, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Error::Api(status))) => Err(Trouble::Api(status)),
            Ok(Err(error)) => Err(Trouble::Other(error)),
            Err(_elapsed) => Err(Trouble::Silence),
        }
    }
}

/// Why a request has no answer that is of use.
enum Trouble {
    Api(Box<Status>),
    Other(Error),
    Silence,
}

impl Trouble {
    fn reason(self, verb: &str, kind: Kind) -> String {
        match self {
            Self::Api(status) => trouble::reason(verb, kind, &Error::Api(status)),
            Self::Other(error) => trouble::reason(verb, kind, &error),
            Self::Silence => format!("the API server did not answer within {} s", BOUND.as_secs()),
        }
    }

    fn later(self, verb: &str, kind: Kind) -> Failure {
        Failure::Later(self.reason(verb, kind))
    }

    /// What the API server finds wrong with a request it will find wrong with the same request again.
    fn failure(self, verb: &str, kind: Kind) -> Failure {
        let never = matches!(&self, Self::Api(status) if matches!(status.code, 400 | 413 | 422));
        let reason = self.reason(verb, kind);
        if never { Failure::Never(reason) } else { Failure::Later(reason) }
    }
}

/// The attempt with the outcome that is known of it.
fn known(sighting: &Sighting) -> Attempt {
    let mut attempt = sighting.attempt().clone();
    attempt.outcome = sighting.outcome();
    attempt
}

/// A namespace that is going takes no new objects, and one that is gone none at all.
fn is_namespace_gone(status: &Status) -> bool {
    let Some(details) = &status.details else { return false };
    let terminating = details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating");
    terminating || (status.code == 404 && details.kind == "namespaces")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::sample::Sample;
    use crate::cluster::{Attempts, Gone};
    use crate::domain::record::RecordFailure;

    fn sighting(fill: impl FnOnce(&mut Attempts)) -> Sighting {
        let mut attempts = Attempts::default();
        fill(&mut attempts);
        attempts.get("shop", "a").expect("an attempt").clone()
    }

    fn sample() -> Sample {
        Sample::new("a", "v1").with(|attempt| attempt.container = Some("m".into()))
    }

    fn imaged() -> Sample {
        sample().with(|attempt| attempt.image_id = Some("m@sha256:1".to_owned()))
    }

    fn by_waiter() -> Sample {
        let failure = || RecordFailure::new("wait-for-db", 1, Some("Error"), Some("no answer"));
        imaged().with(|attempt| attempt.failure = Some(failure().into()))
    }

    #[test]
    fn how_it_failed_is_added_to_a_record_and_never_changed() {
        let mut attempts = Attempts::default();
        attempts.observe_job(imaged().failed(5).attempt());
        attempts.observe_record(imaged().failed(5).attempt());
        let own = RecordFailure::new("m", 2, None, None);
        attempts.observe_failure("shop", "a", own);
        let looked = Turn { looked: Some(Outcome::Failed), ..Turn::default() };
        let step = |attempts: &Attempts| {
            next(attempts.get("shop", "a").expect("an attempt"), true, &looked)
        };
        assert_eq!(step(&attempts), Step::Update);
        // Another replica was first, and saw another pod.
        attempts.observe_record(by_waiter().failed(5).attempt());
        assert_eq!(step(&attempts), Step::Rest);
        let sighting = attempts.get("shop", "a").expect("an attempt");
        let container = sighting.attempt().failure.as_ref().map(|f| f.container.as_str());
        assert_eq!(container, Some("wait-for-db"));
    }

    #[test]
    fn a_record_gets_what_it_lacks_and_no_more() {
        let new = Turn::default;
        let looked = |outcome| Turn { looked: Some(outcome), ..Turn::default() };
        let verified = || Turn { verified: Some(super::Gone::default()), ..new() };
        let running = || sighting(|a| a.observe_job(sample().attempt()));
        let done = || sighting(|a| a.observe_job(sample().succeeded(5).attempt()));
        let recorded = |job: Sample, record: Sample| {
            sighting(|a| {
                a.observe_job(job.attempt());
                a.observe_record(record.attempt());
            })
        };
        let left = || sighting(|a| a.observe_record(sample().attempt()));
        let interrupted = || {
            sighting(|a| {
                a.observe_job(sample().attempt());
                a.forget_job("shop", "a", Gone::Deleted);
            })
        };
        let cases = [
            ("running, new", running(), true, new(), Step::Create),
            ("running, before all is listed", running(), false, new(), Step::Create),
            ("running, recorded", recorded(sample(), sample()), true, new(), Step::Look),
            (
                "running, nothing to add",
                recorded(sample(), sample()),
                true,
                looked(Outcome::Running),
                Step::Rest,
            ),
            ("done at first sight", done(), true, new(), Step::Look),
            ("done, no image to be had", done(), true, looked(Outcome::Succeeded), Step::Create),
            (
                "done, recorded running",
                recorded(sample().succeeded(5), sample()),
                true,
                looked(Outcome::Succeeded),
                Step::Update,
            ),
            (
                "done, recorded",
                recorded(sample().succeeded(5), sample().succeeded(5)),
                true,
                looked(Outcome::Succeeded),
                Step::Rest,
            ),
            (
                "failed, recorded, and by what is unknown",
                recorded(imaged().failed(5), imaged().failed(5)),
                true,
                new(),
                Step::Look,
            ),
            (
                "failed, and its pod is gone",
                recorded(imaged().failed(5), imaged()),
                true,
                looked(Outcome::Failed),
                Step::Update,
            ),
            (
                "failed while the pods were looked at",
                recorded(imaged().failed(5), imaged()),
                true,
                looked(Outcome::Running),
                Step::Look,
            ),
            (
                "failed, and the record tells by what",
                recorded(imaged().failed(5), by_waiter().failed(5)),
                true,
                new(),
                Step::Rest,
            ),
            ("a record without a Job, before all is listed", left(), false, new(), Step::Rest),
            ("a record without a Job", left(), true, new(), Step::Verify),
            ("a record whose Job is gone", left(), true, verified(), Step::Update),
            ("interrupted", interrupted(), true, new(), Step::Verify),
            ("interrupted indeed", interrupted(), true, verified(), Step::Create),
        ];
        for (name, sighting, complete, turn, want) in cases {
            assert_eq!(next(&sighting, complete, &turn), want, "{name}");
        }
        let mut attempts = Attempts::default();
        attempts.observe_job(sample().attempt());
        attempts.observe_record(sample().attempt());
        attempts.observe_image("shop", "a", "m@sha256:1".to_owned());
        let found = attempts.get("shop", "a").expect("an attempt");
        assert_eq!(
            next(found, true, &looked(Outcome::Running)),
            Step::Update,
            "an image to be added"
        );
    }

    #[test]
    fn a_namespace_that_is_going_is_given_up() {
        let status = |json: &str| serde_json::from_str::<Status>(json).expect("a Status");
        let terminating = r#"{"code":403,"reason":"Forbidden","details":{"causes":[{"reason":"NamespaceTerminating"}]}}"#;
        let gone =
            r#"{"code":404,"reason":"NotFound","details":{"name":"shop","kind":"namespaces"}}"#;
        let no_kind = r#"{"code":404,"reason":"NotFound","details":{}}"#;
        for (json, want) in
            [(terminating, true), (gone, true), (no_kind, false), (r#"{"code":403}"#, false)]
        {
            assert_eq!(is_namespace_gone(&status(json)), want, "{json}");
        }
    }
}
