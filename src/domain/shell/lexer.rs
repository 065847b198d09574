//! Characters to tokens.

use super::parser::Parser;
use super::{MAX_DEPTH, MAX_TOKENS, Word};

/// A token of the shell's grammar.
#[derive(Debug)]
pub(super) enum Token {
    Word(Word),
    /// An operator, redirections included.
    Op(&'static str),
    Newline,
    End,
}

/// Longest first, so that the first that fits is the operator.
const OPERATORS: &[&str] = &[
    ";;&", "&>>", "<<<", "<<-", "&&", "||", ";;", ";&", "|&", "&>", ">>", ">&", ">|", "<&", "<>",
    "<<", ";", "&", "|", "(", ")", "<", ">",
];

/// A here-document whose text begins after the current line.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) id: usize,
    pub(super) delimiter: String,
    pub(super) strip_tabs: bool,
}

impl<'a> Parser<'a> {
    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn starts_with(&self, text: &str) -> bool {
        self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(text.as_bytes()))
    }

    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// Goes on to the next of these bytes; what stands before it.
    fn take_until(&mut self, stops: &[u8]) -> &'a str {
        let from = self.at;
        while self.byte(0).is_some_and(|byte| !stops.contains(&byte)) {
            self.at += 1;
        }
        self.slice(from, self.at)
    }

    /// Reads the next token. Each call consumes input, or says `End`.
    pub(super) fn lex(&mut self) -> Token {
        self.tokens += 1;
        if self.tokens > MAX_TOKENS {
            self.at = self.text.len();
        }
        self.skip_blanks();
        let Some(byte) = self.byte(0) else {
            return Token::End;
        };
        if byte == b'\n' {
            self.at += 1;
            self.read_here_documents();
            return Token::Newline;
        }
        let is_substitution = self.starts_with("<(") || self.starts_with(">(");
        if let Some(operator) = OPERATORS.iter().find(|op| self.starts_with(op))
            && !is_substitution
        {
            self.at += operator.len();
            return Token::Op(operator);
        }
        let word = self.word();
        let is_number = word.quoted_from.is_none() && word.text.bytes().all(|b| b.is_ascii_digit());
        if is_number && matches!(self.byte(0), Some(b'<' | b'>')) {
            return self.lex_after_number();
        }
        Token::Word(word)
    }

    /// `2>`: the number of the file descriptor says nothing to us.
    fn lex_after_number(&mut self) -> Token {
        match OPERATORS.iter().find(|op| self.starts_with(op)) {
            Some(operator) => {
                self.at += operator.len();
                Token::Op(operator)
            }
            None => Token::End,
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            match self.byte(0) {
                Some(b' ' | b'\t' | b'\r') => self.at += 1,
                Some(b'\\') if self.byte(1) == Some(b'\n') => self.at += 2,
                Some(b'#') => {
                    while self.byte(0).is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    fn word(&mut self) -> Word {
        let mut word = Word::default();
        while let Some(byte) = self.byte(0) {
            match byte {
                b'<' | b'>' if self.byte(1) == Some(b'(') && word.text.is_empty() => {
                    self.at += 2;
                    self.substitution(&mut word);
                }
                b' ' | b'\t' | b'\n' | b'\r' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' => {
                    break;
                }
                b'\'' => self.single_quoted(&mut word),
                b'"' => {
                    self.at += 1;
                    self.double_quoted(&mut word);
                }
                b'\\' => self.escaped(&mut word),
                b'$' => self.dollar(&mut word, false),
                b'`' => self.backquoted(&mut word),
                _ => word.text.push_str(self.take_until(b" \t\n\r;&|()<>'\"\\$`")),
            }
        }
        word
    }

    fn escaped(&mut self, word: &mut Word) {
        self.at += 1;
        let Some(next) = self.text.get(self.at..).and_then(|rest| rest.chars().next()) else {
            return;
        };
        self.at += next.len_utf8();
        if next != '\n' {
            word.quote();
            word.text.push(next);
        }
    }

    fn single_quoted(&mut self, word: &mut Word) {
        self.at += 1;
        word.quote();
        word.text.push_str(self.take_until(b"'"));
        self.at += 1;
    }

    fn double_quoted(&mut self, word: &mut Word) {
        word.quote();
        while let Some(byte) = self.byte(0) {
            match byte {
                b'"' => {
                    self.at += 1;
                    return;
                }
                b'\\' if matches!(self.byte(1), Some(b'"' | b'\\' | b'$' | b'`' | b'\n')) => {
                    self.escaped(word);
                }
                b'\\' => {
                    self.at += 1;
                    word.text.push('\\');
                }
                b'$' => self.dollar(word, true),
                b'`' => self.backquoted(word),
                _ => word.text.push_str(self.take_until(b"\"\\$`")),
            }
        }
    }

    fn dollar(&mut self, word: &mut Word, in_quotes: bool) {
        let from = self.at;
        if self.starts_with("$((") {
            self.at += 3;
            self.skip_arithmetic();
        } else if self.starts_with("$(") && self.depth < MAX_DEPTH {
            self.at += 2;
            self.substitution(word);
            return;
        } else if self.starts_with("${") {
            self.at += 2;
            self.skip_braces();
        } else if self.starts_with("$'") && !in_quotes {
            self.at += 2;
            self.ansi_quoted(word);
            return;
        } else if self.starts_with("$\"") && !in_quotes {
            self.at += 2;
            self.double_quoted(word);
            return;
        } else if matches!(self.byte(1), Some(b'?' | b'#' | b'$' | b'!' | b'*' | b'@' | b'-')) {
            self.at += 2;
        } else {
            self.at += 1;
        }
        word.text.push_str(self.slice(from, self.at));
    }

    /// `$'...'`: escapes for blanks and quotes are what scripts use.
    fn ansi_quoted(&mut self, word: &mut Word) {
        word.quote();
        while let Some(byte) = self.byte(0) {
            match byte {
                b'\'' => {
                    self.at += 1;
                    return;
                }
                b'\\' if matches!(self.byte(1), Some(b'n' | b't' | b'r')) => {
                    self.at += 2;
                    word.text.push(' ');
                }
                b'\\' => self.escaped(word),
                _ => word.text.push_str(self.take_until(b"'\\")),
            }
        }
    }

    /// Behind `$(` or `<(`, to behind the closing parenthesis.
    fn substitution(&mut self, word: &mut Word) {
        word.text.push_str("$()");
        let list = self.nested();
        word.substitutions.push(list);
    }

    /// Backquotes: the text between them is unescaped, then parsed.
    fn backquoted(&mut self, word: &mut Word) {
        self.at += 1;
        let mut text = String::new();
        while let Some(byte) = self.byte(0) {
            match byte {
                b'`' => break,
                b'\\' if matches!(self.byte(1), Some(b'`' | b'\\' | b'$')) => {
                    self.at += 1;
                    text.push(char::from(self.byte(0).unwrap_or_default()));
                    self.at += 1;
                }
                b'\\' => {
                    self.at += 1;
                    text.push('\\');
                }
                _ => text.push_str(self.take_until(b"`\\")),
            }
        }
        self.at += 1;
        word.text.push_str("$()");
        if self.depth < MAX_DEPTH {
            let list = self.other_text(&text);
            word.substitutions.push(list);
        }
    }

    /// Behind `((`, to behind the matching `))`. The text in between.
    pub(super) fn skip_arithmetic(&mut self) -> String {
        let from = self.at;
        let mut open = 2_usize;
        while let Some(byte) = self.byte(0) {
            self.at += 1;
            match byte {
                b'(' => open += 1,
                b')' => open -= 1,
                _ => {}
            }
            if open == 0 {
                return self.slice(from, self.at - 2).to_owned();
            }
        }
        String::new()
    }

    /// Behind `${`, to behind the matching `}`.
    fn skip_braces(&mut self) {
        let (mut open, mut quoted) = (1_usize, false);
        while let Some(byte) = self.byte(0) {
            match byte {
                b'\\' => self.at += 1,
                b'"' => quoted = !quoted,
                b'{' if !quoted => open += 1,
                b'}' if !quoted || open == 1 => open -= 1,
                _ => {}
            }
            self.at = (self.at + 1).min(self.text.len());
            if open == 0 {
                return;
            }
        }
    }

    fn read_here_documents(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            let mut text = String::new();
            while self.at < self.text.len() {
                let line = self.take_until(b"\n");
                let line = if pending.strip_tabs { line.trim_start_matches('\t') } else { line };
                let is_end = line.trim_end_matches('\r') == pending.delimiter;
                if !is_end {
                    text.push_str(line);
                    text.push('\n');
                }
                self.at += 1;
                if is_end {
                    break;
                }
            }
            if let Some(slot) = self.here_documents.get_mut(pending.id) {
                *slot = text;
            }
        }
    }
}

impl Word {
    fn quote(&mut self) {
        self.quoted_from.get_or_insert(self.text.len());
    }
}
