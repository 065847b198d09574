//! One namespace, read at the moment of a decision.

mod objects;

use std::fmt;
use std::time::Duration;

use futures_util::future::try_join_all;
use kube::api::ListParams;
use kube::{Api, Client, Error};
use tokio::time::timeout;

use super::feed::attempt_of_record;
use super::stored::{Kind, Stored};
use super::trouble;
use crate::cluster::retention::LiveReleases;
use crate::cluster::{
    Attempt, Attempts, ObjectKey, Override, Question, Reading, Reference, ReferenceKind,
};
use crate::server::live::{Live, LiveReading, Unread};
use crate::server::webhook::SharedPolicies;
use objects::{ControllerRevision, ReplicaSet, Running};

/// The API server waits for our answer for three seconds, and the decision itself takes none.
const BOUND: Duration = Duration::from_secs(1);

/// A namespace's attempts and the releases that still matter there.
pub(super) struct History {
    pub(super) attempts: Attempts,
    pub(super) overrides: Vec<Override>,
    pub(super) live: LiveReleases,
}

/// Answers questions by asking the API server, each thing once and all at the same time.
#[derive(Clone)]
pub struct LiveReader {
    client: Client,
    bound: Duration,
    policies: SharedPolicies,
}

impl fmt::Debug for LiveReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveReader").finish_non_exhaustive()
    }
}

impl Live for LiveReader {
    fn read(&self, question: Question) -> LiveReading<'_> {
        Box::pin(async move {
            timeout(self.bound, Box::pin(self.answer(question))).await.unwrap_or_else(|_elapsed| {
                let bound = self.bound.as_secs();
                Err(Unread(format!("the API server did not answer within {bound} s")))
            })
        })
    }
}

impl LiveReader {
    /// `client` must not repeat requests by itself: there is no time for that.
    pub(super) const fn new(client: Client, policies: SharedPolicies) -> Self {
        Self::within(client, BOUND, policies)
    }

    /// A reader for whom no API server waits, but a person.
    pub const fn within(client: Client, bound: Duration, policies: SharedPolicies) -> Self {
        Self { client, bound, policies }
    }

    async fn answer(&self, question: Question) -> Result<Reading, Unread> {
        let Question { namespace, revisions_of, running, references } = question;
        let owner = revisions_of.as_ref();
        let (jobs, records, overrides, sets, revisions, running, missing) = tokio::try_join!(
            self.list(Kind::Job, &namespace),
            self.list(Kind::Record, &namespace),
            self.list(Kind::Override, &namespace),
            self.list_if(running || owner.is_some_and(has_sets), Kind::ReplicaSet, &namespace),
            self.list_if(
                owner.is_some_and(|owner| !has_sets(owner)),
                Kind::ControllerRevision,
                &namespace
            ),
            self.running(running, &namespace),
            self.missing(references, &namespace),
        )?;
        let sets: Vec<ReplicaSet<'_>> = objects::read(&sets);
        let revisions: Vec<ControllerRevision<'_>> = objects::read(&revisions);
        let of_owner = |owner: ObjectKey| {
            let of_sets = sets.iter().filter_map(|set| set.revision_of(&owner));
            of_sets.chain(revisions.iter().filter_map(|r| r.revision_of(&owner))).collect()
        };
        Ok(Reading {
            // What cannot be read proves nothing, and the watch has counted it.
            jobs: self.attempts(&jobs, &namespace),
            records: records.iter().filter_map(|record| attempt_of_record(record).ok()).collect(),
            overrides: overrides_of(&overrides),
            revisions: revisions_of.map(of_owner).unwrap_or_default(),
            running: running.facts(&namespace, &sets),
            missing,
        })
    }

