//! Scalar by scalar, against what kubectl's reader makes of it.

use serde_json::json;

use super::*;

fn value(text: &str, plain: bool, tag: Tag) -> Result<Value, String> {
    resolve(text.into(), plain, tag).and_then(Scalar::into_value).map_err(|error| error.to_string())
}

fn assert_plain(cases: &[(&str, Value)]) {
    for (text, expected) in cases {
        assert_eq!(value(text, true, Tag::Implied).as_ref(), Ok(expected), "{text:?}");
    }
}

// Every row of these tables was checked against `sigs.k8s.io/yaml` 1.6.0.

/// Three spellings each, and the single letters.
#[test]
fn plain_booleans_and_nulls() {
    assert_plain(&[
        ("true", json!(true)),
        ("True", json!(true)),
        ("TRUE", json!(true)),
        ("tRUE", json!("tRUE")),
        ("yes", json!(true)),
        ("Yes", json!(true)),
        ("YES", json!(true)),
        ("on", json!(true)),
        ("On", json!(true)),
        ("ON", json!(true)),
        ("y", json!(true)),
        ("Y", json!(true)),
        ("false", json!(false)),
        ("no", json!(false)),
        ("No", json!(false)),
        ("NO", json!(false)),
        ("off", json!(false)),
        ("OFF", json!(false)),
        ("oFF", json!("oFF")),
        ("n", json!(false)),
        ("N", json!(false)),
        ("yess", json!("yess")),
        ("", json!(null)),
        ("~", json!(null)),
        ("null", json!(null)),
        ("Null", json!(null)),
        ("NULL", json!(null)),
        ("nULL", json!("nULL")),
        ("none", json!("none")),
    ]);
}

