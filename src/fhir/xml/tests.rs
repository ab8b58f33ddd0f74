//! XML that is read, and XML that is not.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::super::{Bundle, Document, MAX_BYTES, MAX_DEPTH, Release, Resource};
use super::*;

/// A Patient with this inside.
fn patient(inner: &str) -> String {
    format!("<Patient xmlns=\"http://hl7.org/fhir\">{inner}</Patient>")
}

fn read(xml: &str) -> Result<String, ReadError> {
    json_of_xml(xml.as_bytes(), Release::R4)
}

#[test]
fn elements_become_the_members_that_json_has_for_them() {
    for (xml, json) in [
        (r#"<active value="true"/>"#, r#""active":true"#),
        (
            r#"<name><given value="Ada"/><given value="Beth"/></name>"#,
            r#""name":[{"given":["Ada","Beth"]}]"#,
        ),
        // Values and what stands beside them.
        (
            r#"<name><given id="g"/><given value="Ada"><extension url="urn:x"><valueCode value="c"/></extension></given></name>"#,
            r#""name":[{"given":[null,"Ada"],"_given":[{"id":"g"},{"extension":[{"url":"urn:x","valueCode":"c"}]}]}]"#,
        ),
        (
            r#"<birthDate><extension url="urn:x"><valueDecimal value="1.10"/></extension></birthDate>"#,
            r#""_birthDate":{"extension":[{"url":"urn:x","valueDecimal":1.10}]}"#,
        ),
        // Digits stay; what is no number stays a string, which the check of the form tells of.
        (
            r#"<multipleBirthInteger value="03"/>"#,
            r#""multipleBirthInteger":"03""#,
        ),
        (r#"<active value="1"/>"#, r#""active":"1""#),
        // Resources in resources, with nothing in them or two in one place.
        (
            r#"<contained><Patient/></contained><gender value="female"/>"#,
            r#""contained":[{"resourceType":"Patient"}],"gender":"female""#,
        ),
        (
            r#"<contained><Patient><id value="a"/></Patient><Patient><id value="b"/></Patient></contained>"#,
            r#""contained":[{"resourceType":"Patient","id":"a"},{"resourceType":"Patient","id":"b"}]"#,
        ),
        // What says nothing.
        (
            "<?pi x?><!-- <no/> --> \r\n\t<active xsi:x=\"y\" value = 'false' ></active >",
            r#""active":false"#,
        ),
        (
            r#"<f:active xmlns:f="http://hl7.org/fhir" value="true"/>"#,
            r#""active":true"#,
        ),
        // What no release has, with what it has inside, and what stands where only extensions may.
        (
            r#"<shoe><size value="4"/></shoe>"#,
            r#""shoe":{"size":{"value":"4"}}"#,
        ),
        (
            r#"<shoe><active value="true"/></shoe><contained><Shoe><id value="s"/></Shoe></contained>"#,
            r#""shoe":{"active":{"value":"true"}},"contained":[{"resourceType":"Shoe","id":"s"}]"#,
        ),
        (
            r#"<gender value="male"><gender value="x"/></gender>"#,
            r#""gender":"male""#,
        ),
        (
            r#"<gender value="a&quot;&#10;\"/>"#,
            r#""gender":"a\"\n\\""#,
        ),
        (
            r#"<gender value="a"/><gender value="b"/>"#,
            r#""gender":["a","b"]"#,
        ),
    ] {
        let expected = format!(r#"{{"resourceType":"Patient",{json}}}"#);
        assert_eq!(read(&patient(xml)), Ok(expected), "{xml}");
    }
}

#[test]
fn a_narrative_stays_as_it_was_written() {
    let space = "xmlns=\"http://www.w3.org/1999/xhtml\"";
    for (sent, kept) in [
        (
            format!("<div {space} class=\"a\">a <b>b</b> c&nbsp;<!-- d --><br/></div>"),
            format!("<div {space} class=\"a\">a <b>b</b> c&nbsp;<!-- d --><br/></div>"),
        ),
        (
            "<h:div xmlns:h=\"http://www.w3.org/1999/xhtml\">\r\n<h:div/></h:div>".to_owned(),
            "<h:div xmlns:h=\"http://www.w3.org/1999/xhtml\">\n<h:div/></h:div>".to_owned(),
        ),
        (format!("<div {space}/>"), format!("<div {space}/>")),
    ] {
        let json = read(&patient(&format!("<text>{sent}</text>"))).unwrap();
        let document = Document::read(json.as_bytes()).unwrap();
        let text = document.root().member("text").unwrap();
        assert_eq!(text.text_of("div").unwrap(), kept);
    }
    // The namespace is said where the narrative stands alone.
    let xml = "<Patient xmlns=\"http://hl7.org/fhir\" xmlns:h=\"http://www.w3.org/1999/xhtml\">\
        <text><h:div>a</h:div></text></Patient>";
    let json = read(xml).unwrap();
    assert!(json.contains(r#"<h:div xmlns:h=\"http://www.w3.org/1999/xhtml\">a</h:div>"#));
}

#[test]
fn a_value_that_is_not_of_its_kind_is_told_of_where_it_stands() {
    let json = read(&patient("<active value=\"yes\"/><name value=\"Ada\"/>")).unwrap();
    let document = Document::read(json.as_bytes()).unwrap();
    let errors = document.root().check(Release::R4);
    let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["Patient.active (byte 35): expected true or false, found a string"]
    );
}

#[test]
fn a_broken_entry_is_its_own_error_and_what_no_tag_closes_is_everybodys() {
    let entry = |resource: &str| format!("<entry><resource>{resource}</resource></entry>");
    let good = entry("<Patient><id value=\"TEST-1\"/></Patient>");
    let two = entry("<Patient/><Patient/>");
    let bundle = |inner: &str| {
        format!("<Bundle xmlns=\"http://hl7.org/fhir\"><type value=\"searchset\"/>{inner}</Bundle>")
    };
    let json = read(&bundle(&format!("{good}{two}{}{good}", entry("")))).unwrap();
    let bundle_read = Bundle::read(json.as_bytes()).unwrap();
    let are_read: Vec<bool> = bundle_read.entries().map(|entry| entry.is_ok()).collect();
    assert_eq!(are_read, [true, false, false, true]);
    let id = bundle_read
        .entry(3)
        .unwrap()
        .resource()
        .unwrap()
        .id()
        .unwrap()
        .into_owned();
    assert_eq!(id, "TEST-1");

    let error = read(&bundle(&format!(
        "{good}<entry><resource><Patient></resource>"
    )))
    .unwrap_err();
    assert_eq!(error.place, "Bundle.entry[1].resource");
    assert_eq!(error.expected, "the tag that closes the element");
}

/// Bodies that are no XML of FHIR, and the errors.
const WRONG: &[(&str, &str)] = &[
    ("", "body (byte 0): expected a resource, found the end"),
    ("{}", "body (byte 0): expected a resource, found JSON"),
    (
        "<Patient/>",
        "body (byte 0): expected the namespace http://hl7.org/fhir, found another one or none",
    ),
    (
        "<!DOCTYPE a []><a/>",
        "body (byte 0): expected an element, found a document type",
    ),
    (
        "<?xml version='1.0' encoding=\"utf-16\"?><a/>",
        "body (byte 39): expected a body in UTF-8, found another encoding",
    ),
    (
        "<a xmlns=\"http://hl7.org/fhir\"/><a/>",
        "body (byte 32): expected the end, found a tag",
    ),
];

/// What is wrong inside of a Patient.
const WRONG_INSIDE: &[(&str, &str)] = &[
    ("text", " (byte 37): expected an element, found text"),
    (
        "<![CDATA[a]]>",
        " (byte 37): expected an element, found a section of text",
    ),
    (
        "&amp;",
        " (byte 37): expected an element, found a reference",
    ),
    (
        "<a:b/>",
        " (byte 37): expected the namespace http://hl7.org/fhir, found another one or none",
    ),
    (
        "<a.b/>",
        " (byte 37): expected a name that FHIR has, found another one",
    ),
    (
        "<gender value=\"&secret;\"/>",
        " (byte 52): expected characters and entities that XML has, found a reference to another one",
    ),
    (
        "<gender value=\"a\" value=\"b\"/>",
        " (byte 64): expected an attribute once, found it twice",
    ),
    (
        "<gender value=\"a<\"/>",
        " (byte 53): expected the text of an attribute, found a tag",
    ),
    (
        "<gender value=a/>",
        " (byte 51): expected a quote, found text",
    ),
    (
        "<resourceType value=\"a\"/>",
        " (byte 62): expected an element once, found it twice",
    ),
    (
        "</a>",
        " (byte 37): expected the tag that closes the element, found another one",
    ),
    (
        "<name><given></name>",
        ".name.given (byte 50): expected the tag that closes the element, found another one",
    ),
];

#[test]
fn what_is_no_xml_of_fhir_is_refused() {
    for (xml, message) in WRONG {
        assert_eq!(read(xml).unwrap_err().to_string(), *message);
    }
    for (inner, message) in WRONG_INSIDE {
        let error = read(&patient(inner)).unwrap_err().to_string();
        assert_eq!(error, format!("Patient{message}"));
    }
    let control = read(&patient("\u{1}")).unwrap_err();
    let found = "bytes that are no UTF-8, or a control character";
    assert_eq!((control.offset, control.found), (37, found));
    for cut in [
        "<",
        "<Patient",
        "<Patient xmlns",
        "<Patient xmlns=\"http://hl7.org/fhir\">",
        "<Patient xmlns=\"http://hl7.org/fhir\"><!-- ",
    ] {
        assert_eq!(read(cut).unwrap_err().kind, ReadErrorKind::Cut, "{cut}");
    }
}

#[test]
fn what_is_larger_deeper_or_of_more_parts_is_refused() {
    let deep = |levels: usize| {
        let (start, end) = ("<a>".repeat(levels), "</a>".repeat(levels));
        read(&patient(&format!("{start}{end}")))
    };
    let attributes = |count: usize| {
        let all: String = (0..count).map(|one| format!(" a{one}=\"\"")).collect();
        read(&patient(&format!("<a{all}/>")))
    };
    let spaces = |count: usize| {
        let all: String = (0..count)
            .map(|one| format!(" xmlns:a{one}=\"\""))
            .collect();
        read(&patient(&format!("<a{all}><a{all}/></a>")))
    };
    let nested = "<item>".repeat(MAX_DEPTH - 1) + &"</item>".repeat(MAX_DEPTH - 1);
    let nested = format!("<Questionnaire xmlns=\"http://hl7.org/fhir\">{nested}</Questionnaire>");
    assert!(read(&nested).is_ok());
    assert!(deep(MAX_DEPTH - 1).is_ok() && attributes(64).is_ok() && spaces(31).is_ok());
    let large = vec![b' '; MAX_BYTES + 1];
    for (read, expected) in [
        (deep(MAX_DEPTH), "at most 100 levels"),
        (attributes(65), "at most 64 attributes"),
        (spaces(32), "at most 64 namespaces in one place"),
        (json_of_xml(&large, Release::R4), "a body of at most 32 MiB"),
    ] {
        let error = read.unwrap_err();
        assert_eq!(
            (error.kind, error.expected),
            (ReadErrorKind::Limit, expected)
        );
    }
}

#[test]
fn a_resource_has_only_so_many_elements_and_a_bundle_as_many_in_each_entry() {
    let many = |count: usize| "<a/>".repeat(count);
    assert!(read(&patient(&many(200_000))).is_ok());
    let error = read(&patient(&many(200_001))).unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::Limit);
    let entry = format!("<entry>{}</entry>", many(150_000));
    let bundle = format!("<Bundle xmlns=\"http://hl7.org/fhir\">{entry}{entry}</Bundle>");
    assert!(read(&bundle).is_ok());
}

#[test]
fn what_is_sent_is_what_the_release_has_in_its_order() {
    let subscription =
        br#"{"resourceType":"Subscription","channel":{"payload":"application/fhir+json",
        "type":"rest-hook","header":["X-A: 1"]},"reason":"a\nb <&\"> c","status":"requested",
        "criteria":"Appointment?status=noshow","id":"TEST-1"}"#;
    let document = Document::read(subscription).unwrap();
    let resource = Resource::of(&document.root(), Release::R4).unwrap();
    assert_eq!(
        resource.to_xml(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Subscription xmlns=\"http://hl7.org/fhir\">\
        <id value=\"TEST-1\"/><status value=\"requested\"/>\
        <reason value=\"a&#10;b &lt;&amp;&quot;&gt; c\"/>\
        <criteria value=\"Appointment?status=noshow\"/><channel><type value=\"rest-hook\"/>\
        <payload value=\"application/fhir+json\"/><header value=\"X-A: 1\"/></channel></Subscription>"
    );
    let error = Resource::of(&document.root(), Release::R5).unwrap_err();
    assert_eq!(error.expected, "an element that the release has");
    assert_eq!(format!("{resource:?}"), "Resource(R4, 6 members)");
}

#[test]
fn what_xml_cannot_hold_is_not_sent() {
    for (inner, expected) in [
        (r#""gender":"a\u0001""#, "characters that XML has"),
        (r#""gender":true"#, "a string"),
        (r#""shoe":1"#, "an element that the release has"),
        (
            r#""text":{"div":"<div>a</div>"}"#,
            "a narrative that is XHTML",
        ),
        (
            r#""text":{"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">&nbsp;</div>"}"#,
            "a narrative that is XHTML",
        ),
        (
            r#""text":{"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"></div><a/>"}"#,
            "a narrative that is XHTML",
        ),
        (
            r#""contained":[{"resourceType":"Shoe"}]"#,
            "a type of resource that the release has",
        ),
    ] {
        let json = format!(r#"{{"resourceType":"Patient",{inner}}}"#);
        let document = Document::read(json.as_bytes()).unwrap();
        let error = Resource::of(&document.root(), Release::R4).unwrap_err();
        assert_eq!(error.expected, expected, "{inner}");
    }
}

/// Bytes that are often, but not always, something like a resource.
fn any_xml() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..4),
        "(<|>|/|</|/>|\"|'|=|&|;|<!--|-->|<!\\[CDATA\\[|]]>|<\\?|\\?>| |\n|a|:|div){1,5}"
            .prop_map(String::into_bytes),
        "</?(Patient|Bundle|entry|resource|contained|name|given|extension|id|div|text)>"
            .prop_map(String::into_bytes),
        "<(active|given|id|valueDecimal|birthDate|gender|extension)( (value|id|url)=\"(true|1.0|&amp;|x)\"){0,2}/>"
            .prop_map(String::into_bytes),
        Just(b"<div xmlns=\"http://www.w3.org/1999/xhtml\">".to_vec()),
        Just(b"<Patient xmlns=\"http://hl7.org/fhir\">".to_vec()),
        Just(b"<Bundle xmlns=\"http://hl7.org/fhir\"><entry><resource>".to_vec()),
    ];
    vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_json_or_an_error_that_has_a_place(bytes in any_xml()) {
        for release in Release::ALL {
            match json_of_xml(&bytes, release) {
                Ok(json) => {
                    prop_assert!(serde_json::from_str::<Value>(&json).is_ok(), "{json}");
                }
                Err(error) => prop_assert!(error.offset <= bytes.len(), "{error}"),
            }
        }
    }

    #[test]
    fn what_is_written_reads_as_it_was(
        family in "\\PC{0,12}|[\"<>&'\n\r\t\\\\]{0,4}",
        active: bool,
        number in "-?[1-9][0-9]{0,20}(\\.[0-9]{1,9})?",
        release in prop::sample::select(Release::ALL.to_vec()),
    ) {
        let family = Value::from(family).to_string();
        let json = format!(
            r#"{{"resourceType":"Patient","extension":[{{"url":"urn:x","valueDecimal":{number}}}],"active":{active},"name":[{{"family":{family}}}]}}"#
        );
        let document = Document::read(json.as_bytes()).unwrap();
        let resource = Resource::of(&document.root(), release).unwrap();
        let back = json_of_xml(resource.to_xml().as_bytes(), release).unwrap();
        prop_assert_eq!(&back, &resource.to_json());
        let (back, sent): (Value, Value) =
            (serde_json::from_str(&back).unwrap(), serde_json::from_str(&json).unwrap());
        prop_assert_eq!(back, sent);
        prop_assert!(resource.to_json().contains(&number));
    }
}
