//! How the hub stands: what the running process writes of its feeds and queues, and what can be
//! counted cheaply, for whoever asks from outside.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use super::dialect::{rows, run};
use super::record::at;
use super::{Error, Store, TenantId};

/// What was not written again for so long is no longer known.
pub const GONE_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// What the running process knows of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedLevel {
    /// The source.
    pub source: String,
    /// Whether its listener is open.
    pub listening: bool,
    /// Connections open now.
    pub connections: u64,
    /// When it last received a message; `None` since the start of the process.
    pub last_received_at: Option<Timestamp>,
}

/// What the broker says of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueLevel {
    /// Its name.
    pub queue: String,
    /// Messages ready to be delivered.
    pub messages: u32,
    /// Consumers.
    pub consumers: u32,
}

/// How many messages of a source are held for a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldCount {
    /// The failure code.
    pub code: String,
    /// How many.
    pub count: i64,
}

/// How a source stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FeedStanding {
    /// The source.
    pub source: String,
    /// When the running process last wrote this; `None` if none ever did.
    pub at: Option<Timestamp>,
    /// Whether its listener is open.
    pub listening: bool,
    /// Connections.
    pub connections: i64,
    /// When the last message was received.
    pub last_received_at: Option<Timestamp>,
    /// Distinct messages received in the last minute.
    pub last_minute: i64,
    /// Distinct messages received in the last hour.
    pub last_hour: i64,
    /// Messages that are not finished.
    pub waiting: i64,
    /// Since when the oldest of them waits.
    pub oldest_waiting_at: Option<Timestamp>,
    /// Held messages by reason, the most frequent first.
    pub held: Vec<HeldCount>,
}

/// How a team's queue stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueStanding {
    /// `<tenant>.<location>.<team>`.
    pub team: String,
    /// When the running process last asked the broker; `None` where nobody could for half a minute.
    pub at: Option<Timestamp>,
    /// Messages in the queue.
    pub messages: i64,
    /// Consumers of the queue.
    pub consumers: i64,
    /// Published tasks that nobody has answered.
    pub unanswered: i64,
    /// Since when the oldest of them waits for an answer.
    pub oldest_unanswered_at: Option<Timestamp>,
    /// Those of them whose time ran out with every team that they went to: nobody took them.
    pub not_taken: i64,
}

