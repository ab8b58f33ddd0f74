//! Bytes to text and back by the charset that MSH-18 names; nothing is ever substituted.
//!
//! One byte a character is read here, sets of several bytes and ISO 2022 switches in `switched`,
//! UTF-16 and UTF-32 in `wide`.

mod switched;
mod wide;

use std::borrow::Cow;

use encoding_rs::Encoding;

use super::header::Header;

pub(super) use switched::Runs;
pub(super) use wide::{Wide, narrowed};

/// What can be read, for whoever must be told that something else cannot.
pub const READ: &str = "ASCII, 8859/1 to /11 and /13 to /16, UNICODE UTF-8, UTF-16 or UTF-32, \
    ISO IR14, IR87 or IR159, GB 18030-2000, KS X 1001, BIG-5 or WINDOWS-1252";

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
    /// ISO 2022 with switches between sets: `ISO IR14`, `ISO IR87`, `ISO IR159`, or several
    /// repetitions of MSH-18.
    Iso2022 {
        /// What the bytes A0 to FF mean before the first switch.
        right: Right,
    },
    /// `GB 18030-2000`.
    Gb18030,
    /// `KS X 1001`, as EUC-KR.
    KsX1001,
    /// `BIG-5`.
    Big5,
    /// `UNICODE UTF-16` or `UNICODE UTF-32`, as the first bytes show it.
    Wide(Wide),
}

/// The right half of a text with ISO 2022 switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// Nothing.
    Empty,
    /// The upper half of an ISO 8859 part.
    Latin(u8),
    /// JIS X 0201 katakana.
    Katakana,
}

/// Why bytes could not be read as text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CharsetError {
    /// MSH-18 names a charset that is not read here.
    #[error("MSH-18: expected {READ}; found {}", found.unwrap_or("another charset"))]
    Unsupported {
        /// Its name, where it is one of table 0211: any other text could be a value out of place.
        found: Option<&'static str>,
    },
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
    /// `UNICODE UTF-8`, `utf8`, `CP1252`, `ASCII`, `ISO IR87`. `None` for one that is not read here.
    /// UTF-16 and UTF-32 are told by the first bytes and not by a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Charset> {
        let kept = name.chars().filter(char::is_ascii_alphanumeric);
        let name: String = kept.map(|c| c.to_ascii_uppercase()).collect();
        match name.as_str() {
            "ASCII" | "USASCII" | "ISOIR6" | "ISO646" | "ISO646US" => Some(Charset::Ascii),
            "UTF8" | "UNICODEUTF8" | "UNICODE" | "ISO10646UTF8" => Some(Charset::Utf8),
            "WINDOWS1252" | "CP1252" | "WIN1252" | "ANSI1252" => Some(Charset::Windows1252),
            "LATIN1" | "ISOIR100" => Some(Charset::Iso8859(1)),
            "ISOIR13" | "ISOIR14" | "JISX0201" => Some(Charset::Iso2022 {
                right: Right::Katakana,
            }),
            "ISOIR87" | "ISOIR159" | "ISO2022JP" | "JISX0208" | "JISX0212" => {
                Some(Charset::Iso2022 {
                    right: Right::Empty,
                })
            }
            "GB180302000" | "GB18030" | "GBK" | "GB2312" => Some(Charset::Gb18030),
            "KSX1001" | "KSC5601" | "EUCKR" | "ISOIR149" => Some(Charset::KsX1001),
            "BIG5" => Some(Charset::Big5),
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
            Charset::Iso2022 {
                right: Right::Katakana,
            } => "ISO IR14",
            Charset::Iso2022 { .. } => "ISO IR87",
            Charset::Gb18030 => "GB 18030-2000",
            Charset::KsX1001 => "KS X 1001",
            Charset::Big5 => "BIG-5",
            Charset::Wide(wide) => wide.name(),
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
        self.decode_escaped(bytes, None)
    }

    /// As [`Charset::decode`]; with ISO 2022, `\C` and `\M` sequences between `escape` switch too
    /// (HL7 v2.5.1 2.7.2).
    ///
    /// # Errors
    /// [`CharsetError::Undecodable`] at the first byte without a meaning.
    pub fn decode_escaped(
        self,
        bytes: &[u8],
        escape: Option<u8>,
    ) -> Result<Cow<'_, str>, CharsetError> {
        let fail = |offset| CharsetError::Undecodable {
            offset,
            charset: self,
        };
        let high = bytes.iter().position(|b| !b.is_ascii());
        match (self, high) {
            (Charset::Wide(wide), _) => wide.decode(bytes).map(Cow::Owned).map_err(fail),
            (Charset::Iso2022 { right }, _) => switched::decode(bytes, right, escape)
                .map(Cow::Owned)
                .map_err(fail),
            (Charset::Utf8, _) | (_, None) => std::str::from_utf8(bytes)
                .map(Cow::Borrowed)
                .map_err(|error| fail(error.valid_up_to())),
            (Charset::Ascii, Some(offset)) => Err(fail(offset)),
            (Charset::Iso8859(_) | Charset::Windows1252, _) => self.one_by_one(bytes),
            (Charset::Gb18030 | Charset::KsX1001 | Charset::Big5, _) => {
                let encoding = self.encoding().unwrap_or(encoding_rs::UTF_8);
                switched::several_bytes(encoding, bytes)
                    .map(Cow::Owned)
                    .map_err(fail)
            }
        }
    }

    fn one_by_one(self, bytes: &[u8]) -> Result<Cow<'_, str>, CharsetError> {
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
            text.push(read.ok_or(CharsetError::Undecodable {
                offset,
                charset: self,
            })?);
        }
        Ok(Cow::Owned(text))
    }

    /// The `encoding_rs` encoding of a charset whose characters have one or more bytes.
    fn encoding(self) -> Option<&'static Encoding> {
        match self {
            Charset::Gb18030 => Some(encoding_rs::GB18030),
            Charset::KsX1001 => Some(encoding_rs::EUC_KR),
            Charset::Big5 => Some(encoding_rs::BIG5),
            _ => None,
        }
    }

    /// Whether a delimiter's byte can be the second one of a character.
    pub(super) const fn hides_delimiters(self) -> bool {
        matches!(self, Charset::Gb18030 | Charset::Big5)
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
            Charset::Windows1252 if matches!(byte, 0x81 | 0x8d | 0x8f | 0x90 | 0x9d) => None,
            Charset::Windows1252 => one(encoding_rs::WINDOWS_1252, byte),
            Charset::Iso8859(_) if control => Some(char::from(byte)),
            Charset::Iso8859(part) => one(iso_encoding(part)?, byte),
            _ => None,
        }
    }
}

