//! A resource that was read as JSON in the element model: only what its release has, and as it has it.

use std::borrow::Cow;

use super::super::error::{ReadErrorKind, Step, place};
use super::super::{Node, ReadError, Release, definitions, xml};
use super::{Element, Primitive, Value, Way, add};

/// The resource in the model.
///
/// # Errors
/// The first place that is not as the release has it, or that XML cannot hold.
pub(in crate::fhir) fn resource(node: &Node<'_>, release: Release) -> Result<Element, ReadError> {
    if let Some(error) = node.check(release).into_iter().next() {
        return Err(error);
    }
    let kind = node.resource_type().unwrap_or_default();
    let root = definitions::get().resource_name(&kind);
    let mut reading = Reading {
        way: Way::new(release),
        at: Vec::new(),
        root: root.unwrap_or_default(),
    };
    reading.resource(node)
}

struct Reading<'n> {
    way: Way,
    at: Vec<At<'n>>,
    root: &'static str,
}

/// A step to where it is; its name is looked at when there is an error.
enum At<'n> {
    Member(Cow<'n, str>),
    Index(usize),
}

impl<'n> Reading<'n> {
    fn resource(&mut self, node: &Node<'n>) -> Result<Element, ReadError> {
        let kind = node.resource_type().unwrap_or_default().into_owned();
        self.way.enter(&kind);
        if !self.way.is_known() {
            return Err(self.wrong(node, "a type of resource that the release has"));
        }
        let mut element = Element::new();
        let value = Value::Primitive(Primitive::String(kind));
        element.insert("resourceType".to_owned(), value);
        self.members(node, &mut element, true)?;
        self.way.leave();
        Ok(element)
    }

    fn members(
        &mut self,
        node: &Node<'n>,
        element: &mut Element,
        is_resource: bool,
    ) -> Result<(), ReadError> {
        for (name, member) in node.raw_members() {
            self.at.push(At::Member(name.clone()));
            let name = name.strip_prefix('_').unwrap_or(&name);
            if element.contains_key(name) {
                self.at.pop();
                continue;
            }
            if !self.way.has(name) {
                return Err(self.wrong(&member, "an element that the release has"));
            }
            let is_attribute =
                !is_resource && name == "id" || self.way.is_extension() && name == "url";
            match node.text_of(name).filter(|_| is_attribute) {
                Some(text) => {
                    let text = self.text(&member, text)?;
                    element.insert(name.to_owned(), Value::Primitive(text));
                }
                None => self.below(node, name, element)?,
            }
            self.at.pop();
        }
        Ok(())
    }

    /// The elements of this name.
    fn below(
        &mut self,
        node: &Node<'n>,
        name: &str,
        element: &mut Element,
    ) -> Result<(), ReadError> {
        self.way.enter(name);
        let is_array = self.way.is_array();
        for (number, one) in node.members(name).enumerate() {
            if !is_array && number > 0 {
                return Err(self.wrong(&one, "one value"));
            }
            if is_array {
                self.at.push(At::Index(number));
            }
            let read = if self.way.is_resource() {
                self.resource(&one)?
            } else if self.way.is_primitive() {
                self.primitive(&one, name)?
            } else if one.is_object() {
                let mut read = Element::new();
                self.members(&one, &mut read, false)?;
                read
            } else {
                return Err(self.wrong(&one, "an object"));
            };
            if is_array {
                self.at.pop();
            }
            if add(element, name, read, is_array).is_err() {
                return Err(self.wrong(&one, "a member once"));
            }
        }
        self.way.leave();
        Ok(())
    }

    fn primitive(&mut self, node: &Node<'n>, name: &str) -> Result<Element, ReadError> {
        let mut element = Element::new();
        if node.is_object() {
            return Err(self.wrong(node, "a value"));
        }
        if let Some(id) = node.text_of("id") {
            let id = self.text(node, id)?;
            element.insert("id".to_owned(), Value::Primitive(id));
        }
        if let Some(text) = node.text() {
            let value = if self.way.is_boolean() {
                let truth = node.boolean();
                Primitive::Bool(truth.ok_or_else(|| self.wrong(node, "true or false"))?)
            } else if self.way.is_number() {
                let digits = node.number();
                let digits = digits.ok_or_else(|| self.wrong(node, "a number"))?;
                Primitive::Decimal(digits.to_owned())
            } else if node.string().is_some() {
                self.text(node, text)?
            } else {
                return Err(self.wrong(node, "a string"));
            };
            if let ("div", Primitive::String(div)) = (name, &value)
                && !xml::is_narrative(div)
            {
                return Err(self.wrong(node, "a narrative that is XHTML"));
            }
            element.insert("value".to_owned(), Value::Primitive(value));
        }
        self.below(node, "extension", &mut element)?;
        Ok(element)
    }

    fn text(&self, node: &Node<'_>, text: Cow<'_, str>) -> Result<Primitive, ReadError> {
        if !text.chars().all(xml::is_character) {
            return Err(self.wrong(node, "characters that XML has"));
        }
        Ok(Primitive::String(text.into_owned()))
    }

    fn wrong(&self, node: &Node<'_>, expected: &'static str) -> ReadError {
        let steps = self.at.iter().map(|at| match at {
            At::Member(name) => Step::member(name),
            At::Index(number) => Step::Index(*number),
        });
        ReadError {
            kind: ReadErrorKind::Structure,
            place: place(self.root, &steps.collect::<Vec<_>>()),
            offset: node.span().start,
            expected,
            found: "something else",
        }
    }
}
