//! One workload: what gates it, what happened, what the webhook would say now, and what to do.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::mode::NamespaceMode;
use super::next::{self, Step};
use super::said::Said;
use super::target::Target;
use super::{VERSION, WhyError, bearing, request, text};
use crate::admission::{Admission, Subject};
use crate::cluster::{Attempt, ClusterState, Reading};
use crate::domain::image::ImageRef;
use crate::domain::outcome::Outcome;
use crate::domain::record::RecordFailure;
use crate::domain::workload::Workload;
use crate::engine::{self, Decision, evaluate};
use crate::policy::Policy;
use crate::policy::gate::{self, Account, Change, Entry, Standing, Voice, account};

/// What the cluster told about a workload.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The workload.
    pub target: Target,
    /// Its namespace.
    pub namespace: String,
    /// The mode of the namespace.
    pub mode: NamespaceMode,
    /// The workload as it is stored.
    pub object: Value,
    /// What happened in the namespace.
    pub reading: Reading,
}

/// Why a workload may or may not roll out.
#[derive(Debug, Serialize)]
pub struct Explanation {
    version: u32,
    pub(super) kind: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
    /// The releases that its manifest has now.
    pub(super) current: Vec<String>,
    /// The image that was asked about.
    pub(super) image: Option<String>,
    /// Whether that is the one that it has already.
    pub(super) unchanged: bool,
    /// The request that is judged.
    pub(super) operation: &'static str,
    pub(super) mode: NamespaceMode,
    pub(super) gated_by: Vec<Gating>,
    /// Migrations of the namespace that are none of the workload's; told where it has none.
    pub(super) unpaired: Vec<Unpaired>,
    /// Every attempt of the app, the oldest first.
    pub(super) evidence: Vec<Row>,
    /// What persons say of the workload.
    pub(super) overrides: Vec<Voiced>,
    pub(super) verdict: Verdict,
    pub(super) next: Vec<Step>,
    /// What may run for being proven, the newest first.
    pub(super) proven: Vec<Proven>,
}

/// A migration that gates the workload.
#[derive(Debug, Serialize)]
pub(super) struct Gating {
    pub(super) migration: String,
    pub(super) command: String,
    pub(super) reason: String,
    /// Whether it may hold the workload. A likely pair only warns.
    pub(super) sure: bool,
}

/// A migration that does not.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Unpaired {
    pub(super) migration: String,
    pub(super) image: Option<String>,
}

/// One attempt.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) created: Timestamp,
    pub(super) started: Option<Timestamp>,
    pub(super) completed: Option<Timestamp>,
    pub(super) duration: Option<String>,
    pub(super) migration: String,
    pub(super) phase: &'static str,
    pub(super) release: String,
    pub(super) image: Option<String>,
    pub(super) confidence: &'static str,
    pub(super) outcome: &'static str,
    pub(super) reason: Option<String>,
    /// By which container it failed.
    pub(super) failure: Option<RecordFailure>,
    pub(super) job: String,
    pub(super) job_exists: bool,
    pub(super) recorded: bool,
    /// What it means for each release that is judged.
    pub(super) bearings: Vec<Bearing>,
}

/// What an attempt means for a release.
#[derive(Debug, Serialize)]
pub(super) struct Bearing {
    pub(super) release: String,
    #[serde(rename = "bearing")]
    pub(super) kind: &'static str,
    pub(super) counts: bool,
    pub(super) says: &'static str,
}

/// An override that speaks of the workload.
#[derive(Debug, Serialize)]
pub(super) struct Voiced {
    pub(super) name: String,
    #[serde(rename = "kind")]
    pub(super) does: &'static str,
    pub(super) release: Option<String>,
    pub(super) until: Option<Timestamp>,
    /// Whether it applies to what is judged: `applies`, `expired` or `other-release`.
    pub(super) standing: &'static str,
    pub(super) reason: String,
}

/// What would become of the rollout.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    /// Whether it would be let through in this namespace.
    pub(super) admitted: bool,
    /// What the gate makes of each release; empty where none changes.
    pub(super) releases: Vec<Judged>,
    /// What an enforcing namespace answers, this one or another.
    pub(super) enforced: Said,
}

/// What the gate makes of a release.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    pub(super) release: String,
    pub(super) verdict: &'static str,
    pub(super) because: String,
}

/// A release that is proven.
#[derive(Debug, Serialize)]
pub(super) struct Proven {
    pub(super) image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) release: Option<String>,
}

