//! The mode of a namespace, by table.

use serde_json::{Value, json};

use super::*;

fn labels(mode: Option<&str>) -> BTreeMap<String, String> {
    mode.map(|mode| (keys::MODE.to_owned(), mode.to_owned())).into_iter().collect()
}

fn entry(name: &str, path: &str, selector: &Value) -> Value {
    json!({"name": format!("workloads.{name}.wavegate.dev"), "namespaceSelector": selector,
        "clientConfig": {"service": {"name": "wavegate", "path": path}}})
}

fn read(webhooks: &Value) -> Registration {
    Registration::Read(serde_json::from_value(json!({"webhooks": webhooks})).unwrap())
}

/// Entries as the chart writes them: `payments` is pinned, and unlabelled namespaces have the default.
fn chart(default: &str) -> Registration {
    let name = |names: &[&str]| json!({"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": names});
    let chosen = |mode: &str| {
        let others: Vec<_> =
            ["enforce", "warn", "off"].into_iter().filter(|other| *other != mode).collect();
        let of_mode = if mode == default {
            json!({"key": keys::MODE, "operator": "NotIn", "values": others})
        } else {
            json!({"key": keys::MODE, "operator": "In", "values": [mode]})
        };
        json!({"matchExpressions": [of_mode, name(&["kube-system", "payments"])]})
    };
    let pinned = json!({"matchExpressions": [
        {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["payments"]}]});
    read(&json!([
        entry("enforce", "/validate/enforce", &chosen("enforce")),
        entry("pinned", "/validate/enforce", &pinned),
        entry("warn", "/validate/warn", &chosen("warn")),
        {"name": "jobs.enforce.wavegate.dev", "clientConfig": {"url": "https://x/validate/enforce"}},
    ]))
}

#[track_caller]
fn is(namespace: &str, label: Option<&str>, by: &Registration, mode: Mode, words: &str) {
    let told = NamespaceMode::of(namespace, Ok(&labels(label)), by);
    assert_eq!(told.mode, mode, "{namespace} {label:?}: {}", told.reason);
    assert!(told.reason.contains(words), "{words:?} is not in {:?}", told.reason);
}

#[test]
fn what_is_registered_tells_the_mode() {
    let by = chart("warn");
    is("shop", Some("enforce"), &by, Mode::Enforce, "is labelled wavegate.dev/mode: enforce");
    is("shop", Some("warn"), &by, Mode::Warn, "mode: warn: nothing is held here");
    is("shop", Some("off"), &by, Mode::Off, "mode: off: wavegate is not asked here");
    is("shop", None, &by, Mode::Warn, "this cluster's default is warn: nothing is held here");
    is("shop", Some("Enforce"), &by, Mode::Warn, "which does not exist");
    is("payments", Some("off"), &by, Mode::Enforce, "enforced by name (pinned)");
    is("payments", None, &by, Mode::Enforce, "enforced by name (pinned)");
    for label in [None, Some("enforce"), Some("off")] {
        is("kube-system", label, &by, Mode::Off, "is left out by the webhook configuration");
    }
    let by = chart("enforce");
    is(
        "shop",
        None,
        &by,
        Mode::Enforce,
        "no label wavegate.dev/mode, and this cluster's default is enforce",
    );
    is(
        "shop",
        Some("Warn"),
        &by,
        Mode::Enforce,
        "does not exist, and this cluster's default is enforce",
    );
    is("shop", Some("off"), &by, Mode::Off, "is labelled");
    let by = chart("off");
    is("shop", None, &by, Mode::Off, "default is off: wavegate is not asked here");
    is("shop", Some("enforce"), &by, Mode::Enforce, "is labelled");
}

#[test]
fn what_is_not_known_to_be_registered_is_taken_for_enforcing_unless_the_label_tells() {
    for by in [Registration::Unread("wavegate may not be read by you".to_owned()), read(&json!([]))]
    {
        is("shop", Some("enforce"), &by, Mode::Enforce, "by the chart's defaults");
        is("shop", Some("warn"), &by, Mode::Warn, "by the chart's defaults");
        is("shop", Some("off"), &by, Mode::Off, "by the chart's defaults");
        is("shop", Some("Enforce"), &by, Mode::Unknown, "what an enforcing one gets");
        is("shop", None, &by, Mode::Unknown, "what an enforcing one gets");
        is("kube-system", None, &by, Mode::Off, "by the chart's defaults");
    }
}

#[test]
fn of_a_namespace_that_may_not_be_read_the_name_tells_what_it_can() {
    let of = |namespace, by: &Registration| NamespaceMode::of(namespace, Err("forbidden"), by).mode;
    let by = chart("warn");
    assert_eq!(of("payments", &by), Mode::Enforce);
    assert_eq!(of("kube-system", &by), Mode::Off);
    assert_eq!(of("shop", &by), Mode::Unknown);
    assert_eq!(of("shop", &Registration::Unread("is gone".to_owned())), Mode::Unknown);
}

#[test]
fn selectors_select_as_kubernetes_defines_them() {
    let expression = |operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": "team", "operator": operator, "values": values}]});
    let cases = [
        (json!({}), true, true, true),
        (Value::Null, true, true, true),
        (json!({"matchLabels": {"team": "a"}}), true, false, false),
        (expression("In", &["a"]), true, false, false),
        (expression("NotIn", &["a"]), false, true, true),
        (expression("Exists", &[]), true, true, false),
        (expression("DoesNotExist", &[]), false, false, true),
        (json!({"matchLabels": {"kubernetes.io/metadata.name": "shop"}}), true, true, true),
        (
            json!({"matchLabels": {"team": "a"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]}),
            false,
            false,
            false,
        ),
    ];
    for (selector, a, b, none) in cases {
        let mut webhook = entry("enforce", "", &selector);
        webhook["clientConfig"] = json!({"url": "https://127.0.0.1:8443/validate/enforce"});
        if selector.is_null() {
            webhook.as_object_mut().unwrap().remove("namespaceSelector");
        }
        let by = read(&json!([webhook]));
        for (team, want) in [(Some("a"), a), (Some("b"), b), (None, none)] {
            let labels =
                team.map(|team| ("team".to_owned(), team.to_owned())).into_iter().collect();
            let told = NamespaceMode::of("shop", Ok(&labels), &by).mode;
            assert_eq!(told == Mode::Enforce, want, "{selector} {team:?}");
        }
    }
}
