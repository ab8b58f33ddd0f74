//! Bytes to text and back by the charset that MSH-18 names; nothing is ever substituted.

use std::borrow::Cow;

use encoding_rs::Encoding;

use super::header::Header;

/// A charset of HL7 table 0211 that can be read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Charset {
    /// Seven bits; also what an empty MSH-18 means (HL7 v2.5.1 2.14.9.18).
    Ascii,
    /// `UNICODE UTF-8`.
    Utf8,
    /// `8859/n`, for n of 1 to 11 and 13 to 16.
    Iso8859(u8),
    /// Windows code page 1252, which the table lacks and senders use.
    Windows1252,
}

/// Why bytes could not be read as text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CharsetError {
    /// MSH-18 names a charset that is not read here.
    #[error("MSH-18: expected ASCII, 8859/n, UNICODE UTF-8 or WINDOWS-1252, found another charset")]
    Unsupported,
    /// A byte has no meaning in the charset.
    #[error("byte {offset}: expected {}, found a byte outside of it", charset.name())]
    Undecodable {
        /// Offset in the bytes given.
        offset: usize,
        /// The charset that was tried.
        charset: Charset,
    },
}

impl Charset {
    /// Reads a name as in MSH-18, in any case and with any spacing: `8859/1`, `ISO-8859-1`,
    /// `UNICODE UTF-8`, `utf8`, `CP1252`, `ASCII`. `None` for one that is not read here.
    #[must_use]
    pub fn parse(name: &str) -> Option<Charset> {
        let kept = name.chars().filter(char::is_ascii_alphanumeric);
        let name: String = kept.map(|c| c.to_ascii_uppercase()).collect();
        match name.as_str() {
            "ASCII" | "USASCII" | "ISOIR6" | "ISO646" | "ISO646US" => Some(Charset::Ascii),
            "UTF8" | "UNICODEUTF8" | "UNICODE" | "ISO10646UTF8" => Some(Charset::Utf8),
            "WINDOWS1252" | "CP1252" | "WIN1252" | "ANSI1252" => Some(Charset::Windows1252),
            "LATIN1" | "ISOIR100" => Some(Charset::Iso8859(1)),
            _ => {
                let name = name.strip_prefix("ISO").unwrap_or(&name);
                let number = name.strip_prefix("8859")?.parse().ok()?;
                matches!(number, 1..=11 | 13..=16).then_some(Charset::Iso8859(number))
            }
        }
    }

    /// The name that goes into MSH-18.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Charset::Ascii => "ASCII",
            Charset::Utf8 => "UNICODE UTF-8",
            Charset::Windows1252 => "WINDOWS-1252",
            Charset::Iso8859(part) => match part {
                1 => "8859/1",
                2 => "8859/2",
                3 => "8859/3",
                4 => "8859/4",
                5 => "8859/5",
                6 => "8859/6",
                7 => "8859/7",
                8 => "8859/8",
                9 => "8859/9",
                10 => "8859/10",
                11 => "8859/11",
                13 => "8859/13",
                14 => "8859/14",
                15 => "8859/15",
                16 => "8859/16",
                _ => "8859",
            },
        }
    }

    /// Reads `bytes` as text of this charset.
    ///
    /// # Errors
    /// [`CharsetError::Undecodable`] at the first byte without a meaning.
    pub fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>, CharsetError> {
        let stop = bytes.iter().position(|b| !b.is_ascii());
        let fail = |offset| CharsetError::Undecodable {
            offset,
            charset: self,
        };
        if let Charset::Utf8 = self {
            let text = std::str::from_utf8(bytes).map_err(|e| fail(e.valid_up_to()))?;
            return Ok(Cow::Borrowed(text));
        }
        match (stop, self) {
            (None, _) => Charset::Utf8.decode(bytes),
            (Some(offset), Charset::Ascii) => Err(fail(offset)),
            (Some(_), _) => {
                // The table pays only for long texts; hex escapes are a byte or two.
                let table = (bytes.len() > 128).then(|| self.table());
                let mut text = String::with_capacity(bytes.len() + bytes.len() / 8);
                for (offset, &byte) in bytes.iter().enumerate() {
                    let high = usize::from(byte).checked_sub(0x80);
                    let read = match (high, &table) {
                        (None, _) => Some(char::from(byte)),
                        (Some(place), Some(table)) => table.get(place).copied().flatten(),
                        (Some(_), None) => self.high(byte),
                    };
                    text.push(read.ok_or_else(|| fail(offset))?);
                }
                Ok(Cow::Owned(text))
            }
        }
    }

    /// What the bytes 80 to FF mean in a charset of one byte per character.
    fn table(self) -> [Option<char>; 128] {
        let mut table = [None; 128];
        for (byte, place) in (0x80_u8..=0xff).zip(table.iter_mut()) {
            *place = self.high(byte);
        }
        table
    }

    /// What one byte of 80 to FF means in a charset of one byte per character.
    fn high(self, byte: u8) -> Option<char> {
        // encoding_rs follows the web: its 8859/1, /9 and /11 are the Windows pages, which differ
        // only in 80 to 9F, where ISO 8859 has the C1 controls.
        let control = byte < 0xa0;
        match self {
            Charset::Ascii | Charset::Utf8 => None,
            Charset::Windows1252 if matches!(byte, 0x81 | 0x8d | 0x8f | 0x90 | 0x9d) => None,
            Charset::Windows1252 => one(encoding_rs::WINDOWS_1252, byte),
            Charset::Iso8859(_) if control => Some(char::from(byte)),
            Charset::Iso8859(part) => one(iso_encoding(part)?, byte),
        }
    }
}

