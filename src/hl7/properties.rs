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

fn answered(header: Option<&Header>, code: AckCode) -> Vec<u8> {
    let now = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    let said = ack::Msa {
        text: (code == AckCode::AE).then_some("a|b\r"),
        sequence: (code == AckCode::AE).then_some(-1),
        ..ack::Msa::of(code)
    };
    ack::answer(header, &said, &now, "T")
}

proptest! {
    #[test]
    fn what_a_charset_writes_it_reads_back(text in "\\PC{0,24}") {
        let several = [Charset::Gb18030, Charset::KsX1001, Charset::Big5, Charset::Iso8859(2)];
        for charset in several {
            let Some(bytes) = charset::encode(&text, charset) else { continue };
            if let Ok(read) = charset.decode(&bytes) {
                prop_assert_eq!(read, text.as_str(), "{:?}", charset);
            }
        }
    }

    #[test]
    fn ascii_is_ascii_in_every_charset_without_switches(text in "[ -~]{0,40}") {
        for name in ["8859/5", "GB 18030-2000", "KS X 1001", "BIG-5", "ISO IR14", "ISO IR87"] {
            let charset = Charset::parse(name).unwrap();
            prop_assert_eq!(charset.decode(text.as_bytes()).unwrap(), text.as_str(), "{}", name);
        }
    }

    #[test]
    fn no_bytes_panic_a_charset_and_errors_lie_inside(bytes in vec(any::<u8>(), 0..48), switch in vec(0_u8..=6, 0..6)) {
        let codes: [&[u8]; 7] = [b"\x1b$B", b"\x1b(B", b"\x1b(I", b"\x1b$(D", b"\x1b-B", b"\\C2842\\", b"\\M2442\\"];
        let switched = switch.iter().flat_map(|at| [codes[usize::from(*at)], &bytes]).flatten().copied();
        let bytes: Vec<u8> = bytes.iter().copied().chain(switched).collect();
        for name in ["GB 18030-2000", "KS X 1001", "BIG-5", "ISO IR14", "ISO IR87", "8859/1"] {
            let charset = Charset::parse(name).unwrap();
            match charset.decode_escaped(&bytes, Some(b'\\')) {
                Ok(text) => prop_assert!(text.len() <= bytes.len() * 4),
                Err(CharsetError::Undecodable { offset, .. }) => prop_assert!(offset < bytes.len()),
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }

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
        for range in split(&bytes).messages {
            let part = &bytes[range];
            let header = Header::read(part).ok();
            let _salvaged = Header::salvage(part);
            let reply = answered(header.as_ref(), AckCode::AE);
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
        let reply = answered(Some(&Header::read(&msh).unwrap()), AckCode::AA);
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
