//! The words of JSON: blanks, strings, names, numbers, `true`, `false` and `null`.

use super::super::MAX_NAME_BYTES;
use super::super::error::ReadErrorKind;
use super::super::text::NOT_UTF8;
use super::super::tree::{Kind, Span};
use super::{Fault, Name, Outcome, Reader};

impl Reader<'_> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        if is_there {
            self.at += 1;
        }
        is_there
    }

    pub(super) fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// A string in quotes: its span without them, and whether it has escapes.
    pub(super) fn string(&mut self) -> Outcome<(Span, Kind)> {
        self.at += 1;
        let start = self.at;
        let mut kind = Kind::Plain;
        loop {
            self.at += ordinary(self.bytes.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    kind = Kind::Escaped;
                    self.escape()?;
                }
                _ => return Err(self.unexpected("the string's text or its closing quote")),
            }
        }
        let span = Span::of(start, self.at);
        self.at += 1;
        Ok((span, kind))
    }

    pub(super) fn name(&mut self) -> Outcome<Name> {
        let quote = self.at;
        let (span, kind) = self.string()?;
        let too_long = |reader: &Self| {
            Box::new(Fault {
                offset: quote,
                ..*reader.limit("a name of at most 1,000 bytes", "a longer one")
            })
        };
        let length = span.end.saturating_sub(span.start);
        let length = u16::try_from(length)
            .ok()
            .filter(|length| *length <= MAX_NAME_BYTES);
        let length = length.ok_or_else(|| too_long(self))?;
        Ok(Name {
            start: span.start,
            length,
            escaped: kind == Kind::Escaped,
        })
    }

    fn escape(&mut self) -> Outcome<()> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                let is_whole = match self.unit()? {
                    0xD800..0xDC00 => {
                        let is_pair = self.take(b'\\') && self.peek() == Some(b'u');
                        is_pair && matches!(self.unit()?, 0xDC00..0xE000)
                    }
                    0xDC00..0xE000 => false,
                    _ => true,
                };
                if is_whole {
                    return Ok(());
                }
                Err(self.fault(ReadErrorKind::Syntax, "both halves of a character", "one"))
            }
            _ => Err(self.unexpected("an escape of JSON")),
        }
    }

    /// The four digits behind `u`, where it stands.
    fn unit(&mut self) -> Outcome<u16> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let digit = digit.and_then(|digit| u16::try_from(digit).ok());
            unit = unit << 4 | digit.ok_or_else(|| self.unexpected("four hexadecimal digits"))?;
            self.at += 1;
        }
        Ok(unit)
    }

    /// A number (RFC 8259, 6).
    pub(super) fn number(&mut self) -> Outcome<()> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        } else if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected("a number without leading zeros"));
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Outcome<()> {
        let first = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == first {
            Err(self.unexpected("a digit"))
        } else {
            Ok(())
        }
    }

    pub(super) fn word(&mut self, word: &'static str, kind: Kind, name: Name) -> Outcome<()> {
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            let end = word.bytes().zip(rest).take_while(|(a, b)| a == *b).count();
            self.at += end;
            return Err(self.unexpected("a value"));
        }
        self.at += word.len();
        self.leaf(name, kind, Span::of(start, self.at))
    }

    /// The fault that something else stands here.
    pub(super) fn unexpected(&self, expected: &'static str) -> Box<Fault> {
        let kind = match self.peek() {
            None => ReadErrorKind::Cut,
            Some(_) => ReadErrorKind::Syntax,
        };
        self.fault(
            kind,
            expected,
            found(self.bytes.get(self.at..).unwrap_or_default()),
        )
    }

    pub(super) fn limit(&self, expected: &'static str, found: &'static str) -> Box<Fault> {
        self.fault(ReadErrorKind::Limit, expected, found)
    }

    pub(super) fn fault(
        &self,
        kind: ReadErrorKind,
        expected: &'static str,
        found: &'static str,
    ) -> Box<Fault> {
        let (offset, steps) = (self.at, Vec::new());
        Box::new(Fault {
            kind,
            offset,
            expected,
            found,
            steps,
            whole: false,
        })
    }
}

/// How many bytes from the start are neither quote, backslash nor control characters.
fn ordinary(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // A byte is zero where this has its highest bit; bytes behind the first such may err.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = control | zeros(word ^ (ONES * 0x22)) | zeros(word ^ (ONES * 0x5c));
        if found != 0 {
            return at + usize::try_from(found.trailing_zeros() / 8).unwrap_or_default();
        }
        at += 8;
    }
    at + rest
        .iter()
        .take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20))
        .count()
}

/// What stands there, by its kind: never the character itself, which may be part of a value.
fn found(rest: &[u8]) -> &'static str {
    match rest {
        [] => "the end",
        [b'/', b'/' | b'*', ..] => "a comment",
        [b'"', ..] => "a string",
        [b'{', ..] => "an object",
        [b'[', ..] => "an array",
        [b'}', ..] => "a closing brace",
        [b']', ..] => "a closing bracket",
        [b',', ..] => "a comma",
        [b':', ..] => "a colon",
        [b'\'', ..] => "an apostrophe",
        [b'0'..=b'9', ..] => "a digit",
        [b'a'..=b'z' | b'A'..=b'Z', ..] => "a letter",
        [NOT_UTF8, ..] => "bytes that are no UTF-8, or a control character",
        [b'\n' | b'\r', ..] => "a line end",
        [0..0x20, ..] => "a control character",
        [0x80..=0xff, ..] => "a character beyond ASCII",
        _ => "another character",
    }
}

#[cfg(test)]
mod tests {
    use super::ordinary;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn eight_bytes_at_once_find_what_one_at_a_time_finds(
            bytes in proptest::collection::vec(prop_oneof![4 => 0x20_u8..=255, 1 => any::<u8>()], 0..40),
        ) {
            let slow = bytes.iter().take_while(|b| **b >= 0x20 && !b"\"\\".contains(b)).count();
            prop_assert_eq!(ordinary(&bytes), slow);
        }
    }
}
