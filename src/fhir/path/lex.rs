//! The words of a path, each with its place.

use std::ops::Range;

use super::{PathError, refused};

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Name(String),
    /// A name between backticks, which is never an operator.
    Quoted(String),
    /// Text in single quotes, unescaped.
    Text(String),
    Number(String),
    /// A date or time behind `@`.
    Moment(String),
    This,
    /// `.`, `,`, brackets and operators.
    Sign(&'static str),
    End,
}

impl Word {
    /// What it is, for "found".
    pub(super) fn shown(&self) -> String {
        match self {
            Word::Name(name) | Word::Quoted(name) => format!("`{name}`"),
            Word::Text(_) => "a text".to_owned(),
            Word::Number(_) => "a number".to_owned(),
            Word::Moment(_) => "a date".to_owned(),
            Word::This => "`$this`".to_owned(),
            Word::Sign(sign) => format!("`{sign}`"),
            Word::End => "the end".to_owned(),
        }
    }
}

pub(super) type Words = Vec<(Word, Range<usize>)>;

/// Longer ones first, so that `<=` is not read as `<`.
const SIGNS: [&str; 13] = [
    "!=", "<=", ">=", ".", ",", "(", ")", "[", "]", "|", "=", "<", ">",
];

/// Splits a path into words, the last of which is the end.
pub(super) fn words(text: &str) -> Result<Words, PathError> {
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        let Some(first) = trimmed.chars().next() else {
            words.push((Word::End, at..at));
            return Ok(words);
        };
        let (word, length) = word(trimmed, first, at)?;
        words.push((word, at..at + length));
        at += length;
    }
}

fn word(rest: &str, first: char, at: usize) -> Result<(Word, usize), PathError> {
    let while_ = |fits: fn(char) -> bool| rest.find(|c| !fits(c)).unwrap_or(rest.len());
    let part = |length: usize| rest.get(..length).unwrap_or_default().to_owned();
    match first {
        'a'..='z' | 'A'..='Z' | '_' => {
            let length = while_(|c| c.is_ascii_alphanumeric() || c == '_');
            Ok((Word::Name(part(length)), length))
        }
        '0'..='9' => {
            let digits = while_(|c| c.is_ascii_digit());
            let after = rest.get(digits..).unwrap_or_default().strip_prefix('.');
            let fraction = after.map_or(0, |after| {
                after
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(after.len())
            });
            let length = if fraction == 0 {
                digits
            } else {
                digits + 1 + fraction
            };
            Ok((Word::Number(part(length)), length))
        }
        '\'' => quoted(rest, at),
        '`' => {
            let inner = rest.get(1..).unwrap_or_default();
            let length = inner
                .find(|c: char| !c.is_ascii_alphanumeric())
                .unwrap_or(inner.len());
            if length == 0 || inner.as_bytes().get(length) != Some(&b'`') {
                return Err(PathError::new(
                    at..at + 1,
                    "a name between backticks",
                    "something else",
                ));
            }
            Ok((Word::Quoted(part(length + 1).split_off(1)), length + 2))
        }
        '@' => {
            let length = 1 + moment_length(rest.get(1..).unwrap_or_default());
            Ok((Word::Moment(part(length).split_off(1)), length))
        }
        '$' if rest.starts_with("$this") => Ok((Word::This, "$this".len())),
        _ => match SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            Some(sign) => Ok((Word::Sign(sign), sign.len())),
            None => Err(refused::sign(rest, at)),
        },
    }
}

/// How far a date or time reaches. A dot belongs to it before a digit only, and a minus only where
/// no blank is before it, as everywhere in a literal.
fn moment_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let is_part = |place: usize| match bytes.get(place) {
        Some(b'0'..=b'9' | b'-' | b':' | b'T' | b'Z' | b'+') => true,
        Some(b'.') => bytes.get(place + 1).is_some_and(u8::is_ascii_digit),
        _ => false,
    };
    (0..bytes.len())
        .find(|place| !is_part(*place))
        .unwrap_or(bytes.len())
}

/// A text in single quotes with the escapes of FHIRPath (N1, 2.7).
fn quoted(rest: &str, at: usize) -> Result<(Word, usize), PathError> {
    let mut text = String::new();
    let mut letters = rest.char_indices().skip(1);
    while let Some((place, letter)) = letters.next() {
        match letter {
            '\'' => return Ok((Word::Text(text), place + 1)),
            '\\' => match letters.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, 'r')) => text.push('\r'),
                Some((_, 'f')) => text.push('\u{c}'),
                Some((_, same @ ('\'' | '"' | '`' | '\\' | '/'))) => text.push(same),
                _ => {
                    let span = at + place..at + place + 1;
                    let expected = "an escape: \\' \\\" \\\\ \\/ \\n \\r \\t \\f";
                    return Err(PathError::new(span, expected, "another one")
                        .hint("write the character itself"));
                }
            },
            other => text.push(other),
        }
    }
    Err(PathError::new(
        at..at + rest.len(),
        "a closing quote",
        "the end",
    ))
}
