//! Upcoming appointments: who is expected is asked to confirm, or reminded.

use jiff::{Timestamp, Zoned};

use crate::consent::Table;
use crate::crm::{Appointment, AppointmentStatus, Chart};

use super::calendar::Span;
use super::compile::name;
use super::evaluate::{Evaluation, GapStatus, ReasonCode};
use super::reason;
use super::rule::{Kind, Rule, key_of};

/// Upcoming appointments.
#[derive(Clone, Debug)]
pub(super) struct Upcoming {
    pub(super) status: Vec<AppointmentStatus>,
    /// So long before the start the person is asked.
    pub(super) lead: Span,
    /// So long before the start it must be done.
    pub(super) notice: Span,
    /// The rule whose finished task makes this one needless.
    pub(super) unless_done: Option<String>,
    /// Whether what the person has confirmed at the EHR makes it needless.
    pub(super) unless_confirmed: bool,
}

impl Rule {
    /// The rule whose finished task makes a task of this one needless.
    pub fn unless_done(&self) -> Option<&str> {
        match &self.kind {
            Kind::Upcoming(spec) => spec.unless_done.as_deref(),
            _ => None,
        }
    }
}

/// Reads the part that differs from other kinds.
pub(super) fn read(table: Table<'_, '_>) -> Option<Upcoming> {
    let words = format!("one of {}", AppointmentStatus::WORDS.join(", "));
    let status = table.need_list("status", &words, AppointmentStatus::from_name);
    let ahead = |key| {
        table.need_parsed(key, "a span such as `4 hours` or `2 days`", |text| {
            Span::parse(text).filter(|span| matches!(span, Span::Hours(_) | Span::Days(_)))
        })
    };
    let (lead, notice) = (ahead("lead"), ahead("notice"));
    if lead
        .zip(notice)
        .is_some_and(|(lead, notice)| hours(lead) <= hours(notice))
    {
        table.problem("notice", "a shorter span than `lead`", "one that is not");
    }
    let unless_done = table.parsed("unless_done", "the id of another rule", name);
    let unless_confirmed = table.flag("unless_confirmed").unwrap_or(false);
    table.finish();
    Some(Upcoming {
        status: status?,
        lead: lead?,
        notice: notice?,
        unless_done,
        unless_confirmed,
    })
}

const fn hours(span: Span) -> i32 {
    match span {
        Span::Hours(hours) => hours,
        Span::Days(days) | Span::BusinessDays(days) => 24 * days,
        Span::Months(months) => 24 * 30 * months,
    }
}

/// One verdict for each appointment whose time is known and not over, and for each that was kept.
///
/// The cycle is the appointment with its start: moved to another time it is another cycle, and what
/// was asked for the old one is taken back.
pub(super) fn evaluate(
    rule: &Rule,
    spec: &Upcoming,
    chart: &Chart,
    now: &Zoned,
) -> Vec<Evaluation> {
    let verdict = |appointment| verdict(rule, spec, (appointment, chart.deceased), now);
    chart.appointments.iter().filter_map(verdict).collect()
}

fn verdict(
    rule: &Rule,
    spec: &Upcoming,
    (appointment, deceased): (&Appointment, bool),
    now: &Zoned,
) -> Option<Evaluation> {
    // An appointment known to the day only has no hour to remind of.
    let start = appointment.start.as_ref()?.instant()?;
    let zone = now.time_zone();
    let day = start.to_zoned(zone.clone()).date();
    let lead = ahead(start, spec.lead, now)?;
    let last = ahead(start, spec.notice, now)?;
    let at = now.timestamp();
    let counts = spec.status.contains(&appointment.status);
    let kept = matches!(
        appointment.status,
        AppointmentStatus::Arrived | AppointmentStatus::CheckedIn | AppointmentStatus::Fulfilled
    );
    let (status, reason_code, sentence, next_check) = match () {
        () if kept => (GapStatus::ClosedGap, ReasonCode::Present, "closed", None),
        () if !counts || deceased || start <= at => (
            GapStatus::NotApplicable,
            ReasonCode::DateOutOfRange,
            "outside",
            None,
        ),
        () if at < lead => (
            GapStatus::NotApplicable,
            ReasonCode::DateOutOfRange,
            "outside",
            Some(lead),
        ),
        () if spec.unless_confirmed && appointment.confirmed => {
            (GapStatus::ClosedGap, ReasonCode::Present, "closed", None)
        }
        () => {
            let next = if at < last { last } else { start };
            (GapStatus::OpenGap, ReasonCode::NotFound, "open", Some(next))
        }
    };
    let priority = rule.priority(None);
    let wanted = status == GapStatus::OpenGap && at < last;
    Some(Evaluation {
        cycle: cycle(spec, appointment, start),
        status,
        due: Some(day),
        overdue: false,
        parked: false,
        priority,
        // After the last moment nobody is asked any more.
        task_due: Some(last).filter(|_| wanted && rule.task.on.contains(&status)),
        next_check,
        reason: reason::fill(rule, sentence, &[("start", Some(day))]),
        reason_code,
        evidence: Vec::new(),
    })
}

/// The appointment, its start, and how often it was called off: booked again for the same time, it
/// is asked for again.
fn cycle(spec: &Upcoming, appointment: &Appointment, start: Timestamp) -> String {
    let base = format!("{}#{start}", key_of(&appointment.identifiers));
    let called_off = appointment
        .history
        .iter()
        .filter(|(_, status)| !spec.status.contains(status) && ended(*status))
        .count();
    if called_off == 0 {
        base
    } else {
        format!("{base}+{called_off}")
    }
}

const fn ended(status: AppointmentStatus) -> bool {
    matches!(
        status,
        AppointmentStatus::Cancelled
            | AppointmentStatus::Noshow
            | AppointmentStatus::EnteredInError
    )
}

/// That long before `start`: exact for hours, else the same hour of an earlier day.
fn ahead(start: Timestamp, span: Span, now: &Zoned) -> Option<Timestamp> {
    let local = start.to_zoned(now.time_zone().clone());
    if let Span::Hours(hours) = span {
        let hours = jiff::SignedDuration::from_hours(i64::from(hours));
        return start.checked_sub(hours).ok();
    }
    let day = span.before(local.date())?;
    let there = day.to_datetime(local.time());
    Some(there.to_zoned(now.time_zone().clone()).ok()?.timestamp())
}
