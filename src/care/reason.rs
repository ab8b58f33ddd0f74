//! Reason sentences: what a rule tells a coordinator, with dates filled in and never a value.

use jiff::civil::Date;

use crate::consent::Table;

use super::rule::{Loop, Rule};

/// Sentences of a gap rule and what each may hold.
pub(super) const GAP: &[(&str, &[&str])] = &[
    ("open", &["last", "due"]),
    ("never", &["due"]),
    ("prospective", &["last", "due"]),
    ("closed", &["last", "due"]),
    ("outside", &[]),
    ("history", &[]),
];

/// The sentence of a gap rule that appointments park.
pub(super) const PARKED: (&str, &[&str]) = ("parked", &["appointment", "due"]);

/// Sentences of a referral rule.
pub(super) const REFERRAL: &[(&str, &[&str])] = &[
    (Loop::Requested.name(), &["asked", "since", "due"]),
    (Loop::Accepted.name(), &["asked", "since", "due"]),
    (Loop::Declined.name(), &["asked", "since", "due"]),
    (Loop::Returned.name(), &["asked", "since", "due"]),
    (Loop::Scheduled.name(), &["asked", "since", "due"]),
    (Loop::Seen.name(), &["asked", "since", "due"]),
    ("on-hold", &["asked"]),
    ("expired", &["asked", "due"]),
    ("closed", &["asked"]),
    ("ended", &["asked"]),
];

/// Sentences of a missed-appointment rule.
pub(super) const MISSED: &[(&str, &[&str])] = &[
    ("open", &["missed", "due"]),
    ("closed", &["missed"]),
    ("outside", &["missed"]),
];

/// Sentences of an upcoming-appointment rule.
pub(super) const UPCOMING: &[(&str, &[&str])] = &[
    ("open", &["start"]),
    ("closed", &["start"]),
    ("outside", &["start"]),
];

/// Reads the sentences of a rule; each is required and may hold only its own places.
pub(super) fn read(
    table: Table<'_, '_>,
    sentences: &[(&str, &[&str])],
    parked: bool,
) -> std::collections::BTreeMap<String, String> {
    let mut reasons = std::collections::BTreeMap::new();
    for (key, places) in sentences.iter().chain(parked.then_some(&PARKED)) {
        let Some(text) = table.need_text(key) else {
            continue;
        };
        if let Some(wrong) = unknown_place(text, places) {
            let names: Vec<String> = places.iter().map(|place| format!("{{{place}}}")).collect();
            let expected = if names.is_empty() {
                "no place".to_owned()
            } else {
                format!("the places {}", names.join(", "))
            };
            table.problem(key, &expected, &format!("`{{{wrong}}}`"));
        }
        reasons.insert((*key).to_owned(), text.to_owned());
    }
    table.finish();
    reasons
}

fn unknown_place<'t>(text: &'t str, places: &[&str]) -> Option<&'t str> {
    text.split('{').skip(1).find_map(|rest| {
        let place = rest.split_once('}').map_or(rest, |(place, _)| place);
        (!places.contains(&place)).then_some(place)
    })
}

/// The sentence `key` of `rule` with its places filled in; an unknown date reads "an unknown date".
pub(super) fn fill(rule: &Rule, key: &str, dates: &[(&str, Option<Date>)]) -> String {
    let mut text = rule.reasons.get(key).cloned().unwrap_or_default();
    for (place, date) in dates {
        let shown = date.map_or_else(|| "an unknown date".to_owned(), |date| date.to_string());
        text = text.replace(&format!("{{{place}}}"), &shown);
    }
    text
}
