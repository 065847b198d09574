//! The attempts of a cluster, by namespace, and within one by what can tie them to a workload.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::attempt::Attempt;
use super::sightings::{Place, Sightings};
use super::state::{Ties, WorkloadFacts};
use super::tie::{ByTie, Tie};
use crate::domain::image::ImageRef;
use crate::domain::names::ImageNames;
use crate::domain::outcome::Outcome;
use crate::domain::record::RecordFailure;

/// How a Job came to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// Its deletion was seen, and so was its last state.
    Deleted,
    /// A listing did not have it any more.
    Missed,
}

/// Every attempt in view.
///
/// A namespace is shared with whoever holds a copy and only copied where it changes under them, so that a copy of
/// all costs one pointer a namespace.
#[derive(Clone, Debug, Default)]
pub struct Attempts {
    namespaces: HashMap<Arc<str>, Arc<NamespaceAttempts>>,
}

/// The attempts of one namespace.
#[derive(Clone, Debug, Default)]
struct NamespaceAttempts {
    sightings: Sightings,
    by_tie: ByTie,
}

/// Attempts with the same tie that are looked at for what they have in common with a new one.
const RELATIVES: usize = 4;

/// An attempt and where it is known from.
#[derive(Clone, Debug)]
pub struct Sighting {
    attempt: Attempt,
    job: bool,
    record: bool,
    recorded: Recorded,
}

/// What the record of an attempt says.
#[derive(Clone, Copy, Debug)]
struct Recorded {
    outcome: Outcome,
    image: bool,
    failure: bool,
}

impl Recorded {
    /// There is no record, or it says nothing yet.
    const NOTHING: Self = Self { outcome: Outcome::Running, image: false, failure: false };
}

impl Sighting {
    /// The attempt.
    pub fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// How the attempt ended. One that was running when last seen, and whose Job is gone, ended somehow.
    pub fn outcome(&self) -> Outcome {
        match self.attempt.outcome {
            Outcome::Running if !self.job => Outcome::Unknown,
            outcome => outcome,
        }
    }

    /// Whether its Job exists.
    pub fn has_job(&self) -> bool {
        self.job
    }

    /// Whether it has a record that says all that is known of its end, of its image and of how it failed.
    pub fn is_recorded(&self) -> bool {
        let image = self.recorded.image || self.attempt.image_id.is_none();
        let failure = self.recorded.failure || self.attempt.failure.is_none();
        self.record && image && failure && !self.outcome().supersedes(self.recorded.outcome)
    }

    /// Whether it has a record at all.
    pub fn has_record(&self) -> bool {
        self.record
    }
}

impl Attempts {
    /// Takes a Job that ran a migration into view, or what has become of it.
    pub fn observe_job(&mut self, attempt: Attempt) {
        let namespace = self.namespace(&attempt.facts.key.namespace);
        namespace.merge(attempt, |sighting| sighting.job = true);
    }

    /// Takes a record into view.
    pub fn observe_record(&mut self, attempt: Attempt) {
        let outcome = attempt.outcome;
        let (image, failure) = (attempt.image_id.is_some(), attempt.failure.is_some());
        self.namespace(&attempt.facts.key.namespace).merge(attempt, |sighting| {
            sighting.record = true;
            let recorded = &mut sighting.recorded;
            recorded.image |= image;
            recorded.failure |= failure;
            if !recorded.outcome.supersedes(outcome) {
                recorded.outcome = outcome;
            }
        });
    }

    /// The image that the container of an attempt really ran was read from its pod.
    pub fn observe_image(&mut self, namespace: &str, uid: &str, image_id: String) {
        let Some(attempts) = self.namespaces.get_mut(namespace) else { return };
        if let Some(sighting) = Arc::make_mut(attempts).sightings.get_mut(uid) {
            sighting.attempt.image_id = Some(image_id);
        }
    }

    /// By which container an attempt failed was read from its pod.
    pub fn observe_failure(&mut self, namespace: &str, uid: &str, failure: RecordFailure) {
        let Some(attempts) = self.namespaces.get_mut(namespace) else { return };
        if let Some(sighting) = Arc::make_mut(attempts).sightings.get_mut(uid) {
            sighting.attempt.failure = Some(failure.into());
        }
    }

    /// A Job is gone. What had not ended by then never will: it was interrupted where that was seen, else nobody
    /// knows. The attempt stays in view until its record is gone as well.
    pub fn forget_job(&mut self, namespace: &str, uid: &str, gone: Gone) {
        let Some(attempts) = self.namespaces.get_mut(namespace) else { return };
        let attempts = Arc::make_mut(attempts);
        let Some(sighting) = attempts.sightings.get_mut(uid) else { return };
        sighting.job = false;
        if gone == Gone::Deleted && sighting.attempt.outcome == Outcome::Running {
            sighting.attempt.outcome = Outcome::Interrupted;
            sighting.attempt.reason = Some("JobDeleted".to_owned());
        }
    }

