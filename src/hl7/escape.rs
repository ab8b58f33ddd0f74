//! Escape sequences (HL7 v2.5.1 2.7): what stands for a delimiter, a line break or a byte.

use std::borrow::Cow;

use super::charset::Charset;
use super::delimiters::Delimiters;

/// The most line breaks that one `\.sp n\` makes.
const MAX_SPACING: usize = 100;

/// Replaces escape sequences by what they stand for.
///
/// `F S T R E P` are delimiters, `.br` and `.sp` line breaks, `H` and `N` nothing. `Xhh..` is
/// bytes in the message's charset; neighbours are joined first, since senders cut a character in
/// two (`\XC3\\XA9\`). Unknown and unterminated sequences, and bytes that are no text in the
/// charset or hold NUL, stay as they are.
#[must_use]
pub fn decode<'a>(text: &'a str, delimiters: &Delimiters, charset: Charset) -> Cow<'a, str> {
    let Some(escape) = delimiters.escape.map(char::from) else {
        return Cow::Borrowed(text);
    };
    if !text.contains(escape) {
        return Cow::Borrowed(text);
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(escape) {
        decoded.push_str(before);
        if let Some((bytes, remaining)) = hex_run(after, escape) {
            rest = remaining;
            match text_of(&bytes, charset) {
                Some(run) => decoded.push_str(&run),
                None => push_verbatim(&mut decoded, escape, after, remaining),
            }
        } else if let Some((meaning, remaining)) = sequence(after, escape, delimiters) {
            decoded.push_str(&meaning);
            rest = remaining;
        } else {
            decoded.push(escape);
            rest = after;
        }
    }
    decoded.push_str(rest);
    Cow::Owned(decoded)
}

/// One sequence other than hex: what it means and the text behind its end.
fn sequence<'a>(
    after: &'a str,
    escape: char,
    delimiters: &Delimiters,
) -> Option<(String, &'a str)> {
    let (name, rest) = after.split_once(escape)?;
    let delimiter = |byte: u8| Some(char::from(byte).to_string());
    let meaning = match name {
        "F" => delimiter(delimiters.field),
        "S" => delimiter(delimiters.component),
        "R" => delimiter(delimiters.repetition),
        "E" => delimiters.escape.and_then(delimiter),
        // A sender that declares no subcomponents still writes `\T\` for an ampersand.
        "T" => delimiter(delimiters.subcomponent.unwrap_or(b'&')),
        "P" => delimiters.truncation.and_then(delimiter),
        "H" | "N" => Some(String::new()),
        ".br" => Some("\n".to_owned()),
        _ => spacing(name).map(|lines| "\n".repeat(lines)),
    }?;
    Some((meaning, rest))
}

/// `.sp`, `.sp3`, `.sp+3`, `.sp 3`: how many lines.
fn spacing(name: &str) -> Option<usize> {
    let number = name.strip_prefix(".sp")?.trim_start_matches(['+', ' ']);
    let lines = if number.is_empty() {
        1
    } else {
        number.parse().ok()?
    };
    (1..=MAX_SPACING).contains(&lines).then_some(lines)
}

/// The bytes of all hex sequences from here on that touch each other, and the text behind them.
fn hex_run(after: &str, escape: char) -> Option<(Vec<u8>, &str)> {
    let (mut bytes, mut rest) = hex_sequence(after, escape)?;
    while let Some((more, remaining)) = rest
        .strip_prefix(escape)
        .and_then(|after| hex_sequence(after, escape))
    {
        bytes.extend(more);
        rest = remaining;
    }
    Some((bytes, rest))
}

fn hex_sequence(after: &str, escape: char) -> Option<(Vec<u8>, &str)> {
    // Looks no further than the digits go, so that many unfinished sequences stay cheap.
    let digits = after.strip_prefix('X')?;
    let length = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
    let (digits, rest) = digits.split_at_checked(length)?;
    let rest = rest.strip_prefix(escape)?;
    if length == 0 || length % 2 != 0 {
        return None;
    }
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    Some((pairs.map(byte).collect::<Option<Vec<u8>>>()?, rest))
}

/// Bytes as text; a message in ASCII whose bytes are UTF-8 means UTF-8, as in its plain text.
fn text_of(bytes: &[u8], charset: Charset) -> Option<Cow<'_, str>> {
    let charset = if charset == Charset::Ascii {
        Charset::Utf8
    } else {
        charset
    };
    charset
        .decode(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
}

