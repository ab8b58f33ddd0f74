//! What resources are made of: the elements of each type, what they hold and whether they repeat.
//!
//! The files beside this one hold the facts. A line at the margin opens a type: its name, `<` and
//! the type whose elements it shares. Each indented line is an element: its name (`[x]` where the
//! type is part of the name in JSON), its types, `*` where it repeats. Releases at the end of a line
//! restrict it to them. `open` stands for all types that `Extension.value[x]` may have.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::release::Release;

mod load;
mod primitive;
mod query;

pub(super) use primitive::Primitive;

/// A type, by its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TypeId(u16);

impl TypeId {
    /// `boolean`, the first of the primitive types, which open the table.
    pub(super) const BOOLEAN: TypeId = TypeId(0);
}

/// One element of a type, in the releases that have it so.
#[derive(Debug)]
pub(super) struct Element {
    /// Its name without `[x]`.
    pub(super) name: &'static str,
    /// What it may hold; one type unless it is a choice.
    pub(super) types: Vec<TypeId>,
    /// Of a choice (`value[x]`), the names in JSON, in the order of `types`.
    pub(super) variants: Vec<String>,
    /// Whether it repeats, and so is an array in JSON.
    pub(super) many: bool,
    releases: u8,
}

impl Element {
    /// Whether the type is part of its name in JSON.
    pub(super) fn is_choice(&self) -> bool {
        !self.variants.is_empty()
    }

    /// What it holds where its name in JSON is `name`.
    fn variant(&self, name: &str) -> Option<TypeId> {
        if self.variants.is_empty() {
            return (self.name == name).then(|| self.types.first().copied())?;
        }
        let place = self.variants.iter().position(|one| one == name)?;
        self.types.get(place).copied()
    }
}

#[derive(Debug)]
struct Type {
    name: &'static str,
    base: Option<TypeId>,
    releases: u8,
    primitive: Option<Primitive>,
    elements: Vec<Element>,
}

/// All types of all releases.
pub(super) struct Definitions {
    types: Vec<Type>,
    by_name: HashMap<&'static str, TypeId>,
}

static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(|| load::all().0);

/// The table.
pub(super) fn get() -> &'static Definitions {
    &DEFINITIONS
}

impl Definitions {
    /// The type of this name, if the release has it.
    pub(super) fn named(&self, name: &str, release: Release) -> Option<TypeId> {
        let id = *self.by_name.get(name)?;
        (self.of(id)?.releases & bit(release) != 0).then_some(id)
    }

    /// The type's name, such as `Patient.contact`.
    pub(super) fn name(&self, id: TypeId) -> &'static str {
        self.of(id).map_or("", |found| found.name)
    }

    /// What a value of the type is in JSON; `None` for an object.
    pub(super) fn primitive(&self, id: TypeId) -> Option<Primitive> {
        self.of(id)?.primitive
    }

    /// Whether it is a resource, of any type.
    pub(super) fn is_resource(&self, id: TypeId) -> bool {
        self.lineage(id).any(|one| self.name(one) == "Resource")
    }

    /// The name of a resource's type as the table has it, if any release has such a type.
    pub(super) fn resource_name(&self, name: &str) -> Option<&'static str> {
        let id = *self.by_name.get(name)?;
        let is_abstract = name == "Resource" || name == "DomainResource";
        (self.is_resource(id) && !is_abstract).then(|| self.name(id))
    }

    /// The element that has this name in JSON, and what it then holds.
    pub(super) fn in_json(
        &self,
        id: TypeId,
        name: &str,
        release: Release,
    ) -> Option<(&Element, TypeId)> {
        self.elements(id, release)
            .find_map(|one| Some((one, one.variant(name)?)))
    }

    /// All elements that the type has in the release, its own first.
    pub(super) fn elements(
        &self,
        id: TypeId,
        release: Release,
    ) -> impl Iterator<Item = &Element> + Clone {
        self.lineage(id)
            .filter_map(|one| self.of(one))
            .flat_map(|one| one.elements.iter())
            .filter(move |one| one.releases & bit(release) != 0)
    }

    /// Whether any type in any release has an element that is so called in JSON: such a name says
    /// nothing about a person.
    pub(super) fn is_public(&self, name: &str) -> bool {
        let bare = name.strip_prefix('_').unwrap_or(name);
        let mut all = self.types.iter().flat_map(|one| one.elements.iter());
        all.any(|one| one.variant(bare).is_some())
    }

    fn of(&self, id: TypeId) -> Option<&Type> {
        self.types.get(usize::from(id.0))
    }

    fn lineage(&self, id: TypeId) -> impl Iterator<Item = TypeId> + Clone {
        std::iter::successors(Some(id), |one| self.of(*one)?.base)
    }
}

fn bit(release: Release) -> u8 {
    match release {
        Release::R4 => 1,
        Release::R4B => 2,
        Release::R5 => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_files_is_understood() {
        assert_eq!(load::all().1, Vec::<String>::new());
    }

    #[test]
    fn the_table_opens_with_boolean() {
        assert_eq!(get().named("boolean", Release::R4), Some(TypeId::BOOLEAN));
    }

    #[test]
    fn a_choice_is_found_by_its_names_in_json() {
        let all = get();
        let id = all.named("Observation", Release::R4).unwrap();
        let (element, kind) = all.in_json(id, "valueDateTime", Release::R4).unwrap();
        assert_eq!((element.name, all.name(kind)), ("value", "dateTime"));
        assert!(all.in_json(id, "value", Release::R4).is_none());
        assert!(all.in_json(id, "valueAttachment", Release::R4).is_none());
        assert!(all.in_json(id, "valueAttachment", Release::R5).is_some());
    }

    #[test]
    fn only_names_of_elements_are_public() {
        for name in ["birthDate", "_birthDate", "valueQuantity", "resourceType"] {
            assert!(get().is_public(name), "{name}");
        }
        for name in ["value[x]", "Example", "", "_", "Patient"] {
            assert!(!get().is_public(name), "{name}");
        }
    }
}
