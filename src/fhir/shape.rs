//! Whether a resource has the form that its release gives it, as far as the definitions know it.
//!
//! What is not known is let be: other types, other members, `null`, empty arrays. What is known and
//! of another form would be read as nothing by paths, so it is told here instead.

use std::borrow::Cow;

use super::Release;
use super::definitions::{self, Definitions, Element, Primitive, TypeId};
use super::error::{ReadError, ReadErrorKind, Step, place};
use super::node::Node;
use super::tree::Kind;

/// So many errors of one resource are told.
const MOST: usize = 16;

impl<'d> Node<'d> {
    /// What is of another form than the release gives it: an object where an array belongs, a number
    /// where a string does, two types of a choice. At most 16 errors; none for a resource whose type
    /// the definitions do not have.
    #[must_use]
    pub fn check(&self, release: Release) -> Vec<ReadError> {
        let kind = self.resource_type().unwrap_or_default();
        let mut check = Check {
            all: definitions::get(),
            release,
            root: definitions::get().resource_name(&kind).unwrap_or_default(),
            steps: Vec::new(),
            errors: Vec::new(),
        };
        if let Some(id) = check.all.named(&kind, release) {
            check.object(self, id);
        }
        check.errors
    }
}

/// A step to where the check is; only what is told is looked up among the public names.
enum Way<'n> {
    Member(Cow<'n, str>),
    Index(usize),
}

struct Check<'n> {
    all: &'static Definitions,
    release: Release,
    root: &'static str,
    steps: Vec<Way<'n>>,
    errors: Vec<ReadError>,
}

impl<'n> Check<'n> {
    fn object(&mut self, node: &Node<'n>, id: TypeId) {
        let mut choices = Vec::new();
        for (name, member) in node.raw_members() {
            if self.errors.len() >= MOST {
                return;
            }
            if member.is_null() {
                continue;
            }
            self.steps.push(Way::Member(name.clone()));
            match name.strip_prefix('_') {
                Some(bare) => self.companion(&member, id, bare),
                None => {
                    if let Some((element, kind)) = self.all.in_json(id, &name, self.release) {
                        self.once(&member, element, &mut choices);
                        self.element(&member, element, kind);
                    }
                }
            }
            self.steps.pop();
        }
    }

    /// Refuses a second type of a choice.
    fn once(&mut self, member: &Node<'n>, element: &'static Element, seen: &mut Vec<&'static str>) {
        if !element.is_choice() {
            return;
        }
        if seen.contains(&element.name) {
            self.tell(
                member,
                ReadErrorKind::Duplicate,
                "one type of this choice",
                "two",
            );
        }
        seen.push(element.name);
    }

    /// A member and whether it is an array as it should be.
    fn element(&mut self, member: &Node<'n>, element: &Element, kind: TypeId) {
        let is_array = member.is_array();
        let is_empty = is_array && member.raw_children().next().is_none();
        match (element.many, is_array) {
            (true, false) => self.wrong(member, "an array"),
            (false, true) if !is_empty => self.wrong(member, "one value"),
            (_, true) => {
                for (number, one) in member.raw_children().enumerate() {
                    self.steps.push(Way::Index(number));
                    self.value(&one, kind);
                    self.steps.pop();
                }
            }
            (false, false) => self.value(member, kind),
        }
    }

    fn value(&mut self, node: &Node<'n>, kind: TypeId) {
        if self.errors.len() >= MOST {
            return;
        }
        let Some(cell) = node.value_cell().filter(|cell| cell.kind != Kind::Null) else {
            return;
        };
        let expected = match self.all.primitive(kind) {
            Some(Primitive::Boolean) => "true or false",
            Some(Primitive::Number) => "a number",
            Some(Primitive::Count) if cell.words() == "a string" => "a string",
            Some(Primitive::Count) => "a number",
            Some(Primitive::Text | Primitive::Time | Primitive::Moment) => "a string",
            None => "an object",
        };
        if cell.words() != expected {
            return self.wrong(node, expected);
        }
        if self.all.primitive(kind).is_some() {
            return;
        }
        if !self.all.is_resource(kind) {
            return self.object(node, kind);
        }
        if let Err(error) = node.typed(|| self.place()) {
            return self.errors.push(error);
        }
        let name = node.resource_type().unwrap_or_default();
        if let Some(id) = self.all.named(&name, self.release) {
            self.object(node, id);
        }
    }

    /// The half of a primitive element that holds its extensions.
    fn companion(&mut self, member: &Node<'n>, id: TypeId, name: &str) {
        let Some((element, kind)) = self.all.in_json(id, name, self.release) else {
            return;
        };
        if self.all.primitive(kind).is_none() {
            return;
        }
        let Some(shared) = self.all.named("Element", self.release) else {
            return;
        };
        self.element(member, element, shared);
    }

    fn place(&self) -> String {
        let steps = self.steps.iter().map(|way| match way {
            Way::Member(name) => Step::member(name),
            Way::Index(number) => Step::Index(*number),
        });
        place(self.root, &steps.collect::<Vec<_>>())
    }

    fn wrong(&mut self, node: &Node<'_>, expected: &'static str) {
        self.tell(node, ReadErrorKind::Structure, expected, node.words());
    }

    fn tell(
        &mut self,
        node: &Node<'_>,
        kind: ReadErrorKind,
        expected: &'static str,
        found: &'static str,
    ) {
        if self.errors.len() < MOST {
            let (place, offset) = (self.place(), node.span().start);
            self.errors.push(ReadError {
                kind,
                place,
                offset,
                expected,
                found,
            });
        }
    }
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
