//! Tests of the index and of reading: every form of line end, and every byte accounted for.

use super::*;
use crate::hl7::{Header, Path, RelPath};
use proptest::prelude::*;

const ADT: &str = "MSH|^~\\&|TEST-APP|TEST-FAC|||20260102||ADT^A08^ADT_A01|TEST-1|P|2.5\r\
    PID|1||TEST-123^^^TEST&1.2.3&ISO^MR~TEST-9^^^OTHER^SS||Example^Ada^\"\"||19800102|\"\"|\\\"\\\"\r\
    EVN\rZA1|a\\T\\b||x\r";

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn read(message: &Message, text: &str) -> Option<String> {
    message.get(&path(text)).into_value().map(Cow::into_owned)
}

#[test]
fn reads_values() {
    let message = Message::parse(ADT).unwrap();
    for (place, expected) in [
        ("PID-3.1", "TEST-123"),
        ("PID-3[2].1", "TEST-9"),
        ("PID-3", "TEST-123^^^TEST&1.2.3&ISO^MR"),
        ("PID-3.4", "TEST"),
        ("PID-3.4.2", "1.2.3"),
        ("PID-7.1", "19800102"),
        ("PID-7.1.1", "19800102"),
        ("ZA1-1", "a&b"),
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
        ("MSH-2.1", "^~\\&"),
        ("MSH-3", "TEST-APP"),
        ("MSH-9.3", "ADT_A01"),
    ] {
        assert_eq!(read(&message, place).as_deref(), Some(expected), "{place}");
    }
    for place in [
        "PID-3.2",
        "PID-3[3].1",
        "PID-7.2",
        "PID-40",
        "PID[2]-3",
        "PV1-1",
        "EVN-1",
    ] {
        assert!(message.get(&path(place)).is_absent(), "{place}");
    }
}

#[test]
fn tells_null_from_absent() {
    let message = Message::parse(ADT).unwrap();
    for place in ["PID-5.3", "PID-8", "PID-8.1", "PID-8.4", "PID-9"] {
        assert!(message.get(&path(place)).is_null(), "{place}");
    }
    assert!(message.get(&path("PID-6")).is_absent());
}

#[test]
fn raw_is_as_sent() {
    let message = Message::parse(ADT).unwrap();
    assert_eq!(message.raw(&path("PID-3.4")), Some("TEST&1.2.3&ISO"));
    assert_eq!(message.raw(&path("ZA1-1")), Some("a\\T\\b"));
    assert_eq!(message.raw(&path("PID-3.2")), Some(""));
    assert_eq!(message.raw(&path("PID-3.9")), None);
    assert_eq!(message.raw(&path("PID-8")), Some("\"\""));
    assert_eq!(message.raw(&path("MSH-2.1")), Some("^~\\&"));
    assert_eq!(message.raw(&path("MSH-2.2")), None);
}

#[test]
fn takes_the_first_alternative_that_is_sent() {
    let message = Message::parse(ADT).unwrap();
    let first = |text| message.first(&Paths::parse(text).unwrap());
    assert_eq!(first("PID-2.1 | PID-3.1").value(), Some("TEST-123"));
    assert!(first("PID-2 | PID-8 | PID-3").is_null());
    assert!(first("PID-2 | PV1-2").is_absent());
}

#[test]
fn segments_know_their_places() {
    let message = Message::parse(format!("\u{feff}\x0b{ADT}EVN|2\r\x1c\r")).unwrap();
    let names: Vec<_> = message
        .segments()
        .map(|s| (s.name(), s.occurrence()))
        .collect();
    assert_eq!(
        names,
        [("MSH", 1), ("PID", 1), ("EVN", 1), ("ZA1", 1), ("EVN", 2)]
    );
    for segment in message.segments() {
        assert_eq!(message.text().get(segment.span()), Some(segment.raw()));
    }
    let pid = message.segments().nth(1).unwrap();
    assert_eq!(
        (pid.last_field(), pid.field(3).len(), pid.field(6).len()),
        (9, 2, 0)
    );
    assert_eq!(message.segments().next().unwrap().last_field(), 12);
    let second = pid.field(3)[1];
    assert_eq!(
        second.get(&RelPath::parse(".5").unwrap()).value(),
        Some("SS")
    );
    assert_eq!(
        (second.number(), second.raw(&RelPath::WHOLE)),
        (2, Some("TEST-9^^^OTHER^SS"))
    );
}

