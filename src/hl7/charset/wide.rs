//! UTF-16 and UTF-32: told by their first bytes, read whole, written for the answer.

use super::super::lines::leading_noise;

/// How wide the characters of a message are, and which byte comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wide {
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
    /// UTF-32, the low byte first.
    Utf32Le,
    /// UTF-32, the high byte first.
    Utf32Be,
}

impl Wide {
    /// How a message begins: with a byte order mark or with `M`.
    const STARTS: [(&'static [u8], Self); 8] = [
        (&[0xff, 0xfe, 0, 0], Self::Utf32Le),
        (&[0, 0, 0xfe, 0xff], Self::Utf32Be),
        (&[b'M', 0, 0, 0], Self::Utf32Le),
        (&[0, 0, 0, b'M'], Self::Utf32Be),
        (&[0xff, 0xfe], Self::Utf16Le),
        (&[0xfe, 0xff], Self::Utf16Be),
        (&[b'M', 0, b'S', 0], Self::Utf16Le),
        (&[0, b'M', 0, b'S'], Self::Utf16Be),
    ];

    /// What `bytes` begin with; `None` where their characters begin with one byte.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let found = Self::STARTS
            .iter()
            .find(|(start, _)| bytes.starts_with(start));
        found.map(|(_, wide)| *wide)
    }

    /// The name that goes into MSH-18.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf16Le | Self::Utf16Be => "UNICODE UTF-16",
            Self::Utf32Le | Self::Utf32Be => "UNICODE UTF-32",
        }
    }

    const fn width(self) -> usize {
        match self {
            Self::Utf16Le | Self::Utf16Be => 2,
            Self::Utf32Le | Self::Utf32Be => 4,
        }
    }

    /// Reads `bytes`, without a byte order mark; else the offset of what is none.
    pub(super) fn decode(self, bytes: &[u8]) -> Result<String, usize> {
        let width = self.width();
        // A byte that stands alone at the end may be the framing's, but never a character's.
        let whole = bytes.len() - bytes.len() % width;
        let noise = bytes
            .get(whole..)
            .is_some_and(|rest| leading_noise(rest) == rest.len());
        if !noise {
            return Err(whole);
        }
        let units = bytes.chunks_exact(width).map(|unit| self.unit(unit));
        let mut text = String::with_capacity(bytes.len() / width);
        let mut offset = 0;
        if width == 4 {
            for unit in units {
                text.push(char::from_u32(unit).ok_or(offset)?);
                offset += 4;
            }
        } else {
            let units = units.map(|unit| u16::try_from(unit).unwrap_or_default());
            for read in char::decode_utf16(units) {
                let read = read.map_err(|_lone| offset)?;
                offset += 2 * read.len_utf16();
                text.push(read);
            }
        }
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        Ok(text)
    }

    fn unit(self, bytes: &[u8]) -> u32 {
        let high_first = bytes
            .iter()
            .fold(0, |unit, byte| (unit << 8) | u32::from(*byte));
        match (self, self.width()) {
            (Self::Utf16Be | Self::Utf32Be, _) => high_first,
            (_, 2) => high_first.swap_bytes() >> 16,
            _ => high_first.swap_bytes(),
        }
    }

    /// Writes `text`; `None` where a byte of it would end the frame.
    pub(in super::super) fn encode(self, text: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(text.len() * self.width());
        for character in text.chars() {
            match self {
                Self::Utf32Le => bytes.extend(u32::from(character).to_le_bytes()),
                Self::Utf32Be => bytes.extend(u32::from(character).to_be_bytes()),
                Self::Utf16Le => {
                    let mut units = [0; 2];
                    let units = character.encode_utf16(&mut units).iter();
                    bytes.extend(units.flat_map(|unit| unit.to_le_bytes()));
                }
                Self::Utf16Be => {
                    let mut units = [0; 2];
                    let units = character.encode_utf16(&mut units).iter();
                    bytes.extend(units.flat_map(|unit| unit.to_be_bytes()));
                }
            }
        }
        let ends = |byte: &u8| matches!(byte, 0x0b | 0x1c);
        (!bytes.iter().any(ends)).then_some(bytes)
    }
}

/// A message of wide characters as UTF-8, as far as it can be read, and what it was; `None` for all
/// others.
pub(in super::super) fn narrowed(bytes: &[u8]) -> Option<(Wide, Vec<u8>)> {
    let wide = Wide::of(bytes)?;
    let text = match wide.decode(bytes) {
        Ok(text) => text,
        Err(offset) => wide.decode(bytes.get(..offset)?).ok()?,
    };
    Some((wide, text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_in_each_width_and_order() {
        let text = "MSH|^~\\&|Klinik Süd|病院 😀";
        for wide in [Wide::Utf16Le, Wide::Utf16Be, Wide::Utf32Le, Wide::Utf32Be] {
            let bytes = wide.encode(text).unwrap();
            assert_eq!(Wide::of(&bytes), Some(wide));
            assert_eq!(wide.decode(&bytes).as_deref(), Ok(text));
            let marked = wide.encode(&format!("\u{feff}{text}")).unwrap();
            assert_eq!(Wide::of(&marked), Some(wide));
            assert_eq!(wide.decode(&marked).as_deref(), Ok(text));
        }
        assert_eq!(Wide::of(b"MSH|^~\\&|"), None);
        assert_eq!(Wide::of("\u{feff}MSH|".as_bytes()), None);
    }

    #[test]
    fn what_would_end_the_frame_is_not_written() {
        // The low byte of U+4E1C is the end block.
        assert_eq!(Wide::Utf16Le.encode("\u{4e1c}"), None);
    }

    #[test]
    fn broken_characters_are_told_by_their_place() {
        assert_eq!(Wide::Utf16Le.decode(b"M\0\x00\xd8"), Err(2));
        assert_eq!(Wide::Utf16Le.decode(b"M\0S"), Err(2));
        assert_eq!(Wide::Utf16Le.decode(b"M\0\r").as_deref(), Ok("M"));
        assert_eq!(
            Wide::Utf32Be.decode(&[0, 0, 0, b'M', 0, 0x11, 0, 0]),
            Err(4)
        );
    }
}
