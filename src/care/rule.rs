//! A compiled rule and the task that it asks for.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::{Timestamp, Zoned};

use crate::consent::{Channel, ContentClass, Diagnostic, Purpose};
use crate::crm::vocabulary;
use crate::crm::{AppointmentStatus, Identifier, Payload, Pointer, Priority, Request, RequestKind};

use super::calendar::{Calendar, Span};
use super::evaluate::{Evaluation, GapStatus};
use super::parked::Parked;
use super::upcoming::Upcoming;
use super::{compile, embedded};

vocabulary! {
    /// What the coordinator is asked to do (`task.code` of the message schema).
    TaskCode {
        /// Call.
        OutreachCall = "outreach-call",
        /// Send a message.
        OutreachMessage = "outreach-message",
        /// Arrange a visit.
        ScheduleVisit = "schedule-visit",
        /// Confirm an appointment.
        ConfirmAppointment = "confirm-appointment",
        /// Rebook a missed appointment.
        RescheduleNoShow = "reschedule-no-show",
        /// Follow up a referral.
        ReferralFollowUp = "referral-follow-up",
        /// Contact after a discharge.
        PostDischargeContact = "post-discharge-contact",
        /// Ask for records.
        RecordsRequest = "records-request",
    }
}

vocabulary! {
    /// The reason class that leaves the hub (`topic.kind` of the message schema).
    TopicKind {
        /// Prevention.
        Preventive = "preventive",
        /// Follow-up of a chronic condition.
        ChronicFollowUp = "chronic-follow-up",
        /// A referral.
        Referral = "referral",
        /// An appointment.
        Appointment = "appointment",
        /// Follow-up of a visit.
        VisitFollowUp = "visit-follow-up",
        /// An immunization.
        Immunization = "immunization",
        /// A wellness visit.
        WellnessVisit = "wellness-visit",
        /// Nothing more specific.
        General = "general",
    }
}

vocabulary! {
    /// Who is to act (`task.performerRole` of the message schema).
    PerformerRole {
        /// A care coordinator.
        CareCoordinator = "care-coordinator",
        /// A nurse.
        Nurse = "nurse",
        /// A scheduler.
        Scheduler = "scheduler",
        /// Interpreter services.
        InterpreterServices = "interpreter-services",
        /// A machine.
        AutomatedSender = "automated-sender",
    }
}

/// What kind of file it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// A care gap: one verdict a person.
    Gap,
    /// A referral loop: one verdict a referral.
    Referral,
    /// A journey: one verdict an appointment.
    Journey,
}

/// Where a task's priority comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriorityFrom {
    /// Always this one.
    Fixed(Priority),
    /// The referral's own.
    Request,
}

/// How long a task may take, by its priority.
pub type Due = BTreeMap<Priority, Span>;

/// The task that a rule asks for.
#[derive(Clone, Debug)]
pub struct Template {
    /// What to do.
    pub code: TaskCode,
    /// The reason class that leaves.
    pub topic: TopicKind,
    /// How much a message about it tells; never `C3`.
    pub content: ContentClass,
    /// Why the person is contacted.
    pub purpose: Purpose,
    /// Channels, the preferred one first.
    pub channels: Vec<Channel>,
    /// Where the priority comes from.
    pub priority: PriorityFrom,
    /// Who is to act.
    pub performer: PerformerRole,
    /// Who is to act on a channel, where that differs.
    pub performers: BTreeMap<Channel, PerformerRole>,
    /// The verdicts that ask for a task.
    pub on: Vec<GapStatus>,
    /// How long it may take.
    pub due_after: Due,
}

/// What changed, to find the rules that must be asked again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Concepts of changed pointers.
    pub concepts: BTreeSet<String>,
    /// Whether demographics changed.
    pub person: bool,
    /// Whether an appointment changed.
    pub appointments: bool,
    /// Whether an order or a referral changed.
    pub requests: bool,
}

/// A compiled rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its id: small letters, digits and hyphens.
    pub id: String,
    /// Its title, for people.
    pub title: String,
    /// The text it follows.
    pub source: String,
    /// The concepts it looks at.
    pub concepts: BTreeSet<String>,
    /// Whether it looks at demographics.
    pub reads_person: bool,
    /// Whether it looks at appointments.
    pub reads_appointments: bool,
    /// Whether it looks at orders and referrals.
    pub reads_requests: bool,
    /// The concepts whose absence it argues from.
    pub absence: Vec<String>,
    /// Whether it runs only where the tenant's `rules` name it.
    pub only_listed: bool,
    /// The task it asks for.
    pub task: Template,
    pub(super) calendar: Calendar,
    pub(super) reasons: BTreeMap<String, String>,
    pub(super) kind: Kind,
}

/// What a rule of each kind holds.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Gap(Gap),
    Referral(Referral),
    Missed(Missed),
    Upcoming(Upcoming),
}

/// Evidence of one concept within a span.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    pub(super) population: Evidence,
    pub(super) age_from: i16,
    pub(super) age_through: i16,
    pub(super) satisfied: Evidence,
    pub(super) within: Span,
    pub(super) prospective: Span,
    pub(super) grace: Span,
    pub(super) parked: Option<Parked>,
}

/// Pointers that count.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    pub(super) concept: String,
    pub(super) status: Vec<String>,
    pub(super) retracted: Vec<String>,
}

/// A referral loop.
#[derive(Clone, Debug)]
pub(super) struct Referral {
    pub(super) request: RequestKind,
    pub(super) report: Evidence,
    pub(super) deadlines: BTreeMap<Loop, Deadline>,
}

