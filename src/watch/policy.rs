//! The stored policy: followed, put into force, and told what it has come to.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Api, Client, Error};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::backoff::Backoff;
use super::follow::{LONGEST_DELAY, WATCH_SECONDS};
use super::stored::{Kind, Stored};
use super::trouble::{self, Fare};
use crate::domain::record::{GROUP, VERSION};
use crate::policy::document::status::{RolloutPolicyStatus, Verdict};
use crate::policy::document::{ACTIVE, KIND, compile, one_line, read};
use crate::policy::exemption::Standing;
use crate::policy::{Policies, Policy};
use crate::server::webhook::SharedPolicies;
use crate::server::{Metrics, Readiness};

/// How often it is looked whether an exemption has ended.
const LOOK: Duration = Duration::from_mins(1);

/// How long a write of a status may take.
const BOUND: Duration = Duration::from_secs(5);

/// Least time between two writes of one version's status. Replicas of two versions of wavegate may differ in what they
/// say; they must not answer each other without end.
const PAUSE: Duration = Duration::from_secs(10);

/// What this replica calls itself when it writes a status; all replicas are one.
const MANAGER: &str = "wavegate";

/// Name of the condition of readiness.
const LOADED: &str = "policy";

/// Which version of which object. One that was removed and made anew begins at generation 1 again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    uid: String,
    generation: i64,
}

/// How far the stored policy is followed, for those who must not act on what stands in for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Followed {
    /// The API server has told once what there is, or that there can be none.
    pub(super) read: bool,
    /// What is stored is invalid and not in force.
    pub(super) invalid: bool,
    /// Grows where others than before are recognised: Jobs that were passed over may be migrations now.
    pub(super) detections: u64,
}

impl Followed {
    /// Whether the settings in force are those that are meant. What cannot be undone waits for that.
    pub(super) const fn in_force(self) -> bool {
        self.read && !self.invalid
    }
}

/// A stored object and what it has come to.
struct Seen {
    version: Version,
    status: Option<RolloutPolicyStatus>,
    /// Why it is not in force.
    wrong: Option<String>,
    written: Option<(Version, Instant)>,
}

/// Follows the stored policies.
pub(super) struct PolicyWatch {
    client: Client,
    policies: SharedPolicies,
    base: Policy,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    followed: watch::Sender<Followed>,
    seen: BTreeMap<String, Seen>,
    listed: Vec<String>,
    fare: Fare,
}

impl PolicyWatch {
    pub(super) fn new(
        client: Client,
        policies: SharedPolicies,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
        followed: watch::Sender<Followed>,
    ) -> Self {
        let base = policies.load().cluster().clone();
        readiness.wait_for(LOADED, "the policy is not read yet");
        Self {
            client,
            policies,
            base,
            metrics,
            readiness,
            followed,
            seen: BTreeMap::new(),
            listed: Vec::new(),
            fare: Fare::of(LOADED),
        }
    }

    /// Follows until it is dropped.
    pub(super) async fn run(mut self) {
        let config = Config::default().timeout(WATCH_SECONDS);
        let mut events = pin!(watcher(self.api(), config));
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut backoff = Backoff::up_to(LONGEST_DELAY);
        loop {
            tokio::select! {
                event = events.next() => match event {
                    None => return,
                    Some(Ok(event)) => {
                        if !matches!(event, Event::Init) {
                            backoff.reset();
                            self.fare.works();
                        }
                        self.apply(event).await;
                    }
                    Some(Err(error)) => {
                        self.report(&error);
                        tokio::time::sleep(backoff.next()).await;
                    }
                },
                _ = look.tick() => self.look().await,
            }
        }
    }

    fn api(&self) -> Api<Stored> {
        Api::all_with(self.client.clone(), &Kind::Policy.resource())
    }

