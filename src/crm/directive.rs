//! What a message says of contact itself: consents, publicity codes, protection, access restrictions.
//!
//! A mapping turns codes into these words; what they amount to is consent's to say.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::assertion::{Assertion, Origin, Payload};
use super::group::Group;
use super::status::vocabulary;
use super::time::Moment;

vocabulary! {
    /// A way to reach a person.
    Channel {
        /// A person calls.
        PhoneLive = "phone-live",
        /// A machine calls.
        PhoneAuto = "phone-auto",
        /// A text message.
        Sms = "sms",
        /// Unencrypted e-mail.
        Email = "email",
        /// A message in the patient portal.
        Portal = "portal",
        /// A notification of the portal's app.
        AppPush = "app-push",
        /// A letter.
        Postal = "postal",
        /// At the next visit.
        InPerson = "in-person",
    }
}

impl Channel {
    /// Whether a machine sends it: opt-outs bind it even in an emergency (47 CFR 64.1200(a)(10)).
    pub const fn is_automated(self) -> bool {
        matches!(
            self,
            Self::PhoneAuto | Self::Sms | Self::Email | Self::AppPush
        )
    }

    /// The channel in a sentence.
    pub const fn plain(self) -> &'static str {
        match self {
            Self::PhoneLive => "a call by a person",
            Self::PhoneAuto => "an automated call",
            Self::Sms => "a text message",
            Self::Email => "an e-mail",
            Self::Portal => "a portal message",
            Self::AppPush => "an app notification",
            Self::Postal => "a letter",
            Self::InPerson => "a talk at the next visit",
        }
    }
}

vocabulary! {
    /// Why the person would be contacted (HL7 v3 `PurposeOfUse`).
    Purpose {
        /// Treatment.
        Treat = "TREAT",
        /// Health-care operations.
        Hoperat = "HOPERAT",
        /// Marketing: needs a 45 CFR 164.508 authorization.
        Hmarkt = "HMARKT",
        /// Emergency treatment, by a named person with a stated reason.
        Etreat = "ETREAT",
    }
}

vocabulary! {
    /// How much a message tells about the person; a later class tells more.
    ContentClass {
        /// The sender and "please contact us".
        C0 = "C0",
        /// Logistics and general prevention.
        C1 = "C1",
        /// A named test, condition or specialty.
        C2 = "C2",
        /// Specially protected; leaves the hub only as `C0`, for a person to convey.
        C3 = "C3",
    }
}

vocabulary! {
    /// The channels that a directive speaks of, in one word.
    Reach {
        /// No channel: it forbids nothing.
        None = "none",
        /// Every channel.
        Any = "any",
        /// Calls by people and machines, and text messages.
        Phone = "phone",
        /// Calls by people and machines.
        Voice = "voice",
        /// Whatever a machine sends.
        Automated = "automated",
        /// A person calls.
        PhoneLive = "phone-live",
        /// A machine calls.
        PhoneAuto = "phone-auto",
        /// A text message.
        Sms = "sms",
        /// Unencrypted e-mail.
        Email = "email",
        /// A message in the patient portal.
        Portal = "portal",
        /// A notification of the portal's app.
        AppPush = "app-push",
        /// A letter.
        Postal = "postal",
        /// At the next visit.
        InPerson = "in-person",
    }
}

impl Reach {
    /// Its channels; `None` is any.
    pub const fn channels(self) -> Option<&'static [Channel]> {
        use Channel as C;
        Some(match self {
            Self::Any => return None,
            Self::None => &[],
            Self::Phone => &[C::PhoneLive, C::PhoneAuto, C::Sms],
            Self::Voice => &[C::PhoneLive, C::PhoneAuto],
            Self::Automated => &[C::PhoneAuto, C::Sms, C::Email, C::AppPush],
            Self::PhoneLive => &[C::PhoneLive],
            Self::PhoneAuto => &[C::PhoneAuto],
            Self::Sms => &[C::Sms],
            Self::Email => &[C::Email],
            Self::Portal => &[C::Portal],
            Self::AppPush => &[C::AppPush],
            Self::Postal => &[C::Postal],
            Self::InPerson => &[C::InPerson],
        })
    }
}

vocabulary! {
    /// In what form a directive came.
    DirectiveKind {
        /// A consent document (CON).
        Document = "document",
        /// The publicity code (PD1-11).
        Publicity = "publicity",
        /// The protection indicator (PD1-12).
        Protection = "protection",
        /// An access restriction (ARV).
        Access = "access",
    }
}