#[test]
fn any_line_end_and_blank_lines_will_do() {
    let plain = Message::parse(ADT).unwrap();
    for end in ["\n", "\r\n", "\r\r", "\r\n\r\n", "\r \r"] {
        let message = Message::parse(ADT.replace('\r', end)).unwrap();
        let raws = |m: &Message| m.segments().map(|s| s.raw().to_owned()).collect::<Vec<_>>();
        assert_eq!(raws(&message), raws(&plain));
        assert!(message.anomalies().is_empty());
    }
}

#[test]
fn broken_text_is_joined_and_noted() {
    let text = "MSH|^~\\&|||||||ORU^R01|1|P|2.5\rOBX|1|TX|N||All is well.\rNo finding|today\r\n\
        \r\nSigned.|||F\rNTE|1\r  ZA1|2\r";
    let message = Message::parse(text).unwrap();
    assert_eq!(read(&message, "OBX-5").unwrap(), "All is well.\nNo finding");
    assert_eq!(read(&message, "OBX-6").unwrap(), "today\n\nSigned.");
    assert_eq!(read(&message, "ZA1-1").unwrap(), "2");
    let broken = Anomaly {
        kind: AnomalyKind::BrokenLine,
        segment: 2,
    };
    let indented = Anomaly {
        kind: AnomalyKind::Indented,
        segment: 4,
    };
    assert_eq!(message.anomalies(), [broken, indented]);
}

#[test]
fn what_is_no_segment_and_no_text_is_an_error() {
    let parse = |body: &str| {
        Message::parse(format!("MSH|^~\\&|||||||ADT^A08|1|P|2.5\r{body}")).unwrap_err()
    };
    assert_eq!(parse("PID|1\rpv1|1"), ParseError::NotASegment { line: 3 });
    assert_eq!(parse("of the header"), ParseError::NotASegment { line: 2 });
    assert_eq!(parse("PID|1\ra\x02b"), ParseError::NotASegment { line: 3 });
    assert_eq!(
        parse("PID|1\r\nMSH|^~\\&|"),
        ParseError::SecondHeader { line: 3 }
    );
    assert_eq!(
        parse(&"PID\r".repeat(MAX_SEGMENTS)),
        ParseError::TooManySegments { line: 10_001 }
    );
    assert_eq!(
        Message::parse("PID|1").unwrap_err(),
        HeaderError::NoHeader.into()
    );
    let large = "x".repeat(MAX_MESSAGE_BYTES);
    assert!(matches!(
        Message::parse(format!("MSH|^~\\&|{large}")).unwrap_err(),
        ParseError::TooLarge { .. }
    ));
}

#[test]
fn reads_bytes_in_their_charset() {
    let bytes = b"MSH|^~\\&|||||||ADT^A08|1|P|2.5||||||8859/1\rPID|||||Jos\xe9^\\XC9\\";
    let message = Message::read(bytes, None).unwrap();
    assert_eq!(read(&message, "PID-5.1").unwrap(), "José");
    assert_eq!(read(&message, "PID-5.2").unwrap(), "É");
    let unnamed = b"MSH|^~\\&|||||||ADT^A08|1|P|2.5\rPID|||||Jos\xe9";
    assert!(matches!(
        Message::read(unnamed, None),
        Err(ReadError::Charset(_))
    ));
    let message = Message::read(unnamed, Some(Charset::Iso8859(1))).unwrap();
    assert_eq!(read(&message, "PID-5").unwrap(), "José");
    let escaped = b"MSH|^~\\&|||||||ADT^A08|1|P|2.5\rPID|||||Jos\\XE9\\";
    let message = Message::read(escaped, Some(Charset::Iso8859(1))).unwrap();
    assert_eq!(read(&message, "PID-5").unwrap(), "José");
}