impl Explanation {
    /// Whether the rollout would be let through.
    pub fn is_admitted(&self) -> bool {
        self.verdict.admitted
    }

    /// The same for a person, ended by a newline.
    pub fn text(&self) -> String {
        text::explanation(self)
    }

    pub(super) fn object(&self) -> String {
        format!("{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Explains what the webhook would say if a workload were rolled out with this image at this moment, or without one
/// as it is, by somebody who creates it.
pub fn explain(
    seen: &Seen,
    image: Option<&str>,
    policy: &Policy,
    now: Timestamp,
) -> Result<Explanation, WhyError> {
    let Seen { target, namespace, object, .. } = seen;
    let name = format!("{} {namespace}/{}", target.kind.name(), target.name);
    let state = ClusterState::default().confirmed(namespace, seen.reading.clone());
    let body = request::review(target.kind, namespace, object, None);
    let created = request::admission(&body, &name)?;
    let now_runs = accounted(&created, None, namespace, &state, policy, now);
    let (containers, current) = match &now_runs {
        Some(account) => (account.containers.clone(), account.releases.clone()),
        None => (Vec::new(), Vec::new()),
    };
    let Some(image) = image else {
        return Ok(Subjected { seen, state: &state, policy, now }.explain(&created, current, None));
    };
    let asked = ImageRef::parse(image)
        .map_err(|error| WhyError::Image { text: image.to_owned(), reason: error.to_string() })?;
    let Subject::Workload(workload) = &created.subject else {
        return Err(WhyError::NoContainers { object: name, hint: String::new() });
    };
    let containers = request::containers_for(workload, &containers, &asked, &name)?;
    let new = request::with_image(object, &containers, image);
    let asked = Asked { image, containers: &containers, unchanged: new == *object };
    let body = request::review(target.kind, namespace, &new, Some(object));
    let updated = request::admission(&body, &name)?;
    Ok(Subjected { seen, state: &state, policy, now }.explain(&updated, current, Some(asked)))
}

/// An image that is asked about, and where it goes.
struct Asked<'a> {
    image: &'a str,
    containers: &'a [String],
    unchanged: bool,
}

fn accounted<'s>(
    admission: &'s Admission<'_>,
    old: Option<&'s Subject<'_>>,
    namespace: &'s str,
    state: &'s ClusterState,
    policy: &'s Policy,
    now: Timestamp,
) -> Option<Account<'s>> {
    let Subject::Workload(new) = &admission.subject else { return None };
    let old: Option<&Workload<'_>> = match old {
        Some(Subject::Workload(old)) => Some(old),
        _ => None,
    };
    Some(account(Change { new, old, namespace }, state, policy, now))
}

/// All that a verdict depends on but the request.
struct Subjected<'a> {
    seen: &'a Seen,
    state: &'a ClusterState,
    policy: &'a Policy,
    now: Timestamp,
}

