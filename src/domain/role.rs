//! What a Job is for, how sure we are, and why.

use super::argocd::{HookPhase, Ordering};
use super::command::CommandReading;
use super::detection::Detection;
use super::keys::{self, AuthorValue};
use super::manifest::{ContainerPlace, JobManifest};
use super::runner::{Certainty, Effect, RunnerMatch};

/// What a Job does for a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Changes a database schema before a rollout.
    Migration,
    /// Checks the result after the rollout.
    Verification,
    /// Neither, or nothing says so.
    None,
}

impl Role {
    /// Name as authors write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Migration => "migration",
            Self::Verification => "verification",
            Self::None => "none",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Migration, Self::Verification, Self::None]
            .into_iter()
            .find(|role| role.name() == text)
    }
}

/// How sure the role is. Only explicit and strong ones may deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// A bare verb with a hint, or a name alone: worth a hint at the label, nothing else.
    Weak,
    /// A signature that the author did not order before the rollout.
    Medium,
    /// A mutating signature that the author ordered before the rollout.
    Strong,
    /// The author said so.
    Explicit,
}

impl Confidence {
    /// Name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Medium => "medium",
            Self::Strong => "strong",
            Self::Explicit => "explicit",
        }
    }
}

/// What a migration does to the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationPhase {
    /// Backward-compatible change.
    Expand,
    /// Removes what old code needs.
    Contract,
    /// Undoes a migration.
    Revert,
}

impl MigrationPhase {
    /// Name as authors write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Contract => "contract",
            Self::Revert => "revert",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Expand, Self::Contract, Self::Revert].into_iter().find(|phase| phase.name() == text)
    }
}

/// Outcome of recognising a Job.
#[derive(Clone, Debug)]
pub struct Recognition {
    /// The role.
    pub role: Role,
    /// How sure it is.
    pub confidence: Confidence,
    /// Why, in words that fit behind "because it".
    pub reason: String,
    /// The container that runs the migration; `None` where several could be meant.
    pub container: Option<ContainerPlace>,
    /// The command that gave the role away.
    pub runner: Option<RunnerMatch>,
    /// What the migration does: declared, else told by its command.
    pub phase: MigrationPhase,
    /// Author keys whose values mean nothing, each as a sentence.
    pub notices: Vec<String>,
}

impl Recognition {
    /// Whether findings about the Job may deny.
    pub fn may_deny(&self) -> bool {
        self.confidence >= Confidence::Strong
    }

    /// Whether the Job is a migration that rules look at: weak ones are only hinted at.
    pub fn is_migration(&self) -> bool {
        self.role == Role::Migration && self.confidence >= Confidence::Medium
    }
}

/// One container's place and what its command does.
pub type Reading = (ContainerPlace, CommandReading);

/// Recognises a Job by what its author says, else by what its containers run and where in a sync.
pub fn recognise(
    job: &JobManifest<'_>,
    ordering: &Ordering,
    readings: &[Reading],
    detection: &Detection,
) -> Recognition {
    let mut recognition = Recognition {
        role: Role::None,
        confidence: Confidence::Weak,
        reason: String::new(),
        container: None,
        runner: None,
        phase: MigrationPhase::Expand,
        notices: Vec::new(),
    };
    let runner = best_runner(readings);
    if let Some((place, found)) = runner {
        recognition.container = Some(place);
        recognition.runner = Some(found.clone());
        recognition.phase = match found.effect {
            Effect::Apply => MigrationPhase::Expand,
            Effect::Contract => MigrationPhase::Contract,
            Effect::Revert => MigrationPhase::Revert,
        };
    }
    read_container_key(job, &mut recognition);
    read_phase_key(job, &mut recognition);
    if read_role_key(job, detection, &mut recognition) || is_never_guessed(job, ordering) {
        return recognition;
    }
    let named = detection.job_name(&job.metadata.display_name());
    let told = match (runner, named) {
        // What a policy says of a name is as sure as what a table says of a command.
        (Some((_, found)), _) if found.certainty == Certainty::Certain || named.is_none() => {
            let certain = found.certainty == Certainty::Certain;
            Some((certain, format!("runs `{}` ({})", found.command, found.tool)))
        }
        (_, Some(glob)) => {
            Some((true, format!("has a name that the policy lists (`{}`)", glob.as_str())))
        }
        _ => None,
    };
    if let Some((certain, why)) = told {
        recognition.role = Role::Migration;
        let order = order_before_rollout(ordering);
        let strong = certain && order.is_some();
        recognition.confidence = if strong { Confidence::Strong } else { Confidence::Medium };
        let order = order.unwrap_or_else(|| "not ordered before the rollout".to_owned());
        recognition.reason = format!("{why}, {order}");
        if recognition.container.is_none() {
            recognition.container = super::job::only_app_container(&job.spec.template.spec);
        }
    } else if let Some(hint) = weak_hint(job, readings) {
        recognition.role = Role::Migration;
        recognition.reason = hint;
    }
    recognition
}

/// The most telling runner: a certain one before an uncertain one, else in the order in which they run.
fn best_runner(readings: &[Reading]) -> Option<(ContainerPlace, &RunnerMatch)> {
    let found = || {
        let runners = readings.iter();
        runners.filter_map(|(place, reading)| Some((*place, reading.runner.as_ref()?)))
    };
    found().find(|(_, runner)| runner.certainty == Certainty::Certain).or_else(|| found().next())
}

