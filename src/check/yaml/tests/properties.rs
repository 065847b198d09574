//! What holds for every text.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Number, json};

use super::*;

const MANIFESTS: [&str; 3] = [
    r#"apiVersion: batch/v1
kind: Job
metadata:
  name: db-migrate
  annotations:
    argocd.argoproj.io/hook: PreSync
    argocd.argoproj.io/sync-wave: "-1"
spec:
  backoffLimit: 0  # no retries
  template:
    spec:
      containers:
        - name: migrate
          image: myapp/api:v1.2.0
          command:
            - /bin/sh
            - |
              set -e
              python manage.py migrate

              echo "done: ok" # x
          env:
            - {name: DATABASE_URL, valueFrom: {secretKeyRef: {name: db, key: url}}}
          resources: {requests: {memory: "256Mi", cpu: 100m}, limits: {}}
"#,
    r#"apiVersion: v1
kind: ConfigMap
data: &data
  mode: 0644
  on: 'yes'
  folded: >-
    text
    goes on

  list: [a, ~, 0x1F]
one: {<<: *data, mode: 1}
---
two: &two
  <<: [{a: 1}, {a: 2, b: 3}]
  ? b
  : "c\
    d"
three: *two
"#,
    r#"{"kind": "List", "items": [{"a": [true, null, -1.5e3, "x\ny"]},
 {"c": {"d": {}}, "e": []}]}
"#,
];

const PIECES: [&str; 44] = [
    "\n",
    "\r\n",
    " ",
    "  ",
    "\t",
    "- ",
    ": ",
    ":",
    ",",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "\\",
    "#",
    " #",
    "&a ",
    "*a",
    "<<: *a\n",
    "!!str ",
    "!!int ",
    "!<",
    "|\n",
    "|+2\n",
    ">-\n",
    "? ",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "{{ .Values.x }}",
    "0644",
    "~",
    ".inf",
    "1e3",
    "key: value\n",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "é",
    "😀",
    "\0",
    "@",
];

/// Reads a text and checks what must hold of every answer.
fn check(text: &str) -> Result<(), TestCaseError> {
    let read = match documents(text) {
        Ok(read) => read,
        Err(error) => {
            prop_assert!(!error.message.is_empty());
            return within(text, &error.location);
        }
    };
    for document in read {
        prop_assert!(!document.value.is_null());
        for warning in &document.warnings {
            within(text, &warning.location)?;
        }
        for (path, _) in paths(&document.value) {
            let location = document.locate(&path);
            prop_assert!(location.exact, "{path}");
            within(text, &location)?;
        }
    }
    Ok(())
}

/// A location is a piece of one line of the text, and says which.
fn within(text: &str, at: &Location) -> Result<(), TestCaseError> {
    let underlined = text.get(at.start..at.end);
    prop_assert!(underlined.is_some_and(|piece| !piece.contains(['\n', '\r'])), "{at:?}");
    // YAML's line ends: CR LF, CR, LF.
    let before = text[..at.start].replace("\r\n", "\n");
    let mut lines = before.split(['\n', '\r']);
    let last = lines.next_back().unwrap();
    prop_assert_eq!(at.line, lines.count() + 1, "{:?}", at);
    // A byte order mark is a column where it is content, and none where it is a mark.
    if !last.contains('\u{feff}') {
        prop_assert_eq!(at.column, last.chars().count() + 1, "{:?}", at);
    }
    Ok(())
}

/// The path of every field and item, with the key of fields.
fn paths(value: &Value) -> Vec<(String, Option<String>)> {
    let mut found = vec![];
    let mut left = vec![(String::new(), value)];
    while let Some((path, value)) = left.pop() {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    found.push((path.clone(), None));
                    left.push((path, item));
                }
            }
            Value::Object(fields) => {
                for (key, field) in fields {
                    let escaped = key.replace('\\', "\\\\").replace('"', "\\\"");
                    let path = format!("{path}[\"{escaped}\"]");
                    found.push((path.clone(), Some(key.clone())));
                    left.push((path, field));
                }
            }
            _ => {}
        }
    }
    found
}

/// Characters that YAML allows and, as JSON writes them, control characters as escapes. The others
/// (DEL, C1 controls, U+FFFE) are errors to go-yaml as well.
fn string() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => any::<char>(),
        1 => select(vec!['\0', '\t', '\n', '\r', '"', '\\', '\'', ':', '#', '{', '&', '~', ' ', '<']),
    ];
    let allowed = character.prop_map(|character| match character {
        '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' | '\u{feff}' => 'x',
        _ => character,
    });
    vec(allowed, 0..12).prop_map(|characters| characters.into_iter().collect())
}

/// Numbers with one form. A whole float reads as an integer, which tables test.
fn number() -> impl Strategy<Value = Number> {
    let fractional =
        |value: &f64| value.is_finite() && (value.fract() != 0.0 || value.abs() >= 1e21);
    prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        any::<f64>()
            .prop_filter("has a second form", fractional)
            .prop_map(|value| Number::from_f64(value).unwrap()),
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number().prop_map(Value::Number),
        string().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            btree_map(string(), inner, 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        check(&text)?;
    }

    #[test]
    fn any_pieces_are_answered(pieces in vec(select(&PIECES[..]), 0..40)) {
        check(&pieces.concat())?;
    }

    #[test]
    fn any_mutated_manifest_is_answered(
        manifest in select(&MANIFESTS[..]),
        edits in vec((any::<prop::sample::Index>(), 0_usize..8, select(&PIECES[..])), 1..6),
    ) {
        let mut characters: Vec<char> = manifest.chars().collect();
        for (at, removed, inserted) in edits {
            let at = at.index(characters.len() + 1);
            let end = (at + removed).min(characters.len());
            characters.splice(at..end, inserted.chars());
        }
        check(&characters.into_iter().collect::<String>())?;
    }

    #[test]
    fn json_reads_back_equal(value in json_value(), pretty in any::<bool>()) {
        let value = json!({"value": value});
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        let read = documents(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(read.len(), 1);
        let document = &read[0];
        prop_assert_eq!(&document.value, &value);
        prop_assert!(document.warnings.is_empty());
        for (path, key) in paths(&value) {
            let location = document.locate(&path);
            prop_assert!(location.exact);
            within(&text, &location)?;
            if let Some(key) = key {
                let written = Value::from(key).to_string();
                prop_assert!(text[location.start..location.end].starts_with(&written), "{}", path);
            }
        }
    }

    #[test]
    fn any_path_is_answered(path in "[a-z.\\[\\]\"'0-9\\\\/ü]{0,40}") {
        for manifest in MANIFESTS {
            for document in documents(manifest).unwrap() {
                within(manifest, &document.locate(&path))?;
            }
        }
    }
}
