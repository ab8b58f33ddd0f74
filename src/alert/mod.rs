//! Troubles that a person should look at: what each means, its first step, and when it is there.
//!
//! Whoever is told hears names from the configuration, counts and instants; nothing of a person.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::config::{AlertsConfig, Tenant};
use crate::store::{FeedStanding, QueueStanding};

mod webhook;

pub use webhook::{Error, Webhook};

macro_rules! kinds {
    ($($(#[$doc:meta])+ $kind:ident = $name:literal, $meaning:literal, $step:literal;)+) => {
        /// The kinds of trouble.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])+ $kind,)+ }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// Its name in the store, in alerts and in `status`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// What it means.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$kind => $meaning,)+ }
            }

            /// What to do first.
            pub const fn first_step(self) -> &'static str {
                match self { $(Self::$kind => $step,)+ }
            }
        }
    };
}

kinds! {
    /// A source's listener is not open.
    FeedClosed = "feed-closed",
        "The listener of this source is not open: its sender is turned away.",
        "Run `careloop check`: most often no agreement in force covers the source, or its port is taken.";
    /// A source says nothing.
    FeedSilent = "feed-silent",
        "Nothing has come from this source for longer than it should be silent.",
        "Ask the sender's interface team whether its queue is stopped; `careloop status` shows whether it is connected.";
    /// Messages wait too long.
    InboxLag = "inbox-lag",
        "Messages of this source wait longer than they should before they are processed.",
        "Look for `processing pauses` in the log: it names what is in the way. Nothing is lost; senders are still answered.";
    /// Messages are held.
    MessagesHeld = "messages-held",
        "Messages of this source are held: a person must act.",
        "Run `careloop message count --reasons`: each reason says what to do; then `careloop message replay`.";
    /// Nothing can be published.
    BrokerDown = "broker-down",
        "Tasks cannot be published: the broker is away or takes nothing.",
        "`/health/ready` says why. Tasks wait in the outbox and leave when it is back.";
    /// A queue without consumers.
    NoConsumer = "no-consumer",
        "Tasks wait in this team's queue and nobody reads it.",
        "Start the CRM's consumer of this queue, or ask its operators.";
    /// Tasks without an answer.
    Unanswered = "unanswered",
        "Tasks of this team were published long ago and nobody has answered them.",
        "Ask the team's coordinators whether the tasks reach their work list.";
    /// Tasks that nobody took.
    NotTaken = "not-taken",
        "Tasks went to every wider team in turn and nobody has taken them.",
        "Have a coordinator take them by hand: `careloop task list --state requested`, then `careloop task story ID`.";
    /// An agreement ends in at most sixty days.
    AgreementEnds60 = "agreement-ends-60",
        "This agreement ends in at most 60 days.",
        "Renew the agreement and enter it as a further [[agreement]].";
    /// An agreement ends in at most thirty days.
    AgreementEnds30 = "agreement-ends-30",
        "This agreement ends in at most 30 days.",
        "Renew the agreement now and enter it as a further [[agreement]].";
    /// An agreement ends in at most a week.
    AgreementEnds7 = "agreement-ends-7",
        "This agreement ends within a week; then its sources close and its tasks wait.",
        "Renew the agreement today, enter it as a further [[agreement]] and restart careloop.";
    /// An agreement is over.
    AgreementEnded = "agreement-ended",
        "This agreement is over and nothing else covers what it covered.",
        "Enter the renewed [[agreement]] and restart careloop; without one, leave it closed.";
    /// Outreach is stopped.
    OutreachStopped = "outreach-stopped",
        "All outreach is stopped: everything is computed and nothing leaves.",
        "`careloop outreach show` says since when and by whom; `careloop outreach resume` lifts it.";
}

impl Kind {
    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// What the kind of this name means and what to do first; empty for one that this version does
    /// not know.
    pub fn explain(name: &str) -> (&'static str, &'static str) {
        Self::from_name(name).map_or(("", ""), |kind| (kind.meaning(), kind.first_step()))
    }
}

/// How a tenant stands at one moment.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The tenant.
    pub tenant: &'a Tenant,
    /// Its sources.
    pub feeds: &'a [FeedStanding],
    /// Its teams' queues.
    pub queues: &'a [QueueStanding],
    /// Since when nothing can be published.
    pub broker_down_since: Option<Timestamp>,
    /// Whether outreach is stopped.
    pub is_stopped: bool,
    /// When this process started: before that nothing could arrive.
    pub started_at: Timestamp,
    /// Now.
    pub now: Timestamp,
}

