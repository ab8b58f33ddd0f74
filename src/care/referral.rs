//! Referral loops: where each referral stands, and by when it must have moved on.
//!
//! The states are those of IHE 360X and `BSeR`. Evidence never moves a loop backwards, except that a
//! missed or cancelled visit returns it to "accepted" and a retracted report to "seen".

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::crm::{
    Appointment, AppointmentStatus, Chart, Moment, Pointer, Request, RequestStatus, Stage,
};

use super::calendar::day_start;
use super::evaluate::{Evaluation, GapStatus, ReasonCode};
use super::reason;
use super::rule::{Loop, Referral, Rule, key_of, place};

/// One referral and everything that names it.
struct Case<'a> {
    rule: &'a Rule,
    spec: &'a Referral,
    request: &'a Request,
    deceased: bool,
    visits: Vec<&'a Appointment>,
    reports: Vec<&'a Pointer>,
    retracted: Vec<&'a Pointer>,
    now: &'a Zoned,
}

/// One verdict a referral.
pub(super) fn evaluate(
    rule: &Rule,
    spec: &Referral,
    chart: &Chart,
    now: &Zoned,
) -> Vec<Evaluation> {
    let wanted = chart
        .requests
        .iter()
        .filter(|request| request.kind == spec.request);
    wanted
        .map(|request| Case::of(rule, spec, (chart, request), now).evaluate())
        .collect()
}

impl<'a> Case<'a> {
    fn of(
        rule: &'a Rule,
        spec: &'a Referral,
        (chart, request): (&'a Chart, &'a Request),
        now: &'a Zoned,
    ) -> Self {
        let zone = now.time_zone();
        let named = |pointer: &&Pointer| {
            pointer.concept == spec.report.concept && request.is_meant_by(&pointer.orders)
        };
        let of = |pointer: &&Pointer, statuses: &[String]| {
            pointer
                .status
                .as_ref()
                .is_some_and(|status| statuses.contains(status))
        };
        let pointers = || chart.pointers.iter().filter(named);
        Self {
            rule,
            spec,
            request,
            deceased: chart.deceased,
            visits: chart
                .appointments
                .iter()
                .filter(|visit| request.is_meant_by(&visit.orders))
                .collect(),
            reports: pointers()
                .filter(|p| of(p, &spec.report.status) && follows(p, request, zone))
                .collect(),
            retracted: pointers()
                .filter(|p| of(p, &spec.report.retracted))
                .collect(),
            now,
        }
    }

    fn evaluate(&self) -> Evaluation {
        let ended = self.deceased
            || matches!(
                self.request.status,
                RequestStatus::Revoked | RequestStatus::EnteredInError | RequestStatus::Draft
            );
        if ended {
            let code = ReasonCode::InvalidAttribute;
            return self.verdict(GapStatus::NotApplicable, code, "ended", None);
        }
        if self.is_reported() {
            return self.verdict(GapStatus::ClosedGap, ReasonCode::Present, "closed", None);
        }
        let expires = self
            .request
            .expires_at
            .as_ref()
            .and_then(|at| end_of(at, self.zone()));
        if let Some(expired) = expires.filter(|at| *at <= self.now.timestamp()) {
            return Evaluation {
                overdue: true,
                ..self.open(GapStatus::OpenGap, "expired", Some(expired))
            };
        }
        let mut verdict = if self.request.status == RequestStatus::OnHold {
            self.open(GapStatus::ProspectiveGap, "on-hold", None)
        } else {
            self.outstanding()
        };
        verdict.next_check = verdict.next_check.into_iter().chain(expires).min();
        verdict
    }

    /// Waiting for the next stage, before or after its deadline.
    fn outstanding(&self) -> Evaluation {
        let (stage, since) = self.stage();
        let deadline = self.deadline(stage, since);
        let overdue = deadline.is_some_and(|at| at <= self.now.timestamp());
        let at_once = self
            .spec
            .deadlines
            .get(&stage)
            .is_some_and(|row| row.at_once);
        let open = overdue || at_once;
        let status = if open {
            GapStatus::OpenGap
        } else {
            GapStatus::ProspectiveGap
        };
        Evaluation {
            overdue,
            next_check: deadline.filter(|at| *at > self.now.timestamp()),
            ..self.open(status, stage.name(), deadline)
        }
    }

    /// Where the loop stands and since when.
    fn stage(&self) -> (Loop, Timestamp) {
        let Request {
            stage, stage_at, ..
        } = *self.request;
        let seen = self
            .visits
            .iter()
            .filter(|v| v.status == AppointmentStatus::Fulfilled);
        if let Some(at) = seen.map(|visit| self.took_place(visit)).min() {
            return (
                Loop::Seen,
                self.retraction().map_or(at, |retracted| retracted.max(at)),
            );
        }
        match stage {
            Stage::Seen => return (Loop::Seen, stage_at),
            Stage::Reported => return (Loop::Seen, self.retraction().unwrap_or(stage_at)),
            Stage::Requested | Stage::Accepted | Stage::Declined | Stage::Scheduled => {}
        }
        let booked = self.visits.iter().filter(|visit| {
            matches!(
                visit.status,
                AppointmentStatus::Booked
                    | AppointmentStatus::Arrived
                    | AppointmentStatus::CheckedIn
            )
        });
        if let Some(at) = booked.map(|visit| visit.changed_at).max() {
            return (Loop::Scheduled, at);
        }
        let returned = self.returned().map(|visit| visit.changed_at).max();
        match (stage, returned) {
            // What the receiver says after the visit fell through is newer than that.
            (Stage::Declined, at) if at.is_none_or(|at| at <= stage_at) => {
                (Loop::Declined, stage_at)
            }
            (Stage::Scheduled, at) if at.is_none_or(|at| at < stage_at) => {
                (Loop::Scheduled, stage_at)
            }
            (_, Some(at)) => (Loop::Returned, at),
            (Stage::Accepted, None) => (Loop::Accepted, stage_at),
            _ => (Loop::Requested, stage_at),
        }
    }

