//! Resources in fhirbolt's element model, and what its tables say of each element in each release.
//!
//! Of fhirbolt this uses the model (`fhirbolt-element`) and the tables (`fhirbolt-shared`), not its
//! readers and writers; ARCHITECTURE.md says why. An element is a map of names to values. A primitive
//! one has its text as `value`; `id` of an element and `url` of an extension, which are attributes in
//! XML, are values without an element around them.

use fhirbolt_shared::FhirReleases;
use fhirbolt_shared::path::ElementPath;
use serde_json::value::RawValue;

use super::Release;

pub(super) use fhirbolt_element::Primitive;
mod json;
mod of_node;
mod to_xml;

pub(super) use json::write as write_json;
pub(super) use of_node::resource as of_node;
pub(super) use to_xml::document as to_xml;

/// An element. The number in the type is looked at by fhirbolt's readers and writers alone; here
/// [`Way`] knows the release.
pub(super) type Element = fhirbolt_element::Element<{ FhirReleases::R5 }>;

/// What an element has under a name: one element, several, or a value without an element around it.
pub(super) type Value = fhirbolt_element::Value<{ FhirReleases::R5 }>;

/// What fhirbolt knows of resources whose type it does not know.
const IN_ANY: &[&str] = &[
    "id",
    "meta",
    "implicitRules",
    "language",
    "text",
    "contained",
    "extension",
    "modifierExtension",
];

/// Where in a resource something stands, and what the tables of a release say of it.
pub(super) struct Way {
    path: ElementPath,
    /// How many levels it is below the last element that the release has: a path of names that
    /// nobody knows would take longer with every level.
    strange: usize,
}

impl Way {
    /// Before the resource.
    pub(super) fn new(release: Release) -> Way {
        let release = match release {
            Release::R4 => FhirReleases::R4,
            Release::R4B => FhirReleases::R4B,
            Release::R5 => FhirReleases::R5,
        };
        Way {
            path: ElementPath::new(release),
            strange: 0,
        }
    }

    /// Goes to an element of this name, or into a resource of this type.
    pub(super) fn enter(&mut self, name: &str) {
        let is_type = self.path.is_empty() || self.path.current_element_is_resource();
        if self.strange > 0 || !is_type && !self.has(name) && !IN_ANY.contains(&name) {
            self.strange += 1;
        } else {
            self.path.push(name);
        }
    }

    /// Goes back to where it came from.
    pub(super) fn leave(&mut self) {
        match self.strange.checked_sub(1) {
            Some(strange) => self.strange = strange,
            None => self.path.pop(),
        }
    }

    /// Whether a value stands here, and no elements but extensions.
    pub(super) fn is_primitive(&self) -> bool {
        self.strange == 0 && self.path.current_element_is_primitive()
    }

    /// Whether the element may be there several times.
    pub(super) fn is_array(&self) -> bool {
        self.strange == 0 && self.path.current_element_is_sequence()
    }

    /// Whether a resource stands here, such as `contained`.
    pub(super) fn is_resource(&self) -> bool {
        self.strange == 0 && self.path.current_element_is_resource()
    }

    /// Whether it is an extension.
    pub(super) fn is_extension(&self) -> bool {
        self.strange == 0 && self.path.current_element_is_extension()
    }

    /// Whether the release has the type of resource or the element at all.
    pub(super) fn is_known(&self) -> bool {
        self.strange == 0 && self.path.children().is_some()
    }

    /// Whether an element of this name may stand below.
    pub(super) fn has(&self, name: &str) -> bool {
        let names = self.path.children().filter(|_| self.strange == 0);
        names.is_some_and(|names| names.contains(name))
    }

    /// The place of the element of this name among its neighbours.
    fn order(&self, name: &str) -> usize {
        self.path.position_of_child(name)
    }

    fn is_boolean(&self) -> bool {
        self.strange == 0 && self.path.current_element_is_boolean()
    }

    fn is_number(&self) -> bool {
        self.strange == 0
            && (self.path.current_element_is_decimal()
                || self.path.current_element_is_integer()
                || self.path.current_element_is_unsigned_integer()
                || self.path.current_element_is_positive_integer())
    }

    /// A text as the value that stands here: as a boolean or a number where it is one and should be
    /// one, with all its digits, else as the text that it is.
    pub(super) fn typed(&self, text: String) -> Primitive {
        match text.as_str() {
            "true" if self.is_boolean() => Primitive::Bool(true),
            "false" if self.is_boolean() => Primitive::Bool(false),
            number if self.is_number() && is_number(number) => Primitive::Decimal(text),
            _ => Primitive::String(text),
        }
    }
}

/// Whether it is a number as JSON writes them.
fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| raw.get() == text)
}

/// The type of a resource.
fn resource_type(element: &Element) -> Option<&str> {
    match element.get("resourceType")? {
        Value::Primitive(Primitive::String(name)) => Some(name),
        Value::Primitive(_) | Value::Element(_) | Value::Sequence(_) => None,
    }
}

/// The elements of a value.
fn elements(value: &Value) -> &[Element] {
    match value {
        Value::Element(one) => std::slice::from_ref(one),
        Value::Sequence(all) => all,
        Value::Primitive(_) => &[],
    }
}

/// Puts an element under a name: beside those that have it, if there are any.
///
/// # Errors
/// What stands there is a value without an element.
pub(super) fn add(element: &mut Element, name: &str, one: Element, many: bool) -> Result<(), ()> {
    match element.get_mut(name) {
        None if many => drop(element.insert(name.to_owned(), Value::Sequence(vec![one]))),
        None => drop(element.insert(name.to_owned(), Value::Element(one))),
        Some(Value::Sequence(all)) => all.push(one),
        Some(Value::Element(first)) => {
            let both = vec![std::mem::take(first), one];
            element.insert(name.to_owned(), Value::Sequence(both));
        }
        Some(Value::Primitive(_)) => return Err(()),
    }
    Ok(())
}
