//! Whether two elements hold the same.

use super::decimal;
use super::node::Node;
use super::tree::{Cell, Kind};

impl<'d> Node<'d> {
    /// Whether it has a member whose name, without the underscore, fits.
    pub(super) fn has(&self, fits: impl Fn(&str) -> bool) -> bool {
        let Some(at) = self.value else { return false };
        let (value, beside) = self.document.find(at, fits);
        value.is_some() || beside.is_some()
    }

    /// Whether both hold the same: the same members in whatever order, the same elements in the same
    /// order. `left` counts down what may still be looked at; at its end nothing is the same.
    pub(super) fn is_same(&self, other: &Node<'_>, left: &mut u32) -> bool {
        *left = left.saturating_sub(1);
        if *left == 0 {
            return false;
        }
        let (Some((mine, cell)), Some((theirs, other_cell))) = (self.raw(), other.raw()) else {
            return false;
        };
        match (cell.kind, other_cell.kind) {
            (Kind::Object, Kind::Object) => {
                let count = theirs.raw_members().count();
                mine.raw_members().count() == count
                    && mine.raw_members().all(|(name, one)| {
                        let found = theirs.raw_member(&name);
                        found.is_some_and(|found| one.is_same(&found, left))
                    })
            }
            (Kind::Array, Kind::Array) => {
                let (mut a, mut b) = (mine.raw_children(), theirs.raw_children());
                loop {
                    match (a.next(), b.next()) {
                        (None, None) => return true,
                        (Some(a), Some(b)) if a.is_same(&b, left) => {}
                        _ => return false,
                    }
                }
            }
            (Kind::Number, Kind::Number) => {
                let numbers = mine.number().zip(theirs.number());
                numbers.is_some_and(|(a, b)| decimal::compare(a, b).is_eq())
            }
            _ => cell.words() == other_cell.words() && mine.text() == theirs.text(),
        }
    }

    /// What was sent, the value or else the other half, as JSON has it.
    fn raw(&self) -> Option<(Node<'d>, Cell)> {
        let at = self.place()?;
        Some((Node::at(self.document, at), self.document.cell(at)?))
    }
}
