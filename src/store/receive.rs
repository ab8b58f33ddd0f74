//! What comes in is stored once: a batch of messages in one statement, and a receipt for each.

use std::collections::HashMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::bodies::body_place;
use super::dialect::{many_rows, rows_alone};
use super::inbox_keys::day_of;
use super::statement::MOST_ROWS;
use super::wire::{Numbered, Taken, Verdict};
use super::{Error, Store, TenantId, Tx};
use crate::failure::Code;
use crate::message::State;
use crate::vault::{self, Key, KeyId, seal};

/// A message as it came in, before it is stored.
pub struct Arrival {
    /// The source.
    pub source: String,
    /// MSH-10, as sent; empty where there was none.
    pub control_id: String,
    /// SHA-256 of the bytes.
    pub digest: [u8; 32],
    /// `ADT^A08`; empty where MSH could not be read.
    pub message_type: String,
    /// MSH-11: `P`, `T`, `D`.
    pub processing_id: String,
    /// MSH-7 as an instant, where it is one.
    pub event_time: Option<Timestamp>,
    /// When the frame was complete.
    pub received_at: Timestamp,
    /// The bytes, sealed before they are stored.
    pub body: Vec<u8>,
    /// Held at once, with why and where.
    pub held: Option<(Code, String)>,
    /// When an application acknowledgement is owed: `AL`, `ER`, `SU`; `None` where never.
    pub application_ack: Option<&'static str>,
    /// What MSH-13 says, where the source is to number its messages.
    pub numbered: Option<Numbered>,
}

/// Proof that a message is durable. Only a commit of the store makes one.
pub struct Receipt {
    id: Uuid,
    times_seen: i64,
    control_id_reused: bool,
    sequence: Option<i64>,
}

impl Receipt {
    /// The stored message's id.
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// Whether the same message had been stored before.
    pub const fn is_duplicate(&self) -> bool {
        self.times_seen > 1
    }

    /// MSA-4 of the answer, where the source numbers its messages.
    pub const fn sequence(&self) -> Option<i64> {
        self.sequence
    }

    /// Whether the sender used this control id before, for other bytes.
    pub const fn control_id_reused(&self) -> bool {
        self.control_id_reused
    }
}

/// What makes two arrivals the same message: source, control id and digest.
type Natural<'a> = (&'a str, &'a str, &'a [u8]);

/// An arrival on its way into a row, with all its repeats in the batch.
struct Row<'a> {
    arrival: &'a Arrival,
    id: Uuid,
    body: Vec<u8>,
    /// How often it is in the batch.
    seen: i64,
    /// Whether the batch holds another message under the same control id.
    reused: bool,
}

/// A row as stored.
struct Stored {
    id: Uuid,
    times_seen: i64,
    /// How many of these were in the batch.
    in_batch: i64,
    control_id_reused: bool,
}

impl Arrival {
    fn natural(&self) -> Natural<'_> {
        (&self.source, &self.control_id, &self.digest)
    }
}

/// What the statement returns of a row.
type Returned = (Uuid, String, String, Vec<u8>, i64, bool);

/// A control id that this source used before for other bytes is flagged.
const INSERT: &str = "INSERT INTO message (tenant, id, source, control_id, digest, message_type, processing_id, event_time, received_at, last_seen_at, state, code, place, finished_at, body, body_bytes, times_seen, application_ack, control_id_reused) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18 OR ($4 <> '' AND EXISTS (\
     SELECT 1 FROM message AS other WHERE other.tenant = $1 AND other.source = $3 AND other.control_id = $4 AND other.digest <> $5))) \
     ON CONFLICT (tenant, source, control_id, digest) DO UPDATE SET times_seen = message.times_seen + excluded.times_seen, last_seen_at = excluded.last_seen_at \
     RETURNING id, source, control_id, digest, times_seen, control_id_reused";

