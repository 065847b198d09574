//! A container's image as it is written.

use std::cell::OnceCell;
use std::fmt;
use std::ops::Deref;

use serde::Deserialize;

use crate::domain::image::{ImageError, ImageRef};
use crate::domain::text::Text;

/// An image reference as written, which is parsed when the first asks for it: many rules do, of few containers.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Text<'a>", bound(deserialize = "'de: 'a"))]
pub struct WrittenImage<'a> {
    text: Text<'a>,
    parsed: OnceCell<Result<ImageRef, ImageError>>,
}

impl WrittenImage<'_> {
    /// What it refers to, or why that cannot be told.
    pub fn parsed(&self) -> Result<&ImageRef, ImageError> {
        self.parsed.get_or_init(|| ImageRef::parse(&self.text)).as_ref().map_err(|error| *error)
    }
}

impl<'a> From<Text<'a>> for WrittenImage<'a> {
    fn from(text: Text<'a>) -> Self {
        Self { text, parsed: OnceCell::new() }
    }
}

impl Deref for WrittenImage<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for WrittenImage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}
