//! Codes that are owed, and answers as senders read them.

use jiff::Zoned;

use super::*;

fn reply(msh: &[u8], code: AckCode, text: Option<&str>) -> String {
    let now: Zoned = "2026-01-02T03:04:05+01:00[+01:00]".parse().unwrap();
    let header = Header::read(msh).ok();
    let msa = Msa {
        text,
        ..Msa::of(code)
    };
    let bytes = answer(header.as_ref(), &msa, &now, "ID-1");
    bytes.into_iter().map(char::from).collect()
}

#[test]
fn swaps_and_echoes() {
    let msh = b"MSH|^~\\&|APP^1|FAC|HUB|CLINIC|2026||ADT^A08^ADT_A01|T 1\xe9 |P^T|2.5.1";
    assert_eq!(
        reply(msh, AckCode::AA, None),
        "MSH|^~\\&|HUB|CLINIC|APP^1|FAC|20260102030405+0100||ACK^A08^ACK|ID-1|P^T|2.5.1\r\
         MSA|AA|T 1\u{e9} |\r"
    );
}

#[test]
fn speaks_the_senders_delimiters_charset_and_version() {
    let msh = b"MSH^~|\\&^APP^FAC^HUB^CLINIC^2026^^ADT~A08^T1^P^2.3^^^^^^8859/1";
    assert_eq!(
        reply(msh, AckCode::AE, Some("a^b \u{e9}")),
        "MSH^~|\\&^HUB^CLINIC^APP^FAC^20260102030405+0100^^ACK~A08^ID-1^P^2.3^^^^^^8859/1\r\
         MSA^AE^T1^a\\F\\b \u{e9}\rERR^~~~207&Application internal error&HL70357\r"
    );
    let reply = reply(
        b"MSH|^~&|||||||ADT^A08|T1|P|2.1",
        AckCode::AA,
        Some("a|\rb\u{20ac}"),
    );
    assert!(
        reply.contains("||ACK|ID-1|P|2.1\rMSA|AA|T1|a  b?\r"),
        "{reply}"
    );
}

#[test]
fn an_answer_to_unusable_delimiters_declares_its_own() {
    let now: Zoned = "2026-01-02T03:04:05+01:00[+01:00]".parse().unwrap();
    let msh = "MSH|^\u{fffd}\\&|APP|FAC|HUB|CLINIC|2026||ADT^A08|T1|P|2.5".as_bytes();
    assert!(Header::read(msh).is_err());
    let bytes = answer(
        Header::salvage(msh).as_ref(),
        &Msa::of(AckCode::AA),
        &now,
        "ID-1",
    );
    assert!(bytes.starts_with(b"MSH|^~\\&|HUB|CLINIC|APP|FAC|"));
    assert!(Header::read(&bytes).is_ok());
}

#[test]
fn an_error_names_its_code_where_the_version_has_it() {
    let reply = reply(
        b"MSH|^~\\&|||||||ADT^A08|T1|P|2.5",
        AckCode::CE,
        Some("disk full"),
    );
    let err = "ERR|||207^Application internal error^HL70357|E||||disk full\r";
    assert!(reply.ends_with(err), "{reply}");
}

#[test]
fn answers_without_a_header() {
    assert_eq!(
        reply(b"junk", AckCode::AA, None),
        "MSH|^~\\&|||||20260102030405+0100||ACK|ID-1|P|2.5\rMSA|AA||\r"
    );
}

#[test]
fn owes_what_the_sender_asks_for() {
    use AckCode::{AA, AE, CA, CE};
    for (msh_15_16, stored, failed, application) in [
        ("", Some(AA), Some(AE), None),
        ("AL|NE", Some(CA), Some(CE), None),
        ("NE|NE", None, None, None),
        ("ER|AL", None, Some(CE), Some(AA)),
        ("SU|ER", Some(CA), None, None),
        ("|AL", None, None, Some(AA)),
        ("XX|", Some(CA), Some(CE), None),
    ] {
        let msh = format!("MSH|^~\\&|||||||ADT^A08|T1|P|2.5|||{msh_15_16}");
        let header = Header::read(msh.as_bytes()).unwrap();
        assert_eq!(accept_code(&header, Outcome::Stored), stored, "{msh_15_16}");
        assert_eq!(
            accept_code(&header, Outcome::TemporaryFailure),
            failed,
            "{msh_15_16}"
        );
        assert_eq!(
            application_code(&header, Outcome::Stored),
            application,
            "{msh_15_16}"
        );
    }
}
#[test]
fn an_application_error_names_place_and_code() {
    let now: Zoned = "2026-01-02T03:04:05+01:00[+01:00]".parse().unwrap();
    let write = |msh: &[u8]| {
        let msa = Msa {
            fault: Some(Fault {
                condition: Condition::TableValue,
                code: "unmapped-code",
                place: "OBX[2]-5.1: expected a code of the table, found another",
            }),
            accept: Some("AL"),
            ..Msa::of(AckCode::AE)
        };
        let bytes = answer(Header::read(msh).ok().as_ref(), &msa, &now, "ID-1");
        String::from_utf8(bytes).unwrap()
    };
    let new = write(b"MSH|^~\\&|A|F|H|C|2026||ADT^A08|T1|P|2.5.1|||AL|AL||8859/1");
    let text = "OBX[2]-5.1: expected a code of the table, found another";
    assert_eq!(
        new,
        format!(
            "MSH|^~\\&|H|C|A|F|20260102030405+0100||ACK^A08^ACK|ID-1|P|2.5.1|||AL|NE||8859/1\r\
             MSA|AE|T1|\r\
             ERR||OBX^2^5^1^1|103^Table value not found^HL70357|E|unmapped-code^^careloop||{text}|\r"
        )
    );
    let old = write(b"MSH|^~\\&|A|F|H|C|2026||ADT^A08|T1|P|2.3");
    let err = "ERR|OBX^2^5^103&Table value not found&HL70357\r";
    assert!(old.ends_with(err), "{old}");
}