/// The charset that all repetitions of MSH-18 declare together. The first is the message's own and
/// ASCII where it is empty; others are for switches (HL7 v2.5.1 2.14.9.18).
fn declared(bytes: &[u8], header: &Header) -> Result<Charset, CharsetError> {
    let mut names = header.charsets.iter().map(String::as_str);
    let first = match names.next().unwrap_or_default() {
        "" => Charset::Ascii,
        name => Charset::parse(name).ok_or_else(|| unsupported(name))?,
    };
    let mut switched = false;
    for name in names.filter(|name| !name.is_empty()) {
        switched |= match Charset::parse(name) {
            Some(Charset::Iso2022 { .. } | Charset::Iso8859(_)) => true,
            Some(_) => false,
            // Switches to it could not be followed; what has none is read as the first says.
            None if bytes.contains(&switched::ESC) => return Err(unsupported(name)),
            None => false,
        };
    }
    Ok(match first {
        Charset::Ascii if switched => Charset::Iso2022 {
            right: Right::Empty,
        },
        Charset::Iso8859(part) if switched => Charset::Iso2022 {
            right: Right::Latin(part),
        },
        first => first,
    })
}

fn unsupported(name: &str) -> CharsetError {
    let kept = name.chars().filter(char::is_ascii_alphanumeric);
    let name: String = kept.map(|c| c.to_ascii_uppercase()).collect();
    let found = match name.as_str() {
        "CNS116431992" => Some("CNS 11643-1992"),
        "UNICODEUTF16" | "UTF16" => Some("UNICODE UTF-16 over bytes of another width"),
        "UNICODEUTF32" | "UTF32" => Some("UNICODE UTF-32 over bytes of another width"),
        _ => None,
    };
    CharsetError::Unsupported { found }
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
/// The first bytes tell UTF-16 and UTF-32; else MSH-18 names it, all repetitions together. Where
/// the first is empty or ASCII and none names a set to switch to, bytes that
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
    if let Some(wide) = header.wide {
        return Ok(Charset::Wide(wide));
    }
    let declared = declared(bytes, header)?;
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
    detect(bytes, header, default)?.decode_escaped(bytes, header.delimiters.escape)
}

/// Writes `text` in `charset`; `None` when a character is not in it.
#[must_use]
pub fn encode(text: &str, charset: Charset) -> Option<Vec<u8>> {
    if text.is_ascii() || charset == Charset::Utf8 {
        return Some(text.as_bytes().to_vec());
    }
    if let Some(encoding) = charset.encoding() {
        let (bytes, _, lossy) = encoding.encode(text);
        return (!lossy).then(|| bytes.into_owned());
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
mod tests;
