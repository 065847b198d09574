//! The `CustomResourceDefinition` of the record, generated from the types that the program reads and writes.

use kube_core::schema::{OptionalEnum, StructuralSchemaRewriter};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};
use wavegate::domain::outcome::Outcome;
use wavegate::domain::record::{GROUP, KIND, RecordSpec, RecordStatus, VERSION};

use super::compare;

const PATH: &str = "charts/wavegate/files/crds/migrationrecords.yaml";

const HEADER: &str = "\
# Generated from src/domain/record.rs by `make docs`; do not edit.
#
# One object per attempt at a migration, written by wavegate alone: see records-guard.yaml. `status` is no
# subresource, so that one request creates a record with its outcome and a crash leaves none without.
";

/// The record's name is its Job's UID, so that every replica writes the same object.
const NAMED_BY_JOB: &str = "self.metadata.name == self.spec.job.uid";

const IMMUTABLE: &str = "self == oldSelf";

/// The order of `Outcome::supersedes`, in CEL: an outcome stays or moves forward.
fn forward() -> String {
    let ranks = ranks();
    format!("self.outcome == oldSelf.outcome || {ranks}[self.outcome] > {ranks}[oldSelf.outcome]")
}

fn ranks() -> String {
    let rank =
        |outcome: Outcome| Outcome::ALL.into_iter().filter(|o| outcome.supersedes(*o)).count();
    let entries: Vec<_> =
        Outcome::ALL.into_iter().map(|o| format!("'{}': {}", o.name(), rank(o))).collect();
    format!("{{{}}}", entries.join(", "))
}

/// What a Job said of its end is final, and all that may still be added to it is what its pod told: which image ran,
/// and by which container it failed.
fn settled() -> String {
    let finals: Vec<_> = Outcome::ALL.into_iter().filter(|o| o.is_final()).collect();
    let names: Vec<_> = finals.iter().map(|outcome| format!("'{outcome}'")).collect();
    // Without the optional syntax, whose cost the API server cannot estimate.
    let same = |field: &str| {
        format!(
            "has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
        )
    };
    format!(
        "!(oldSelf.outcome in [{}]) || ({} && {} && {} && (!has(oldSelf.imageID) || {}) && (!has(oldSelf.failure) || {}))",
        names.join(", "),
        same("reason"),
        same("startTime"),
        same("completionTime"),
        same("imageID"),
        same("failure"),
    )
}

/// Formats of numbers that Kubernetes knows; of others it warns whoever installs the definition. A bound says the rest.
const NUMBERS: [&str; 4] = ["int32", "int64", "float", "double"];

/// Nothing here writes null, and in a rule it would be a value.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.remove("nullable");
            let number = map.get("type") == Some(&json!("integer"));
            let known = map.get("format").and_then(Value::as_str).map(|f| NUMBERS.contains(&f));
            if number && known == Some(false) {
                map.remove("format");
            }
            map.values_mut().for_each(plain);
        }
        Value::Array(list) => list.iter_mut().for_each(plain),
        _ => {}
    }
}

pub(super) fn schema<T: JsonSchema>(description: &str, rules: Value) -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    let generator = settings
        .with_transform(StructuralSchemaRewriter)
        .with_transform(OptionalEnum)
        .into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    plain(&mut schema);
    let object = schema.as_object_mut().expect("a struct's schema is an object");
    object.remove("$schema");
    object.remove("title");
    object.insert("description".to_owned(), json!(description));
    object.insert("x-kubernetes-validations".to_owned(), rules);
    schema
}

pub(super) fn column(name: &str, kind: &str, path: &str, description: &str, priority: u8) -> Value {
    let mut column =
        json!({"name": name, "type": kind, "jsonPath": path, "description": description});
    if priority > 0 {
        column["priority"] = json!(priority);
    }
    column
}

