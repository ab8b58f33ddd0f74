//! What FHIRPath has and paths here have not, and what to write instead.

use std::ops::Range;

use super::PathError;
use super::functions::FUNCTIONS;
use super::lex::Word;

/// Functions of FHIRPath that are not here.
const ABSENT: &[(&str, &str)] = &[
    (
        "resolve",
        "a mapping joins references itself; name the reference",
    ),
    ("matches", "use startsWith, endsWith or contains"),
    ("matchesFull", "use startsWith, endsWith or contains"),
    ("replaceMatches", "use replace"),
    ("as", "write ofType(T)"),
    ("is", "write ofType(T).exists()"),
    ("single", "write first()"),
    ("tail", "name the place, such as [1]"),
    ("skip", "name the place, such as [1]"),
    ("take", "name the place, such as [0], or first()"),
    ("combine", "write a | b"),
    ("union", "write a | b"),
    ("all", "write where(not what is wanted).empty()"),
    ("allTrue", "write exists(...) for each of them"),
    ("anyTrue", "write exists(...)"),
    ("count", "write exists(), or [1].exists() for more than one"),
    ("hasValue", "write exists()"),
    ("iif", "write a case of the mapping for each"),
    (
        "coalesce",
        "write the paths of the mapping one after the other",
    ),
    ("select", "write the member behind a dot"),
    ("repeat", "name the levels"),
    ("descendants", "name the elements"),
    ("children", "name the elements"),
    ("split", "use the mapping's function `split`"),
    ("join", "use the mapping's function `concat`"),
    ("indexOf", "use contains or startsWith"),
    ("length", "use a comparison of the text"),
    ("toString", "leave it out: every value has its text"),
    ("toInteger", "leave it out: numbers are compared as numbers"),
    ("toDecimal", "leave it out: numbers are compared as numbers"),
    ("toDate", "use the mapping's function `date`"),
    ("toDateTime", "use the mapping's function `instant`"),
    ("now", "a mapping knows no time of its own; rules do"),
    ("today", "a mapping knows no time of its own; rules do"),
    ("timeOfDay", "a mapping knows no time of its own; rules do"),
    ("memberOf", "look the code up in a concept of the mapping"),
    ("subsumes", "look the code up in a concept of the mapping"),
    ("trace", "use `careloop mapping try`"),
];

/// Words between expressions that FHIRPath has and that are not here.
const OPERATORS: &[(&str, &str)] = &[
    ("xor", "write (a and b.not()) or (b and a.not())"),
    ("implies", "write a.not() or b"),
    ("in", "write a = 'x' or a = 'y', or look it up in a table"),
    ("contains", "write exists($this = ...) on the list"),
    ("is", "write ofType(T).exists()"),
    ("as", "write ofType(T)"),
    ("div", "compute in the mapping"),
    ("mod", "compute in the mapping"),
    ("day", "quantities and durations are not compared"),
    ("days", "quantities and durations are not compared"),
];

/// A sign that begins no word.
pub(super) fn sign(rest: &str, at: usize) -> PathError {
    let first = rest.chars().next().unwrap_or(' ');
    let hint = match first {
        '"' => "texts are in single quotes",
        '$' => "of these names there is `$this`",
        '%' => "there are no variables; write the value",
        '{' => "write empty()",
        '~' => "write = or !=, and lower() where the case is not to count",
        '!' => "write != or not()",
        '/' if rest.starts_with("//") || rest.starts_with("/*") => "write comments beside the path",
        '+' | '-' | '*' | '/' | '&' => "compute in the mapping, with its functions",
        ';' => "a path is one expression",
        _ => "write members, functions, texts in single quotes and operators",
    };
    let span = at..at + first.len_utf8();
    PathError::new(span, "a path", format!("`{first}`")).hint(hint)
}

/// A word where another one belongs.
pub(super) fn word(word: &Word, span: Range<usize>, expected: &str) -> PathError {
    let error = PathError::new(span, expected, word.shown());
    let hint = match word {
        Word::Name(name) => OPERATORS
            .iter()
            .find(|(one, _)| one == name)
            .map(|(_, hint)| *hint),
        Word::Text(_) => Some("quantities are not compared; compare value and code"),
        Word::Moment(_)
        | Word::Number(_)
        | Word::Quoted(_)
        | Word::This
        | Word::Sign(_)
        | Word::End => None,
    };
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// A name that is a word of FHIRPath and no member.
pub(super) fn name(name: &str, span: &Range<usize>) -> Result<(), PathError> {
    if !["and", "or", "xor", "implies", "div", "mod"].contains(&name) {
        return Ok(());
    }
    let error = PathError::new(span.clone(), "a member or a function", format!("`{name}`"));
    Err(error.hint(format!(
        "a member of that name is written between backticks: `{name}`"
    )))
}

/// A function that is not here.
pub(super) fn function(name: &str, span: &Range<usize>) -> Result<(), PathError> {
    if FUNCTIONS.contains(&name) {
        return Ok(());
    }
    let error = PathError::new(
        span.clone(),
        "a function that paths have",
        format!("`{name}()`"),
    );
    let absent = ABSENT.iter().find(|(one, _)| *one == name);
    Err(match absent {
        Some((_, hint)) => error.hint(*hint),
        None => error.did_you_mean(name, FUNCTIONS.iter().copied()),
    })
}
