//! Packs of FHIR: what is refused before it runs, and what resources come out as.

use serde_json::json;

use super::*;
use crate::fhir::{Document, Release};
use crate::mapping::Outcome;

/// A pack of FHIR with a rule of each kind.
const FHIR: &str = r#"
mapping = "fhir.test"
schema = 1
source = { kind = "fhir", resources = ["Patient"] }

[vars]
named = { from = "name.exists()" }
[vars.visit]
cases = [ { release = ["R4", "R4B"], from = "id" }, { release = "R5", from = "gender" } ]

[patient]
emit = "Patient"

[patient.set."identifiers[own]"]
each = "id"
fields = { value = "$self", assigner = "$endpoint" }

[patient.set."identifiers[business]"]
each = "identifier"
where = ".use != 'old'"
fields = { value = ".value", assigner = ".system" }
skip_if_blank = "value"

[patient.set."names[]"]
each = "name"
fields = { family = ".family", given = { list = [".given"] } }

[patient.set.birth_date]
from = "birthDate"
fn = "date"
on_bad = "ignore"

[patient.set.sex]
cases = [
    { release = "R5", when = "gender = 'other'", value = "unknown" },
    { when = "gender valued", from = "gender", table = "sex" },
]

[patient.set.language]
when = "$named"
from = "communication.first().language.coding.first().code"

[patient.set.deceased]
from = "deceased.ofType(boolean)"
fn = "flag"

[patient.set.restrictions]
all = [
    { when = "active = 'false'", value = "active" },
    { when = "not (active.exists() or $named)", value = "bare" },
]

[closer]
emit = "Pointer"
when = "link.type = 'seealso'"
each = "link"

[closer.set.resource]
value = "RelatedPerson"

[closer.set.concept]
from = "communication.first().language"
fn = "concept"
default = "diabetes"

[closer.set.reference]
fn = "reference"
from = ".other"
"#;

fn fhir_bundle(pack: &str) -> Result<Bundle, Vec<Diagnostic>> {
    let tables = TABLES.replace("F = \"female\"", "F = \"female\"\nfemale = \"female\"");
    let files = Files::of(&[
        ("fhir/test.toml", pack),
        ("tables/test.toml", &tables),
        ("concepts/diabetes.toml", CONCEPT),
    ]);
    Bundle::compile(&files, &[])
}

/// Swaps a part of the pack and answers what is said about it.
fn refused(part: &str, wrong: &str) -> String {
    assert!(FHIR.contains(part), "{part}");
    let list = fhir_bundle(&FHIR.replacen(part, wrong, 1)).err();
    told(&list.unwrap_or_default())
}

/// Reads a resource, given as the members after its type.
fn of(release: Release, members: &str) -> Mapped {
    static BUNDLE: std::sync::OnceLock<Bundle> = std::sync::OnceLock::new();
    let bundle = BUNDLE.get_or_init(|| fhir_bundle(FHIR).map_err(|list| told(&list)).unwrap());
    let text = format!("{{\"resourceType\": \"Patient\"{members}}}");
    let document = Document::read(text.as_bytes()).unwrap();
    let context = Context {
        zone: &TimeZone::UTC,
        hash: &|_| String::new(),
        endpoint: "https://ehr.example/fhir",
    };
    bundle.apply_resource(document.root(), release, &context)
}

/// What it says of the patient.
fn patient(members: &str) -> Value {
    let mapped = of(Release::R4, members);
    assert_eq!(mapped.outcome, Outcome::Mapped, "{:?}", issues(&mapped));
    values(&mapped).remove(0)
}

