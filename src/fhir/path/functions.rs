//! The functions of paths, and those of them that make texts.

use std::borrow::Cow;

use super::item::Value;
use super::{EvaluateError, MAX_TEXT_BYTES};

/// The names of all functions.
pub(super) const FUNCTIONS: [&str; 16] = [
    "where",
    "exists",
    "empty",
    "not",
    "first",
    "last",
    "ofType",
    "extension",
    "startsWith",
    "endsWith",
    "contains",
    "replace",
    "substring",
    "lower",
    "upper",
    "trim",
];

/// A function of one text; what else it needs is written down in the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TextFunction {
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Replace {
        pattern: String,
        by: String,
    },
    /// From a place, counted in characters from 0, and how many.
    Substring {
        start: usize,
        length: Option<usize>,
    },
    Lower,
    Upper,
    Trim,
}

impl TextFunction {
    /// Whether it answers yes or no.
    pub(super) fn is_question(&self) -> bool {
        matches!(
            self,
            TextFunction::StartsWith(_) | TextFunction::EndsWith(_) | TextFunction::Contains(_)
        )
    }

    /// What it makes of a text; `None` for nothing.
    pub(super) fn apply<'d>(&self, text: Cow<'d, str>) -> Result<Option<Value<'d>>, EvaluateError> {
        let made = match self {
            TextFunction::StartsWith(part) => {
                return Ok(Some(Value::Boolean(text.starts_with(part))));
            }
            TextFunction::EndsWith(part) => return Ok(Some(Value::Boolean(text.ends_with(part)))),
            TextFunction::Contains(part) => return Ok(Some(Value::Boolean(text.contains(part)))),
            TextFunction::Replace { pattern, by } => {
                let times = text.matches(pattern.as_str()).count();
                let most = text.len().saturating_add(times.saturating_mul(by.len()));
                if most > MAX_TEXT_BYTES && times > 0 {
                    return Err(EvaluateError::Text);
                }
                Cow::Owned(text.replace(pattern, by))
            }
            TextFunction::Substring { start, length } => {
                return Ok(substring(&text, *start, *length).map(Value::Text));
            }
            TextFunction::Lower | TextFunction::Upper if text.len() > MAX_TEXT_BYTES => {
                return Err(EvaluateError::Text);
            }
            TextFunction::Lower => Cow::Owned(text.to_lowercase()),
            TextFunction::Upper => Cow::Owned(text.to_uppercase()),
            TextFunction::Trim => Cow::Owned(text.trim().to_owned()),
        };
        Ok(Some(Value::Text(made)))
    }
}

/// The part of a text; nothing where it starts behind the end (N1, 5.6.2).
fn substring<'d>(text: &str, start: usize, length: Option<usize>) -> Option<Cow<'d, str>> {
    let mut letters = text.chars().skip(start).peekable();
    letters.peek()?;
    Some(Cow::Owned(
        letters.take(length.unwrap_or(usize::MAX)).collect(),
    ))
}
