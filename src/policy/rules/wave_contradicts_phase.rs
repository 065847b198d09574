use crate::domain::argocd::{HookPhase, SYNC_WAVE};
use crate::domain::job::Job;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// A wave contradicts the hook's phase.
    ///
    /// # What it checks
    ///
    /// A `PreSync` migration carries an explicit wave above 0, or a `PostSync` verification one below
    /// 0. Helm's hook weights are exempt.
    ///
    /// # Why it matters
    ///
    /// Waves order objects within a phase, not across phases: a `PreSync` hook runs before wave 0
    /// whatever its own wave. Who writes wave 2 on it expects something that does not happen.
    ///
    /// # Example
    ///
    /// Rejected:
    ///
    /// ```yaml rejected
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: shop-migrate
    ///   annotations:
    ///     argocd.argoproj.io/hook: PreSync
    ///     argocd.argoproj.io/sync-wave: "2"
    /// spec:
    ///   backoffLimit: 0
    ///   activeDeadlineSeconds: 300
    ///   template:
    ///     spec:
    ///       restartPolicy: Never
    ///       containers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [python, manage.py, migrate]
    ///           envFrom: [{secretRef: {name: shop-database}}]
    /// ```
    ///
    /// Accepted:
    ///
    /// ```yaml accepted
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: shop-migrate
    ///   annotations:
    ///     argocd.argoproj.io/hook: PreSync
    ///     argocd.argoproj.io/sync-wave: "-1"
    /// spec:
    ///   backoffLimit: 0
    ///   activeDeadlineSeconds: 300
    ///   template:
    ///     spec:
    ///       restartPolicy: Never
    ///       containers:
    ///         - name: migrate
    ///           image: example.com/shop/api:v1.2.0
    ///           command: [python, manage.py, migrate]
    ///           envFrom: [{secretRef: {name: shop-database}}]
    /// ```
    ///
    /// # Configuration
    ///
    /// The bounds.
    ///
    /// # References
    ///
    /// - [Argo CD: sync phases and waves](https://argo-cd.readthedocs.io/en/stable/user-guide/sync-waves/)
    "WG207" "wave-contradicts-phase", Deny, Object, [Migration(migration), Verification(verification)]
}

fn migration(job: &Job<'_>, cx: &Context<'_>, found: &mut Problems) {
    let Some(wave) = job.ordering.explicit_wave.filter(|_| cx.policy.reads_waves()) else { return };
    let highest = cx.policy.highest_pre_sync_wave;
    if only(job, HookPhase::PreSync) && wave > highest {
        found.push(
            path(),
            format!("is {wave} on a PreSync migration, which runs before every wave; want at most {highest}"),
            "set the wave to \"-1\" or remove it",
        );
    }
}

fn verification(job: &Job<'_>, cx: &Context<'_>, found: &mut Problems) {
    let Some(wave) = job.ordering.explicit_wave.filter(|_| cx.policy.reads_waves()) else { return };
    let lowest = cx.policy.lowest_post_sync_wave;
    if only(job, HookPhase::PostSync) && wave < lowest {
        found.push(
            path(),
            format!("is {wave} on a PostSync verification, which runs after every wave; want at least {lowest}"),
            "set the wave to \"1\" or remove it",
        );
    }
}

/// Whether the Job runs in this phase alone; in another one its wave may mean something.
fn only(job: &Job<'_>, phase: HookPhase) -> bool {
    job.ordering.has(phase) && job.ordering.phases.iter().all(|other| *other == phase)
}

fn path() -> String {
    format!("metadata.annotations[{SYNC_WAVE}]")
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{self, problems};

    use super::*;

    #[test]
    fn bounds_are_zero_on_both_sides() {
        for (wave, want) in [("-1", 0), ("0", 0), ("1", 1), ("abc", 0)] {
            let annotations = format!(r#"{{"argocd.argoproj.io/sync-wave":"{wave}"}}"#);
            let job =
                sample::migration(&format!(r#"{{"metadata":{{"annotations":{annotations}}}}}"#));
            assert_eq!(problems(&RULE, &job).len(), want, "{wave}");
        }
        for (wave, want) in [("-1", 1), ("0", 0), ("1", 0)] {
            let annotations = format!(
                r#"{{"argocd.argoproj.io/hook":"PostSync","argocd.argoproj.io/sync-wave":"{wave}"}}"#
            );
            let job = sample::declared("verification", &annotations);
            assert_eq!(problems(&RULE, &job).len(), want, "{wave}");
        }
    }

    #[test]
    fn a_second_phase_gives_the_wave_a_meaning() {
        let job = sample::migration(
            r#"{"metadata":{"annotations":{"argocd.argoproj.io/hook":"PreSync,Sync","argocd.argoproj.io/sync-wave":"2"}}}"#,
        );
        assert_eq!(problems(&RULE, &job), []);
    }

    #[test]
    fn a_helm_weight_is_no_explicit_wave() {
        let job = sample::migration(
            r#"{"metadata":{"annotations":{"argocd.argoproj.io/hook":null,"helm.sh/hook":"pre-upgrade","helm.sh/hook-weight":"5"}}}"#,
        );
        assert_eq!(problems(&RULE, &job), []);
    }
}