    fn returned(&self) -> impl Iterator<Item = &&'a Appointment> {
        self.visits.iter().filter(|visit| {
            matches!(
                visit.status,
                AppointmentStatus::Noshow | AppointmentStatus::Cancelled
            )
        })
    }

    fn took_place(&self, visit: &Appointment) -> Timestamp {
        let start = visit
            .start
            .as_ref()
            .and_then(|start| start.start(self.zone()));
        start.map_or(visit.changed_at, |start| start.min(visit.changed_at))
    }

    /// A report that names the referral closes it, and so does a message that says "reported",
    /// unless the report was taken back later.
    fn is_reported(&self) -> bool {
        let said = self.request.stage == Stage::Reported;
        let taken_back = self
            .retraction()
            .is_some_and(|at| at >= self.request.stage_at);
        !self.reports.is_empty() || (said && !taken_back)
    }

    fn retraction(&self) -> Option<Timestamp> {
        self.retracted
            .iter()
            .map(|pointer| pointer.changed_at)
            .max()
    }

    /// The instant from which the loop is overdue at `stage`.
    fn deadline(&self, stage: Loop, since: Timestamp) -> Option<Timestamp> {
        let row = self.spec.deadlines.get(&stage)?;
        let asked = self
            .request
            .authored_at
            .as_ref()
            .and_then(|at| at.start(self.zone()));
        let start = if row.from_request {
            asked.unwrap_or(self.request.stage_at)
        } else {
            since
        };
        let span = *row.spans.get(&self.request.priority)?;
        let own = self.rule.calendar.deadline(start, span, self.zone());
        let wanted = self.request.wanted_by.as_ref().filter(|_| row.wanted_by);
        own.into_iter()
            .chain(wanted.and_then(|at| end_of(at, self.zone())))
            .min()
    }

    fn open(&self, status: GapStatus, stage: &str, deadline: Option<Timestamp>) -> Evaluation {
        // The deadline itself is the first instant that is too late.
        let due = deadline
            .and_then(|at| at.checked_sub(SignedDuration::from_micros(1)).ok())
            .map(|at| at.to_zoned(self.zone().clone()).date());
        let code = if status == GapStatus::OpenGap {
            ReasonCode::NotFound
        } else {
            ReasonCode::DateInRange
        };
        self.verdict(status, code, stage, due)
    }

    fn verdict(
        &self,
        status: GapStatus,
        reason_code: ReasonCode,
        sentence: &str,
        due: Option<Date>,
    ) -> Evaluation {
        let zone = self.zone();
        let asked = self.request.authored_at.as_ref().map(|at| at.day(zone));
        let (_, since) = self.stage();
        let since = since.to_zoned(zone.clone()).date();
        let dates = [("asked", asked), ("since", Some(since)), ("due", due)];
        let mut evidence: Vec<String> = self.reports.iter().map(|p| place(p)).collect();
        evidence.sort_unstable();
        let priority = self.rule.priority(Some(self.request));
        Evaluation {
            cycle: self.cycle(sentence),
            status,
            due,
            overdue: false,
            parked: false,
            priority,
            task_due: self.rule.task_due(status, priority, self.now),
            next_check: None,
            reason: reason::fill(self.rule, sentence, &dates),
            reason_code,
            evidence,
        }
    }

    /// Each stage is a cycle, and so is each return to one.
    fn cycle(&self, stage: &str) -> String {
        let key = key_of(&self.request.identifiers);
        match self.returned().count() + self.retracted.len() {
            0 => format!("{key}#{stage}"),
            returns => format!("{key}#{stage}+{returns}"),
        }
    }

    fn zone(&self) -> &TimeZone {
        self.now.time_zone()
    }
}

/// Whether the report is later than the request: an older one cannot answer it.
fn follows(report: &Pointer, request: &Request, zone: &TimeZone) -> bool {
    match (&report.date, &request.authored_at) {
        (Some(Moment::Instant { at, .. }), Some(Moment::Instant { at: asked, .. })) => at > asked,
        (Some(date), Some(asked)) => {
            // One of them is known to the day at best: it follows where it can.
            let first = asked.start(zone).map(|at| at.to_zoned(zone.clone()).date());
            first.is_none_or(|first| date.day(zone) >= first)
        }
        _ => true,
    }
}

/// The first instant after what `moment` means.
fn end_of(moment: &Moment, zone: &TimeZone) -> Option<Timestamp> {
    match moment {
        Moment::Instant { at, .. } => Some(*at),
        Moment::Date(date) => day_start(date.latest().tomorrow().ok()?, zone),
    }
}
