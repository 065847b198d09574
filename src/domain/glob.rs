//! Patterns of names: text in which `*` stands for any characters, none included.
//!
//! Not regular expressions: names are short and of one alphabet, a star says all that is needed of them, and matching
//! takes a bounded time whatever a policy's author writes.

use thiserror::Error;

/// Longest pattern in bytes: nothing that is matched is longer.
const LONGEST: usize = 255;

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: Box<str>,
    /// Where its first star stands. Most have none, and tags are matched for every decision.
    star: Option<usize>,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GlobError {
    /// Nothing is written.
    #[error("it is empty")]
    Empty,
    /// It is longer than any name.
    #[error("it has more than {LONGEST} characters")]
    TooLong,
    /// It holds what no name holds, which mostly means that it is a regular expression.
    #[error(
        "{0:?} stands in no name; a pattern is text in which only * means something, not a regular expression"
    )]
    Character(char),
}

impl Glob {
    /// Reads a pattern of names, tags or user names.
    ///
    /// # Errors
    ///
    /// Fails on a text that could never match, or hardly what its author means.
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        if text.is_empty() {
            return Err(GlobError::Empty);
        }
        if text.len() > LONGEST {
            return Err(GlobError::TooLong);
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "*-_.:/@".contains(c);
        match text.chars().find(|c| !plain(*c)) {
            Some(odd) => Err(GlobError::Character(odd)),
            None => Ok(Self { text: text.into(), star: text.find('*') }),
        }
    }

    /// The pattern as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a name matches the whole pattern. Takes no longer than the product of both lengths.
    pub fn matches(&self, name: &str) -> bool {
        let Some(star) = self.star else { return &*self.text == name };
        let (head, rest) = self.text.split_at(star);
        let rest = rest.trim_start_matches('*');
        let Some(mut name) = name.strip_prefix(head) else { return false };
        let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
        for part in middle.split('*').filter(|part| !part.is_empty()) {
            // The first place is as good as any: what follows a star may only begin later.
            let Some((_, behind)) = name.split_once(part) else { return false };
            name = behind;
        }
        name.ends_with(tail)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        let cases = [
            ("latest", "latest", true),
            ("latest", "latest-1", false),
            ("*-migrate", "shop-migrate", true),
            ("*-migrate", "shop-migrate-2", false),
            ("*-migrate*", "shop-migrate-2", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("*", "", true),
            ("**", "x", true),
            ("system:serviceaccount:ci:*", "system:serviceaccount:ci:deployer", true),
            ("system:serviceaccount:ci:*", "system:serviceaccount:cix:deployer", false),
        ];
        for (pattern, name, want) in cases {
            assert_eq!(Glob::parse(pattern).unwrap().matches(name), want, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        assert_eq!(Glob::parse(""), Err(GlobError::Empty));
        for (text, odd) in [("^a", '^'), ("v[0-9]+", '['), ("a b", ' '), ("a|b", '|'), ("(", '(')] {
            assert_eq!(Glob::parse(text), Err(GlobError::Character(odd)), "{text}");
        }
        assert_eq!(Glob::parse(&"a".repeat(256)), Err(GlobError::TooLong));
    }

    /// What `*` means, said by a slow program.
    fn slow(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, _) => name.is_empty(),
            (Some((b'*', rest)), _) => (0..=name.len()).any(|at| slow(rest, &name[at..])),
            (Some((want, rest)), Some((have, name))) => want == have && slow(rest, name),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn it_matches_as_defined(pattern in "[ab*]{1,7}", name in "[ab]{0,8}") {
            let glob = Glob::parse(&pattern).unwrap();
            prop_assert_eq!(glob.matches(&name), slow(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
