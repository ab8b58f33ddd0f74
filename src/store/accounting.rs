//! The accounting: every message is waiting, processed, ignored or held, and the counts add up.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::dialect::{row, rows};
use super::record::at;
use super::{Error, Store, TenantId};
use crate::failure::Code;
use crate::message::State;
use crate::phi::Phi;

/// The counts of `careloop message count`. `received` is `waiting + processed + ignored + held`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Distinct stored messages.
    pub received: i64,
    /// Re-deliveries of stored messages.
    pub duplicate: i64,
    /// Not finished; claimed ones included.
    pub waiting: i64,
    /// Finished.
    pub processed: i64,
    /// Declined by a mapping.
    pub ignored: i64,
    /// A person must act.
    pub held: i64,
    /// Refused frames.
    pub refused: i64,
}

/// How many messages ended with a code.
#[derive(Clone, Debug, Serialize)]
pub struct ReasonCount {
    /// `ignored` or `held`.
    pub state: String,
    /// The code.
    pub code: String,
    /// How many.
    pub count: i64,
}

/// Which messages are meant.
#[derive(Clone, Debug, Default)]
pub struct MessageSelection {
    /// One message.
    pub id: Option<Uuid>,
    /// In this state.
    pub state: Option<State>,
    /// With this code.
    pub code: Option<Code>,
    /// Received at or after this instant.
    pub since: Option<Timestamp>,
}

impl MessageSelection {
    pub(super) fn binds(&self) -> (Option<Uuid>, Option<&'static str>, Option<i64>) {
        (
            self.id,
            self.code.map(Code::name),
            self.since.map(Timestamp::as_microsecond),
        )
    }
}

/// A message in a list.
#[derive(Clone, Debug, Serialize)]
pub struct MessageRow {
    /// Its id.
    pub id: String,
    /// The source.
    pub source: String,
    /// `ADT^A08`.
    #[serde(rename = "type")]
    pub message_type: String,
    /// MSH-10.
    pub control_id: String,
    /// Where it stands.
    pub state: String,
    /// Why it is ignored or held.
    pub code: Option<String>,
    /// The field, rule or reason concerned.
    pub place: Option<String>,
    /// When it came in (RFC 3339).
    pub received_at: String,
    /// How often it was delivered.
    pub times_seen: i64,
    /// Whether the sender used its control id before for other bytes.
    pub control_id_reused: bool,
}

/// One message, with its body for a named operator.
pub struct MessageDetail {
    /// The row.
    pub row: MessageRow,
    /// The body, or why it cannot be read; `None` once purged.
    pub body: Result<Phi<Vec<u8>>, Code>,
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: Uuid,
    source: String,
    message_type: String,
    control_id: String,
    state: String,
    code: Option<String>,
    place: Option<String>,
    received_at: i64,
    times_seen: i64,
    control_id_reused: bool,
}

impl Stored {
    fn open(self) -> MessageRow {
        MessageRow {
            id: self.id.to_string(),
            source: self.source,
            message_type: self.message_type,
            control_id: self.control_id,
            state: self.state,
            code: self.code,
            place: self.place,
            received_at: at(self.received_at).to_string(),
            times_seen: self.times_seen,
            control_id_reused: self.control_id_reused,
        }
    }
}

impl Store {
    /// The counts, from one snapshot.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn counts(&self, tenant: TenantId) -> Result<Counts, Error> {
        let mut tx = self.read(tenant).await?;
        let found = rows!(
            tx,
            (String, i64, i64),
            "SELECT state, count(*), CAST(coalesce(sum(times_seen - 1), 0) AS BIGINT) FROM message WHERE tenant = $1 GROUP BY state \
             UNION ALL SELECT 'refused', CAST(coalesce(sum(count), 0) AS BIGINT), 0 FROM refused_frame WHERE tenant = $1"
        )?;
        let mut counts = Counts::default();
        for (state, count, again) in found {
            counts.duplicate += again;
            match State::from_name(&state) {
                Some(State::Waiting) => counts.waiting = count,
                Some(State::Processed) => counts.processed = count,
                Some(State::Ignored) => counts.ignored = count,
                Some(State::Held) => counts.held = count,
                None => {
                    counts.refused = count;
                    continue;
                }
            }
            counts.received += count;
        }
        Ok(counts)
    }

    /// How many messages ended with which code, the most frequent first.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn reasons(&self, tenant: TenantId) -> Result<Vec<ReasonCount>, Error> {
        let mut tx = self.read(tenant).await?;
        let found = rows!(
            tx,
            (String, String, i64),
            "SELECT state, code, count(*) FROM message WHERE tenant = $1 AND code IS NOT NULL GROUP BY state, code ORDER BY count(*) DESC, code"
        )?;
        Ok(found
            .into_iter()
            .map(|(state, code, count)| ReasonCount { state, code, count })
            .collect())
    }

    /// Messages, the newest first.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn messages(
        &self,
        tenant: TenantId,
        selection: &MessageSelection,
        limit: u32,
    ) -> Result<Vec<MessageRow>, Error> {
        let mut tx = self.read(tenant).await?;
        let (id, code, since) = selection.binds();
        let found = rows!(
            tx,
            Stored,
            "SELECT id, source, message_type, control_id, state, code, place, received_at, times_seen, control_id_reused FROM message \
             WHERE tenant = $1 AND ($2 IS NULL OR id = $2) AND ($3 IS NULL OR code = $3) AND ($4 IS NULL OR received_at >= $4) AND ($5 IS NULL OR state = $5) \
             ORDER BY id DESC LIMIT $6",
            id,
            code,
            since,
            selection.state.map(State::name),
            i64::from(limit)
        )?;
        Ok(found.into_iter().map(Stored::open).collect())
    }

    /// One message with its body; the reading is audited in the same transaction.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn message(
        &self,
        tenant: TenantId,
        id: Uuid,
        entry: &super::AuditEntry,
    ) -> Result<Option<MessageDetail>, Error> {
        let selection = MessageSelection {
            id: Some(id),
            ..MessageSelection::default()
        };
        let Some(row) = self.messages(tenant, &selection, 1).await?.pop() else {
            return Ok(None);
        };
        let mut tx = self.write(tenant).await?;
        let body = tx
            .message_body(id)
            .await?
            .unwrap_or(Err(Code::BodyUnreadable));
        tx.audit(entry).await?;
        tx.commit().await?;
        Ok(Some(MessageDetail { row, body }))
    }

    /// How many messages wait, and since when the oldest does.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn backlog(&self, tenant: TenantId) -> Result<(i64, Option<Timestamp>), Error> {
        let mut tx = self.read(tenant).await?;
        let found = row!(
            tx,
            (i64, Option<i64>),
            "SELECT count(*), min(received_at) FROM message WHERE tenant = $1 AND state = 'waiting'"
        )?;
        Ok(found.map_or((0, None), |(count, oldest)| (count, oldest.map(at))))
    }
}
