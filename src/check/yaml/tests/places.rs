//! Where `locate` points.

use super::*;

/// Line, underlined text and whether it is the field itself.
fn place<'t>(text: &'t str, document: &Document, path: &str) -> (usize, &'t str, bool) {
    let Location { line, column, start, end, exact } = document.locate(path);
    let before = text.get(..start).unwrap().trim_start_matches('\u{feff}');
    assert_eq!(line, before.matches('\n').count() + 1, "{path}");
    let last = before.rsplit('\n').next().unwrap();
    assert_eq!(column, last.chars().count() + 1, "{path}");
    (line, text.get(start..end).unwrap(), exact)
}

const JOB: &str = r#"# Rendered by hand.
---
apiVersion: batch/v1
kind: Job
metadata:
  name: db-migrate # the migration
  labels: {wavegate.dev/role: migration, "app": 'shop'}
  annotations:
    # Before anything else.
    argocd.argoproj.io/hook: PreSync

    "argocd.argoproj.io/sync-wave" : "-1"
    note: >-
      Runs first.
spec:
  backoffLimit:
  activeDeadlineSeconds: 300
  template:
    spec:
      containers:
      - name: migrate
        # the app's image
        image: registry.example/shop/api:v1.2.0@sha256:abc
        command: [ "/bin/sh", -c,
          "python manage.py migrate" ]
        args:
        - |
          set -e
          ./migrate
        - --verbose
        env: []
        resources: {limits: {cpu: 500m,
          memory: 1Gi}}
      -
        image:
          sidecar:1
      volumes: {}
"#;

