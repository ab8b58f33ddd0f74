//! The tree that paths walk: elements, with the extensions of primitive values joined to them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::document::Document;
use super::tree::{Cell, Kind};

/// One element of a resource: an object, or a primitive value with what stands beside it.
///
/// JSON splits a primitive element in two, `birthDate` and `_birthDate` (FHIR R4, 2.6.2.3). Here it
/// is one: its value, if it has one, and its extensions and id.
#[derive(Clone, Copy)]
pub struct Node<'d> {
    pub(super) document: &'d Document<'d>,
    /// The value's cell; `None` where only the other half was sent.
    pub(super) value: Option<u32>,
    /// The cell of the half with the underscore.
    beside: Option<u32>,
}

impl<'d> Node<'d> {
    pub(super) fn at(document: &'d Document<'d>, cell: u32) -> Node<'d> {
        Node {
            document,
            value: Some(cell),
            beside: None,
        }
    }

    /// The elements of this name: none, one, or those of the array in their order. What is `null`
    /// on both sides is left out.
    #[must_use]
    pub fn members(&self, name: &str) -> Elements<'d> {
        if let Some(at) = self.companion() {
            return self.halves(at, |found| found == name, name == "id");
        }
        let Some(at) = self.value else {
            return Elements::none(self.document);
        };
        self.halves(at, |found| found == name, false)
    }

    /// The first element of this name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Node<'d>> {
        self.members(name).next()
    }

    /// The text of the member of this name, if that is one string.
    #[must_use]
    pub fn text_of(&self, name: &str) -> Option<Cow<'d, str>> {
        self.member(name)?.string()
    }

    /// The text of a primitive value: a string without its quotes and escapes, a number as it was
    /// sent, `true` or `false`.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'d, str>> {
        self.value_cell()?.text(&self.document.text)
    }

    /// The text of a string.
    #[must_use]
    pub fn string(&self) -> Option<Cow<'d, str>> {
        let cell = self.value_cell()?;
        matches!(cell.kind, Kind::Plain | Kind::Escaped).then(|| cell.text(&self.document.text))?
    }

    /// The digits of a number, as they were sent.
    #[must_use]
    pub fn number(&self) -> Option<&'d str> {
        let cell = self.value_cell()?;
        (cell.kind == Kind::Number).then(|| cell.span.text(&self.document.text))
    }

    /// The truth of a boolean.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match self.value_cell()?.kind {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    /// Whether it is an object and not a primitive value.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.value_cell()
            .is_some_and(|cell| cell.kind == Kind::Object)
    }

    pub(super) fn is_array(&self) -> bool {
        self.value_cell()
            .is_some_and(|cell| cell.kind == Kind::Array)
    }

    /// What it is, in words.
    pub(super) fn words(&self) -> &'static str {
        self.value_cell().map_or("nothing", Cell::words)
    }

    /// The type of a resource.
    #[must_use]
    pub fn resource_type(&self) -> Option<Cow<'d, str>> {
        self.raw_member("resourceType")?.string()
    }

    /// The logical id of a resource.
    #[must_use]
    pub fn id(&self) -> Option<Cow<'d, str>> {
        self.text_of("id")
    }

    /// The extensions with this address.
    pub fn extensions<'u>(&self, url: &'u str) -> impl Iterator<Item = Node<'d>> + use<'d, 'u> {
        self.members("extension")
            .filter(move |one| one.text_of("url").as_deref() == Some(url))
    }

    /// Its JSON as it was sent; of a primitive element the value's half.
    #[must_use]
    pub fn json(&self) -> &'d str {
        self.document.text.get(self.span()).unwrap_or_default()
    }

    /// Where it is in the body, in bytes.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        let Some(cell) = self.place().and_then(|at| self.document.cell(at)) else {
            return 0..0;
        };
        let range = cell.span.range();
        match cell.kind {
            Kind::Plain | Kind::Escaped => range.start.saturating_sub(1)..range.end + 1,
            _ => range,
        }
    }

    pub(super) fn value_cell(&self) -> Option<Cell> {
        self.document.cell(self.value?)
    }

    pub(super) fn is_null(&self) -> bool {
        self.value_cell().is_none_or(|cell| cell.kind == Kind::Null) && self.beside.is_none()
    }

    /// The place of its cell: the same for the same element.
    pub(super) fn place(&self) -> Option<u32> {
        self.value.or(self.beside)
    }

    /// The member of exactly this name as JSON has it, an array or null too.
    pub(super) fn raw_member(&self, name: &str) -> Option<Node<'d>> {
        let (_, member) = self.raw_members().find(|(found, _)| found == name)?;
        Some(member)
    }

    /// All members as JSON has them, with their names.
    pub(super) fn raw_members(&self) -> impl Iterator<Item = (Cow<'d, str>, Node<'d>)> + use<'d> {
        let text = &self.document.text;
        self.raw_children()
            .filter_map(move |one| Some((one.value_cell()?.name(text), one)))
    }

    /// The elements of an array, or the members of an object, as JSON has them, null and arrays too.
    pub(super) fn raw_children(&self) -> impl Iterator<Item = Node<'d>> + use<'d> {
        let document = self.document;
        let children = self.value.map(|at| document.children(at));
        children
            .into_iter()
            .flatten()
            .map(move |at| Node::at(document, at))
    }

    /// The half with the underscore of a primitive value.
    fn companion(&self) -> Option<u32> {
        let is_object = |at: &u32| {
            self.document
                .cell(*at)
                .is_some_and(|c| c.kind == Kind::Object)
        };
        self.beside.filter(is_object).filter(|_| !self.is_object())
    }

    fn halves(&self, at: u32, fits: impl Fn(&str) -> bool, bare: bool) -> Elements<'d> {
        let (value, beside) = self.document.find(at, fits);
        Elements {
            document: self.document,
            values: Cursor::of(self.document, value),
            besides: Cursor::of(self.document, beside.filter(|_| !bare)),
        }
    }
}

