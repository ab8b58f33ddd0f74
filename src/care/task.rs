//! The states of an outreach task, as a table.

use super::rule::TaskCode;
use crate::crm::vocabulary;

vocabulary! {
    /// Where a task stands.
    TaskState {
        /// Consent says no; kept with its reasons, nothing leaves.
        Withheld = "withheld",
        /// Consent says not yet.
        Deferred = "deferred",
        /// Allowed, waiting to be published.
        Queued = "queued",
        /// Published and confirmed.
        Requested = "requested",
        /// Somebody took it.
        Accepted = "accepted",
        /// A contact was tried or made.
        InProgress = "in-progress",
        /// The rule, location or source only observes: computed, never published.
        Observed = "observed",
        /// The coordinator did it.
        Completed = "completed",
        /// Withdrawn before it was done.
        Cancelled = "cancelled",
        /// Its due date passed.
        Expired = "expired",
        /// The coordinator gave up: nobody could be reached.
        Failed = "failed",
        /// The broker gave it back: no consumer could take it.
        DeadLettered = "dead-lettered",
    }
}

vocabulary! {
    /// What can happen to a task.
    TaskEvent {
        /// Consent allows it.
        Allowed = "allowed",
        /// Consent denies it.
        Denied = "denied",
        /// Consent defers it.
        Deferred = "deferred",
        /// The rule, location or source only observes.
        Muted = "muted",
        /// The broker confirmed it.
        Confirmed = "confirmed",
        /// Its finding closed.
        GapClosed = "gap-closed",
        /// Its finding was withdrawn.
        GapWithdrawn = "gap-withdrawn",
        /// A consent that it rests on was withdrawn.
        ConsentRevoked = "consent-revoked",
        /// The person opted out.
        OptedOut = "opted-out",
        /// The person died.
        PatientDeceased = "patient-deceased",
        /// The person's record was merged away.
        PatientMerged = "patient-merged",
        /// The CRM reports that somebody took it.
        Accepted = "accepted",
        /// The CRM reports a contact, or that one was tried.
        Attempted = "attempted",
        /// The CRM reports it done.
        CompletedByCrm = "completed-by-crm",
        /// The CRM reports that the person or the coordinator declined it.
        DeclinedByCrm = "declined-by-crm",
        /// The CRM reports that the person asked for another time.
        CallBackAsked = "call-back-asked",
        /// The CRM reports that the contact point is not the person's.
        WrongNumber = "wrong-number",
        /// The CRM reports that nobody could be reached.
        GivenUp = "given-up",
        /// Nobody took it in its time: it goes to a wider team.
        Rerouted = "rerouted",
        /// The broker gave it back.
        DeadLettered = "dead-lettered",
        /// Its due date passed.
        Expired = "expired",
        /// A newer cycle, or another task of the person, took its place.
        Superseded = "superseded",
        /// A matching appointment is booked; its outcome decides what comes next.
        Parked = "parked",
    }
}

vocabulary! {
    /// Why a reason of a task stands no more.
    TopicEnd {
        /// Its finding closed.
        Closed = "gap-closed",
        /// Its finding was withdrawn.
        Withdrawn = "gap-withdrawn",
        /// A matching appointment is booked.
        Parked = "parked",
        /// Consent denies this reason, or denies it together with the others; it goes on alone.
        Denied = "consent-denied",
        /// Its mode is another one than that of the others; it goes on alone.
        Mode = "mode",
        /// It went over to another task of the person.
        Moved = "moved",
        /// The person died.
        Deceased = "patient-deceased",
        /// Its finding belongs to another record, or stood twice after a merge.
        Merged = "patient-merged",
        /// Nobody answered; the finding asks anew.
        Unanswered = "unanswered",
        /// The CRM answered for this reason; its finding rests.
        Answered = "answered",
    }
}

impl TaskCode {
    /// Whether one contact can serve both. What brings a person to a visit can be said in one call;
    /// everything else keeps to its own kind, since it has another addressee or another clock. What
    /// confirms or reminds of an appointment shares with nothing: its hour is that appointment's.
    pub fn shares_with(self, other: Self) -> bool {
        let arranges_a_visit = |code: Self| {
            matches!(
                code,
                Self::OutreachCall
                    | Self::ScheduleVisit
                    | Self::RescheduleNoShow
                    | Self::ReferralFollowUp
            )
        };
        (self == other && !self.has_own_hour())
            || (arranges_a_visit(self) && arranges_a_visit(other))
    }

    /// Whether it is of no use after its due date, as what is said before an appointment. Everything else
    /// is done late rather than never.
    pub fn has_own_hour(self) -> bool {
        self == Self::ConfirmAppointment
    }
}

impl TopicEnd {
    /// What it is to a task when its last reason ends so.
    pub const fn ends_task(self) -> TaskEvent {
        match self {
            Self::Closed => TaskEvent::GapClosed,
            Self::Withdrawn => TaskEvent::GapWithdrawn,
            Self::Parked => TaskEvent::Parked,
            Self::Denied => TaskEvent::ConsentRevoked,
            Self::Mode | Self::Moved | Self::Unanswered => TaskEvent::Superseded,
            Self::Answered => TaskEvent::CompletedByCrm,
            Self::Deceased => TaskEvent::PatientDeceased,
            Self::Merged => TaskEvent::PatientMerged,
        }
    }
}

