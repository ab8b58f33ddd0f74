//! What a directive told by a message amounts to: entries, a restriction that a person must read, or nothing.
//!
//! A denial counts as it is told. A permission counts only where everything about it is understood:
//! in force, for contact, given by somebody who may give it, without limits that nobody has read,
//! and from a source whose consent mapping the site has verified. What no table knows restricts.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::age::birthday;
use super::facts::Entry;
use super::policy::Policy;
use super::words::Channel;
use crate::crm::{
    About, ConsentChange, ConsentMode, ConsentStatus, Consenter, Directive, Limits, Moment,
    PartialDate, Reach, Ruling,
};

macro_rules! standings {
    ($($(#[$doc:meta])* $variant:ident = $sentence:literal,)+) => {
        /// What a directive amounts to, and why.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Standing { $($(#[$doc])* $variant,)+ }

        impl Standing {
            /// In plain words, for a person; it holds no value.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)+ }
            }
        }
    };
}

standings! {
    /// It is a permission.
    Permits = "it permits, within its period",
    /// It is a denial.
    Denies = "it denies",
    /// A permission that was taken back.
    TakenBack = "the permission was taken back, which denies",
    /// Nothing is to be told to others.
    Shields = "nothing may be told to others: machines do not send, and people speak to nobody else",
    /// A person must read it before anybody is contacted.
    Unread = "no table says what it means, so nobody is contacted until somebody has read it",
    /// A denial that forbids nothing.
    NothingDenied = "it does not count: it forbids nothing",
    /// It is about something else.
    OtherMatter = "it does not count: it is about something else than contact",
    /// The sender deleted it.
    Deleted = "it does not count: the sender took it away",
    /// A denial that was taken back.
    Lifted = "it does not count: the denial was taken back",
    /// Not in force.
    NotInForce = "it does not permit: it is not in force",
    /// Limits that nobody has read.
    LimitsUnread = "it does not permit: its limits stand in words that no table knows",
    /// Somebody without authority decided.
    NoAuthority = "it does not permit: whoever gave it has no authority for it, or no longer",
    /// The person could not decide.
    NotCompetent = "it does not permit: the person could not decide",
    /// The source's mapping is not verified.
    NotVerified = "it does not permit: the site has not verified this source's consent mapping (consents_verified)",
}

impl Standing {
    /// Whether it has a say in decisions.
    pub const fn counts(self) -> bool {
        matches!(
            self,
            Self::Permits | Self::Denies | Self::TakenBack | Self::Shields | Self::Unread
        )
    }
}

/// What the reading of a directive depends on besides itself.
#[derive(Clone)]
pub struct Reader<'a> {
    /// The zone of its dates.
    pub zone: &'a TimeZone,
    /// The contact policy, for the age of adults.
    pub policy: &'a Policy,
    /// The person's birth date.
    pub birth_date: Option<PartialDate>,
}

/// A directive, read.
pub struct Reading {
    /// What it amounts to.
    pub standing: Standing,
    /// The entries it gives to the decision.
    pub entries: Vec<Entry>,
}

