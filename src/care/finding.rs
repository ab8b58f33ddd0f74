//! The states of a finding, as a table, and how verdicts move them.

use crate::crm::vocabulary;

use super::evaluate::{Evaluation, GapStatus};
use super::task::TopicEnd;

vocabulary! {
    /// Where a finding stands.
    FindingState {
        /// No evidence was found; its task is wanted.
        Open = "open",
        /// It will open soon.
        Prospective = "prospective",
        /// A matching appointment is booked that may bring the evidence; nobody is to be asked.
        Parked = "parked",
        /// Evidence was found.
        Closed = "closed",
        /// The rule no longer speaks of it, or can no longer say.
        Withdrawn = "withdrawn",
    }
}

vocabulary! {
    /// What can happen to a finding.
    FindingEvent {
        /// The rule found it open.
        Found = "found",
        /// The rule foresees it.
        Foreseen = "foreseen",
        /// The rule found or foresees it, and a matching appointment is booked.
        Parked = "parked",
        /// Evidence closed it.
        Satisfied = "satisfied",
        /// The rule does not speak of it any more, or a new cycle took its place.
        Dropped = "dropped",
    }
}

impl FindingState {
    /// The state after `event`, or `None` where the event changes nothing.
    ///
    /// Findings reopen when evidence is retracted; tasks do not come back to life with them.
    pub const fn after(self, event: FindingEvent) -> Option<Self> {
        match (self, event) {
            (Self::Open, FindingEvent::Found)
            | (Self::Prospective, FindingEvent::Foreseen)
            | (Self::Parked, FindingEvent::Parked)
            | (Self::Closed | Self::Withdrawn, FindingEvent::Satisfied | FindingEvent::Dropped) => {
                None
            }
            (_, FindingEvent::Found) => Some(Self::Open),
            (_, FindingEvent::Foreseen) => Some(Self::Prospective),
            (_, FindingEvent::Parked) => Some(Self::Parked),
            (_, FindingEvent::Satisfied) => Some(Self::Closed),
            (_, FindingEvent::Dropped) => Some(Self::Withdrawn),
        }
    }

    /// Whether it awaits evidence.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Open | Self::Prospective | Self::Parked)
    }

    /// Whether somebody may have to be asked for the evidence.
    pub const fn asks(self) -> bool {
        matches!(self, Self::Open | Self::Prospective)
    }

    /// How the reason of a task ends when its finding comes to this state; `None` where it stands.
    pub const fn ends_topic(self) -> Option<TopicEnd> {
        match self {
            Self::Open | Self::Prospective => None,
            Self::Parked => Some(TopicEnd::Parked),
            Self::Closed => Some(TopicEnd::Closed),
            Self::Withdrawn => Some(TopicEnd::Withdrawn),
        }
    }

    /// The state of a finding that was not known before, where one is to be recorded.
    pub const fn first(event: FindingEvent) -> Option<Self> {
        match event {
            FindingEvent::Found => Some(Self::Open),
            FindingEvent::Foreseen => Some(Self::Prospective),
            FindingEvent::Parked => Some(Self::Parked),
            FindingEvent::Satisfied | FindingEvent::Dropped => None,
        }
    }
}

/// A stored finding of one person and rule.
#[derive(Clone, PartialEq, Eq)]
pub struct Known {
    /// Its cycle.
    pub cycle: String,
    /// Where it stands.
    pub state: FindingState,
}

/// One thing to do to the stored findings of one person and rule.
#[derive(Clone, PartialEq, Eq)]
pub struct Step<'a> {
    /// The finding's cycle.
    pub cycle: String,
    /// What happened to it; `None` where only its content may have changed.
    pub event: Option<FindingEvent>,
    /// The state it ends in.
    pub state: FindingState,
    /// The verdict on this very cycle, where there is one.
    pub evaluation: Option<&'a Evaluation>,
    /// The verdict on the same thing, of whatever cycle: what took this cycle's place.
    pub instead: Option<&'a Evaluation>,
}