    /// A record is gone, and with it the attempt, unless its Job is still there.
    pub fn forget_record(&mut self, namespace: &str, uid: &str) {
        let Some(attempts) = self.namespaces.get_mut(namespace) else { return };
        let attempts = Arc::make_mut(attempts);
        let Some(sighting) = attempts.sightings.get_mut(uid) else { return };
        sighting.record = false;
        sighting.recorded = Recorded::NOTHING;
        if !sighting.job {
            attempts.remove(uid);
        }
        if attempts.sightings.is_empty() {
            self.namespaces.remove(namespace);
        }
    }

    /// Every Job was listed, and these were all: the others are gone.
    pub fn jobs_listed(&mut self, listed: &HashSet<String>) {
        for (namespace, uid) in self.not_in(listed, Sighting::has_job) {
            self.forget_job(&namespace, &uid, Gone::Missed);
        }
    }

    /// Every record was listed, and these, by the UID of their Job, were all: the others are gone.
    pub fn records_listed(&mut self, listed: &HashSet<String>) {
        for (namespace, uid) in self.not_in(listed, Sighting::has_record) {
            self.forget_record(&namespace, &uid);
        }
    }

    fn not_in(
        &self,
        listed: &HashSet<String>,
        known: impl Fn(&Sighting) -> bool,
    ) -> Vec<(Arc<str>, String)> {
        let missing =
            |sighting: &&Sighting| known(sighting) && !listed.contains(&sighting.attempt.uid);
        let of_namespace = |(namespace, attempts): (&Arc<str>, &Arc<NamespaceAttempts>)| {
            let sightings = attempts.sightings.iter().filter(missing);
            sightings.map(|s| (Arc::clone(namespace), s.attempt.uid.clone())).collect::<Vec<_>>()
        };
        self.namespaces.iter().flat_map(of_namespace).collect()
    }

    /// Replaces what is known of a namespace by what was just read of it. Of the rest only ends stay that no
    /// record speaks of yet: the Job may be gone before its record is written.
    pub fn replace_namespace(
        &mut self,
        namespace: &str,
        jobs: Vec<Attempt>,
        records: Vec<Attempt>,
    ) {
        let before = self.namespaces.remove(namespace);
        for job in jobs {
            self.observe_job(job);
        }
        for record in records {
            self.observe_record(record);
        }
        let Some(before) = before else { return };
        let attempts = self.namespace(namespace);
        for old in before.sightings.iter().filter(|old| old.attempt.outcome != Outcome::Running) {
            if !old.record || attempts.sightings.get(&old.attempt.uid).is_some() {
                attempts.merge(old.attempt.clone(), |_| ());
            }
        }
    }

    /// Whether any attempt of a namespace is in view.
    pub fn has(&self, namespace: &str) -> bool {
        self.namespaces.contains_key(namespace)
    }

    /// The attempt of a Job.
    pub fn get(&self, namespace: &str, uid: &str) -> Option<&Sighting> {
        self.namespaces.get(namespace)?.sightings.get(uid)
    }

    /// The attempts of a namespace that may be tied to something with these ties and images, in the order in which
    /// their Jobs were created. Looks at no others.
    pub fn tied<'s>(
        &'s self,
        namespace: &str,
        ties: &Ties,
        images: &[ImageRef],
    ) -> Vec<&'s Sighting> {
        let Some(attempts) = self.namespaces.get(namespace) else { return Vec::new() };
        let mut found: Vec<&Sighting> = Vec::new();
        let mut before: &[Place] = &[];
        for places in Tie::of(ties, images).map(|tie| attempts.by_tie.get(tie)) {
            // Most apps have a repository and an instance of their own, and the same attempts by both.
            if places != before {
                found.reserve(places.len());
                found.extend(places.iter().filter_map(|place| attempts.sightings.at(*place)));
                before = places;
            }
        }
        if !found.is_sorted_by(|one, next| one.attempt.order() < next.attempt.order()) {
            found.sort_by_key(|s| s.attempt.order());
            found.dedup_by(|later, kept| std::ptr::eq(*later, *kept));
        }
        found
    }

    /// The attempts that may be tied to a workload.
    pub fn tied_to(&self, workload: &WorkloadFacts, names: &ImageNames) -> Vec<&Sighting> {
        let images = names.by_every_name(&workload.images);
        self.tied(&workload.key.namespace, &workload.ties, &images)
    }

    /// Every attempt of a namespace.
    pub fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = &Sighting> {
        let attempts = self.namespaces.get(namespace).into_iter();
        attempts.flat_map(|attempts| attempts.sightings.iter())
    }

    /// Every attempt.
    pub fn iter(&self) -> impl Iterator<Item = &Sighting> {
        self.namespaces.values().flat_map(|attempts| attempts.sightings.iter())
    }

    /// How many attempts are in view.
    pub fn len(&self) -> usize {
        self.namespaces.values().map(|attempts| attempts.sightings.len()).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.namespaces.is_empty()
    }

    fn namespace(&mut self, namespace: &str) -> &mut NamespaceAttempts {
        if !self.namespaces.contains_key(namespace) {
            self.namespaces.insert(namespace.into(), Arc::default());
        }
        // Found in any case; `entry` would need an owned key each time.
        Arc::make_mut(self.namespaces.entry(namespace.into()).or_default())
    }
}

