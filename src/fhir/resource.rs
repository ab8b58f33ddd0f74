//! A resource that careloop sends, in the form that its reader asks for.

use std::fmt;

use super::model::{self, Element, Way};
use super::{Node, ReadError, Release};

/// A resource with nothing in it that its release has not.
pub struct Resource {
    element: Element,
    release: Release,
}

impl Resource {
    /// Takes a resource over from JSON that careloop wrote.
    ///
    /// # Errors
    /// The first place where it has what the release has not, or has it in another form; also a
    /// narrative that is no XHTML, and characters that XML has not.
    pub fn of(node: &Node<'_>, release: Release) -> Result<Resource, ReadError> {
        let element = model::of_node(node, release)?;
        Ok(Resource { element, release })
    }

    /// The resource as `application/fhir+json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::new();
        model::write_json(&self.element, &mut Way::new(self.release), &mut json);
        json
    }

    /// The resource as `application/fhir+xml`, its elements in the order of the release.
    #[must_use]
    pub fn to_xml(&self) -> String {
        model::to_xml(&self.element, self.release)
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Resource({}, {} members)",
            self.release,
            self.element.len()
        )
    }
}