/// A part of the pack, what stands there instead (`⏎` a new line), and what must be said about it.
const MISTAKES: &str = r#"
from = "birthDate" ⇒ from = "birthdate" ⇒ `birthdate` is not a path of R4
from = "birthDate" ⇒ from = "name.family" ⇒ `name.family` may lead to several values
from = "birthDate" ⇒ from = "name.first()" ⇒ `name.first()` leads to no text
from = "birthDate" ⇒ from = ".birthDate" ⇒ relative, but there is nothing it is relative to
from = "birthDate" ⇒ from = "birthDate.today()" ⇒ a mapping knows no time of its own
from = "birthDate" ⇒ from = "managingOrganization.resolve()" ⇒ a mapping joins references itself
from = "birthDate" ⇒ from = "PID-7" ⇒ is not a path of R4
from = "birthDate" ⇒ from = "$birth" ⇒ unknown variable `birth`
from = "birthDate" ⇒ from = "birthDate | gender | deceased.ofType(dateTim)" ⇒ is not a path of R4
fn = "date" ⇒ fn = "upper" ⇒ use `fn = "date"`
from = "gender", table = "sex" ⇒ from = "animal.gender", table = "sex" ⇒ `animal.gender` is not a path of R4
release = "R5", from = "gender" ⇒ release = "R5", from = "gendr" ⇒ `gendr` is not a path of R5
release = "R5", when ⇒ release = "R6", when ⇒ did you mean `R
each = "identifier" ⇒ each = "identifier | id" ⇒ goes over one path
each = "identifier" ⇒ each = "$endpoint" ⇒ goes over one path
where = ".use != 'old'" ⇒ where = ".used != 'old'" ⇒ `.used`|`used` is not a path
where = ".use != 'old'" ⇒ where = ".use null" ⇒ `null`, which is of HL7 v2
when = "active = 'false'" ⇒ when = "PID present" ⇒ is not a
when = "active = 'false'" ⇒ when = "name = 'x'" ⇒ leads to no text
when = "$named" ⇒ when = "name" ⇒ is not a condition
when = "link.type = 'seealso'" ⇒ when = "link.type in concept diabetes" ⇒ a whole coded element
from = "communication.first().language"⏎fn = "concept" ⇒ from = "gender"⏎fn = "concept" ⇒ a whole coded element
from = ".other" ⇒ from = ".type.extension" ⇒ leads to no text
fn = "flag" ⇒ fn = "minutes_after" ⇒ `minutes_after` is of HL7 v2
resources = ["Patient"] ⇒ resources = ["Patien"] ⇒ did you mean `Patient`
resources = ["Patient"] ⇒ messages = ["ADT"] ⇒ unknown key `messages`
resources = ["Patient"] ⇒ resources = ["Patient", "Patient"] ⇒ taken twice
resources = ["Patient"] ⇒ resources = ["SubscriptionStatus"] ⇒ what its release does not have
resources = ["Patient"] ⇒ resources = ["Patient"], releases = ["R3"] ⇒ unknown release `R3`
schema = 1 ⇒ schema = 1⏎per = "PID" ⇒ a resource is about one thing
"#;

#[test]
fn every_kind_of_mistake_in_a_pack_of_fhir_is_found() {
    for row in MISTAKES.lines().filter(|row| !row.is_empty()) {
        let parts: Vec<String> = row
            .split(" ⇒ ")
            .map(|part| part.replace('⏎', "\n"))
            .collect();
        let [part, wrong, expected] = parts.as_slice() else {
            panic!("{row}");
        };
        let told = refused(part, wrong);
        assert!(
            expected.split('|').any(|one| told.contains(one)),
            "{wrong}: expected `{expected}` in\n{told}"
        );
    }
}

#[test]
fn a_release_is_nothing_that_hl7_v2_has() {
    let pack = PACK.replacen("[patient]", "[patient]\nrelease = \"R4\"", 1);
    let list = bundle(&pack, &[]).err().unwrap_or_default();
    assert!(
        told(&list).contains("`release` is of FHIR"),
        "{}",
        told(&list)
    );
}

#[test]
fn what_one_release_lacks_is_told_with_its_name() {
    let told = refused(
        "from = \"birthDate\"",
        "from = \"communication.first().language.coding.first().code | link.first().other.reference.first() | contained.ofType(SubscriptionStatus).status.first()\"",
    );
    assert!(told.contains("path of R4:"), "{told}");
    assert!(!told.contains("path of R5:"), "{told}");
}

#[test]
fn a_pack_may_be_of_one_release_only() {
    let pack = FHIR.replace(
        "resources = [\"Patient\"] }",
        "resources = [\"Patient\"], releases = [\"R4B\"] }",
    );
    let bundle = fhir_bundle(&pack).map_err(|list| told(&list)).unwrap();
    let of = |release| bundle.mapping_of_resource("Patient", release);
    assert_eq!(of(Release::R4B), Some("fhir.test"));
    assert_eq!((of(Release::R4), of(Release::R5)), (None, None));
}

#[test]
fn a_whole_resource_clears_what_it_leaves_out() {
    let values = patient(r#", "id": "a""#);
    let cleared = ["names", "birth_date", "sex", "language", "deceased"];
    for field in cleared {
        assert_eq!(values.get(field), Some(&Value::Null), "{field}");
    }
    assert_eq!(values["restrictions"], json!(["bare"]));
    assert_eq!(
        values["identifiers"],
        json!([{"value": "Patient/a", "assigner": "https://ehr.example/fhir"}])
    );
}

#[test]
fn what_holds_some_elements_only_clears_nothing() {
    let values =
        patient(r#", "id": "a", "meta": {"tag": [{"code": "SUBSETTED"}]}, "gender": "female""#);
    assert_eq!(values["sex"], "female");
    assert_eq!(values.get("names"), None);
    let full = patient(r#", "id": "a", "meta": {"tag": [{"code": "other"}]}"#);
    assert_eq!(full.get("names"), Some(&Value::Null));
}

#[test]
fn a_value_that_cannot_be_read_leaves_what_was_known() {
    let mapped = of(Release::R4, r#", "id": "a", "birthDate": "last spring""#);
    assert_eq!(issues(&mapped), ["bad-value@birthDate warning"]);
    assert_eq!(values(&mapped)[0].get("birth_date"), None);
}

#[test]
fn a_resource_of_another_form_than_its_release_is_held() {
    for wrong in [
        r#", "id": "a", "name": {"family": "Example"}"#,
        r#", "id": "a", "gender": ["female"]"#,
        r#", "id": "a", "active": "yes", "birthDate": 1980"#,
    ] {
        let mapped = of(Release::R4, wrong);
        let Outcome::Held { code, place } = &mapped.outcome else {
            panic!("{wrong}: {}", mapped.outcome.name());
        };
        assert_eq!(code.name(), "bad-value", "{wrong}");
        assert!(place.starts_with("Patient."), "{place}");
        assert!(!place.contains("Example"), "no value: {place}");
        assert!(mapped.changes.is_empty());
    }
}

#[test]
fn a_resource_that_no_pack_takes_is_ignored() {
    let text = r#"{"resourceType": "Basic", "id": "b"}"#;
    let document = Document::read(text.as_bytes()).unwrap();
    let context = Context {
        zone: &TimeZone::UTC,
        hash: &|_| String::new(),
        endpoint: "",
    };
    let bundle = fhir_bundle(FHIR).map_err(|list| told(&list)).unwrap();
    let mapped = bundle.apply_resource(document.root(), Release::R4, &context);
    assert!(matches!(mapped.outcome, Outcome::Ignored { place, .. } if place == "resourceType"));
}

#[test]
fn a_case_of_one_release_counts_in_that_release_only() {
    let other = r#", "id": "a", "gender": "other""#;
    assert_eq!(values(&of(Release::R5, other))[0]["sex"], "unknown");
    assert_eq!(
        issues(&of(Release::R4, other)),
        ["unmapped-code@gender error"]
    );
}

#[test]
fn of_several_values_one_is_enough_for_a_condition() {
    let mapped = of(
        Release::R4,
        r#", "id": "a", "active": false, "link": [{"type": "refer", "other": {"reference": "Patient/b"}}, {"type": "seealso", "other": {"reference": "Patient/c"}}]"#,
    );
    let blocks: Vec<&str> = mapped
        .changes
        .iter()
        .map(|one| one.block.as_str())
        .collect();
    assert_eq!(blocks, ["patient", "closer", "closer"]);
    let none = of(
        Release::R4,
        r#", "id": "a", "active": false, "link": [{"type": "refer", "other": {"reference": "Patient/b"}}]"#,
    );
    assert_eq!(none.changes.len(), 1);
    // `!=` is the opposite: none of them is.
    assert_eq!(
        patient(r#", "id": "a", "identifier": [{"use": "old", "value": "1"}, {"value": "2"}]"#)["identifiers"]
            [1],
        json!({"value": "2"})
    );
}

#[test]
fn a_path_that_answers_yes_or_no_is_a_condition() {
    let named = patient(
        r#", "id": "a", "name": [{"given": ["Ada"]}], "communication": [{"language": {"coding": [{"code": "es"}]}}]"#,
    );
    assert_eq!(named["language"], "es");
    assert_eq!(named.get("restrictions"), None);
    let unnamed =
        patient(r#", "id": "a", "communication": [{"language": {"coding": [{"code": "es"}]}}]"#);
    assert_eq!(unnamed["language"], Value::Null);
    assert_eq!(unnamed["restrictions"], json!(["bare"]));
}

#[test]
fn references_are_short_at_the_endpoint_and_whole_elsewhere() {
    let reference = |sent: &str| {
        let link = format!(
            r#", "id": "a", "link": [{{"type": "seealso", "other": {{"reference": "{sent}"}}}}]"#
        );
        let mapped = of(Release::R4, &link);
        match mapped.outcome {
            Outcome::Mapped => values(&mapped)[1]["reference"].as_str().unwrap().to_owned(),
            _ => issues(&mapped).join(", "),
        }
    };
    assert_eq!(reference("Patient/b"), "Patient/b");
    assert_eq!(reference("Patient/b/_history/7"), "Patient/b");
    assert_eq!(reference("https://ehr.example/fhir/Patient/b"), "Patient/b");
    assert_eq!(
        reference("https://other.example/fhir/Patient/b"),
        "https://other.example/fhir/Patient/b"
    );
    for elsewhere in ["#b", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "b"] {
        assert!(
            reference(elsewhere).contains("@link[0].other.reference error"),
            "{elsewhere}"
        );
    }
}
