//! The parser's events, made into values and their places.

use std::collections::{BTreeMap, HashMap};
use std::mem;

use granit_parser::{Event, Parser, ScalarStyle, StrInput};
use serde_json::{Map, Value};

use super::error::{YamlError, YamlWarning};
use super::marks::{Entry, Inner, Marks, Place, Span};
use super::scalar::{self, Scalar, ScalarError, Tag};
use super::{Document, MAX_COPIED_BYTES, MAX_DEPTH};

type Spanned<'t> = (Event<'t>, Span);

/// Rough memory of a value without its text, and of a mapping's first table of fields.
const VALUE_BYTES: usize = 64;
const MAPPING_BYTES: usize = 640;

/// Reads one text, document by document.
pub(super) struct Reader<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    /// The current document's anchors; `None` while the anchored value is still being read.
    anchors: HashMap<usize, Option<Node>>,
    warnings: Vec<YamlWarning>,
    /// What anchors and aliases may still copy.
    budget: usize,
}

/// A value that was read.
#[derive(Clone)]
struct Node {
    value: Value,
    place: Place,
    /// Estimated memory of the value, in bytes.
    bytes: usize,
    /// Levels of lists and mappings in the value.
    height: usize,
}

impl Node {
    fn scalar(value: Value, span: Span) -> Self {
        let bytes = VALUE_BYTES + value.as_str().map_or(0, str::len);
        let place = Place { span, joins_key: true, inner: Inner::Scalar };
        Self { value, place, bytes, height: 0 }
    }
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let options = granit_parser::options! {
            emit_comments: false,
            block_scalar_eof_without_line_feed: true, // as libyaml, which go-yaml is a port of
        };
        Self {
            text,
            parser: Parser::new_from_str_with_options(text, options),
            anchors: HashMap::new(),
            warnings: Vec::new(),
            budget: MAX_COPIED_BYTES,
        }
    }

    /// The next document, or `None` at the end of the text.
    pub(super) fn document(&mut self) -> Result<Option<Document>, YamlError> {
        loop {
            match self.event()?.0 {
                Event::StreamEnd => return Ok(None),
                Event::DocumentStart(..) => break,
                _ => {}
            }
        }
        self.anchors.clear();
        let first = self.event()?;
        let node = self.node(first, 0)?;
        Ok(Some(Document {
            value: node.value,
            line: node.place.span.line,
            marks: Marks::new(node.place),
            warnings: mem::take(&mut self.warnings),
        }))
    }

    fn event(&mut self) -> Result<Spanned<'t>, YamlError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, self.span(span))),
            Some(Err(error)) => Err(YamlError::from_scan(self.text, &error)),
            // Only after the end of the stream.
            None => Ok((Event::StreamEnd, self.span(granit_parser::Span::default()))),
        }
    }

    /// The part of `span` on its first line.
    fn span(&self, span: granit_parser::Span) -> Span {
        let start = span.start.byte_offset().unwrap_or_default();
        let written = span.slice(self.text).unwrap_or_default();
        let end = start + written.split(['\n', '\r']).next().unwrap_or_default().trim_end().len();
        Span { start, end, line: span.start.line(), column: span.start.col() + 1 }
    }

    fn error(&self, span: Span, message: impl Into<String>) -> YamlError {
        YamlError::new(self.text, span, message, None)
    }

    /// Reads the value that `event` starts, inside of `depth` lists and mappings.
    fn node(&mut self, (event, span): Spanned<'t>, depth: usize) -> Result<Node, YamlError> {
        match event {
            Event::Alias(anchor) => self.alias(anchor, span, depth),
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let value = scalar::resolve(text, plain, tag_of(tag.as_deref()))
                    .and_then(Scalar::into_value)
                    .map_err(|error| self.error(span, error.to_string()))?;
                self.close(anchor, Node::scalar(value, span))
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if depth >= MAX_DEPTH => {
                Err(YamlError::too_deep(self.text, span))
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(anchor);
                let node = self.sequence(span, depth)?;
                self.close(anchor, node)
            }
            Event::MappingStart(_, anchor, _) => {
                self.open(anchor);
                let node = self.mapping(span, depth)?;
                self.close(anchor, node)
            }
            _ => Err(self.error(span, "a value was expected here")),
        }
    }

    /// Notes that an anchored node begins. The parser numbers anchors from 1; 0 means none.
    fn open(&mut self, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
    }

    /// Keeps a copy of a node that was read, if it has an anchor.
    fn close(&mut self, anchor: usize, node: Node) -> Result<Node, YamlError> {
        if anchor != 0 {
            self.spend(&node, node.place.span)?;
            self.anchors.insert(anchor, Some(node.clone()));
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, span: Span, depth: usize) -> Result<Node, YamlError> {
        let node = match self.anchors.get(&anchor) {
            Some(Some(node)) => node.clone(),
            Some(None) => return Err(self.error(span, "the alias stands within its own anchor")),
            None => return Err(self.error(span, "the alias names no anchor")),
        };
        if depth + node.height > MAX_DEPTH {
            return Err(YamlError::too_deep(self.text, span));
        }
        self.spend(&node, span)?;
        let place = Place { span, joins_key: true, inner: node.place.inner };
        Ok(Node { place, ..node })
    }

    fn spend(&mut self, node: &Node, span: Span) -> Result<(), YamlError> {
        let left = self.budget.checked_sub(node.bytes);
        self.budget = left
            .ok_or_else(|| self.error(span, "anchors and aliases repeat too much of the text"))?;
        Ok(())
    }

    fn sequence(&mut self, start: Span, depth: usize) -> Result<Node, YamlError> {
        let (mut values, mut places) = (Vec::new(), Vec::new());
        let (mut bytes, mut height) = (VALUE_BYTES, 1);
        let end = loop {
            let event = self.event()?;
            if event.0 == Event::SequenceEnd {
                break event.1;
            }
            let item = self.node(event, depth + 1)?;
            bytes = bytes.saturating_add(item.bytes);
            height = height.max(item.height + 1);
            values.push(item.value);
            places.push(item.place);
        };
        let span = places.first().map_or_else(|| empty_collection(start, end), |item| item.span);
        let joins_key = places.is_empty();
        let place = Place { span, joins_key, inner: Inner::Sequence(places.into()) };
        Ok(Node { value: Value::Array(values), place, bytes, height })
    }

    fn mapping(&mut self, start: Span, depth: usize) -> Result<Node, YamlError> {
        let mut fields = Fields { bytes: VALUE_BYTES, height: 1, ..Fields::default() };
        let end = loop {
            let event = self.event()?;
            if event.0 == Event::MappingEnd {
                break event.1;
            }
            let (key, key_span) = self.key(event)?;
            let event = self.event()?;
            let Some(key) = key else {
                self.merge(&mut fields, event, key_span, depth)?;
                continue;
            };
            let node = self.node(event, depth + 1)?;
            if let Some(line) = fields.set(key.clone(), key_span, node) {
                self.warn(
                    key_span,
                    format!(
                        "`{key}` was set on line {line} already; kubectl takes the last one, this one"
                    ),
                );
            }
        };
        Ok(fields.into_node(empty_collection(start, end)))
    }

    /// A mapping's key; `None` for the merge key.
    fn key(&mut self, (event, span): Spanned<'t>) -> Result<(Option<String>, Span), YamlError> {
        let key = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let merges = tag.as_deref().map_or(plain, |tag| {
                    tag.suffix_in_namespace(CORE).is_some_and(|name| name == "merge")
                });
                if text == "<<" && merges {
                    return Ok((None, span));
                }
                let scalar = scalar::resolve(text, plain, tag_of(tag.as_deref()));
                // A key without a value in JSON, such as `.inf`, is not to be had by an alias.
                if anchor != 0
                    && let Ok(Ok(value)) = scalar.clone().map(Scalar::into_value)
                {
                    self.close(anchor, Node::scalar(value, span))?;
                }
                scalar.and_then(Scalar::into_key)
            }
            Event::Alias(anchor) => match self.alias(anchor, span, 0)?.value {
                Value::String(text) => Ok(text),
                Value::Null => Err(ScalarError::NotAKey("null")),
                value @ (Value::Bool(_) | Value::Number(_)) => Ok(value.to_string()),
                Value::Array(_) => Err(ScalarError::NotAKey("a list")),
                Value::Object(_) => Err(ScalarError::NotAKey("a mapping")),
            },
            Event::SequenceStart(..) => Err(ScalarError::NotAKey("a list")),
            _ => Err(ScalarError::NotAKey("a mapping")),
        };
        let key = key.map_err(|error| self.error(span, error.to_string()))?;
        Ok((Some(key), span))
    }

    /// Reads the value of `<<` and takes over its fields.
    ///
    /// go-yaml v2 sets them in the order of the text, so they replace fields that stand above the
    /// merge key and give way to those below it. In a list the earlier mapping wins.
    fn merge(
        &mut self,
        fields: &mut Fields,
        event: Spanned<'t>,
        key_span: Span,
        depth: usize,
    ) -> Result<(), YamlError> {
        let is_list = matches!(event.0, Event::SequenceStart(..));
        let span = event.1;
        let node = self.node(event, depth + 1)?;
        fields.bytes = fields.bytes.saturating_add(node.bytes);
        fields.height = fields.height.max(node.height);
        fields.first.get_or_insert(node.place.span_with_key(key_span));
        let sources = match (node.value, node.place.inner) {
            (Value::Array(values), Inner::Sequence(places)) if is_list => {
                values.into_iter().zip(places.iter().map(|place| place.inner.clone())).collect()
            }
            (value, inner) => vec![(value, inner)],
        };
        for source in sources.into_iter().rev() {
            let (Value::Object(object), Inner::Mapping(entries)) = source else {
                return Err(self.error(span, "`<<` takes a mapping or a list of mappings"));
            };
            for (key, line) in fields.merge(object, &entries) {
                self.warn(
                    key_span,
                    format!(
                        "this merge replaces `{key}` of line {line}, as kubectl reads it; put `<<` \
                         above that line to keep it"
                    ),
                );
            }
        }
        Ok(())
    }

    fn warn(&mut self, span: Span, message: String) {
        self.warnings.push(YamlWarning { location: span.location(true), message });
    }
}

