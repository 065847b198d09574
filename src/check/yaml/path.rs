//! Field paths, taken apart.

use std::borrow::Cow;

/// One step of a field path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Segment<'p> {
    /// A key of a mapping.
    Key(Cow<'p, str>),
    /// Bare brackets: an index in a list, a key in a mapping.
    Bracket(&'p str),
    /// Brackets that do not close. Leads nowhere.
    Malformed,
}

/// The steps of a field path.
pub(super) struct Segments<'p> {
    rest: &'p str,
}

impl<'p> Segments<'p> {
    pub(super) fn new(path: &'p str) -> Self {
        Self { rest: path }
    }

    fn bracket(&mut self, inner: &'p str) -> Segment<'p> {
        let found = match inner.chars().next() {
            Some(quote @ ('"' | '\'')) => quoted(inner, quote),
            _ => inner.split_once(']').map(|(text, rest)| (Segment::Bracket(text), rest)),
        };
        let (segment, rest) = found.unwrap_or((Segment::Malformed, ""));
        self.rest = rest;
        segment
    }
}

/// A quoted key, with a backslash before a quote or backslash of its own, and its bracket.
fn quoted(inner: &str, quote: char) -> Option<(Segment<'_>, &str)> {
    let body = inner.get(quote.len_utf8()..)?;
    let mut key = Cow::Borrowed("");
    let mut escaped = false;
    for (at, character) in body.char_indices() {
        if !escaped && character == quote {
            let rest = body.get(at + quote.len_utf8()..)?.strip_prefix(']')?;
            return Some((Segment::Key(key), rest));
        }
        escaped = !escaped && character == '\\';
        if !escaped {
            key.to_mut().push(character);
        }
    }
    None
}

impl<'p> Iterator for Segments<'p> {
    type Item = Segment<'p>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        if let Some(inner) = self.rest.strip_prefix('[') {
            return Some(self.bracket(inner));
        }
        let rest = self.rest.strip_prefix('.').unwrap_or(self.rest);
        let (name, rest) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
        // `a.[0]` has no key before its bracket.
        if name.is_empty()
            && let Some(inner) = rest.strip_prefix('[')
        {
            return Some(self.bracket(inner));
        }
        self.rest = rest;
        Some(Segment::Key(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_fall_into_segments() {
        let key = |name: &'static str| Segment::Key(name.into());
        let cases = [
            ("", vec![]),
            ("spec", vec![key("spec")]),
            (".spec", vec![key("spec")]), // as jsonpath writes it
            ("spec.template.spec", vec![key("spec"), key("template"), key("spec")]),
            ("spec[0].image", vec![key("spec"), Segment::Bracket("0"), key("image")]),
            ("[3].spec", vec![Segment::Bracket("3"), key("spec")]),
            ("a[0][1]", vec![key("a"), Segment::Bracket("0"), Segment::Bracket("1")]),
            ("a[b.c/d].e", vec![key("a"), Segment::Bracket("b.c/d"), key("e")]),
            (r#"a["b.c"].e"#, vec![key("a"), key("b.c"), key("e")]),
            ("a['b.c']", vec![key("a"), key("b.c")]),
            (r#"a["]"]"#, vec![key("a"), key("]")]),
            (r#"a["x\"y\\"]"#, vec![key("a"), key(r#"x"y\"#)]),
            ("a.[0]", vec![key("a"), Segment::Bracket("0")]),
            ("a..b", vec![key("a"), key(""), key("b")]),
            ("a.", vec![key("a"), key("")]),
            ("a[", vec![key("a"), Segment::Malformed]),
            (r#"a["b"#, vec![key("a"), Segment::Malformed]),
            (r#"a["b"c]"#, vec![key("a"), Segment::Malformed]),
        ];
        for (path, expected) in cases {
            assert_eq!(Segments::new(path).collect::<Vec<_>>(), expected, "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn quoted_keys_come_back(key in "[^\\x00-\\x1f]*") {
            let written = key.replace('\\', "\\\\").replace('"', "\\\"");
            let path = format!("a[\"{written}\"].b");
            let segments: Vec<_> = Segments::new(&path).collect();
            prop_assert_eq!(
                segments,
                [Segment::Key("a".into()), Segment::Key(key.into()), Segment::Key("b".into())]
            );
        }

        #[test]
        fn any_path_ends(path in "[a.\\[\\]\"'\\\\ü]*") {
            prop_assert!(Segments::new(&path).count() <= path.len() + 1);
        }
    }
}
