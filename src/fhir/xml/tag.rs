//! A tag with its attributes, and the text that an attribute stands for.

use std::borrow::Cow;

use super::spaces::Space;

/// An attribute as it was written.
pub(super) struct Attribute<'t> {
    pub(super) name: &'t str,
    /// What stands between the quotes.
    pub(super) raw: &'t str,
    /// Where that starts.
    pub(super) at: usize,
}

impl<'t> Attribute<'t> {
    /// The prefix whose namespace it declares; the empty one for names without.
    pub(super) fn declares(&self) -> Option<&'t str> {
        match self.name {
            "xmlns" => Some(""),
            name => name.strip_prefix("xmlns:"),
        }
    }

    /// What it stands for; `None` where a reference is to nothing that is known.
    pub(super) fn text(&self) -> Option<Cow<'t, str>> {
        unescape(self.raw)
    }
}

/// The tag that opens an element.
pub(super) struct Tag<'t> {
    /// Where it starts.
    pub(super) at: usize,
    /// The name with its prefix.
    pub(super) name: &'t str,
    pub(super) space: Space,
    pub(super) attributes: Vec<Attribute<'t>>,
    /// Whether the element ends with it.
    pub(super) is_empty: bool,
}

impl<'t> Tag<'t> {
    /// The name without its prefix.
    pub(super) fn local(&self) -> &'t str {
        self.name
            .split_once(':')
            .map_or(self.name, |(_, name)| name)
    }

    /// The prefix; empty where there is none.
    pub(super) fn prefix(&self) -> &'t str {
        self.name.split_once(':').map_or("", |(prefix, _)| prefix)
    }

    /// The attribute of this name, without a prefix.
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute<'t>> {
        self.attributes.iter().find(|one| one.name == name)
    }

    /// Whether it says itself which namespace it is in.
    pub(super) fn declares_itself(&self) -> bool {
        let own = Some(self.prefix());
        self.attributes.iter().any(|one| one.declares() == own)
    }
}

/// Whether XML has the character (XML 1.0, 2.2).
pub(in crate::fhir) fn is_character(one: char) -> bool {
    matches!(one, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// The text of an attribute (XML 1.0, 3.3.3): line ends and tabs are blanks unless they are written
/// as references.
fn unescape(raw: &str) -> Option<Cow<'_, str>> {
    if !raw.contains(['&', '\t', '\n', '\r']) {
        return Some(Cow::Borrowed(raw));
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(place) = rest.find(['&', '\t', '\n', '\r']) {
        let (before, from) = rest.split_at(place);
        text.push_str(before);
        if let Some(behind) = from.strip_prefix('&') {
            let (name, behind) = behind.split_once(';')?;
            text.push(referred(name)?);
            rest = behind;
        } else {
            text.push(' ');
            rest = from.strip_prefix("\r\n").or_else(|| from.get(1..))?;
        }
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

/// The character that a reference is to.
pub(super) fn referred(name: &str) -> Option<char> {
    let number = match name.strip_prefix('#') {
        None => {
            return match name {
                "amp" => Some('&'),
                "lt" => Some('<'),
                "gt" => Some('>'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                _ => None,
            };
        }
        Some(number) => number,
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let is_plain = digits.chars().all(|one| one.is_ascii_hexdigit());
    let code = u32::from_str_radix(digits, radix)
        .ok()
        .filter(|_| is_plain)?;
    char::from_u32(code).filter(|one| is_character(*one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_stand_for_their_text() {
        for (raw, text) in [
            ("plain", Some("plain")),
            ("a&amp;&lt;&gt;&quot;&apos;b", Some("a&<>\"'b")),
            ("&#65;&#x42;&#x1F600;", Some("AB😀")),
            ("a\nb\tc\r\nd\re", Some("a b c d e")),
            ("a&#10;&#13;&#9;b", Some("a\n\r\tb")),
            ("&nbsp;", None),
            ("&amp", None),
            ("&", None),
            ("&#0;", None),
            ("&#x;", None),
            ("&#+65;", None),
            ("&#xD800;", None),
            ("&#xFFFF;", None),
            ("&#99999999999;", None),
        ] {
            assert_eq!(unescape(raw).as_deref(), text, "{raw}");
        }
    }
}
