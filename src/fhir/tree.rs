//! The flat tree that a body is read into: a cell for each value, in the order of the text.

use std::borrow::Cow;

/// A range of bytes in the text. Bodies are smaller than 4 GiB (`MAX_BYTES`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) fn of(start: usize, end: usize) -> Span {
        let narrow = |place| u32::try_from(place).unwrap_or(u32::MAX);
        Span {
            start: narrow(start),
            end: narrow(end),
        }
    }

    pub(super) fn range(self) -> std::ops::Range<usize> {
        let wide = |place| usize::try_from(place).unwrap_or(usize::MAX);
        wide(self.start)..wide(self.end)
    }

    pub(super) fn text(self, text: &str) -> &str {
        text.get(self.range()).unwrap_or_default()
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    False,
    True,
    Number,
    /// A string without escapes: its span is its text.
    Plain,
    /// A string with escapes.
    Escaped,
    Array,
    Object,
    /// An entry of a Bundle that could not be read; it has no children.
    Broken,
}

/// One value. Children of arrays and objects follow it directly, up to `next`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) kind: Kind,
    /// Whether the name has escapes.
    pub(super) escaped_name: bool,
    /// The name's length; the name ends before `name`'s closing quote.
    pub(super) name_length: u16,
    /// Where the name starts, behind its quote; of no meaning outside of objects.
    pub(super) name_start: u32,
    /// The value's text: without quotes for strings, with brackets for arrays and objects.
    pub(super) span: Span,
    /// The place of the cell behind this one and all below it.
    pub(super) next: u32,
}

impl Cell {
    pub(super) fn name(self, text: &str) -> Cow<'_, str> {
        let end = self.name_start.saturating_add(u32::from(self.name_length));
        let raw = Span {
            start: self.name_start,
            end,
        }
        .text(text);
        if self.escaped_name {
            unescape(raw)
        } else {
            Cow::Borrowed(raw)
        }
    }

    /// The text of a primitive value; `None` for null, arrays and objects.
    pub(super) fn text(self, text: &str) -> Option<Cow<'_, str>> {
        match self.kind {
            Kind::Plain | Kind::Number | Kind::True | Kind::False => {
                Some(Cow::Borrowed(self.span.text(text)))
            }
            Kind::Escaped => Some(unescape(self.span.text(text))),
            Kind::Null | Kind::Array | Kind::Object | Kind::Broken => None,
        }
    }

    /// What it is, in words.
    pub(super) fn words(self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::False | Kind::True => "true or false",
            Kind::Number => "a number",
            Kind::Plain | Kind::Escaped => "a string",
            Kind::Array => "an array",
            Kind::Object => "an object",
            Kind::Broken => "an entry that could not be read",
        }
    }
}

/// The text of a JSON string between its quotes (RFC 8259, 7), which the reader has checked.
pub(super) fn unescape(raw: &str) -> Cow<'_, str> {
    let mut parts = raw.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    if text.len() == raw.len() {
        return Cow::Borrowed(raw);
    }
    let mut high = None;
    while let Some(part) = parts.next() {
        let Some(code) = part.chars().next() else {
            // An escaped backslash: the part behind it is plain.
            text.push('\\');
            text.push_str(parts.next().unwrap_or_default());
            continue;
        };
        let mut rest = part.get(1..).unwrap_or_default();
        match code {
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'u' => {
                let unit = rest
                    .get(..4)
                    .and_then(|digits| u16::from_str_radix(digits, 16).ok());
                rest = rest.get(4..).unwrap_or_default();
                let unit = unit.unwrap_or_default();
                if (0xD800..0xDC00).contains(&unit) {
                    high = Some(unit);
                } else {
                    let pair = high.take().into_iter().chain([unit]);
                    text.extend(char::decode_utf16(pair).filter_map(Result::ok));
                }
            }
            other => text.push(other),
        }
        text.push_str(rest);
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_undone() {
        for (raw, text) in [
            ("plain", "plain"),
            (r#"a\"b\\c\/d"#, r#"a"b\c/d"#),
            (r"\\\\", r"\\"),
            (r"\\n", r"\n"),
            (r"\b\f\n\r\t", "\u{8}\u{c}\n\r\t"),
            (r"\u00e9\u0041", "éA"),
            (r"\ud83d\ude00!", "😀!"),
            (r"\\u0041", r"\u0041"),
        ] {
            assert_eq!(unescape(raw), text);
        }
    }

    proptest! {
        #[test]
        fn what_serde_json_escapes_is_undone(text in "\\PC{0,20}|[\\x00-\\x7f]{0,20}|.{0,8}") {
            let quoted = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(unescape(quoted.get(1..quoted.len() - 1).unwrap()), text.as_str());
        }
    }

    #[test]
    fn a_cell_is_small() {
        assert!(size_of::<Cell>() <= 20);
    }
}
