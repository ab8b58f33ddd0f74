//! One message: its text and an index of its segments that covers every byte.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use super::charset::{self, Charset, CharsetError};
use super::delimiters::Delimiters;
use super::header::{Header, HeaderError};
use super::lines::{self, Kind, Line};
use super::path::{Path, Paths};
use super::scope::Scope;
use super::segment::{Field, Segment};
use super::{MAX_MESSAGE_BYTES, MAX_SEGMENTS};

/// Why a text is not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No usable MSH at the start.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A line is neither a segment nor clearly the broken text of the segment before it.
    #[error("line {line}: expected a segment name and a separator, found something else")]
    NotASegment {
        /// Counts from 1.
        line: usize,
    },
    /// A further MSH: [`super::split()`] comes first.
    #[error("line {line}: expected one message, found a second MSH")]
    SecondHeader {
        /// Counts from 1.
        line: usize,
    },
    /// More bytes than [`MAX_MESSAGE_BYTES`].
    #[error("message: expected at most {MAX_MESSAGE_BYTES} bytes, found {found}")]
    TooLarge {
        /// The size in bytes.
        found: usize,
    },
    /// More segments than [`MAX_SEGMENTS`].
    #[error("line {line}: expected at most {MAX_SEGMENTS} segments, found more")]
    TooManySegments {
        /// Counts from 1.
        line: usize,
    },
}

/// Why bytes are not a message: the first of the three steps that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No header could be read.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The bytes are not text.
    #[error(transparent)]
    Charset(#[from] CharsetError),
    /// The text is no message.
    #[error(transparent)]
    Parse(#[from] ParseError),
}

/// Something out of order that was read nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// What it is.
    pub kind: AnomalyKind,
    /// The segment it is in, counted from 1 as MSH.
    pub segment: usize,
}

/// The kinds of [`Anomaly`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnomalyKind {
    /// An unescaped line end cut the segment; the lines were joined by `\n`.
    BrokenLine,
    /// The segment's name stands behind blanks.
    Indented,
}

impl AnomalyKind {
    /// The name under which it is counted and shown: `broken-line`, `indented`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            AnomalyKind::BrokenLine => "broken-line",
            AnomalyKind::Indented => "indented",
        }
    }
}

/// One segment's place in the text.
pub(super) struct Entry {
    pub(super) name: [u8; 3],
    /// Counts from 1 among segments of the same name.
    pub(super) occurrence: usize,
    pub(super) span: Range<usize>,
    /// The text where it differs from the span: lines joined by `\n`.
    joined: Option<String>,
}

/// A parsed message. Fields are cut out when they are asked for.
pub struct Message {
    text: String,
    header: Header,
    charset: Charset,
    entries: Vec<Entry>,
    anomalies: Vec<Anomaly>,
}

impl Message {
    /// Indexes the text of one message; hex escapes are read in the charset that MSH-18 names.
    ///
    /// Segments end on CR, LF or CRLF; blank lines are skipped, and so are a byte order mark and
    /// frame bytes at either end. A line that is clearly text belongs to the segment before it
    /// (unless that is MSH, which holds no free text) and leaves an [`Anomaly`].
    ///
    /// # Errors
    /// [`ParseError`], with the line; nothing is ever dropped in silence.
    pub fn parse<'a>(text: impl Into<Cow<'a, str>>) -> Result<Message, ParseError> {
        let text = text.into().into_owned();
        let header = Header::read(text.as_bytes())?;
        let named = header
            .charsets
            .first()
            .and_then(|name| Charset::parse(name));
        Message::build(text, header, named.unwrap_or(Charset::Ascii))
    }

    /// Reads header, charset and segments of one message's bytes, in that order.
    ///
    /// `default` is the source's charset where the message names none; see [`charset::detect`].
    ///
    /// # Errors
    /// [`ReadError`] says which of the three steps failed.
    pub fn read(bytes: &[u8], default: Option<Charset>) -> Result<Message, ReadError> {
        let header = Header::read(bytes)?;
        let charset = charset::detect(bytes, &header, default)?;
        let text = charset
            .decode_escaped(bytes, header.delimiters.escape)?
            .into_owned();
        Ok(Message::build(text, header, charset)?)
    }

    fn build(text: String, header: Header, charset: Charset) -> Result<Message, ParseError> {
        if text.len() > MAX_MESSAGE_BYTES {
            return Err(ParseError::TooLarge { found: text.len() });
        }
        let index = Index::build(&text, header.delimiters)?;
        let Index {
            entries, anomalies, ..
        } = index;
        Ok(Message {
            text,
            header,
            charset,
            entries,
            anomalies,
        })
    }

    /// The header. Its raw bytes are those of [`Message::read`]'s input, or of the text given to
    /// [`Message::parse`].
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The delimiters that the message declares.
    #[must_use]
    pub fn delimiters(&self) -> &Delimiters {
        &self.header.delimiters
    }

    /// The charset in which hex escapes are read.
    #[must_use]
    pub fn charset(&self) -> Charset {
        self.charset
    }

    /// What was out of order, in the order of the text.
    #[must_use]
    pub fn anomalies(&self) -> &[Anomaly] {
        &self.anomalies
    }

    /// The whole text as given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value at `path`; see [`Repetition::get`](super::Repetition::get) for its meaning.
    #[must_use]
    pub fn get(&self, path: &Path) -> Field<'_> {
        self.locate(path)
            .map_or(Field::Absent, |segment| segment.get(path))
    }

    /// The first of the alternatives that is not absent.
    #[must_use]
    pub fn first(&self, paths: &Paths) -> Field<'_> {
        let mut found = paths.alternatives().iter().map(|path| self.get(path));
        found
            .find(|field| !field.is_absent())
            .unwrap_or(Field::Absent)
    }

    /// The text at `path` exactly as sent, not unescaped; `None` where the message does not reach.
    #[must_use]
    pub fn raw(&self, path: &Path) -> Option<&str> {
        self.locate(path)?.raw_at(path)
    }

    /// All segments, MSH first.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> + '_ {
        (0..self.entries.len()).map(|index| Segment::new(self, index))
    }

    /// The whole message as a scope.
    #[must_use]
    pub fn scope(&self) -> Scope<'_> {
        Scope::whole(self, self.entries.len())
    }

    /// Groups of the whole message: [`Scope::groups`].
    #[must_use]
    pub fn groups(&self, anchors: &[&str], stop: &[&str]) -> Vec<Scope<'_>> {
        self.scope().groups(anchors, stop)
    }

    fn locate(&self, path: &Path) -> Option<Segment<'_>> {
        let mut named = self
            .segments()
            .filter(|segment| segment.name() == path.segment());
        named.nth(path.occurrence().saturating_sub(1))
    }

    pub(super) fn entry(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index)
    }

    pub(super) fn raw_segment(&self, index: usize) -> &str {
        let Some(entry) = self.entries.get(index) else {
            return "";
        };
        let plain = || self.text.get(entry.span.clone()).unwrap_or_default();
        entry.joined.as_deref().unwrap_or_else(plain)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Message[")?;
        for (place, segment) in self.segments().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{} {}", segment.name(), segment.raw().len())?;
        }
        f.write_str("]")
    }
}

