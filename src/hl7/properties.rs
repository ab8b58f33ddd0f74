//! Properties of the whole module over arbitrary input: nothing panics, nothing goes missing.

use jiff::tz::TimeZone;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Bytes that are often, but not always, something like a message.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..12),
        "(MSH|PID|FHS|BHS|BTS|FTS|OBX|#|NTE)([|^~&\\\\].{0,8})?[\r\n]{0,2}"
            .prop_map(String::into_bytes),
        "MSH[|^]([\\^~\\\\&#|]{0,6})[|^][^\r\n]{0,12}[\r\n]".prop_map(String::into_bytes),
        Just(b"MSH|^~\\&|A|B|C|D|2026||ADT^A08|T1|P|2.5||||||8859/1\r".to_vec()),
        Just(b"\x0b\xef\xbb\xbf\x1c\0".to_vec()),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn any_delimiters() -> impl Strategy<Value = Delimiters> {
    prop_oneof![
        Just(Delimiters::default()),
        Just(Delimiters {
            truncation: Some(b'#'),
            ..Delimiters::default()
        }),
        Just(Delimiters {
            subcomponent: None,
            ..Delimiters::default()
        }),
        Just(Delimiters {
            field: b'^',
            component: b'~',
            repetition: b'|',
            ..Delimiters::default()
        }),
    ]
}

proptest! {
    #[test]
    fn splitting_covers_every_byte_once(bytes in any_bytes()) {
        let found = split(&bytes);
        prop_assert!(!found.messages.is_empty());
        let without_header = found.messages.first() == Some(&(0..bytes.len()));
        let mut ranges = [found.messages, found.comments, found.stray].concat();
        if !without_header {
            ranges.extend(found.envelope);
        }
        ranges.sort_by_key(|range| (range.start, range.end));
        let mut at = 0;
        for range in ranges {
            prop_assert_eq!(range.start, at);
            at = range.end;
        }
        prop_assert_eq!(at, bytes.len());
    }

    #[test]
    fn no_bytes_panic_anything(bytes in any_bytes()) {
        let now = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        for range in split(&bytes).messages {
            let part = &bytes[range];
            let header = Header::read(part).ok();
            let _salvaged = Header::salvage(part);
            let reply = ack::answer(header.as_ref(), AckCode::AE, Some("a|b\r"), &now, "T");
            prop_assert!(Header::read(&reply).is_ok());
            let Some(header) = header else { continue };
            let _shown = (header.message_type(), ack::accept_code(&header, Outcome::Stored));
            let _text = charset::decode(part, &header, Some(Charset::Windows1252));
            let Ok(message) = Message::read(part, Some(Charset::Iso8859(1))) else { continue };
            for segment in message.segments() {
                for number in 0..=segment.last_field() + 1 {
                    for repetition in segment.field(number) {
                        for relative in [".", ".1", ".2", ".1.2"] {
                            let relative = RelPath::parse(relative).unwrap();
                            let _value = (repetition.get(&relative), repetition.raw(&relative));
                        }
                    }
                }
            }
            let groups = message.groups(&["PID", "OBX"], &["NTE"]);
            let inside: usize = groups.iter().map(|group| group.segments().len()).sum();
            prop_assert!(inside <= message.segments().count());
        }
    }

    #[test]
    fn a_reply_echoes_the_control_id(id in vec(any::<u8>().prop_filter("ends", |b| !b"|\r\n\x1c".contains(b)), 0..12)) {
        let msh = [b"MSH|^~\\&|A||B||||ADT^A08|".as_slice(), &id, b"|P|2.5"].concat();
        let now = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        let reply = ack::answer(Some(&Header::read(&msh).unwrap()), AckCode::AA, None, &now, "T");
        let msa = [b"\rMSA|AA|".as_slice(), &id, b"|\r"].concat();
        prop_assert!(reply.windows(msa.len()).any(|window| window == msa));
    }

    #[test]
    fn any_text_may_be_a_path_or_a_timestamp(text in "\\PC{0,20}|[A-Z0-9.\\-\\[\\]| +]{0,24}") {
        if let Ok(path) = Path::parse(&text) {
            prop_assert_eq!(Path::parse(&path.to_string()), Ok(path));
        }
        if let Ok(paths) = Paths::parse(&text) {
            prop_assert_eq!(Paths::parse(&paths.to_string()), Ok(paths));
        }
        if let Ok(relative) = RelPath::parse(&text) {
            prop_assert_eq!(RelPath::parse(&relative.to_string()), Ok(relative));
        }
        if let Ok(timestamp) = Timestamp::parse(&text) {
            let _resolved = (timestamp.to_date_string(), timestamp.to_instant(&TimeZone::UTC));
        }
    }

    #[test]
    fn digits_are_a_timestamp_or_not(text in "[0-9]{4,20}(\\.[0-9]{0,9})?([+-][0-9]{4})?") {
        if let Ok(timestamp) = Timestamp::parse(&text) {
            let shown = timestamp.to_date_string();
            prop_assert_eq!(shown.get(..4), text.get(..4));
            let resolved = timestamp.to_instant(&TimeZone::UTC);
            prop_assert!(resolved.is_some() || timestamp.precision() < timestamp::Precision::Hour
                || text.starts_with("9999"));
        }
    }

    #[test]
    fn what_is_escaped_is_read_back(text in "\\PC{0,20}|[|^~&\\\\#XEFT0-9a\r\n.]{0,24}", delimiters in any_delimiters()) {
        let encoded = escape::encode(&text, &delimiters).into_owned();
        prop_assert_eq!(escape::decode(&encoded, &delimiters, Charset::Utf8), text.as_str());
        prop_assert!(!encoded.contains(['\r', '\n', char::from(delimiters.field)]));
        let _any = escape::decode(&text, &delimiters, Charset::Iso8859(1));
    }
}