#[test]
fn declared_delimiters_are_used() {
    let message =
        Message::parse("MSH^~|\\&^A^^^^^^ADT~A24\rPID^1^^T1~~~X|T2~~~Y^^E\\S\\A~B&C").unwrap();
    assert_eq!(read(&message, "PID-3[2].4").unwrap(), "Y");
    assert_eq!(read(&message, "PID-5.1").unwrap(), "E~A");
    assert_eq!(read(&message, "PID-5.2.2").unwrap(), "C");
    assert_eq!(read(&message, "MSH-9.2").unwrap(), "A24");
}

#[test]
fn shows_no_message_text() {
    let message = Message::parse(ADT).unwrap();
    assert_eq!(
        format!("{message:?}"),
        "Message[MSH 67, PID 87, EVN 3, ZA1 12]"
    );
    assert_eq!(
        format!("{:?}", message.get(&path("PID-5.1"))),
        "Value(7 bytes)"
    );
    assert_eq!(
        format!("{:?}", message.scope()),
        "[Segment(MSH 67), Segment(PID 87), Segment(EVN 3), Segment(ZA1 12)]"
    );
}

/// Lines as senders write them, good and bad.
fn any_line() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Z][A-Z0-9]{2}(\\|[a-z^~&\\\\\"é ]{0,6}){0,5}",
        "[ \t]{0,2}[A-Za-z0-9 .|=#é]{0,12}",
        Just("\u{feff}\x0b\x1c\0".to_owned()),
        "\\PC{0,8}",
    ]
}

proptest! {
    #[test]
    fn the_index_covers_every_byte(
        head in "(\u{feff}|\x0b|\r|\n| ){0,3}",
        lines in proptest::collection::vec((any_line(), "\r|\n|\r\n|\r\r"), 0..8),
        tail in "(\x1c|\r|\n|\0){0,3}",
    ) {
        let body: String = lines.iter().map(|(line, end)| format!("{line}{end}")).collect();
        let text = format!("{head}MSH|^~\\&|A\r{body}{tail}");
        if let Ok(message) = Message::parse(text.as_str()) {
            let mut at = 0;
            let mut kept = String::new();
            for segment in message.segments() {
                let span = segment.span();
                prop_assert!(at <= span.start && span.start < span.end);
                kept.push_str(text.get(at..span.start).unwrap());
                at = span.end;
                // A joined segment differs from its span in line ends and blanks only.
                let without = |t: &str| t.replace(['\r', '\n', ' ', '\t', '\0', '\x0b', '\x1c', '\u{feff}'], "");
                prop_assert_eq!(without(segment.raw()), without(text.get(span).unwrap()));
                prop_assert!(segment.raw().starts_with(segment.name()));
            }
            kept.push_str(text.get(at..).unwrap());
            let noise = |c: char| " \t\r\n\0\x0b\x1c\u{feff}".contains(c);
            prop_assert!(kept.chars().all(noise), "lost: {:?}", kept);
        }
    }

    #[test]
    fn header_and_message_agree(id in "[A-Za-z0-9 -]{1,12}", app in "[A-Z^&]{0,8}") {
        let text = format!("MSH|^~\\&|{app}||||||ADT^A08|{id}|P|2.5\rPID|1");
        let (message, header) = (Message::parse(text.as_str()).unwrap(), Header::read(text.as_bytes()).unwrap());
        prop_assert_eq!(message.raw(&path("MSH-10")), Some(header.control_id.as_str()));
        prop_assert_eq!(message.raw(&path("MSH-3")), Some(header.sending_application.as_str()));
    }
}
