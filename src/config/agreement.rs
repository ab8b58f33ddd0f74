//! Business associate agreements: without one in force nothing is taken and nothing leaves.

use jiff::civil::Date;
use toml::Spanned;

use super::TASKS_DESTINATION;
use super::file;
use super::load::{Check, Place};
use super::parties::{Directory, Known, owner};
use super::words::Day;

/// A business associate agreement.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// The other party.
    pub party: String,
    /// Where the document is.
    pub document: String,
    /// When it was signed.
    pub signed: Date,
    /// First day it is in force.
    pub from: Date,
    /// Last day it is in force.
    pub until: Date,
    /// Days within which a breach is notified (at most 60, 45 CFR 164.410).
    pub breach_notice_days: u8,
    /// The sources and destinations it covers; the task destination is `careloop.tasks`.
    pub covers: Vec<String>,
}

impl Agreement {
    /// Days until it ends; below zero when it is over.
    pub fn days_left(&self, today: Date) -> i32 {
        let left = self.until.since(today);
        left.map_or(0, |span| span.get_days())
    }
}

/// `[[agreement]]`, with the tenant it belongs to.
pub(super) fn agreement(
    check: &mut Check<'_>,
    place: &Place,
    written: &file::Agreement,
    directory: &Directory,
) -> Option<(String, Agreement)> {
    let owner = owner(check, place, &written.tenant, directory);
    let party = check.need(place, "party", &written.party);
    let signed = check.need(place, "signed", &written.signed);
    let until = check.need(place, "until", &written.until);
    let days = written.breach_notice_days.as_ref();
    if let Some(days) = days.filter(|days| !(1..=60).contains(days.get_ref())) {
        let says = format!("expected 1 to 60 days, found {}", days.get_ref());
        let next = "the law allows 60 days at most (45 CFR 164.410)";
        check.report(&place.key("breach_notice_days", days), &says, next);
    }
    if let Some(party) = party.filter(|party| party.get_ref().trim().is_empty()) {
        let says = "expected the other party's name, found empty text";
        check.report(
            &place.key("party", party),
            says,
            "write who signed the agreement",
        );
    }
    let from = written.from.as_ref();
    ordered(check, place, (("signed", signed), ("from", from)));
    let (began, start) = if from.is_some() {
        ("from", from)
    } else {
        ("signed", signed)
    };
    ordered(check, place, ((began, start), ("until", until)));
    covers(
        check,
        place,
        written,
        owner.as_ref().map(|(_, known)| *known),
    );
    let ((tenant, _), signed) = (owner?, signed?.get_ref().0);
    let agreement = Agreement {
        party: party?.get_ref().clone(),
        document: written.document.clone().unwrap_or_default(),
        signed,
        from: from.map_or(signed, |from| from.get_ref().0),
        until: until?.get_ref().0,
        breach_notice_days: days.map_or(60, |days| *days.get_ref()),
        covers: written
            .covers
            .iter()
            .map(|covered| covered.get_ref().clone())
            .collect(),
    };
    Some((tenant, agreement))
}

type NamedDay<'w> = (&'static str, Option<&'w Spanned<Day>>);

fn ordered(check: &mut Check<'_>, place: &Place, days: (NamedDay<'_>, NamedDay<'_>)) {
    let ((before, first), (after, second)) = days;
    if let (Some(first), Some(second)) = (first, second)
        && second.get_ref().0 < first.get_ref().0
    {
        let says = format!("expected a day not before `{before}`, found an earlier one");
        check.report(
            &place.key(after, second),
            &says,
            "correct one of the two days",
        );
    }
}

fn covers(check: &mut Check<'_>, place: &Place, written: &file::Agreement, known: Option<&Known>) {
    if written.covers.is_empty() && !check.is_taken_out(&format!("{}.covers", place.at)) {
        let at = Place {
            span: place.span.clone(),
            at: format!("{}.covers", place.at),
        };
        let says = "expected the sources and destinations it covers, found none";
        check.report(
            &at,
            says,
            "add `covers = [\"a-source\", \"careloop.tasks\"]`",
        );
    }
    let Some(known) = known else { return };
    for covered in &written.covers {
        let name = covered.get_ref();
        let fits = name == TASKS_DESTINATION || known.sources.contains(name);
        if !fits && !check.is_taken_out("source") {
            let says = "expected a source of this tenant or careloop.tasks, found another name";
            check.report(
                &place.key("covers", covered),
                says,
                "add the [[source]] or correct the name",
            );
        }
    }
}