#[test]
fn fields_of_a_block_manifest() {
    let cases = [
        // Scalars with their keys; comments and blank lines do not matter.
        ("apiVersion", (3, "apiVersion: batch/v1", true)),
        ("metadata.name", (6, "name: db-migrate", true)),
        (
            "metadata.annotations[argocd.argoproj.io/hook]",
            (10, "argocd.argoproj.io/hook: PreSync", true),
        ),
        // Quoted keys, in the path and in the text.
        (
            r#"metadata.annotations["argocd.argoproj.io/sync-wave"]"#,
            (12, r#""argocd.argoproj.io/sync-wave" : "-1""#, true),
        ),
        (r#"metadata.labels["wavegate.dev/role"]"#, (7, "wavegate.dev/role: migration", true)),
        ("metadata.labels['app']", (7, "\"app\": 'shop'", true)),
        (".metadata.labels.app", (7, "\"app\": 'shop'", true)),
        // Lists, mappings, block scalars and absent values: the key.
        ("metadata", (5, "metadata", true)),
        ("metadata.labels", (7, "labels", true)),
        ("metadata.annotations.note", (13, "note", true)),
        ("spec", (15, "spec", true)),
        ("spec.backoffLimit", (16, "backoffLimit", true)),
        ("spec.template.spec.containers", (20, "containers", true)),
        ("spec.template.spec.containers[0].command", (24, "command", true)),
        ("spec.template.spec.containers[0].resources", (32, "resources", true)),
        // A value on a line of its own: the key.
        ("spec.template.spec.containers[1].image", (35, "image", true)),
        // Empty lists and mappings are as short as scalars.
        ("spec.template.spec.containers[0].env", (31, "env: []", true)),
        ("spec.template.spec.volumes", (37, "volumes: {}", true)),
        // Items.
        ("spec.template.spec.containers[0]", (21, "name: migrate", true)),
        ("spec.template.spec.containers[1]", (35, "image", true)),
        ("spec.template.spec.containers[0].command[0]", (24, "\"/bin/sh\"", true)),
        ("spec.template.spec.containers[0].command[1]", (24, "-c", true)),
        ("spec.template.spec.containers[0].command[2]", (25, "\"python manage.py migrate\"", true)),
        ("spec.template.spec.containers[0].args[0]", (28, "set -e", true)),
        ("spec.template.spec.containers[0].args[1]", (30, "--verbose", true)),
        // Flow style.
        ("spec.template.spec.containers[0].resources.limits", (32, "limits", true)),
        ("spec.template.spec.containers[0].resources.limits.cpu", (32, "cpu: 500m", true)),
        ("spec.template.spec.containers[0].resources.limits.memory", (33, "memory: 1Gi", true)),
        // The document: its first field.
        ("", (3, "apiVersion: batch/v1", true)),
    ];
    let [document] = &read(JOB)[..] else { panic!("one document") };
    assert_eq!(document.line, 3);
    for (path, expected) in cases {
        assert_eq!(place(JOB, document, path), expected, "{path}");
    }
}

#[test]
fn fields_that_are_missing() {
    let cases = [
        ("status", (3, "apiVersion: batch/v1", false)),
        ("status.active", (3, "apiVersion: batch/v1", false)),
        ("spec.suspend", (15, "spec", false)),
        ("spec.template.metadata.labels.app", (18, "template", false)),
        ("metadata.annotations[argocd.argoproj.io/sync-options]", (8, "annotations", false)),
        // A key alone, also of a scalar.
        ("metadata.name.first", (6, "name", false)),
        ("spec.backoffLimit.x", (16, "backoffLimit", false)),
        // Within an item, what names the item.
        ("spec.template.spec.containers[0].readinessProbe", (21, "name: migrate", false)),
        ("spec.template.spec.containers[0].args[1].x", (30, "--verbose", false)),
        ("spec.template.spec.containers[2].image", (20, "containers", false)),
        ("spec.template.spec.containers[-1]", (20, "containers", false)),
        ("spec.template.spec.containers[18446744073709551616]", (20, "containers", false)),
        ("spec.template.spec.containers.image", (20, "containers", false)),
        ("spec.template.spec.containers[\"0\"]", (20, "containers", false)),
        // Dots in a key need brackets.
        ("metadata.annotations.argocd.argoproj.io/hook", (8, "annotations", false)),
        // No paths.
        ("metadata.labels[", (7, "labels", false)),
        ("metadata..name", (5, "metadata", false)),
        ("metadata.", (5, "metadata", false)),
    ];
    let [document] = &read(JOB)[..] else { panic!("one document") };
    for (path, expected) in cases {
        assert_eq!(place(JOB, document, path), expected, "{path}");
    }
}

#[test]
fn fields_of_json() {
    let pretty = r#"{
	"kind": "Job",
	"metadata": {
		"labels": {"wavegate.dev/app": "shöp", "z": null},
		"finalizers": []
	},
	"spec" : { "containers": [
		{ "name": "a" }, { "name": "b",
		  "image": "x:1" }
	] }
}"#;
    let minified = r#"{"kind":"Job","spec":{"backoffLimit":6,"x":{"y":[1,{"z":2}]}}}"#;
    let cases = [
        (pretty, "kind", (2, r#""kind": "Job""#, true)),
        (pretty, "metadata", (3, r#""metadata""#, true)),
        (pretty, "metadata.labels[wavegate.dev/app]", (4, r#""wavegate.dev/app": "shöp""#, true)),
        (pretty, "metadata.labels.z", (4, r#""z": null"#, true)),
        (pretty, "metadata.finalizers", (5, r#""finalizers": []"#, true)),
        (pretty, "spec.containers[1]", (8, r#""name": "b""#, true)),
        (pretty, "spec.containers[1].image", (9, r#""image": "x:1""#, true)),
        (pretty, "spec.backoffLimit", (7, r#""spec""#, false)),
        (minified, "spec.backoffLimit", (1, r#""backoffLimit":6"#, true)),
        (minified, "spec.x.y[0]", (1, "1", true)),
        (minified, "spec.x.y[1].z", (1, r#""z":2"#, true)),
        (minified, "spec.x.y[1]", (1, r#""z":2"#, true)),
    ];
    for (text, path, expected) in cases {
        let [document] = &read(text)[..] else { panic!("one document") };
        assert_eq!(place(text, document, path), expected, "{path}");
    }
}

#[test]
fn fields_of_lists_and_of_later_documents() {
    let text = "\u{feff}kind: Namespace\r\n---\r\n# x\r\nkind: List\r\nitems:\r\n- kind: Job\r\n  \
                spec:\r\n    backoffLimit: 3\r\n- {kind: Job, spec: {ü: é, backoffLimit: 4}}\r\n";
    let [namespace, list] = &read(text)[..] else { panic!("two documents") };
    assert_eq!((namespace.line, list.line), (1, 4));
    let cases = [
        (namespace, "kind", (1, "kind: Namespace", true)),
        (namespace, "spec.x", (1, "kind: Namespace", false)),
        (list, "", (4, "kind: List", true)),
        (list, "items", (5, "items", true)),
        (list, "items[0]", (6, "kind: Job", true)),
        (list, "items[0].spec.backoffLimit", (8, "backoffLimit: 3", true)),
        (list, "items[1].spec.backoffLimit", (9, "backoffLimit: 4", true)),
        (list, "items[1].spec.suspend", (9, "spec", false)),
        (list, "items[2].spec.suspend", (5, "items", false)),
    ];
    for (document, path, expected) in cases {
        assert_eq!(place(text, document, path), expected, "{path}");
    }
}

/// An alias is shown where it stands, what is within it where the text is.
#[test]
fn fields_that_come_through_aliases_and_merges() {
    let text = "\
x-image: &image shop/api:v1
x-base: &base
  image: old
  env:
  - {name: A}
a:
  image: *image
  env: &env
  - name: B
b:
  env: *env
  list: [*image, *env]
c:
  <<: *base
  name: c
d:
  <<: [{image: new}, *base]
  env: []
e:
  image: mine
  <<: *base
f: {<<: *base}
";
    let cases = [
        ("a.image", (7, "image: *image", true)),
        ("b.env", (11, "env: *env", true)),
        ("b.env[0].name", (9, "name: B", true)),
        ("b.env[0].value", (9, "name: B", false)),
        ("b.env[1]", (11, "env", false)),
        ("b.list[0]", (12, "*image", true)),
        ("b.list[1][0].name", (9, "name: B", true)),
        ("c", (13, "c", true)),
        ("c.name", (15, "name: c", true)),
        ("c.image", (3, "image: old", true)),
        ("c.env[0].name", (5, "name: A", true)),
        ("c.none", (13, "c", false)),
        ("d.image", (17, "image: new", true)),
        ("d.env", (18, "env: []", true)),
        ("d.env[0]", (18, "env", false)),
        // The merge stands below the field, and so replaces it.
        ("e.image", (3, "image: old", true)),
        ("f", (22, "f", true)),
    ];
    let [document] = &read(text)[..] else { panic!("one document") };
    assert_eq!(document.value["d"]["image"], json!("new"));
    assert_eq!(document.value["e"]["image"], json!("old"));
    for (path, expected) in cases {
        assert_eq!(place(text, document, path), expected, "{path}");
    }
}

#[test]
fn the_last_of_repeated_fields_is_shown() {
    let text = "spec:\n  image: a\n  image: b\nspec:\n  image: c\n";
    let [document] = &read(text)[..] else { panic!("one document") };
    assert_eq!(place(text, document, "spec"), (4, "spec", true));
    assert_eq!(place(text, document, "spec.image"), (5, "image: c", true));
}

#[test]
fn documents_without_fields() {
    let cases = [
        ("hello", "", (1, "hello", true)),
        ("hello", "spec", (1, "hello", false)),
        ("\n[]", "", (2, "[]", true)),
        ("{\n}", "spec", (1, "{", false)),
        ("- - a", "[0][0]", (1, "a", true)),
        ("- - a", "[0].b", (1, "a", false)),
        ("- \n- a", "[0]", (1, "", true)),
        ("a: 'x\n  y'", "a", (1, "a: 'x", true)), // the first line of it
    ];
    for (text, path, expected) in cases {
        let [document] = &read(text)[..] else { panic!("one document") };
        assert_eq!(place(text, document, path), expected, "{text:?} {path}");
    }
}
