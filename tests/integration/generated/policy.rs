//! The `CustomResourceDefinition` of the policy and its reference page, generated from the types that are read.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};
use wavegate::check::load::Source;
use wavegate::check::policy::policy_of;
use wavegate::policy::Policy;
use wavegate::policy::document::spec::RolloutPolicySpec;
use wavegate::policy::document::status::RolloutPolicyStatus;
use wavegate::policy::document::{KIND, PLURAL, compile};

use super::compare;
use super::custom_resource::{Names, column, compare_definition, definition_of, schema};

const PATH: &str = "charts/wavegate/files/crds/rolloutpolicies.yaml";

const HEADER: &str = "\
# Generated from src/policy/document by `make docs`; do not edit.
#
# What an operator may change. Only the one named default is in force; wavegate writes `status`.
";

/// What a schema cannot say.
fn rules() -> Value {
    json!([
        {"rule": "!has(self.rules) || self.rules.all(code, code.matches('^WG[0-9]{3}$'))",
         "message": "rules are named by their codes, such as WG101"},
    ])
}

const ONE_TARGET: &str =
    "(has(self.name) ? 1 : 0) + (has(self.generateName) ? 1 : 0) + (has(self.app) ? 1 : 0) == 1";

/// The API server wants a bound for a map before it lets a rule look at each entry.
fn bounded(spec: &mut Value) {
    for settings in ["", "/properties/overrides/items"] {
        spec.pointer_mut(&format!("{settings}/properties/rules")).unwrap()["maxProperties"] =
            json!(100);
    }
    let overrides = spec.pointer_mut("/properties/overrides/items").unwrap();
    overrides["required"] = json!(["namespaces"]);
    overrides["x-kubernetes-validations"] = rules();
    let exemption = spec.pointer_mut("/properties/exemptions/items").unwrap();
    exemption["x-kubernetes-validations"] = json!([
        {"rule": ONE_TARGET, "message": "write exactly one of name, generateName and app"},
    ]);
    let aliases = spec.pointer_mut("/properties/registryAliases").unwrap();
    aliases["x-kubernetes-list-type"] = json!("map");
    aliases["x-kubernetes-list-map-keys"] = json!(["from"]);
}

/// A structural schema cannot be closed: the API server drops an unknown field, or refuses it where the client asks for
/// strict validation, as kubectl does. Nor does it need defaults, which would be written into what authors wrote.
fn structural(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("additionalProperties") == Some(&json!(false)) {
                map.remove("additionalProperties");
            }
            if map.contains_key("type") {
                map.remove("default");
            }
            map.values_mut().for_each(structural);
        }
        Value::Array(list) => list.iter_mut().for_each(structural),
        _ => {}
    }
}

fn columns() -> Value {
    json!([
        column(
            "Active",
            "boolean",
            ".status.active",
            "Whether settings of this object are in force.",
            0
        ),
        column(
            "Accepted",
            "string",
            ".status.conditions[?(@.type==\"Accepted\")].status",
            "Whether the newest version is in force.",
            0
        ),
        column(
            "Enforced",
            "integer",
            ".status.enforcedGeneration",
            "The version that is in force.",
            0
        ),
        column("Exemptions", "integer", ".status.exemptions.active", "Exemptions that hold.", 0),
        column(
            "Expiring",
            "integer",
            ".status.exemptions.expiring",
            "Exemptions that end soon.",
            0
        ),
        column("Age", "date", ".metadata.creationTimestamp", "When it was made.", 0),
        column(
            "Message",
            "string",
            ".status.conditions[?(@.type==\"Accepted\")].message",
            "What it has come to.",
            1
        ),
    ])
}

fn definition() -> Value {
    let mut spec = schema::<RolloutPolicySpec>(
        "What an operator may change. What is left out keeps its default.",
        rules(),
    );
    bounded(&mut spec);
    structural(&mut spec);
    let mut status = schema::<RolloutPolicyStatus>("What the policy has come to.", json!([]));
    status.as_object_mut().unwrap().remove("x-kubernetes-validations");
    structural(&mut status);
    let conditions = status.pointer_mut("/properties/conditions").unwrap();
    conditions["x-kubernetes-list-type"] = json!("map");
    conditions["x-kubernetes-list-map-keys"] = json!(["type"]);
    let names = Names { kind: KIND, plural: PLURAL, short: Some("rp"), scope: "Cluster" };
    definition_of(
        &names,
        json!({
            "subresources": {"status": {}},
            "additionalPrinterColumns": columns(),
            "schema": {"openAPIV3Schema": {
                "description": "The settings of wavegate. The one named default is in force.",
                "properties": {"spec": spec, "status": status},
            }},
        }),
    )
}

