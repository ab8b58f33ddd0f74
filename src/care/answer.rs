//! What the CRM can answer about a task, and what each answer does: one table.

use crate::crm::vocabulary;

use super::rest::RestReason;
use super::task::TaskEvent;

vocabulary! {
    /// What the CRM says happened (`type` of the task event).
    Answer {
        /// Somebody took the task.
        Accepted = "accepted",
        /// A contact was tried; nobody answered.
        Attempted = "attempted",
        /// A message was left.
        LeftMessage = "left-message",
        /// The person was reached.
        Reached = "reached",
        /// An appointment was made.
        Scheduled = "scheduled",
        /// The task was done.
        Completed = "completed",
        /// The person does not want it.
        Declined = "declined",
        /// The contact point is not the person's.
        WrongNumber = "wrong-number",
        /// The person asked to be contacted later.
        CallBackAt = "call-back-at",
        /// Nobody could be reached, and the coordinator gives up.
        Unreachable = "unreachable",
        /// It was done elsewhere.
        DoneElsewhere = "done-elsewhere",
        /// Whoever answered says that the person died.
        ReportedDeceased = "reported-deceased",
        /// The person does not want to be contacted.
        OptedOut = "opted-out",
    }
}

/// What an answer does to the contact point that it was about, or to consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// Nothing.
    Nothing,
    /// The contact point ends as wrong for this person.
    ContactEnds,
    /// An opt-out is recorded, through the gate.
    OptOut,
    /// A hold stops all outreach to the person until somebody lifts it.
    Hold,
}

/// One row of the table: what an answer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// What it is to the task, where the task's state takes it.
    pub task: TaskEvent,
    /// Why the task's finding rests, once the task has ended by it.
    pub rest: Option<RestReason>,
    /// What it does besides, whatever state the task is in.
    pub beyond: Beyond,
    /// Whether it is a contact: a row of the communications history, which counts in the caps.
    pub is_contact: bool,
    /// Whether it still moves the task when a later answer came first.
    pub counts_late: bool,
}

impl Answer {
    /// What the answer does.
    pub const fn effect(self) -> Effect {
        match self {
            Self::Accepted => Effect::of(TaskEvent::Accepted),
            Self::Attempted | Self::LeftMessage | Self::Reached => Effect {
                is_contact: true,
                ..Effect::of(TaskEvent::Attempted)
            },
            Self::Scheduled => Effect::ending(TaskEvent::CompletedByCrm, RestReason::Scheduled),
            Self::Completed => Effect::ending(TaskEvent::CompletedByCrm, RestReason::Completed),
            Self::Declined => Effect::ending(TaskEvent::DeclinedByCrm, RestReason::Declined),
            Self::WrongNumber => Effect {
                beyond: Beyond::ContactEnds,
                ..Effect::of(TaskEvent::WrongNumber)
            },
            Self::CallBackAt => Effect::of(TaskEvent::CallBackAsked),
            Self::Unreachable => Effect {
                counts_late: false,
                ..Effect::ending(TaskEvent::GivenUp, RestReason::Unreachable)
            },
            Self::DoneElsewhere => {
                Effect::ending(TaskEvent::CompletedByCrm, RestReason::DoneElsewhere)
            }
            Self::ReportedDeceased => Effect {
                beyond: Beyond::Hold,
                counts_late: true,
                ..Effect::of(TaskEvent::PatientDeceased)
            },
            Self::OptedOut => Effect {
                beyond: Beyond::OptOut,
                counts_late: true,
                ..Effect::of(TaskEvent::OptedOut)
            },
        }
    }
}

impl Effect {
    const fn of(task: TaskEvent) -> Self {
        Self {
            task,
            rest: None,
            beyond: Beyond::Nothing,
            is_contact: false,
            counts_late: false,
        }
    }

    const fn ending(task: TaskEvent, rest: RestReason) -> Self {
        Self {
            rest: Some(rest),
            counts_late: true,
            ..Self::of(task)
        }
    }
}