/// Stores rows: in a transaction, or by a statement that is one.
macro_rules! insert {
    ($many:ident, ($($place:tt)+), $rows:expr) => {
        $many!(
            $($place)+,
            Returned,
            INSERT,
            $rows,
            |row| row.id,
            row.arrival.source.as_str(),
            row.arrival.control_id.as_str(),
            row.arrival.digest.as_slice(),
            row.arrival.message_type.as_str(),
            row.arrival.processing_id.as_str(),
            row.arrival.event_time.map(Timestamp::as_microsecond),
            row.arrival.received_at.as_microsecond(),
            row.state().name(),
            row.arrival.held.as_ref().map(|(code, _)| code.name()),
            row.arrival.held.as_ref().map(|(_, place)| place.as_str()),
            row.finished_at(),
            row.body.as_slice(),
            i64::try_from(row.arrival.body.len()).unwrap_or(i64::MAX),
            row.seen,
            row.arrival.application_ack,
            row.reused
        )
    };
}

impl Store {
    /// Stores a batch of one tenant in one transaction; says of each arrival, in order, what became
    /// of it. The sequence numbers of its sources move with it.
    ///
    /// # Errors
    /// [`Error::Temporary`] when nothing was stored and the senders must be told so.
    pub async fn receive(
        &self,
        tenant: TenantId,
        arrivals: Vec<Arrival>,
    ) -> Result<Vec<Taken>, Error> {
        if let Some(taken) = self.receive_alone(tenant, &arrivals).await? {
            return Ok(taken);
        }
        let mut tx = self.write(tenant).await?;
        let verdicts = tx.in_sequence(&arrivals).await?;
        let mut keys = HashMap::new();
        for arrival in &arrivals {
            let key = tx.inbox_key(arrival.received_at).await?;
            keys.insert(key.id(), key);
        }
        let rows = rows(tenant, &arrivals, &verdicts, &keys)?;
        let stored = stored(&rows, insert!(many_rows, (tx), &rows))?;
        for row in &rows {
            tx.owe_arrived(row, stored.get(&row.arrival.natural()))
                .await?;
        }
        let tenant_keys = tx.shared_keys();
        tx.commit().await?;
        tenant_keys.keep_inbox_keys(keys);
        taken(&arrivals, &verdicts, &stored)
    }

    /// As [`Store::receive`], with one statement that is its own transaction; `None` where a message
    /// needs more than its row, or the day's key is not at hand yet.
    async fn receive_alone(
        &self,
        tenant: TenantId,
        arrivals: &[Arrival],
    ) -> Result<Option<Vec<Taken>>, Error> {
        let plain =
            |arrival: &Arrival| arrival.numbered.is_none() && arrival.application_ack.is_none();
        let most = if self.is_embedded() {
            MOST_ROWS
        } else {
            usize::MAX
        };
        if !(1..=most).contains(&arrivals.len()) || !arrivals.iter().all(plain) {
            return Ok(None);
        }
        let tenant_keys = self.tenant_keys(tenant).await?;
        let times = arrivals.iter().map(|arrival| arrival.received_at);
        let Some(keys) = tenant_keys.kept_inbox_keys(times) else {
            return Ok(None);
        };
        let verdicts: Vec<Verdict> = arrivals
            .iter()
            .map(|_| Verdict::Take { answer: None })
            .collect();
        let rows = rows(tenant, arrivals, &verdicts, &keys)?;
        let Some(found) = insert!(rows_alone, (self, tenant), &rows) else {
            return Ok(None);
        };
        taken(arrivals, &verdicts, &stored(&rows, found)?).map(Some)
    }
}