impl Subjected<'_> {
    fn explain(
        &self,
        admission: &Admission<'_>,
        current: Vec<String>,
        asked: Option<Asked<'_>>,
    ) -> Explanation {
        let Seen { target, namespace, mode, .. } = self.seen;
        let decision =
            evaluate(admission, self.state, self.policy, engine::Mode::Enforce, self.now);
        let enforced = Said::of(admission, &decision, self.policy);
        let old = admission.old();
        let mut account =
            accounted(admission, old.as_ref(), namespace, self.state, self.policy, self.now);
        for judgement in account.iter_mut().flat_map(|account| &mut account.judgements) {
            heard(judgement, &decision);
        }
        let (entries, judgements) =
            account.as_ref().map(|a| (&*a.entries, &*a.judgements)).unwrap_or_default();
        let releases = account.as_ref().map(|a| &*a.releases).unwrap_or_default();
        let verdict = Verdict {
            admitted: enforced.admitted || !mode.refuses(),
            releases: judgements.iter().map(Judged::of).collect(),
            enforced,
        };
        let proven = account.iter().flat_map(|account| &account.proven);
        let proven: Vec<Proven> = proven
            .map(|proven| Proven { image: proven.image.clone(), release: proven.token.clone() })
            .collect();
        let next = next::steps(&next::Situation {
            target,
            namespace,
            created: asked.is_none(),
            said: &verdict.enforced,
            refused: !verdict.admitted,
            now: self.now,
            longest_bypass: self.policy.longest_bypass,
            judgements,
            entries,
            releases,
            proven: &proven,
            containers: asked
                .as_ref()
                .map(|asked| asked.containers)
                .or(account.as_ref().map(|a| &*a.containers))
                .unwrap_or_default(),
        });
        Explanation {
            version: VERSION,
            kind: target.kind.name(),
            namespace: namespace.clone(),
            name: target.name.clone(),
            current,
            image: asked.as_ref().map(|asked| asked.image.to_owned()),
            unchanged: asked.is_some_and(|asked| asked.unchanged),
            operation: admission.operation.name(),
            mode: mode.clone(),
            gated_by: gating(entries),
            unpaired: if entries.is_empty() { self.unpaired() } else { Vec::new() },
            evidence: entries.iter().map(|entry| self.row(entry, releases)).collect(),
            overrides: account.iter().flat_map(|account| &account.voices).map(voiced).collect(),
            verdict,
            next,
            proven,
        }
    }

    fn row(&self, entry: &Entry<'_>, releases: &[String]) -> Row {
        let (attempt, outcome) = (entry.sighting.attempt(), entry.sighting.outcome());
        let bearings = releases.iter().zip(&entry.bearings).map(|(release, bears)| {
            let (kind, counts, says) = bearing::bearing(*bears, outcome);
            Bearing { release: release.clone(), kind, counts, says }
        });
        Row {
            created: attempt.created,
            started: attempt.started,
            completed: attempt.completed,
            duration: self.duration(attempt, outcome),
            migration: attempt.migration.name.clone(),
            phase: attempt.phase.name(),
            release: attempt.release(),
            image: attempt.facts.image.as_ref().map(ToString::to_string),
            confidence: attempt.facts.confidence.name(),
            outcome: outcome.name(),
            reason: attempt.reason.clone(),
            failure: attempt.failure.as_deref().cloned(),
            job: attempt.facts.key.name.clone(),
            job_exists: entry.sighting.has_job(),
            recorded: entry.sighting.has_record(),
            bearings: bearings.collect(),
        }
    }

    /// How long it took; of one that runs, how long that has been.
    fn duration(&self, attempt: &Attempt, outcome: Outcome) -> Option<String> {
        if outcome != Outcome::Running {
            return attempt.record_status().duration;
        }
        let until_now = Attempt { completed: Some(self.now), ..attempt.clone() };
        until_now.record_status().duration
    }

    fn unpaired(&self) -> Vec<Unpaired> {
        let mut found: Vec<Unpaired> = Vec::new();
        for sighting in self.state.attempts().of_namespace(&self.seen.namespace) {
            let attempt = sighting.attempt();
            let migration = Unpaired {
                migration: attempt.migration.name.clone(),
                image: attempt.facts.image.as_ref().map(|image| image.repository().to_owned()),
            };
            if !found.contains(&migration) {
                found.push(migration);
            }
        }
        found.sort_by(|a, b| (&a.migration, &a.image).cmp(&(&b.migration, &b.image)));
        found
    }
}

impl Judged {
    fn of(judgement: &gate::Judgement<'_>) -> Self {
        let (verdict, because) = bearing::verdict(judgement);
        Self { release: judgement.gated.to_string(), verdict, because }
    }
}

/// The gate bypasses whatever a person names; the engine takes that back where nothing would be refused.
fn heard(judgement: &mut gate::Judgement<'_>, decision: &Decision) {
    if let gate::Verdict::Bypassed(by) = judgement.verdict
        && !decision.hears(by, &judgement.gated.to_string())
        && let Some(unheard) = judgement.without_overrides()
    {
        *judgement = unheard;
    }
}

fn voiced(voice: &Voice<'_>) -> Voiced {
    Voiced {
        name: voice.of.name.clone(),
        does: voice.of.kind().name(),
        release: voice.of.release().map(str::to_owned),
        until: voice.until,
        standing: match voice.standing {
            Standing::Applies => "applies",
            Standing::Expired => "expired",
            Standing::OtherRelease => "other-release",
        },
        reason: voice.of.spec.reason.clone(),
    }
}

/// Each migration once, by its newest attempt.
fn gating(entries: &[Entry<'_>]) -> Vec<Gating> {
    let mut migrations = Vec::new();
    let mut found = Vec::new();
    for entry in entries.iter().rev() {
        let migration = &entry.sighting.attempt().migration;
        if !migrations.contains(&migration) {
            migrations.push(migration);
            found.push(Gating {
                migration: migration.name.clone(),
                command: migration.command.clone(),
                reason: entry.reason.to_string(),
                sure: entry.reason.is_sure(),
            });
        }
    }
    found.sort_by(|a, b| a.migration.cmp(&b.migration));
    found
}
