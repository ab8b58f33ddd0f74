//! The delimiters that a message declares in MSH-1 and MSH-2.

use super::header::HeaderError;

/// How many characters MSH-2 may have; those after the fifth have no meaning.
const MAX_DECLARED: usize = 8;

/// The characters that separate and escape, as declared by the message itself.
///
/// HL7 v2.5.1 2.5.4 recommends `|^~\&`, v2.7 2.5.5 adds `#` for truncation; senders also declare
/// others (the VA: `^~|\&`) and fewer. All are printable ASCII, none is a letter or digit, and no
/// two are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiters {
    /// Between fields: MSH-1.
    pub field: u8,
    /// Between components: the first character of MSH-2.
    pub component: u8,
    /// Between repetitions of a field.
    pub repetition: u8,
    /// Starts and ends an escape sequence; `None` when the message declares none.
    pub escape: Option<u8>,
    /// Between subcomponents; `None` when the message declares none.
    pub subcomponent: Option<u8>,
    /// Marks a truncated value (v2.7 and later).
    pub truncation: Option<u8>,
}

impl Default for Delimiters {
    /// The recommended set, `|^~\&`.
    fn default() -> Self {
        Delimiters {
            field: b'|',
            component: b'^',
            repetition: b'~',
            escape: Some(b'\\'),
            subcomponent: Some(b'&'),
            truncation: None,
        }
    }
}

impl Delimiters {
    /// Reads the delimiters from an MSH segment that starts at its `MSH`.
    ///
    /// Tolerated in MSH-2: a doubled escape character (`^~\\&`, left by a JSON layer) counts once;
    /// in a short list a standard character keeps its standard meaning (`^~&` has no escape, `~\&`
    /// the component `^`) and others go by position; the repetition character defaults to `~`.
    /// Characters after the fifth have no meaning.
    ///
    /// # Errors
    /// [`HeaderError::NoHeader`] without `MSH`, [`HeaderError::FieldSeparator`] or
    /// [`HeaderError::EncodingCharacters`] when they cannot separate anything.
    pub fn read(msh: &[u8]) -> Result<Delimiters, HeaderError> {
        let rest = msh.strip_prefix(b"MSH").ok_or(HeaderError::NoHeader)?;
        let (&field, rest) = rest.split_first().ok_or(HeaderError::FieldSeparator)?;
        if !usable(field) {
            return Err(HeaderError::FieldSeparator);
        }
        let declared: Vec<u8> = rest
            .iter()
            .copied()
            .take_while(|&b| b != field && b != b'\r' && b != b'\n')
            .take(MAX_DECLARED + 1)
            .collect();
        let found = declared.len();
        let bad = || HeaderError::EncodingCharacters { found };
        let list = without_doubled_escape(&declared);
        let (&component, others) = list.split_first().ok_or_else(bad)?;
        let mut delimiters = Delimiters {
            field,
            component,
            repetition: b'~',
            escape: None,
            subcomponent: None,
            truncation: None,
        };
        if found > MAX_DECLARED {
            return Err(bad());
        } else if let [repetition, escape, subcomponent, truncation @ ..] = others {
            delimiters.repetition = *repetition;
            delimiters.escape = Some(*escape);
            delimiters.subcomponent = Some(*subcomponent);
            delimiters.truncation = truncation.first().copied();
        } else {
            delimiters.take_short_list(&list);
        }
        if delimiters.all_usable() {
            Ok(delimiters)
        } else {
            Err(bad())
        }
    }

    /// Gives the characters of a list too short to be read by position alone.
    fn take_short_list(&mut self, list: &[u8]) {
        // After `|` the standard characters mean themselves, so the component may be missing.
        if self.field == b'|' {
            self.component = b'^';
        }
        for (position, &byte) in list.iter().enumerate() {
            match (byte, position) {
                (_, 0) if self.field != b'|' => self.component = byte,
                (b'&', _) => self.subcomponent = Some(byte),
                (b'\\', _) => self.escape = Some(byte),
                (b'~', _) => self.repetition = byte,
                (_, 0) => self.component = byte,
                (_, 1) => self.repetition = byte,
                (_, _) => self.escape = Some(byte),
            }
        }
    }

