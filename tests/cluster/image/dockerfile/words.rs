//! The words of an instruction: quotes, and variables as `$NAME`, `${NAME}` and `${NAME:-default}`.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use super::Problem;

/// A word, cut at its first `=` outside of quotes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) value: Option<String>,
}

impl Word {
    /// The word as if it had not been cut.
    pub(super) fn whole(self) -> String {
        match self.value {
            Some(value) => format!("{}={value}", self.text),
            None => self.text,
        }
    }

    fn push(&mut self, text: &str) {
        self.value.as_mut().unwrap_or(&mut self.text).push_str(text);
    }
}

pub(super) fn split(text: &str, known: &BTreeMap<String, String>) -> Result<Vec<Word>, Problem> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => word.push(&rest.next().unwrap_or('\\').to_string()),
            ('$', None | Some('"')) => word.push(&variable(&mut rest, known)?),
            ('=', None) if word.value.is_none() => word.value = Some(String::new()),
            _ => word.push(&c.to_string()),
        }
    }
    words.extend(word);
    if quote.is_some() { Err(Problem::Form("the end of a quote")) } else { Ok(words) }
}

fn variable(
    rest: &mut Peekable<Chars<'_>>,
    known: &BTreeMap<String, String>,
) -> Result<String, Problem> {
    let braces = rest.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
        name.push(c);
    }
    let mut default = None;
    if braces {
        let inside: String = rest.by_ref().take_while(|c| *c != '}').collect();
        default = inside.strip_prefix(":-").map(str::to_owned);
        if default.is_none() && !inside.is_empty() {
            return Err(Problem::Form("${NAME} or ${NAME:-default}"));
        }
    }
    let value = known.get(&name).filter(|value| default.is_none() || !value.is_empty());
    value.cloned().or(default).ok_or(Problem::Variable(name))
}
