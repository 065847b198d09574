use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::*;
use crate::admission::review::{envelope, read_with_workload};
use crate::domain::manifest::{CronJobManifest, JobManifest, WorkloadManifest};
use crate::domain::text::Raw;

/// Reviews as API servers send them.
static RECORDED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut texts = Vec::new();
    let mut directories =
        ["tests/fixtures/reviews", "tests/fixtures/bench"].map(PathBuf::from).to_vec();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                texts.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    assert!(!texts.is_empty());
    texts
});

fn quick<'de, T: Deserialize<'de>>(text: &'de str) -> Option<T> {
    from_str(text).ok()
}

/// Asserts that what is read here is what `serde_json` reads of JSON; tells whether it was read.
fn agrees<'de, T: Deserialize<'de> + fmt::Debug>(text: &'de str) -> bool {
    let Some(value) = quick::<T>(text) else { return false };
    if is_json(text) {
        let want: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(format!("{value:?}"), format!("{want:?}"), "{text}");
    }
    true
}

fn review_agrees(text: &str) -> bool {
    let Ok(review) = read_with_workload(text) else { return false };
    if is_json(text) {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let want = envelope(&mut deserializer, true).unwrap();
        deserializer.end().unwrap();
        assert_eq!(format!("{review:?}"), format!("{want:?}"), "{text}");
    }
    true
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[test]
fn what_api_servers_send_is_read_as_serde_json_reads_it() {
    for text in &*RECORDED {
        assert!(review_agrees(text), "{text}");
        let review: Value = serde_json::from_str(text).unwrap();
        for object in ["object", "oldObject"] {
            let object = &review["request"][object];
            // As it is sent, and with blanks wherever they may stand.
            for text in [object.to_string(), format!("{object:#}")] {
                let read = match object["kind"].as_str() {
                    None => agrees::<Option<IgnoredAny>>(&text),
                    Some("Job") => agrees::<JobManifest<'_>>(&text),
                    Some("CronJob") => agrees::<CronJobManifest<'_>>(&text),
                    Some(_) => agrees::<WorkloadManifest<'_>>(&text),
                };
                assert!(read, "{text}");
                assert!(agrees::<Raw<'_>>(&text), "{text}");
            }
        }
    }
}

#[test]
fn what_is_skipped_ends_where_it_should() {
    for (text, whole) in [
        (
            r#" {"a" : [ 1 , {} , [] , "\u00e9\n]" , null , true , false ] , "b" : {"c":-0.5e+3} } "#,
            true,
        ),
        ("0", true),
        ("-1E9", true),
        (r#""\\""#, true),
        (r#"{"}":"\"}"}"#, true),
        ("", false),
        ("01", false),
        ("1.", false),
        ("1e", false),
        ("-", false),
        ("+1", false),
        ("nul", false),
        ("nulll", false),
        ("\"", false),
        (r#""\""#, false),
        ("[1", false),
        (r#"{"a":1"#, false),
        (r#"{"a":"}"#, false),
        ("{}}", false),
        ("{} {}", false),
        ("]", false),
        (",", false),
    ] {
        assert_eq!(quick::<IgnoredAny>(text).is_some(), whole, "{text}");
        assert_eq!(is_json(text), whole, "{text}");
        assert_eq!(agrees::<Raw<'_>>(text), whole, "{text}");
    }
}

/// Whoever reads such a value later sees what is wrong with it.
#[test]
fn what_is_skipped_is_not_read() {
    for text in ["[1,]", "[1 2]", "[1}", r#"{"a" 1}"#, "{,}", r#""\x""#, "\"a\nb\""] {
        assert_eq!(quick::<Raw<'_>>(text).map(Raw::get), Some(text));
        assert!(!is_json(text));
        assert_eq!(quick::<Vec<Option<i64>>>(text), None);
    }
}

#[test]
fn what_is_read_is_what_it_should_be() {
    for (text, want) in [
        (r#"["", "a", "\"\\\u00e9\ud83d\ude00"]"#, true),
        (r#"["\ud83d"]"#, false),
        (r#"["a",]"#, false),
        (r#"["a" "b"]"#, false),
        (r#"["a"}"#, false),
        ("[null]", false),
        ("[1]", false),
    ] {
        assert_eq!(agrees::<Vec<crate::domain::text::Text<'_>>>(text), want, "{text}");
    }
    for (text, want) in [
        ("0", true),
        ("-9223372036854775808", true),
        ("9223372036854775807", true),
        ("9223372036854775808", false),
        ("-0", false),
        ("1.0", false),
        ("1e2", false),
        ("\"1\"", false),
        ("null", true),
    ] {
        assert_eq!(agrees::<Option<i64>>(text), want, "{text}");
    }
    for text in ["true", "false"] {
        assert!(agrees::<bool>(text));
    }
    assert!(!agrees::<bool>("tru"));
}

#[test]
fn nesting_is_bounded_where_it_is_read() {
    #[derive(Debug, Deserialize)]
    struct Nested(#[allow(dead_code, reason = "printed")] Vec<Self>);

    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(agrees::<Nested>(&nested(127)));
    assert!(!agrees::<Nested>(&nested(128)));
    assert!(agrees::<Raw<'_>>(&nested(100_000)));
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f32>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_is_skipped(value in json()) {
        for text in [value.to_string(), format!("{value:#}")] {
            prop_assert!(agrees::<Raw<'_>>(&text));
        }
    }

    #[test]
    fn a_damaged_value_is_never_skipped_differently(
        value in json(),
        at in any::<prop::sample::Index>(),
        length in 0..4_usize,
        filling in r#"[\[\]{}":,\\0-9eE.+ntfu -]{0,3}"#,
    ) {
        let mut text = value.to_string();
        let mut boundaries: Vec<usize> = text.char_indices().map(|(index, _)| index).collect();
        boundaries.push(text.len());
        let start = at.index(boundaries.len());
        let end = (start + length).min(boundaries.len() - 1);
        text.replace_range(boundaries[start]..boundaries[end], &filling);
        agrees::<Raw<'_>>(&text);
    }

    #[test]
    fn a_damaged_review_is_never_read_differently(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        length in 0..40_usize,
        filling in prop_oneof![
            Just(""), Just("null"), Just("[]"), Just("{}"), Just("\""), Just("7"), Just("\\"), Just(","), Just("1.5"),
        ],
    ) {
        let mut text = which.get(&RECORDED).clone();
        let start = text.floor_char_boundary(at.index(text.len()));
        let end = text.ceil_char_boundary((start + length).min(text.len()));
        text.replace_range(start..end, filling);
        review_agrees(&text);
    }
}
