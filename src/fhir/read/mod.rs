//! The reader: one pass over a body, bounded in size, depth and number of values.
//!
//! It takes JSON as RFC 8259 has it and nothing else: no comments, no trailing commas, no member
//! twice, nothing behind the end. Below `entry` of the body it goes on behind an entry that is
//! broken, if that entry's brackets and quotes close: what they enclose is the entry.

use super::error::{ReadError, ReadErrorKind, Step};
use super::tree::{Cell, Kind, Span};
use super::{MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, MAX_ENTRIES, MAX_MEMBERS, MAX_TOTAL_ELEMENTS};
use super::{definitions, error};

mod scan;
mod skip;
mod twice;

/// What was read: the cells, and the entries that were not.
pub(super) struct Reading {
    pub(super) cells: Vec<Cell>,
    /// The cell of each broken entry and what is wrong with it.
    pub(super) broken: Vec<(u32, ReadError)>,
}

/// A fault on its way up, gathering the steps that lead to it, innermost first.
struct Fault {
    kind: ReadErrorKind,
    offset: usize,
    expected: &'static str,
    found: &'static str,
    steps: Vec<Step>,
    /// Whether all of the body is lost, not only the entry that it is in.
    whole: bool,
}

type Outcome<T> = Result<T, Box<Fault>>;

/// The name of a value, as a cell keeps it.
#[derive(Clone, Copy, Default)]
struct Name {
    start: u32,
    length: u16,
    escaped: bool,
}

struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    cells: Vec<Cell>,
    /// How many cells there may be when the current resource is read.
    most_cells: usize,
    broken: Vec<(u32, Fault)>,
}

/// Refuses a body that is too large, before anything is made of it.
pub(super) fn bounded(bytes: &[u8]) -> Result<(), ReadError> {
    if bytes.len() <= MAX_BYTES {
        return Ok(());
    }
    Err(ReadError {
        kind: ReadErrorKind::Limit,
        place: String::new(),
        offset: MAX_BYTES,
        expected: "a body of at most 32 MiB",
        found: "more bytes",
    })
}

/// Reads a whole body.
pub(super) fn read(text: &str) -> Result<Reading, ReadError> {
    let bytes = text.as_bytes();
    let mark = if text.starts_with('\u{feff}') { 3 } else { 0 };
    let most_cells = MAX_ELEMENTS;
    let cells = Vec::with_capacity((bytes.len() / 24).min(MAX_ELEMENTS));
    let mut reader = Reader {
        text,
        bytes,
        at: mark,
        cells,
        most_cells,
        broken: Vec::new(),
    };
    match reader.body() {
        Ok(()) => {
            let faults = std::mem::take(&mut reader.broken);
            let told = |(cell, fault)| (cell, reader.told(fault));
            let broken = faults.into_iter().map(told).collect();
            Ok(Reading {
                cells: reader.cells,
                broken,
            })
        }
        Err(fault) => Err(reader.told(*fault)),
    }
}

impl<'t> Reader<'t> {
    fn body(&mut self) -> Outcome<()> {
        self.blanks();
        if self.peek() != Some(b'{') {
            return Err(self.unexpected("an object"));
        }
        self.value(Name::default(), 0)?;
        self.blanks();
        if self.at < self.bytes.len() {
            return Err(self.unexpected("the end"));
        }
        Ok(())
    }

    /// Reads one value into a cell and all below it into the cells behind it.
    fn value(&mut self, name: Name, depth: usize) -> Outcome<()> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => {
                let (span, kind) = self.string()?;
                self.leaf(name, kind, span)
            }
            Some(b'{') => {
                let cell = self.open(name, Kind::Object, depth)?;
                self.list(b'}', |reader, place| reader.member(depth, place))?;
                self.close(cell, start);
                twice::refuse(self, cell)
            }
            Some(b'[') => {
                let cell = self.open(name, Kind::Array, depth)?;
                self.list(b']', |reader, place| reader.element(depth, place))?;
                self.close(cell, start);
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                self.leaf(name, Kind::Number, Span::of(start, self.at))
            }
            Some(b't') => self.word("true", Kind::True, name),
            Some(b'f') => self.word("false", Kind::False, name),
            Some(b'n') => self.word("null", Kind::Null, name),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// What stands between brackets, up to `end`, with commas between: each by `one`, with its place.
    fn list(
        &mut self,
        end: u8,
        mut one: impl FnMut(&mut Self, usize) -> Outcome<()>,
    ) -> Outcome<()> {
        self.at += 1;
        self.blanks();
        if self.take(end) {
            return Ok(());
        }
        for place in 0.. {
            one(self, place)?;
            self.blanks();
            if !self.take(b',') {
                break;
            }
            self.blanks();
        }
        match self.take(end) {
            true => Ok(()),
            false if end == b'}' => Err(self.unexpected("a comma or `}`")),
            false => Err(self.unexpected("a comma or `]`")),
        }
    }

