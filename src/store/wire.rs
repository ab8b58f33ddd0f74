//! What the wire remembers: sequence numbers of sources, and application acknowledgements owed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{row, rows, run, sql};
use super::{Arrival, Error, Receipt, Store, TenantId, Tx};
use crate::failure::Code;
use crate::phi::Phi;

/// What MSH-13 of a message says, from a source that is to number its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbered {
    /// Nothing, or no number.
    Not,
    /// A number; 0 asks where to go on, and -1 begins anew (HL7 v2.5.1 2.10.1).
    As(i64),
}

/// What became of an arrival.
pub enum Taken {
    /// It is durable.
    Stored(Receipt),
    /// It is not the message that was expected, and is not stored.
    OutOfSequence {
        /// The number that was; `None` where any may begin.
        expected: Option<i64>,
    },
}

/// What the sequence says of an arrival.
pub(super) enum Verdict {
    /// It is stored; MSA-4 of its answer.
    Take { answer: Option<i64> },
    /// It is not stored.
    Refuse { expected: Option<i64> },
}

/// How an application acknowledgement ended, or did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The sender has it.
    Sent,
    /// The sender refuses it for good.
    Rejected,
    /// It cannot be written any more, because the message cannot be read.
    Dropped,
    /// Not this time.
    Again,
}

/// An application acknowledgement that is owed.
pub struct OwedAck {
    /// Its id, from which its MSH-10 is made: the same at every attempt.
    pub id: Uuid,
    /// The message that it answers.
    pub message: Uuid,
    /// Whether the message was taken; else it is held.
    pub accepted: bool,
    /// Why it is held.
    pub code: Option<Code>,
    /// Where.
    pub place: Option<String>,
    /// How often it was sent in vain.
    pub attempts: i64,
    /// The message's bytes, or why they cannot be read.
    pub body: Result<Phi<Vec<u8>>, Code>,
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: Uuid,
    message: Uuid,
    ack: String,
    code: Option<String>,
    place: Option<String>,
    attempts: i64,
    body: Option<Vec<u8>>,
}

impl Store {
    /// Application acknowledgements that a source is owed, the oldest first.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn owed_acks(
        &self,
        tenant: TenantId,
        source: &str,
        limit: u32,
    ) -> Result<Vec<OwedAck>, Error> {
        let mut tx = self.read(tenant).await?;
        let found = rows!(
            tx,
            Stored,
            "SELECT owed.id, owed.message, owed.ack, owed.code, owed.place, owed.attempts, message.body FROM application_ack AS owed \
             JOIN message ON message.tenant = owed.tenant AND message.id = owed.message \
             WHERE owed.tenant = $1 AND owed.source = $2 AND owed.state = 'waiting' ORDER BY owed.id LIMIT $3",
            source,
            i64::from(limit)
        )?;
        let mut owed = Vec::with_capacity(found.len());
        for stored in found {
            owed.push(OwedAck {
                id: stored.id,
                message: stored.message,
                accepted: stored.ack == "AA",
                code: stored.code.as_deref().and_then(Code::from_name),
                place: stored.place,
                attempts: stored.attempts,
                body: tx.open_body(stored.message, stored.body).await?,
            });
        }
        Ok(owed)
    }

    /// Writes how an application acknowledgement ended.
    ///
    /// # Errors
    /// When the store is away; it is sent once more then, under the same control id.
    pub async fn settle_ack(
        &self,
        tenant: TenantId,
        id: Uuid,
        settlement: Settlement,
        now: Timestamp,
    ) -> Result<(), Error> {
        let state = match settlement {
            Settlement::Sent => "sent",
            Settlement::Rejected => "rejected",
            Settlement::Dropped => "dropped",
            Settlement::Again => "waiting",
        };
        let settled = (settlement != Settlement::Again).then(|| now.as_microsecond());
        let mut tx = self.write(tenant).await?;
        run!(
            tx,
            "UPDATE application_ack SET state = $3, attempts = attempts + 1, settled_at = $4 WHERE tenant = $1 AND id = $2 AND state = 'waiting'",
            id,
            state,
            settled
        )?;
        tx.commit().await
    }
}

