//! Argo CD's annotations, parsed as Argo CD parses them, with its Helm fallbacks.
//!
//! Argo CD ignores what it does not understand: an unknown hook makes it skip the whole object without a
//! word, an unparsable wave counts as absent, an unknown delete policy as not written. What it ignores is
//! kept here as `unknown`, so that a rule can say what Argo CD does not.
//! Sources: gitops-engine `pkg/sync/hook`, `pkg/sync/syncwaves`, `pkg/sync/resource/annotations.go`.

use super::manifest::{Metadata, StringMap};

/// Hook phases of an object.
pub const HOOK: &str = "argocd.argoproj.io/hook";
/// When Argo CD deletes a hook.
pub const DELETE_POLICY: &str = "argocd.argoproj.io/hook-delete-policy";
/// Order within a phase.
pub const SYNC_WAVE: &str = "argocd.argoproj.io/sync-wave";
/// Options for one object, such as `Replace=true`.
pub const SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";
/// Which Application an object belongs to.
pub const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
/// Helm's hook annotation.
pub const HELM_HOOK: &str = "helm.sh/hook";
/// Helm's order within a hook.
pub const HELM_WEIGHT: &str = "helm.sh/hook-weight";
/// Helm's hook delete policy.
pub const HELM_DELETE_POLICY: &str = "helm.sh/hook-delete-policy";
/// Which release or Application an object is part of, by Helm's and Argo CD's convention.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";

/// When in a sync an object is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookPhase {
    /// Before anything of the application is applied.
    PreSync,
    /// With the application, in wave order.
    Sync,
    /// After the application is healthy.
    PostSync,
    /// After a sync failed.
    SyncFail,
    /// Before the Application is deleted (Argo CD 3.3).
    PreDelete,
    /// After the Application is deleted (Argo CD 2.10).
    PostDelete,
    /// Never applied.
    Skip,
}

impl HookPhase {
    /// All phases, as users write them.
    pub const ALL: [(&'static str, Self); 7] = [
        ("PreSync", Self::PreSync),
        ("Sync", Self::Sync),
        ("PostSync", Self::PostSync),
        ("SyncFail", Self::SyncFail),
        ("PreDelete", Self::PreDelete),
        ("PostDelete", Self::PostDelete),
        ("Skip", Self::Skip),
    ];

    /// The annotation's value; case matters, as it does for Argo CD.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, phase)| *phase)
    }

    /// Name as users write it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, phase)| *phase == self).map_or("", |(name, _)| name)
    }
}

/// A Helm hook. Argo CD maps install and upgrade hooks to its phases and knows no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HelmHook {
    Mapped(HookPhase),
    /// `test`, `pre-rollback` and `post-rollback`: real to Helm, nothing to Argo CD.
    HelmOnly {
        pre: bool,
        post: bool,
    },
}

impl HelmHook {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "pre-install" | "pre-upgrade" => Self::Mapped(HookPhase::PreSync),
            "post-install" | "post-upgrade" => Self::Mapped(HookPhase::PostSync),
            "pre-delete" => Self::Mapped(HookPhase::PreDelete),
            "post-delete" => Self::Mapped(HookPhase::PostDelete),
            "pre-rollback" => Self::HelmOnly { pre: true, post: false },
            "post-rollback" => Self::HelmOnly { pre: false, post: true },
            "test" | "test-success" | "test-failure" => Self::HelmOnly { pre: false, post: false },
            _ => return None,
        })
    }
}

/// When Argo CD deletes a hook object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeletePolicy {
    /// At the start of the hook's wave in the next sync. The default.
    BeforeHookCreation,
    /// Once the whole operation succeeded.
    HookSucceeded,
    /// Once the operation failed.
    HookFailed,
}

impl DeletePolicy {
    /// All policies, as users write them for Argo CD.
    pub const ALL: [(&'static str, Self); 3] = [
        ("BeforeHookCreation", Self::BeforeHookCreation),
        ("HookSucceeded", Self::HookSucceeded),
        ("HookFailed", Self::HookFailed),
    ];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, policy)| *policy)
    }

    fn parse_helm(text: &str) -> Option<Self> {
        Some(match text {
            "before-hook-creation" => Self::BeforeHookCreation,
            "hook-succeeded" => Self::HookSucceeded,
            "hook-failed" => Self::HookFailed,
            _ => return None,
        })
    }
}

