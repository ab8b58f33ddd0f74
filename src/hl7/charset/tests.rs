//! Spellings, sets, switches and what is never substituted.

use super::*;

fn header(msh_18: &str) -> Header {
    Header::read(format!("MSH|^~\\&|||||||ADT^A08|1|P|2.5||||||{msh_18}").as_bytes()).unwrap()
}

#[test]
fn knows_the_spellings() {
    for (name, expected) in [
        ("8859/1", Charset::Iso8859(1)),
        ("8859/15", Charset::Iso8859(15)),
        ("ISO-8859-9", Charset::Iso8859(9)),
        ("iso_8859-2", Charset::Iso8859(2)),
        ("UNICODE UTF-8", Charset::Utf8),
        ("utf8", Charset::Utf8),
        ("WINDOWS-1252", Charset::Windows1252),
        ("CP1252", Charset::Windows1252),
        ("ASCII", Charset::Ascii),
        ("ISO IR6", Charset::Ascii),
        ("GB 18030-2000", Charset::Gb18030),
        ("KS X 1001", Charset::KsX1001),
        ("BIG-5", Charset::Big5),
        ("ISO IR87", switching(Right::Empty)),
        ("ISO IR14", switching(Right::Katakana)),
    ] {
        assert_eq!(Charset::parse(name), Some(expected), "{name}");
        assert_eq!(Charset::parse(expected.name()), Some(expected));
    }
    for name in ["8859/12", "8859/17", "CNS 11643-1992", "UNICODE UTF-16"] {
        assert_eq!(Charset::parse(name), None, "{name}");
    }
}

#[test]
fn reads_what_is_declared() {
    let read = |bytes, msh_18| decode(bytes, &header(msh_18), None).map(Cow::into_owned);
    assert_eq!(read(b"Caf\xe9", "8859/1"), Ok("Café".to_owned()));
    assert_eq!(read(b"\xa4 5", "8859/15"), Ok("€ 5".to_owned()));
    assert_eq!(read(b"\xdd", "8859/9"), Ok("İ".to_owned()));
    assert_eq!(read(b"\xa1", "8859/11"), Ok("ก".to_owned()));
    assert_eq!(read(b"\x80", "8859/1"), Ok("\u{80}".to_owned()));
    assert_eq!(read(b"\x80", "CP1252"), Ok("€".to_owned()));
    assert_eq!(read("Café".as_bytes(), ""), Ok("Café".to_owned()));
    assert_eq!(
        read("Café".as_bytes(), "UNICODE UTF-8~8859/1"),
        Ok("Café".to_owned())
    );
}

#[test]
fn never_substitutes() {
    let read = |bytes, msh_18, default| decode(bytes, &header(msh_18), default).unwrap_err();
    let error = read(b"Caf\xe9", "", None);
    assert_eq!(
        error,
        CharsetError::Undecodable {
            offset: 3,
            charset: Charset::Ascii
        }
    );
    assert_eq!(
        error.to_string(),
        "byte 3: expected ASCII, found a byte outside of it"
    );
    let error = read(b"a\xff", "UNICODE UTF-8", Some(Charset::Iso8859(1)));
    assert_eq!(
        error,
        CharsetError::Undecodable {
            offset: 1,
            charset: Charset::Utf8
        }
    );
    let error = read(b"a", "CNS 11643-1992", None);
    assert!(error.to_string().ends_with("found CNS 11643-1992"));
    assert!(error.to_string().contains("GB 18030-2000"), "{error}");
    let error = read(b"a", "Example^Ada", None);
    assert_eq!(error, CharsetError::Unsupported { found: None });
    let error = read(b"a\x1b$(Ga", "ASCII~CNS 11643-1992", None);
    assert!(matches!(
        error,
        CharsetError::Unsupported { found: Some(_) }
    ));
    let error = read(b"\x81", "CP1252", None);
    assert_eq!(
        error,
        CharsetError::Undecodable {
            offset: 0,
            charset: Charset::Windows1252
        }
    );
}

#[test]
fn a_default_serves_only_where_nothing_is_declared() {
    let latin = Some(Charset::Iso8859(1));
    assert_eq!(decode(b"Caf\xe9", &header(""), latin).unwrap(), "Café");
    assert_eq!(decode("é".as_bytes(), &header(""), latin).unwrap(), "é");
}

#[test]
fn every_one_byte_charset_round_trips() {
    let parts = (1..=16).filter(|&p| p != 12).map(Charset::Iso8859);
    for charset in parts.chain([Charset::Windows1252]) {
        for byte in 0..=255_u8 {
            let bytes = [byte];
            if let Ok(text) = charset.decode(&bytes) {
                assert_eq!(
                    encode(&text, charset).as_deref(),
                    Some(&bytes[..]),
                    "{charset:?}"
                );
            }
        }
    }
    assert_eq!(encode("é", Charset::Ascii), None);
    assert_eq!(encode("日", Charset::Iso8859(1)), None);
}
const fn switching(right: Right) -> Charset {
    Charset::Iso2022 { right }
}

