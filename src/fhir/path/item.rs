//! What paths lead to: elements of resources and values made from them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use super::super::date_time::{DateTime, Form};
use super::super::decimal;
use super::super::definitions::{self, Primitive, TypeId};
use super::super::node::Node;

/// A value of a path, with the type that it has.
#[derive(Clone)]
pub struct Item<'d> {
    value: Value<'d>,
    pub(super) kind: TypeId,
}

#[derive(Clone)]
pub(super) enum Value<'d> {
    Element(Node<'d>),
    Text(Cow<'d, str>),
    Boolean(bool),
}

impl<'d> Item<'d> {
    pub(super) fn of_node(node: Node<'d>, kind: TypeId) -> Item<'d> {
        Item {
            value: Value::Element(node),
            kind,
        }
    }

    /// A value that a function or the path itself makes.
    pub(super) fn made(value: Value<'d>, kind: TypeId) -> Item<'d> {
        Item { value, kind }
    }

    /// The element, unless a function or the path itself made the value.
    #[must_use]
    pub fn node(&self) -> Option<Node<'d>> {
        match &self.value {
            Value::Element(node) => Some(*node),
            Value::Text(_) | Value::Boolean(_) => None,
        }
    }

    /// The text of a primitive value: numbers as they were sent, `true` or `false`.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'d, str>> {
        match &self.value {
            Value::Element(node) => node.text(),
            Value::Text(text) => Some(text.clone()),
            Value::Boolean(true) => Some(Cow::Borrowed("true")),
            Value::Boolean(false) => Some(Cow::Borrowed("false")),
        }
    }

    /// The truth of a boolean.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match &self.value {
            Value::Element(node) => node.boolean(),
            Value::Boolean(truth) => Some(*truth),
            Value::Text(_) => None,
        }
    }

    /// The name of its type, such as `dateTime` or `Patient.contact`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        definitions::get().name(self.kind)
    }

    /// How two values of one kind stand to each other; `None` where that is not known.
    pub(super) fn compare(&self, other: &Item<'_>) -> Option<Ordering> {
        let all = definitions::get();
        let kind = all.primitive(self.kind)?;
        if !kind.compares_with(all.primitive(other.kind)?) {
            return None;
        }
        let (mine, theirs) = (self.text()?, other.text()?);
        match kind {
            Primitive::Boolean => Some(self.boolean()?.cmp(&other.boolean()?)),
            Primitive::Number | Primitive::Count => {
                let both = decimal::is_number(&mine) && decimal::is_number(&theirs);
                both.then(|| decimal::compare(&mine, &theirs))
            }
            Primitive::Text => Some(mine.cmp(&theirs)),
            // Of one precision; finer parts that one of them lacks leave it open.
            Primitive::Time => (mine.len() == theirs.len()).then(|| mine.cmp(&theirs)),
            Primitive::Moment => {
                let read = |text| DateTime::parse(text, Form::DateTime).ok();
                read(&mine)?.compare(&read(&theirs)?)
            }
        }
    }

    /// Whether both are the same value: what `|` keeps once. Elements are compared member by
    /// member, in whatever order these are; `left` counts down what may still be looked at.
    pub(super) fn is_same(&self, other: &Item<'_>, left: &mut u32) -> bool {
        let all = definitions::get();
        let (mine, theirs) = (all.primitive(self.kind), all.primitive(other.kind));
        if mine.is_some() || theirs.is_some() {
            let bare = |item: &Item<'_>| item.text().is_none();
            return match (bare(self), bare(other)) {
                (false, false) => self.compare(other) == Some(Ordering::Equal),
                _ => same_nodes(self, other, left),
            };
        }
        same_nodes(self, other, left)
    }
}

fn same_nodes(a: &Item<'_>, b: &Item<'_>, left: &mut u32) -> bool {
    match (a.node(), b.node()) {
        (Some(a), Some(b)) => a.is_same(&b, left),
        _ => false,
    }
}

impl fmt::Debug for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Item({})", self.type_name())
    }
}