#[test]
fn plain_integers() {
    assert_plain(&[
        ("0", json!(0)),
        ("-0", json!(0)),
        ("12", json!(12)),
        ("+12", json!(12)),
        ("-12", json!(-12)),
        ("0644", json!(420)),
        ("-0644", json!(-420)),
        ("0_7", json!(7)),
        ("08", json!(8)), // no octal, but a float
        ("0o17", json!(15)),
        ("0O17", json!(15)),
        ("0x1F", json!(31)),
        ("+0x1f", json!(31)),
        ("0b11", json!(3)),
        ("-0b11", json!(-3)),
        ("0b12", json!("0b12")),
        ("0x", json!("0x")),
        ("0b", json!("0b")),
        ("0x-1", json!("0x-1")),
        ("0x1p3", json!("0x1p3")),
        ("1_000", json!(1000)),
        ("1__0_", json!(10)),
        ("_1", json!("_1")),
        ("--1", json!("--1")),
        ("+-1", json!("+-1")),
        ("-", json!("-")),
        ("9007199254740993", json!(9_007_199_254_740_993_u64)),
        ("9223372036854775807", json!(i64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("18446744073709551615", json!(u64::MAX)),
        ("0xffffffffffffffff", json!(u64::MAX)),
        ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
    ]);
}

/// A whole one reaches the API server as an integer.
#[test]
fn plain_floats() {
    assert_plain(&[
        ("1.5", json!(1.5)),
        (".5", json!(0.5)),
        ("-.5", json!(-0.5)),
        ("+.5", json!(0.5)),
        ("1.", json!(1)),
        ("1.0", json!(1)),
        ("-0.0", json!(0)),
        ("1e3", json!(1000)),
        ("1E3", json!(1000)),
        ("+1e3", json!(1000)),
        ("1.e3", json!(1000)),
        ("12e03", json!(12000)),
        ("1e-7", json!(1e-7)),
        ("1e20", json!(1e20)),
        ("1e21", json!(1e21)),
        ("1152921504606846976.0", json!(1_152_921_504_606_847_000_i64)),
        ("1_0.5", json!(10.5)),
        (".5_0", json!(0.5)),
        (".5_", json!(".5_")),
        ("._5", json!("._5")),
        (".5__0", json!(".5__0")),
        ("1e999", json!("1e999")),
        ("1e", json!("1e")),
        (".", json!(".")),
        ("..", json!("..")),
        (".e5", json!(".e5")),
        ("1.2.3", json!("1.2.3")),
    ]);
}

#[test]
fn plain_words_that_look_like_numbers() {
    assert_plain(&[
        ("1:30", json!("1:30")),
        ("1-2", json!("1-2")),
        ("2026-11-23", json!("2026-11-23")),
        ("2026-11-23T00:00:00Z", json!("2026-11-23T00:00:00Z")),
        ("100m", json!("100m")),
        ("512Mi", json!("512Mi")),
        ("1e3Mi", json!("1e3Mi")),
        ("inf", json!("inf")),
        ("nan", json!("nan")),
        ("+infinity", json!("+infinity")),
        ("<<", json!("<<")),
        ("\u{661}", json!("\u{661}")), // a digit to Unicode, not to YAML
    ]);
}

#[test]
fn quoted_scalars_are_strings() {
    for text in ["true", "1", "", "~", ".inf"] {
        assert_eq!(value(text, false, Tag::Implied), Ok(json!(text)), "{text:?}");
    }
}

/// Every row but `!!binary`, which `sigs.k8s.io/yaml` decodes, was checked against it.
#[test]
fn tags_decide_over_the_text() {
    let cases = [
        ("5", Tag::Text, Ok(json!("5"))),
        ("", Tag::Text, Ok(json!(""))),
        ("0b11", Tag::Int, Ok(json!(3))),
        ("18446744073709551615", Tag::Int, Ok(json!(u64::MAX))),
        ("1.5", Tag::Int, Err("`1.5` is no !!int, as its tag says")),
        ("abc", Tag::Int, Err("`abc` is no !!int, as its tag says")),
        ("", Tag::Int, Err("`` is no !!int, as its tag says")),
        ("5", Tag::Float, Ok(json!(5))),
        ("1.5", Tag::Float, Ok(json!(1.5))),
        ("yes", Tag::Bool, Ok(json!(true))),
        ("1", Tag::Bool, Err("`1` is no !!bool, as its tag says")),
        ("", Tag::Null, Ok(json!(null))),
        ("x", Tag::Null, Err("`x` is no !!null, as its tag says")),
    ];
    for (text, tag, expected) in cases {
        for plain in [true, false] {
            let expected = expected.clone().map_err(str::to_owned);
            assert_eq!(value(text, plain, tag), expected, "{text:?} {tag:?}");
        }
    }
    let names = [
        ("int", Tag::Int),
        ("float", Tag::Float),
        ("bool", Tag::Bool),
        ("null", Tag::Null),
        ("str", Tag::Text),
        ("binary", Tag::Text),
        ("timestamp", Tag::Text),
    ];
    for (name, tag) in names {
        assert_eq!(Tag::from_core_name(name), tag, "{name}");
    }
}

#[test]
fn numbers_without_a_json_form_are_errors() {
    for (text, shown) in [(".inf", ".inf"), ("+.Inf", ".inf"), ("-.INF", "-.inf"), (".NaN", ".nan")]
    {
        let expected = format!("`{shown}` has no form in JSON, so no Kubernetes field can hold it");
        assert_eq!(value(text, true, Tag::Implied), Err(expected), "{text}");
    }
}

/// Every row was checked against `sigs.k8s.io/yaml` 1.6.0.
#[test]
fn keys_become_strings() {
    let cases = [
        ("name", Ok("name")),
        ("8080", Ok("8080")),
        ("0x10", Ok("16")),
        ("010", Ok("8")),
        ("on", Ok("true")),
        ("n", Ok("false")),
        ("1.5", Ok("1.5")),
        ("0.1", Ok("0.1")),
        ("0.0001", Ok("0.0001")),
        ("0.00001", Ok("1e-05")),
        ("1.25e-5", Ok("1.25e-05")),
        ("999999.0", Ok("999999")),
        ("1e6", Ok("1e+06")),
        ("123456789.0", Ok("1.2345679e+08")),
        ("-0.0", Ok("-0")),
        ("1e300", Ok(".inf")), // beyond single precision
        (".nan", Ok(".nan")),
        ("-.inf", Ok("-.inf")),
        ("~", Err(ScalarError::NotAKey("null"))),
        ("", Err(ScalarError::NotAKey("null"))),
        ("18446744073709551615", Err(ScalarError::NotAKey("an integer above 2^63-1"))),
    ];
    for (text, expected) in cases {
        let key = resolve(text.into(), true, Tag::Implied).and_then(Scalar::into_key);
        assert_eq!(key, expected.map(str::to_owned), "{text:?}");
    }
}
