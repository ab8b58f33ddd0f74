//! Paths: what they mean, what is refused and with what advice.

use super::super::Document;
use super::*;

mod refused;

fn scope(kind: &str) -> Scope {
    Scope::resources(Release::R4, &[kind]).unwrap()
}

fn compiled(path: &str, kind: &str) -> Path {
    Path::compile(path, &scope(kind)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn refused(path: &str, kind: &str) -> PathError {
    Path::compile(path, &scope(kind)).map(|_| ()).unwrap_err()
}

const PATIENT: &str = r##"{
    "resourceType": "Patient", "id": "TEST-1", "active": true, "gender": "female",
    "meta": {"lastUpdated": "2026-01-02T03:04:05Z"},
    "birthDate": "1980-02-29",
    "_birthDate": {"extension": [{"url": "urn:time", "valueDateTime": "1980-02-29T03:04:05Z"}]},
    "identifier": [
        {"system": "urn:a", "value": "A1", "type": {"coding": [{"code": "MR"}, {"code": "PI"}]}},
        {"system": "urn:b", "value": "B1"}
    ],
    "name": [
        {"use": "old", "family": "Sample", "given": ["Ada"]},
        {"use": "official", "family": "Example", "given": ["Ada", "Beth"]}
    ],
    "telecom": [
        {"system": "phone", "value": "555-0100", "rank": 2},
        {"system": "phone", "value": "555-0101", "rank": 1},
        {"system": "email", "value": "ada@example.test"}
    ],
    "deceasedDateTime": "2026-05",
    "link": [{"type": "replaced-by", "other": {"reference": "Patient/TEST-2"}}],
    "extension": [
        {"url": "urn:score", "valueDecimal": 1.50},
        {"url": "urn:twice", "valueString": "one"},
        {"url": "urn:twice", "valueString": "two"}
    ],
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Test Clinic"}]
}"##;

/// What a path leads to, as texts; objects as `{}`.
fn found(path: &str) -> Vec<String> {
    let document = Document::read(PATIENT.as_bytes()).unwrap();
    let items = compiled(path, "Patient").evaluate(document.root()).unwrap();
    items
        .iter()
        .map(|item| item.text().map_or("{}".to_owned(), Cow::into_owned))
        .collect()
}

const MEANINGS: &[(&str, &[&str])] = &[
    ("birthDate", &["1980-02-29"]),
    ("Patient.birthDate", &["1980-02-29"]),
    ("$this.birthDate", &["1980-02-29"]),
    ("name.given", &["Ada", "Ada", "Beth"]),
    ("name[1].given[1]", &["Beth"]),
    ("name[2].given", &[]),
    ("name.given[2]", &["Beth"]),
    ("name.first().family", &["Sample"]),
    ("name.last().family", &["Example"]),
    ("name.where(use = 'official').family", &["Example"]),
    ("name.where(use != 'old').family", &["Example"]),
    (
        "name.where(given.exists($this = 'Beth')).family",
        &["Example"],
    ),
    (
        "name.where(given.where($this.startsWith('B')).exists().not()).family",
        &["Sample"],
    ),
    (
        "telecom.where(system = 'phone' and rank < 2).value",
        &["555-0101"],
    ),
    (
        "telecom.where(rank >= 1.0 and rank <= 1).value",
        &["555-0101"],
    ),
    (
        "telecom.where(rank = 1 or system = 'email').value",
        &["555-0101", "ada@example.test"],
    ),
    (
        "telecom.where(rank > 1 or rank > 7 or rank.empty()).value",
        &["555-0100", "ada@example.test"],
    ),
    (
        "telecom.where(rank.exists() and (rank > 1).not()).value",
        &["555-0101"],
    ),
    (
        "identifier.where(type.coding.where(code = 'MR').exists()).value",
        &["A1"],
    ),
    (
        "identifier.where(type.empty()).value | identifier.first().value",
        &["B1", "A1"],
    ),
    (
        "name.given | name.family",
        &["Ada", "Beth", "Sample", "Example"],
    ),
    (
        "(name.where(use = 'usual') | name).first().family",
        &["Sample"],
    ),
    ("name | name", &["{}", "{}"]),
    ("deceased", &["2026-05"]),
    ("deceased.ofType(dateTime)", &["2026-05"]),
    ("deceased.ofType(FHIR.boolean)", &[]),
    ("deceased.exists()", &["true"]),
    ("multipleBirth.exists()", &["false"]),
    ("photo.empty()", &["true"]),
    ("active", &["true"]),
    ("active = true", &["true"]),
    ("active.not()", &["false"]),
    ("photo.first().size > 1", &[]),
    ("(photo.first().size > 1).not()", &[]),
    ("active or photo.first().size > 1", &["true"]),
    ("photo.first().size > 1 or active", &["true"]),
    ("photo.first().size > 1 and active.not()", &["false"]),
    ("photo.first().size > 1 and active", &[]),
    ("birthDate < @1990", &["true"]),
    ("birthDate = @1980-02-29", &["true"]),
    ("birthDate > @1980-02", &[]),
    ("meta.lastUpdated >= @2026-01-02T03:04:05.000Z", &["true"]),
    ("meta.lastUpdated < @2026-01-01T22:04:06-05:00", &["true"]),
    (
        "birthDate.extension('urn:time').value.ofType(dateTime)",
        &["1980-02-29T03:04:05Z"],
    ),
    ("extension('urn:score').value.ofType(decimal)", &["1.50"]),
    (
        "extension('urn:score').value.ofType(decimal).first() = 1.5",
        &["true"],
    ),
    ("extension('urn:twice').value", &["one", "two"]),
    ("extension('urn:none').value", &[]),
    ("gender.extension('urn:x').value", &[]),
    ("resourceType", &["Patient"]),
    ("contained.ofType(Organization).name", &["Test Clinic"]),
    ("contained.ofType(Practitioner).name", &[]),
    ("contained.where(resourceType = 'Organization').id", &["o"]),
    (
        "link.where(type = 'replaced-by').other.reference",
        &["Patient/TEST-2"],
    ),
    (
        "link.other.where(type = 'Patient' or reference.startsWith('Patient/')).reference",
        &["Patient/TEST-2"],
    ),
    (
        "link.first().other.reference.replace('Patient/', '')",
        &["TEST-2"],
    ),
    ("link.first().other.reference.substring(8)", &["TEST-2"]),
    ("link.first().other.reference.substring(8, 4)", &["TEST"]),
    ("gender.substring(6)", &[]),
    ("gender.substring(0, 0)", &[""]),
    ("gender.upper()", &["FEMALE"]),
    ("gender.upper().lower()", &["female"]),
    ("' a b '.trim()", &["a b"]),
    ("gender.contains('mal')", &["true"]),
    (
        "gender.endsWith('male') and gender.startsWith('fe')",
        &["true"],
    ),
    ("gender < 'male'", &["true"]),
    ("gender = 'it\\'s'", &["false"]),
    ("text.`div`.exists()", &["false"]),
    (
        "  name . where ( use = 'official' ) . family ",
        &["Example"],
    ),
];

#[test]
fn paths_lead_to_what_fhirpath_says() {
    for (path, values) in MEANINGS {
        assert_eq!(found(path), *values, "{path}");
    }
}

#[test]
fn a_union_keeps_what_is_the_same_once_and_nothing_else() {
    let names = r#"{"given":["Ada"],"_given":[{"id":"g"}]},{"_given":[{"id":"a"},{"id":"b"}]},
        {"family":"Example","period":{}},{"family":"Example","period":[]},{"family":"Example","period":null}"#;
    let body = format!(r#"{{"resourceType":"Patient","name":[{names}]}}"#);
    let document = Document::read(body.as_bytes()).unwrap();
    for (path, number) in [("name | name", 5), ("name.given | name.given", 3)] {
        let items = compiled(path, "Patient").evaluate(document.root()).unwrap();
        assert_eq!(items.len(), number, "{path}");
    }
}

#[test]
fn an_evaluation_has_bounds() {
    let extensions = vec![r#"{"url":"a"}"#; 1_000].join(",");
    let body = format!(r#"{{"resourceType":"Patient","extension":[{extensions}]}}"#);
    let document = Document::read(body.as_bytes()).unwrap();
    let many = "extension.where(url = 'a')".to_owned() + &".where(url = 'a')".repeat(30);
    let error = compiled(&many, "Patient")
        .evaluate(document.root())
        .unwrap_err();
    assert_eq!(error, EvaluateError::Steps);

    let body = format!(
        r#"{{"resourceType":"Patient","id":"{}"}}"#,
        "a".repeat(900_000)
    );
    let document = Document::read(body.as_bytes()).unwrap();
    let longer = compiled("id.replace('a', 'bbbb')", "Patient");
    assert_eq!(
        longer.evaluate(document.root()).unwrap_err(),
        EvaluateError::Text
    );
    assert!(
        compiled("id.replace('b', 'cccc')", "Patient")
            .evaluate(document.root())
            .is_ok()
    );
}

#[test]
fn a_resource_of_another_form_is_an_error_and_no_guess() {
    let body = br#"{"resourceType":"Patient","gender":["male","female"]}"#;
    let document = Document::read(body).unwrap();
    let error = compiled("gender = 'male'", "Patient")
        .evaluate(document.root())
        .unwrap_err();
    assert_eq!(error, EvaluateError::Several);
}

#[test]
fn a_path_goes_on_from_what_another_one_leads_to() {
    let document = Document::read(PATIENT.as_bytes()).unwrap();
    let each = compiled("telecom.where(system = 'phone')", "Patient");
    assert!(each.is_many() && !each.is_condition());
    assert_eq!(each.types().collect::<Vec<_>>(), ["ContactPoint"]);
    let number = Path::compile("value", &each.scope()).unwrap();
    let first = Path::compile("rank = 1", &each.scope()).unwrap();
    assert!(first.is_condition() && !first.is_many());
    let items = each.evaluate(document.root()).unwrap();
    let held: Vec<bool> = items
        .iter()
        .map(|item| first.holds_from(item).unwrap())
        .collect();
    assert_eq!(held, [false, true]);
    let numbers: Vec<String> = items
        .iter()
        .flat_map(|item| number.evaluate_from(item).unwrap())
        .filter_map(|item| item.text().map(Cow::into_owned))
        .collect();
    assert_eq!(numbers, ["555-0100", "555-0101"]);
    assert_eq!(items[0].type_name(), "ContactPoint");
}

#[test]
fn a_condition_holds_only_where_it_is_known_to() {
    let document = Document::read(PATIENT.as_bytes()).unwrap();
    for (condition, holds) in [
        ("active", true),
        ("active.not()", false),
        ("photo.first().size > 1", false),
        ("birthDate > @1980-02", false),
        ("resourceType = 'Patient'", true),
    ] {
        let path = compiled(condition, "Patient");
        assert!(path.is_condition(), "{condition}");
        assert_eq!(path.holds(document.root()), Ok(holds), "{condition}");
    }
}

#[test]
fn a_path_may_start_at_several_types_and_leads_nowhere_in_others() {
    let both = Scope::resources(Release::R4, &["Condition", "Observation"]).unwrap();
    let subject = Path::compile("subject.reference", &both).unwrap();
    let onset = Path::compile("onset.ofType(Age).value", &both).unwrap();
    for (body, reference, age) in [
        (
            r#"{"resourceType":"Observation","subject":{"reference":"Patient/1"}}"#,
            Some("Patient/1"),
            None,
        ),
        (
            r#"{"resourceType":"Condition","onsetAge":{"value":7}}"#,
            None,
            Some("7"),
        ),
        (
            r#"{"resourceType":"Task","subject":{"reference":"Patient/1"}}"#,
            None,
            None,
        ),
    ] {
        let document = Document::read(body.as_bytes()).unwrap();
        let text = |path: &Path| {
            path.first_text(document.root())
                .unwrap()
                .map(Cow::into_owned)
        };
        assert_eq!(
            (text(&subject).as_deref(), text(&onset).as_deref()),
            (reference, age)
        );
    }
}

#[test]
fn a_path_starts_at_resources_that_can_be_sent() {
    for (name, hint) in [
        ("Observaton", Some("did you mean `Observation`?")),
        ("Perio", None),
        ("Period", Some("did you mean `Person`?")),
        ("Resource", None),
        ("DomainResource", None),
    ] {
        let error = Scope::resources(Release::R4, &["Patient", name]).unwrap_err();
        assert_eq!(error.hint.as_deref(), hint, "{name}");
    }
}

#[test]
fn nothing_shows_a_value() {
    let document = Document::read(PATIENT.as_bytes()).unwrap();
    let items = compiled("birthDate", "Patient")
        .evaluate(document.root())
        .unwrap();
    assert_eq!(format!("{items:?}"), "[Item(date)]");
}
