//! The spec of a `RolloutPolicy`, `wavegate.dev/v1alpha1`.
//!
//! Everything may be left out; what is left out keeps its default. The documentation comments are the schema's
//! descriptions and the reference page.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Declares a struct of settings, which may be written for the whole cluster and for some namespaces.
macro_rules! settings {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
        #[serde(rename_all = "camelCase", deny_unknown_fields, default)]
        pub struct $name {
            /// Severity and parameters by rule code, such as `WG101`.
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            pub rules: BTreeMap<String, RuleSettings>,
            /// What is added to how migrations and workloads are recognised.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub detection: Option<DetectionSettings>,
            /// Whether workload rules (`WG5xx`) deny for workloads that are paired with a migration by inference only.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub inferred_pairs: Option<WarnOrDeny>,
            /// Whether an author may silence guesses about a Job with `wavegate.dev/role: none`.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub role_none: Option<AllowOrForbid>,
            /// The init container that waits for the database, added to migrations without one.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub wait_for_db: Option<WaitSettings>,
            /// What is filled in where the author of a migration left it out, in enforcing namespaces.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub fixes: Option<FixSettings>,
            /// Dry runs.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub dry_run: Option<DryRunSettings>,
            /// What the gate does where it cannot be told what has happened.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub on_unknown: Option<WarnOrDeny>,
            /// What becomes of an app's first workload while no migration of the app has run.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub first_install: Option<WarnOrDeny>,
            /// Tags that move and therefore prove nothing, as names with `*`; replaces the default list.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[cfg_attr(feature = "serve", schemars(length(max = 100), inner(length(min = 1, max = 128))))]
            pub floating_tags: Option<Vec<String>>,
            /// Registries that hold copies of others, in pairing, in comparison, and in what counts as unchanged.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[cfg_attr(feature = "serve", schemars(length(max = 100)))]
            pub registry_aliases: Option<Vec<RegistryAlias>>,
            /// What counts as evidence.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub evidence: Option<EvidenceSettings>,
            /// Who orders migrations before rollouts.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub ordering: Option<OrderingSetting>,
            /// How long an app is known to migrate after its last attempt, such as `180d`.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[cfg_attr(feature = "serve", schemars(regex(pattern = r"^([0-9]+(d|h|m|s))+$"), length(max = 32)))]
            pub known_for: Option<String>,
            /// How many records are kept of each migration, beside those that are still needed.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub retention: Option<RetentionSettings>,
            /// Overrides of the gate by a person.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub gate_overrides: Option<GateOverrideSettings>,
            /// Address under which the rules' pages are found, with a slash at its end.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[cfg_attr(feature = "serve", schemars(regex(pattern = "^https?://[^ ]+/$"), length(max = 200)))]
            pub docs: Option<String>,
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $name {
            pub(super) fn settings(&self) -> Settings<'_> {
                Settings {
                    rules: &self.rules,
                    detection: self.detection.as_ref(),
                    inferred_pairs: self.inferred_pairs,
                    role_none: self.role_none,
                    wait_for_db: self.wait_for_db.as_ref(),
                    fixes: self.fixes,
                    dry_run: self.dry_run.as_ref(),
                    on_unknown: self.on_unknown,
                    first_install: self.first_install,
                    floating_tags: self.floating_tags.as_deref(),
                    registry_aliases: self.registry_aliases.as_deref(),
                    evidence: self.evidence.as_ref(),
                    ordering: self.ordering,
                    known_for: self.known_for.as_deref(),
                    retention: self.retention,
                    gate_overrides: self.gate_overrides.as_ref(),
                    docs: self.docs.as_deref(),
                }
            }
        }
    };
}

settings! {
    /// What an operator may change, for the whole cluster and for some namespaces.
    RolloutPolicySpec {
        /// Other settings for some namespaces. What one does not say is as for the whole cluster; lists replace.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "serve", schemars(length(max = 100)))]
        overrides: Vec<NamespaceSettings>,
        /// Findings that do not deny for a while.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "serve", schemars(length(max = 200)))]
        exemptions: Vec<ExemptionSpec>,
    }
}