impl DirectiveKind {
    /// Whether a person can have several of the kind; of the others the newest is the only one.
    const fn is_many(self) -> bool {
        matches!(self, Self::Document | Self::Access)
    }
}

vocabulary! {
    /// What a directive is about, by the site's table.
    About {
        /// Contact with the person.
        Contact = "contact",
        /// Telling others about the person.
        Sharing = "sharing",
        /// Something that outreach does not touch, such as a procedure.
        Other = "other",
    }
}

vocabulary! {
    /// Where a consent stands (HL7 table 0498, and two words of our own).
    ConsentStatus {
        /// In force.
        Active = "active",
        /// In force with limits.
        Limited = "limited",
        /// Done without asking.
        Bypassed = "bypassed",
        /// Not decided.
        Pending = "pending",
        /// The person said no.
        Refused = "refused",
        /// The person took it back.
        Rescinded = "rescinded",
        /// The sender took the field away.
        Deleted = "deleted",
        /// The sender's code is not known.
        Unknown = "unknown",
    }
}

vocabulary! {
    /// What is agreed to when it is agreed to.
    Ruling {
        /// Contact.
        Permit = "permit",
        /// That there be none.
        Deny = "deny",
    }
}

vocabulary! {
    /// Who decided.
    Consenter {
        /// The person.
        Own = "self",
        /// A parent, guardian or holder of a health-care power of attorney.
        Representative = "representative",
        /// Anybody else.
        Other = "other",
    }
}

vocabulary! {
    /// Limits that whoever decided has set.
    Limits {
        /// They are in the directive's cell.
        Read = "read",
        /// They stand in words that no table knows.
        Unread = "unread",
    }
}

vocabulary! {
    /// How it was given (HL7 table 0497).
    ConsentMode {
        /// In writing.
        Written = "written",
        /// In speech.
        Verbal = "verbal",
        /// On the telephone.
        Telephone = "telephone",
    }
}

/// What a message says of contact: one directive, whole.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentChange {
    /// In what form it came.
    pub kind: DirectiveKind,
    /// Which one of its kind it is, or which code: a keyed hash, never a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Where it stands.
    pub status: ConsentStatus,
    /// What it is about; `None` where no table knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// What is agreed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Ruling>,
    /// The channels; `None` is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    /// The purpose; `None` is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// The content class; `None` is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentClass>,
    /// How it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ConsentMode>,
    /// Who decided; `None` where the sender names nobody else than the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consenter: Option<Consenter>,
    /// Whether the person could decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub competent: Option<bool>,
    /// Limits; `None` where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// From when it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Moment>,
    /// Until when it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// When it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Moment>,
}

impl ConsentChange {
    /// The natural key among what one source says of one person.
    pub(super) fn key(&self) -> String {
        let reference = self.reference.as_deref().filter(|_| self.kind.is_many());
        format!("{}:{}", self.kind.name(), reference.unwrap_or(""))
    }
}

/// A directive as a source last told it.
#[derive(Clone, PartialEq, Eq)]
pub struct Directive {
    /// The record it was told of; after a merge several belong to one person.
    pub person: Uuid,
    /// The source.
    pub source: String,
    /// The message.
    pub message: Uuid,
    /// When, by the sender's clock.
    pub told_at: Timestamp,
    /// What it says.
    pub said: ConsentChange,
}

impl Directive {
    /// Whether both say the same, whenever it was said.
    pub fn says_what(&self, other: &Self) -> bool {
        self.person == other.person && self.source == other.source && self.said == other.said
    }

    /// Whether contact may rest on it, as far as its own words go.
    pub fn may_permit(&self) -> bool {
        let said = &self.said;
        said.decision == Some(Ruling::Permit)
            && matches!(said.status, ConsentStatus::Active | ConsentStatus::Limited)
    }
}

impl Origin<'_> {
    /// A directive is told whole; the newest telling replaces it.
    pub(super) fn consent(self, change: &ConsentChange, known: &[Assertion]) -> Vec<Assertion> {
        let key = change.key();
        if !self.may_replace(self.find(Group::Consent, &key, known)) {
            return Vec::new();
        }
        vec![self.assertion(key, Payload::Consent(change.clone()))]
    }
}
