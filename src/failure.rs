//! The closed list of failure codes: why a message is held or ignored, and what to do about it.
//!
//! What outlives the process is a [`Code`], never an error text. Retry policy, counts and operator
//! screens read only this. `mappings/README.md` lists every code; a test keeps the two together.

use serde::{Deserialize, Serialize};

/// What a failure means for the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Time heals it: careloop tries again by itself.
    Transient,
    /// The outcome is unknown: a person or a repeat with the same key settles it.
    Ambiguous,
    /// Repeating changes nothing: a person, a mapping or a table must change first.
    Permanent,
}

macro_rules! codes {
    ($($variant:ident, $name:literal, $class:ident, $meaning:literal, $action:literal;)+) => {
        /// Why a message is held or ignored. Stable kebab-case names; closed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $meaning] #[serde(rename = $name)] $variant,)+
        }

        impl Code {
            /// Every code, in the order of the handbook.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable name, as stored, counted and shown.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What repeating can achieve.
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)+ }
            }

            /// One sentence for an operator: what it means.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }

            /// One sentence for an operator: what to do next.
            pub const fn action(self) -> &'static str {
                match self { $(Self::$variant => $action,)+ }
            }

            /// The code of a stable name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

codes! {
    NoHeader, "no-header", Permanent,
        "The frame holds no usable MSH segment.",
        "Look at the sender's export; nothing can be read from this frame.";
    CharsetUndecodable, "charset-undecodable", Permanent,
        "The bytes do not fit the character set that MSH-18 or the source declares.",
        "Set `charset` of the source, or ask the sender to fill MSH-18, then replay.";
    CharsetUnsupported, "charset-unsupported", Permanent,
        "MSH-18 names a character set that careloop does not read.",
        "Ask the sender for UNICODE UTF-8 or another set that the place names, then replay.";
    Unparseable, "unparseable", Permanent,
        "The text is not HL7 v2: a line is no segment, or a bound is exceeded.",
        "Compare the message with its specification; fix the sender, then replay.";
    TooLarge, "too-large", Permanent,
        "The message exceeds a bound of the parser.",
        "Ask the sender to split the message.";
    RequiredMissing, "required-missing", Permanent,
        "A value that the mapping requires is absent.",
        "Add the field at the sender, or give the rule another source in a site layer, then replay.";
    Unmapped, "unmapped-code", Permanent,
        "A code is not in the table that the mapping names.",
        "Add the code to the table in a site layer, then replay all messages with this code.";
    BadValue, "bad-value", Permanent,
        "A field does not have the form that the mapping expects.",
        "Fix the sender or relax the rule in a site layer, then replay.";
    NoIdentifier, "no-identifier", Permanent,
        "No identifier in the message is trusted for this source.",
        "Add the assigner or type to `identifiers` of the source, then replay.";
    IdentityAmbiguous, "identity-ambiguous", Ambiguous,
        "The identifiers reach more than one person.",
        "Find out which person is meant: `careloop identity show`, then `link` or `keep-apart`; or correct at the EHR, then replay.";
    IdentityConflict, "identity-conflict", Ambiguous,
        "A known identifier arrived with another birth date and another family name.",
        "Check for a re-used or mistyped record number: `careloop identity show`, then `link` or `keep-apart`; or correct at the EHR, then replay.";
    MergeUnknown, "merge-unresolved", Ambiguous,
        "A merge names identifiers that cannot be resolved safely.",
        "Check assigner and type of MRG-1 against `identifiers` of the source, then replay.";
    ChangeUnresolved, "identifier-change-unresolved", Ambiguous,
        "A number was changed to one that another person has already.",
        "Find out whether the two are one person: `careloop identity link` or `keep-apart`; it runs again by itself.";
    MoveUnresolved, "move-unresolved", Ambiguous,
        "A move names nobody, or several people, as the one who gives or takes.",
        "Compare PID-3 and MRG-1 with `identifiers` of the source; register who is missing, then replay.";
    LinkUnresolved, "link-unresolved", Ambiguous,
        "A link or unlink names one person only, or unlinks two whom careloop holds for one.",
        "If the two are two: `careloop identity unmerge`, or `keep-apart` with the number that both have; it runs again by itself.";
    NoMessageType, "no-message-type", Permanent,
        "MSH-9 does not say what the message is.",
        "Have the sender, or the engine before careloop, fill MSH-9 as in ADT^A08; then have it sent again.";
    NoMapping, "no-mapping", Permanent,
        "No mapping takes this message type.",
        "Nothing, unless the type should be read: then add a mapping.";
    IgnoredByMapping, "ignored-by-mapping", Permanent,
        "A mapping says that this message type is not read, with its reason.",
        "Nothing; the reason stands in the mapping.";
    NothingToDo, "nothing-to-do", Permanent,
        "The mapping found nothing in the message that careloop keeps.",
        "Nothing, unless a field was expected: try `careloop mapping try`.";
    AttemptsExhausted, "attempts-exhausted", Ambiguous,
        "Three attempts ended without an outcome, as when the process is killed each time.",
        "Look at the log of that time, then replay.";
    NotStorable, "not-storable", Permanent,
        "What the message implies cannot be written, or what it builds on cannot be read.",
        "Look at the log of that time; check `careloop keys status`, then replay.";
    BodyUnreadable, "body-unreadable", Permanent,
        "The stored body cannot be opened with the keys at hand, or was purged.",
        "Check `careloop keys status`; ask the sender to send the message again.";
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
