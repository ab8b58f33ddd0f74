//! Elements from tags, by what the release has; a Bundle's entries one after the other.

use super::super::error::ReadErrorKind;
use super::super::model::{self, Element, Primitive, Value, Way};
use super::super::{MAX_BYTES, MAX_ELEMENTS, ReadError, Release};
use super::scan::{Outcome, Scanner};
use super::spaces::Space;
use super::tag::Tag;

/// Reads a whole body into JSON.
pub(super) fn body(text: &str, release: Release) -> Result<String, ReadError> {
    let builder = Builder {
        scanner: Scanner::new(text),
        way: Way::new(release),
        left: MAX_ELEMENTS,
        entries: String::new(),
    };
    builder.body().map_err(|error| *error)
}

struct Builder<'t> {
    scanner: Scanner<'t>,
    way: Way,
    /// How many more elements the resource or the entry may have.
    left: usize,
    /// The entries of a Bundle that were read, as JSON with commas between.
    entries: String,
}

impl<'t> Builder<'t> {
    fn body(mut self) -> Outcome<String> {
        let root = self.scanner.root()?;
        let name = self.fhir(&root)?;
        let mut element = typed(name);
        self.way.enter(name);
        while let Some(child) = self.below(&root)? {
            if name == "Bundle" && child.local() == "entry" {
                self.entry(&child)?;
            } else {
                self.child(&child, &mut element)?;
            }
        }
        self.way.leave();
        self.scanner.end()?;
        let mut json = String::new();
        model::write_json(&element, &mut self.way, &mut json);
        drop(element);
        if !self.entries.is_empty() && json.pop() == Some('}') {
            json.push_str(",\"entry\":[");
            json.push_str(&self.entries);
            json.push_str("]}");
        }
        Ok(json)
    }

    /// One entry of the Bundle: its elements are gone again when it is written, so that a page takes
    /// no more memory than its largest entry needs.
    fn entry(&mut self, tag: &Tag<'t>) -> Outcome<()> {
        let name = self.fhir(tag)?;
        let left = std::mem::replace(&mut self.left, MAX_ELEMENTS);
        self.way.enter(name);
        let entry = self.element(tag)?;
        if self.scanner.entries > 0 {
            self.entries.push(',');
        }
        model::write_json(&entry, &mut self.way, &mut self.entries);
        self.way.leave();
        self.left = left;
        self.scanner.entries += 1;
        if self.entries.len() > MAX_BYTES {
            return Err(self.scanner.limit("a body of at most 32 MiB in JSON"));
        }
        Ok(())
    }

    /// An element below another one, put under its name.
    fn child(&mut self, tag: &Tag<'t>, parent: &mut Element) -> Outcome<()> {
        let name = self.fhir(tag)?;
        self.way.enter(name);
        let is_array = self.way.is_array();
        let all = match self.way.is_resource() {
            true => self.resources(tag)?,
            false => vec![self.element(tag)?],
        };
        self.way.leave();
        for one in all {
            if model::add(parent, name, one, is_array).is_err() {
                let (expected, found) = ("an element once", "it twice");
                return Err(self
                    .scanner
                    .error(ReadErrorKind::Duplicate, expected, found));
            }
        }
        Ok(())
    }

    /// The resource in an element that holds one; without one an empty element, which is told of
    /// where it is read.
    fn resources(&mut self, tag: &Tag<'t>) -> Outcome<Vec<Element>> {
        let mut all = Vec::new();
        while let Some(child) = self.below(tag)? {
            let name = self.fhir(&child)?;
            let mut element = typed(name);
            self.way.enter(name);
            while let Some(below) = self.below(&child)? {
                self.child(&below, &mut element)?;
            }
            self.way.leave();
            all.push(element);
        }
        if all.is_empty() {
            all.push(Element::new());
        }
        Ok(all)
    }

    fn element(&mut self, tag: &Tag<'t>) -> Outcome<Element> {
        if tag.space == Space::Xhtml {
            return self.narrative(tag);
        }
        let mut element = Element::new();
        for name in ["id", "url", "value"] {
            if name == "url" && !self.way.is_extension() {
                continue;
            }
            if let Some(text) = self.attribute(tag, name)? {
                let value = match name {
                    "value" => self.way.typed(text),
                    _ => Primitive::String(text),
                };
                element.insert(name.to_owned(), Value::Primitive(value));
            }
        }
        let is_primitive = self.way.is_primitive();
        while let Some(child) = self.below(tag)? {
            if is_primitive && child.local() != "extension" {
                self.scanner.whole(&child)?;
            } else {
                self.child(&child, &mut element)?;
            }
        }
        Ok(element)
    }

    /// A `div` as it was written, with the namespace that holds where it stands.
    fn narrative(&mut self, tag: &Tag<'t>) -> Outcome<Element> {
        let mut div = self.scanner.whole(tag)?.to_owned();
        if !tag.declares_itself() {
            let colon = if tag.prefix().is_empty() { "" } else { ":" };
            let prefix = tag.prefix();
            let space = format!(" xmlns{colon}{prefix}=\"http://www.w3.org/1999/xhtml\"");
            div.insert_str(1 + tag.name.len(), &space);
        }
        if div.contains('\r') {
            div = div.replace("\r\n", "\n").replace('\r', "\n");
        }
        let value = Value::Primitive(Primitive::String(div));
        Ok(Element::from([("value", value)]))
    }

    /// The next element below this one.
    fn below(&mut self, tag: &Tag<'t>) -> Outcome<Option<Tag<'t>>> {
        if tag.is_empty {
            return Ok(None);
        }
        let child = self.scanner.child()?;
        if child.is_some() {
            let left = self.left.checked_sub(1);
            self.left =
                left.ok_or_else(|| self.scanner.limit("at most 200,000 elements in a resource"))?;
        }
        Ok(child)
    }

    fn attribute(&self, tag: &Tag<'t>, name: &str) -> Outcome<Option<String>> {
        let Some(attribute) = tag.attribute(name) else {
            return Ok(None);
        };
        let text = attribute.text().ok_or_else(|| {
            let mut error = self.scanner.error(
                ReadErrorKind::Syntax,
                "characters and entities that XML has",
                "a reference to another one",
            );
            error.offset = attribute.at;
            error
        });
        Ok(Some(text?.into_owned()))
    }

    /// The name of an element that may stand in a resource.
    fn fhir(&self, tag: &Tag<'t>) -> Outcome<&'t str> {
        let name = tag.local();
        let is_plain = name
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || one == '_');
        let error = |expected, found| {
            let mut error = self.scanner.wrong(expected, found);
            error.offset = tag.at;
            Err(error)
        };
        match tag.space {
            Space::Fhir if is_plain => Ok(name),
            Space::Fhir => error("a name that FHIR has", "another one"),
            Space::Xhtml if name == "div" => Ok(name),
            Space::Xhtml | Space::Other => {
                error("the namespace http://hl7.org/fhir", "another one or none")
            }
        }
    }
}

/// A resource of this type.
fn typed(name: &str) -> Element {
    let name = Value::Primitive(Primitive::String(name.to_owned()));
    Element::from([("resourceType", name)])
}
