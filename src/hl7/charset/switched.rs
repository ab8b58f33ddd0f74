//! Characters of several bytes: ISO 2022 with its switches, and encodings read as a whole.

use encoding_rs::{DecoderResult, EUC_JP, Encoding};

use super::{Charset, Right};

/// Starts a switch (ISO 2022).
pub(super) const ESC: u8 = 0x1b;

/// What the bytes 21 to 7E mean until the next switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// ASCII, and JIS X 0201 Roman: its yen sign and overline are HL7's backslash and tilde.
    Ascii,
    /// JIS X 0201 katakana.
    Katakana,
    /// JIS X 0208, ISO IR87: two bytes a character.
    Kanji,
    /// JIS X 0212, ISO IR159: two bytes a character.
    MoreKanji,
}

/// A switch: the set that it chooses and how many bytes it takes after ESC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    Left(Left),
    Right(Right),
}

/// The switches by what follows ESC, or stands in hexadecimal digits in `\C…\` and `\M…\`.
const SWITCHES: &[(&[u8], Switch)] = &[
    (b"(B", Switch::Left(Left::Ascii)),
    (b"(J", Switch::Left(Left::Ascii)),
    (b"(I", Switch::Left(Left::Katakana)),
    (b"$@", Switch::Left(Left::Kanji)),
    (b"$B", Switch::Left(Left::Kanji)),
    (b"$(D", Switch::Left(Left::MoreKanji)),
    (b")I", Switch::Right(Right::Katakana)),
    (b"-A", Switch::Right(Right::Latin(1))),
    (b"-B", Switch::Right(Right::Latin(2))),
    (b"-C", Switch::Right(Right::Latin(3))),
    (b"-D", Switch::Right(Right::Latin(4))),
    (b"-L", Switch::Right(Right::Latin(5))),
    (b"-G", Switch::Right(Right::Latin(6))),
    (b"-F", Switch::Right(Right::Latin(7))),
    (b"-H", Switch::Right(Right::Latin(8))),
    (b"-M", Switch::Right(Right::Latin(9))),
    (b"-b", Switch::Right(Right::Latin(15))),
];

/// Tells bytes that can be delimiters from those inside a character of two bytes.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Runs {
    double: bool,
    /// A byte of 80 and above takes the next one with it, as in GB 18030 and BIG-5.
    leads: bool,
    taken: bool,
    /// The last bytes, to see a switch end.
    last: [u8; 3],
}

impl Runs {
    /// Before the first byte; `leads` where high bytes begin characters of two.
    pub(in super::super) const fn new(leads: bool) -> Self {
        Self {
            double: false,
            leads,
            taken: false,
            last: [0; 3],
        }
    }

    /// Whether the next byte stands for itself.
    pub(in super::super) fn is_plain(&mut self, byte: u8) -> bool {
        let [_, second, third] = self.last;
        self.last = [second, third, byte];
        if std::mem::take(&mut self.taken) {
            return false;
        }
        self.taken = self.leads && byte >= 0x81;
        match self.last {
            // `ESC $ ( D` begins with `ESC $ (`.
            [ESC, b'$', b'@' | b'B' | b'('] => self.double = true,
            [ESC, b'(', b'B' | b'J' | b'I'] => self.double = false,
            // The line's end is the end of a switch, too.
            [.., b'\r' | b'\n'] => self.double = false,
            _ => {}
        }
        !self.double
    }

    /// What must follow the bytes so far, so that the next one stands for itself: the end of an
    /// open switch, the second half of a character, or what keeps a switch from beginning.
    pub(in super::super) fn closing(&self) -> &'static [u8] {
        match self.last {
            _ if self.double => b"\x1b(B",
            _ if self.taken => b" ",
            [.., ESC] | [_, ESC, b'$' | b'('] => b" ",
            _ => b"",
        }
    }
}