impl Tx {
    /// Owes the application acknowledgements that messages which have just ended ask for: AA for
    /// what is processed or ignored, AE for what is held.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn owe(&mut self, messages: &[Uuid], now: Timestamp) -> Result<(), Error> {
        for message in messages {
            run!(
                self,
                "INSERT INTO application_ack (tenant, id, source, message, ack, code, place, state, created_at) \
                 SELECT tenant, $2, source, id, CASE WHEN state = 'held' THEN 'AE' ELSE 'AA' END, code, place, 'waiting', $4 FROM message \
                 WHERE tenant = $1 AND id = $3 AND ((state = 'held' AND application_ack IN ('AL', 'ER')) \
                 OR (state IN ('processed', 'ignored') AND application_ack IN ('AL', 'SU'))) \
                 ON CONFLICT (tenant, message) DO UPDATE SET ack = excluded.ack, code = excluded.code, place = excluded.place \
                 WHERE application_ack.state = 'waiting'",
                Uuid::now_v7(),
                *message,
                now.as_microsecond()
            )?;
        }
        Ok(())
    }

    /// A sender that repeats a message may never have got what it was sent.
    pub(super) async fn owe_again(&mut self, message: Uuid) -> Result<(), Error> {
        run!(
            self,
            "UPDATE application_ack SET state = 'waiting', settled_at = NULL WHERE tenant = $1 AND message = $2 AND state = 'sent'",
            message
        )?;
        Ok(())
    }

    /// Holds arrivals against the sequence numbers of their sources, in order, and moves these.
    pub(super) async fn in_sequence(
        &mut self,
        arrivals: &[Arrival],
    ) -> Result<Vec<Verdict>, Error> {
        let mut expected: BTreeMap<&str, Option<i64>> = arrivals
            .iter()
            .filter(|arrival| arrival.numbered.is_some())
            .map(|arrival| (arrival.source.as_str(), None))
            .collect();
        // In sorted order, as everything that two committers may both lock.
        for (source, next) in &mut expected {
            *next = self.expected(source, arrivals).await?;
        }
        let mut verdicts = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            let (Some(numbered), Some(next)) =
                (arrival.numbered, expected.get_mut(arrival.source.as_str()))
            else {
                verdicts.push(Verdict::Take { answer: None });
                continue;
            };
            let verdict = match judge(numbered, next) {
                Verdict::Refuse { expected } => match self.repeated(arrival, numbered).await? {
                    Some(number) => Verdict::Take {
                        answer: Some(number),
                    },
                    None => Verdict::Refuse { expected },
                },
                taken @ Verdict::Take { .. } => taken,
            };
            verdicts.push(verdict);
        }
        for (source, next) in expected {
            run!(
                self,
                "UPDATE sequence_number SET expected = $3 WHERE tenant = $1 AND source = $2",
                source,
                next
            )?;
        }
        Ok(verdicts)
    }

    /// The number that a source is to send next, locked until the transaction ends.
    async fn expected(&mut self, source: &str, arrivals: &[Arrival]) -> Result<Option<i64>, Error> {
        let now = arrivals.first().map(|arrival| arrival.received_at);
        run!(
            self,
            "INSERT INTO sequence_number (tenant, source, expected, changed_at) VALUES ($1, $2, NULL, $3) \
             ON CONFLICT (tenant, source) DO UPDATE SET changed_at = excluded.changed_at",
            source,
            now.map_or(0, Timestamp::as_microsecond)
        )?;
        let statement = sql!(self,
            postgres: "SELECT expected FROM sequence_number WHERE tenant = $1 AND source = $2 FOR UPDATE",
            sqlite: "SELECT expected FROM sequence_number WHERE tenant = $1 AND source = $2");
        let found = row!(self, (Option<i64>,), statement, source)?;
        Ok(found.and_then(|(expected,)| expected))
    }

    /// The number of a message that is stored already: its answer was lost, and is given again.
    async fn repeated(
        &mut self,
        arrival: &Arrival,
        numbered: Numbered,
    ) -> Result<Option<i64>, Error> {
        let Numbered::As(number @ 1..) = numbered else {
            return Ok(None);
        };
        let found = row!(
            self,
            (Uuid,),
            "SELECT id FROM message WHERE tenant = $1 AND source = $2 AND control_id = $3 AND digest = $4",
            arrival.source.as_str(),
            arrival.control_id.as_str(),
            arrival.digest.as_slice()
        )?;
        Ok(found.map(|_| number))
    }
}

/// What the protocol says of a number (HL7 v2.5.1 2.10.1), and where it leaves the sequence.
fn judge(numbered: Numbered, next: &mut Option<i64>) -> Verdict {
    let expected = *next;
    let take = |answer| Verdict::Take {
        answer: Some(answer),
    };
    match numbered {
        Numbered::As(0) => take(expected.unwrap_or(-1)),
        Numbered::As(-1) => {
            *next = None;
            take(-1)
        }
        Numbered::As(number) if number > 0 && expected.is_none_or(|next| next == number) => {
            *next = number.checked_add(1);
            take(number)
        }
        Numbered::As(_) | Numbered::Not => Verdict::Refuse { expected },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(numbers: &[Numbered]) -> (Vec<Option<i64>>, Option<i64>) {
        let mut next = None;
        let said = numbers
            .iter()
            .map(|number| match judge(*number, &mut next) {
                Verdict::Take { answer } => answer,
                Verdict::Refuse { .. } => None,
            });
        (said.collect(), next)
    }

    #[test]
    fn numbers_follow_each_other_from_any_beginning() {
        use Numbered::{As, Not};
        let (said, next) = after(&[As(0), As(7), As(8), As(8), As(10), Not, As(9), As(0)]);
        let expected = [
            Some(-1),
            Some(7),
            Some(8),
            None,
            None,
            None,
            Some(9),
            Some(10),
        ];
        assert_eq!((said.as_slice(), next), (&expected[..], Some(10)));
    }

    #[test]
    fn minus_one_begins_anew_and_other_negative_numbers_are_none() {
        use Numbered::As;
        let (said, next) = after(&[As(5), As(-1), As(1), As(-2)]);
        assert_eq!(said, [Some(5), Some(-1), Some(1), None]);
        assert_eq!(next, Some(2));
    }
}