    fn member(&mut self, depth: usize, place: usize) -> Outcome<()> {
        if place == MAX_MEMBERS {
            return Err(self.limit("at most 1,000 members", "more of them"));
        }
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a name in quotes"));
        }
        let name = self.name()?;
        self.blanks();
        if !self.take(b':') {
            return Err(self.unexpected("a colon"));
        }
        self.blanks();
        let entries = depth == 0 && self.peek() == Some(b'[') && self.is_named(name, "entry");
        let read = if entries {
            self.entries(name)
        } else {
            self.value(name, depth + 1)
        };
        read.map_err(|fault| self.below(fault, name))
    }

    fn element(&mut self, depth: usize, place: usize) -> Outcome<()> {
        self.value(Name::default(), depth + 1)
            .map_err(|fault| at_index(fault, place))
    }

    /// The array `entry` of the body: each element by itself.
    fn entries(&mut self, name: Name) -> Outcome<()> {
        let start = self.at;
        let cell = self.open(name, Kind::Array, 1)?;
        self.list(b']', |reader, place| reader.entry(name, place))?;
        self.close(cell, start);
        Ok(())
    }

    /// One entry. Where it cannot be read, but ends, a cell says so and the next one follows.
    fn entry(&mut self, name: Name, place: usize) -> Outcome<()> {
        if place == MAX_ENTRIES {
            return Err(self.limit("at most 10,000 entries", "more of them"));
        }
        let (start, first) = (self.at, self.cells.len());
        self.most_cells = (first + MAX_ELEMENTS).min(MAX_TOTAL_ELEMENTS);
        let read = self.value(Name::default(), 2);
        self.most_cells = (self.cells.len() + MAX_ELEMENTS).min(MAX_TOTAL_ELEMENTS);
        let Err(fault) = read else { return Ok(()) };
        let fault = at_index(fault, place);
        let Some(end) = skip::behind(self.bytes, start).filter(|_| !fault.whole) else {
            return Err(fault);
        };
        self.cells.truncate(first);
        self.at = end;
        self.leaf(Name::default(), Kind::Broken, Span::of(start, end))?;
        let cell = u32::try_from(first).unwrap_or(u32::MAX);
        self.broken.push((cell, *self.below(fault, name)));
        Ok(())
    }

    fn open(&mut self, name: Name, kind: Kind, depth: usize) -> Outcome<usize> {
        if depth >= MAX_DEPTH {
            return Err(self.limit("at most 100 levels", "more of them"));
        }
        let cell = self.cells.len();
        self.leaf(name, kind, Span::of(self.at, self.at))?;
        Ok(cell)
    }

    fn close(&mut self, cell: usize, start: usize) {
        let next = u32::try_from(self.cells.len()).unwrap_or(u32::MAX);
        let span = Span::of(start, self.at);
        if let Some(opened) = self.cells.get_mut(cell) {
            opened.span = span;
            opened.next = next;
        }
    }

    fn leaf(&mut self, name: Name, kind: Kind, span: Span) -> Outcome<()> {
        let place = self.cells.len();
        if place >= self.most_cells {
            let mut fault = self.limit("at most 200,000 values in a resource", "more of them");
            fault.whole = place >= MAX_TOTAL_ELEMENTS;
            if fault.whole {
                fault.expected = "at most 2,000,000 values";
            }
            return Err(fault);
        }
        let next = u32::try_from(place + 1).unwrap_or(u32::MAX);
        let Name {
            start: name_start,
            length: name_length,
            escaped: escaped_name,
        } = name;
        self.cells.push(Cell {
            kind,
            escaped_name,
            name_length,
            name_start,
            span,
            next,
        });
        Ok(())
    }

    /// A fault inside of a member.
    fn below(&self, mut fault: Box<Fault>, name: Name) -> Box<Fault> {
        fault.steps.push(Step::member(self.raw_name(name)));
        fault
    }

    /// The error of a fault, with its place from the body on.
    fn told(&self, fault: Fault) -> ReadError {
        let steps: Vec<Step> = fault.steps.into_iter().rev().collect();
        ReadError {
            kind: fault.kind,
            place: error::place(self.resource_type(), &steps),
            offset: fault.offset,
            expected: fault.expected,
            found: fault.found,
        }
    }

    /// The type of the body as far as it was read, if it is one that the definitions have.
    fn resource_type(&self) -> &'static str {
        let mut at = 1;
        while let Some(cell) = self.cells.get(at) {
            if cell.name(self.text) == "resourceType" {
                let name = cell.text(self.text).unwrap_or_default();
                return definitions::get().resource_name(&name).unwrap_or_default();
            }
            let next = usize::try_from(cell.next).unwrap_or(usize::MAX);
            let is_open =
                matches!(cell.kind, Kind::Array | Kind::Object) && cell.span.start == cell.span.end;
            if is_open || next <= at {
                break;
            }
            at = next;
        }
        ""
    }

    fn raw_name(&self, name: Name) -> &'t str {
        let start = usize::try_from(name.start).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::from(name.length));
        self.text.get(start..end).unwrap_or_default()
    }

    fn is_named(&self, name: Name, expected: &str) -> bool {
        !name.escaped && self.raw_name(name) == expected
    }
}

fn at_index(mut fault: Box<Fault>, place: usize) -> Box<Fault> {
    fault.steps.push(Step::Index(place));
    fault
}

#[cfg(test)]
mod tests;
