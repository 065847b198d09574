use crate::domain::argocd::{DELETE_POLICY, DeletePolicy, HOOK, HookPhase, Unknown};
use crate::domain::job::Job;
use crate::policy::rule::declare_rule;
use crate::policy::{Context, Problems};

declare_rule! {
    /// An Argo CD annotation has a value that Argo CD silently ignores.
    ///
    /// # What it checks
    ///
    /// `argocd.argoproj.io/hook` holds a hook that does not exist, `argocd.argoproj.io/sync-wave` is
    /// not a whole number, or `argocd.argoproj.io/hook-delete-policy` holds a policy that does not
    /// exist. Case matters.
    ///
    /// # Why it matters
    ///
    /// Argo CD says nothing about any of them. An object whose only hook is misspelt is never
    /// applied, so the migration never runs and the sync is green; a malformed wave counts as absent;
    /// an unknown delete policy as not written.
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
    ///     argocd.argoproj.io/hook: Presync
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
    /// None.
    ///
    /// # References
    ///
    /// - [Argo CD: resource hooks](https://argo-cd.readthedocs.io/en/stable/user-guide/resource_hooks/)
    "WG202" "malformed-hook-annotation", Deny, Object, [Migration(check), Verification(check)]
}

fn check(job: &Job<'_>, _: &Context<'_>, found: &mut Problems) {
    for Unknown { key, value } in &job.ordering.unknown {
        let path = format!("metadata.annotations[{key}]");
        match *key {
            HOOK => {
                let names = HookPhase::ALL.map(|(name, _)| name);
                found.push(
                    path,
                    format!("`{value}` is no hook of Argo CD, which then never applies the object, without a word"),
                    suggest(value, &names),
                );
            }
            DELETE_POLICY => {
                let names = DeletePolicy::ALL.map(|(name, _)| name);
                found.push(
                    path,
                    format!("`{value}` is no delete policy of Argo CD, which ignores it"),
                    suggest(value, &names),
                );
            }
            _ => found.push(
                path,
                format!("`{value}` is no whole number, so Argo CD ignores the wave"),
                "write a quoted integer such as \"-1\"",
            ),
        }
    }
}

fn suggest(value: &str, names: &[&str]) -> String {
    let same_letters = names.iter().find(|name| name.eq_ignore_ascii_case(value.trim()));
    match same_letters {
        Some(name) => format!("write {name}; case matters"),
        None => format!("write one of {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::sample::{migration, problems};

    use super::*;

    #[test]
    fn names_the_entry_and_the_fix() {
        let cases = [
            (
                r#""argocd.argoproj.io/hook":"Presync""#,
                "metadata.annotations[argocd.argoproj.io/hook]",
                "write PreSync; case matters",
            ),
            (
                r#""argocd.argoproj.io/hook":"PreSync,Garbage""#,
                "metadata.annotations[argocd.argoproj.io/hook]",
                "write one of PreSync",
            ),
            (
                r#""argocd.argoproj.io/sync-wave":"abc""#,
                "metadata.annotations[argocd.argoproj.io/sync-wave]",
                "quoted integer",
            ),
            (
                r#""argocd.argoproj.io/hook-delete-policy":"HookSuceeded""#,
                "metadata.annotations[argocd.argoproj.io/hook-delete-policy]",
                "BeforeHookCreation",
            ),
        ];
        for (annotation, path, help) in cases {
            let job = migration(&format!(r#"{{"metadata":{{"annotations":{{{annotation}}}}}}}"#));
            let found = problems(&RULE, &job);
            assert_eq!(found.len(), 1, "{annotation}");
            assert_eq!(found[0].path, path);
            assert!(found[0].help.contains(help), "{}", found[0].help);
        }
    }
}
