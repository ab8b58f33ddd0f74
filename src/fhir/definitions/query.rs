//! What paths ask of the table.

use super::{Definitions, Element, Primitive, Release, Type, TypeId, bit};

impl Definitions {
    /// Whether it is `ancestor` or made from it.
    pub(in crate::fhir) fn is_a(&self, id: TypeId, ancestor: TypeId) -> bool {
        self.lineage(id).any(|one| one == ancestor)
    }

    /// The element of this name, without `[x]`, that the type has in the release.
    pub(in crate::fhir) fn element(
        &self,
        id: TypeId,
        name: &str,
        release: Release,
    ) -> Option<&Element> {
        self.elements(id, release).find(|one| one.name == name)
    }

    /// The type of resources of this name, if the release has it.
    pub(in crate::fhir) fn resource(&self, name: &str, release: Release) -> Option<TypeId> {
        self.resource_name(name)?;
        self.named(name, release)
    }

    /// The names of all types of resources that the release has, for "did you mean".
    pub(in crate::fhir) fn resource_names(
        &self,
        release: Release,
    ) -> impl Iterator<Item = &'static str> {
        self.type_names(release)
            .filter_map(|name| self.resource_name(name))
    }

    /// The names of all types that the release has, for "did you mean".
    pub(in crate::fhir) fn type_names(
        &self,
        release: Release,
    ) -> impl Iterator<Item = &'static str> {
        let has = move |one: &&Type| one.releases & bit(release) != 0;
        self.types.iter().filter(has).map(|one| one.name)
    }
}

impl Primitive {
    /// Whether values of the two kinds can be compared.
    pub(in crate::fhir) fn compares_with(self, other: Primitive) -> bool {
        let whole = |kind| {
            if kind == Primitive::Count {
                Primitive::Number
            } else {
                kind
            }
        };
        whole(self) == whole(other)
    }
}

#[cfg(test)]
mod tests {
    use super::super::get;
    use super::*;

    fn holds(kind: &str, element: &str, release: Release) -> String {
        let all = get();
        let id = all.named(kind, release).unwrap();
        let Some(found) = all.element(id, element, release) else {
            return "nothing".to_owned();
        };
        let names: Vec<&str> = found.types.iter().map(|one| all.name(*one)).collect();
        format!("{}{}", names.join("|"), if found.many { " *" } else { "" })
    }

    const DIFFERENT: &[(&str, &str, &str, &str, &str)] = &[
        (
            "Patient",
            "name",
            "HumanName *",
            "HumanName *",
            "HumanName *",
        ),
        (
            "Patient",
            "deceased",
            "boolean|dateTime",
            "boolean|dateTime",
            "boolean|dateTime",
        ),
        (
            "Encounter",
            "class",
            "Coding",
            "Coding",
            "CodeableConcept *",
        ),
        ("Encounter", "period", "Period", "Period", "nothing"),
        ("Encounter", "actualPeriod", "nothing", "nothing", "Period"),
        (
            "Appointment",
            "reasonCode",
            "CodeableConcept *",
            "CodeableConcept *",
            "nothing",
        ),
        (
            "Appointment",
            "reason",
            "nothing",
            "nothing",
            "CodeableReference *",
        ),
        (
            "ServiceRequest",
            "code",
            "CodeableConcept",
            "CodeableConcept",
            "CodeableReference",
        ),
        (
            "Consent",
            "provision",
            "Consent.provision",
            "Consent.provision",
            "Consent.provision *",
        ),
        ("Consent", "decision", "nothing", "nothing", "code"),
        (
            "MedicationRequest",
            "medication",
            "CodeableConcept|Reference",
            "CodeableConcept|Reference",
            "CodeableReference",
        ),
    ];

    #[test]
    fn releases_differ_where_they_do() {
        for (kind, element, r4, r4b, r5) in DIFFERENT {
            let found = Release::ALL.map(|release| holds(kind, element, release));
            assert_eq!(found, [*r4, *r4b, *r5], "{kind}.{element}");
        }
    }

    #[test]
    fn elements_of_the_base_are_the_types_too() {
        let shared = [
            "id",
            "meta",
            "contained",
            "extension",
            "text",
            "modifierExtension",
        ];
        for element in shared {
            assert_ne!(
                holds("Condition", element, Release::R4),
                "nothing",
                "{element}"
            );
        }
        assert_eq!(
            holds("Patient.contact", "modifierExtension", Release::R5),
            "Extension *"
        );
        assert_eq!(holds("Age", "value", Release::R4), "decimal");
        assert_eq!(
            holds("HumanName", "modifierExtension", Release::R5),
            "nothing"
        );
        assert_eq!(holds("Bundle", "text", Release::R4), "nothing");
    }

    #[test]
    fn types_are_made_from_types() {
        let all = get();
        let id = |name| all.named(name, Release::R5).unwrap();
        assert!(all.is_a(id("Age"), id("Quantity")));
        assert!(all.is_a(id("code"), id("string")));
        assert!(!all.is_a(id("string"), id("code")));
        assert!(all.is_resource(id("Patient")) && all.is_resource(id("Bundle")));
        assert!(!all.is_resource(id("Period")));
        assert!(all.named("CodeableReference", Release::R4).is_none());
    }
}
