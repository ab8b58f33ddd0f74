//! Elements: joined halves, arrays with holes, values as they were sent.

use super::super::Document;
use super::*;

fn with<T>(body: &str, ask: impl FnOnce(Node<'_>) -> T) -> T {
    ask(Document::read(body.as_bytes()).unwrap().root())
}

fn texts(nodes: Elements<'_>) -> Vec<Option<String>> {
    nodes.map(|node| node.text().map(Cow::into_owned)).collect()
}

const PATIENT: &str = r#"{
    "resourceType": "Patient", "id": "TEST-1",
    "birthDate": "1980-01-02",
    "_birthDate": {"id": "b", "extension": [{"url": "urn:time", "valueDateTime": "1980-01-02T03:04:05Z"}]},
    "_gender": {"extension": [{"url": "urn:why", "valueCode": "unknown"}]},
    "name": [{"family": "Ex\u0061mple", "given": ["Ada", null, "B."], "_given": [null, {"extension": [{"url": "urn:x"}]}]}],
    "active": null, "photo": [], "link": [null],
    "multipleBirthInteger": 2.50, "deceasedBoolean": false
}"#;

#[test]
fn a_primitive_element_is_its_value_and_what_stands_beside_it() {
    with(PATIENT, |patient| {
        let birth = patient.member("birthDate").unwrap();
        assert_eq!(birth.text().unwrap(), "1980-01-02");
        assert_eq!(birth.id().unwrap(), "b");
        let time = birth.extensions("urn:time").next().unwrap();
        assert_eq!(
            time.text_of("valueDateTime").unwrap(),
            "1980-01-02T03:04:05Z"
        );
        assert_eq!(birth.extensions("urn:other").count(), 0);
        let gender = patient.member("gender").unwrap();
        assert!(gender.text().is_none() && !gender.is_object());
        assert_eq!(gender.extensions("urn:why").count(), 1);
    });
}

#[test]
fn both_halves_of_an_array_are_joined_by_place_and_holes_are_left_out() {
    with(PATIENT, |patient| {
        let name = patient.member("name").unwrap();
        let given: Vec<Node<'_>> = name.members("given").collect();
        assert_eq!(
            texts(name.members("given")),
            [Some("Ada".into()), None, Some("B.".into())]
        );
        assert_eq!(given[1].extensions("urn:x").count(), 1);
        assert_eq!(given[0].members("extension").count(), 0);
        for nothing in ["active", "photo", "link", "contact"] {
            assert_eq!(patient.members(nothing).count(), 0, "{nothing}");
        }
    });
}

#[test]
fn values_are_what_was_sent() {
    with(PATIENT, |patient| {
        let number = patient.member("multipleBirthInteger").unwrap();
        assert_eq!(
            (number.number(), number.text().unwrap().as_ref()),
            (Some("2.50"), "2.50")
        );
        assert_eq!((number.boolean(), number.string()), (None, None));
        let dead = patient.member("deceasedBoolean").unwrap();
        assert_eq!((dead.boolean(), dead.number()), (Some(false), None));
        let name = patient.member("name").unwrap();
        assert_eq!(name.text_of("family").unwrap(), "Example");
        assert_eq!(name.member("family").unwrap().json(), "\"Ex\\u0061mple\"");
        assert!(name.is_object() && name.text().is_none());
        assert_eq!(patient.json(), PATIENT);
        assert_eq!(PATIENT.get(number.span()), Some("2.50"));
    });
}

#[test]
fn halves_that_do_not_fit_are_no_panic_and_no_other_elements() {
    let odd = r#"{"resourceType":"X","a":"1","_a":[{"id":"x"}],"b":["1"],"_b":{"id":"x"},
        "c":{"d":1},"_c":{"id":"x"},"_e":"text","_f":[[1]],"g":[["1"],"2"],"_":1}"#;
    with(odd, |node| {
        assert_eq!(texts(node.members("a")), [Some("1".into())]);
        assert_eq!(texts(node.members("b")), [Some("1".into())]);
        assert_eq!(node.member("c").unwrap().id(), None);
        assert_eq!(node.member("e").unwrap().members("extension").count(), 0);
        assert_eq!(node.members("f").count(), 0);
        assert_eq!(texts(node.members("g")), [Some("2".into())]);
        assert_eq!(node.members("").count(), 1);
    });
}

#[test]
fn no_debug_shows_a_value() {
    with(PATIENT, |patient| {
        let shown = [Some(patient), patient.member("birthDate")].map(|node| format!("{node:?}"));
        let object = format!("Some(Node(an object, {} bytes))", PATIENT.len());
        assert_eq!(shown, [object.as_str(), "Some(Node(a string, 12 bytes))"]);
    });
}