/// Reads ISO 2022 text; else the offset of the first byte without a meaning. Lines begin in ASCII,
/// as the standard wants switches to end before a delimiter.
pub(super) fn decode(bytes: &[u8], right: Right, escape: Option<u8>) -> Result<String, usize> {
    let mut reader = Reader {
        left: Left::Ascii,
        right,
        escape,
    };
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let offset = bytes.len() - rest.len();
        rest = reader.step(rest, &mut text).ok_or(offset)?;
    }
    Ok(text)
}

struct Reader {
    left: Left,
    right: Right,
    escape: Option<u8>,
}

impl Reader {
    /// Reads one switch or character, and gives what is behind it.
    fn step<'a>(&mut self, bytes: &'a [u8], text: &mut String) -> Option<&'a [u8]> {
        let (&first, rest) = bytes.split_first()?;
        if let Some((switch, rest)) = self.switch(first, rest) {
            match switch {
                Switch::Left(left) => self.left = left,
                Switch::Right(right) => self.right = right,
            }
            return Some(rest);
        }
        match (first, self.left) {
            (ESC, _) => return None,
            (b'\r' | b'\n', _) => {
                self.left = Left::Ascii;
                text.push(char::from(first));
            }
            (0..=0x20 | 0x7f, _) | (_, Left::Ascii) if first.is_ascii() => {
                text.push(char::from(first));
            }
            (0x21..=0x5f, Left::Katakana) => text.push(katakana(first | 0x80)?),
            (0x21..=0x7e, Left::Kanji | Left::MoreKanji) => {
                let (&second, rest) = rest.split_first()?;
                if !(0x21..=0x7e).contains(&second) {
                    return None;
                }
                let pair = [0x8f, first | 0x80, second | 0x80];
                let skip = usize::from(self.left == Left::Kanji);
                text.push_str(&several_bytes(EUC_JP, pair.get(skip..)?).ok()?);
                return Some(rest);
            }
            (0x80.., _) => text.push(self.high(first)?),
            _ => return None,
        }
        Some(rest)
    }

    fn high(&self, byte: u8) -> Option<char> {
        match self.right {
            Right::Empty => None,
            Right::Latin(part) => Charset::Iso8859(part).high(byte),
            Right::Katakana => katakana(byte),
        }
    }

    fn switch<'a>(&self, first: u8, rest: &'a [u8]) -> Option<(Switch, &'a [u8])> {
        if first == ESC {
            return SWITCHES
                .iter()
                .find_map(|(code, switch)| Some((*switch, rest.strip_prefix(*code)?)));
        }
        // In a set of two bytes the escape character's byte is part of a character, unless what
        // follows is a whole switch: standards-minded senders write those in ASCII alone.
        if Some(first) != self.escape {
            return None;
        }
        let (b'C' | b'M', digits) = rest.split_first()? else {
            return None;
        };
        SWITCHES.iter().find_map(|(code, switch)| {
            let hex: String = code.iter().map(|byte| format!("{byte:02X}")).collect();
            let written = digits.get(..hex.len())?;
            let after = digits.get(hex.len()..)?.strip_prefix(&[first])?;
            let same = written.eq_ignore_ascii_case(hex.as_bytes());
            same.then_some((*switch, after))
        })
    }
}

/// JIS X 0201 katakana in the right half.
fn katakana(byte: u8) -> Option<char> {
    let place = byte.checked_sub(0xa1).filter(|place| *place <= 0x3e)?;
    char::from_u32(0xff61 + u32::from(place))
}

/// Reads a text of an encoding whose characters have one or more bytes; else the offset of the
/// first byte without a meaning.
pub(super) fn several_bytes(encoding: &'static Encoding, bytes: &[u8]) -> Result<String, usize> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let most = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
    let mut text = String::with_capacity(most.unwrap_or(bytes.len()));
    match decoder.decode_to_string_without_replacement(bytes, &mut text, true) {
        (DecoderResult::InputEmpty, _) => Ok(text),
        (DecoderResult::OutputFull, read) => Err(read),
        (DecoderResult::Malformed(length, extra), read) => {
            Err(read.saturating_sub(usize::from(length) + usize::from(extra)))
        }
    }
}
