//! What is wrong with a body: where, what was expected and what was found, never a value.

use std::fmt;

use super::node::Node;

/// Of what kind a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadErrorKind {
    /// It is no JSON.
    Syntax,
    /// It ends too early.
    Cut,
    /// A member is there twice.
    Duplicate,
    /// It is JSON, but not of the form that FHIR gives it.
    Structure,
    /// It is larger, deeper or of more parts than is read.
    Limit,
}

/// Why a body, an entry or an element could not be read.
///
/// The place holds names of elements that the specification has; any other name is shown as `?`.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} (byte {offset}): expected {expected}, found {found}", Place(place))]
pub struct ReadError {
    /// Of what kind it is.
    pub kind: ReadErrorKind,
    /// The path to it, such as `Bundle.entry[3].resource.name[0]`; empty for the body as a whole.
    pub place: String,
    /// Where it is in the body, in bytes from its start.
    pub offset: usize,
    /// What would have been right.
    pub expected: &'static str,
    /// What was there.
    pub found: &'static str,
}

impl ReadError {
    /// The error that what stands at `node`, whose path is `place`, has not its form.
    pub(super) fn structure(
        node: &Node<'_>,
        place: impl Into<String>,
        expected: &'static str,
        found: &'static str,
    ) -> ReadError {
        ReadError {
            kind: ReadErrorKind::Structure,
            place: place.into(),
            offset: node.span().start,
            expected,
            found,
        }
    }
}

impl fmt::Debug for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReadError({:?}: {self})", self.kind)
    }
}

struct Place<'p>(&'p str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "body" } else { self.0 })
    }
}

/// One step to a place: a member's name or a place in an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The member with this name; `None` for a name that is not the specification's.
    Member(Option<String>),
    /// The element at this place, from 0.
    Index(usize),
}

impl Step {
    /// The step to a member, its name only if the specification knows it.
    pub(super) fn member(name: &str) -> Step {
        let known = super::definitions::get().is_public(name);
        Step::Member(known.then(|| name.to_owned()))
    }
}

/// Writes the steps behind the name of the resource's type, if that is known.
pub(super) fn place(resource: &str, steps: &[Step]) -> String {
    let mut place = resource.to_owned();
    for step in steps {
        match step {
            Step::Index(number) => place.push_str(&format!("[{number}]")),
            Step::Member(name) => {
                if !place.is_empty() {
                    place.push('.');
                }
                place.push_str(name.as_deref().unwrap_or("?"));
            }
        }
    }
    place
}
