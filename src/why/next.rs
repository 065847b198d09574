//! What to do next, with the commands to do it.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::explain::Proven;
use super::said::Said;
use super::target::Target;
use crate::cluster::{Attempt, Sighting};
use crate::domain::image::ImageRef;
use crate::domain::outcome::Outcome;
use crate::domain::workload::WorkloadKind;
use crate::policy::gate::{Bearing, Entry, Gated, Judgement, Verdict};

/// How many proven releases get a command; JSON lists all.
const WAYS_BACK: usize = 3;

/// For how long a Bypass is proposed, where the policy lets one count for as long.
const BYPASSED: SignedDuration = SignedDuration::from_hours(1);

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    /// What, as an instruction.
    pub(super) says: String,
    /// How; empty where no command is known.
    pub(super) commands: Vec<String>,
}

/// What the next steps depend on.
pub(super) struct Situation<'a, 's> {
    pub(super) target: &'a Target,
    pub(super) namespace: &'a str,
    /// Whether the workload was judged as it is.
    pub(super) created: bool,
    /// What an enforcing namespace answers.
    pub(super) said: &'a Said,
    /// Whether this namespace refuses it.
    pub(super) refused: bool,
    pub(super) now: Timestamp,
    /// For how long the policy lets a Bypass count.
    pub(super) longest_bypass: SignedDuration,
    pub(super) judgements: &'a [Judgement<'s>],
    pub(super) entries: &'a [Entry<'s>],
    pub(super) releases: &'a [String],
    pub(super) proven: &'a [Proven],
    pub(super) containers: &'a [String],
}

/// What to do next; empty where there is nothing to do.
pub(super) fn steps(situation: &Situation<'_, '_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let held_by_gate = situation.said.denials().any(|denial| denial.gate);
    for judgement in situation.judgements.iter().filter(|_| held_by_gate) {
        steps.extend(situation.towards(judgement.verdict));
    }
    for denial in situation.said.denials().filter(|denial| !denial.gate) {
        let says = format!("{} {}: {}", denial.code, denial.path, denial.help);
        steps.push(Step { says, commands: Vec::new() });
    }
    if held_by_gate {
        steps.extend(situation.back());
    }
    steps.extend(situation.ask_about_newest());
    steps.extend(situation.bypass());
    steps.dedup();
    steps
}

impl Situation<'_, '_> {
    /// What gets a held release going.
    fn towards(&self, verdict: Verdict<'_>) -> Vec<Step> {
        match verdict {
            Verdict::Running(attempt) => vec![self.wait(attempt)],
            Verdict::Ended(attempt, Outcome::Failed) => {
                vec![self.look(attempt), again(attempt, "run the migration again")]
            }
            Verdict::Ended(attempt, _) | Verdict::Invalidated(attempt, _) => {
                vec![again(attempt, "run the migration again")]
            }
            Verdict::NeverRan(attempt) | Verdict::OtherRelease(attempt) => {
                vec![again(attempt, "run its migration")]
            }
            Verdict::Incomparable(_) => self.helps("WG301"),
            Verdict::Excluded(_) => self.helps("WG306"),
            _ => Vec::new(),
        }
    }

    /// What a rule advises.
    fn helps(&self, code: &str) -> Vec<Step> {
        let denials = self.said.denials().filter(|denial| denial.code == code);
        denials.map(|denial| Step { says: denial.help.clone(), commands: Vec::new() }).collect()
    }

    fn wait(&self, attempt: &Attempt) -> Step {
        let (namespace, job) = (self.namespace, &attempt.facts.key.name);
        Step {
            says: "wait until the migration has completed, then apply or sync again".to_owned(),
            commands: vec![
                format!("kubectl logs -n {namespace} job/{job} --follow"),
                format!("kubectl wait -n {namespace} job/{job} --for=condition=Complete"),
            ],
        }
    }

    fn look(&self, attempt: &Attempt) -> Step {
        let (namespace, job) = (self.namespace, &attempt.facts.key.name);
        let of_attempt = |s: &&Sighting| s.attempt().uid == attempt.uid;
        let exists = self.entries.iter().map(|entry| entry.sighting).find(of_attempt);
        if exists.is_some_and(Sighting::has_job) {
            let container = attempt.failure.as_ref().map(|failure| &failure.container);
            let container = container.map(|name| format!(" -c {name}")).unwrap_or_default();
            return Step {
                says: "see why the migration failed".to_owned(),
                commands: vec![
                    format!("kubectl logs -n {namespace} job/{job}{container}"),
                    format!("kubectl describe -n {namespace} job/{job}"),
                ],
            };
        }
        let says = format!(
            "see why the migration failed: Job {job} is gone and its logs with it, unless the cluster keeps them elsewhere"
        );
        Step { says, commands: Vec::new() }
    }

