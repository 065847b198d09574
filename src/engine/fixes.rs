//! What a policy fills in where the author of a migration left it out.

use serde_json::json;

use super::mutate::{Mutation, make_room};
use crate::admission::Admission;
use crate::domain::fix::{DO_NOT_EVICT, Fix, REPLACE_FAILED};
use crate::domain::job::{DEFAULT_BACKOFF_LIMIT, Job};
use crate::policy::Policy;

const TEMPLATE_ANNOTATIONS: [&str; 4] = ["spec", "template", "metadata", "annotations"];

/// The deadline that this Job gets; `None` where it has one, or where the policy gives none.
pub(super) fn deadline(job: &Job<'_>, policy: &Policy) -> Option<i64> {
    policy.fixes.deadline_seconds.filter(|_| Fix::Deadline.is_missing(job))
}

/// Fills in what the policy asks for, and returns what that was. `waits`: something surely waits for the database before
/// the migration starts, perhaps a container that was added just now.
pub(super) fn apply(
    admission: &Admission<'_>,
    job: &Job<'_>,
    policy: &Policy,
    waits: bool,
    mutation: &mut Mutation,
) -> Vec<Fix> {
    let wanted = Fix::ALL.into_iter().filter(|fix| policy.fixes.wants(*fix));
    let mut missing: Vec<Fix> = wanted.filter(|fix| fix.is_missing(job)).collect();
    if !waits && missing.contains(&Fix::NoRetries) {
        // Such a migration may work only because it is run again until its database is there.
        missing.retain(|fix| *fix != Fix::NoRetries);
        mutation.notices.push(format!(
            "backoffLimit stays {DEFAULT_BACKOFF_LIMIT}: nothing surely waits for the database, so retries may be what does"
        ));
    }
    for fix in &missing {
        let notice = fill(*fix, admission, job, policy, mutation);
        mutation.notices.push(notice);
    }
    missing
}

/// Fills one in, and says so in a sentence.
fn fill(
    fix: Fix,
    admission: &Admission<'_>,
    job: &Job<'_>,
    policy: &Policy,
    mutation: &mut Mutation,
) -> String {
    match fix {
        Fix::NoRetries => {
            mutation.add(&["spec", "backoffLimit"], json!(0));
            "backoffLimit was set to 0: a failed migration is not run again".to_owned()
        }
        Fix::Deadline => {
            let seconds = policy.fixes.deadline_seconds;
            mutation.add(&["spec", "activeDeadlineSeconds"], json!(seconds));
            let seconds = seconds.unwrap_or_default();
            format!("activeDeadlineSeconds was set to {seconds}, the policy's default")
        }
        Fix::ReplaceFailedOnly => {
            mutation.add(&["spec", "podReplacementPolicy"], json!(REPLACE_FAILED));
            format!(
                "podReplacementPolicy was set to {REPLACE_FAILED}: no second pod runs while one ends"
            )
        }
        Fix::DoNotEvict => {
            let annotations = &job.manifest.spec.template.metadata.annotations;
            make_room(admission, &TEMPLATE_ANNOTATIONS, annotations, mutation);
            for (key, value) in DO_NOT_EVICT {
                mutation.add(&[&TEMPLATE_ANNOTATIONS[..], &[key]].concat(), json!(value));
            }
            "annotations were added that keep autoscalers from evicting this migration".to_owned()
        }
    }
}