/// The index under construction.
struct Index<'t> {
    text: &'t str,
    entries: Vec<Entry>,
    anomalies: Vec<Anomaly>,
    counts: BTreeMap<[u8; 3], usize>,
    /// The line that the last segment ends on.
    last_line: usize,
}

impl<'t> Index<'t> {
    fn build(text: &'t str, delimiters: Delimiters) -> Result<Index<'t>, ParseError> {
        let mut index = Index {
            text,
            entries: Vec::new(),
            anomalies: Vec::new(),
            counts: BTreeMap::new(),
            last_line: 0,
        };
        let noise = lines::leading_noise(text.as_bytes());
        for line in lines::lines(text.as_bytes()) {
            if line.start + line.bytes.len() <= noise {
                continue;
            }
            let line = without_noise(line, noise, text.len());
            match lines::classify(line.bytes, delimiters.field) {
                Kind::Blank => {}
                Kind::Segment { indent } => index.segment(line, indent)?,
                Kind::Text => index.continuation(line)?,
                Kind::Neither => return Err(ParseError::NotASegment { line: line.number }),
            }
        }
        Ok(index)
    }

    fn segment(&mut self, line: Line<'_>, indent: usize) -> Result<(), ParseError> {
        let start = line.start + indent;
        let body = line.bytes.get(indent..).unwrap_or_default();
        let Some(&name) = body.first_chunk::<3>() else {
            return Err(ParseError::NotASegment { line: line.number });
        };
        if &name == b"MSH" && !self.entries.is_empty() {
            return Err(ParseError::SecondHeader { line: line.number });
        }
        if self.entries.len() >= MAX_SEGMENTS {
            return Err(ParseError::TooManySegments { line: line.number });
        }
        let count = self.counts.entry(name).or_insert(0);
        *count += 1;
        let span = start..line.start + line.bytes.len();
        self.entries.push(Entry {
            name,
            occurrence: *count,
            span,
            joined: None,
        });
        if indent > 0 {
            self.note(AnomalyKind::Indented);
        }
        self.last_line = line.number;
        Ok(())
    }

    fn continuation(&mut self, line: Line<'_>) -> Result<(), ParseError> {
        let text = self.text;
        let end = line.start + line.bytes.len();
        let wrong = ParseError::NotASegment { line: line.number };
        let more = text.get(line.start..end).unwrap_or_default();
        let Some(entry) = self
            .entries
            .last_mut()
            .filter(|entry| &entry.name != b"MSH")
        else {
            return Err(wrong);
        };
        let first = entry.joined.is_none();
        let joined = entry
            .joined
            .get_or_insert_with(|| text.get(entry.span.clone()).unwrap_or_default().to_owned());
        // Blank lines inside the text are kept as such.
        joined.extend((self.last_line..line.number).map(|_| '\n'));
        joined.push_str(more);
        entry.span.end = end;
        self.last_line = line.number;
        if first {
            self.note(AnomalyKind::BrokenLine);
        }
        Ok(())
    }

    fn note(&mut self, kind: AnomalyKind) {
        self.anomalies.push(Anomaly {
            kind,
            segment: self.entries.len(),
        });
    }
}

/// The line without the noise at the start of the text and the frame bytes at its end.
fn without_noise(line: Line<'_>, noise: usize, end: usize) -> Line<'_> {
    let skip = noise.saturating_sub(line.start);
    let mut bytes = line.bytes.get(skip..).unwrap_or_default();
    // FS CR ends a frame; some senders leave both, some pad with NUL.
    while let [rest @ .., 0x1c | 0x0b | 0] = bytes
        && line.next + 1 >= end
    {
        bytes = rest;
    }
    Line {
        start: line.start + skip,
        bytes,
        ..line
    }
}

#[cfg(test)]
mod tests;
