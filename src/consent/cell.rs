//! The consent cell: what the recorded entries say of one channel, purpose and content class.
//!
//! The most specific entry wins, channel before purpose before content. At equal specificity a
//! denial overrides. Within a cell the newest of a source stands. A permission that has run out
//! says nothing; one that was withdrawn counts as a denial. A denial that ended leaves what stood
//! before it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::code::Code;
use super::facts::Entry;
use super::words::{Channel, ContentClass, Purpose};

/// The question, one cell.
#[derive(Clone, Copy)]
pub(super) struct Question {
    pub(super) channel: Channel,
    pub(super) purpose: Purpose,
    pub(super) content: ContentClass,
}

/// The answer at an instant.
#[derive(Clone, Copy)]
pub(super) enum Cell<'a> {
    /// This entry permits.
    Permitted(&'a Entry),
    /// Nothing permits, for this reason.
    Refused(Code),
}

/// What an entry amounts to at an instant; the later outranks the earlier at equal specificity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Expired,
    Permits,
    Revoked,
    Denies,
}

type Dimensions = (Option<Channel>, Option<Purpose>, Option<ContentClass>);

/// What the entries say at `at`.
pub(super) fn judge(entries: &[Entry], question: Question, at: Timestamp) -> Cell<'_> {
    let mut newest: BTreeMap<(Dimensions, &str), (Timestamp, Standing, &Entry)> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| question.is_met_by(entry)) {
        let Some(standing) = standing(entry, at) else {
            continue;
        };
        let key = (
            (entry.channel, entry.purpose, entry.content),
            entry.source.as_str(),
        );
        let better = newest
            .get(&key)
            .is_none_or(|(recorded, held, _)| (entry.recorded_at, standing) > (*recorded, *held));
        if better {
            newest.insert(key, (entry.recorded_at, standing, entry));
        }
    }
    let mut expired = false;
    for level in (0..8_u8).rev() {
        let strongest = newest
            .values()
            .filter(|(_, standing, entry)| {
                specificity(entry) == level && *standing != Standing::Expired
            })
            .max_by_key(|(_, standing, entry)| {
                let end = entry.until.unwrap_or(Timestamp::MAX);
                (*standing, end, entry.id)
            });
        match strongest {
            Some((_, Standing::Denies, _)) => return Cell::Refused(Code::ConsentDenied),
            Some((_, Standing::Revoked, _)) => return Cell::Refused(Code::ConsentRevoked),
            Some((_, _, entry)) => return Cell::Permitted(entry),
            None => {
                expired |= newest
                    .values()
                    .any(|(_, _, entry)| specificity(entry) == level);
            }
        }
    }
    Cell::Refused(if expired {
        Code::ConsentExpired
    } else {
        Code::NoConsent
    })
}

/// The first instant after `at` at which the answer is (`permitted`) or is no longer a
/// permission; `None` if that never comes.
pub(super) fn next_change(
    entries: &[Entry],
    question: Question,
    at: Timestamp,
    permitted: bool,
) -> Option<Timestamp> {
    let mut instants: Vec<Timestamp> = entries
        .iter()
        .filter(|entry| question.is_met_by(entry))
        .flat_map(|entry| [Some(entry.from), entry.until, entry.revoked_at])
        .flatten()
        .filter(|instant| *instant > at)
        .collect();
    instants.sort_unstable();
    instants.into_iter().find(|instant| {
        matches!(judge(entries, question, *instant), Cell::Permitted(_)) == permitted
    })
}

impl Question {
    fn is_met_by(self, entry: &Entry) -> bool {
        entry.channel.is_none_or(|channel| channel == self.channel)
            && self.purpose_met(entry)
            && self.content_met(entry)
    }

    /// A permission for "any" purpose is none for marketing (45 CFR 164.508).
    fn purpose_met(self, entry: &Entry) -> bool {
        match entry.purpose {
            Some(purpose) => purpose == self.purpose,
            None => !entry.permit || self.purpose != Purpose::Hmarkt,
        }
    }

    /// Permissions reach down to what tells less, denials up to what tells more; "any" content
    /// does not permit a specially protected topic.
    fn content_met(self, entry: &Entry) -> bool {
        match (entry.content, entry.permit) {
            (Some(class), true) => self.content <= class,
            (Some(class), false) => self.content >= class,
            (None, true) => self.content < ContentClass::C3,
            (None, false) => true,
        }
    }
}

fn standing(entry: &Entry, at: Timestamp) -> Option<Standing> {
    if entry.from > at {
        return None;
    }
    let revoked = entry.revoked_at.is_some_and(|revoked| revoked <= at);
    let expired = entry.until.is_some_and(|until| until <= at);
    match (entry.permit, revoked, expired) {
        (false, false, false) => Some(Standing::Denies),
        (false, ..) => None,
        (true, true, _) => Some(Standing::Revoked),
        (true, false, true) => Some(Standing::Expired),
        (true, false, false) => Some(Standing::Permits),
    }
}

fn specificity(entry: &Entry) -> u8 {
    u8::from(entry.channel.is_some()) * 4
        + u8::from(entry.purpose.is_some()) * 2
        + u8::from(entry.content.is_some())
}
