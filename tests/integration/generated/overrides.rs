//! The `CustomResourceDefinition` of the override, generated from the types that the program reads.

use serde_json::{Value, json};
use wavegate::domain::gate_override::{KIND, OverrideSpec, PLURAL, REQUIREMENTS};

use super::custom_resource::{Names, column, compare_definition, definition_of, schema};

const PATH: &str = "charts/wavegate/files/crds/gateoverrides.yaml";

const HEADER: &str = "\
# Generated from src/domain/gate_override.rs by `make docs`; do not edit.
#
# What a person says against the gate, and why. wavegate reads them and writes none; who may create one is RBAC's and
# the admission policy wavegate-overrides' to say.
";

/// A changed reason or release would be a word that nobody gave.
const IMMUTABLE: &str = "self == oldSelf";

fn columns() -> Value {
    json!([
        column("Kind", "string", ".spec.kind", "What it does.", 0),
        column("App", "string", ".spec.app", "The app that it speaks of.", 0),
        column("Workload", "string", ".spec.workload.name", "The workload that it speaks of.", 0),
        column("Release", "string", ".spec.release", "The release that it speaks of.", 0),
        column("Expires", "string", ".spec.expiresAt", "When it counts no more.", 0),
        column("Reason", "string", ".spec.reason", "Why.", 0),
        column("Age", "date", ".metadata.creationTimestamp", "When it was created.", 0),
        column("Image", "string", ".spec.image", "The release that it speaks of, as an image.", 0),
        column("Migration", "string", ".spec.migration", "Which migration was done.", 1),
        column("Before", "string", ".spec.before", "What succeeded before counts no more.", 1),
    ])
}

fn definition() -> Value {
    let mut rules = vec![json!({
        "rule": IMMUTABLE, "message": "an override never changes: delete it and create another",
    })];
    let requirements = REQUIREMENTS.iter();
    rules.extend(requirements.map(|r| json!({"rule": r.cel, "message": r.message})));
    let spec = schema::<OverrideSpec>("What is said, of what, and why.", json!(rules));
    let names = Names { kind: KIND, plural: PLURAL, short: None, scope: "Namespaced" };
    definition_of(
        &names,
        json!({
            "additionalPrinterColumns": columns(),
            "selectableFields": [
                {"jsonPath": ".spec.kind"}, {"jsonPath": ".spec.app"},
                {"jsonPath": ".spec.workload.name"},
            ],
            "schema": {"openAPIV3Schema": {
                "description": "What a person says against the gate of migrations.",
                "properties": {"spec": spec},
                "required": ["spec"],
            }},
        }),
    )
}

#[test]
fn the_definition_of_the_override_is_current() {
    compare_definition(PATH, HEADER, &definition());
}

/// The page shows the examples that the tests apply.
#[test]
fn the_page_shows_the_examples() {
    let page = std::fs::read_to_string("docs/overrides.md").unwrap();
    for kind in ["bypass", "attest", "invalidate", "retire"] {
        let example = std::fs::read_to_string(format!("examples/overrides/{kind}.yaml")).unwrap();
        let (comment, yaml) = example.split_once('\n').unwrap();
        assert!(comment.starts_with("# "), "{kind}");
        assert!(page.contains(&format!("```yaml\n{yaml}```")), "{kind} is not on the page");
    }
}
