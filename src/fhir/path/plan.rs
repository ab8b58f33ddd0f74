//! A path as it is carried out.

use super::super::definitions::{Element, TypeId};
use super::functions::TextFunction;
use super::syntax::Comparison;

/// One step of a compiled path.
#[derive(Clone, PartialEq)]
pub(super) enum Plan {
    /// What the path starts at; in criteria the value that is judged.
    Start,
    /// A value that is written down, with its type.
    Constant(Constant, TypeId),
    /// The elements of a name, for each type that has it.
    Member {
        of: Box<Plan>,
        slots: Vec<Slot>,
        name: &'static str,
    },
    Index {
        of: Box<Plan>,
        number: usize,
    },
    Last(Box<Plan>),
    Where {
        of: Box<Plan>,
        criteria: Box<Plan>,
    },
    OfType {
        of: Box<Plan>,
        kind: TypeId,
    },
    Extension {
        of: Box<Plan>,
        url: String,
        kind: TypeId,
    },
    /// Whether there is anything.
    Exists(Box<Plan>),
    Not(Box<Plan>),
    Union(Box<Plan>, Box<Plan>),
    /// A comparison, which is not known where a side is empty.
    Compare {
        comparison: Comparison,
        left: Box<Plan>,
        right: Box<Plan>,
    },
    /// `and` or `or`, of three values.
    Logic {
        is_and: bool,
        left: Box<Plan>,
        right: Box<Plan>,
    },
    Text {
        of: Box<Plan>,
        function: TextFunction,
    },
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Constant {
    Text(String),
    Boolean(bool),
}

/// The element that a name is in one type.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) of: TypeId,
    pub(super) element: &'static Element,
}

impl PartialEq for Slot {
    fn eq(&self, other: &Slot) -> bool {
        self.of == other.of && std::ptr::eq(self.element, other.element)
    }
}