/// A sync wave.
pub type Wave = i64;

/// A value that Argo CD silently ignores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The annotation's key.
    pub key: &'static str,
    /// The entry that means nothing.
    pub value: String,
}

/// What an object says about its place in a sync.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each read on its own")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ordering {
    /// Phases, by Argo CD's hook if it has a valid value, else by Helm's.
    pub phases: Vec<HookPhase>,
    /// Whether the object carries Argo CD's hook annotation at all. One without a valid value is never
    /// applied, unless Helm's gives it a phase.
    pub argo_hook: bool,
    /// Whether the phases come from Helm's annotation.
    pub helm_hook: bool,
    /// Whether Helm's list has a `pre-` hook that deploys: install, upgrade or rollback.
    pub helm_pre: bool,
    /// Whether Helm's list has a `post-` hook that deploys.
    pub helm_post: bool,
    /// Helm hooks that Argo CD does not know; with nothing else it never applies the object.
    pub helm_only: bool,
    /// The wave that Argo CD uses: the annotation, else Helm's weight, else 0.
    pub wave: Wave,
    /// The annotation's own wave, where it parses.
    pub explicit_wave: Option<Wave>,
    /// Whether the wave annotation is there, well-formed or not.
    pub has_wave: bool,
    /// Delete policies of a hook as written, Argo CD's and Helm's together. Empty means the default.
    pub delete_policies: Vec<DeletePolicy>,
    /// Values under Argo CD's keys that mean nothing to it.
    pub unknown: Vec<Unknown>,
}

impl Ordering {
    /// Reads an object's annotations.
    pub fn read(annotations: &StringMap<'_>) -> Self {
        let mut ordering = Self::default();
        ordering.read_hooks(annotations);
        ordering.read_wave(annotations);
        ordering.read_delete_policies(annotations);
        ordering
    }

    /// The order of an object that these phases and this wave of Argo CD's are known of.
    pub fn of(phases: Vec<HookPhase>, explicit_wave: Option<Wave>) -> Self {
        Self {
            argo_hook: !phases.is_empty(),
            phases,
            wave: explicit_wave.unwrap_or(0),
            explicit_wave,
            has_wave: explicit_wave.is_some(),
            ..Self::default()
        }
    }

    fn read_hooks(&mut self, annotations: &StringMap<'_>) {
        if let Some(list) = annotations.get(HOOK) {
            self.argo_hook = true;
            for entry in entries(list) {
                match HookPhase::parse(entry) {
                    Some(phase) => self.phases.push(phase),
                    None => self.unknown.push(Unknown { key: HOOK, value: entry.to_owned() }),
                }
            }
            if entries(list).next().is_none() {
                self.unknown.push(Unknown { key: HOOK, value: list.to_owned() });
            }
        }
        let argo_decides = !self.phases.is_empty();
        let Some(list) = annotations.get(HELM_HOOK) else { return };
        if argo_decides {
            return;
        }
        for entry in entries(list) {
            match HelmHook::parse(entry) {
                Some(HelmHook::Mapped(phase)) => {
                    self.helm_hook = true;
                    self.helm_pre |= phase == HookPhase::PreSync;
                    self.helm_post |= phase == HookPhase::PostSync;
                    if !self.phases.contains(&phase) {
                        self.phases.push(phase);
                    }
                }
                Some(HelmHook::HelmOnly { pre, post }) => {
                    self.helm_only = true;
                    self.helm_pre |= pre;
                    self.helm_post |= post;
                }
                // `crd-install` and the like: an ordinary resource to Argo CD.
                None => {}
            }
        }
    }

