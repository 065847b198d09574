//! Tokens to commands, by recursive descent.

use super::lexer::{Pending, Token};
use super::{
    Assignment, Command, Connector, Item, Kind, List, MAX_DEPTH, Pipeline, Redirect, RedirectKind,
    Script, Simple, Word,
};

/// Lexer and parser in one: where a token ends depends on the grammar around it.
#[derive(Default)]
pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) depth: usize,
    pub(super) tokens: usize,
    pub(super) pending: Vec<Pending>,
    pub(super) here_documents: Vec<String>,
    peeked: Option<Token>,
}

/// Parses a text of bounded size.
pub(super) fn parse(text: &str) -> Script {
    let mut parser = Parser { text, ..Parser::default() };
    let body = parser.list(&[]);
    Script { body, here_documents: parser.here_documents }
}

/// Words that end a list, where a list may end.
const CLOSERS: &[&str] = &["then", "do", "done", "fi", "elif", "else", "esac", "}"];

impl Parser<'_> {
    fn peek(&mut self) -> &Token {
        let token = match self.peeked.take() {
            Some(token) => token,
            None => self.lex(),
        };
        self.peeked.insert(token)
    }

    fn next(&mut self) -> Token {
        match self.peeked.take() {
            Some(token) => token,
            None => self.lex(),
        }
    }

    fn at_op(&mut self, op: &str) -> bool {
        matches!(self.peek(), Token::Op(found) if *found == op)
    }

    fn at_word(&mut self, text: &str) -> bool {
        matches!(self.peek(), Token::Word(word) if word.is_bare(text))
    }

    /// Consumes an operator or reserved word if it stands here.
    fn eat(&mut self, text: &str) -> bool {
        let found = self.at_op(text) || self.at_word(text);
        if found {
            self.next();
        }
        found
    }

    fn skip_newlines(&mut self) {
        while matches!(self.peek(), Token::Newline) {
            self.next();
        }
    }

    /// Commands up to one of the stops, which is left where it is.
    fn list(&mut self, stops: &[&str]) -> List {
        let mut list = List::default();
        loop {
            match self.peek() {
                Token::End => return list,
                Token::Newline => {
                    self.next();
                }
                Token::Op(op) => {
                    let op = *op;
                    if stops.contains(&op) {
                        return list;
                    }
                    if op == "(" || is_redirect(op) {
                        list.items.push(self.item());
                    } else {
                        self.next();
                    }
                }
                Token::Word(word) => {
                    if stops.iter().any(|stop| word.is_bare(stop)) {
                        return list;
                    }
                    if CLOSERS.iter().any(|closer| word.is_bare(closer)) {
                        self.next();
                    } else {
                        list.items.push(self.item());
                    }
                }
            }
        }
    }

    /// A list inside a substitution, to behind its closing parenthesis.
    pub(super) fn nested(&mut self) -> List {
        if self.depth >= MAX_DEPTH {
            return List::default();
        }
        self.depth += 1;
        let list = self.list(&[")"]);
        self.eat(")");
        self.peeked = None;
        self.depth -= 1;
        list
    }

    /// A list in a text of its own, with this parser's bounds and here-documents.
    pub(super) fn other_text(&mut self, text: &str) -> List {
        let mut inner =
            Parser { text, depth: self.depth + 1, tokens: self.tokens, ..Parser::default() };
        inner.here_documents = std::mem::take(&mut self.here_documents);
        let list = inner.list(&[]);
        self.tokens = inner.tokens;
        self.here_documents = inner.here_documents;
        list
    }

    fn item(&mut self) -> Item {
        let mut item = Item { first: self.pipeline(), rest: Vec::new(), background: false };
        loop {
            let connector = match self.peek() {
                Token::Op("&&") => Connector::And,
                Token::Op("||") => Connector::Or,
                Token::Op("&") => {
                    item.background = true;
                    self.next();
                    return item;
                }
                _ => return item,
            };
            self.next();
            self.skip_newlines();
            item.rest.push((connector, self.pipeline()));
        }
    }

    fn pipeline(&mut self) -> Pipeline {
        let mut pipeline = Pipeline::default();
        loop {
            if self.eat("!") {
                pipeline.inverted = !pipeline.inverted;
            } else if self.at_word("time") {
                self.next();
                while matches!(self.peek(), Token::Word(word) if word.text.starts_with('-')) {
                    self.next();
                }
            } else {
                break;
            }
        }
        loop {
            pipeline.commands.push(self.command());
            if !self.eat("|") && !self.eat("|&") {
                return pipeline;
            }
            self.skip_newlines();
        }
    }

    fn command(&mut self) -> Command {
        if self.depth >= MAX_DEPTH {
            self.next();
            return Command { kind: Kind::Simple(Simple::default()), redirects: Vec::new() };
        }
        self.depth += 1;
        let mut redirects = Vec::new();
        let kind = match self.compound() {
            Some(kind) => {
                while let Some(redirect) = self.redirect() {
                    redirects.push(redirect);
                }
                kind
            }
            None => self.simple(&mut redirects),
        };
        self.depth -= 1;
        Command { kind, redirects }
    }

    fn compound(&mut self) -> Option<Kind> {
        if self.eat("(") {
            if self.text.as_bytes().get(self.at) == Some(&b'(') {
                self.at += 1;
                return Some(Kind::Simple(self.arithmetic()));
            }
            return Some(Kind::Subshell(self.enclosed(")")));
        }
        let Token::Word(word) = self.peek() else {
            return None;
        };
        if word.quoted_from.is_some() {
            return None;
        }
        let kind = match word.text.as_str() {
            "{" => Self::group,
            "if" => Self::conditional,
            "while" => Self::while_loop,
            "until" => Self::until_loop,
            "for" | "select" => Self::for_loop,
            "case" => Self::case,
            "function" => Self::function,
            "[[" => Self::test,
            _ => return None,
        };
        self.next();
        Some(kind(self))
    }

    /// A list and the word or operator that ends it.
    fn enclosed(&mut self, end: &str) -> List {
        let list = self.list(&[end]);
        self.eat(end);
        list
    }

    fn group(&mut self) -> Kind {
        Kind::Group(self.enclosed("}"))
    }

    fn conditional(&mut self) -> Kind {
        let (mut branches, mut otherwise) = (Vec::new(), None);
        loop {
            let condition = self.enclosed("then");
            branches.push((condition, self.list(&["elif", "else", "fi"])));
            if !self.eat("elif") {
                break;
            }
        }
        if self.eat("else") {
            otherwise = Some(self.list(&["fi"]));
        }
        self.eat("fi");
        Kind::If { branches, otherwise }
    }

    fn while_loop(&mut self) -> Kind {
        let condition = self.enclosed("do");
        Kind::Loop { until: false, condition, body: self.enclosed("done") }
    }

    fn until_loop(&mut self) -> Kind {
        let condition = self.enclosed("do");
        Kind::Loop { until: true, condition, body: self.enclosed("done") }
    }

    fn for_loop(&mut self) -> Kind {
        let (mut variable, mut words) = (String::new(), Vec::new());
        match self.next() {
            Token::Op("(") => {
                self.at += 1;
                variable = self.skip_arithmetic();
            }
            Token::Word(name) => variable = name.text,
            _ => {}
        }
        self.skip_newlines();
        if self.eat("in") {
            while let Token::Word(_) = self.peek() {
                words.extend(self.take_word());
            }
        }
        while matches!(self.peek(), Token::Newline | Token::Op(";")) {
            self.next();
        }
        let body = if self.eat("{") {
            self.enclosed("}")
        } else {
            self.eat("do");
            self.enclosed("done")
        };
        Kind::For { variable, words, body }
    }

    fn case(&mut self) -> Kind {
        let mut arms = Vec::new();
        self.take_word();
        self.skip_newlines();
        self.eat("in");
        loop {
            self.skip_newlines();
            if self.eat("esac") || matches!(self.peek(), Token::End) {
                return Kind::Case(arms);
            }
            self.eat("(");
            while self.take_word().is_some() || self.eat("|") {}
            if !self.eat(")") {
                self.next();
            }
            arms.push(self.list(&[";;", ";&", ";;&", "esac"]));
            while self.eat(";;") || self.eat(";&") || self.eat(";;&") {}
        }
    }

    fn function(&mut self) -> Kind {
        let name = self.take_word().unwrap_or_default().text;
        if self.eat("(") {
            self.eat(")");
        }
        self.function_body(name)
    }

    fn function_body(&mut self, name: String) -> Kind {
        self.skip_newlines();
        Kind::Function { name, body: Box::new(self.command()) }
    }

    /// `[[ ... ]]`: inside, `&&`, `<` and parentheses are words of the test.
    fn test(&mut self) -> Kind {
        let mut simple = Simple::default();
        simple.words.push(Word { text: "[[".to_owned(), ..Word::default() });
        loop {
            match self.next() {
                Token::End => break,
                Token::Word(word) if word.is_bare("]]") => break,
                Token::Word(word) => simple.words.push(word),
                Token::Newline | Token::Op(_) => {}
            }
        }
        Kind::Simple(simple)
    }

    fn arithmetic(&mut self) -> Simple {
        let text = self.skip_arithmetic();
        let words = ["((".to_owned(), text].map(|text| Word { text, ..Word::default() });
        Simple { assignments: Vec::new(), words: words.into() }
    }

    fn take_word(&mut self) -> Option<Word> {
        match self.next() {
            Token::Word(word) => Some(word),
            other => {
                self.peeked = Some(other);
                None
            }
        }
    }

    fn simple(&mut self, redirects: &mut Vec<Redirect>) -> Kind {
        let mut simple = Simple::default();
        loop {
            if let Some(redirect) = self.redirect() {
                redirects.push(redirect);
            } else if let Some(word) = self.take_word() {
                self.add_word(&mut simple, word);
            } else if simple.words.len() == 1 && simple.assignments.is_empty() && self.eat("(") {
                self.eat(")");
                let name = simple.words.pop().unwrap_or_default().text;
                return self.function_body(name);
            } else {
                return Kind::Simple(simple);
            }
        }
    }

    fn add_word(&mut self, simple: &mut Simple, mut word: Word) {
        let name = if simple.words.is_empty() { assigned_name(&word) } else { None };
        let Some(name) = name.map(str::to_owned) else {
            simple.words.push(word);
            return;
        };
        let value = word.text.split_once('=').map_or("", |(_, value)| value).to_owned();
        if value.is_empty() && word.quoted_from.is_none() && self.at_op("(") {
            self.next();
            self.array(&mut word);
        }
        word.text = value;
        simple.assignments.push(Assignment { name, value: word });
    }

    /// `NAME=(...)`: the elements only matter for the commands in them.
    fn array(&mut self, word: &mut Word) {
        loop {
            match self.next() {
                Token::End | Token::Op(")") => return,
                Token::Word(element) => word.substitutions.extend(element.substitutions),
                Token::Newline | Token::Op(_) => {}
            }
        }
    }

    fn redirect(&mut self) -> Option<Redirect> {
        let Token::Op(op) = *self.peek() else {
            return None;
        };
        if !is_redirect(op) {
            return None;
        }
        self.next();
        let target = self.take_word().unwrap_or_default();
        let kind = match op {
            "<" | "<>" | "<&" => RedirectKind::Read,
            "<<<" => RedirectKind::HereString,
            "<<" | "<<-" => {
                let id = self.here_documents.len();
                self.here_documents.push(String::new());
                let delimiter = target.text.clone();
                self.pending.push(Pending { id, delimiter, strip_tabs: op == "<<-" });
                RedirectKind::HereDocument(id)
            }
            _ => RedirectKind::Write,
        };
        Some(Redirect { kind, target })
    }
}

fn is_redirect(op: &str) -> bool {
    op.contains(['<', '>'])
}

fn assigned_name(word: &Word) -> Option<&str> {
    let (name, _) = word.text.split_once('=')?;
    if word.quoted_from.is_some_and(|from| from <= name.len()) {
        return None;
    }
    let name = name.strip_suffix('+').unwrap_or(name);
    let name = name.split_once('[').map_or(name, |(array, _)| array);
    let mut bytes = name.bytes();
    let starts = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    (starts && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')).then_some(name)
}
