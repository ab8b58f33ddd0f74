//! Tests of the shipped rules by their examples, and of what the compiler refuses.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/care");

fn shipped() -> Rules {
    Rules::embedded().unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn shipped_text(name: &str) -> &'static str {
    embedded::FILES
        .iter()
        .find(|(file, _)| *file == name)
        .unwrap()
        .1
}

#[test]
fn every_example_beside_a_rule_comes_out_as_written() {
    let rules = shipped();
    let mut count = 0;
    for folder in ["gaps", "referrals", "journeys"] {
        for entry in std::fs::read_dir(format!("{ROOT}/{folder}")).unwrap() {
            let path = entry.unwrap().path();
            if !path.is_dir() {
                continue;
            }
            for file in std::fs::read_dir(path).unwrap() {
                let file = file.unwrap().path();
                let text = std::fs::read_to_string(&file).unwrap();
                match examples::run(&rules, &file.display().to_string(), &text) {
                    Ok(examples) => count += examples,
                    Err(wrong) => panic!("{}", wrong.join("\n")),
                }
            }
        }
    }
    assert!(count >= 50, "{count} examples");
}

#[test]
fn an_example_that_does_not_hold_is_told() {
    let text = r#"
        [[example]]
        name = "wrong"
        rule = "missed-appointment"
        now = "2026-03-04T00:00:00[America/New_York]"
        expect = [{ status = "open-gap" }]
    "#;
    assert_eq!(examples::run(&shipped(), "x", text).err().unwrap().len(), 1);
}

#[test]
fn every_problem_in_a_file_is_told_with_its_line() {
    let text = shipped_text("gaps/hba1c-due.toml")
        .replace("from = 18", "from = 98")
        .replace("\"6 months\"", "\"six months\"")
        .replace("topic =", "topik =")
        .replace("the next was due on {due}", "the next was due on {when}")
        .replace("\"phone-live\", \"portal\"", "\"phone-live\", \"pigeon\"");
    let problems = Rules::compile(&[("gap.toml", &text)]).err().unwrap();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let line = |needle: &str| text.lines().position(|line| line.contains(needle)).unwrap() + 1;
    for (needle, message) in [
        (
            "from = 98",
            "population.age.through: expected an age not below `from`",
        ),
        ("within = ", "satisfied.within: expected a span"),
        ("topik", "task.topik: expected one of"),
        (
            "{when}",
            "reason.open: expected the places {last}, {due}, found `{when}`",
        ),
        ("pigeon", "task.channels: expected one of phone-live"),
    ] {
        let start = format!("gap.toml:{}: {message}", line(needle));
        assert!(
            told.iter().any(|told| told.starts_with(&start)),
            "{start}\n{told:#?}"
        );
    }
    assert!(
        told.iter()
            .any(|told| told.contains("task.topic") && told.ends_with("nothing"))
    );
}

#[test]
fn a_concept_that_is_not_among_the_reads_is_refused() {
    let text = shipped_text("gaps/hba1c-due.toml")
        .replace("\"diabetes\", \"hba1c-result\"]", "\"diabetes\"]");
    let problems = Rules::compile(&[("gap.toml", &text)]).err().unwrap();
    assert!(
        problems.iter().any(|problem| problem.at == "reads"),
        "{problems:?}"
    );
}

#[test]
fn two_rules_of_one_id_and_broken_toml_are_refused() {
    let text = shipped_text("gaps/hba1c-due.toml");
    assert!(Rules::compile(&[("a.toml", text), ("b.toml", text)]).is_err());
    let problems = Rules::compile(&[("a.toml", "id = \n[task]\ncode = 1 2\n")])
        .err()
        .unwrap();
    assert_eq!(problems.iter().map(|problem| problem.line).max(), Some(3));
}

#[test]
fn only_the_rules_that_read_what_changed_are_touched() {
    let rules = shipped();
    let ids = |touched: Touched| -> Vec<String> {
        rules
            .touched_by(&touched)
            .iter()
            .map(|rule| rule.id.clone())
            .collect()
    };
    let concepts = |concept: &str| BTreeSet::from([concept.to_owned()]);
    let result = Touched {
        concepts: concepts("hba1c-result"),
        ..Touched::default()
    };
    assert_eq!(ids(result), ["hba1c-due"]);
    let visit = Touched {
        appointments: true,
        ..Touched::default()
    };
    let of_visits = [
        "appointment-confirmation",
        "appointment-reminder",
        "hba1c-due", // a booked visit parks it
        "missed-appointment",
        "referral-outstanding",
    ];
    assert_eq!(ids(visit), of_visits);
    let referral = Touched {
        requests: true,
        ..Touched::default()
    };
    assert_eq!(ids(referral), ["referral-outstanding"]);
    assert_eq!(
        ids(Touched {
            person: true,
            ..Touched::default()
        })
        .len(),
        5
    );
    let other = Touched {
        concepts: concepts("asthma"),
        ..Touched::default()
    };
    assert!(ids(other).is_empty());
}

#[test]
fn a_rule_asks_for_a_task_only_where_its_template_says_so() {
    let rules = shipped();
    let rule = rules.get("hba1c-due").unwrap();
    let now = "2026-03-02T09:00:00[America/New_York]".parse().unwrap();
    let nobody = crate::crm::Chart::default();
    let verdicts = evaluate(rule, &nobody, &BTreeMap::new(), &now);
    assert!(!rule.asks_for_task(&verdicts[0]));
    assert_eq!(rule.kind(), RuleKind::Gap);
}

#[test]
fn the_next_check_is_never_past_and_the_answer_holds_until_then() {
    use crate::crm::{Chart, Moment, PartialDate, Pointer, Resource};
    let rules = shipped();
    let rule = rules.get("hba1c-due").unwrap();
    let pointer = |concept: &str, status: &str, date: Option<&str>| Pointer {
        source: "s".to_owned(),
        resource: Resource::Observation,
        concept: concept.to_owned(),
        reference: "r".to_owned(),
        date: date.map(|date| Moment::parse(date).unwrap()),
        status: Some(status.to_owned()),
        class: None,
        orders: Vec::new(),
        changed_at: jiff::Timestamp::UNIX_EPOCH,
    };
    let chart = Chart {
        birth_date: PartialDate::parse("1951-02-11"),
        pointers: vec![
            pointer("diabetes", "active", Some("2020-01-01")),
            pointer("hba1c-result", "final", Some("2025-08-31")),
        ],
        ..Chart::default()
    };
    let history = BTreeMap::from([("hba1c-result".to_owned(), jiff::civil::date(2025, 1, 1))]);
    let start: jiff::Zoned = "2025-09-01T00:00:00[America/New_York]".parse().unwrap();
    let mut expected = evaluate(rule, &chart, &history, &start).remove(0);
    for hour in 0..24 * 700 {
        let now = start
            .checked_add(jiff::SignedDuration::from_hours(hour))
            .unwrap();
        let found = evaluate(rule, &chart, &history, &now).remove(0);
        let moved = found.status != expected.status || found.overdue != expected.overdue;
        let check = expected.next_check;
        assert!(
            !moved || check.is_some_and(|at| at <= now.timestamp()),
            "{now}"
        );
        assert!(
            found.next_check.is_none_or(|at| at > now.timestamp()),
            "{now}"
        );
        expected = found;
    }
    assert_eq!(expected.status, GapStatus::NotApplicable);
}
