//! Stored messages: claimed with a token, finished, given back.

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{many, rows, run, sql};
use super::record::at;
use super::{Error, Store, TenantId, Tx};
use crate::failure::Code;
use crate::message::{Outcome, State};
use crate::phi::Phi;

#[derive(sqlx::FromRow)]
struct StoredMessage {
    id: Uuid,
    message_type: String,
    processing_id: String,
    event_time: Option<i64>,
    received_at: i64,
    attempts: i64,
    bundle: Option<String>,
    body: Option<Vec<u8>>,
}

/// Bytes of messages claimed together: a batch is in memory as a whole.
const TOGETHER_BYTES: i64 = 16 * 1024 * 1024;

/// What may be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// What waits, in order: nothing past a message whose claim of before has not ended.
    No,
    /// What follows the claims under way, where none of it was claimed before.
    Yes,
}

/// A claim of one message: it ends with its token.
#[derive(Clone, Copy)]
pub struct Claim {
    /// The message.
    pub id: Uuid,
    /// The token.
    pub token: Uuid,
}

/// A message that a worker works on.
pub struct Claimed {
    /// Which, and until whose token ends.
    pub claim: Claim,
    /// Its source.
    pub source: String,
    /// `ADT^A08`.
    pub message_type: String,
    /// MSH-11.
    pub processing_id: String,
    /// MSH-7 as an instant.
    pub event_time: Option<Timestamp>,
    /// When it came in.
    pub received_at: Timestamp,
    /// How often it was claimed, this time included.
    pub attempts: i64,
    /// Whether it had an outcome before and was replayed.
    pub is_again: bool,
    /// The bytes, or why they cannot be read.
    pub body: Result<Phi<Vec<u8>>, Code>,
}