    /// Whether every delimiter is usable and differs from all others.
    fn all_usable(&self) -> bool {
        let all: Vec<u8> = self.all().collect();
        let distinct = all
            .iter()
            .enumerate()
            .all(|(i, b)| !all.iter().skip(i + 1).any(|c| c == b));
        distinct && all.iter().all(|&b| usable(b))
    }

    /// All delimiters that the message declares.
    fn all(&self) -> impl Iterator<Item = u8> {
        [self.field, self.component, self.repetition]
            .into_iter()
            .chain(self.escape)
            .chain(self.subcomponent)
            .chain(self.truncation)
    }
}

/// `^~\\&` is what remains of `^~\&` after one JSON or Java layer too many: one `\` goes.
fn without_doubled_escape(declared: &[u8]) -> Vec<u8> {
    match declared {
        [component, repetition, escape, again, rest @ ..]
            if escape == again && !rest.is_empty() =>
        {
            let mut list = vec![*component, *repetition, *escape];
            list.extend_from_slice(rest);
            list
        }
        _ => declared.to_vec(),
    }
}

/// A delimiter is printable ASCII and neither letter, digit nor space.
fn usable(byte: u8) -> bool {
    byte.is_ascii_punctuation()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(msh: &str) -> Result<Delimiters, HeaderError> {
        Delimiters::read(msh.as_bytes())
    }

    #[test]
    fn reads_the_recommended_set_and_the_truncation_character() {
        assert_eq!(read("MSH|^~\\&|A"), Ok(Delimiters::default()));
        let with_truncation = Delimiters {
            truncation: Some(b'#'),
            ..Delimiters::default()
        };
        assert_eq!(read("MSH|^~\\&#|A"), Ok(with_truncation));
        assert_eq!(read("MSH|^~\\&#!|A"), Ok(with_truncation));
    }

    #[test]
    fn reads_declared_others() {
        let vista = read("MSH^~|\\&^A").unwrap();
        assert_eq!(
            (vista.field, vista.component, vista.repetition),
            (b'^', b'~', b'|')
        );
        assert_eq!(
            (vista.escape, vista.subcomponent),
            (Some(b'\\'), Some(b'&'))
        );
    }

    #[test]
    fn counts_a_doubled_escape_once() {
        assert_eq!(read("MSH|^~\\\\&|A"), Ok(Delimiters::default()));
        assert_eq!(read("MSH|^~\\\\&#|A").unwrap().truncation, Some(b'#'));
    }

    #[test]
    fn reads_short_lists() {
        let no_escape = Delimiters {
            escape: None,
            ..Delimiters::default()
        };
        assert_eq!(read("MSH|^~&|A"), Ok(no_escape));
        assert_eq!(read("MSH|^&|A"), Ok(no_escape));
        let bare = Delimiters {
            subcomponent: None,
            ..no_escape
        };
        assert_eq!(read("MSH|^|A"), Ok(bare));
        assert_eq!(read("MSH|^~\\|A").unwrap().escape, Some(b'\\'));
        assert_eq!(read("MSH|^"), Ok(bare));
        assert_eq!(read("MSH|~\\&|A"), Ok(Delimiters::default()));
        let other = read("MSH^~|^A").unwrap();
        assert_eq!(
            (other.component, other.repetition, other.escape),
            (b'~', b'|', None)
        );
    }

    #[test]
    fn rejects_what_cannot_separate() {
        assert_eq!(read("PID|1"), Err(HeaderError::NoHeader));
        assert_eq!(read("MSH"), Err(HeaderError::FieldSeparator));
        assert_eq!(read("MSHA^~\\&"), Err(HeaderError::FieldSeparator));
        assert_eq!(
            read("MSH||A"),
            Err(HeaderError::EncodingCharacters { found: 0 })
        );
        assert_eq!(
            read("MSH|^^\\&|A"),
            Err(HeaderError::EncodingCharacters { found: 4 })
        );
        assert_eq!(
            read("MSH|ABCD|A"),
            Err(HeaderError::EncodingCharacters { found: 4 })
        );
        assert_eq!(
            read("MSH|^~\\&#!*@%|A"),
            Err(HeaderError::EncodingCharacters { found: 9 })
        );
    }
}
