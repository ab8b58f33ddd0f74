//! What was decided, why, and for how long it holds.

use jiff::Timestamp;
use uuid::Uuid;

use super::code::Code;
use super::words::{Channel, ContentClass, Obligation};
use crate::crm::vocabulary;

vocabulary! {
    /// The five answers.
    Outcome {
        /// Now, without more.
        Allow = "allow",
        /// Now, observing the obligations.
        AllowWithObligations = "allow-with-obligations",
        /// Not now: ask again at `next_allowed_at`.
        Defer = "defer",
        /// No.
        Deny = "deny",
        /// A person has to find another way.
        HumanReview = "human-review",
    }
}

impl Outcome {
    /// Whether the task may leave now.
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Allow | Self::AllowWithObligations)
    }
}

/// When contact is permitted, half open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// From, inclusive.
    pub from: Timestamp,
    /// To, exclusive.
    pub to: Timestamp,
    /// The IANA zone that the hours were read in; `UTC` where several were.
    pub zone: String,
}

/// The answer to an [`super::Ask`].
#[derive(Clone, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub result: Outcome,
    /// Why, in the order of the decision table, each once.
    pub codes: Vec<Code>,
    /// Why, in plain words for a person; it holds no value.
    pub sentence: String,
    /// The channel that it is about.
    pub channel: Option<Channel>,
    /// The contact point to use.
    pub contact_point: Option<Uuid>,
    /// How much may be told; possibly less than was asked.
    pub content: ContentClass,
    /// The earliest instant at which asking again gives an allowance; of a deferral only.
    pub next_allowed_at: Option<Timestamp>,
    /// When a denial for want of consent may end by itself, because a consent begins then.
    pub look_again_at: Option<Timestamp>,
    /// Until when an allowance holds: the end of the window, of the consent, or the task's due
    /// date, whichever is first.
    pub valid_until: Option<Timestamp>,
    /// The window of an allowance, or the one in which a deferred contact may begin.
    pub window: Option<Window>,
    /// What must be observed.
    pub obligations: Vec<Obligation>,
    /// The entries it rests on.
    pub consents: Vec<Uuid>,
    /// The policy's version.
    pub policy_version: String,
}

impl Decision {
    /// Adds that nothing may be told to anybody else.
    pub fn shield(&mut self) {
        if !self.obligations.contains(&Obligation::NoThirdParty) {
            self.obligations.push(Obligation::NoThirdParty);
            self.obligations.sort_unstable();
        }
        self.result = Outcome::AllowWithObligations;
    }

    /// The codes as stored and shown.
    pub fn reason_codes(&self) -> Vec<&'static str> {
        self.codes.iter().map(|code| code.name()).collect()
    }
}