impl TaskState {
    /// Whether nothing moves it any more.
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Cancelled | Self::Expired | Self::Failed | Self::DeadLettered
        )
    }

    /// Whether the CRM has it: a withdrawal must tell it.
    pub const fn was_published(self) -> bool {
        matches!(self, Self::Requested | Self::Accepted | Self::InProgress)
    }

    /// Whether it left or is about to: only the person, the record or the law takes it back.
    pub const fn has_left(self) -> bool {
        self.was_published() || matches!(self, Self::Queued)
    }

    /// Whether the CRM may still answer: it has it, or had it and will be given it again.
    const fn is_answerable(self) -> bool {
        self.has_left() || matches!(self, Self::Deferred)
    }

    /// The state after `event`, or `None` where the event is recorded but not applied.
    ///
    /// A published task is not withheld again: a denial that comes later withdraws it. A withheld
    /// or deferred one stays, since a consent recorded tomorrow may free it. The CRM may answer
    /// before the broker's confirm has been seen, so a queued task can be completed; and while a
    /// task waits for the hour at which the person wants to be called.
    pub const fn after(self, event: TaskEvent) -> Option<Self> {
        use TaskEvent as E;
        if self.is_terminal() {
            return None;
        }
        match (self, event) {
            (Self::Withheld | Self::Deferred | Self::Observed, E::Allowed)
            | (Self::Requested, E::Rerouted) => Some(Self::Queued),
            (Self::Withheld | Self::Observed | Self::Queued, E::Deferred) => Some(Self::Deferred),
            (Self::Observed, E::Denied)
            | (Self::Deferred | Self::Queued, E::Denied | E::ConsentRevoked | E::OptedOut) => {
                Some(Self::Withheld)
            }
            (Self::Withheld | Self::Deferred | Self::Queued, E::Muted) => Some(Self::Observed),
            (Self::Queued, E::Confirmed) => Some(Self::Requested),
            (Self::Queued | Self::Requested, E::DeadLettered) => Some(Self::DeadLettered),
            (Self::Queued | Self::Requested | Self::Deferred, E::Accepted) => Some(Self::Accepted),
            (
                Self::Requested | Self::Accepted | Self::InProgress,
                E::Denied | E::ConsentRevoked | E::OptedOut,
            )
            | (
                _,
                E::GapClosed
                | E::GapWithdrawn
                | E::Superseded
                | E::Parked
                | E::PatientDeceased
                | E::PatientMerged,
            ) => Some(Self::Cancelled),
            (_, E::Expired) => Some(Self::Expired),
            (state, answer) if state.is_answerable() => match answer {
                E::Attempted => Some(Self::InProgress),
                E::CompletedByCrm => Some(Self::Completed),
                E::DeclinedByCrm => Some(Self::Cancelled),
                E::CallBackAsked | E::WrongNumber => Some(Self::Deferred),
                E::GivenUp => Some(Self::Failed),
                _ => None,
            },
            _ => None,
        }
    }

    /// The state of a task that was just made, by what consent or the mode said of it.
    pub const fn first(event: TaskEvent) -> Option<Self> {
        match event {
            TaskEvent::Allowed => Some(Self::Queued),
            TaskEvent::Denied => Some(Self::Withheld),
            TaskEvent::Deferred => Some(Self::Deferred),
            TaskEvent::Muted => Some(Self::Observed),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_a_finished_task() {
        for state in TaskState::ALL.iter().filter(|state| state.is_terminal()) {
            for event in TaskEvent::ALL {
                assert_eq!(
                    state.after(*event),
                    None,
                    "{} {}",
                    state.name(),
                    event.name()
                );
            }
        }
    }

    #[test]
    fn every_unfinished_task_ends_when_its_gap_closes_or_its_time_is_over() {
        for state in TaskState::ALL.iter().filter(|state| !state.is_terminal()) {
            assert_eq!(
                state.after(TaskEvent::GapClosed),
                Some(TaskState::Cancelled)
            );
            assert_eq!(
                state.after(TaskEvent::PatientDeceased),
                Some(TaskState::Cancelled)
            );
            assert_eq!(state.after(TaskEvent::Expired), Some(TaskState::Expired));
        }
    }

    #[test]
    fn only_an_allowance_or_a_wider_team_queues_and_only_a_queued_task_is_requested() {
        for state in TaskState::ALL {
            for event in TaskEvent::ALL {
                let after = state.after(*event);
                if after == Some(TaskState::Queued) {
                    assert!(matches!(event, TaskEvent::Allowed | TaskEvent::Rerouted));
                }
                if after == Some(TaskState::Requested) {
                    assert_eq!((*state, *event), (TaskState::Queued, TaskEvent::Confirmed));
                }
            }
        }
    }

    #[test]
    fn visits_are_arranged_in_one_contact_and_a_confirmation_keeps_its_own_hour() {
        assert!(TaskCode::ScheduleVisit.shares_with(TaskCode::ReferralFollowUp));
        assert!(TaskCode::RecordsRequest.shares_with(TaskCode::RecordsRequest));
        for code in TaskCode::ALL {
            assert!(!TaskCode::ConfirmAppointment.shares_with(*code));
            assert!(!code.shares_with(TaskCode::ConfirmAppointment));
        }
    }

    #[test]
    fn a_withdrawn_consent_withholds_a_waiting_task_and_cancels_a_published_one() {
        let revoked = TaskEvent::ConsentRevoked;
        assert_eq!(TaskState::Queued.after(revoked), Some(TaskState::Withheld));
        assert_eq!(
            TaskState::Requested.after(revoked),
            Some(TaskState::Cancelled)
        );
    }
}