    fn read_wave(&mut self, annotations: &StringMap<'_>) {
        if let Some(text) = annotations.get(SYNC_WAVE) {
            self.has_wave = true;
            self.explicit_wave = atoi(text);
            if self.explicit_wave.is_none() {
                self.unknown.push(Unknown { key: SYNC_WAVE, value: text.to_owned() });
            }
        }
        let weight = || annotations.get(HELM_WEIGHT).and_then(atoi);
        self.wave = self.explicit_wave.or_else(weight).unwrap_or(0);
    }

    fn read_delete_policies(&mut self, annotations: &StringMap<'_>) {
        for entry in entries(annotations.get(DELETE_POLICY).unwrap_or_default()) {
            match DeletePolicy::parse(entry) {
                Some(policy) => self.delete_policies.push(policy),
                None => {
                    self.unknown.push(Unknown { key: DELETE_POLICY, value: entry.to_owned() });
                }
            }
        }
        let helm = entries(annotations.get(HELM_DELETE_POLICY).unwrap_or_default());
        self.delete_policies.extend(helm.filter_map(DeletePolicy::parse_helm));
    }

    /// Whether the object is a hook with this phase.
    pub fn has(&self, phase: HookPhase) -> bool {
        self.phases.contains(&phase)
    }

    /// Whether the object is a hook of any kind, `Skip` alone excepted.
    pub fn is_hook(&self) -> bool {
        self.phases.iter().any(|phase| *phase != HookPhase::Skip) || self.helm_only
    }

    /// Whether Argo CD's hook annotation is there and not one of its values means anything. Argo CD never
    /// applies such an object, unless Helm's annotation gives it a phase.
    pub fn is_misspelt_hook(&self) -> bool {
        let known = self.phases.iter().any(|_| !self.helm_hook);
        self.argo_hook && !known
    }

    /// Whether the object runs only when something is deleted or tested: never before a rollout.
    pub fn never_deploys(&self) -> bool {
        use HookPhase::{PostDelete, PreDelete};
        let deletes = |phase: &HookPhase| matches!(phase, PreDelete | PostDelete);
        let helm_test = self.helm_only && !self.helm_pre && !self.helm_post;
        (!self.phases.is_empty() || helm_test) && self.phases.iter().all(deletes)
    }

    /// The policies in force: what is written, else `BeforeHookCreation`.
    pub fn deletes(&self, policy: DeletePolicy) -> bool {
        if self.delete_policies.is_empty() {
            policy == DeletePolicy::BeforeHookCreation
        } else {
            self.delete_policies.contains(&policy)
        }
    }
}

/// Splits a list annotation: on commas, blanks trimmed, empty entries dropped.
fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// Go's `strconv.Atoi`: an optional sign and decimal digits, no blanks.
fn atoi(text: &str) -> Option<i64> {
    // Rust's integer parser takes the same grammar; both refuse blanks, underscores and a sign alone.
    text.parse().ok()
}

/// Whether `sync-options` of the object holds an entry, such as `Force=true`.
pub fn has_sync_option(metadata: &Metadata<'_>, option: &str) -> bool {
    entries(metadata.annotations.get(SYNC_OPTIONS).unwrap_or_default()).any(|entry| entry == option)
}

/// The Argo CD Application of an object, from a tracking id that really is its own.
///
/// Format `<app>:<group>/<kind>:<namespace>/<name>`. The annotation is copied along with others (to
/// ReplicaSets, say), so an id that names another object is not believed; an empty name is what Argo CD
/// writes for objects with a `generateName`. Source: `util/argo/resource_tracking.go`, `controller/state.go`.
pub fn tracked_application<'a>(
    metadata: &'a Metadata<'_>,
    kind: &str,
    namespace: &str,
) -> Option<&'a str> {
    let id = metadata.annotations.get(TRACKING_ID)?;
    let mut parts = id.splitn(3, ':');
    let (application, group_kind, object) = (parts.next()?, parts.next()?, parts.next()?);
    let (_, own_kind) = group_kind.split_once('/')?;
    let (own_namespace, own_name) = object.split_once('/')?;
    let name_fits = own_name.is_empty()
        || metadata.name.as_deref() == Some(own_name)
        || (metadata.name.is_none() && metadata.generate_name.is_some());
    let fits = own_kind == kind && own_namespace == namespace && name_fits;
    (fits && !application.is_empty()).then_some(application)
}

