//! Namespaces: what a prefix stands for where it stands (Namespaces in XML 1.0, 6).

use super::tag::Attribute;

/// A namespace, as far as FHIR has a use for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// `http://hl7.org/fhir`
    Fhir,
    /// `http://www.w3.org/1999/xhtml`
    Xhtml,
    /// Any other, or none.
    Other,
}

/// How many declarations may hold at one place.
const MAX_DECLARED: usize = 64;

/// The declarations that hold, those of the innermost element last.
#[derive(Default)]
pub(super) struct Spaces<'t>(Vec<(&'t str, Space)>);

impl<'t> Spaces<'t> {
    /// Adds what the attributes of an element declare; false where that is too much.
    pub(super) fn declare(&mut self, attributes: &[Attribute<'t>]) -> bool {
        let declared = attributes
            .iter()
            .filter_map(|one| Some((one.declares()?, of(&one.text().unwrap_or_default()))));
        self.0.extend(declared);
        self.0.len() <= MAX_DECLARED
    }

    /// How many there are, for [`Spaces::back_to`] when the element ends.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Leaves only the first so many.
    pub(super) fn back_to(&mut self, count: usize) {
        self.0.truncate(count);
    }

    /// What the prefix stands for; the empty one for names without.
    pub(super) fn of(&self, prefix: &str) -> Space {
        let mut declared = self.0.iter().rev();
        let found = declared.find(|(name, _)| *name == prefix);
        found.map_or(Space::Other, |(_, space)| *space)
    }
}

fn of(address: &str) -> Space {
    match address {
        "http://hl7.org/fhir" => Space::Fhir,
        "http://www.w3.org/1999/xhtml" => Space::Xhtml,
        _ => Space::Other,
    }
}