/// Where a referral loop stands: the stages of IHE 360X and `BSeR` with the returns kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loop {
    /// Sent, no answer.
    Requested,
    /// The receiver took it.
    Accepted,
    /// The receiver declined it.
    Declined,
    /// The booked visit was missed or called off.
    Returned,
    /// A visit is booked.
    Scheduled,
    /// The visit took place.
    Seen,
}

/// How long a loop may stay at a stage.
#[derive(Clone, Debug)]
pub(super) struct Deadline {
    /// Counted from the request itself, or from when the stage was reached.
    pub(super) from_request: bool,
    /// Whether the request's own "wanted by" applies where it is earlier.
    pub(super) wanted_by: bool,
    /// Whether a coordinator is needed before the deadline.
    pub(super) at_once: bool,
    /// By priority.
    pub(super) spans: Due,
}

impl Loop {
    /// Every stage at which a referral is outstanding.
    pub(super) const ALL: [Self; 6] = [
        Self::Requested,
        Self::Declined,
        Self::Accepted,
        Self::Returned,
        Self::Scheduled,
        Self::Seen,
    ];

    /// The stage as rule files and cycles name it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::Returned => "returned",
            Self::Scheduled => "scheduled",
            Self::Seen => "seen",
        }
    }
}

/// Missed appointments.
#[derive(Clone, Debug)]
pub(super) struct Missed {
    pub(super) status: Vec<AppointmentStatus>,
    pub(super) rebooked: Vec<AppointmentStatus>,
    pub(super) due_after: Span,
    pub(super) forget_after: Span,
}

impl Rule {
    /// What kind of rule it is.
    pub const fn kind(&self) -> RuleKind {
        match self.kind {
            Kind::Gap(_) => RuleKind::Gap,
            Kind::Referral(_) => RuleKind::Referral,
            Kind::Missed(_) | Kind::Upcoming(_) => RuleKind::Journey,
        }
    }

    /// The priority of a task about `request`, or about the person.
    pub(super) fn priority(&self, request: Option<&Request>) -> Priority {
        match self.task.priority {
            PriorityFrom::Fixed(priority) => priority,
            PriorityFrom::Request => request.map_or(Priority::Routine, |request| request.priority),
        }
    }

    /// When a task made at `now` would be due, if the status asks for one.
    pub(super) fn task_due(
        &self,
        status: GapStatus,
        priority: Priority,
        now: &Zoned,
    ) -> Option<Timestamp> {
        let span = *self
            .task
            .due_after
            .get(&priority)
            .filter(|_| self.task.on.contains(&status))?;
        self.calendar
            .deadline(now.timestamp(), span, now.time_zone())
    }

    /// Whether the verdict asks for a task.
    pub fn asks_for_task(&self, evaluation: &Evaluation) -> bool {
        !evaluation.parked
            && evaluation.task_due.is_some()
            && self.task.on.contains(&evaluation.status)
    }

    /// Whether it draws on what was told: evidence first, demographics never on their own.
    pub fn looks_at(&self, told: &Payload) -> bool {
        match told {
            Payload::Appointment(_) => self.reads_appointments,
            Payload::Request(_) => self.reads_requests,
            Payload::Pointer(pointer) => self.concepts.contains(&pointer.concept),
            _ => false,
        }
    }

    /// Whether a booked appointment lets its findings rest. It rests on nothing that such an
    /// appointment tells, so the mode of their source is not its.
    fn is_parked_by_appointments(&self) -> bool {
        matches!(&self.kind, Kind::Gap(gap) if gap.parked.is_some())
    }

    /// Whether what changed can change a verdict.
    pub fn is_touched_by(&self, touched: &Touched) -> bool {
        (self.reads_person && touched.person)
            || ((self.reads_appointments || self.is_parked_by_appointments())
                && touched.appointments)
            || (self.reads_requests && touched.requests)
            || !self.concepts.is_disjoint(&touched.concepts)
    }
}

/// Every compiled rule, by id.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: BTreeMap<String, Rule>,
}

impl Rules {
    /// The rules that ship with careloop.
    pub fn embedded() -> Result<Self, Vec<Diagnostic>> {
        Self::compile(embedded::FILES)
    }

    /// Compiles rule files, each a name and a text, or gives every problem in all of them.
    pub fn compile(files: &[(&str, &str)]) -> Result<Self, Vec<Diagnostic>> {
        compile::compile(files).map(|rules| Self { rules })
    }

    /// Every rule, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// The rule of an id.
    pub fn get(&self, id: &str) -> Option<&Rule> {
        self.rules.get(id)
    }

    /// The rules whose verdicts may have changed.
    pub fn touched_by(&self, touched: &Touched) -> Vec<&Rule> {
        self.iter()
            .filter(|rule| rule.is_touched_by(touched))
            .collect()
    }
}

impl Gap {
    /// The first day on which evidence of `day` no longer lies within the window.
    pub(super) fn falls_due(&self, day: Date) -> Option<Date> {
        self.within.first_day_beyond(day)
    }
}

/// Where evidence is, for a person to look up.
pub(super) fn place(pointer: &Pointer) -> String {
    format!("{}:{}", pointer.source, pointer.reference)
}

/// The stable key of a thing with identifiers: its preferred one.
pub(super) fn key_of(identifiers: &[Identifier]) -> String {
    identifiers.first().map_or_else(String::new, |id| {
        format!("{}|{}", id.assigner.as_deref().unwrap_or(""), id.value)
    })
}
