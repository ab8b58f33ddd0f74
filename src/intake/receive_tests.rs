//! Tests of what the door reads from a frame, before anything is stored.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

const MSH: &str = "MSH|^~\\&|APP|FAC|HUB|CLINIC|20260102030405||ADT^A08|TEST-1|P^T|2.5.1\rPID|1\r";

fn feed() -> Feed {
    let zone = TimeZone::get("America/New_York").unwrap();
    Feed::new(TenantId(1), "riverside".into(), "epic-adt".into(), zone)
}

fn read(frame: &str) -> Vec<Read> {
    let feed = feed();
    let pieces = pieces(frame.as_bytes());
    pieces
        .iter()
        .map(|p| p.read(frame.as_bytes(), &feed, Timestamp::UNIX_EPOCH))
        .collect()
}

#[test]
fn a_message_is_stored_under_what_its_header_says() {
    let found = read(MSH);
    let arrival = &found[0].arrival;
    assert_eq!(found.len(), 1);
    assert_eq!(arrival.source, "epic-adt");
    assert_eq!(arrival.control_id, "TEST-1");
    assert_eq!(arrival.message_type, "ADT^A08");
    assert_eq!(arrival.processing_id, "P");
    assert_eq!(arrival.body, MSH.as_bytes());
    assert!(arrival.held.is_none());
}

#[test]
fn the_digest_is_sha_256_of_the_messages_bytes() {
    let hex: String = sha256(b"abc")
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        hex,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_ne!(
        read(MSH)[0].arrival.digest,
        read(&MSH.replace("PID|1", "PID|2"))[0].arrival.digest
    );
}

#[test]
fn the_event_time_is_that_of_the_sources_zone_unless_an_offset_is_given() {
    let time = |frame: &str| {
        read(frame)[0]
            .arrival
            .event_time
            .map(|time| time.to_string())
    };
    assert_eq!(time(MSH).as_deref(), Some("2026-01-02T08:04:05Z"));
    let offset = MSH.replace("20260102030405", "20260102030405+0000");
    assert_eq!(time(&offset).as_deref(), Some("2026-01-02T03:04:05Z"));
    assert_eq!(time(&MSH.replace("20260102030405", "202601")), None);
    assert_eq!(time(&MSH.replace("20260102030405", "soon")), None);
}

#[test]
fn bytes_without_a_header_are_held_and_still_wanted_an_answer() {
    for frame in ["", "PID|1||TEST\r", "MSH", "\u{0}\u{1}\u{fffd}"] {
        let found = read(frame);
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].arrival.held.as_ref().map(|held| held.0),
            Some(Code::NoHeader)
        );
        assert_eq!(found[0].arrival.body, frame.as_bytes());
        assert!(found[0].asker.wants && found[0].asker.header.is_none());
    }
}

#[test]
fn every_message_of_a_batch_is_stored_and_answered_in_order() {
    let frame = format!(
        "FHS|^~\\&\rBHS|^~\\&\r{MSH}{}BTS|2\rFTS|1\r",
        MSH.replace("-1", "-2")
    );
    let ids: Vec<_> = read(&frame)
        .into_iter()
        .map(|read| read.arrival.control_id)
        .collect();
    assert_eq!(ids, ["TEST-1", "TEST-2"]);
}

#[test]
fn lines_of_no_message_are_held_and_not_answered() {
    let found = read(&format!("PID|1||TEST\r{MSH}"));
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].arrival.body, b"PID|1||TEST\r");
    assert_eq!(
        found[0].arrival.held.as_ref().map(|held| held.0),
        Some(Code::NoHeader)
    );
    assert!(!found[0].asker.wants);
    assert!(found[1].asker.wants && found[1].arrival.held.is_none());
}

#[test]
fn a_frame_of_countless_messages_is_held_whole() {
    let frame = "MSH|^~\\&|A\r".repeat(MOST_MESSAGES + 1);
    let found = read(&frame);
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].arrival.held.as_ref().map(|held| held.0),
        Some(Code::TooLarge)
    );
    assert_eq!(found[0].arrival.body.len(), frame.len());
    assert!(found[0].asker.wants);
}

#[test]
fn columns_hold_no_control_characters_and_are_bounded() {
    let long = MSH.replace("TEST-1", &format!("A\u{0}B{}", "x".repeat(5000)));
    let arrival = &read(&long)[0].arrival;
    assert!(arrival.control_id.starts_with("ABxxx"));
    assert_eq!(arrival.control_id.chars().count(), CONTROL_ID);
}

proptest! {
    #[test]
    fn any_bytes_become_at_least_one_message_that_is_answered(
        frame in proptest::collection::vec(
            prop_oneof![
                Just(b"MSH|^~\\&|A|B|C|D|20260102030405||ADT^A08|T-1|P|2.5\r".to_vec()),
                Just(b"BTS|1\r".to_vec()),
                Just(b"# note\r".to_vec()),
                proptest::collection::vec(any::<u8>(), 0..30),
            ],
            0..8,
        )
    ) {
        let bytes = frame.concat();
        let feed = feed();
        let read: Vec<Read> = pieces(&bytes)
            .iter()
            .map(|piece| piece.read(&bytes, &feed, Timestamp::UNIX_EPOCH))
            .collect();
        prop_assert!(read.iter().any(|one| one.asker.wants));
        for one in &read {
            prop_assert_eq!(one.arrival.held.is_some(), one.asker.header.is_none());
        }
    }
}
