//! Bad files are refused with place, expected and found, all problems at once.

use super::*;

/// Swaps a line of the pack and answers what is said about it.
fn refused(line: &str, wrong: &str) -> String {
    assert!(PACK.contains(line), "{line}");
    let list = bundle(&PACK.replacen(line, wrong, 1), &[])
        .err()
        .unwrap_or_default();
    told(&list)
}

#[test]
fn a_diagnostic_shows_file_line_expected_found_and_a_guess() {
    let told = refused("table = \"sex\"", "tabel = \"sex\"");
    let expected = "\
error: unknown key `tabel`
 --> hl7v2/test.toml:32:1
   |
32 | tabel = \"sex\"
   | ^^^^^
  = expected: one of from, fn, table, unmapped, default, on_null, on_bad, split, when, required, gate, sealed, add, release
  = found: `tabel`
  = help: did you mean `table`?";
    assert!(told.contains(expected), "{told}");
    assert!(
        told.contains("use a `table`"),
        "and that a code has no table now: {told}"
    );
}

/// A line of the pack, what stands there instead (`⏎` a new line), and what must be said about it.
const MISTAKES: &str = r#"
from = "PID-7" ⇒ from = "PIDD-7" ⇒ not a path
from = "PID-7" ⇒ from = "QID-7" ⇒ did you mean `PID`
from = "PID-7" ⇒ from = "PID-83" ⇒ PID-1 to PID-41
from = "PID-7" ⇒ from = ".7" ⇒ relative
from = "PID-7" ⇒ from = "$when" ⇒ unknown variable `when`
from = "PID-7" ⇒ from = 7 ⇒ a text in quotes
from = "PID-7" ⇒ value = "1980-13" ⇒ YYYY-MM-DD
from = "PID-7" ⇒ note = "" ⇒ where does the value come from
fn = "date" ⇒ fn = "dat" ⇒ did you mean `date`
fn = "date" ⇒ fn = "upper" ⇒ use `fn = "date"`
table = "sex" ⇒ table = "sexes" ⇒ unknown table `sexes`
table = "sex" ⇒ table = "appt_status" ⇒ table `appt_status` is used for patient.sex
table = "sex" ⇒ table = "sex"⏎unmapped = "pass" ⇒ lets any text through
table = "sex" ⇒ table = "sex"⏎unmapped = "default" ⇒ without a default
table = "sex" ⇒ table = "sex"⏎default = "femal" ⇒ did you mean `female`
table = "sex" ⇒ required = "yes"⏎table = "sex" ⇒ true or false
value = "cancelled" ⇒ value = "canceled" ⇒ did you mean `cancelled`
$trigger in ['S15'] ⇒ $trigger in 'S15' ⇒ is not a condition
$trigger in ['S15'] ⇒ $trigger in ['S15' ⇒ is not a condition
$trigger in ['S15'] ⇒ $trigger in table nothing ⇒ unknown table `nothing`
{ when = "SCH-25 valued",  ⇒ {  ⇒ hides those after it
when = "SCH present" ⇒ when = "SHC present" ⇒ did you mean `SCH`
emit = "Pointer" ⇒ emit = "Pointr" ⇒ did you mean `Pointer`
[patient.set.sex] ⇒ [patient.set.gender] ⇒ unknown field of Patient `gender`
[patient.set.sex] ⇒ [patient.set."sex[]"] ⇒ this field is no list
[problem.set.reference] ⇒ [problem.set.date] ⇒ Pointer needs a rule for `reference`
fields = { value = ".1", assigner = ".2" } ⇒ fields = { assigner = ".2" } ⇒ the model needs `value`
each = "PID-5" ⇒ each = "PID-5.1" ⇒ repetitions of a whole field
from = "DG1-3" ⇒ from = "DG1-3.1" ⇒ a whole coded field
system = "DG1-2" ⇒ concepts = ["diabetis"] ⇒ did you mean `diabetes`
unit = { from = "SCH-10.1", missing = "min" } ⇒ ⏎ ⇒ the unit must be stated
unit = { from = "SCH-10.1", missing = "min" } ⇒ unit = { missing = "mins" } ⇒ did you mean `min`
schema = 1 ⇒ schema = 2 ⇒ version of the mapping language
messages = ["SIU^S12", "ADT"] ⇒ messages = ["SIU S12"] ⇒ is no message type
messages = ["ADT^A43"] ⇒ messages = ["ADT"] ⇒ taken twice
per = "PID" ⇒ per = "PID"⏎use = ["fragment.x"] ⇒ unknown fragment
per = "PID" ⇒ per = "PID"⏎pre = "PID" ⇒ did you mean `per`
per = "PID" ⇒ per = "PID"⏎per = "PID" ⇒ duplicate key
"#;

#[test]
fn every_kind_of_mistake_is_found() {
    for row in MISTAKES.lines().filter(|row| !row.is_empty()) {
        let [line, wrong, expected] = row.split(" ⇒ ").collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        let told = refused(line, &wrong.replace('⏎', "\n"));
        assert!(
            told.contains(expected),
            "{wrong}: expected `{expected}` in\n{told}"
        );
    }
}

#[test]
fn all_problems_are_told_at_once_in_order() {
    let pack = PACK
        .replace("\"PID-7\"", "\"PID7\"")
        .replace("\"booked\" }", "\"bookd\" }");
    let list = bundle(&pack, &[]).err().unwrap_or_default();
    let lines: Vec<u32> = list.iter().map(|one| one.line).collect();
    assert_eq!(lines.len(), 2, "{}", told(&list));
    assert!(lines.is_sorted());
}

#[test]
fn tables_and_concepts_are_checked_too() {
    let with = |name: &str, text: &str| {
        let base = files(PACK);
        let mut list: Vec<(&str, &str)> = base.iter().collect();
        list.push((name, text));
        told(
            &Bundle::compile(&Files::of(&list), &[])
                .err()
                .unwrap_or_default(),
        )
    };
    let twice = with(
        "tables/z.toml",
        "[t]\nfold_case = true\n[t.map]\nA = \"x\"\na = \"y\"",
    );
    assert!(twice.contains("has this code twice"), "{twice}");
    assert!(with("tables/z.toml", "[sex.map]").contains("defined twice"));
    assert!(with("tables/z.toml", "[t.map]\nA = 1").contains("a text in quotes"));
    assert!(with("concepts/z.toml", "concept = \"z\"").contains("without codes"));
    assert!(with("hl7v2/z.toml", "fragment = \"fragment.z\"").contains("no mapping uses"));
    assert!(with("hl7v2/z.toml", "").contains("`mapping` is missing"));
}

#[test]
fn conditions_cannot_nest_without_end() {
    let deep = format!("{}PID-3 valued{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(refused("SCH present", &deep).contains("levels of parentheses"));
}
