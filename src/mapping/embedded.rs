//! The base mappings, compiled into the program so that it needs no files beside it.

use super::load::Files;

macro_rules! file {
    ($name:literal) => {
        ($name, include_str!(concat!("../../mappings/", $name)))
    };
}

/// Mappings, tables, concepts and layers by their names below `mappings/`. Kept by hand; a test
/// compares the list with the disk.
const FILES: &[(&str, &str)] = &[
    file!("concepts/allergy.toml"),
    file!("concepts/care-provider.toml"),
    file!("concepts/coverage.toml"),
    file!("concepts/diabetes.toml"),
    file!("concepts/document.toml"),
    file!("concepts/encounter.toml"),
    file!("concepts/hba1c-result.toml"),
    file!("concepts/immunization.toml"),
    file!("concepts/influenza-vaccine.toml"),
    file!("concepts/medication.toml"),
    file!("concepts/pneumococcal-vaccine.toml"),
    file!("concepts/problem.toml"),
    file!("concepts/procedure.toml"),
    file!("concepts/referral-order.toml"),
    file!("concepts/related-person.toml"),
    file!("concepts/report.toml"),
    file!("concepts/statin.toml"),
    file!("fhir/allergy_intolerance.toml"),
    file!("fhir/appointment.toml"),
    file!("fhir/condition.toml"),
    file!("fhir/consent.toml"),
    file!("fhir/coverage.toml"),
    file!("fhir/diagnostic_report.toml"),
    file!("fhir/document_reference.toml"),
    file!("fhir/encounter.toml"),
    file!("fhir/fragments/subject.toml"),
    file!("fhir/immunization.toml"),
    file!("fhir/medication_request.toml"),
    file!("fhir/observation.toml"),
    file!("fhir/patient.toml"),
    file!("fhir/procedure.toml"),
    file!("fhir/related_person.toml"),
    file!("fhir/service_request.toml"),
    file!("fhir/task.toml"),
    file!("hl7v2/adt.toml"),
    file!("hl7v2/answers.toml"),
    file!("hl7v2/documents.toml"),
    file!("hl7v2/fragments/allergies.toml"),
    file!("hl7v2/fragments/dg1.toml"),
    file!("hl7v2/fragments/pid.toml"),
    file!("hl7v2/fragments/procedures.toml"),
    file!("hl7v2/fragments/relations.toml"),
    file!("hl7v2/fragments/results.toml"),
    file!("hl7v2/immunizations.toml"),
    file!("hl7v2/links.toml"),
    file!("hl7v2/medications.toml"),
    file!("hl7v2/merge.toml"),
    file!("hl7v2/moves.toml"),
    file!("hl7v2/orders.toml"),
    file!("hl7v2/people.toml"),
    file!("hl7v2/problems.toml"),
    file!("hl7v2/referral.toml"),
    file!("hl7v2/results.toml"),
    file!("hl7v2/siu.toml"),
    file!("hl7v2/specimens.toml"),
    file!("tables/clinical.toml"),
    file!("tables/code_systems.toml"),
    file!("tables/consent.toml"),
    file!("tables/fhir.toml"),
    file!("tables/language.toml"),
    file!("tables/orders.toml"),
    file!("tables/person.toml"),
    file!("tables/scheduling.toml"),
    file!("tables/visits.toml"),
];

/// The files as a bundle reads them.
pub(super) fn files() -> Files {
    Files::of(FILES)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_on_disk_is_part_of_the_program() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
        let disk = Files::read(&dir).map_err(|list| list.len()).unwrap();
        let folders = ["hl7v2/", "fhir/", "tables/", "concepts/", "overlays/"];
        let wanted = disk.iter().filter(|(name, _)| {
            folders.iter().any(|folder| name.starts_with(folder)) && !name.contains(".examples/")
        });
        let known: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        let missing: Vec<&str> = wanted
            .map(|(name, _)| name)
            .filter(|name| !known.contains(name))
            .collect();
        assert!(missing.is_empty(), "add to embedded::FILES: {missing:?}");
    }

    #[test]
    fn the_embedded_mappings_compile() {
        let bundle = crate::mapping::Bundle::embedded(&[]);
        if let Err(list) = bundle {
            let told: Vec<String> = list.iter().map(ToString::to_string).collect();
            panic!("{}", told.join("\n\n"));
        }
    }
}