#[test]
fn a_sequence_number_stands_in_its_field() {
    let now: Zoned = "2026-01-02T03:04:05+01:00[+01:00]".parse().unwrap();
    let header = Header::read(b"MSH|^~\\&|||||||ADT^A08|T1|P|2.5|0");
    let msa = Msa {
        sequence: Some(-1),
        ..Msa::of(AckCode::AA)
    };
    let bytes = answer(header.ok().as_ref(), &msa, &now, "ID-1");
    assert!(bytes.ends_with(b"\rMSA|AA|T1||-1\r"));
}

#[test]
fn an_acknowledgement_is_never_answered_by_an_application_acknowledgement() {
    for code in ["ACK^A08^ACK", "ACK", "MCF"] {
        for (msh_15_16, owed) in [
            ("", Some(AckCode::CA)),
            ("AL|AL", Some(AckCode::CA)),
            ("NE|AL", None),
        ] {
            let msh = format!("MSH|^~\\&|||||||{code}|T1|P|2.5|||{msh_15_16}");
            let header = Header::read(msh.as_bytes()).unwrap();
            assert_eq!(accept_code(&header, Outcome::Stored), owed, "{msh}");
            assert_eq!(application_code(&header, Outcome::Stored), None, "{msh}");
        }
    }
}

#[test]
fn an_answer_to_wide_characters_is_wide() {
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let header = Header::read(&wide("MSH|^~\\&|||||||ADT^A08|T1|P|2.5")).unwrap();
    let now: Zoned = "2026-01-02T03:04:05+01:00[+01:00]".parse().unwrap();
    let bytes = answer(Some(&header), &Msa::of(AckCode::AA), &now, "ID-1");
    assert!(bytes.ends_with(&wide("MSA|AA|T1|\r")));
}

#[test]
fn what_an_acknowledgement_says_is_read_from_its_bytes() {
    let of = |msa: &str| {
        let bytes = format!("MSH|^~\\&|||||||ACK|1|P|2.5\r{msa}\rERR|x").into_bytes();
        let said = said(&bytes, &Header::read(&bytes).unwrap());
        said.map(|(code, id)| (code, String::from_utf8(id.to_vec()).unwrap()))
    };
    assert_eq!(of("MSA|AE|T-1|text"), Some((AckCode::AE, "T-1".to_owned())));
    assert_eq!(of("MSA|cr"), Some((AckCode::CR, String::new())));
    assert_eq!(of("MSA|Ada Example|T-1"), None);
    assert_eq!(of("MSAX|AE"), None);
}

#[test]
fn an_unfinished_switch_of_characters_swallows_nothing_of_the_answer() {
    let now: Zoned = "2026-01-02T03:04:05+01:00[+01:00]".parse().unwrap();
    // MSH-6 opens a set of two bytes and the segment ends; MSH-18 in turn names one that takes pairs.
    let switched = b"MSH|^~\\&|APP|FAC|HUB|\x1b$B$\"";
    let halved = b"MSH|^~\xff&|APP|FAC|HUB|A|2026||ADT^A08\x81||T1|P|2.5||||||GB 18030-2000";
    // `$` separates, and is the middle of the switch that MSH-5 lies behind.
    let parted = b"MSH$^~\\&$APP$\x1b$(\x1b$(D\x1b$B1$2026$$ADT^A08";
    // MSH-2 ends in half a switch, where nothing has a meaning any more.
    let declared = b"MSH|^~\\&#:+\x1b|\x1b(J'\0\0''\x8d!-b|P|:|\x1b|\x1b(J'";
    for msh in [switched.as_slice(), halved, parted, declared] {
        let header = Header::read(msh).ok().or_else(|| Header::salvage(msh));
        let bytes = answer(header.as_ref(), &Msa::of(AckCode::AA), &now, "ID-1");
        let read = Header::read(&bytes).unwrap();
        assert_eq!((&*read.message_code, &*read.control_id), ("ACK", "ID-1"));
    }
}
