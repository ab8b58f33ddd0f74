//! Evaluates one rule for one person on one day.

use jiff::civil::Date;
use jiff::{Timestamp, Zoned};

use crate::crm::vocabulary;
use crate::crm::{Chart, Priority};

use super::rule::{Kind, Rule};
use super::{gap, journey, reason, referral, upcoming};

vocabulary! {
    /// The status of a gap, in the words of HL7 DEQM Gaps in Care, and one of our own.
    GapStatus {
        /// No evidence was found.
        OpenGap = "open-gap",
        /// Nothing is missing yet, but it will be soon.
        ProspectiveGap = "prospective-gap",
        /// Evidence was found.
        ClosedGap = "closed-gap",
        /// The rule does not speak of this person or thing.
        NotApplicable = "not-applicable",
        /// The rule argues from absence and the feed is too young for that (ours, not DEQM's).
        InsufficientHistory = "insufficient-history",
    }
}

vocabulary! {
    /// Why, in the words of DEQM's care gap reason codes. None of them needs a value.
    ReasonCode {
        /// No evidence was found.
        NotFound = "NotFound",
        /// It is known to exist but was not found.
        Missing = "Missing",
        /// Something that should not be there is there.
        Present = "Present",
        /// An attribute, such as the status, does not qualify.
        InvalidAttribute = "InvalidAttribute",
        /// The date lies within the window.
        DateInRange = "DateInRange",
        /// The date lies outside the window.
        DateOutOfRange = "DateOutOfRange",
    }
}

/// Since when each concept can be trusted to be complete: "a new feed has no past".
pub trait History {
    /// The first day from which every event of the concept has reached careloop; `None` where no
    /// source declares it.
    fn covered_since(&self, concept: &str) -> Option<Date>;
}

/// The verdict of a rule on one person or one thing. It holds dates, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// What makes this due cycle its own: a task's key is person, rule and cycle. It may hold an
    /// order or appointment identifier and is stored hashed.
    pub cycle: String,
    /// The verdict.
    pub status: GapStatus,
    /// When it falls or fell due.
    pub due: Option<Date>,
    /// Whether the grace after the due date is over.
    pub overdue: bool,
    /// Whether a matching appointment is booked that may bring the evidence.
    pub parked: bool,
    /// How urgent a task would be.
    pub priority: Priority,
    /// When a task made at this moment would be due. A task keeps the one it was made with.
    pub task_due: Option<Timestamp>,
    /// When the verdict can change by time alone.
    pub next_check: Option<Timestamp>,
    /// Why, as a plain sentence for a coordinator; it may hold dates, never values.
    pub reason: String,
    /// Why, as a DEQM reason code.
    pub reason_code: ReasonCode,
    /// References of the pointers it rests on, sorted.
    pub evidence: Vec<String>,
}

/// What `rule` says of `chart` on the day and in the zone of `now`: one verdict, or one per
/// referral or appointment.
pub fn evaluate(rule: &Rule, chart: &Chart, history: &dyn History, now: &Zoned) -> Vec<Evaluation> {
    match &rule.kind {
        Kind::Gap(gap) => vec![gap::evaluate(rule, gap, chart, history, now)],
        Kind::Referral(referral) => referral::evaluate(rule, referral, chart, now),
        Kind::Missed(missed) => journey::evaluate(rule, missed, chart, now),
        Kind::Upcoming(spec) => upcoming::evaluate(rule, spec, chart, now),
    }
}

/// Closes the verdicts that a finished task of another rule makes needless; `done` says whether a
/// task of a rule was completed for a cycle.
pub fn relieve(rule: &Rule, verdicts: &mut [Evaluation], done: impl Fn(&str, &str) -> bool) {
    let Some(other) = rule.unless_done() else {
        return;
    };
    for verdict in verdicts {
        if verdict.status != GapStatus::OpenGap || !done(other, &verdict.cycle) {
            continue;
        }
        verdict.status = GapStatus::ClosedGap;
        verdict.reason_code = ReasonCode::Present;
        verdict.reason = reason::fill(rule, "closed", &[("start", verdict.due)]);
        verdict.task_due = None;
    }
}