impl Store {
    /// Writes what the running process knows; each row replaces the one before. Rows that nobody
    /// has written for [`GONE_AFTER`] go: their source or team is no longer configured, their queue
    /// is no longer there, or the broker cannot be asked.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn write_levels(
        &self,
        tenant: TenantId,
        (feeds, queues): (&[FeedLevel], &[QueueLevel]),
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.write(tenant).await?;
        for feed in feeds {
            run!(
                tx,
                "INSERT INTO feed_standing (tenant, source, at, listening, connections, last_received_at) VALUES ($1, $2, $3, $4, $5, $6) \
                 ON CONFLICT (tenant, source) DO UPDATE SET at = excluded.at, listening = excluded.listening, connections = excluded.connections, \
                 last_received_at = coalesce(excluded.last_received_at, feed_standing.last_received_at)",
                feed.source.as_str(),
                now.as_microsecond(),
                feed.listening,
                i64::try_from(feed.connections).unwrap_or(i64::MAX),
                feed.last_received_at.map(Timestamp::as_microsecond)
            )?;
        }
        for queue in queues {
            run!(
                tx,
                "INSERT INTO queue_standing (tenant, queue, at, messages, consumers) VALUES ($1, $2, $3, $4, $5) \
                 ON CONFLICT (tenant, queue) DO UPDATE SET at = excluded.at, messages = excluded.messages, consumers = excluded.consumers",
                queue.queue.as_str(),
                now.as_microsecond(),
                i64::from(queue.messages),
                i64::from(queue.consumers)
            )?;
        }
        let gone = (now - GONE_AFTER).as_microsecond();
        run!(
            tx,
            "DELETE FROM feed_standing WHERE tenant = $1 AND at <= $2",
            gone
        )?;
        run!(
            tx,
            "DELETE FROM queue_standing WHERE tenant = $1 AND at <= $2",
            gone
        )?;
        tx.commit().await
    }

    /// How each source stands, by name: those that a process wrote of, or that have messages at hand.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn feed_standings(
        &self,
        tenant: TenantId,
        now: Timestamp,
    ) -> Result<Vec<FeedStanding>, Error> {
        let mut tx = self.read(tenant).await?;
        let mut found: BTreeMap<String, FeedStanding> = BTreeMap::new();
        for (source, seen, listening, connections, last) in rows!(
            tx,
            (String, i64, bool, i64, Option<i64>),
            "SELECT source, at, listening, connections, last_received_at FROM feed_standing WHERE tenant = $1"
        )? {
            let standing = of(&mut found, &source);
            standing.at = Some(at(seen));
            standing.listening = listening;
            standing.connections = connections;
            standing.last_received_at = last.map(at);
        }
        // Ids begin with the time of arrival, so that the last hour is one stretch of the key.
        let hour = now - SignedDuration::from_hours(1);
        let minute = now - SignedDuration::from_mins(1);
        for (source, in_hour, in_minute, last) in rows!(
            tx,
            (String, i64, i64, i64),
            "SELECT source, count(*), CAST(sum(CASE WHEN received_at >= $3 THEN 1 ELSE 0 END) AS BIGINT), max(received_at) \
             FROM message WHERE tenant = $1 AND id >= $2 GROUP BY source",
            first_id_of(hour),
            minute.as_microsecond()
        )? {
            let standing = of(&mut found, &source);
            standing.last_hour = in_hour;
            standing.last_minute = in_minute;
            standing.last_received_at = standing.last_received_at.max(Some(at(last)));
        }
        for (source, waiting, oldest) in rows!(
            tx,
            (String, i64, i64),
            "SELECT source, count(*), min(received_at) FROM message WHERE tenant = $1 AND state = 'waiting' GROUP BY source"
        )? {
            let standing = of(&mut found, &source);
            standing.waiting = waiting;
            standing.oldest_waiting_at = Some(at(oldest));
        }
        for (source, code, count) in rows!(
            tx,
            (String, Option<String>, i64),
            "SELECT source, code, count(*) FROM message WHERE tenant = $1 AND state = 'held' GROUP BY source, code ORDER BY count(*) DESC, code"
        )? {
            let code = code.unwrap_or_default();
            of(&mut found, &source).held.push(HeldCount { code, count });
        }
        Ok(found.into_values().collect())
    }

    /// How each team's queue stands, by name.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn queue_standings(&self, tenant: TenantId) -> Result<Vec<QueueStanding>, Error> {
        let mut tx = self.read(tenant).await?;
        let mut found: BTreeMap<String, QueueStanding> = BTreeMap::new();
        for (queue, seen, messages, consumers) in rows!(
            tx,
            (String, i64, i64, i64),
            "SELECT queue, at, messages, consumers FROM queue_standing WHERE tenant = $1"
        )? {
            let standing = team(&mut found, &queue);
            standing.at = Some(at(seen));
            standing.messages = messages;
            standing.consumers = consumers;
        }
        for (key, count, oldest, not_taken) in rows!(
            tx,
            (String, i64, i64, i64),
            "SELECT routing_key, count(*), min(changed_at), count(unanswered_at) FROM task WHERE tenant = $1 AND state = 'requested' GROUP BY routing_key"
        )? {
            let name = key.rsplit_once('.').map_or(key.as_str(), |(team, _)| team);
            let standing = team(&mut found, name);
            standing.unanswered += count;
            standing.not_taken += not_taken;
            let oldest = at(oldest);
            standing.oldest_unanswered_at = Some(
                standing
                    .oldest_unanswered_at
                    .map_or(oldest, |known| known.min(oldest)),
            );
        }
        Ok(found.into_values().collect())
    }
}

fn of<'f>(found: &'f mut BTreeMap<String, FeedStanding>, source: &str) -> &'f mut FeedStanding {
    found
        .entry(source.to_owned())
        .or_insert_with(|| FeedStanding {
            source: source.to_owned(),
            ..FeedStanding::default()
        })
}

fn team<'f>(found: &'f mut BTreeMap<String, QueueStanding>, name: &str) -> &'f mut QueueStanding {
    found
        .entry(name.to_owned())
        .or_insert_with(|| QueueStanding {
            team: name.to_owned(),
            ..QueueStanding::default()
        })
}

/// The smallest id (UUID version 7) of an instant.
fn first_id_of(instant: Timestamp) -> Uuid {
    let millis = u64::try_from(instant.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}
