//! One body that was read.

use std::borrow::Cow;
use std::fmt;

use super::error::ReadError;
use super::node::Node;
use super::read::{self, Reading};
use super::text;
use super::tree::Cell;

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
        document.whole(broken)
    }

    /// The document, unless an entry could not be read.
    pub(super) fn whole(self, broken: Vec<(u32, ReadError)>) -> Result<Document<'a>, ReadError> {
        match broken.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(self),
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
        document.root().typed(String::new)?;
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
    /// string if it has one. `place` tells the path to it.
    pub(super) fn typed(&self, place: impl Fn() -> String) -> Result<(), ReadError> {
        if !self.is_object() {
            let found = self.words();
            return Err(ReadError::structure(self, place(), "a resource", found));
        }
        let below = |member: &str| match place() {
            here if here.is_empty() => member.to_owned(),
            here => format!("{here}.{member}"),
        };
        let no_type = |node: &Node<'_>, found| {
            let place = below("resourceType");
            ReadError::structure(node, place, "the type of a resource", found)
        };
        let Some(kind) = self.raw_member("resourceType") else {
            return Err(no_type(self, "nothing"));
        };
        match kind.string() {
            None => return Err(no_type(&kind, kind.words())),
            Some(name) if !is_type_name(&name) => return Err(no_type(&kind, "another word")),
            Some(_) => {}
        }
        let id = self.raw_member("id").filter(|id| !id.is_null());
        match id.filter(|id| id.string().is_none()) {
            Some(id) => {
                let place = below("id");
                Err(ReadError::structure(&id, place, "a string", id.words()))
            }
            None => Ok(()),
        }
    }
}

/// Whether a word has the form of a resource's type.
pub(super) fn is_type_name(word: &str) -> bool {
    word.len() <= 64
        && word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.bytes().all(|byte| byte.is_ascii_alphabetic())
}