#[test]
fn the_definition_of_the_policy_is_current() {
    compare_definition(PATH, HEADER, &definition());
}

/// One row of the reference for each field, those of lists and objects below their own.
fn rows(schema: &Value, path: &str, table: &mut String) {
    let Some(fields) = schema["properties"].as_object() else { return };
    for (name, field) in fields {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        // An entry of `overrides` has all that `spec` has.
        if path.starts_with("overrides[].") && path != "overrides[].namespaces" {
            continue;
        }
        let says = field["description"].as_str().unwrap_or_default().replace('\n', " ");
        let says = says.replace('|', "\\|");
        writeln!(table, "| `{path}` | {} | {} | {says} |", kind(field), default(&path)).unwrap();
        rows(field, &path, table);
        rows(&field["items"], &format!("{path}[]"), table);
        rows(&field["additionalProperties"], &format!("{path}.CODE"), table);
    }
}

fn kind(field: &Value) -> String {
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<_> = values.iter().map(|v| format!("`{}`", v.as_str().unwrap())).collect();
        return values.join(", ");
    }
    if let Some(variants) = field["oneOf"].as_array() {
        let values: Vec<_> = variants.iter().map(kind).collect();
        return values.join(", ");
    }
    match field["type"].as_str().unwrap_or("object") {
        "array" => format!("list of {}", field["items"]["type"].as_str().unwrap_or("object")),
        "object" if field["additionalProperties"].is_object() => "map by code".to_owned(),
        kind => kind.to_owned(),
    }
}

/// What holds where nothing is written, read off the settings themselves.
fn default(path: &str) -> String {
    let policy = Policy::default();
    let waiter = &policy.waiter;
    let code = |text: &str| format!("`{text}`");
    match path {
        "rules.CODE.severity" => "[the rule's](rules/README.md)".to_owned(),
        "rules.CODE.minimumSeconds" => code(&policy.deadline_seconds.start().to_string()),
        "rules.CODE.maximumSeconds" => code(&policy.deadline_seconds.end().to_string()),
        "rules.CODE.minimumTtlSeconds" => code(&policy.minimum_ttl_seconds.to_string()),
        "rules.CODE.highestWave" => code(&policy.highest_pre_sync_wave.to_string()),
        "rules.CODE.lowestWave" => code(&policy.lowest_post_sync_wave.to_string()),
        "rules.CODE.failures" => code(&policy.failures_before_warning.to_string()),
        "floatingTags" => {
            let tags: Vec<_> = policy.names.floating.iter().map(|tag| code(tag.as_str())).collect();
            tags.join(", ")
        }
        "inferredPairs" | "firstInstall" => code("warn"),
        "roleNone" => code("allow"),
        "onUnknown" => code("deny"),
        "ordering" => code("argocd"),
        "knownFor" => code(&format!("{}d", policy.known_for.as_hours() / 24)),
        "retention.successes" => code(&policy.retention.successes.to_string()),
        "retention.failures" => code(&policy.retention.failures.to_string()),
        "gateOverrides.longestBypass" => code(&format!("{}h", policy.longest_bypass.as_hours())),
        "waitForDb.inject" => code("enforce"),
        "waitForDb.mode" => code("native"),
        "waitForDb.image" => "`--waiter-image`".to_owned(),
        "waitForDb.busyboxImage" => code(&waiter.busybox_image),
        "waitForDb.busyboxUser" => code(&waiter.busybox_user.unwrap_or_default().to_string()),
        "waitForDb.timeout" => code(&format!("{}s", waiter.timeout.as_secs())),
        "waitForDb.cpu" => code(&waiter.cpu),
        "waitForDb.memory" => code(&waiter.memory),
        "fixes.noRetries" => code(&policy.fixes.no_retries.to_string()),
        "fixes.replaceFailedOnly" => code(&policy.fixes.replace_failed_only.to_string()),
        "fixes.doNotEvict" => code(&policy.fixes.do_not_evict.to_string()),
        "docs" => code(&policy.docs),
        _ => String::new(),
    }
}