    /// The ways back: what is proven and is not what was asked about.
    fn back(&self) -> Option<Step> {
        let others = |proven: &&Proven| !self.releases.contains(&proven.image);
        let ways: Vec<&Proven> = self.proven.iter().filter(others).collect();
        if ways.is_empty() {
            return None;
        }
        let images: Vec<&str> = ways.iter().map(|proven| proven.image.as_str()).collect();
        let commands = images.iter().take(WAYS_BACK).filter_map(|image| self.set_image(image));
        Some(Step {
            says: format!("or go back to a release that is proven: {}", images.join(", ")),
            commands: commands.collect(),
        })
    }

    /// A command where one is known: kubectl does not know Rollouts.
    fn set_image(&self, image: &str) -> Option<String> {
        let containers: Vec<String> =
            self.containers.iter().map(|name| format!("{name}={image}")).collect();
        let known = self.target.kind != WorkloadKind::Rollout && !containers.is_empty();
        known.then(|| {
            let (argument, containers) = (self.target.argument(), containers.join(" "));
            format!("kubectl set image -n {} {argument} {containers}", self.namespace)
        })
    }

    /// Where the manifest as it is was asked about, and the newest migration was made for another release: that one
    /// is what the person is probably waiting for.
    fn ask_about_newest(&self) -> Option<Step> {
        let newest = self.entries.last().filter(|_| self.created)?;
        let image = newest.sighting.attempt().facts.image.as_ref()?;
        let of_app = self.releases.iter().any(|release| {
            ImageRef::parse(release).is_ok_and(|release| release.same_repository(image))
        });
        let other = newest.bearings.contains(&Bearing::OtherRelease);
        (of_app && other).then(|| Step {
            says: format!("the newest migration ran for {image}; ask about that"),
            commands: vec![format!(
                "wavegate why {} -n {} --image {image}",
                self.target.argument(),
                self.namespace
            )],
        })
    }

    /// What a person may say where nothing else would still refuse it. The reason is left to them: without one the API
    /// server takes none.
    fn bypass(&self) -> Option<Step> {
        if !self.refused || !self.said.denials().all(|denial| denial.yields_to_bypass) {
            return None;
        }
        let held = self.judgements.iter().filter(|judgement| judgement.is_held());
        let commands: Vec<String> = held.map(|judgement| self.bypass_of(judgement)).collect();
        let says = "as the last resort, and where you answer for it: write a reason, and let the \
                    release through by a GateOverride";
        (!commands.is_empty()).then(|| Step { says: says.to_owned(), commands })
    }

    fn bypass_of(&self, judgement: &Judgement<'_>) -> String {
        let by_image = matches!(judgement.gated, Gated::Release(one) if one.token.is_none());
        let names = if by_image { "image" } else { "release" };
        // Between the shell's single quotes; a name such as `123` or `null` is no text in YAML.
        let text = |text: &str| json!(text).to_string().replace('\'', "\\u0027");
        let Target { kind, name } = self.target;
        let prefix = text(&format!("{name}-"));
        let (release, name) = (text(&judgement.gated.to_string()), text(name));
        let until = self.now + BYPASSED.min(self.longest_bypass);
        let until = until.strftime("%Y-%m-%dT%H:%M:%SZ");
        format!(
            "printf %s '\n\
             apiVersion: wavegate.dev/v1alpha1\n\
             kind: GateOverride\n\
             metadata: {{generateName: {prefix}}}\n\
             spec:\n  \
               kind: Bypass\n  \
               workload: {{kind: {}, name: {name}}}\n  \
               {names}: {release}\n  \
               reason: \"\"\n  \
               expiresAt: \"{until}\"\n\
             ' | kubectl create -n {} -f -",
            kind.name(),
            self.namespace
        )
    }
}

/// Hooks only run in a full sync.
fn again(attempt: &Attempt, what: &str) -> Step {
    let application = attempt.facts.ties.application.as_deref();
    let says = match application {
        Some(_) => {
            format!("{what}: sync in full, since partial and apply-only syncs skip hooks")
        }
        None => format!(
            "{what}: sync in full, upgrade with hooks or start the pipeline, whichever creates Job {}",
            attempt.facts.key.name
        ),
    };
    // Argo CD writes the namespace of an Application elsewhere than its own before an underscore.
    let sync = |name: &str| format!("argocd app sync {}", name.replacen('_', "/", 1));
    Step { says, commands: application.map(sync).into_iter().collect() }
}