/// Compares what is stored for one person and rule with what the rule says now. A live finding
/// whose cycle no verdict speaks of any more is closed where its thing is satisfied, else
/// withdrawn.
pub fn reconcile<'a>(known: &[Known], evaluations: &'a [Evaluation]) -> Vec<Step<'a>> {
    let mut steps = Vec::new();
    for evaluation in evaluations {
        let before = known.iter().find(|known| known.cycle == evaluation.cycle);
        let event = event_of(evaluation);
        let (event, state) = match before {
            None => (Some(event), FindingState::first(event)),
            Some(known) => match known.state.after(event) {
                Some(state) => (Some(event), Some(state)),
                None => (None, known.state.is_live().then_some(known.state)),
            },
        };
        if let Some(state) = state {
            let cycle = evaluation.cycle.clone();
            steps.push(Step {
                cycle,
                event,
                state,
                evaluation: Some(evaluation),
                instead: None,
            });
        }
    }
    for known in known.iter().filter(|known| known.state.is_live()) {
        if evaluations
            .iter()
            .any(|evaluation| evaluation.cycle == known.cycle)
        {
            continue;
        }
        let of_thing = || {
            evaluations
                .iter()
                .filter(|evaluation| thing(&evaluation.cycle) == thing(&known.cycle))
        };
        let satisfied = of_thing().find(|verdict| verdict.status == GapStatus::ClosedGap);
        let event = if satisfied.is_some() {
            FindingEvent::Satisfied
        } else {
            FindingEvent::Dropped
        };
        if let Some(state) = known.state.after(event) {
            let cycle = known.cycle.clone();
            steps.push(Step {
                cycle,
                event: Some(event),
                state,
                evaluation: None,
                instead: satisfied.or_else(|| of_thing().next()),
            });
        }
    }
    steps
}

/// The thing that a cycle is about: a referral, an appointment, or the person (empty).
fn thing(cycle: &str) -> &str {
    cycle.rsplit_once('#').map_or("", |(thing, _)| thing)
}

const fn event_of(verdict: &Evaluation) -> FindingEvent {
    match verdict.status {
        GapStatus::OpenGap | GapStatus::ProspectiveGap if verdict.parked => FindingEvent::Parked,
        GapStatus::OpenGap => FindingEvent::Found,
        GapStatus::ProspectiveGap => FindingEvent::Foreseen,
        GapStatus::ClosedGap => FindingEvent::Satisfied,
        GapStatus::NotApplicable | GapStatus::InsufficientHistory => FindingEvent::Dropped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::care::ReasonCode;
    use crate::crm::Priority;

    fn verdict(cycle: &str, status: GapStatus) -> Evaluation {
        Evaluation {
            cycle: cycle.to_owned(),
            status,
            due: None,
            overdue: false,
            priority: Priority::Routine,
            parked: false,
            task_due: None,
            next_check: None,
            reason: String::new(),
            reason_code: ReasonCode::NotFound,
            evidence: Vec::new(),
        }
    }

    fn known(cycle: &str, state: FindingState) -> Known {
        Known {
            cycle: cycle.to_owned(),
            state,
        }
    }

    fn steps(known: &[Known], verdicts: &[Evaluation]) -> Vec<(String, Option<FindingEvent>)> {
        reconcile(known, verdicts)
            .into_iter()
            .map(|step| (step.cycle, step.event))
            .collect()
    }

    #[test]
    fn a_new_verdict_opens_a_finding_and_a_closed_one_leaves_none() {
        let open = [verdict("initial", GapStatus::OpenGap)];
        assert_eq!(
            steps(&[], &open),
            [("initial".to_owned(), Some(FindingEvent::Found))]
        );
        for status in [
            GapStatus::ClosedGap,
            GapStatus::NotApplicable,
            GapStatus::InsufficientHistory,
        ] {
            assert!(steps(&[], &[verdict("2026-01-01", status)]).is_empty());
        }
    }

    #[test]
    fn a_result_closes_the_open_cycle_though_the_verdict_names_the_next_one() {
        let stored = [known("initial", FindingState::Open)];
        let closed = [verdict("2026-09-01", GapStatus::ClosedGap)];
        let expected = [("initial".to_owned(), Some(FindingEvent::Satisfied))];
        assert_eq!(steps(&stored, &closed), expected);
    }

    #[test]
    fn an_unchanged_verdict_is_no_event() {
        let stored = [known("initial", FindingState::Open)];
        let open = [verdict("initial", GapStatus::OpenGap)];
        assert_eq!(steps(&stored, &open), [("initial".to_owned(), None)]);
    }

    #[test]
    fn a_referral_that_moves_on_withdraws_its_last_stage_and_only_that() {
        let stored = [
            known("X|1#requested", FindingState::Open),
            known("X|2#seen", FindingState::Open),
        ];
        let verdicts = [
            verdict("X|1#accepted", GapStatus::ProspectiveGap),
            verdict("X|2#closed", GapStatus::ClosedGap),
        ];
        let found = steps(&stored, &verdicts);
        assert!(found.contains(&("X|1#requested".to_owned(), Some(FindingEvent::Dropped))));
        assert!(found.contains(&("X|1#accepted".to_owned(), Some(FindingEvent::Foreseen))));
        assert!(found.contains(&("X|2#seen".to_owned(), Some(FindingEvent::Satisfied))));
    }

    #[test]
    fn only_a_verdict_reopens_what_was_closed() {
        for state in [FindingState::Closed, FindingState::Withdrawn] {
            for event in FindingEvent::ALL {
                let spoken = matches!(
                    event,
                    FindingEvent::Found | FindingEvent::Foreseen | FindingEvent::Parked
                );
                assert_eq!(state.after(*event).is_some(), spoken);
            }
        }
    }
}
