//! Physical lines and what each one is: the ground on which splitting and the index stand.

/// One line without its terminator.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// Counts from 1; CRLF ends one line, not two.
    pub(super) number: usize,
    /// Offset of the first byte.
    pub(super) start: usize,
    /// Offset after the terminator.
    pub(super) next: usize,
    /// The bytes between.
    pub(super) bytes: &'a [u8],
}

/// The lines of `bytes`, which end on CR, LF or CRLF; together they cover every byte.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    let mut number = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(start..).filter(|rest| !rest.is_empty())?;
        let length = rest
            .iter()
            .position(|&b| b == b'\r' || b == b'\n')
            .unwrap_or(rest.len());
        let (line, end) = rest.split_at_checked(length)?;
        let terminator = match end {
            [b'\r', b'\n', ..] => 2,
            [_, ..] => 1,
            [] => 0,
        };
        number += 1;
        let line = Line {
            number,
            start,
            next: start + length + terminator,
            bytes: line,
        };
        start = line.next;
        Some(line)
    })
}

/// How many bytes at the start are no part of a message: byte order mark, frame bytes, blanks.
pub(super) fn leading_noise(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    loop {
        rest = match rest {
            [0xef, 0xbb, 0xbf, after @ ..] => after,
            [b, after @ ..] if is_noise(*b) => after,
            _ => return bytes.len() - rest.len(),
        };
    }
}

/// Whether a line has nothing but blanks and frame bytes.
pub(super) fn is_blank(line: &[u8]) -> bool {
    leading_noise(line) == line.len()
}

/// Blanks, line ends, VT, FS and NUL.
pub(super) fn is_noise(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x1c | 0)
}

/// What a line inside a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing but blanks.
    Blank,
    /// A segment, after so many blanks.
    Segment { indent: usize },
    /// Text that an unescaped line end cut off its segment.
    Text,
    /// Neither: a misspelt segment name, or control characters.
    Neither,
}

/// Tells segments (`[A-Z][A-Z0-9]{2}` and then the separator or the end) from broken text.
///
/// Text is clearly text only where it cannot be a damaged segment: a letter and up to three letters
/// or digits before a separator look like one, and control characters are never text.
pub(super) fn classify(line: &[u8], separator: u8) -> Kind {
    if is_blank(line) {
        return Kind::Blank;
    }
    let indent = line
        .iter()
        .take_while(|&&b| b == b' ' || b == b'\t')
        .count();
    let body = line.get(indent..).unwrap_or_default();
    if let Some((name, rest)) = body.split_at_checked(3)
        && is_segment_name(name)
    {
        let bare = indent == 0 && is_blank(rest);
        if bare || rest.first() == Some(&separator) {
            return Kind::Segment { indent };
        }
    }
    let word = body
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric())
        .count();
    let lettered = body.first().is_some_and(u8::is_ascii_alphabetic);
    let misspelt = lettered && word <= 4 && body.get(word) == Some(&separator);
    let control = body.iter().any(|&b| b < b' ' && b != b'\t');
    if misspelt || control {
        Kind::Neither
    } else {
        Kind::Text
    }
}

/// Whether `name` is three characters of a segment name (HL7 v2.5.1 2.5.2).
pub(super) fn is_segment_name(name: &[u8]) -> bool {
    match name {
        [first, rest @ ..] if rest.len() == 2 => {
            first.is_ascii_uppercase()
                && rest
                    .iter()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_crlf_once_and_cover_every_byte() {
        let found: Vec<_> = lines(b"a\r\nb\rc\n\nd")
            .map(|l| (l.number, l.start, l.next))
            .collect();
        assert_eq!(
            found,
            [(1, 0, 3), (2, 3, 5), (3, 5, 7), (4, 7, 8), (5, 8, 9)]
        );
        assert_eq!(lines(b"").count(), 0);
    }

    #[test]
    fn noise_is_what_may_precede_a_message() {
        assert_eq!(leading_noise("\u{feff}\x0b\r\n MSH".as_bytes()), 7);
        assert_eq!(leading_noise(b"\0\x1c"), 2);
    }

    #[test]
    fn classifies_lines() {
        let kind = |line: &str| classify(line.as_bytes(), b'|');
        assert_eq!(kind("PID|1"), Kind::Segment { indent: 0 });
        assert_eq!(kind("ZA1|1"), Kind::Segment { indent: 0 });
        assert_eq!(kind("EVN"), Kind::Segment { indent: 0 });
        assert_eq!(kind("  PID|1"), Kind::Segment { indent: 2 });
        assert_eq!(kind(" \t\x1c"), Kind::Blank);
        assert_eq!(kind("THE test went well"), Kind::Text);
        assert_eq!(kind("QWRhIEV4YW1wbGU="), Kind::Text);
        assert_eq!(kind(" BUN"), Kind::Text);
        assert_eq!(kind("pid|1"), Kind::Neither);
        assert_eq!(kind("PIDX|1"), Kind::Neither);
        assert_eq!(kind("D|1"), Kind::Neither);
        assert_eq!(kind("0100||x"), Kind::Text);
        assert_eq!(kind("a\x01b"), Kind::Neither);
    }
}