/// The fields of a mapping, as far as they are read.
#[derive(Default)]
struct Fields {
    object: Map<String, Value>,
    places: BTreeMap<String, Field>,
    /// The first one in the text.
    first: Option<Span>,
    bytes: usize,
    height: usize,
}

struct Field {
    key_span: Span,
    place: Place,
    /// Whether it came through `<<`.
    merged: bool,
}

impl Fields {
    /// Sets an own field. Returns the line of an own field of that name which it replaces.
    fn set(&mut self, key: String, key_span: Span, node: Node) -> Option<usize> {
        self.bytes = self.bytes.saturating_add(node.bytes).saturating_add(key.len());
        self.height = self.height.max(node.height + 1);
        self.first.get_or_insert(node.place.span_with_key(key_span));
        self.object.insert(key.clone(), node.value);
        let field = Field { key_span, place: node.place, merged: false };
        let old = self.places.insert(key, field)?;
        (!old.merged).then_some(old.key_span.line)
    }

    /// Sets the fields of another mapping. Returns name and line of each own field it replaces.
    fn merge(&mut self, mut object: Map<String, Value>, entries: &[Entry]) -> Vec<(String, usize)> {
        let mut replaced = Vec::new();
        for Entry { key, key_span, place } in entries {
            let Some(value) = object.remove(key) else {
                continue;
            };
            self.object.insert(key.clone(), value);
            let field = Field { key_span: *key_span, place: place.clone(), merged: true };
            if let Some(old) = self.places.insert(key.clone(), field)
                && !old.merged
            {
                replaced.push((key.clone(), old.key_span.line));
            }
        }
        replaced
    }

    fn into_node(self, empty: Span) -> Node {
        let entry = |(key, field): (String, Field)| {
            let Field { key_span, place, .. } = field;
            Entry { key, key_span, place }
        };
        let entries: Vec<Entry> = self.places.into_iter().map(entry).collect();
        let bytes = self.bytes + if entries.is_empty() { 0 } else { MAPPING_BYTES };
        let place = Place {
            span: self.first.unwrap_or(empty),
            joins_key: self.first.is_none(),
            inner: Inner::Mapping(entries.into()),
        };
        Node { value: Value::Object(self.object), place, bytes, height: self.height }
    }
}

/// `[]` or `{}`, or its first bracket where the second stands on another line.
fn empty_collection(start: Span, end: Span) -> Span {
    if end.line == start.line { Span { end: end.end, ..start } } else { start }
}

/// The namespace of the tags written with `!!`.
const CORE: &str = "tag:yaml.org,2002:";

fn tag_of(tag: Option<&granit_parser::Tag>) -> Tag {
    tag.map_or(Tag::Implied, |tag| {
        tag.suffix_in_namespace(CORE).map_or(Tag::Text, |name| Tag::from_core_name(&name))
    })
}
