//! Missed appointments: who did not come is offered another one.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::crm::{Appointment, AppointmentStatus, Chart};

use super::calendar::day_start;
use super::evaluate::{Evaluation, GapStatus, ReasonCode};
use super::reason;
use super::rule::{Missed, Rule, key_of};

/// One appointment that was missed, now or before it was moved.
struct Case<'a> {
    rule: &'a Rule,
    spec: &'a Missed,
    chart: &'a Chart,
    missed: &'a Appointment,
    now: &'a Zoned,
}

/// One verdict a missed appointment, and one for each that was missed and then moved or kept.
pub(super) fn evaluate(rule: &Rule, spec: &Missed, chart: &Chart, now: &Zoned) -> Vec<Evaluation> {
    let mut verdicts = Vec::new();
    for missed in &chart.appointments {
        let case = Case {
            rule,
            spec,
            chart,
            missed,
            now,
        };
        if spec.status.contains(&missed.status) {
            verdicts.push(case.evaluate());
        } else if spec.rebooked.contains(&missed.status) && case.missed_at().is_some() {
            verdicts.push(case.moved());
        }
    }
    verdicts
}

impl Case<'_> {
    fn evaluate(&self) -> Evaluation {
        let zone = self.now.time_zone();
        let day = self.day();
        let due_at = day_start(day, zone).and_then(|start| {
            self.rule
                .calendar
                .deadline(start, self.spec.due_after, zone)
        });
        let forget_at = day_start(day, zone).and_then(|start| {
            self.rule
                .calendar
                .deadline(start, self.spec.forget_after, zone)
        });
        let now = self.now.timestamp();
        let forgotten = forget_at.is_some_and(|at| at <= now);
        if self.chart.deceased || forgotten || self.is_superseded() {
            let code = ReasonCode::DateOutOfRange;
            return self.verdict(GapStatus::NotApplicable, code, "outside", None);
        }
        if let Some(later) = self.rebooking() {
            let start = self.start_of(later);
            return Evaluation {
                // A booking for this very moment may still be missed, which arrives as a message.
                due: start.map(|start| start.to_zoned(zone.clone()).date()),
                ..self.verdict(GapStatus::ClosedGap, ReasonCode::Present, "closed", None)
            };
        }
        let due = due_at
            .and_then(|at| at.checked_sub(SignedDuration::from_micros(1)).ok())
            .map(|at| at.to_zoned(zone.clone()).date());
        let overdue = due_at.is_some_and(|at| at <= now);
        Evaluation {
            overdue,
            next_check: [due_at.filter(|_| !overdue), forget_at]
                .into_iter()
                .flatten()
                .min(),
            ..self.verdict(GapStatus::OpenGap, ReasonCode::NotFound, "open", due)
        }
    }

    /// The same appointment was moved or kept after all.
    fn moved(&self) -> Evaluation {
        Evaluation {
            cycle: format!("{}#moved", key_of(&self.missed.identifiers)),
            ..self.verdict(GapStatus::ClosedGap, ReasonCode::Present, "closed", None)
        }
    }

    fn verdict(
        &self,
        status: GapStatus,
        reason_code: ReasonCode,
        sentence: &str,
        due: Option<Date>,
    ) -> Evaluation {
        let day = if self.spec.status.contains(&self.missed.status) {
            Some(self.day())
        } else {
            self.missed_at()
                .map(|at| at.to_zoned(self.zone().clone()).date())
        };
        let priority = self.rule.priority(None);
        Evaluation {
            cycle: self.cycle(),
            status,
            due,
            overdue: false,
            parked: false,
            priority,
            task_due: self.rule.task_due(status, priority, self.now),
            next_check: None,
            reason: reason::fill(self.rule, sentence, &[("missed", day), ("due", due)]),
            reason_code,
            evidence: Vec::new(),
        }
    }

    /// The appointment and its day; each rebooking that was called off begins a new cycle.
    fn cycle(&self) -> String {
        let base = format!("{}#{}", key_of(&self.missed.identifiers), self.day());
        let called_off = self
            .later()
            .filter(|later| later.status == AppointmentStatus::Cancelled)
            .filter(|later| self.was_booked_after(later))
            .count();
        if called_off == 0 {
            base
        } else {
            format!("{base}+{called_off}")
        }
    }

    fn rebooking(&self) -> Option<&Appointment> {
        self.later()
            .find(|later| self.spec.rebooked.contains(&later.status))
    }

    /// The rebooked appointment was missed as well: its own verdict takes over.
    fn is_superseded(&self) -> bool {
        self.later()
            .any(|later| self.spec.status.contains(&later.status) && self.was_booked_after(later))
    }

    /// Appointments that start later and may stand for this one: where both name orders, they
    /// must share one.
    fn later(&self) -> impl Iterator<Item = &Appointment> {
        let start = self.start_of(self.missed);
        self.chart.appointments.iter().filter(move |other| {
            let orders = &self.missed.orders;
            let related = orders.is_empty()
                || other.orders.is_empty()
                || other.orders.iter().any(|order| {
                    orders.iter().any(|own| {
                        own.value == order.value
                            && (own.assigner.is_none()
                                || order.assigner.is_none()
                                || own.assigner == order.assigner)
                    })
                });
            related && self.start_of(other) > start
        })
    }

    fn was_booked_after(&self, later: &Appointment) -> bool {
        let booked = later.history.first().map(|(at, _)| *at);
        booked
            .zip(self.missed_at())
            .is_some_and(|(booked, missed)| booked >= missed)
    }

    /// When the appointment was last reported missed.
    fn missed_at(&self) -> Option<Timestamp> {
        let reports = self.missed.history.iter().rev();
        reports
            .clone()
            .find(|(_, status)| self.spec.status.contains(status))
            .map(|(at, _)| *at)
    }

    fn day(&self) -> Date {
        let zone = self.zone();
        self.missed.start.as_ref().map_or_else(
            || self.missed.changed_at.to_zoned(zone.clone()).date(),
            |start| start.day(zone),
        )
    }

    fn start_of(&self, appointment: &Appointment) -> Option<Timestamp> {
        appointment
            .start
            .as_ref()
            .and_then(|start| start.start(self.zone()))
    }

    fn zone(&self) -> &TimeZone {
        self.now.time_zone()
    }
}
