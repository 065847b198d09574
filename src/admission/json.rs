//! JSON, read fast where most of it is not read.
//!
//! Nine tenths of a review are fields that no rule asks for: the old object, the managed fields, the copy of the
//! manifest that `kubectl apply` keeps. Skipping them was most of what a decision cost. Of a value that is skipped only
//! the end is looked for. API servers write nothing but JSON; what else is kept as text is told or read as nothing by
//! whoever reads it later.
//!
//! What this reader returns of JSON, `serde_json` returns too. It refuses without a reason what is broken where it reads
//! and what it does not know, such as numbers with a fraction; the caller then asks `serde_json`, which decides and has
//! the message.

mod scan;

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::domain::text;

/// Levels of lists and objects within each other that are read; `serde_json` reads as many.
const MAX_DEPTH: u32 = 127;

/// The text was not read, for whatever reason.
#[derive(Debug)]
pub(super) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text was not read")
    }
}

impl std::error::Error for Refused {}

impl Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Reads a text as one value.
pub(super) fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Refused> {
    let mut reader = Reader::new(text);
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads one value from a text.
pub(super) struct Reader<'de> {
    text: &'de str,
    at: usize,
    depth: u32,
}

impl<'de> Reader<'de> {
    /// A reader at the beginning of a text.
    pub(super) fn new(text: &'de str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Refuses a text that goes on.
    pub(super) fn end(&mut self) -> Result<(), Refused> {
        self.peek().map_or(Ok(()), |_| Err(Refused))
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'de [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// The next byte that is not blank.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    /// Goes past the next byte that is not blank.
    fn take(&mut self, want: u8) -> Result<(), Refused> {
        if self.peek() != Some(want) {
            return Err(Refused);
        }
        self.at += 1;
        Ok(())
    }

    fn literal(&mut self, want: &str) -> Result<(), Refused> {
        if !self.rest().starts_with(want.as_bytes()) {
            return Err(Refused);
        }
        self.at += want.len();
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'de, str>, Refused> {
        self.take(b'"')?;
        let start = self.at;
        self.at += scan::plain_length(self.rest());
        if self.byte() == Some(b'"') {
            self.at += 1;
            return self.text.get(start..self.at - 1).map(Cow::Borrowed).ok_or(Refused);
        }
        self.at += scan::string_length(self.rest()).ok_or(Refused)?;
        let quoted = self.text.get(start - 1..self.at).ok_or(Refused)?;
        serde_json::from_str(quoted).map(Cow::Owned).map_err(|_| Refused)
    }

    fn skip_digits(&mut self) -> Result<(), Refused> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(Refused) } else { Ok(()) }
    }

    fn skip_number(&mut self) -> Result<(), Refused> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.skip_digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.skip_digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.skip_digits()?;
        }
        Ok(())
    }

    fn integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Refused> {
        self.peek();
        let start = self.at;
        self.skip_number()?;
        let digits = self.text.get(start..self.at).ok_or(Refused)?;
        match digits.parse() {
            Ok(number) => visitor.visit_u64(number),
            // To `serde_json` this is a number with a fraction.
            Err(_) if digits == "-0" => Err(Refused),
            Err(_) => visitor.visit_i64(digits.parse().map_err(|_| Refused)?),
        }
    }

    /// Goes past a value that nobody reads.
    fn skip(&mut self) -> Result<(), Refused> {
        match self.peek() {
            Some(b'"') => self.skip_by(scan::string_length),
            Some(b'{' | b'[') => self.skip_by(scan::nested_length),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => self.skip_number(),
        }
    }

    /// Goes past an opening byte and what this finds of the rest.
    fn skip_by(&mut self, length: fn(&[u8]) -> Option<usize>) -> Result<(), Refused> {
        self.at += 1;
        self.at += length(self.rest()).ok_or(Refused)?;
        Ok(())
    }

    /// Reads what stands between an opening and a closing byte.
    fn within<T>(
        &mut self,
        opening: u8,
        closing: u8,
        read: impl FnOnce(Items<'_, 'de>) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        self.take(opening)?;
        if self.depth == MAX_DEPTH {
            return Err(Refused);
        }
        self.depth += 1;
        let value = read(Items { reader: self, closing, first: true })?;
        self.depth -= 1;
        self.take(closing)?;
        Ok(value)
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.peek() {
            Some(b'"') => self.deserialize_str(visitor),
            _ => self.integer(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let value = self.peek() == Some(b't');
        self.literal(if value { "true" } else { "false" })?;
        visitor.visit_bool(value)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.integer(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.string()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_str(&text),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        if self.peek() == Some(b'n') {
            self.literal("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        if name != text::RAW {
            return visitor.visit_newtype_struct(self);
        }
        self.peek();
        let start = self.at;
        self.skip()?;
        visitor.visit_borrowed_str(self.text.get(start..self.at).ok_or(Refused)?)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.within(b'[', b']', |items| visitor.visit_seq(items))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.within(b'{', b'}', |items| visitor.visit_map(items))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_map(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.skip()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 f64 char string bytes byte_buf unit unit_struct tuple
        tuple_struct enum
    }
}

/// The elements of a list, or the entries of an object.
struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    closing: u8,
    first: bool,
}

impl Items<'_, '_> {
    /// Whether another one follows. The closing byte is left where it is.
    fn advance(&mut self) -> Result<bool, Refused> {
        if self.reader.peek() == Some(self.closing) {
            return Ok(false);
        }
        if !std::mem::take(&mut self.first) {
            self.reader.take(b',')?;
        }
        Ok(true)
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refused> {
        if !self.advance()? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        if !self.advance()? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        self.reader.take(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

#[cfg(test)]
mod tests;