/// The rows of a batch: repeats are one row. Their keys are sorted, so that two committers never
/// wait for each other in a circle.
fn rows<'a>(
    tenant: TenantId,
    arrivals: &'a [Arrival],
    verdicts: &[Verdict],
    keys: &HashMap<KeyId, Key>,
) -> Result<Vec<Row<'a>>, Error> {
    // Ids follow the order of arrival, because work is claimed by id.
    let mut ids: Vec<Uuid> = arrivals.iter().map(|_| Uuid::now_v7()).collect();
    ids.sort_unstable();
    let taken = verdicts
        .iter()
        .map(|verdict| matches!(verdict, Verdict::Take { .. }));
    let mut order: Vec<(&Arrival, Uuid)> = arrivals
        .iter()
        .zip(ids)
        .zip(taken)
        .filter_map(|(arrival, taken)| taken.then_some(arrival))
        .collect();
    order.sort_by(|(a, _), (b, _)| a.natural().cmp(&b.natural()));
    let mut rows: Vec<Row<'a>> = Vec::with_capacity(order.len());
    for (arrival, id) in order {
        let mut reused = false;
        if let Some(last) = rows.last_mut() {
            let (source, control_id, digest) = last.arrival.natural();
            let same = source == arrival.source && control_id == arrival.control_id;
            if same && digest == arrival.digest {
                last.seen += 1;
                continue;
            }
            reused = same && !control_id.is_empty();
        }
        let day = day_of(arrival.received_at);
        let key = keys.get(&day).ok_or(vault::Error::NoKey(day.0))?;
        let body = seal(key, &body_place(tenant, &id), &arrival.body)?;
        rows.push(Row {
            arrival,
            id,
            body,
            seen: 1,
            reused,
        });
    }
    Ok(rows)
}

/// What the store says of each row.
fn stored<'a>(
    rows: &[Row<'a>],
    returned: Vec<Returned>,
) -> Result<HashMap<Natural<'a>, Stored>, Error> {
    let mut found = HashMap::with_capacity(returned.len());
    for (id, source, control_id, digest, times_seen, control_id_reused) in returned {
        let natural: Natural<'_> = (&source, &control_id, &digest);
        let place = rows.binary_search_by(|row| row.arrival.natural().cmp(&natural));
        let row = place.ok().and_then(|place| rows.get(place));
        let row = row.ok_or(Error::Form { table: "message" })?;
        found.insert(
            row.arrival.natural(),
            Stored {
                id,
                times_seen,
                in_batch: row.seen,
                control_id_reused,
            },
        );
    }
    Ok(found)
}

/// What became of each arrival, in order.
fn taken(
    arrivals: &[Arrival],
    verdicts: &[Verdict],
    stored: &HashMap<Natural<'_>, Stored>,
) -> Result<Vec<Taken>, Error> {
    let mut before: HashMap<Natural<'_>, i64> = HashMap::new();
    let mut taken = Vec::with_capacity(arrivals.len());
    for (arrival, verdict) in arrivals.iter().zip(verdicts) {
        let sequence = match *verdict {
            Verdict::Take { answer } => answer,
            Verdict::Refuse { expected } => {
                taken.push(Taken::OutOfSequence { expected });
                continue;
            }
        };
        let natural = arrival.natural();
        let row = stored.get(&natural).ok_or(Error::Conflict)?;
        let earlier = before.entry(natural).or_default();
        let times_seen = row.times_seen - row.in_batch + 1 + *earlier;
        *earlier += 1;
        taken.push(Taken::Stored(Receipt {
            id: row.id,
            times_seen,
            control_id_reused: times_seen == 1 && row.control_id_reused,
            sequence,
        }));
    }
    Ok(taken)
}

impl Tx {
    /// Owes the application acknowledgement of what is held at once, and once more that of a repeat.
    async fn owe_arrived(&mut self, row: &Row<'_>, stored: Option<&Stored>) -> Result<(), Error> {
        let (Some(_), Some(stored)) = (row.arrival.application_ack, stored) else {
            return Ok(());
        };
        if stored.times_seen > 1 {
            self.owe_again(stored.id).await?;
        }
        if row.arrival.held.is_some() && stored.times_seen == row.seen {
            self.owe(&[stored.id], row.arrival.received_at).await?;
        }
        Ok(())
    }
}

impl Row<'_> {
    fn state(&self) -> State {
        match self.arrival.held {
            Some(_) => State::Held,
            None => State::Waiting,
        }
    }

    fn finished_at(&self) -> Option<i64> {
        let received = self.arrival.received_at.as_microsecond();
        self.arrival.held.as_ref().map(|_| received)
    }
}
