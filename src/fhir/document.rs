//! One body that was read.

use std::borrow::Cow;
use std::fmt;

use super::error::{ReadError, ReadErrorKind};
use super::node::Node;
use super::read::{self, Reading};
use super::text;
use super::tree::{Cell, Kind};

/// A resource as it was sent: the text and an index of its values.
pub struct Document<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) cells: Vec<Cell>,
}

impl<'a> Document<'a> {
    /// Reads a resource.
    ///
    /// # Errors
    /// [`ReadError`], also where an entry of a Bundle is broken; [`super::Bundle::read`] keeps the others.
    pub fn read(bytes: &'a [u8]) -> Result<Document<'a>, ReadError> {
        let (document, broken) = Document::parts(bytes)?;
        match broken.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(document),
        }
    }

    /// The document and its entries that could not be read.
    pub(super) fn parts(
        bytes: &'a [u8],
    ) -> Result<(Document<'a>, Vec<(u32, ReadError)>), ReadError> {
        read::bounded(bytes)?;
        let text = text::of(bytes);
        let Reading { cells, broken } = read::read(&text)?;
        let document = Document { text, cells };
        document.root().typed("")?;
        Ok((document, broken))
    }

    /// The resource.
    #[must_use]
    pub fn root(&self) -> Node<'_> {
        Node::at(self, 0)
    }

    /// Its type, such as `Patient`; not necessarily one that any release has.
    #[must_use]
    pub fn resource_type(&self) -> Cow<'_, str> {
        self.root().resource_type().unwrap_or_default()
    }

    pub(super) fn cell(&self, at: u32) -> Option<Cell> {
        self.cells.get(usize::try_from(at).ok()?).copied()
    }
}

impl fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} values)", self.cells.len())
    }
}

impl Node<'_> {
    /// Refuses what is no resource: an object with a type of the form of one, and an id that is a
    /// string if it has one. `place` is the path to it.
    pub(super) fn typed(&self, place: &str) -> Result<(), ReadError> {
        let error = |node: Option<Node<'_>>, member: &str, expected, found| ReadError {
            kind: ReadErrorKind::Structure,
            place: match (place, member) {
                ("", member) => member.to_owned(),
                (place, "") => place.to_owned(),
                (place, member) => format!("{place}.{member}"),
            },
            offset: node.unwrap_or(*self).span().start,
            expected,
            found,
        };
        let cell = self.value_cell().filter(|cell| cell.kind != Kind::Null);
        if cell.is_none_or(|cell| cell.kind != Kind::Object) {
            let found = cell.map_or("nothing", Cell::words);
            return Err(error(None, "", "a resource", found));
        }
        let Some(kind) = self.raw_member("resourceType") else {
            return Err(error(
                None,
                "resourceType",
                "the type of a resource",
                "nothing",
            ));
        };
        let words = kind.value_cell().map_or("nothing", Cell::words);
        let is_type = |name: &str| {
            let letters = name.bytes().all(|byte| byte.is_ascii_alphabetic());
            letters
                && name.len() <= 64
                && name.starts_with(|first: char| first.is_ascii_uppercase())
        };
        if !kind.string().is_some_and(|name| is_type(&name)) {
            let found = if words == "a string" {
                "another word"
            } else {
                words
            };
            return Err(error(
                Some(kind),
                "resourceType",
                "the type of a resource",
                found,
            ));
        }
        match self.raw_member("id") {
            Some(id) if id.string().is_none() && !id.is_null() => {
                let words = id.value_cell().map_or("nothing", Cell::words);
                Err(error(Some(id), "id", "a string", words))
            }
            _ => Ok(()),
        }
    }
}