    /// What a namespace remembers and what runs or may be rolled back to there, without a bound of time.
    pub(super) async fn history(&self, namespace: &str) -> Result<History, Unread> {
        let (jobs, records, overrides, sets, revisions, running) = tokio::try_join!(
            self.list(Kind::Job, namespace),
            self.list(Kind::Record, namespace),
            self.list(Kind::Override, namespace),
            self.list(Kind::ReplicaSet, namespace),
            self.list(Kind::ControllerRevision, namespace),
            self.running(true, namespace),
        )?;
        let mut live = LiveReleases::default();
        objects::revisions_into(&mut live, &sets, &revisions);
        for facts in running.facts(namespace, &[]) {
            live.workload(&facts);
        }
        let mut attempts = Attempts::default();
        attempts.replace_namespace(
            namespace,
            self.attempts(&jobs, namespace),
            records.iter().filter_map(|record| attempt_of_record(record).ok()).collect(),
        );
        Ok(History { attempts, overrides: overrides_of(&overrides), live })
    }

    fn attempts(&self, jobs: &[Stored], namespace: &str) -> Vec<Attempt> {
        let policies = self.policies.load();
        let detection = &policies.of(namespace).detection;
        jobs.iter().filter_map(|job| Attempt::of_job_by(job.json(), detection).ok()?).collect()
    }

    async fn list(&self, kind: Kind, namespace: &str) -> Result<Vec<Stored>, Unread> {
        let api = self.api(kind, namespace);
        match api.list(&ListParams::default()).await {
            Ok(list) => Ok(list.items),
            // A cluster without Argo Rollouts has none, and one without the definition of overrides has no override.
            Err(Error::Api(status))
                if status.code == 404 && matches!(kind, Kind::Rollout | Kind::Override) =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(Unread(trouble::reason("list", kind, &error))),
        }
    }

    async fn list_if(&self, wanted: bool, kind: Kind, ns: &str) -> Result<Vec<Stored>, Unread> {
        if wanted { self.list(kind, ns).await } else { Ok(Vec::new()) }
    }

    async fn running(&self, wanted: bool, namespace: &str) -> Result<Running, Unread> {
        if !wanted {
            return Ok(Running::default());
        }
        let (deployments, stateful, daemons, rollouts, pods) = tokio::try_join!(
            self.list(Kind::Deployment, namespace),
            self.list(Kind::StatefulSet, namespace),
            self.list(Kind::DaemonSet, namespace),
            self.list(Kind::Rollout, namespace),
            self.list(Kind::Pod, namespace),
        )?;
        Ok(Running { deployments, stateful, daemons, rollouts, pods })
    }

    /// Those of the references that do not exist.
    async fn missing(&self, wanted: Vec<Reference>, ns: &str) -> Result<Vec<Reference>, Unread> {
        let absent = wanted.into_iter().map(|reference| async move {
            let kind = match reference.kind {
                ReferenceKind::ServiceAccount => Kind::ServiceAccount,
                ReferenceKind::ConfigMap => Kind::ConfigMap,
                ReferenceKind::PersistentVolumeClaim => Kind::PersistentVolumeClaim,
            };
            // What is in it is none of our business.
            match self.api(kind, ns).get_metadata_opt(&reference.name).await {
                Ok(found) => Ok(found.is_none().then_some(reference)),
                Err(error) => Err(Unread(trouble::reason("get", kind, &error))),
            }
        });
        Ok(try_join_all(absent).await?.into_iter().flatten().collect())
    }

    fn api(&self, kind: Kind, namespace: &str) -> Api<Stored> {
        Api::namespaced_with(self.client.clone(), namespace, &kind.resource())
    }
}

/// Whether the revisions of a workload are ReplicaSets; those of the others are ControllerRevisions.
fn has_sets(workload: &ObjectKey) -> bool {
    matches!(workload.kind, "Deployment" | "Rollout")
}

/// The overrides that can be read; the watch has counted the others.
fn overrides_of(stored: &[Stored]) -> Vec<Override> {
    stored.iter().filter_map(|one| Override::read(one.namespace(), one.json()).ok()).collect()
}
