//! What is no path here, where it is wrong, and what to write instead.

use super::super::super::Release;
use super::super::*;
use super::{compiled, refused};

/// A path, and the place and the advice of its error.
type Advised = (&'static str, Range<usize>, &'static str);

fn all_advised(paths: &[Advised]) {
    for (path, span, hint) in paths {
        let error = refused(path, "Patient");
        let advised = (&error.span, error.hint.as_deref());
        assert_eq!(advised, (span, Some(*hint)), "{path}");
    }
}

/// Paths with the whole text of their errors.
fn all_told(paths: &[(&str, &str)]) {
    for (path, message) in paths {
        assert_eq!(refused(path, "Patient").to_string(), *message, "{path}");
    }
}

const ABSENT: &[Advised] = &[
    (
        "name.resolve()",
        5..12,
        "a mapping joins references itself; name the reference",
    ),
    (
        "gender.matches('f.*')",
        7..14,
        "use startsWith, endsWith or contains",
    ),
    ("deceased as dateTime", 9..11, "write ofType(T)"),
    ("deceased is dateTime", 9..11, "write ofType(T).exists()"),
    ("deceased.as(dateTime)", 9..11, "write ofType(T)"),
    (
        "gender in 'a'",
        7..9,
        "write a = 'x' or a = 'y', or look it up in a table",
    ),
    (
        "active xor active",
        7..10,
        "write (a and b.not()) or (b and a.not())",
    ),
    ("active implies active", 7..14, "write a.not() or b"),
    (
        "name.count()",
        5..10,
        "write exists(), or [1].exists() for more than one",
    ),
    (
        "telecom.rank + 1",
        13..14,
        "compute in the mapping, with its functions",
    ),
    (
        "gender & 'x'",
        7..8,
        "compute in the mapping, with its functions",
    ),
    (
        "gender ~ 'x'",
        7..8,
        "write = or !=, and lower() where the case is not to count",
    ),
    ("gender = \"female\"", 9..10, "texts are in single quotes"),
    (
        "%resource.id",
        0..1,
        "there are no variables; write the value",
    ),
    ("name = {}", 7..8, "write empty()"),
    ("$index", 0..1, "of these names there is `$this`"),
    ("name // all", 5..6, "write comments beside the path"),
    ("name.wher(use = 'old')", 5..9, "did you mean `where`?"),
    (
        "text.div",
        5..8,
        "a member of that name is written between backticks: `div`",
    ),
    (
        "telecom.where(rank = 1 'mg')",
        23..27,
        "quantities are not compared; compare value and code",
    ),
    (
        "today()",
        0..5,
        "a mapping knows no time of its own; rules do",
    ),
];

#[test]
fn what_paths_have_not_is_refused_with_its_place_and_what_to_write() {
    all_advised(ABSENT);
}

/// A path, the type it starts at, and the place, the finding and the advice of its error.
type Unknown = (
    &'static str,
    &'static str,
    Range<usize>,
    &'static str,
    Option<&'static str>,
);

const UNKNOWN: &[Unknown] = &[
    (
        "birthdate",
        "Patient",
        0..9,
        "`birthdate`, which R4 does not have",
        Some("did you mean `birthDate`?"),
    ),
    (
        "name.givn",
        "Patient",
        5..9,
        "`givn`, which R4 does not have",
        Some("did you mean `given`?"),
    ),
    (
        "contact.relationshp",
        "Patient",
        8..19,
        "`relationshp`, which R4 does not have",
        Some("did you mean `relationship`?"),
    ),
    (
        "valueQuantity",
        "Observation",
        0..13,
        "`valueQuantity`, which R4 does not have",
        Some("write `value.ofType(Quantity)`"),
    ),
    (
        "reason.concept",
        "Appointment",
        0..6,
        "`reason`, which R4 does not have",
        Some("R5 has it: write a case for each release"),
    ),
    (
        "birthDate.value",
        "Patient",
        10..15,
        "`value`, which R4 does not have",
        None,
    ),
    (
        "value.ofType(Quantty)",
        "Observation",
        13..20,
        "`Quantty`",
        Some("did you mean `Quantity`?"),
    ),
    (
        "value.ofType(Address)",
        "Observation",
        13..20,
        "`Address`",
        Some("it is never of that type"),
    ),
    (
        "value.ofType('Quantity')",
        "Observation",
        13..23,
        "something else",
        None,
    ),
    (
        "Observation.code",
        "Patient",
        0..11,
        "`Observation`, which R4 does not have",
        None,
    ),
];

#[test]
fn members_and_types_are_checked_against_the_release() {
    for (path, kind, span, found, hint) in UNKNOWN {
        let error = refused(path, kind);
        assert_eq!(
            (&error.span, error.found.as_str(), error.hint.as_deref()),
            (span, *found, *hint),
            "{path}"
        );
    }
    let r5 = Scope::resources(Release::R5, &["Appointment"]).unwrap();
    assert!(Path::compile("reason.concept.coding.code", &r5).is_ok());
    let error = Path::compile("reasonCode", &r5).unwrap_err();
    assert_eq!(
        error.hint.as_deref(),
        Some("R4 and R4B have it: write a case for each release")
    );
}