fn push_verbatim(decoded: &mut String, escape: char, after: &str, remaining: &str) {
    decoded.push(escape);
    let length = after.len().saturating_sub(remaining.len());
    decoded.push_str(after.get(..length).unwrap_or(after));
}

/// Escapes delimiters and line ends, so that [`decode`] gives `text` back.
///
/// Without a declared escape character the text is returned as it is: it cannot be escaped.
#[must_use]
pub fn encode<'a>(text: &'a str, delimiters: &Delimiters) -> Cow<'a, str> {
    let Some(escape) = delimiters.escape.map(char::from) else {
        return Cow::Borrowed(text);
    };
    let name = |c: char| {
        let is = |delimiter: Option<u8>| delimiter.is_some_and(|byte| char::from(byte) == c);
        match c {
            '\r' => Some("X0D"),
            '\n' => Some("X0A"),
            _ if is(delimiters.escape) => Some("E"),
            _ if is(Some(delimiters.field)) => Some("F"),
            _ if is(Some(delimiters.component)) => Some("S"),
            _ if is(Some(delimiters.repetition)) => Some("R"),
            _ if is(delimiters.subcomponent) => Some("T"),
            _ if is(delimiters.truncation) => Some("P"),
            _ => None,
        }
    };
    if !text.contains(|c| name(c).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match name(c) {
            Some(name) => {
                encoded.push(escape);
                encoded.push_str(name);
                encoded.push(escape);
            }
            None => encoded.push(c),
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Cow<'_, str> {
        decode(text, &Delimiters::default(), Charset::Ascii)
    }

    #[test]
    fn decodes_delimiters_breaks_and_highlights() {
        assert_eq!(read(r"a\F\b\S\c\T\d\R\e\E\f"), r"a|b^c&d~e\f");
        assert_eq!(
            read(r"one\.br\two\.sp2\three\.sp+1\four\.sp\"),
            "one\ntwo\n\nthree\nfour\n"
        );
        assert_eq!(read(r"\H\bold\N\"), "bold");
        assert_eq!(read(r"日本\T\語"), "日本&語");
        assert_eq!(read(r"é\F\x"), "é|x");
        assert_eq!(read(r"\E\T\E\"), r"\T\");
        let truncating = Delimiters {
            truncation: Some(b'#'),
            ..Delimiters::default()
        };
        assert_eq!(decode(r"a\P\", &truncating, Charset::Ascii), "a#");
    }

    #[test]
    fn joins_hex_and_reads_it_in_the_charset() {
        let read = |text: &'static str, charset| decode(text, &Delimiters::default(), charset);
        assert_eq!(read(r"\XC3A9\", Charset::Utf8), "é");
        assert_eq!(read(r"\XC3\\XA9\", Charset::Utf8), "é");
        assert_eq!(read(r"Fran\XE7\ois", Charset::Iso8859(1)), "François");
        assert_eq!(read(r"\XC7\\XC3\O", Charset::Iso8859(1)), "ÇÃO");
        assert_eq!(read(r"a\X0D0A\b", Charset::Ascii), "a\r\nb");
        assert_eq!(read(r"a\X0d0a\b", Charset::Ascii), "a\r\nb");
        assert_eq!(read(r"\XC3A9\", Charset::Ascii), "é");
    }

    #[test]
    fn keeps_what_it_does_not_understand() {
        for text in [
            r"C:\temp",
            r"4\5 re.",
            r"\Zfoo\",
            r"\X0\",
            r"\XGG\",
            r"\X\",
            r"\X00\",
            r"\XE7\",
            r"\XE7\\XFF\",
            r"\.sp101\",
            r"\.in5\",
            r"\P\",
            r"\",
            r"\\",
        ] {
            assert_eq!(read(text), text);
        }
        assert_eq!(read(r"4\5 re.\F\"), r"4\5 re.|");
        assert_eq!(read(r"\\server\T\"), r"\\server&");
    }

    #[test]
    fn without_escape_character_nothing_is_escaped() {
        let bare = Delimiters {
            escape: None,
            ..Delimiters::default()
        };
        assert_eq!(decode(r"a\F\b", &bare, Charset::Utf8), r"a\F\b");
        assert_eq!(encode("a|b", &bare), "a|b");
    }

    #[test]
    fn encodes_what_would_break_the_message() {
        let encoded = encode("a|b^c&d~e\\f\r\n", &Delimiters::default());
        assert_eq!(encoded, r"a\F\b\S\c\T\d\R\e\E\f\X0D\\X0A\");
    }
}