/// The `encoding_rs` encoding whose upper half is that of ISO 8859 part `part`.
fn iso_encoding(part: u8) -> Option<&'static Encoding> {
    Some(match part {
        1 => encoding_rs::WINDOWS_1252,
        2 => encoding_rs::ISO_8859_2,
        3 => encoding_rs::ISO_8859_3,
        4 => encoding_rs::ISO_8859_4,
        5 => encoding_rs::ISO_8859_5,
        6 => encoding_rs::ISO_8859_6,
        7 => encoding_rs::ISO_8859_7,
        8 => encoding_rs::ISO_8859_8,
        9 => encoding_rs::WINDOWS_1254,
        10 => encoding_rs::ISO_8859_10,
        11 => encoding_rs::WINDOWS_874,
        13 => encoding_rs::ISO_8859_13,
        14 => encoding_rs::ISO_8859_14,
        15 => encoding_rs::ISO_8859_15,
        16 => encoding_rs::ISO_8859_16,
        _ => return None,
    })
}

fn one(encoding: &'static Encoding, byte: u8) -> Option<char> {
    let bytes = [byte];
    let text = encoding.decode_without_bom_handling_and_without_replacement(&bytes)?;
    text.chars().next()
}

/// The charset in which `bytes`, a message with this header, are to be read.
///
/// The first repetition of MSH-18 is the message's charset. Where it is empty or ASCII, bytes that
/// are not ASCII but valid UTF-8 are UTF-8, and all else is `default`, which is the source's
/// setting (hex escapes in a message of ASCII bytes are read in it too).
///
/// # Errors
/// [`CharsetError::Unsupported`], or [`CharsetError::Undecodable`] for such bytes without a
/// default.
pub fn detect(
    bytes: &[u8],
    header: &Header,
    default: Option<Charset>,
) -> Result<Charset, CharsetError> {
    let declared = match header.charsets.first().map_or("", String::as_str) {
        "" => Charset::Ascii,
        name => Charset::parse(name).ok_or(CharsetError::Unsupported)?,
    };
    let high = bytes.iter().position(|b| !b.is_ascii());
    match (default, high) {
        _ if declared != Charset::Ascii => Ok(declared),
        (_, Some(_)) if std::str::from_utf8(bytes).is_ok() => Ok(Charset::Utf8),
        (Some(default), _) => Ok(default),
        (None, None) => Ok(declared),
        (None, Some(offset)) => Err(CharsetError::Undecodable {
            offset,
            charset: declared,
        }),
    }
}

/// Reads the bytes of one message as text, in the charset that [`detect`] finds.
///
/// # Errors
/// Those of [`detect`] and of [`Charset::decode`]; the offset counts from the start of `bytes`.
pub fn decode<'a>(
    bytes: &'a [u8],
    header: &Header,
    default: Option<Charset>,
) -> Result<Cow<'a, str>, CharsetError> {
    detect(bytes, header, default)?.decode(bytes)
}

/// Writes `text` in `charset`; `None` when a character is not in it.
#[must_use]
pub fn encode(text: &str, charset: Charset) -> Option<Vec<u8>> {
    if text.is_ascii() || charset == Charset::Utf8 {
        return Some(text.as_bytes().to_vec());
    }
    let table = charset.table();
    let byte = |c: char| {
        if c.is_ascii() {
            return u8::try_from(c).ok();
        }
        let place = table.iter().position(|&entry| entry == Some(c))?;
        u8::try_from(place + 0x80).ok()
    };
    text.chars().map(byte).collect()
}

#[cfg(test)]
mod tests {
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
        ] {
            assert_eq!(Charset::parse(name), Some(expected), "{name}");
            assert_eq!(Charset::parse(expected.name()), Some(expected));
        }
        for name in [
            "8859/12",
            "8859/17",
            "ISO IR87",
            "GB 18030-2000",
            "UNICODE UTF-16",
            "BIG-5",
        ] {
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
        assert_eq!(read(b"a", "ISO IR87", None), CharsetError::Unsupported);
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
}
