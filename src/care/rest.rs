//! Findings that rest after their task has ended: why, until when, and what follows.

use jiff::Timestamp;

use crate::crm::vocabulary;

vocabulary! {
    /// Why a finding rests although nothing has closed it.
    RestReason {
        /// An appointment was made; its message is awaited.
        Scheduled = "scheduled",
        /// Its task was done; evidence is awaited.
        Completed = "completed",
        /// The person declined.
        Declined = "declined",
        /// Nobody was reached.
        Unreachable = "unreachable",
        /// It was done elsewhere; evidence is awaited.
        DoneElsewhere = "done-elsewhere",
        /// The person asked for a time after the task's due date.
        CallBack = "call-back",
        /// Its task expired unanswered.
        Expired = "expired",
        /// Its task came back from the broker unread.
        DeadLettered = "dead-lettered",
    }
}

impl RestReason {
    /// Whether the task came to nothing: such tasks are counted, and a wider team gets the last.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Unreachable | Self::Expired | Self::DeadLettered)
    }

    /// Whether the rest awaits something that the EHR will tell.
    pub const fn awaits_evidence(self) -> bool {
        matches!(
            self,
            Self::Scheduled | Self::Completed | Self::DoneElsewhere
        )
    }
}

/// A finding's rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Why.
    pub reason: RestReason,
    /// Since when.
    pub since: Timestamp,
    /// When the finding is raised again; `None` where it is not.
    pub until: Option<Timestamp>,
    /// Tasks made after one that came to nothing.
    pub raised: u32,
}

/// How a finding is raised again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raise {
    /// A task for the team that serves the person.
    Again,
    /// A task for the next wider team.
    Wider,
    /// A task to ask for the records of whoever did it.
    Records,
    /// Not at all: everybody was asked, or nobody is left to ask.
    No,
}

impl Rest {
    /// What follows when the rest is over; `attempts` is how many tasks a finding may have before
    /// a wider team gets the last one, `has_wider` whether there is a wider team.
    pub const fn over(&self, attempts: u32, has_wider: bool) -> Raise {
        match self.reason {
            RestReason::DoneElsewhere => Raise::Records,
            RestReason::Unreachable => match self.raised + 1 {
                next if next < attempts => Raise::Again,
                next if next == attempts && has_wider => Raise::Wider,
                _ => Raise::No,
            },
            RestReason::Expired | RestReason::DeadLettered => {
                if self.raised >= attempts {
                    Raise::No
                } else if has_wider {
                    Raise::Wider
                } else {
                    Raise::Again
                }
            }
            _ => Raise::Again,
        }
    }

    /// The rest after the finding was raised.
    pub fn raised(&self) -> Self {
        let raised = if self.reason.is_failure() {
            self.raised + 1
        } else {
            0
        };
        Self {
            until: None,
            raised,
            ..self.clone()
        }
    }

    /// A rest; `raised` is how often the finding had been raised in vain before it.
    pub const fn new(
        reason: RestReason,
        (since, until): (Timestamp, Timestamp),
        raised: u32,
    ) -> Self {
        Self {
            reason,
            since,
            until: Some(until),
            raised: if reason.is_failure() { raised } else { 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(reason: RestReason, raised: u32) -> Rest {
        Rest {
            reason,
            since: Timestamp::UNIX_EPOCH,
            until: None,
            raised,
        }
    }

    #[test]
    fn nobody_reached_thrice_means_a_wider_team_and_then_nobody() {
        let mut now = rest(RestReason::Unreachable, 0);
        let mut steps = Vec::new();
        for _ in 0..4 {
            steps.push(now.over(3, true));
            now = now.raised();
        }
        assert_eq!(steps, [Raise::Again, Raise::Again, Raise::Wider, Raise::No]);
        assert_eq!(rest(RestReason::Unreachable, 2).over(3, false), Raise::No);
    }

    #[test]
    fn failures_are_counted_and_what_was_settled_begins_anew() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(Rest::new(RestReason::DeadLettered, (now, now), 2).raised, 2);
        let settled = Rest::new(RestReason::Completed, (now, now), 2);
        assert_eq!((settled.raised, settled.over(3, true)), (0, Raise::Again));
    }

    #[test]
    fn no_rest_raises_for_ever_where_nobody_answers() {
        for reason in RestReason::ALL.iter().filter(|reason| reason.is_failure()) {
            let mut now = rest(*reason, 0);
            let mut tasks = 0;
            while now.over(3, true) != Raise::No {
                tasks += 1;
                now = now.raised();
                assert!(tasks < 10, "{}", reason.name());
            }
            assert_eq!(tasks, 3, "{}", reason.name());
        }
    }
}