impl Store {
    /// Counts a frame that was refused; nothing of it is kept.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn count_refused(
        &self,
        tenant: TenantId,
        source: &str,
        reason: &'static str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.write(tenant).await?;
        run!(
            tx,
            "INSERT INTO refused_frame (tenant, source, reason, count, last_at) VALUES ($1, $2, $3, 1, $4) \
             ON CONFLICT (tenant, source, reason) DO UPDATE SET count = refused_frame.count + 1, last_at = excluded.last_at",
            source,
            reason,
            now.as_microsecond()
        )?;
        tx.commit().await
    }

    /// Claims up to `limit` waiting messages of a source, oldest first, until `until`. The attempt
    /// is committed before any work, so that a message that kills the process is found out. Only who
    /// has the source's lease may claim.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn claim_messages(
        &self,
        tenant: TenantId,
        source: &str,
        limit: u32,
        (now, until, ahead): (Timestamp, Timestamp, Ahead),
    ) -> Result<Vec<Claimed>, Error> {
        let limit = self.claimable(tenant, source, limit, (now, ahead)).await?;
        if limit == 0 {
            return Ok(Vec::new());
        }
        let token = Uuid::now_v7();
        let mut tx = self.write(tenant).await?;
        // An array, because PostgreSQL runs it once: a join would run the limited look again for each
        // row, skip what it has taken itself, and so claim more than the limit.
        let statement = sql!(tx,
            postgres: "UPDATE message SET claim_token = $3, claim_until = $4, attempts = attempts + 1 WHERE tenant = $1 AND id = ANY(ARRAY(\
                SELECT id FROM message WHERE tenant = $1 AND source = $2 AND state = 'waiting' AND (claim_until IS NULL OR claim_until < $5) \
                ORDER BY id LIMIT $6 FOR UPDATE SKIP LOCKED)) \
                RETURNING id, message_type, processing_id, event_time, received_at, attempts, bundle, body",
            sqlite: "UPDATE message SET claim_token = $3, claim_until = $4, attempts = attempts + 1 WHERE tenant = $1 AND id IN (\
                SELECT id FROM message WHERE tenant = $1 AND source = $2 AND state = 'waiting' AND (claim_until IS NULL OR claim_until < $5) \
                ORDER BY id LIMIT $6) \
                RETURNING id, message_type, processing_id, event_time, received_at, attempts, bundle, body");
        let mut found = rows!(
            tx,
            StoredMessage,
            statement,
            source,
            token,
            until.as_microsecond(),
            now.as_microsecond(),
            limit
        )?;
        found.sort_by_key(|stored| stored.id);
        let mut claimed = Vec::with_capacity(found.len());
        for stored in found {
            let body = tx.open_body(stored.id, stored.body).await?;
            claimed.push(Claimed {
                claim: Claim {
                    id: stored.id,
                    token,
                },
                source: source.to_owned(),
                message_type: stored.message_type,
                processing_id: stored.processing_id,
                event_time: stored.event_time.map(at),
                received_at: at(stored.received_at),
                attempts: stored.attempts,
                is_again: stored.bundle.is_some(),
                body,
            });
        }
        tx.commit().await?;
        Ok(claimed)
    }

    /// How many waiting messages may be claimed together. One that was claimed before and has no
    /// outcome goes alone, so that one that kills the process does not use up its neighbours'
    /// attempts.
    async fn claimable(
        &self,
        tenant: TenantId,
        source: &str,
        limit: u32,
        (now, ahead): (Timestamp, Ahead),
    ) -> Result<i64, Error> {
        let mut tx = self.read(tenant).await?;
        let waiting = rows!(
            tx,
            (i64, i64, bool),
            "SELECT attempts, body_bytes, claim_until IS NOT NULL AND claim_until >= $3 FROM message WHERE tenant = $1 AND source = $2 AND state = 'waiting' \
             AND ($5 = 0 OR claim_until IS NULL OR claim_until < $3) ORDER BY id LIMIT $4",
            source,
            now.as_microsecond(),
            i64::from(limit),
            i64::from(ahead == Ahead::Yes)
        )?;
        let mut bytes = 0_i64;
        let fresh = waiting
            .iter()
            .take_while(|(attempts, size, _)| {
                bytes = bytes.saturating_add(*size);
                *attempts == 0 && bytes <= TOGETHER_BYTES
            })
            .count();
        let is_free = |(attempts, _, taken): &(i64, i64, bool)| {
            !taken && (*attempts == 0 || ahead == Ahead::No)
        };
        if !waiting.first().is_some_and(is_free) {
            return Ok(0);
        }
        Ok(i64::try_from(fresh.max(1)).unwrap_or(1))
    }

    /// Gives claims back. The attempt is `counted` unless the store failed and not the message.
    ///
    /// # Errors
    /// When the store is away; then the claims end by themselves.
    pub async fn release_messages(
        &self,
        tenant: TenantId,
        claimed: &[Uuid],
        token: Uuid,
        counted: bool,
    ) -> Result<(), Error> {
        let mut tx = self.write(tenant).await?;
        for id in claimed {
            run!(
                tx,
                "UPDATE message SET claim_token = NULL, claim_until = NULL, attempts = attempts - $4 WHERE tenant = $1 AND id = $2 AND claim_token = $3 AND state = 'waiting'",
                *id,
                token,
                i64::from(!counted)
            )?;
        }
        tx.commit().await
    }
}

impl Tx {
    /// Writes how claimed messages ended. When a claim is over it says so, and nothing may be
    /// committed.
    ///
    /// # Errors
    /// [`Error::ClaimLost`] when a claim belongs to somebody else now.
    pub async fn finish_messages(
        &mut self,
        ended: &[(Claim, &Outcome)],
        bundle: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut rows = Vec::with_capacity(ended.len());
        for (claim, outcome) in ended {
            let (code, place) = match outcome {
                Outcome::Processed => (None, None),
                Outcome::Ignored { code, place } | Outcome::Held { code, place } => {
                    (Some(code.name()), Some(place.as_str()))
                }
            };
            let state = State::Waiting.after(outcome.event());
            let state = state.ok_or(Error::ClaimLost)?.name();
            rows.push((claim, state, code, place));
        }
        // The token says it all: it is gone once a message has ended. Asked for the state, too,
        // PostgreSQL walks all that wait, once for each row given.
        let touched = many!(
            self,
            "UPDATE message SET state = given.column3, code = given.column4, place = given.column5, finished_at = given.column6, bundle = given.column7, claim_token = NULL, claim_until = NULL \
             FROM (VALUES ($2, $3, $4, $5, $6, $7, $8)) AS given WHERE tenant = $1 AND id = given.column1 AND claim_token = given.column2",
            &rows,
            |row| row.0.id,
            row.0.token,
            row.1,
            row.2,
            row.3,
            now.as_microsecond(),
            bundle
        );
        if usize::try_from(touched).ok() == Some(rows.len()) {
            Ok(())
        } else {
            Err(Error::ClaimLost)
        }
    }
}