/// What troubles there are, each with its subject: a source, a team, a party, or nothing.
pub fn troubles(scene: &Scene<'_>, limits: &AlertsConfig) -> Vec<(Kind, String)> {
    let mut found = Vec::new();
    for feed in scene.feeds {
        for kind in of_feed(scene, feed, limits) {
            found.push((kind, feed.source.clone()));
        }
    }
    for queue in scene.queues {
        for kind in of_queue(scene, queue, limits) {
            found.push((kind, queue.team.clone()));
        }
    }
    if is_longer(scene.broker_down_since, limits.broker_down, scene.now) {
        found.push((Kind::BrokerDown, String::new()));
    }
    if scene.is_stopped {
        found.push((Kind::OutreachStopped, String::new()));
    }
    found.extend(agreements(
        scene.tenant,
        scene.now.to_zoned(scene.tenant.zone.clone()).date(),
    ));
    found.sort();
    found.dedup();
    found
}

fn of_feed(scene: &Scene<'_>, feed: &FeedStanding, limits: &AlertsConfig) -> Vec<Kind> {
    let mut kinds = Vec::new();
    let Some(source) = scene.tenant.source(&feed.source) else {
        return kinds; // No longer configured: nothing is expected of it.
    };
    if !feed.listening && !ended_with_its_agreement(scene, &feed.source) {
        kinds.push(Kind::FeedClosed);
    }
    let silent_after = source.silent_after.unwrap_or(limits.silent_after);
    // A feed that is set up today has said nothing yet; it has as long as any other.
    let last = feed.last_received_at.unwrap_or(scene.started_at);
    if feed.listening && is_longer(Some(last), silent_after, scene.now) {
        kinds.push(Kind::FeedSilent);
    }
    if is_longer(feed.oldest_waiting_at, limits.waiting, scene.now) {
        kinds.push(Kind::InboxLag);
    }
    if feed.held.iter().any(|held| held.count > 0) {
        kinds.push(Kind::MessagesHeld);
    }
    kinds
}

/// Whether a source is closed because the agreement that covered it is over: that is told of the
/// agreement, once.
fn ended_with_its_agreement(scene: &Scene<'_>, source: &str) -> bool {
    let today = scene.now.to_zoned(scene.tenant.zone.clone()).date();
    let ended = scene.tenant.agreements.iter().any(|agreement| {
        agreement.until < today && agreement.covers.iter().any(|covered| covered == source)
    });
    ended && !scene.tenant.is_covered(source, today)
}

fn of_queue(scene: &Scene<'_>, queue: &QueueStanding, limits: &AlertsConfig) -> Vec<Kind> {
    let mut kinds = Vec::new();
    let unread = queue.at.is_some() && queue.messages > 0 && queue.consumers == 0;
    if unread && is_longer(queue.oldest_unanswered_at, limits.no_consumer, scene.now) {
        kinds.push(Kind::NoConsumer); // and therefore nobody answers
    } else if is_longer(queue.oldest_unanswered_at, limits.unanswered, scene.now) {
        kinds.push(Kind::Unanswered);
    }
    if queue.not_taken > 0 {
        kinds.push(Kind::NotTaken);
    }
    kinds
}

/// The notice that each agreement is due: only the nearest one, and none where another agreement
/// covers the same beyond its end.
fn agreements(tenant: &Tenant, today: Date) -> Vec<(Kind, String)> {
    let mut found = Vec::new();
    for agreement in &tenant.agreements {
        let is_renewed = agreement.covers.iter().all(|name| {
            tenant.agreements.iter().any(|other| {
                other.until > agreement.until
                    && other.covers.contains(name)
                    && (other.from <= today
                        || agreement
                            .until
                            .tomorrow()
                            .is_ok_and(|next| other.from <= next))
            })
        });
        let kind = match agreement.days_left(today) {
            _ if is_renewed => continue,
            i32::MIN..=-1 => Kind::AgreementEnded,
            0..=7 => Kind::AgreementEnds7,
            8..=30 => Kind::AgreementEnds30,
            31..=60 => Kind::AgreementEnds60,
            _ => continue,
        };
        found.push((kind, agreement.party.clone()));
    }
    found
}

/// Whether something has lasted for longer than `limit`.
fn is_longer(since: Option<Timestamp>, limit: std::time::Duration, now: Timestamp) -> bool {
    let limit = SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
    since.is_some_and(|since| now.duration_since(since) > limit)
}

#[cfg(test)]
#[path = "alert_tests.rs"]
mod tests;
