//! The objects that a pod names and cannot start without.

use serde::Deserialize;

use super::manifest::{ContainerPlace, PodSpec};
use super::text::Raw;

/// An object that a pod names and cannot start without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its kind.
    pub kind: ReferenceKind,
    /// Its name.
    pub name: String,
    /// Field path of the first place that names it.
    pub path: String,
}

/// Kinds of objects that a pod names. Secrets are not among them: wavegate may not even read their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceKind {
    /// `serviceAccountName`
    ServiceAccount,
    /// A volume, `envFrom` or `valueFrom`.
    ConfigMap,
    /// A volume.
    PersistentVolumeClaim,
}

impl ReferenceKind {
    /// Kind as in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::ConfigMap => "ConfigMap",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Volume {
    config_map: Option<Named>,
    persistent_volume_claim: Option<Claim>,
    projected: Option<Projected>,
}

#[derive(Deserialize)]
struct Projected {
    #[serde(default)]
    sources: Option<Vec<ProjectedSource>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProjectedSource {
    config_map: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
    optional: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claim {
    #[serde(default)]
    claim_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EnvSource {
    config_map_ref: Option<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Variable {
    value_from: Option<ValueFrom>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ValueFrom {
    config_map_key_ref: Option<Named>,
}

/// What a pod names and cannot start without: neither what is optional nor what is empty. Fields that cannot be read
/// name nothing.
pub fn of_pod(pod: &PodSpec<'_>) -> Vec<Reference> {
    let mut found = Found(Vec::new());
    if let Some(account) = &pod.service_account_name {
        found.add(ReferenceKind::ServiceAccount, account, "serviceAccountName");
    }
    for (index, volume) in list::<Volume>(pod.volumes).into_iter().enumerate() {
        let path = format!("volumes[{index}]");
        found.add_named(volume.config_map, &path);
        for source in volume.projected.and_then(|projected| projected.sources).unwrap_or_default() {
            found.add_named(source.config_map, &path);
        }
        if let Some(claim) = volume.persistent_volume_claim {
            found.add(ReferenceKind::PersistentVolumeClaim, &claim.claim_name, &path);
        }
    }
    for (place, container) in pod.all_containers() {
        let path = |field: &str, place: ContainerPlace| format!("{place}.{field}");
        for source in list::<EnvSource>(container.env_from) {
            found.add_named(source.config_map_ref, &path("envFrom", place));
        }
        for variable in list::<Variable>(container.env) {
            let source = variable.value_from.and_then(|from| from.config_map_key_ref);
            found.add_named(source, &path("env", place));
        }
    }
    found.0
}

fn list<T: for<'de> Deserialize<'de>>(raw: Option<Raw<'_>>) -> Vec<T> {
    let entries = raw.map(|raw| serde_json::from_str::<Option<Vec<T>>>(raw.get()));
    entries.and_then(Result::ok).flatten().unwrap_or_default()
}

struct Found(Vec<Reference>);

impl Found {
    fn add_named(&mut self, named: Option<Named>, path: &str) {
        if let Some(named) = named.filter(|named| named.optional != Some(true)) {
            self.add(ReferenceKind::ConfigMap, &named.name, path);
        }
    }

    fn add(&mut self, kind: ReferenceKind, name: &str, path: &str) {
        let known = |known: &Reference| known.kind == kind && known.name == name;
        // Every namespace has the account `default`, and Kubernetes puts these two there by itself.
        let always = matches!(name, "" | "default" | "kube-root-ca.crt");
        if !always && !self.0.iter().any(known) {
            let path = format!("spec.template.spec.{path}");
            self.0.push(Reference { kind, name: name.to_owned(), path });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pod_cannot_start_without() {
        let pod: PodSpec<'_> = serde_json::from_str(
            r#"{"serviceAccountName":"migrator",
                "volumes":[{"name":"a","configMap":{"name":"sql"}},{"name":"b","emptyDir":{}},
                    {"name":"c","persistentVolumeClaim":{"claimName":"dump"}},
                    {"name":"d","projected":{"sources":[{"configMap":{"name":"kube-root-ca.crt"}},
                        {"configMap":{"name":"extra","optional":true}},{"secret":{"name":"s"}}]}}],
                "initContainers":[{"name":"i","envFrom":[{"configMapRef":{"name":"settings"}}]}],
                "containers":[{"name":"m","envFrom":[{"configMapRef":{"name":"settings"}},
                    {"secretRef":{"name":"s"}}],
                    "env":[{"name":"A","value":"x"},
                        {"name":"B","valueFrom":{"configMapKeyRef":{"name":"flags","key":"k"}}}]}]}"#,
        )
        .unwrap();
        let found: Vec<String> = of_pod(&pod)
            .iter()
            .map(|r| format!("{} {} {}", r.kind.name(), r.name, r.path))
            .collect();
        assert_eq!(
            found,
            [
                "ServiceAccount migrator spec.template.spec.serviceAccountName",
                "ConfigMap sql spec.template.spec.volumes[0]",
                "PersistentVolumeClaim dump spec.template.spec.volumes[2]",
                "ConfigMap settings spec.template.spec.initContainers[0].envFrom",
                "ConfigMap flags spec.template.spec.containers[0].env",
            ]
        );
        let default: PodSpec<'_> =
            serde_json::from_str(r#"{"serviceAccountName":"default","volumes":7}"#).unwrap();
        assert_eq!(of_pod(&default), []);
    }
}
