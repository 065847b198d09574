//! Which namespaces the entries of the webhook configurations are about: the selectors of every variant, evaluated as
//! the API server does, on every label.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::rig::{objects, template};

const MODES: [Option<&str>; 5] =
    [None, Some("enforce"), Some("warn"), Some("off"), Some("enforced")];

/// Whether a selector matches labels. Expressions are all that the chart uses.
fn matches(selector: &Value, labels: &BTreeMap<&str, &str>) -> bool {
    assert_eq!(selector.as_object().unwrap().len(), 1, "{selector}");
    selector["matchExpressions"].as_array().unwrap().iter().all(|expression| {
        let have = labels.get(expression["key"].as_str().unwrap());
        let listed =
            |value: &&str| expression["values"].as_array().unwrap().iter().any(|v| v == *value);
        match expression["operator"].as_str().unwrap() {
            "In" => have.is_some_and(listed),
            // A label that is not there is not in the list.
            "NotIn" => !have.is_some_and(listed),
            "Exists" => have.is_some(),
            other => panic!("{other}"),
        }
    })
}

/// The entries that are about a namespace of this name and mode.
fn entries(rendered: &[Value], namespace: &str, mode: Option<&str>) -> Vec<String> {
    let mut labels = BTreeMap::from([("kubernetes.io/metadata.name", namespace)]);
    labels.extend(mode.map(|mode| ("wavegate.dev/mode", mode)));
    let webhooks = rendered
        .iter()
        .filter(|object| object["kind"].as_str().unwrap().ends_with("WebhookConfiguration"))
        .flat_map(|object| object["webhooks"].as_array().unwrap());
    let about = webhooks.filter(|webhook| matches(&webhook["namespaceSelector"], &labels));
    about.map(|webhook| webhook["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn no_entry_is_about_what_must_never_wait_for_wavegate() {
    for default in ["warn", "enforce", "off"] {
        let default = format!("defaultMode={default}");
        let values =
            [&*default, "pinnedNamespaces={payments}", "argocd.namespaces={argocd,gitops}"];
        let rendered = objects(&template(&values).ok());
        for namespace in ["kube-system", "argocd", "gitops", "wavegate"] {
            for mode in MODES {
                assert_eq!(entries(&rendered, namespace, mode), [""; 0], "{namespace} {mode:?}");
            }
        }
    }
}

#[test]
fn the_release_may_be_in_any_namespace_and_is_left_out_there() {
    let rendered = template(&[]).args(["--namespace", "platform"]).ok();
    assert!(!rendered.contains("namespace: wavegate"), "an object of another namespace");
    assert!(rendered.contains("system:serviceaccount:platform:wavegate"));
    let rendered = objects(&rendered);
    assert_eq!(entries(&rendered, "platform", Some("enforce")), [""; 0]);
    assert!(!entries(&rendered, "wavegate", Some("enforce")).is_empty());
}

/// Which of the three modes, and of the pinned ones, the entries about a namespace are of.
fn modes(rendered: &[Value], namespace: &str, mode: Option<&str>) -> Vec<String> {
    let mut modes: Vec<_> = entries(rendered, namespace, mode)
        .iter()
        .filter(|name| !name.starts_with("policies.") && !name.starts_with("unknown-mode."))
        .map(|name| name.split('.').nth(1).unwrap().to_owned())
        .collect();
    modes.dedup();
    modes.sort_unstable();
    modes.dedup();
    modes
}

#[test]
fn every_namespace_has_one_mode_and_pinned_ones_cannot_leave() {
    for default in ["warn", "enforce", "off"] {
        let default_value = format!("defaultMode={default}");
        let rendered = objects(&template(&[&default_value, "pinnedNamespaces={payments}"]).ok());
        for mode in MODES {
            let known = mode.filter(|mode| ["enforce", "warn", "off"].contains(mode));
            let want = match known.unwrap_or(default) {
                "off" => vec![],
                mode => vec![mode],
            };
            assert_eq!(modes(&rendered, "shop", mode), want, "default {default}, {mode:?}");
            assert_eq!(modes(&rendered, "payments", mode), ["pinned"], "{default}, {mode:?}");
            let unknown = |namespace| {
                entries(&rendered, namespace, mode)
                    .contains(&"unknown-mode.wavegate.dev".to_owned())
            };
            assert_eq!(unknown("shop"), mode.is_some() && known.is_none(), "{mode:?}");
            assert!(!unknown("payments"), "a pinned namespace's label says nothing");
        }
    }
}

/// `wavegate why` tells a namespace's mode as the selectors of whatever the chart registers choose it; and by the chart's
/// defaults, nothing is told to pass that they hold, where what is registered may not be read.
#[test]
fn why_knows_the_modes_of_whatever_the_chart_registers() {
    use wavegate::why::{Mode, NamespaceMode, Registration};
    let unread = Registration::Unread("wavegate may not be read by you".to_owned());
    for default in ["warn", "enforce", "off"] {
        let value = format!("defaultMode={default}");
        let rendered = objects(&template(&[&value, "pinnedNamespaces={payments}"]).ok());
        let validating =
            rendered.iter().find(|o| o["kind"] == "ValidatingWebhookConfiguration").unwrap();
        let read = Registration::Read(serde_json::from_value(validating.clone()).unwrap());
        for namespace in ["shop", "payments", "kube-system", "argocd", "wavegate", "default"] {
            for mode in MODES {
                let label = mode.map(|mode| ("wavegate.dev/mode".to_owned(), mode.to_owned()));
                let labels = label.into_iter().collect();
                let of = NamespaceMode::of(namespace, Ok(&labels), &read);
                let want = modes(&rendered, namespace, mode);
                let told = match of.mode {
                    Mode::Enforce if namespace == "payments" => vec!["pinned"],
                    Mode::Enforce => vec!["enforce"],
                    Mode::Warn => vec!["warn"],
                    Mode::Off => vec![],
                    Mode::Unknown => panic!("its labels are known"),
                };
                assert_eq!(want, told, "{default}: {namespace} {mode:?}: {}", of.reason);
                assert_eq!(of.reason.contains("(pinned)"), namespace == "payments");
                let unread = NamespaceMode::of(namespace, Ok(&labels), &unread);
                let holds = want == ["enforce"];
                assert!(!holds || unread.refuses(), "{default}: {namespace} {mode:?}");
            }
        }
    }
}
