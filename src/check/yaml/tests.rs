//! Whole texts and what is read from them.

mod errors;
mod places;
mod properties;

use serde_json::{Value, json};

use super::*;

fn read(text: &str) -> Vec<Document> {
    documents(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn values(text: &str) -> Vec<Value> {
    read(text).into_iter().map(|document| document.value).collect()
}

/// Every row was checked against `sigs.k8s.io/yaml` 1.6.0, which kubectl 1.32 agrees with.
#[test]
fn texts_read_as_kubectl_reads_them() {
    let cases = [
        // Block, flow and JSON.
        ("a: 1\nb: [x, y]\nc: {d: e}", json!({"a": 1, "b": ["x", true], "c": {"d": "e"}})),
        ("a:\n- b\n- c", json!({"a": ["b", "c"]})), // list as deep as its key
        ("- - a\n  - b\n- c: 1\n  d: 2", json!([["a", "b"], {"c": 1, "d": 2}])),
        ("{\n\t\"a\": {\n\t\t\"b\": [1, null]\n\t}\n}", json!({"a": {"b": [1, null]}})),
        (r#"{"a":1,"b":{"c":[]}}"#, json!({"a": 1, "b": {"c": []}})),
        ("[a: 1, b: 2]", json!([{"a": 1}, {"b": 2}])),
        ("{a, b: 1}", json!({"a": null, "b": 1})),
        ("a: {a:1}", json!({"a": {"a:1": null}})), // no space, no value
        ("a: [1,2,]", json!({"a": [1, 2]})),
        ("hello", json!("hello")),
        // Absent values.
        ("a:\nb: ~", json!({"a": null, "b": null})),
        ("- \n- a", json!([null, "a"])),
        // Scalars over several lines.
        ("a: |\n  x\n  y\n", json!({"a": "x\ny\n"})),
        ("a: |\n  x", json!({"a": "x"})), // no line end, so none in the value
        ("a: |-\n  x\n", json!({"a": "x"})),
        ("a: |+\n x\n\n\n", json!({"a": "x\n\n\n"})),
        ("a: >-\n  x\n  y\n\n  z\n", json!({"a": "x y\nz"})),
        ("a: 'x\n  y'", json!({"a": "x y"})),
        ("a: \"x\\\n  y\"", json!({"a": "xy"})),
        ("a: x\n y", json!({"a": "x y"})),
        // Quotes and escapes.
        ("a: 'it''s'", json!({"a": "it's"})),
        (r#"a: "\x41\u00e9\U0001F600\t""#, json!({"a": "Aé😀\t"})),
        // What looks like something else.
        ("a: http://x", json!({"a": "http://x"})),
        ("a: x#c", json!({"a": "x#c"})),
        ("a: x #c", json!({"a": "x"})),
        ("a: b:c", json!({"a": "b:c"})),
        ("key with spaces: v", json!({"key with spaces": "v"})),
        ("a:\tb", json!({"a": "b"})),
        // Keys that are not strings.
        ("8080: a\non: b\n0x10: c", json!({"8080": "a", "true": "b", "16": "c"})),
        ("? a\n: b", json!({"a": "b"})),
        ("\"\": a", json!({"": "a"})),
        // Tags.
        ("a: !!str 5\nb: !!int \"5\"", json!({"a": "5", "b": 5})),
        ("a: !!float 5\nb: !!bool yes", json!({"a": 5, "b": true})),
        ("a: !!str\nb: !!null", json!({"a": "", "b": null})),
        ("a: !custom 5\nb: !custom\nc: ! 5", json!({"a": "5", "b": "", "c": "5"})),
        ("a: !custom {b: 1}\nc: !!seq [1]", json!({"a": {"b": 1}, "c": [1]})),
        ("a: !!set {b}", json!({"a": {"b": null}})),
        ("a: !<tag:yaml.org,2002:int> 5", json!({"a": 5})),
        ("!!int 010: a", json!({"8": "a"})),
        // Line ends and byte order mark.
        ("a:\r\n  b: 1\r\nc: |\r\n  x\r\n  y\r\n", json!({"a": {"b": 1}, "c": "x\ny\n"})),
        ("a:\r  b: 1\r", json!({"a": {"b": 1}})),
        ("\u{feff}a: 1", json!({"a": 1})),
        // Repeated keys.
        ("a: 1\na: 2", json!({"a": 2})),
        ("1: a\n\"1\": b", json!({"1": "b"})),
    ];
    for (text, expected) in cases {
        assert_eq!(values(text), [expected], "{text:?}");
    }
}

/// Every row was checked against `sigs.k8s.io/yaml` 1.6.0.
#[test]
fn anchors_and_merges_read_as_kubectl_reads_them() {
    let cases = [
        ("- &x 1\n- *x", json!([1, 1])),
        ("- &x 1\n- &x 2\n- *x", json!([1, 2, 2])), // the nearest above
        ("- &x {k: [1]}\n- *x", json!([{"k": [1]}, {"k": [1]}])),
        ("- &x k\n- *x : 1", json!(["k", {"k": 1}])),
        ("&k a: 1\nb: *k", json!({"a": 1, "b": "a"})),
        ("&k 5: 1\nb: *k", json!({"5": 1, "b": 5})),
        ("a: &x\nb: *x", json!({"a": null, "b": null})),
        ("<<: {a: 2}\nb: 1", json!({"a": 2, "b": 1})),
        ("<<: {a: 2}\na: 1", json!({"a": 1})),
        ("- &x {a: 1, b: 1}\n- {<<: *x, b: 2}", json!([{"a": 1, "b": 1}, {"a": 1, "b": 2}])),
        // go-yaml sets fields in the order of the text, so a merge below a field replaces it.
        ("a: 1\n<<: {a: 2}", json!({"a": 2})),
        // The first mapping of a list wins.
        (
            "- &x {k: 1, j: 1}\n- &y {k: 2, m: 2}\n- {<<: [*x, *y]}",
            json!([{"j": 1, "k": 1}, {"k": 2, "m": 2}, {"j": 1, "k": 1, "m": 2}]),
        ),
        // A merged mapping brings what was merged into it.
        (
            "- &x {a: 1}\n- &z {<<: *x, b: 2}\n- {<<: *z}",
            json!([{"a": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 2}]),
        ),
        ("!!merge <<: {a: 1}", json!({"a": 1})),
        ("\"<<\": {a: 1}", json!({"<<": {"a": 1}})), // quoted, it is a key
        ("a: <<", json!({"a": "<<"})),
    ];
    for (text, expected) in cases {
        assert_eq!(values(text), [expected], "{text:?}");
    }
}

#[test]
fn streams_fall_into_documents() {
    // Text, and for each document its value and the line it starts on.
    let cases: [(&str, &[(Value, usize)]); 15] = [
        ("", &[]),
        (" \n\n", &[]),
        ("# only a comment\n", &[]),
        ("---\n# nothing\n---\n---\n", &[]),
        ("~\n---\nnull\n", &[]), // kubectl skips null documents
        ("a: 1", &[(json!({"a": 1}), 1)]),
        ("---\na: 1\n---\nb: 2\n", &[(json!({"a": 1}), 2), (json!({"b": 2}), 4)]),
        ("a: 1\n---\n\n# x\n\nb: 2", &[(json!({"a": 1}), 1), (json!({"b": 2}), 6)]),
        ("a: 1\n--- # c\nb: 2", &[(json!({"a": 1}), 1), (json!({"b": 2}), 3)]),
        ("a: 1\n...\n---\nb: 2", &[(json!({"a": 1}), 1), (json!({"b": 2}), 4)]),
        ("--- {a: 1}\n--- {b: 2}\n", &[(json!({"a": 1}), 1), (json!({"b": 2}), 2)]),
        ("{\"a\": 1}\n---\n{\"b\": 2}", &[(json!({"a": 1}), 1), (json!({"b": 2}), 3)]),
        ("a: 1\r\n---\r\nb: 2\r\n", &[(json!({"a": 1}), 1), (json!({"b": 2}), 3)]),
        ("a: |\n  x\n  --- y\n---\nb: 2", &[(json!({"a": "x\n--- y\n"}), 1), (json!({"b": 2}), 5)]),
        (
            "\u{feff}---\na: 1\n...\n\u{feff}---\nb: 2",
            &[(json!({"a": 1}), 2), (json!({"b": 2}), 5)],
        ),
    ];
    for (text, expected) in cases {
        let found: Vec<_> = read(text).into_iter().map(|doc| (doc.value, doc.line)).collect();
        assert_eq!(found, expected, "{text:?}");
    }
}

#[test]
fn oddities_are_warned_of() {
    let twice = |key: &str, line: usize| {
        format!("`{key}` was set on line {line} already; kubectl takes the last one, this one")
    };
    let merged = |key: &str, line: usize| {
        format!(
            "this merge replaces `{key}` of line {line}, as kubectl reads it; put `<<` above that \
             line to keep it"
        )
    };
    let cases = [
        ("a: 1\nb: 2\n", vec![]),
        ("a: 1\nb: 2\na: 3\n", vec![(3, 1, "a", twice("a", 1))]),
        ("a: 1\na: 2\na: 3\n", vec![(2, 1, "a", twice("a", 1)), (3, 1, "a", twice("a", 2))]),
        ("s:\n  x: {k: 1, k: 2}\n", vec![(2, 13, "k", twice("k", 2))]),
        ("{\"a\": 1, \"a\": 2}", vec![(1, 10, "\"a\"", twice("a", 1))]),
        // Only kubectl's keys are equal.
        ("yes: 1\ntrue: 2\n", vec![(2, 1, "true", twice("true", 1))]),
        ("8: 1\n\"8\": 2\n", vec![(2, 1, "\"8\"", twice("8", 1))]),
        // An own field below a merge is what merges are for; above, it is lost.
        ("<<: {a: 1}\na: 2\n", vec![]),
        ("a: 1\n<<: {a: 2}\n", vec![(2, 1, "<<", merged("a", 1))]),
        ("<<: {a: 1}\n<<: {a: 2}\n", vec![]),
        ("<<: {a: 1}\na: 2\na: 3\n", vec![(3, 1, "a", twice("a", 2))]),
        // A document has its own, lines are those of the text.
        ("a: 1\n---\nb: 1\nb: 2\n", vec![(4, 1, "b", twice("b", 3))]),
    ];
    for (text, expected) in cases {
        let found: Vec<_> = read(text)
            .into_iter()
            .flat_map(|document| document.warnings)
            .map(|YamlWarning { location: at, message }| {
                (at.line, at.column, text.get(at.start..at.end).unwrap(), message)
            })
            .collect();
        assert_eq!(found, expected, "{text:?}");
    }
}