impl Reader<'_> {
    /// Reads a directive; `verified` says that the site has verified its source's consent mapping.
    pub fn read(&self, directive: &Directive, verified: bool) -> Reading {
        let said = &directive.said;
        let standing = self.standing(directive, verified);
        let reach = said.reach.unwrap_or(Reach::Any);
        let entries = match standing {
            Standing::Permits => self.entries(directive, reach, true),
            Standing::TakenBack => self.taken_back(directive, reach),
            Standing::Denies => self.entries(directive, reach, false),
            Standing::Shields => self.entries(directive, Reach::Automated, false),
            _ => Vec::new(),
        };
        Reading { standing, entries }
    }

    fn standing(&self, directive: &Directive, verified: bool) -> Standing {
        let said = &directive.said;
        let about = match (said.status, said.about) {
            (ConsentStatus::Deleted, _) => return Standing::Deleted,
            (_, None) => return Standing::Unread,
            (_, Some(About::Other)) => return Standing::OtherMatter,
            (ConsentStatus::Unknown, _) => return Standing::Unread,
            (_, Some(about)) => about,
        };
        match (said.decision, said.status, about) {
            (None, ..) => Standing::Unread,
            (Some(Ruling::Deny), ConsentStatus::Rescinded, _) => Standing::Lifted,
            (Some(Ruling::Deny), _, About::Sharing)
            | (
                Some(Ruling::Permit),
                ConsentStatus::Refused | ConsentStatus::Rescinded,
                About::Sharing,
            ) => Standing::Shields,
            (Some(Ruling::Permit), _, About::Sharing) => Standing::OtherMatter,
            (Some(Ruling::Deny), ..) if said.reach == Some(Reach::None) => Standing::NothingDenied,
            (Some(Ruling::Deny), ..) | (_, ConsentStatus::Refused, _) => Standing::Denies,
            (_, ConsentStatus::Rescinded, _) => Standing::TakenBack,
            (_, ConsentStatus::Active | ConsentStatus::Limited, _) => {
                self.permission(directive, verified)
            }
            _ => Standing::NotInForce,
        }
    }

    fn permission(&self, directive: &Directive, verified: bool) -> Standing {
        let said = &directive.said;
        let limits_read = match said.status {
            ConsentStatus::Limited => said.limits == Some(Limits::Read),
            _ => said.limits != Some(Limits::Unread),
        };
        let decided = self.decided(directive);
        let minor = self.of_age().is_some_and(|of_age| decided < of_age);
        match said.consenter.unwrap_or(Consenter::Own) {
            _ if !limits_read => Standing::LimitsUnread,
            Consenter::Own if said.competent == Some(false) => Standing::NotCompetent,
            Consenter::Own if minor => Standing::NoAuthority,
            Consenter::Representative if !minor && said.competent != Some(false) => {
                Standing::NoAuthority
            }
            Consenter::Other => Standing::NoAuthority,
            _ if !verified => Standing::NotVerified,
            _ => Standing::Permits,
        }
    }

    /// One entry a channel, all under the id of the message that told them.
    fn entries(&self, directive: &Directive, reach: Reach, permit: bool) -> Vec<Entry> {
        let said = &directive.said;
        let entry = |channel: Option<Channel>| Entry {
            id: directive.message,
            channel,
            purpose: said.purpose,
            content: said.content,
            permit,
            from: self.from(said),
            until: self.until(said, permit),
            recorded_at: self.decided(directive),
            revoked_at: None,
            method: said.mode.map_or("message", ConsentMode::name).to_owned(),
            // A denial of a record that was merged is not outdone by the survivor's permission.
            source: format!(
                "{}/{}/{}",
                directive.source,
                said.kind.name(),
                directive.person
            ),
        };
        match reach.channels() {
            None => vec![entry(None)],
            Some(channels) => channels.iter().map(|one| entry(Some(*one))).collect(),
        }
    }

    fn taken_back(&self, directive: &Directive, reach: Reach) -> Vec<Entry> {
        let mut entries = self.entries(directive, reach, true);
        for entry in &mut entries {
            entry.from = Timestamp::MIN;
            entry.until = None;
            entry.revoked_at = Some(Timestamp::MIN);
        }
        entries
    }

    fn from(&self, said: &ConsentChange) -> Timestamp {
        let from = said.from.as_ref().and_then(|from| from.start(self.zone));
        from.unwrap_or(Timestamp::MIN)
    }

    /// A day that is an end counts against contact: a permission ends as it begins, a denial when
    /// it is over. What a parent permits ends when the person comes of age.
    fn until(&self, said: &ConsentChange, permit: bool) -> Option<Timestamp> {
        let end = match &said.until {
            Some(until) if !permit => self.after(until),
            Some(until) => until.start(self.zone),
            None => None,
        };
        let represented = said.consenter == Some(Consenter::Representative);
        let of_age = self
            .of_age()
            .filter(|_| permit && represented && said.competent != Some(false));
        end.into_iter().chain(of_age).min()
    }

    fn after(&self, moment: &Moment) -> Option<Timestamp> {
        match moment {
            Moment::Instant { at, .. } => Some(*at),
            Moment::Date(date) => {
                let next = date.latest().tomorrow().ok()?;
                Some(next.to_zoned(self.zone.clone()).ok()?.timestamp())
            }
        }
    }

    /// When it was decided, never later than it was told.
    fn decided(&self, directive: &Directive) -> Timestamp {
        let decided = directive.said.decided_at.as_ref();
        decided
            .and_then(|at| at.start(self.zone))
            .map_or(directive.told_at, |at| at.min(directive.told_at))
    }

    fn of_age(&self) -> Option<Timestamp> {
        let day = birthday(self.birth_date?.latest(), self.policy.adult_age)?;
        Some(day.to_zoned(self.zone.clone()).ok()?.timestamp())
    }
}
