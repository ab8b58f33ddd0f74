//! The form of resources, release by release.

use super::super::{Document, Release};

fn told(release: Release, body: &str) -> Vec<String> {
    let document = Document::read(body.as_bytes()).unwrap();
    document
        .root()
        .check(release)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn what_is_of_another_form_is_told_with_its_place() {
    for (members, errors) in [
        (
            r#""name":{"family":"Example"}"#,
            vec!["Patient.name (byte 33): expected an array, found an object"],
        ),
        (
            r#""birthDate":["1980"]"#,
            vec!["Patient.birthDate (byte 38): expected one value, found an array"],
        ),
        (
            r#""birthDate":1980"#,
            vec!["Patient.birthDate (byte 38): expected a string, found a number"],
        ),
        (
            r#""active":"true""#,
            vec!["Patient.active (byte 35): expected true or false, found a string"],
        ),
        (
            r#""name":["Ada Example"]"#,
            vec!["Patient.name[0] (byte 34): expected an object, found a string"],
        ),
        (
            r#""name":[{"given":"Ada"}]"#,
            vec!["Patient.name[0].given (byte 43): expected an array, found a string"],
        ),
        (
            r#""_birthDate":"x""#,
            vec!["Patient._birthDate (byte 39): expected an object, found a string"],
        ),
        (
            r#""deceasedBoolean":true,"deceasedDateTime":"2026""#,
            vec!["Patient.deceasedDateTime (byte 68): expected one type of this choice, found two"],
        ),
        (
            r#""contained":[{"id":"1"}]"#,
            vec![
                "Patient.contained[0].resourceType (byte 39): expected the type of a resource, found nothing",
            ],
        ),
        (
            r#""contained":[{"resourceType":"Organization","name":1}]"#,
            vec!["Patient.contained[0].name (byte 77): expected a string, found a number"],
        ),
        (
            r#""active":1,"gender":2"#,
            vec![
                "Patient.active (byte 35): expected true or false, found a number",
                "Patient.gender (byte 46): expected a string, found a number",
            ],
        ),
    ] {
        let body = format!(r#"{{"resourceType":"Patient",{members}}}"#);
        assert_eq!(told(Release::R4, &body), errors, "{members}");
    }
}

#[test]
fn what_is_not_known_is_let_be() {
    for members in [
        r#""zzz":[{"name":1}],"fhir_comments":["x"]"#,
        r#""name":[],"birthDate":null,"photo":[null],"birthDate2":[]"#,
        r#""birthDate":[]"#,
        r#""_birthDate":{"extension":[{"url":"urn:x"}]}"#,
        r#""deceasedDateTime":"2026","_deceasedDateTime":{"id":"x"}"#,
        r#""contained":[{"resourceType":"Foo","name":1}]"#,
    ] {
        let body = format!(r#"{{"resourceType":"Patient",{members}}}"#);
        assert_eq!(told(Release::R4, &body), Vec::<String>::new(), "{members}");
    }
    assert_eq!(
        told(Release::R5, r#"{"resourceType":"Foo","name":1}"#),
        Vec::<String>::new()
    );
}

#[test]
fn the_same_resource_is_of_the_form_of_one_release_and_not_of_another() {
    let encounter = r#"{"resourceType":"Encounter","class":{"code":"AMB"}}"#;
    assert_eq!(told(Release::R4, encounter).len(), 0);
    assert_eq!(told(Release::R4B, encounter).len(), 0);
    assert_eq!(
        told(Release::R5, encounter),
        ["Encounter.class (byte 36): expected an array, found an object"]
    );
}

#[test]
fn no_more_than_sixteen_errors_are_told() {
    for (member, wrong) in [("name", "1"), ("contained", "{}")] {
        let many = vec![wrong; 100].join(",");
        let body = format!(r#"{{"resourceType":"Patient","{member}":[{many}]}}"#);
        assert_eq!(told(Release::R4, &body).len(), 16, "{member}");
    }
}
