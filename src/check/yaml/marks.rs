//! Where fields stand in the text.

use std::sync::Arc;

use super::path::{Segment, Segments};

/// A piece of the text to underline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Line of the start, from 1.
    pub line: usize,
    /// Column of the start in characters, from 1.
    pub column: usize,
    /// Byte offset of the start in the whole text.
    pub start: usize,
    /// Byte offset behind the end, never before `start` and on the same line.
    pub end: usize,
    /// False where the field is not there, and this is an ancestor of it.
    pub exact: bool,
}

/// A piece of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Span {
    pub(super) fn location(self, exact: bool) -> Location {
        let Self { start, end, line, column } = self;
        Location { line, column, start, end, exact }
    }
}

/// Where one value stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// What to underline for the value alone: for a list or mapping its first field.
    pub(super) span: Span,
    /// Whether the value is underlined together with its key.
    pub(super) joins_key: bool,
    pub(super) inner: Inner,
}

/// The places within a value. Aliases and merges share them.
#[derive(Clone, Debug)]
pub(super) enum Inner {
    Scalar,
    Sequence(Arc<[Place]>),
    /// Sorted by key.
    Mapping(Arc<[Entry]>),
}

/// One field of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) place: Place,
}

impl Entry {
    pub(super) fn span(&self) -> Span {
        self.place.span_with_key(self.key_span)
    }
}

impl Place {
    pub(super) fn span_with_key(&self, key: Span) -> Span {
        if self.joins_key && self.span.line == key.line && self.span.end >= key.start {
            Span { end: self.span.end, ..key }
        } else {
            key
        }
    }

    fn child(&self, segment: &Segment<'_>) -> Option<Child<'_>> {
        match (&self.inner, segment) {
            (Inner::Sequence(items), Segment::Bracket(index)) => {
                items.get(index.parse::<usize>().ok()?).map(Child::Item)
            }
            (Inner::Mapping(entries), Segment::Key(key)) => entry(entries, key),
            (Inner::Mapping(entries), Segment::Bracket(key)) => entry(entries, key),
            _ => None,
        }
    }
}

fn entry<'e>(entries: &'e [Entry], key: &str) -> Option<Child<'e>> {
    let at = entries.binary_search_by(|entry| entry.key.as_str().cmp(key)).ok()?;
    entries.get(at).map(Child::Entry)
}

enum Child<'e> {
    Item(&'e Place),
    Entry(&'e Entry),
}

/// The place of every key and value of a document, for [`Document::locate`](super::Document::locate).
#[derive(Clone, Debug)]
pub struct Marks {
    root: Place,
}

impl Marks {
    pub(super) fn new(root: Place) -> Self {
        Self { root }
    }

    pub(super) fn locate(&self, path: &str) -> Location {
        let mut place = &self.root;
        let mut span = place.span;
        // What stands for `place` where a field below it is missing.
        let mut label = place.span;
        for segment in Segments::new(path) {
            (place, span, label) = match place.child(&segment) {
                Some(Child::Item(item)) => (item, item.span, item.span),
                Some(Child::Entry(entry)) => (&entry.place, entry.span(), entry.key_span),
                None => return label.location(false),
            };
        }
        span.location(true)
    }
}