impl PartialEq for Node<'_> {
    /// Whether it is the same element of the same document.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.document, other.document) && self.place() == other.place()
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.value_cell().map_or("extensions", Cell::words);
        write!(f, "Node({words}, {} bytes)", self.span().len())
    }
}

impl Document<'_> {
    /// The cells directly below one.
    fn children(&self, at: u32) -> impl Iterator<Item = u32> + use<'_> {
        let parent = self
            .cell(at)
            .filter(|cell| matches!(cell.kind, Kind::Object | Kind::Array));
        let (mut at, end) = parent.map_or((0, 0), |cell| (at + 1, cell.next));
        std::iter::from_fn(move || {
            let child = (at < end).then_some(at)?;
            at = self.cell(child)?.next;
            Some(child)
        })
    }

    /// The members of an object whose name fits, with and without the underscore.
    pub(super) fn find(&self, at: u32, fits: impl Fn(&str) -> bool) -> (Option<u32>, Option<u32>) {
        let (mut value, mut beside) = (None, None);
        if self.cell(at).is_some_and(|cell| cell.kind == Kind::Object) {
            for child in self.children(at) {
                let Some(cell) = self.cell(child) else {
                    continue;
                };
                let name = cell.name(&self.text);
                match name.strip_prefix('_') {
                    Some(bare) if beside.is_none() && fits(bare) => beside = Some(child),
                    None if value.is_none() && fits(&name) => value = Some(child),
                    _ => {}
                }
            }
        }
        (value, beside)
    }
}

/// The elements of one name, in their order.
#[derive(Clone)]
pub struct Elements<'d> {
    document: &'d Document<'d>,
    values: Cursor<'d>,
    besides: Cursor<'d>,
}

impl<'d> Elements<'d> {
    fn none(document: &'d Document<'d>) -> Elements<'d> {
        let none = Cursor::of(document, None);
        Elements {
            document,
            values: none.clone(),
            besides: none,
        }
    }
}

impl<'d> Iterator for Elements<'d> {
    type Item = Node<'d>;

    fn next(&mut self) -> Option<Node<'d>> {
        loop {
            let (value, beside) = (self.values.next(), self.besides.next());
            if value.is_none() && beside.is_none() {
                return None;
            }
            let node = Node {
                document: self.document,
                value: value.flatten(),
                beside: beside.flatten(),
            };
            if node.place().is_some() {
                return Some(node);
            }
        }
    }
}

/// The cells of an array, or the one cell that is none; `None` for each that holds nothing.
#[derive(Clone)]
struct Cursor<'d> {
    document: &'d Document<'d>,
    at: u32,
    end: u32,
}

impl<'d> Cursor<'d> {
    fn of(document: &'d Document<'d>, cell: Option<u32>) -> Cursor<'d> {
        let found = cell.and_then(|at| Some((at, document.cell(at)?)));
        let (at, end) = match found {
            Some((at, cell)) if cell.kind == Kind::Array => (at + 1, cell.next),
            Some((at, cell)) => (at, cell.next),
            None => (0, 0),
        };
        Cursor { document, at, end }
    }
}

impl Iterator for Cursor<'_> {
    type Item = Option<u32>;

    fn next(&mut self) -> Option<Option<u32>> {
        let at = (self.at < self.end).then_some(self.at)?;
        let cell = self.document.cell(at)?;
        self.at = cell.next;
        // FHIR has no arrays in arrays; the check of the shape names them.
        let holds = !matches!(cell.kind, Kind::Null | Kind::Array | Kind::Broken);
        Some(holds.then_some(at))
    }
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
