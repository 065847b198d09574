use proptest::prelude::*;

use super::*;

/// What strings, lists and objects are, said by a slow program: the length up to where the outermost ends.
fn slow_length(text: &[u8], mut depth: usize, mut in_string: bool) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'"' if !escaped => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
        escaped = *byte == b'\\' && !escaped;
        if depth == 0 && !in_string {
            return Some(at + 1);
        }
    }
    None
}

fn slow_plain_length(text: &[u8]) -> usize {
    let special =
        |byte: &u8| matches!(byte, b'"' | b'\\') || byte.is_ascii_control() && *byte != 0x7f;
    text.iter().position(special).unwrap_or(text.len())
}

#[test]
fn ends_are_found_wherever_they_stand_in_a_block() {
    for length in 0..200 {
        let filling = "x".repeat(length);
        assert_eq!(plain_length(filling.as_bytes()), length);
        for end in ["\"", "\\", "\n", "\u{1f}", "\0"] {
            let text = format!("{filling}{end}xx");
            assert_eq!(plain_length(text.as_bytes()), length, "{end:?}");
        }
        for not_an_end in ["\u{7f}", " ", "é", "🚀"] {
            let text = format!("{filling}{not_an_end}");
            assert_eq!(plain_length(text.as_bytes()), text.len(), "{not_an_end:?}");
        }
        for escapes in ["", r"\\", r#"\""#, r#"\\\""#, r"\u0022\\"] {
            let text = format!(r#"{filling}{escapes}" "x""#);
            assert_eq!(string_length(text.as_bytes()), Some(length + escapes.len() + 1), "{text}");
        }
        assert_eq!(string_length(format!(r#"{filling}\""#).as_bytes()), None);
        let nested = format!(r#"{filling}[{{"a]}}\"":[]}}],"]}}"{filling}}}}}"#);
        let wanted = nested.len() - 1;
        assert_eq!(nested_length(nested.as_bytes()), Some(wanted), "{nested}");
        assert_eq!(nested_length(format!(r#"{filling}{{}}"]""#).as_bytes()), None);
    }
}

#[test]
fn nesting_of_any_depth_costs_no_stack() {
    let levels = 1_000_000;
    let text = "[".repeat(levels) + &"]".repeat(levels + 1) + "]";
    assert_eq!(nested_length(text.as_bytes()), Some(2 * levels + 1));
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => r#"["\\{}\[\]]{1,3}"#,
        2 => "[a-z:,0-9]{0,40}",
        1 => r"\\{0,70}",
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_stands_there_the_ends_are_those_that_a_byte_by_byte_look_finds(text in text()) {
        let text = text.as_bytes();
        prop_assert_eq!(plain_length(text), slow_plain_length(text));
        prop_assert_eq!(string_length(text), slow_length(text, 0, true));
        prop_assert_eq!(nested_length(text), slow_length(text, 1, false));
    }
}
