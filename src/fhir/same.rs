//! Whether two elements hold the same.

use super::decimal;
use super::node::Node;
use super::tree::{Cell, Kind};

impl Node<'_> {
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
        let (mine, theirs) = (self.raw_value(), other.raw_value());
        match (mine.map(|cell| cell.kind), theirs.map(|cell| cell.kind)) {
            (Some(Kind::Object), Some(Kind::Object)) => {
                let count = other.raw_members().count();
                self.raw_members().count() == count
                    && self.raw_members().all(|(name, one)| {
                        let found = other.raw_member(&name);
                        found.is_some_and(|found| one.is_same(&found, left))
                    })
            }
            (Some(Kind::Array), Some(Kind::Array)) => {
                let (mut a, mut b) = (self.raw_children(), other.raw_children());
                loop {
                    match (a.next(), b.next()) {
                        (None, None) => return true,
                        (Some(a), Some(b)) if a.is_same(&b, left) => {}
                        _ => return false,
                    }
                }
            }
            (Some(Kind::Number), Some(Kind::Number)) => {
                let numbers = self.number().zip(other.number());
                numbers.is_some_and(|(a, b)| decimal::compare(a, b).is_eq())
            }
            (Some(_), Some(_)) => self.text() == other.text(),
            (None, None) => true,
            _ => false,
        }
    }

    /// The cell of the value, or of the other half where only that was sent.
    fn raw_value(&self) -> Option<Cell> {
        self.place().and_then(|at| self.document.cell(at))
    }
}