impl NamespaceAttempts {
    /// Takes an attempt into view, or what it says more of one in view, and notes where that is known from.
    fn merge(&mut self, mut attempt: Attempt, note: impl FnOnce(&mut Sighting)) {
        self.share(&mut attempt);
        if let Some(known) = self.sightings.get_mut(&attempt.uid) {
            known.attempt.merge(attempt);
            return note(known);
        }
        let mut sighting =
            Sighting { attempt, job: false, record: false, recorded: Recorded::NOTHING };
        note(&mut sighting);
        let sighting = Arc::new(sighting);
        let place = self.sightings.insert(Arc::clone(&sighting));
        let facts = &sighting.attempt.facts;
        for tie in Tie::of(&facts.ties, facts.image.as_slice()) {
            self.by_tie.add(tie, place);
        }
    }

    /// What attempts of one app have in common they share: most of what an attempt is.
    fn share(&self, attempt: &mut Attempt) {
        let facts = &attempt.facts;
        let of_app = Tie::of(&facts.ties, facts.image.as_slice());
        let newest = of_app.flat_map(|tie| self.by_tie.get(tie).iter().rev().take(RELATIVES));
        let relatives: Vec<&Attempt> =
            newest.filter_map(|place| Some(&self.sightings.at(*place)?.attempt)).collect();
        for relative in relatives {
            attempt.facts.ordering.join(&relative.facts.ordering);
            attempt.facts.ties.join(&relative.facts.ties);
            attempt.migration.join(&relative.migration);
            if let (Some(own), Some(known)) = (&mut attempt.creator, &relative.creator) {
                own.join(known);
            }
        }
    }