settings! {
    /// Settings for some namespaces.
    NamespaceSettings {
        /// The namespaces by their exact names. A namespace may stand in one entry only, so that no order decides.
        #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 100), inner(length(min = 1, max = 63))))]
        namespaces: Vec<String>,
    }
}

/// The settings of either struct, borrowed.
#[derive(Clone, Copy)]
pub(super) struct Settings<'s> {
    pub(super) rules: &'s BTreeMap<String, RuleSettings>,
    pub(super) detection: Option<&'s DetectionSettings>,
    pub(super) inferred_pairs: Option<WarnOrDeny>,
    pub(super) role_none: Option<AllowOrForbid>,
    pub(super) wait_for_db: Option<&'s WaitSettings>,
    pub(super) fixes: Option<FixSettings>,
    pub(super) dry_run: Option<&'s DryRunSettings>,
    pub(super) on_unknown: Option<WarnOrDeny>,
    pub(super) first_install: Option<WarnOrDeny>,
    pub(super) floating_tags: Option<&'s [String]>,
    pub(super) registry_aliases: Option<&'s [RegistryAlias]>,
    pub(super) evidence: Option<&'s EvidenceSettings>,
    pub(super) ordering: Option<OrderingSetting>,
    pub(super) known_for: Option<&'s str>,
    pub(super) retention: Option<RetentionSettings>,
    pub(super) gate_overrides: Option<&'s GateOverrideSettings>,
    pub(super) docs: Option<&'s str>,
}

/// An enum's description would take the place of the field's.
#[cfg(feature = "serve")]
fn undescribed(schema: &mut schemars::Schema) {
    schema.remove("description");
}