#[cfg(test)]
mod tests {
    use super::HookPhase::{PostDelete, PostSync, PreSync, Skip, Sync};
    use super::*;

    fn ordering(json: &str) -> Ordering {
        let annotations: StringMap<'_> = serde_json::from_str(json).unwrap();
        Ordering::read(&annotations)
    }

    #[test]
    fn phases_follow_argo_then_helm() {
        let cases: [(&str, &[HookPhase], &[&str]); 14] = [
            (r#"{"argocd.argoproj.io/hook":"PreSync"}"#, &[PreSync], &[]),
            (r#"{"argocd.argoproj.io/hook":" PreSync , Sync"}"#, &[PreSync, Sync], &[]),
            (r#"{"argocd.argoproj.io/hook":"Sync,Garbage"}"#, &[Sync], &["Garbage"]),
            (r#"{"argocd.argoproj.io/hook":"presync"}"#, &[], &["presync"]),
            (r#"{"argocd.argoproj.io/hook":""}"#, &[], &[""]),
            (r#"{"argocd.argoproj.io/hook":"Skip"}"#, &[Skip], &[]),
            (r#"{"helm.sh/hook":"pre-install,pre-upgrade"}"#, &[PreSync], &[]),
            (r#"{"helm.sh/hook":"post-install,pre-upgrade"}"#, &[PostSync, PreSync], &[]),
            (r#"{"helm.sh/hook":"post-delete"}"#, &[PostDelete], &[]),
            (r#"{"helm.sh/hook":"test"}"#, &[], &[]),
            (r#"{"helm.sh/hook":"crd-install"}"#, &[], &[]),
            // A valid Argo CD hook hides Helm's; an invalid one falls back to it.
            (r#"{"argocd.argoproj.io/hook":"Sync","helm.sh/hook":"pre-install"}"#, &[Sync], &[]),
            (
                r#"{"argocd.argoproj.io/hook":"Snyc","helm.sh/hook":"pre-install"}"#,
                &[PreSync],
                &["Snyc"],
            ),
            ("{}", &[], &[]),
        ];
        for (json, phases, unknown) in cases {
            let read = ordering(json);
            assert_eq!(read.phases, phases, "{json}");
            let values: Vec<_> = read.unknown.iter().map(|entry| entry.value.as_str()).collect();
            assert_eq!(values, unknown, "{json}");
        }
    }

    #[test]
    fn waves_parse_as_go_does_and_fall_back_to_the_helm_weight() {
        let cases = [
            ("-1", "7", -1, true),
            ("+5", "7", 5, true),
            ("007", "1", 7, true),
            (" 1", "7", 7, false),
            ("abc", "3", 3, false),
            ("1.0", "x", 0, false),
            ("", "2", 2, false),
            ("99999999999999999999", "2", 2, false),
        ];
        for (wave, weight, want, parses) in cases {
            let read = ordering(&format!(
                r#"{{"argocd.argoproj.io/sync-wave":"{wave}","helm.sh/hook-weight":"{weight}"}}"#
            ));
            assert_eq!(read.wave, want, "{wave:?}");
            assert_eq!(read.explicit_wave.is_some(), parses, "{wave:?}");
            assert_eq!(read.unknown.is_empty(), parses, "{wave:?}");
            assert!(read.has_wave);
        }
        assert_eq!(ordering(r#"{"helm.sh/hook-weight":"-5"}"#).wave, -5);
    }

    #[test]
    fn delete_policies_are_the_union_and_default_to_before_creation() {
        use DeletePolicy::{BeforeHookCreation, HookFailed, HookSucceeded};
        let none = ordering("{}");
        assert!(none.deletes(BeforeHookCreation) && !none.deletes(HookSucceeded));
        let both = ordering(
            r#"{"argocd.argoproj.io/hook-delete-policy":"HookSucceeded","helm.sh/hook-delete-policy":"hook-failed"}"#,
        );
        assert!(both.deletes(HookSucceeded) && both.deletes(HookFailed));
        assert!(!both.deletes(BeforeHookCreation));
        let typo = ordering(r#"{"argocd.argoproj.io/hook-delete-policy":"HookSuceeded"}"#);
        assert!(typo.deletes(BeforeHookCreation));
        assert_eq!(typo.unknown.len(), 1);
    }

    #[test]
    fn tells_misspelt_and_never_deploying_hooks() {
        let cases = [
            (r#"{"argocd.argoproj.io/hook":"Presync"}"#, true, false),
            (r#"{"argocd.argoproj.io/hook":"Snyc","helm.sh/hook":"pre-install"}"#, true, false),
            (r#"{"argocd.argoproj.io/hook":"Sync,Garbage"}"#, false, false),
            (r#"{"argocd.argoproj.io/hook":"PostDelete"}"#, false, true),
            (r#"{"argocd.argoproj.io/hook":"PreDelete,PreSync"}"#, false, false),
            (r#"{"helm.sh/hook":"pre-delete,post-delete"}"#, false, true),
            (r#"{"helm.sh/hook":"test"}"#, false, true),
            (r#"{"helm.sh/hook":"pre-rollback"}"#, false, false),
            ("{}", false, false),
        ];
        for (json, misspelt, never) in cases {
            let read = ordering(json);
            assert_eq!(read.is_misspelt_hook(), misspelt, "{json}");
            assert_eq!(read.never_deploys(), never, "{json}");
        }
    }

    #[test]
    fn a_tracking_id_must_name_its_own_object() {
        let cases = [
            (
                r#"{"name":"m","annotations":{"argocd.argoproj.io/tracking-id":"shop:batch/Job:ns/m"}}"#,
                Some("shop"),
            ),
            (
                r#"{"name":"m","annotations":{"argocd.argoproj.io/tracking-id":"team_shop:batch/Job:ns/m"}}"#,
                Some("team_shop"),
            ),
            (
                r#"{"name":"m-x","generateName":"m-","annotations":{"argocd.argoproj.io/tracking-id":"shop:batch/Job:ns/"}}"#,
                Some("shop"),
            ),
            (
                r#"{"name":"m","annotations":{"argocd.argoproj.io/tracking-id":"shop:apps/Deployment:ns/m"}}"#,
                None,
            ),
            (
                r#"{"name":"m","annotations":{"argocd.argoproj.io/tracking-id":"shop:batch/Job:other/m"}}"#,
                None,
            ),
            (
                r#"{"name":"m","annotations":{"argocd.argoproj.io/tracking-id":"shop:batch/Job:ns/n"}}"#,
                None,
            ),
            (r#"{"name":"m","annotations":{"argocd.argoproj.io/tracking-id":"shop"}}"#, None),
            (r#"{"name":"m"}"#, None),
        ];
        for (json, want) in cases {
            let metadata: Metadata<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(tracked_application(&metadata, "Job", "ns"), want, "{json}");
        }
    }

    #[test]
    fn sync_options_match_exactly() {
        let metadata: Metadata<'_> = serde_json::from_str(
            r#"{"annotations":{"argocd.argoproj.io/sync-options":"Replace=true, Force=true"}}"#,
        )
        .unwrap();
        assert!(has_sync_option(&metadata, "Force=true"));
        assert!(!has_sync_option(&metadata, "Force=tru"));
    }

    proptest::proptest! {
        #[test]
        fn any_annotations_are_read(hook in "\\PC{0,20}", wave in "\\PC{0,8}", policy in "[A-Za-z, -]{0,30}") {
            let annotations = serde_json::json!({HOOK: hook, SYNC_WAVE: wave, DELETE_POLICY: policy, HELM_HOOK: policy});
            let text = annotations.to_string();
            let annotations: StringMap<'_> = serde_json::from_str(&text).unwrap();
            let read = Ordering::read(&annotations);
            // Every entry is either known or kept as unknown; nothing is lost.
            let known = read.phases.len() + read.unknown.iter().filter(|entry| entry.key == HOOK).count();
            proptest::prop_assert!(known >= entries(&hook).count());
            proptest::prop_assert_eq!(read.explicit_wave, wave.parse().ok());
        }
    }
}
