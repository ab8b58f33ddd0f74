//! The reader on bodies that are right, nearly right and not right at all.

use super::super::{
    Document, MAX_DEPTH, MAX_ELEMENTS, MAX_ENTRIES, MAX_MEMBERS, MAX_NAME_BYTES, ReadError,
    ReadErrorKind,
};
use super::*;

fn refused(body: &str) -> ReadError {
    Document::read(body.as_bytes()).unwrap_err()
}

/// A Patient with these members behind its type.
fn patient(members: &str) -> String {
    format!(r#"{{"resourceType":"Patient",{members}}}"#)
}

#[test]
fn what_json_allows_is_read() {
    for body in [
        r#"{"resourceType":"Patient"}"#,
        " \r\n\t{ \"resourceType\" : \"Patient\" , \"active\" : true } \n",
        "\u{feff}{\"resourceType\":\"Patient\"}",
        r#"{"name":[{"family":"Example"}],"resourceType":"Patient"}"#,
        r#"{"resourceType":"Patient","unknown":{"a":[1,[2,[]],{}]},"x":null,"name":[],"y":{}}"#,
        r#"{"resourceType":"Patient","n":[0,-0,1.50,-2e10,3E-7,4e+1,0.0]}"#,
        r#"{"resourceType":"Patient","t":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}"#,
        r#"{"resource\u0054ype":"Patient"}"#,
    ] {
        let document = Document::read(body.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(document.resource_type(), "Patient", "{body}");
    }
}

const WRONG: &[(&str, &str)] = &[
    (
        r#""name":[{"family":"Example",}]"#,
        "Patient.name[0] (byte 54): expected a name in quotes, found a closing brace",
    ),
    (
        r#""name":[{"family":"Example"},]"#,
        "Patient.name[1] (byte 55): expected a value, found a closing bracket",
    ),
    (
        r#""name":[{"family":}]"#,
        "Patient.name[0].family (byte 44): expected a value, found a closing brace",
    ),
    (
        r#""birthDate":1980-01-02"#,
        "Patient (byte 42): expected a comma or `}`, found another character",
    ),
    (
        r#""birthDate":01"#,
        "Patient.birthDate (byte 39): expected a number without leading zeros, found a digit",
    ),
    (
        r#""active":True"#,
        "Patient.active (byte 35): expected a value, found a letter",
    ),
    (
        r#""active":tru"#,
        "Patient.active (byte 38): expected a value, found a closing brace",
    ),
    (
        r#""active":true // yes"#,
        "Patient (byte 40): expected a comma or `}`, found a comment",
    ),
    (
        r#""n":.5"#,
        "Patient.? (byte 30): expected a value, found another character",
    ),
    (
        r#""n":1."#,
        "Patient.? (byte 32): expected a digit, found a closing brace",
    ),
    (
        r#""n":1e"#,
        "Patient.? (byte 32): expected a digit, found a closing brace",
    ),
    (
        r#""n":NaN"#,
        "Patient.? (byte 30): expected a value, found a letter",
    ),
    (
        r#"'id':'x'"#,
        "Patient (byte 26): expected a name in quotes, found an apostrophe",
    ),
    (
        r#"id:"x""#,
        "Patient (byte 26): expected a name in quotes, found a letter",
    ),
    (
        r#""id" "x""#,
        "Patient (byte 31): expected a colon, found a string",
    ),
    (
        r#""id":"x" "active":true"#,
        "Patient (byte 35): expected a comma or `}`, found a string",
    ),
    (
        "\"id\":\"a\tb\"",
        "Patient.id (byte 33): expected the string's text or its closing quote, found a control character",
    ),
    (
        r#""id":"\x""#,
        "Patient.id (byte 33): expected an escape of JSON, found a letter",
    ),
    (
        r#""id":"\u00g0""#,
        "Patient.id (byte 36): expected four hexadecimal digits, found a letter",
    ),
    (
        r#""id":"\ud800""#,
        "Patient.id (byte 38): expected both halves of a character, found one",
    ),
    (
        r#""id":"\udc00""#,
        "Patient.id (byte 38): expected both halves of a character, found one",
    ),
    (
        r#""id":"\ud800\n""#,
        "Patient.id (byte 39): expected both halves of a character, found one",
    ),
    (
        r#""id":"1","active":true,"id":"1""#,
        "Patient.id (byte 49): expected each member once, found a member twice",
    ),
    (
        r#""name":[{"family":"A","\u0066amily":"B"}]"#,
        "Patient.name[0].family (byte 48): expected each member once, found a member twice",
    ),
];

#[test]
fn what_is_wrong_is_told_with_its_place_and_never_with_a_value() {
    for (members, message) in WRONG {
        assert_eq!(
            refused(&patient(members)).to_string(),
            *message,
            "{members}"
        );
    }
}

/// Bodies that are wrong as a whole, by the kind of their errors.
const WHOLE: &[(ReadErrorKind, &[(&str, &str)])] = &[
    (
        ReadErrorKind::Syntax,
        &[
            (
                "<Patient/>",
                "body (byte 0): expected an object, found another character",
            ),
            ("[]", "body (byte 0): expected an object, found an array"),
            (
                r#"{"resourceType":"Patient"}}"#,
                "Patient (byte 26): expected the end, found a closing brace",
            ),
            (
                r#"{"resourceType":"Patient"}{}"#,
                "Patient (byte 26): expected the end, found an object",
            ),
        ],
    ),
    (
        ReadErrorKind::Structure,
        &[
            (
                "{}",
                "resourceType (byte 0): expected the type of a resource, found nothing",
            ),
            (
                r#"{"resourceType":7}"#,
                "resourceType (byte 16): expected the type of a resource, found a number",
            ),
            (
                r#"{"resourceType":"ada example"}"#,
                "resourceType (byte 16): expected the type of a resource, found another word",
            ),
            (
                r#"{"resourceType":"Patient","id":7}"#,
                "id (byte 31): expected a string, found a number",
            ),
        ],
    ),
    (
        ReadErrorKind::Cut,
        &[
            ("", "body (byte 0): expected an object, found the end"),
            (
                r#"{"resourceType":"Patient""#,
                "Patient (byte 25): expected a comma or `}`, found the end",
            ),
            (
                r#"{"resourceType":"Pat"#,
                "resourceType (byte 20): expected the string's text or its closing quote, found the end",
            ),
        ],
    ),
];

#[test]
fn a_body_must_be_one_object_and_nothing_behind_it() {
    for (kind, bodies) in WHOLE {
        for (body, message) in *bodies {
            let error = refused(body);
            let found = (error.to_string(), error.kind);
            assert_eq!(found, ((*message).to_owned(), *kind), "{body}");
        }
    }
}

#[test]
fn bytes_that_are_no_utf_8_are_refused_where_they_are() {
    let mut body = patient(r#""id":"1","language":"d?e""#).into_bytes();
    let at = body.iter().position(|byte| *byte == b'?').unwrap();
    body[at] = 0xE9;
    let error = Document::read(&body).unwrap_err();
    assert_eq!(error.offset, at);
    assert_eq!(
        error.found,
        "bytes that are no UTF-8, or a control character"
    );
}

#[test]
fn limits_hold_and_what_is_just_inside_is_read() {
    let nested = |levels: usize| {
        patient(&format!(
            "\"x\":{}{}",
            "[".repeat(levels - 1),
            "]".repeat(levels - 1)
        ))
    };
    assert!(Document::read(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert_eq!(refused(&nested(MAX_DEPTH + 1)).kind, ReadErrorKind::Limit);
    assert_eq!(refused(&nested(5_000_000)).kind, ReadErrorKind::Limit);

    let members = |number: usize| {
        let members: Vec<String> = (1..number).map(|one| format!("\"x{one}\":1")).collect();
        patient(&members.join(","))
    };
    assert!(Document::read(members(MAX_MEMBERS).as_bytes()).is_ok());
    assert_eq!(
        refused(&members(MAX_MEMBERS + 1)).expected,
        "at most 1,000 members"
    );

    // The object, its type and the array are three.
    let values = |number: usize| patient(&format!("\"x\":[{}1]", "1,".repeat(number - 4)));
    assert!(Document::read(values(MAX_ELEMENTS).as_bytes()).is_ok());
    assert_eq!(
        refused(&values(MAX_ELEMENTS + 1)).kind,
        ReadErrorKind::Limit
    );

    let named = |length: usize| patient(&format!("\"{}\":1", "x".repeat(length)));
    assert!(Document::read(named(usize::from(MAX_NAME_BYTES)).as_bytes()).is_ok());
    assert_eq!(
        refused(&named(usize::from(MAX_NAME_BYTES) + 1)).kind,
        ReadErrorKind::Limit
    );

    let long = |length: usize| {
        let body = patient("\"x\":\"\"");
        body.replace("\"\"", &format!("\"{}\"", "x".repeat(length - body.len())))
    };
    assert!(Document::read(long(MAX_BYTES).as_bytes()).is_ok());
    assert_eq!(refused(&long(MAX_BYTES + 1)).kind, ReadErrorKind::Limit);
}

#[test]
fn a_bundle_has_no_more_entries_and_values_than_are_allowed() {
    let bundle = |entries: &str| format!(r#"{{"resourceType":"Bundle","entry":[{entries}]}}"#);
    let many = |number: usize| bundle(&vec!["{}"; number].join(","));
    assert!(Document::read(many(MAX_ENTRIES).as_bytes()).is_ok());
    assert_eq!(
        refused(&many(MAX_ENTRIES + 1)).expected,
        "at most 10,000 entries"
    );

    let wide = format!("{{\"x\":[{}1]}}", "1,".repeat(MAX_ELEMENTS - 3));
    let error = refused(&bundle(&[wide.as_str(); 11].join(",")));
    assert_eq!(
        (error.kind, error.expected),
        (ReadErrorKind::Limit, "at most 2,000,000 values")
    );
}

#[test]
fn an_error_shows_its_place_also_when_it_is_debugged() {
    let shown = format!("{:?}", refused(&patient(r#""id":"1""active""#)));
    assert!(
        shown.starts_with("ReadError(Syntax: Patient (byte 34): expected a comma"),
        "{shown}"
    );
}