const UNCOMPARABLE: &[Advised] = &[
    (
        "name.use = 'old'",
        0..8,
        "write where(...).exists() to ask for any of them, or first()",
    ),
    (
        "name.given.startsWith('A')",
        0..10,
        "write where(...).exists() to ask for any of them, or first()",
    ),
    (
        "birthDate = '1980-02-29'",
        12..24,
        "write dates as @2026-01-31, without quotes",
    ),
    (
        "gender = 1",
        9..10,
        "both sides of a comparison are of one kind",
    ),
    (
        "telecom.where(rank = '1')",
        21..24,
        "both sides of a comparison are of one kind",
    ),
    ("deceased = true", 0..8, "choose one with ofType(...)"),
    ("maritalStatus = 'M'", 0..13, "compare one of its members"),
    (
        "name.where(family)",
        11..17,
        "write .exists() behind it, or compare it",
    ),
    (
        "gender and active",
        0..6,
        "write .exists() behind it, or compare it",
    ),
    (
        "gender.not()",
        0..6,
        "write .exists() behind it, or compare it",
    ),
    (
        "birthDate.startsWith('19')",
        0..9,
        "functions of texts take strings, codes and addresses",
    ),
];

const MISUSED: &[(&str, &str)] = &[
    (
        "active < true",
        "byte 1: expected a number, a text or a date, found true or false before `<`",
    ),
    (
        "gender.replace('', 'x')",
        "byte 16: expected what to replace, found an empty text",
    ),
    (
        "gender.replace('x')",
        "byte 1: expected two texts, what to replace and by what in the brackets of replace(), found 1 of them",
    ),
    (
        "gender.startsWith(id)",
        "byte 19: expected a text in single quotes, found something else",
    ),
    (
        "gender.substring('1')",
        "byte 18: expected a whole number, from 0, found something else",
    ),
    (
        "name.where()",
        "byte 1: expected one condition in the brackets of where(), found none",
    ),
    (
        "name.first(1)",
        "byte 1: expected nothing in the brackets of first(), found 1 of them",
    ),
    (
        "'x'.extension('u')",
        "byte 1: expected an element, found a value that a function made",
    ),
    (
        "active.not().extension('u')",
        "byte 1: expected an element, found a value that a function made",
    ),
    (
        "gender.upper().first().id",
        "byte 1: expected an element, found a value that a function made",
    ),
    (
        "birthDate < @1980-13",
        "byte 13: expected a date or time that exists, found another one; write @2026-01-31 or @2026-01-31T10:00:00Z",
    ),
];

#[test]
fn what_cannot_be_compared_is_refused() {
    all_advised(UNCOMPARABLE);
    all_told(MISUSED);
}

const BROKEN: &[(&str, &str)] = &[
    (
        "",
        "byte 1: expected a member, a text or a number, found the end",
    ),
    (
        "name.",
        "byte 6: expected the name of a member or a function, found the end",
    ),
    (
        ".name",
        "byte 1: expected a member, a text or a number, found `.`",
    ),
    (
        "name..given",
        "byte 6: expected the name of a member or a function, found `.`",
    ),
    (
        "name[",
        "byte 6: expected a whole number, from 0, found the end",
    ),
    (
        "name[-1]",
        "byte 6: expected a path, found `-`; compute in the mapping, with its functions",
    ),
    (
        "name[1.5]",
        "byte 6: expected a whole number, from 0, found a number",
    ),
    ("name[0", "byte 7: expected `]`, found the end"),
    (
        "name.where(use = 'old'",
        "byte 23: expected `)`, found the end",
    ),
    (
        "name)",
        "byte 5: expected the end or an operator, found `)`",
    ),
    (
        "name given",
        "byte 6: expected the end or an operator, found `given`",
    ),
    (
        "name |",
        "byte 7: expected a member, a text or a number, found the end",
    ),
    (
        "gender = 'x",
        "byte 10: expected a closing quote, found the end",
    ),
    (
        "gender = '\\d'",
        "byte 11: expected an escape: \\' \\\" \\\\ \\/ \\n \\r \\t \\f, found another one; write the character itself",
    ),
    (
        "`name",
        "byte 1: expected a name between backticks, found something else",
    ),
    (
        "näme",
        "byte 2: expected a path, found `ä`; write members, functions, texts in single quotes and operators",
    ),
];

#[test]
fn what_is_no_path_is_refused_with_its_place() {
    all_told(BROKEN);
}

#[test]
fn a_path_has_bounds() {
    let deep = |brackets: usize| format!("{}id{}", "(".repeat(brackets), ")".repeat(brackets));
    for (path, expected) in [
        (
            format!("id{}", " ".repeat(MAX_PATH_BYTES)),
            "a path of at most 2,000 bytes",
        ),
        ("id|".repeat(201) + "id", "at most 200 terms"),
        (deep(MAX_NESTING + 1), "at most 16 brackets in each other"),
    ] {
        assert_eq!(refused(&path, "Patient").expected, expected);
    }
    compiled(&deep(MAX_NESTING), "Patient");
}

#[test]
fn a_time_of_day_is_no_text() {
    let path = "availableTime.first().availableStartTime = '10:00:00'";
    let error = refused(path, "HealthcareService");
    assert_eq!(error.expected, "a time of day");
    assert_eq!(error.found, "a text");
}
