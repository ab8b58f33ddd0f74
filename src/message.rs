//! What arrived: a message, where it stands, and the receipt that proves it is stored.

use serde::Serialize;

use crate::failure::Code;

/// Where a stored message stands. Every message is in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Stored and acknowledged; careloop has not finished with it. Claimed ones count as waiting.
    Waiting,
    /// Everything it implies is in the database.
    Processed,
    /// A mapping says that it is not read, with the reason.
    Ignored,
    /// A person must act before it can be processed.
    Held,
}

/// What can happen to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its changes were committed.
    Applied,
    /// A mapping declined it.
    Declined,
    /// A person must act.
    Stopped,
    /// An operator asked for it again.
    Replayed,
}

impl State {
    /// Every state, in the order of the accounting.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Processed, Self::Ignored, Self::Held];

    /// The state's stable name, as stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Processed => "processed",
            Self::Ignored => "ignored",
            Self::Held => "held",
        }
    }

    /// The state of a stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The state after `event`, or `None` where the event is recorded but not applied.
    pub const fn after(self, event: Event) -> Option<Self> {
        match (self, event) {
            (Self::Waiting, Event::Applied) => Some(Self::Processed),
            (Self::Waiting, Event::Declined) => Some(Self::Ignored),
            (Self::Waiting, Event::Stopped) => Some(Self::Held),
            (Self::Processed | Self::Ignored | Self::Held, Event::Replayed) => Some(Self::Waiting),
            _ => None,
        }
    }
}

impl Event {
    /// Every event, for the printed state table.
    pub const ALL: [Self; 4] = [Self::Applied, Self::Declined, Self::Stopped, Self::Replayed];
}

/// How a message ended, with the reason where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything it implies is written.
    Processed,
    /// Not read, and why; `place` names the mapping or its reason, never a value.
    Ignored {
        /// Why.
        code: Code,
        /// The mapping's stated reason or the message type.
        place: String,
    },
    /// Waits for a person; `place` names the field or rule, never a value.
    Held {
        /// Why.
        code: Code,
        /// The field, rule or bound concerned.
        place: String,
    },
}

impl Outcome {
    /// What happens to a message that ends so.
    pub const fn event(&self) -> Event {
        match self {
            Self::Processed => Event::Applied,
            Self::Ignored { .. } => Event::Declined,
            Self::Held { .. } => Event::Stopped,
        }
    }

    /// The state that it ends in.
    pub const fn state(&self) -> State {
        match self {
            Self::Processed => State::Processed,
            Self::Ignored { .. } => State::Ignored,
            Self::Held { .. } => State::Held,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_message_only_moves_by_replay() {
        for state in [State::Processed, State::Ignored, State::Held] {
            for event in [Event::Applied, Event::Declined, Event::Stopped] {
                assert_eq!(state.after(event), None);
            }
            assert_eq!(state.after(Event::Replayed), Some(State::Waiting));
        }
    }

    #[test]
    fn every_state_has_a_name_of_its_own() {
        for state in State::ALL {
            assert_eq!(State::from_name(state.name()), Some(state));
        }
    }
}