const HEAD: &str = "\
# The policy

Generated from the types that wavegate reads. `examples/policy.yaml` is complete and tested.

A `RolloutPolicy` is a cluster-scoped object; the one named `default` is in force, and the built-in defaults are where there
is none. `wavegate check --policy FILE` reads the same text offline. A change takes effect within a second, without a
restart. One that is wrong is refused with the path of every field that is; should one get in while the webhook is away, the
last good one stays in force and `kubectl get rolloutpolicies` says so.

`off` must stand in quotes: to YAML a bare `off` is `false`. Patterns are names with `*` for anything, never regular expressions. Durations are numbers with the units `d`, `h`, `m` and
`s`. An entry of `overrides` takes every setting below for the namespaces that it names: a field that it does not write is as
for the whole cluster, and a list that it writes replaces the other. No namespace may stand in two entries, so no order decides.

`fixes` writes what the author of a migration left out, once the Job is created in an enforcing namespace; nothing by
default. What the author wrote stays, and is judged as ever. The API server fills its own defaults in before wavegate is
asked, so a `backoffLimit: 6` or a `podReplacementPolicy: TerminatingOrFailed` that is written is taken for one that is left out: leave it
out, or Argo CD shows a Job that is no hook as `OutOfSync`. The limit becomes 0 only where something surely waits for the database before
the migration starts, a waiter of the author's, or wavegate's where the Job, the policy or a variable in the manifest names a server;
retries may be what waits otherwise, and WG101 refuses the Job as before. A deadline of the pod alone stays the author's to move. What was
written is told as a warning and in the annotation `stamp.wavegate.dev/fixed`, and `wavegate check --policy` judges a
Job as it will be.

An exemption is exact, has a reason, and ends with its last day (UTC): its finding then denies again. What is exempted is
told as a warning with reason and day, counted by `wavegate_exempted_total` and written to the audit log. 14 days before its
end the message, the policy's status and `wavegate_exemptions{state=\"expiring\"}` say so. Renew it by writing another day. A
new or changed policy with an exemption whose day has passed is refused.

| field below `spec` | type | default | meaning |
|---|---|---|---|
";

#[test]
fn the_reference_of_the_policy_is_current() {
    let spec = schema::<RolloutPolicySpec>("", json!([]));
    let mut page = HEAD.to_owned();
    rows(&spec, "", &mut page);
    compare("docs/policy.md", &page);
}

/// Every field stands in the example, so that nobody has to guess how one is written.
#[test]
fn the_example_is_complete_and_compiles() {
    let text = fs::read_to_string("examples/policy.yaml").unwrap();
    let now = "2026-11-24T00:00:00Z".parse().unwrap();
    let source = Source::new("examples/policy.yaml", text.clone());
    let loaded = policy_of(&source, now).unwrap();
    // What it shows of one namespace allows more than the default there, and it is told so.
    assert_eq!(loaded.notices.len(), 2, "{:?}", loaded.notices);
    assert!(loaded.notices.iter().all(|notice| notice.starts_with("spec.overrides[0].")));
    let documents = source.documents.unwrap();
    let spec: RolloutPolicySpec =
        serde_json::from_value(documents[0].value["spec"].clone()).unwrap();
    compile(&spec, &Policy::default()).unwrap();
    let mut table = String::new();
    rows(&schema::<RolloutPolicySpec>("", json!([])), "", &mut table);
    for line in table.lines() {
        let path = line.split('`').nth(1).unwrap();
        let field = path.rsplit(['.', ']']).next().unwrap();
        let written = text.lines().any(|line| {
            let line = line.trim_start_matches([' ', '#', '-']);
            line.starts_with(&format!("{field}:"))
                || line.contains(&format!("{{{field}:"))
                || line.contains(&format!(", {field}:"))
        });
        assert!(written, "{path} does not stand in examples/policy.yaml");
    }
}