    async fn apply(&mut self, event: Event<Stored>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => {
                self.listed.push(object.name().to_owned());
                self.observe(&object).await;
            }
            Event::Apply(object) => self.observe(&object).await,
            Event::Delete(object) => self.forget(object.name()),
            Event::InitDone => {
                let gone = self.seen.keys().filter(|name| !self.listed.contains(name));
                let gone: Vec<String> = gone.cloned().collect();
                for name in gone {
                    self.forget(&name);
                }
                self.loaded(true);
            }
        }
    }

    /// The API server has told what there is. Replicas are ready from then on, whatever it is.
    fn loaded(&self, loaded: bool) {
        self.metrics.policy().loaded(loaded);
        self.readiness.met(LOADED);
        self.followed.send_if_modified(|followed| !std::mem::replace(&mut followed.read, true));
    }

    fn forget(&mut self, name: &str) {
        self.seen.remove(name);
        if name == ACTIVE {
            tracing::warn!("the policy was removed: the built-in defaults are in force");
            self.enforce(self.base.clone().into(), false);
        }
    }

    fn enforce(&self, policies: Policies, invalid: bool) {
        self.metrics.policy().in_force(policies.generation(), invalid);
        let detects_as_before = self.policies.load().detects_as(&policies);
        self.policies.store(Arc::new(policies));
        self.count();
        self.followed.send_modify(|followed| {
            followed.invalid = invalid;
            if !detects_as_before {
                followed.detections = followed.detections.wrapping_add(1);
            }
        });
    }

    fn count(&self) {
        let (policies, now) = (self.policies.load(), Timestamp::now());
        for standing in Standing::ALL {
            self.metrics.policy().exemptions(standing, policies.count(standing, now));
        }
    }

    async fn observe(&mut self, object: &Stored) {
        let name = object.name().to_owned();
        let value: Value = serde_json::from_str(object.json()).unwrap_or_default();
        let generation = value.pointer("/metadata/generation").and_then(Value::as_i64);
        let generation = generation.unwrap_or_default();
        let version = Version { uid: object.uid().to_owned(), generation };
        let status = value.get("status").cloned();
        let status = status.and_then(|status| serde_json::from_value(status).ok());
        let before = self.seen.remove(&name);
        let known = before.as_ref().is_some_and(|seen| seen.version == version);
        let mut seen = Seen {
            version,
            status,
            wrong: before.as_ref().and_then(|seen| seen.wrong.clone()).filter(|_| known),
            written: before.and_then(|seen| seen.written),
        };
        // The same version again is news of its status or its metadata alone.
        if name == ACTIVE && !known {
            seen.wrong = self.put_into_force(&value, generation);
        }
        self.seen.insert(name.clone(), seen);
        self.tell(&name).await;
    }

    /// Puts a version into force, or says why not.
    fn put_into_force(&self, value: &Value, generation: i64) -> Option<String> {
        let compiled = read(value)
            .map_err(|error| vec![error])
            .and_then(|document| compile(&document.spec, &self.base));
        match compiled {
            Ok(policies) => {
                tracing::info!(generation, "the policy is in force");
                self.enforce(policies.of_generation(generation), false);
                None
            }
            Err(errors) => {
                let why = one_line(&errors);
                let in_force = self.policies.load().generation();
                tracing::error!(
                    generation,
                    in_force,
                    why,
                    "the policy is invalid and not in force"
                );
                self.metrics.policy().in_force(in_force, true);
                self.count();
                self.followed.send_modify(|followed| followed.invalid = true);
                Some(why)
            }
        }
    }

    /// Looks whether a day has passed.
    async fn look(&mut self) {
        self.count();
        let names: Vec<String> = self.seen.keys().cloned().collect();
        for name in names {
            self.tell(&name).await;
        }
    }

    /// Writes what a stored policy has come to, where that does not stand there already.
    async fn tell(&mut self, name: &str) {
        let Some(seen) = self.seen.get(name) else { return };
        let verdict = match &seen.wrong {
            _ if name != ACTIVE => Verdict::Inactive,
            Some(why) => Verdict::Invalid(why),
            None => Verdict::Accepted,
        };
        let (policies, now) = (self.policies.load_full(), Timestamp::now());
        let before = seen.status.as_ref();
        let status =
            RolloutPolicyStatus::new(seen.version.generation, verdict, &policies, before, now);
        let paused = seen
            .written
            .as_ref()
            .is_some_and(|(version, at)| *version == seen.version && at.elapsed() < PAUSE);
        if paused || !status.replaces(before) {
            return;
        }
        if let Some(seen) = self.seen.get_mut(name) {
            seen.written = Some((seen.version.clone(), Instant::now()));
        }
        let patch = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"), "kind": KIND,
            "metadata": {"name": name}, "status": status,
        });
        let parameters = PatchParams::apply(MANAGER).force();
        let api = self.api();
        let patch = Patch::Apply(&patch);
        let write = api.patch_status(name, &parameters, &patch);
        match timeout(BOUND, write).await {
            Ok(Ok(_)) => {}
            // Removed meanwhile.
            Ok(Err(Error::Api(error))) if error.code == 404 => {}
            Ok(Err(error)) => {
                let reason = trouble::reason("patch", Kind::Policy, &error);
                tracing::warn!(policy = name, reason, "the status cannot be written");
            }
            Err(_elapsed) => {
                tracing::warn!(policy = name, "the status could not be written in time");
            }
        }
    }

    /// Where the definition is missing there is no policy: the built-in defaults serve.
    fn report(&mut self, error: &watcher::Error) {
        let reason = trouble::watch_reason(Kind::Policy, error);
        if trouble::is_missing(error) {
            self.loaded(false);
        } else {
            self.readiness.hold(LOADED, &reason);
        }
        self.fare.fails(reason, Some(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(uid: &str, generation: i64, successes: u32) -> Stored {
        Stored::new(&json!({
            "apiVersion": format!("{GROUP}/{VERSION}"), "kind": KIND,
            "metadata": {"name": "default", "uid": uid, "generation": generation, "resourceVersion": "1"},
            "spec": {"retention": {"successes": successes}},
        }))
        .unwrap()
    }

    /// A status that is written meets a closed port and is only logged.
    fn watching() -> (PolicyWatch, SharedPolicies, watch::Receiver<Followed>) {
        let nowhere = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        let policies = SharedPolicies::default();
        let (followed, told) = watch::channel(Followed::default());
        let watch = PolicyWatch::new(
            Client::try_from(nowhere).unwrap(),
            Arc::clone(&policies),
            Arc::default(),
            Arc::default(),
            followed,
        );
        (watch, policies, told)
    }

    #[tokio::test]
    async fn a_policy_made_anew_is_put_into_force_though_its_generation_is_the_same() {
        let (mut watch, policies, _told) = watching();
        for (uid, successes) in [("first", 3), ("second", 4)] {
            watch.apply(Event::Init).await;
            watch.apply(Event::InitApply(policy(uid, 1, successes))).await;
            watch.apply(Event::InitDone).await;
            assert_eq!(policies.load().cluster().retention.successes, successes as usize, "{uid}");
        }
    }

    #[tokio::test]
    async fn jobs_are_listed_anew_where_others_are_recognised_and_only_there() {
        let (mut watch, _policies, told) = watching();
        let with = |generation: i64, spec: Value| {
            let mut object: Value =
                serde_json::from_str(policy("a", generation, 3).json()).unwrap();
            object["spec"] = spec;
            Stored::new(&object).unwrap()
        };
        let patterns = json!({"detection": {"jobNames": ["*-schema"]}});
        let own =
            json!({"overrides": [{"namespaces": ["shop"], "detection": {"jobNames": ["x-*"]}}]});
        let steps = [
            (json!({"retention": {"successes": 3}}), 0),
            (patterns.clone(), 1),
            (json!({"detection": {"jobNames": ["*-schema"]}, "onUnknown": "warn"}), 1),
            (own, 2),
            (json!({}), 3),
        ];
        for (generation, (spec, want)) in (1..).zip(steps) {
            watch.apply(Event::Apply(with(generation, spec.clone()))).await;
            assert!(!told.borrow().invalid, "{spec}");
            assert_eq!(told.borrow().detections, want, "{spec}");
        }
        watch.apply(Event::Apply(with(9, patterns))).await;
        watch.apply(Event::Delete(policy("a", 9, 3))).await;
        assert_eq!(told.borrow().detections, 5);
    }

    #[tokio::test]
    async fn what_cannot_be_undone_waits_for_a_valid_policy() {
        let (mut watch, _policies, told) = watching();
        let in_force = || told.borrow().in_force();
        watch.apply(Event::Init).await;
        watch.apply(Event::InitApply(policy("a", 1, 3))).await;
        assert!(!in_force(), "not all is listed");
        watch.apply(Event::InitDone).await;
        assert!(in_force());
        watch.apply(Event::Apply(policy("a", 2, 0))).await;
        assert!(!in_force(), "the stored policy is invalid");
        watch.apply(Event::Apply(policy("a", 3, 5))).await;
        assert!(in_force());
        watch.apply(Event::Apply(policy("a", 4, 0))).await;
        watch.apply(Event::Delete(policy("a", 4, 0))).await;
        assert!(in_force(), "the built-in defaults are meant");
    }
}