#[test]
fn reads_the_sets_of_several_bytes() {
    let read = |bytes, msh_18| decode(bytes, &header(msh_18), None).map(Cow::into_owned);
    assert_eq!(read(b"\xb2\xa1\xd4\xba", "GB 18030-2000").unwrap(), "病院");
    assert_eq!(read(b"\xaff\xb0|", "BIG-5").unwrap(), "病院");
    assert_eq!(read(b"\xba\xb4\xbf\xf8", "KS X 1001").unwrap(), "병원");
    for (msh_18, charset) in [
        ("GB 18030-2000", Charset::Gb18030),
        ("BIG-5", Charset::Big5),
        ("KS X 1001", Charset::KsX1001),
    ] {
        let error = decode(b"ab\xff", &header(msh_18), None).unwrap_err();
        assert_eq!(error, CharsetError::Undecodable { offset: 2, charset });
    }
}

#[test]
fn follows_the_switches_of_iso_2022() {
    let read = |bytes, msh_18| decode(bytes, &header(msh_18), None).map(Cow::into_owned);
    for msh_18 in [
        "ISO IR87",
        "~ISO IR87",
        "ASCII~ISO IR87~ISO IR159",
        "ISO IR14~ISO IR87",
    ] {
        let text = read(b"A^\x1b$BIB1!\x1b(B^\x1b(J~\\\x1b(B|", msh_18);
        assert_eq!(text.unwrap(), "A^病院^~\\|", "{msh_18}");
    }
    assert_eq!(read(b"\xb1\xdd|", "ISO IR14").unwrap(), "\u{ff71}\u{ff9d}|");
    assert_eq!(read(b"\x1b(I1\x1b(B", "ISO IR87").unwrap(), "\u{ff71}");
    assert_eq!(read(b"\x1b$(D0!\x1b(B", "~ISO IR159").unwrap(), "丂");
    let latin = b"\xe9\\C2D42\\\xb1\\C2D41\\\xe9";
    assert_eq!(read(latin, "8859/1~8859/2").unwrap(), "éąé");
    assert_eq!(read(b"\\M2442\\IB\\C2842\\x", "~ISO IR87").unwrap(), "病x");
    let broken = decode(b"a\x1b$BI", &header("ISO IR87"), None).unwrap_err();
    assert!(
        matches!(broken, CharsetError::Undecodable { offset: 4, .. }),
        "{broken:?}"
    );
    let unknown = decode(b"a\x1b$(Ga", &header("ISO IR87"), None).unwrap_err();
    assert!(
        matches!(unknown, CharsetError::Undecodable { offset: 1, .. }),
        "{unknown:?}"
    );
    // A switch is not followed where none is declared.
    assert_eq!(read(b"\\C2842\\", "8859/1").unwrap(), "\\C2842\\");
}

#[test]
fn delimiters_inside_of_characters_do_not_cut_the_header() {
    // 0x7c is the second byte of both characters.
    let big5 = b"MSH|^~\\&|\xb0|\xb0||FAC|HUB||2026||ADT^A08|T-1|P|2.5||||||BIG-5";
    let read = Header::read(big5).unwrap();
    assert_eq!(
        (read.control_id.as_str(), read.sending_facility.as_str()),
        ("T-1", "FAC")
    );
    assert_eq!(read.raw_field(3), b"\xb0|\xb0|");
    let japanese = b"MSH|^~\\&|\x1b$B0|0|\x1b(B|FAC|HUB||2026||ADT^A08|T-2|P|2.5||||||~ISO IR87";
    let read = Header::read(japanese).unwrap();
    assert_eq!(
        (read.control_id.as_str(), read.sending_facility.as_str()),
        ("T-2", "FAC")
    );
}

#[test]
fn wide_messages_are_told_by_their_first_bytes() {
    let text = "MSH|^~\\&|病院|FAC|||2026||ADT^A08|T-1|P|2.5||||||UNICODE UTF-16\rPID|1||é";
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let read = Header::read(&bytes).unwrap();
    assert_eq!(read.control_id, "T-1");
    assert_eq!(decode(&bytes, &read, None).unwrap(), text);
    // The name alone says nothing of the bytes.
    let error = decode(
        text.as_bytes(),
        &Header::read(text.as_bytes()).unwrap(),
        None,
    )
    .unwrap_err();
    assert!(error.to_string().contains("another width"), "{error}");
}
