//! What is read out of a message: segments, repetitions and values.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::message::Message;
use super::parsed;
use super::path::{Path, RelPath};
use super::{charset::Charset, escape};

/// A value as HL7 distinguishes them (HL7 v2.5.1 2.5.3): not sent, sent as "delete", sent.
#[derive(Clone, PartialEq, Eq)]
pub enum Field<'a> {
    /// Nothing was sent: no change.
    Absent,
    /// `""` was sent: the receiver's value is to be deleted.
    Null,
    /// The unescaped value, not trimmed.
    Value(Cow<'a, str>),
}

impl<'a> Field<'a> {
    /// The text of a value; `None` when absent or null.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        match self {
            Field::Value(text) => Some(text),
            Field::Absent | Field::Null => None,
        }
    }

    /// The text of a value, taken out; `None` when absent or null.
    #[must_use]
    pub fn into_value(self) -> Option<Cow<'a, str>> {
        match self {
            Field::Value(text) => Some(text),
            Field::Absent | Field::Null => None,
        }
    }

    /// Whether nothing was sent.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Field::Absent)
    }

    /// Whether `""` was sent.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Field::Null)
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Absent => f.write_str("Absent"),
            Field::Null => f.write_str("Null"),
            Field::Value(text) => write!(f, "Value({} bytes)", text.len()),
        }
    }
}

/// One segment of a message.
#[derive(Clone, Copy)]
pub struct Segment<'m> {
    message: &'m Message,
    index: usize,
}

impl<'m> Segment<'m> {
    pub(super) fn new(message: &'m Message, index: usize) -> Segment<'m> {
        Segment { message, index }
    }

    /// The three characters of its name.
    #[must_use]
    pub fn name(&self) -> &'m str {
        self.raw().get(..3).unwrap_or_default()
    }

    /// Its place in the message; MSH is 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Which one it is of the segments of its name in the message, counted from 1.
    #[must_use]
    pub fn occurrence(&self) -> usize {
        self.message
            .entry(self.index)
            .map_or(0, |entry| entry.occurrence)
    }

    /// Its text without the terminator; the lines of a broken segment are joined by `\n`.
    #[must_use]
    pub fn raw(&self) -> &'m str {
        self.message.raw_segment(self.index)
    }

    /// Its bytes in [`Message::text`], without indent and terminator.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.message
            .entry(self.index)
            .map_or(0..0, |entry| entry.span.clone())
    }

    /// The number of the last field that it reaches, 0 for a bare name.
    #[must_use]
    pub fn last_field(&self) -> usize {
        let separators = self.raw().matches(self.separator()).count();
        if self.is_header() {
            separators + 1
        } else {
            separators
        }
    }

    /// All repetitions of field `number`, empty ones too; none when the field is empty or beyond
    /// the segment's end. MSH-1 and MSH-2 are one repetition, never cut or unescaped.
    #[must_use]
    pub fn field(&self, number: usize) -> Vec<Repetition<'m>> {
        let Some(text) = self.field_text(number).filter(|text| !text.is_empty()) else {
            return Vec::new();
        };
        let literal = self.is_literal(number);
        let texts = if literal {
            vec![text]
        } else {
            parsed::repetitions(text, self.message.delimiters())
        };
        let message = self.message;
        let view = |(place, text)| Repetition {
            message,
            text,
            number: place + 1,
            literal,
        };
        texts.into_iter().enumerate().map(view).collect()
    }

    /// The value at `path`, whose segment part is not looked at.
    pub(super) fn get(&self, path: &Path) -> Field<'m> {
        self.repetition(path)
            .map_or(Field::Absent, |found| found.get(&path.relative()))
    }

    /// The raw text at `path`, whose segment part is not looked at.
    pub(super) fn raw_at(&self, path: &Path) -> Option<&'m str> {
        self.repetition(path)?.raw(&path.relative())
    }

    fn repetition(&self, path: &Path) -> Option<Repetition<'m>> {
        let text = self.field_text(path.field())?;
        let number = path.repetition().unwrap_or(1);
        let literal = self.is_literal(path.field());
        let text = match number {
            1 if literal => text,
            _ if literal => return None,
            _ => parsed::repetition(text, number, self.message.delimiters())?,
        };
        Some(Repetition {
            message: self.message,
            text,
            number,
            literal,
        })
    }

    /// The text of field `number`, with all its repetitions.
    fn field_text(&self, number: usize) -> Option<&'m str> {
        match (number, self.is_header()) {
            (0, _) => None,
            (1, true) => self.raw().get(3..4),
            (_, true) => self.raw().split(self.separator()).nth(number - 1),
            (_, false) => self.raw().split(self.separator()).nth(number),
        }
    }

    fn separator(&self) -> char {
        char::from(self.message.delimiters().field)
    }

    fn is_header(&self) -> bool {
        self.name() == "MSH"
    }

    fn is_literal(&self, number: usize) -> bool {
        self.is_header() && number <= 2
    }
}

impl fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({} {})", self.name(), self.raw().len())
    }
}

/// One repetition of a field.
#[derive(Clone, Copy)]
pub struct Repetition<'m> {
    message: &'m Message,
    text: &'m str,
    number: usize,
    literal: bool,
}

impl<'m> Repetition<'m> {
    /// The value at `path`.
    ///
    /// `.` is the whole repetition with its delimiters, `.c` the first subcomponent of component
    /// c, `.c.s` a subcomponent. A repetition without components is its own component 1, and so
    /// on down. `""` is null, as is the misspelling `\"\"`; a null repetition makes all of its
    /// components null.
    #[must_use]
    pub fn get(&self, path: &RelPath) -> Field<'m> {
        if is_null(self.text) {
            return Field::Null;
        }
        let delimiters = self.message.delimiters();
        let found = match path.component() {
            Some(component) if !self.literal => {
                let subcomponent = path.subcomponent().unwrap_or(1);
                parsed::component(self.text, component, delimiters)
                    .and_then(|text| parsed::subcomponent(text, subcomponent, delimiters))
            }
            _ => self.raw(path),
        };
        match found {
            None | Some("") => Field::Absent,
            Some(text) if is_null(text) => Field::Null,
            Some(text) if self.literal => Field::Value(Cow::Borrowed(text)),
            Some(text) => Field::Value(escape::decode(text, delimiters, self.charset())),
        }
    }

    /// The text at `path` exactly as sent; `None` where the repetition does not reach.
    ///
    /// Unlike [`Repetition::get`], `.c` is the whole component with its subcomponents.
    #[must_use]
    pub fn raw(&self, path: &RelPath) -> Option<&'m str> {
        let delimiters = self.message.delimiters();
        match (path.component(), path.subcomponent()) {
            (None, _) | (Some(1), None | Some(1)) if self.literal => Some(self.text),
            _ if self.literal => None,
            (None, _) => Some(self.text),
            (Some(component), None) => parsed::component(self.text, component, delimiters),
            (Some(component), Some(subcomponent)) => {
                let text = parsed::component(self.text, component, delimiters)?;
                parsed::subcomponent(text, subcomponent, delimiters)
            }
        }
    }

    /// Its place in the field, counted from 1.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Whether it holds nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn charset(&self) -> Charset {
        self.message.charset()
    }
}

impl fmt::Debug for Repetition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repetition({}, {} bytes)", self.number, self.text.len())
    }
}

/// `""`, or `\"\"` as a JSON or Java layer leaves it.
fn is_null(text: &str) -> bool {
    text == "\"\"" || text == "\\\"\\\""
}