/// Declares a struct or an enum as it is written.
macro_rules! written {
    ($(#[$meta:meta])* enum $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
        #[cfg_attr(feature = "serve", schemars(transform = undescribed))]
        $(#[$meta])*
        pub enum $name { $($(#[$doc])* #[serde(rename = $text)] $variant,)* }
    };
    ($(#[$meta:meta])* struct $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* }) => {
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "serve", derive(schemars::JsonSchema))]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        $(#[$meta])*
        pub struct $name { $($(#[$doc])* pub $field: $type,)* }
    };
}

written! {
    /// How strict a rule is.
    enum SeveritySetting {
        /// A finding refuses the object.
        Deny = "deny",
        /// A finding warns.
        Warn = "warn",
        /// The rule is not evaluated.
        Off = "off",
    }
}

written! {
    /// Whether something is refused or only warned of.
    enum WarnOrDeny {
        /// It is told to the client.
        Warn = "warn",
        /// It is refused.
        Deny = "deny",
    }
}

written! {
    /// Whether something may be said.
    enum AllowOrForbid {
        /// It counts.
        Allow = "allow",
        /// It is ignored, with a warning.
        Forbid = "forbid",
    }
}

written! {
    /// Who orders migrations before rollouts.
    enum OrderingSetting {
        /// Argo CD's hooks and waves, with Helm's hooks as Argo CD reads them.
        ArgoCd = "argocd",
        /// Helm alone: its hooks count, annotations of Argo CD's say nothing.
        Helm = "helm",
        /// A pipeline outside the cluster: rules about hooks and waves are silent.
        External = "external",
    }
}

written! {
    /// When a waiter is added.
    enum InjectSetting {
        /// In enforcing namespaces.
        Enforce = "enforce",
        /// Wherever the webhook is called.
        Always = "always",
        /// Never.
        Off = "off",
    }
}

written! {
    /// What the waiter runs.
    enum WaiterSetting {
        /// wavegate's own `wait-for-db`, which tells a database that is ready from a port that is open.
        Native = "native",
        /// A loop around `nc` in an image with a shell.
        Busybox = "busybox",
    }
}

written! {
    /// Severity and parameters of one rule. A parameter of another rule is refused.
    #[serde(default)]
    struct RuleSettings {
        /// How strict the rule is.
        #[serde(skip_serializing_if = "Option::is_none")]
        severity: Option<SeveritySetting>,
        /// WG102: shortest `activeDeadlineSeconds` that is accepted.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(range(min = 1, max = 2_592_000)))]
        minimum_seconds: Option<i64>,
        /// WG102: longest `activeDeadlineSeconds` that is accepted.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(range(min = 1, max = 2_592_000)))]
        maximum_seconds: Option<i64>,
        /// WG203: shortest `ttlSecondsAfterFinished` that leaves time to read the evidence.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(range(min = 0, max = 2_592_000)))]
        minimum_ttl_seconds: Option<i64>,
        /// WG207: highest wave of a `PreSync` migration.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(range(min = -10_000, max = 10_000)))]
        highest_wave: Option<i64>,
        /// WG207: lowest wave of a `PostSync` verification.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(range(min = -10_000, max = 10_000)))]
        lowest_wave: Option<i64>,
        /// WG305: failures of one migration for one release after which a further attempt is told of.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(range(min = 1, max = 100)))]
        failures: Option<u32>,
        /// WG308: namespace of the environment in which a release must have been proven before.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 63)))]
        upstream_namespace: Option<String>,
    }
}

written! {
    /// What is added to how migrations and workloads are recognised.
    #[serde(default)]
    struct DetectionSettings {
        /// Programs that change a schema and that wavegate does not know.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "serve", schemars(length(max = 100)))]
        runners: Vec<RunnerSettings>,
        /// Names of Jobs that are migrations whatever they run, with `*` for anything.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "serve", schemars(length(max = 100), inner(length(min = 1, max = 255))))]
        job_names: Vec<String>,
        /// Names of workloads that may only run once, with `*` for anything: WG501 is silent about them.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "serve", schemars(length(max = 100), inner(length(min = 1, max = 255))))]
        singletons: Vec<String>,
        /// Names of workloads without a readiness probe by design, with `*` for anything: WG502 is silent about them.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "serve", schemars(length(max = 100), inner(length(min = 1, max = 255))))]
        without_probes: Vec<String>,
    }
}

written! {
    /// A program that changes a schema. Verbs match positional arguments; one of several words matches them in that
    /// order with others in between.
    struct RunnerSettings {
        /// File name of the program, or the name of a script, module or target, with `*` for anything.
        #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 255)))]
        program: String,
        /// Verbs that apply migrations. Without any, every call of the program does.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "serve", schemars(length(max = 20), inner(length(min = 1, max = 100))))]
        applies: Vec<String>,
        /// Verbs that undo migrations.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "serve", schemars(length(max = 20), inner(length(min = 1, max = 100))))]
        reverts: Vec<String>,
        /// Verbs that remove what only old code needs.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "serve", schemars(length(max = 20), inner(length(min = 1, max = 100))))]
        contracts: Vec<String>,
        /// Verbs that change nothing.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "serve", schemars(length(max = 20), inner(length(min = 1, max = 100))))]
        looks: Vec<String>,
    }
}

written! {
    /// The init container that waits for the database.
    #[serde(default)]
    struct WaitSettings {
        /// When it is added.
        #[serde(skip_serializing_if = "Option::is_none")]
        inject: Option<InjectSetting>,
        /// What it runs.
        #[serde(skip_serializing_if = "Option::is_none")]
        mode: Option<WaiterSetting>,
        /// wavegate's own image, as nodes pull it.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 512)))]
        image: Option<String>,
        /// Image of the busybox form: one with a shell and `nc`.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 512)))]
        busybox_image: Option<String>,
        /// User of the busybox form where the pod chooses none; 0 leaves it to the cluster.
        #[serde(skip_serializing_if = "Option::is_none")]
        busybox_user: Option<u32>,
        /// Longest wait, such as `60s`; half of the Job's deadline bounds it further.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(regex(pattern = r"^([0-9]+(d|h|m|s))+$"), length(max = 32)))]
        timeout: Option<String>,
        /// CPU request and limit, as Kubernetes writes quantities.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 20)))]
        cpu: Option<String>,
        /// Memory request and limit, as Kubernetes writes quantities.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 20)))]
        memory: Option<String>,
        /// Database of migrations that name none: `host:port` or a URL without credentials.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 512)))]
        database: Option<String>,
    }
}

written! {
    /// What is filled in where the author of a migration left it out.
    #[derive(Copy)]
    #[serde(default)]
    struct FixSettings {
        /// `backoffLimit: 0` instead of Kubernetes' default, where something waits for the database.
        #[serde(skip_serializing_if = "Option::is_none")]
        no_retries: Option<bool>,
        /// This `activeDeadlineSeconds`, within the bounds of WG102; 0 fills none in.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(range(min = 0, max = 2_592_000)))]
        deadline_seconds: Option<i64>,
        /// `podReplacementPolicy: Failed`, so that no second pod runs while the first one ends.
        #[serde(skip_serializing_if = "Option::is_none")]
        replace_failed_only: Option<bool>,
        /// Annotations of the pod template that keep Karpenter and the cluster autoscaler from evicting it.
        #[serde(skip_serializing_if = "Option::is_none")]
        do_not_evict: Option<bool>,
    }
}

written! {
    /// Dry runs.
    #[serde(default)]
    struct DryRunSettings {
        /// Field managers whose dry runs the gate refuses as if they were real. Argo CD's never is.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "serve", schemars(length(max = 50), inner(length(min = 1, max = 128))))]
        deny_for: Vec<String>,
    }
}

written! {
    /// A registry, or a part of one, that holds the images of another. Each image is renamed once, by the longest
    /// prefix.
    struct RegistryAlias {
        /// Prefix of the copies: a registry, alone or with the beginning of a path.
        #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 255)))]
        from: String,
        /// Prefix of the originals; that of Docker Hub is `docker.io`.
        #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 255)))]
        to: String,
    }
}

written! {
    /// What counts as evidence.
    #[serde(default)]
    struct EvidenceSettings {
        /// Users whose Jobs count, with `*` for anything, such as `system:serviceaccount:argocd:*`. Without any, all do.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(feature = "serve", schemars(length(max = 50), inner(length(min = 1, max = 255))))]
        creators: Vec<String>,
    }
}

written! {
    /// How many records are kept of each migration.
    #[derive(Copy)]
    #[serde(default)]
    struct RetentionSettings {
        /// Successes.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(range(min = 1, max = 1000)))]
        successes: Option<u32>,
        /// Other attempts.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(range(min = 1, max = 1000)))]
        failures: Option<u32>,
    }
}

written! {
    /// Overrides of the gate by a person.
    #[serde(default)]
    struct GateOverrideSettings {
        /// Longest time for which a release may be let through, such as `24h`.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(regex(pattern = r"^([0-9]+(d|h|m|s))+$"), length(max = 32)))]
        longest_bypass: Option<String>,
    }
}

written! {
    /// A finding that does not deny for a while. Exact: exactly one of `name`, `generateName` and `app` is written.
    struct ExemptionSpec {
        /// The rule's code.
        #[cfg_attr(feature = "serve", schemars(regex(pattern = "^WG[0-9]{3}$")))]
        rule: String,
        /// The namespace.
        #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 63)))]
        namespace: String,
        /// The object of this name.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 253)))]
        name: Option<String>,
        /// Objects made from this `generateName`.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 253)))]
        generate_name: Option<String>,
        /// Objects that carry `wavegate.dev/app` with this value.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 253)))]
        app: Option<String>,
        /// Why, for whoever meets it.
        #[cfg_attr(feature = "serve", schemars(length(min = 1, max = 200)))]
        reason: String,
        /// The last day on which it holds, in UTC, such as `2027-03-31`.
        #[cfg_attr(feature = "serve", schemars(regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")))]
        expires: String,
    }
}