fn job_key<'a>(job: &'a JobManifest<'_>, key: &'static str) -> Option<AuthorValue<'a>> {
    let template = &job.spec.template.metadata;
    keys::author_value(&job.metadata, Some(template), key)
}

/// Whether the author's role key decides.
fn read_role_key(
    job: &JobManifest<'_>,
    detection: &Detection,
    recognition: &mut Recognition,
) -> bool {
    let Some(found) = job_key(job, keys::ROLE) else { return false };
    let Some(role) = Role::parse(found.value) else {
        recognition.notices.push(format!(
            "{} is `{}`: want migration, verification or none; it is ignored",
            found.path(),
            found.value
        ));
        return false;
    };
    if role == Role::None && detection.none_is_forbidden() {
        recognition.notices.push(format!(
            "{} is `none`, which the policy forbids (roleNone); it is ignored",
            found.path()
        ));
        return false;
    }
    recognition.role = role;
    recognition.confidence = Confidence::Explicit;
    recognition.reason = format!("is declared `{}: {}`", keys::ROLE, role.name());
    if recognition.container.is_none() {
        let pod = &job.spec.template.spec;
        recognition.container = super::job::only_app_container(pod);
    }
    true
}

fn read_phase_key(job: &JobManifest<'_>, recognition: &mut Recognition) {
    let Some(found) = job_key(job, keys::PHASE) else { return };
    match MigrationPhase::parse(found.value) {
        Some(phase) => recognition.phase = phase,
        None => recognition.notices.push(format!(
            "{} is `{}`: want expand, contract or revert; it is ignored",
            found.path(),
            found.value
        )),
    }
}

fn read_container_key(job: &JobManifest<'_>, recognition: &mut Recognition) {
    let Some(found) = job_key(job, keys::CONTAINER) else { return };
    let pod = &job.spec.template.spec;
    match pod.all_containers().find(|(_, container)| container.name.as_str() == found.value) {
        Some((place, _)) => recognition.container = Some(place),
        None => recognition.notices.push(format!(
            "{} is `{}`, but no container has that name; it is ignored",
            found.path(),
            found.value
        )),
    }
}

/// Jobs that are never a migration by guess: those of a CronJob run on a schedule, and those that only run
/// when something is deleted or tested never stand before a rollout.
fn is_never_guessed(job: &JobManifest<'_>, ordering: &Ordering) -> bool {
    let of_cron_job =
        job.metadata.owner_references.iter().any(|owner| owner.kind.as_str() == "CronJob");
    // `kubectl create job --from=cronjob/x` marks its Jobs so.
    let by_hand = job.metadata.annotations.get("cronjob.kubernetes.io/instantiate").is_some();
    of_cron_job || by_hand || ordering.never_deploys()
}

/// How the author ordered the Job before the rollout, if at all.
fn order_before_rollout(ordering: &Ordering) -> Option<String> {
    if ordering.is_misspelt_hook() && !ordering.helm_hook {
        return Some("as a hook whose name is misspelt".to_owned());
    }
    if ordering.helm_pre {
        return Some("as a Helm pre-hook".to_owned());
    }
    if ordering.has(HookPhase::PreSync) {
        return Some("as a PreSync hook".to_owned());
    }
    if !ordering.has_wave {
        return None;
    }
    if ordering.has(HookPhase::Sync) {
        return Some(format!("as a Sync hook in wave {}", ordering.wave));
    }
    (!ordering.is_hook()).then(|| format!("in wave {}", ordering.wave))
}

/// Words of a name that say that it is about something other than a database schema.
const OTHER_MIGRATIONS: &[&str] = &[
    "storage",
    "storageversion",
    "version",
    "crd",
    "crds",
    "resource",
    "resources",
    "cert",
    "certs",
    "certificate",
    "certificates",
    "webhook",
    "pv",
    "pvc",
    "volume",
    "volumes",
    "secret",
    "secrets",
    "config",
    "configmap",
    "backup",
    "restore",
    "bucket",
    "s3",
    "kubernetes",
    "k8s",
    "namespace",
    "vm",
    "workload",
    "workloads",
    "check",
    "wait",
    "status",
    "verify",
    "test",
    "cleanup",
    "dashboards",
];

/// Why a Job looks like a migration without a signature: a bare verb with a hint in a name, or its own name.
fn weak_hint(job: &JobManifest<'_>, readings: &[Reading]) -> Option<String> {
    let name = job.metadata.display_name();
    let named = speaks_of_migration(&name);
    for (place, reading) in readings {
        let Some(verb) = &reading.bare_verb else { continue };
        let container = job.spec.template.spec.container(*place)?;
        let image = container.image.rsplit('/').next().unwrap_or_default();
        if named || speaks_of_migration(&container.name) || speaks_of_migration(image) {
            return Some(format!("has the verb `{verb}` and a name that speaks of a migration"));
        }
    }
    named.then(|| format!("is named `{name}`"))
}

fn speaks_of_migration(name: &str) -> bool {
    let mut speaks = false;
    for word in name.split(|c: char| !c.is_ascii_alphanumeric()) {
        if OTHER_MIGRATIONS.contains(&word) {
            return false;
        }
        speaks |= matches!(
            word,
            "migrate"
                | "migrates"
                | "migration"
                | "migrations"
                | "migrator"
                | "dbmigrate"
                | "dbmigration"
        );
    }
    speaks
}
