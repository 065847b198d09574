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
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::backoff::Backoff;
use super::stored::{Kind, Stored};
use super::trouble;
use crate::domain::record::{GROUP, VERSION};
use crate::policy::document::status::{RolloutPolicyStatus, Verdict};
use crate::policy::document::{ACTIVE, KIND, compile, one_line, read};
use crate::policy::exemption::Standing;
use crate::policy::{Policies, Policy};
use crate::server::webhook::SharedPolicies;
use crate::server::{Metrics, Readiness};

/// The API server ends a watch after this time and it is begun anew.
const WATCH_SECONDS: u32 = 60;

/// A CustomResourceDefinition that was missing is noticed within this time.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

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

/// A stored object and what it has come to.
struct Seen {
    generation: i64,
    status: Option<RolloutPolicyStatus>,
    /// Why it is not in force.
    wrong: Option<String>,
    written: Option<(i64, Instant)>,
}

/// Follows the stored policies.
pub(super) struct PolicyWatch {
    client: Client,
    policies: SharedPolicies,
    base: Policy,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    seen: BTreeMap<String, Seen>,
    listed: Vec<String>,
    said: String,
}

impl PolicyWatch {
    pub(super) fn new(
        client: Client,
        policies: SharedPolicies,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
    ) -> Self {
        let base = policies.load().cluster().clone();
        readiness.wait_for(LOADED, "the policy is not read yet");
        Self {
            client,
            policies,
            base,
            metrics,
            readiness,
            seen: BTreeMap::new(),
            listed: Vec::new(),
            said: String::new(),
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
                            self.works();
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
        self.policies.store(Arc::new(policies));
        self.count();
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
        let status = value.get("status").cloned();
        let status = status.and_then(|status| serde_json::from_value(status).ok());
        let before = self.seen.remove(&name);
        let known = before.as_ref().is_some_and(|seen| seen.generation == generation);
        let mut seen = Seen {
            generation,
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
        let status = RolloutPolicyStatus::new(seen.generation, verdict, &policies, before, now);
        let paused = seen
            .written
            .is_some_and(|(generation, at)| generation == seen.generation && at.elapsed() < PAUSE);
        if paused || !status.replaces(before) {
            return;
        }
        let generation = seen.generation;
        if let Some(seen) = self.seen.get_mut(name) {
            seen.written = Some((generation, Instant::now()));
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

    fn works(&mut self) {
        if !std::mem::take(&mut self.said).is_empty() {
            tracing::info!(watch = LOADED, "the watch works again");
        }
    }

    /// Says a failure once. Where the definition is missing there is no policy: the built-in defaults serve.
    fn report(&mut self, error: &watcher::Error) {
        let reason = trouble::watch_reason(Kind::Policy, error);
        if is_missing(error) {
            self.loaded(false);
        } else {
            self.readiness.hold(LOADED, &reason);
        }
        if self.said != reason {
            tracing::warn!(watch = LOADED, reason, detail = %error, "the watch failed");
            self.said = reason;
        }
    }
}

fn is_missing(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(Error::Api(status))
        | watcher::Error::WatchStartFailed(Error::Api(status)) => status.code == 404,
        _ => false,
    }
}