fn columns() -> Value {
    json!([
        column("App", "string", ".spec.app", "The app that the migration belongs to.", 0),
        column("Migration", "string", ".spec.migration", "Which of its migrations.", 0),
        column("Release", "string", ".spec.release", "The release that it prepares.", 0),
        column("Outcome", "string", ".status.outcome", "How it ended.", 0),
        column("Duration", "string", ".status.duration", "How long it took.", 0),
        column("Age", "date", ".spec.job.created", "When its Job was created.", 0),
        column("Job", "string", ".spec.job.name", "The Job that ran it.", 1),
        column("Image", "string", ".spec.image", "The image that it ran.", 1),
        column("Phase", "string", ".spec.phase", "What it does to the schema.", 1),
        column("Confidence", "string", ".spec.confidence", "How sure the recognition is.", 1),
        column("Reason", "string", ".status.reason", "Why it ended so, in the Job's words.", 1),
        column("Container", "string", ".status.failure.container", "By which it failed.", 1),
        column("Message", "string", ".status.failure.message", "What the waiter said last.", 1),
    ])
}

/// Names of a kind. The other names follow from these.
pub(super) struct Names {
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
    pub(super) short: Option<&'static str>,
    pub(super) scope: &'static str,
}

/// A definition of a kind with one version, of which `version` is what is its own.
pub(super) fn definition_of(names: &Names, mut version: Value) -> Value {
    let Names { kind, plural, short, scope } = names;
    let mut names = json!({
        "kind": kind, "listKind": format!("{kind}List"), "plural": plural,
        "singular": kind.to_lowercase(), "categories": ["wavegate"],
    });
    if let Some(short) = short {
        names["shortNames"] = json!([short]);
    }
    let schema = &mut version["schema"]["openAPIV3Schema"];
    schema["type"] = json!("object");
    schema["properties"]["apiVersion"] = json!({"type": "string"});
    schema["properties"]["kind"] = json!({"type": "string"});
    schema["properties"]["metadata"] = json!({"type": "object"});
    version["name"] = json!(VERSION);
    version["served"] = json!(true);
    version["storage"] = json!(true);
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{GROUP}")},
        "spec": {"group": GROUP, "names": names, "scope": scope, "versions": [version]},
    })
}

/// Compares a definition with its file.
pub(super) fn compare_definition(path: &str, header: &str, definition: &Value) {
    let yaml = serde_saphyr::to_string(definition).expect("JSON is YAML");
    compare(path, &format!("{header}{yaml}"));
}

fn definition() -> Value {
    let spec = schema::<RecordSpec>(
        "What was attempted.",
        json!([{"rule": IMMUTABLE, "message": "spec says what was attempted, which never changes"}]),
    );
    let status = schema::<RecordStatus>(
        "How the attempt went.",
        json!([
            {"rule": forward(), "message": "the outcome only moves forward: Running, Unknown, Interrupted, then Failed or Succeeded"},
            {"rule": settled(), "message": "an attempt that failed or succeeded has ended; nothing of that changes"},
        ]),
    );
    let names =
        Names { kind: KIND, plural: "migrationrecords", short: Some("mr"), scope: "Namespaced" };
    definition_of(
        &names,
        json!({
            "additionalPrinterColumns": columns(),
            "selectableFields": [
                {"jsonPath": ".spec.app"}, {"jsonPath": ".spec.migration"},
                {"jsonPath": ".spec.release"}, {"jsonPath": ".status.outcome"},
            ],
            "schema": {"openAPIV3Schema": {
                "description": "The durable proof of one attempt at a migration. It outlives the Job that it speaks of.",
                "properties": {"spec": spec, "status": status},
                "required": ["spec", "status"],
                "x-kubernetes-validations": [{
                    "rule": NAMED_BY_JOB, "message": "a record is named by the UID of its Job",
                }],
            }},
        }),
    )
}

#[test]
fn the_definition_of_the_record_is_current() {
    compare_definition(PATH, HEADER, &definition());
}
