//! Parking: a booked appointment that may bring the evidence lets a finding rest until it is over.

use jiff::civil::Date;
use jiff::{Timestamp, Zoned};

use crate::consent::Table;
use crate::crm::{Appointment, AppointmentStatus, Chart};

use super::calendar::{Span, day_start};
use super::compile::{name, span};

/// Which appointments park a finding.
#[derive(Clone, Debug)]
pub(super) struct Parked {
    /// Concepts, one of which the appointment has; empty stands for any appointment.
    pub(super) by: Vec<String>,
    /// How far ahead its day may lie.
    pub(super) within: Span,
    /// How long after its day evidence is still awaited.
    pub(super) grace: Span,
}

/// What the appointments on record mean for a finding today.
#[derive(Default)]
pub(super) struct Rest {
    /// The day of the next matching appointment; `None` where the finding does not rest.
    pub(super) day: Option<Date>,
    /// When this can change by time alone.
    pub(super) next_check: Option<Timestamp>,
}

impl Parked {
    /// `by` lists concepts of appointments, or is `["any"]`.
    pub(super) fn read(table: Table<'_, '_>) -> Option<Self> {
        let by = table.need_list("by", "a concept of an appointment, or `any` alone", name);
        let any = by.iter().flatten().any(|word| word == "any");
        if by
            .as_ref()
            .is_some_and(|by| by.is_empty() || (any && by.len() > 1))
        {
            let found = if any { "both" } else { "none" };
            table.problem("by", "concepts of appointments, or `any` alone", found);
        }
        let within = span(&table, "within");
        let grace = span(&table, "grace");
        table.finish();
        Some(Self {
            by: if any { Vec::new() } else { by? },
            within: within?,
            grace: grace?,
        })
    }

    /// Whether a finding rests at `now`: a matching appointment lies within reach, or is just over
    /// and its evidence may still come. One that was missed, called off or never confirmed does not
    /// count, so the finding opens again at once.
    pub(super) fn rest(&self, chart: &Chart, now: &Zoned) -> Rest {
        let (today, zone) = (now.date(), now.time_zone());
        let mut rest = Rest::default();
        for appointment in chart.appointments.iter().filter(|one| self.matches(one)) {
            let Some(day) = appointment.start.as_ref().map(|start| start.day(zone)) else {
                continue;
            };
            let from = self.within.before(day);
            let over = self.grace.after(day).and_then(|last| last.tomorrow().ok());
            let (Some(from), Some(over)) = (from, over) else {
                continue;
            };
            let change = if today < from {
                from
            } else if today < over {
                rest.day = Some(rest.day.map_or(day, |known| known.min(day)));
                over
            } else {
                continue;
            };
            let change = day_start(change, zone).filter(|at| *at > now.timestamp());
            rest.next_check = rest.next_check.into_iter().chain(change).min();
        }
        rest
    }

    fn matches(&self, appointment: &Appointment) -> bool {
        let is_kept = matches!(
            appointment.status,
            AppointmentStatus::Booked
                | AppointmentStatus::Arrived
                | AppointmentStatus::CheckedIn
                | AppointmentStatus::Fulfilled
        );
        let concepts = &appointment.concepts;
        is_kept && (self.by.is_empty() || self.by.iter().any(|by| concepts.contains(by)))
    }
}
