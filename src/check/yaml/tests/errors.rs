//! What is refused, and how it is said.

use std::fmt::Write;

use super::*;

fn assert_fails(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let error = documents(text).expect_err(text);
        assert_eq!(error.to_string(), *expected, "{text:?}");
    }
}

#[test]
fn errors_say_where_and_what_to_do() {
    assert_fails(&[
        // Tabs.
        (
            "a:\n\tb: 1",
            "line 2, column 2: a tab is not allowed here; indent with spaces: YAML takes no tab as \
             indentation",
        ),
        (
            "spec:\n  a: 1\n\tb: 2",
            "line 3, column 1: a tab is not allowed here; indent with spaces: YAML takes no tab \
             as indentation",
        ),
        // Unrendered templates, and braces that are none.
        (
            "image: {{ .Values.image }}\n",
            "line 1, column 9: a mapping cannot be a mapping key; this is a Helm template: render it \
             with `helm template` and check the result",
        ),
        (
            "{{- if .Values.enabled }}\nkind: Job\n{{- end }}\n",
            "line 1, column 3: \"-\" is only valid inside a block; this is a Helm template: render it \
             with `helm template` and check the result",
        ),
        (
            "labels:\n  {{- include \"x\" . | nindent 4 }}\nspec: 1\n",
            "line 2, column 5: \"-\" is only valid inside a block; this is a Helm template: render it \
             with `helm template` and check the result",
        ),
        ("? {b: {c: 1}}\n: 2", "line 1, column 3: a mapping cannot be a mapping key"),
        // Usual slips.
        (
            "a: b: c",
            "line 1, column 5: a mapping cannot start here; align it with its siblings; a value with \
             `: ` in it needs quotes",
        ),
        (
            "a:\n  - b\n c: 1",
            "line 3, column 2: a key was expected here; align it with its siblings; a value with `: ` \
             in it needs quotes",
        ),
        (
            "a: 1\nb\nc: 2",
            "line 2, column 1: this line has no `: ` behind a key; align it with its siblings; a value \
             with `: ` in it needs quotes",
        ),
        (
            "a: @x",
            "line 1, column 4: an unquoted value cannot start with this character; put the value in \
             quotes",
        ),
        ("a: \"x", "line 1, column 4: the quote opened here is not closed; close it"),
        ("a: [1,\n2", "line 1, column 4: unclosed bracket '['"),
        (
            "path: \"C:\\dir\"",
            "line 1, column 7: unknown escape in double quotes; write `\\\\` for a backslash, or use \
             single quotes",
        ),
        (
            "cron: *every",
            "line 1, column 7: the alias names an anchor that the document has not set before; write \
             `*` values in quotes",
        ),
    ]);
}

/// YAML that has no form in JSON, or that kubectl refuses.
#[test]
fn yaml_that_is_no_manifest() {
    assert_fails(&[
        (
            "a: .inf",
            "line 1, column 4: `.inf` has no form in JSON, so no Kubernetes field can hold it",
        ),
        ("a: !!int x", "line 1, column 10: `x` is no !!int, as its tag says"),
        ("? [a]\n: b", "line 1, column 3: a list cannot be a mapping key"),
        ("? {a: b}\n: b", "line 1, column 3: a mapping cannot be a mapping key"),
        ("a:\n  ~: b", "line 2, column 3: null cannot be a mapping key"),
        ("a: &x [1]\n*x : 2", "line 2, column 1: a list cannot be a mapping key"),
        ("a: &x [*x]", "line 1, column 8: the alias stands within its own anchor"),
        (
            "a: &x 1\n---\nb: *x",
            "line 3, column 4: the alias names an anchor that the document has not \
          set before; write `*` values in quotes",
        ),
        ("a: 1\n<<: x", "line 2, column 5: `<<` takes a mapping or a list of mappings"),
        ("- &x [{a: 1}]\n- <<: *x", "line 2, column 7: `<<` takes a mapping or a list of mappings"),
        ("<<: [{a: 1}, 2]", "line 1, column 5: `<<` takes a mapping or a list of mappings"),
        // The second document counts.
        ("a: 1\n---\nb: ]", "line 3, column 4: misplaced bracket"),
    ]);
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let block = |depth: usize| "- ".repeat(depth) + "x";
    // An alias adds the depth of what it stands for.
    let aliased = |depth: usize| {
        let (open, close) = ("[{a: ".repeat(30), "}]".repeat(30));
        format!("- &a {open}{close}\n- {}*a{}", "[".repeat(depth), "]".repeat(depth))
    };
    assert!(documents(&nested(MAX_DEPTH)).is_ok());
    assert!(documents(&block(MAX_DEPTH)).is_ok());
    assert!(documents(&aliased(MAX_DEPTH - 61)).is_ok());
    for text in [
        nested(MAX_DEPTH + 1),
        nested(100_000),
        block(MAX_DEPTH + 1),
        block(100_000),
        "{a: ".repeat(100_000),
        aliased(MAX_DEPTH - 60),
    ] {
        let error = documents(&text).expect_err("too deep");
        assert_eq!(error.message, "lists and mappings are nested more than 100 deep");
    }
}

#[test]
fn copies_are_bounded() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let below = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{below}]").unwrap();
    }
    let long = "x".repeat(1 << 20);
    let texts = [
        bomb.clone(),
        bomb.replace('[', "{<<: [").replace(']', "]}").replacen(
            "[x, x, x, x, x, x, x, x, x]",
            "{k: v}",
            1,
        ),
        // Few copies of much text.
        format!("a: &a {long}\nb: [{}]", "*a, ".repeat(100)),
        // Much in each of many documents.
        format!("a: &a {}\nb: [*a, *a, *a]\n---\n", "x".repeat(1 << 16)).repeat(400),
    ];
    for text in texts {
        let error = documents(&text).expect_err("too many copies");
        assert_eq!(error.message, "anchors and aliases repeat too much of the text");
    }
    // What manifests do stays far below.
    let shared = "x-env: &env\n".to_owned() + &"  - {name: A, value: b}\n".repeat(50);
    assert!(documents(&format!("{shared}{}", "---\na: 1\n".repeat(100))).is_ok());
    let users = "- *env
"
    .repeat(500);
    assert!(
        documents(&format!(
            "{shared}users:
{users}"
        ))
        .is_ok()
    );
}