    fn remove(&mut self, uid: &str) {
        let Some((place, sighting)) = self.sightings.remove(uid) else { return };
        let facts = &sighting.attempt.facts;
        for tie in Tie::of(&facts.ties, facts.image.as_slice()) {
            self.by_tie.remove(tie, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::sample::Sample;

    fn outcomes(attempts: &Attempts) -> Vec<(&str, Outcome)> {
        let mut found: Vec<_> = attempts
            .of_namespace("shop")
            .map(|s| (s.attempt().uid.as_str(), s.outcome()))
            .collect();
        found.sort_unstable_by_key(|(uid, _)| *uid);
        found
    }

    fn set(uids: &[&str]) -> HashSet<String> {
        uids.iter().map(|uid| (*uid).to_owned()).collect()
    }

    #[test]
    fn a_job_that_vanishes_unfinished_was_interrupted_or_nobody_knows() {
        let mut attempts = Attempts::default();
        for uid in ["deleted", "missed", "there"] {
            attempts.observe_job(Sample::new(uid, "v1").attempt());
        }
        attempts.observe_record(Sample::new("left", "v1").attempt());
        attempts.forget_job("shop", "deleted", Gone::Deleted);
        attempts.jobs_listed(&set(&["there"]));
        assert_eq!(
            outcomes(&attempts),
            [
                ("deleted", Outcome::Interrupted),
                ("left", Outcome::Unknown),
                ("missed", Outcome::Unknown),
                ("there", Outcome::Running),
            ]
        );
        attempts.observe_record(Sample::new("left", "v1").succeeded(5).attempt());
        attempts.observe_record(Sample::new("missed", "v1").failed(5).attempt());
        assert_eq!(
            outcomes(&attempts)[1..3],
            [("left", Outcome::Succeeded), ("missed", Outcome::Failed)]
        );
    }

    #[test]
    fn an_end_survives_its_job_and_its_record_survives_a_relist() {
        let mut attempts = Attempts::default();
        attempts.observe_job(Sample::new("a", "v1").succeeded(3).attempt());
        attempts.forget_job("shop", "a", Gone::Deleted);
        assert_eq!(outcomes(&attempts), [("a", Outcome::Succeeded)]);
        attempts.observe_record(Sample::new("a", "v1").attempt());
        let sighting = attempts.get("shop", "a").unwrap();
        assert!(sighting.has_record() && !sighting.is_recorded() && !sighting.has_job());
        attempts.observe_record(Sample::new("a", "v1").succeeded(3).attempt());
        assert!(attempts.get("shop", "a").unwrap().is_recorded());
        attempts.records_listed(&set(&["a"]));
        assert_eq!(attempts.len(), 1);
        attempts.records_listed(&set(&[]));
        assert!(attempts.is_empty());
    }

    #[test]
    fn a_live_reading_replaces_all_but_ends_without_a_record() {
        let mut attempts = Attempts::default();
        attempts.observe_job(Sample::new("ttl", "v1").succeeded(3).attempt());
        attempts.forget_job("shop", "ttl", Gone::Deleted);
        attempts.observe_record(Sample::new("erased", "v1").succeeded(2).attempt());
        attempts.observe_job(Sample::new("stale", "v2").attempt());
        let copy = attempts.clone();
        attempts.replace_namespace("shop", vec![Sample::new("new", "v2").attempt()], Vec::new());
        assert_eq!(outcomes(&attempts), [("new", Outcome::Running), ("ttl", Outcome::Succeeded)]);
        assert_eq!(copy.len(), 3, "a copy is not touched");
    }

    /// Thousands are in view in every replica. Most of an attempt's strings are shared with its app's others.
    #[test]
    fn an_attempt_is_small() {
        assert!(size_of::<Sighting>() <= 400, "{} bytes", size_of::<Sighting>());
        let mut attempts = Attempts::default();
        for uid in ["a", "b"] {
            attempts.observe_record(Sample::new(uid, "v1").app("shop").attempt());
        }
        let facts = |uid| &attempts.get("shop", uid).unwrap().attempt().facts;
        assert!(std::ptr::eq(&raw const *facts("a").ties, &raw const *facts("b").ties));
        assert!(std::ptr::eq(&raw const *facts("a").ordering, &raw const *facts("b").ordering));
    }

    #[test]
    fn what_is_gone_is_found_by_no_tie_and_neither_is_what_takes_its_place() {
        let mut attempts = Attempts::default();
        let image = |uid: &str, repository: &str| Sample::new(uid, "v1").repository(repository);
        attempts.observe_record(image("stays", "shop/api").created(1).attempt());
        attempts.observe_record(image("gone", "shop/api").created(2).attempt());
        attempts.forget_record("shop", "gone");
        attempts.observe_record(image("other", "shop/web").created(3).attempt());
        attempts.observe_record(image("newer", "shop/api").created(4).attempt());
        // Seen late, and in its order all the same.
        attempts.observe_record(image("oldest", "shop/api").created(0).attempt());
        let uids = |repository: &str| {
            let images = [ImageRef::parse(&format!("{repository}:v9")).unwrap()];
            let found = attempts.tied("shop", &Ties::default(), &images);
            found.iter().map(|s| s.attempt().uid.clone()).collect::<Vec<_>>()
        };
        assert_eq!(uids("shop/api"), ["oldest", "stays", "newer"]);
        assert_eq!(uids("shop/web"), ["other"]);
        assert_eq!(attempts.len(), 4);
        assert!(attempts.get("shop", "gone").is_none());
    }

    #[test]
    fn only_what_may_be_tied_is_looked_at() {
        let mut attempts = Attempts::default();
        attempts.observe_record(Sample::new("image", "v1").attempt());
        attempts
            .observe_record(Sample::new("app", "v1").app("shop").repository("flyway").attempt());
        attempts.observe_record(Sample::new("other", "v1").repository("shop/other").attempt());
        let uids = |ties: &Ties, image: &str| {
            let images = [ImageRef::parse(image).unwrap()];
            let found = attempts.tied("shop", ties, &images);
            found.iter().map(|s| s.attempt().uid.clone()).collect::<Vec<_>>()
        };
        let shop = Ties { app: Some("shop".to_owned()), ..Ties::default() };
        assert_eq!(uids(&Ties::default(), "shop/api:v9"), ["image"]);
        assert_eq!(uids(&shop, "shop/api:v9"), ["app", "image"]);
        assert_eq!(uids(&shop, "redis"), ["app"]);
        assert!(attempts.tied("elsewhere", &shop, &[]).is_empty());
    }
}
