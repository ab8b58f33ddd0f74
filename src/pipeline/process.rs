//! The middle of the hub on one page: stored messages become everything they imply, or stay.
//!
//! Reading, mapping and deciding happen outside the write transaction, so that intake can write
//! meanwhile. What the messages of a batch imply is then written in one transaction that holds
//! whole messages only; it re-checks the versions of all people that were read. When it fails, each
//! message is done again by itself, so that one message's trouble is not its neighbours'.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use uuid::Uuid;

use super::Error;
use super::batch::{Batch, Planned, Read, event_time, read, shallow};
use super::gate::Gates;
use super::pilot::{check_cap, pilot_left};
use super::plan::{Cause, Desk};
use super::subject::{self, Asked};
use crate::clock;
use crate::failure::Code;
use crate::message::Outcome;
use crate::site::{Feed, Site};
use crate::store::{self, Claimed, Effects, Member, Store, TenantId, Tx};

/// Whether there was something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was done; there may be more.
    Worked,
    /// There is nothing to do now.
    Idle,
}

/// How often a plan is made anew because somebody else changed the person.
const REPLANS: u32 = 8;
/// How much longer each time before the next plan.
const PATIENCE: Duration = Duration::from_millis(15);

/// The stations between inbox and outbox, for one tenant.
#[derive(Clone)]
pub struct Pipeline {
    /// The database.
    pub store: Store,
    /// The tenant.
    pub site: Arc<Site>,
    /// Told of each committed envelope, so that publishing need not wait for its next look.
    pub queued: Arc<Notify>,
    /// Told of each message's state when it is committed.
    pub ended: Arc<dyn Fn(&'static str) + Send + Sync>,
}

impl Pipeline {
    /// Processes claimed messages of one feed, in order.
    ///
    /// # Errors
    /// When the store is away: what was not committed stays *waiting*.
    pub async fn process(&self, feed: &Feed, claimed: Vec<Claimed>) -> Result<(), Error> {
        let keys = self.store.read(self.site.tenant).await?.shared_keys();
        let mut batch = Batch::default();
        for claimed in claimed {
            let read = read(feed, &keys, claimed);
            if batch.overlaps(&read) {
                self.flush(feed, &mut batch).await?;
            }
            let mut planned = self.plan_or_hold(&mut batch.view, feed, &read).await?;
            if batch.changes(&planned) {
                // Another identifier led to somebody whom the batch changes: read again after it.
                self.flush(feed, &mut batch).await?;
                planned = self.plan_or_hold(&mut batch.view, feed, &read).await?;
            }
            if planned.gated.is_empty() {
                batch.add(read, planned);
            } else {
                self.flush(feed, &mut batch).await?;
                self.alone(feed, &read).await?;
            }
        }
        self.flush(feed, &mut batch).await
    }

    /// Commits a batch; when that fails for a reason of one message, each goes by itself.
    async fn flush(&self, feed: &Feed, batch: &mut Batch) -> Result<(), Error> {
        let messages = std::mem::take(batch).messages;
        if messages.is_empty() {
            return Ok(());
        }
        match self.commit(feed, &messages, None).await {
            Ok(()) => Ok(()),
            Err(store::Error::Temporary(error)) => Err(store::Error::Temporary(error).into()),
            Err(_one_of_them) => {
                for (read, _) in &messages {
                    self.alone(feed, read).await?;
                }
                Ok(())
            }
        }
    }

    async fn commit(
        &self,
        feed: &Feed,
        messages: &[(Read, Planned)],
        gates: Option<&Gates>,
    ) -> Result<(), store::Error> {
        let now = clock::now();
        let mut tx = self.store.write(self.site.tenant).await?;
        let now_released = messages.iter().flat_map(|(_, planned)| &planned.effects);
        let piloted: u32 = now_released.map(Effects::piloted).sum();
        let effects = messages.iter().flat_map(|(_, planned)| &planned.effects);
        tx.lock_in_order(effects.flat_map(Effects::known_people).collect())
            .await?;
        let effects = messages.iter().flat_map(|(_, planned)| &planned.effects);
        tx.apply(&effects.collect::<Vec<_>>(), now).await?;
        for (read, planned) in messages {
            let claim = (read.claimed.id, read.claimed.token);
            tx.finish_message(claim, &planned.outcome, feed.bundle.digest(), now)
                .await?;
        }
        if piloted > 0 {
            check_cap(&mut tx, &self.site, now).await?;
        }
        if let Some(gates) = gates {
            gates.open(&mut tx).await?;
        }
        tx.commit().await?;
        for (_, planned) in messages {
            (self.ended)(planned.outcome.state().name());
        }
        if messages
            .iter()
            .flat_map(|(_, planned)| &planned.effects)
            .any(Effects::has_envelopes)
        {
            self.queued.notify_one();
        }
        Ok(())
    }

    /// One message by itself, through the gate where it needs that, planned anew until it meets
    /// nobody else's change.
    async fn alone(&self, feed: &Feed, read: &Read) -> Result<(), Error> {
        let mut gates = None;
        let ended = self.alone_gated(feed, read, &mut gates).await;
        if let (Err(_), Some(gates)) = (&ended, &gates)
            && let Err(error) = gates.abandon(&self.store, self.site.tenant).await
        {
            tracing::debug!(%error, "a hold of a change that failed ends by itself");
        }
        ended
    }

    async fn alone_gated(
        &self,
        feed: &Feed,
        read: &Read,
        gates: &mut Option<Gates>,
    ) -> Result<(), Error> {
        let mut last = store::Error::Conflict;
        for round in 0..REPLANS {
            // Whoever changes the person gets time to finish.
            tokio::time::sleep(PATIENCE * round).await;
            let planned = self.plan_or_hold(&mut None, feed, read).await?;
            if gates.is_none() && !planned.gated.is_empty() {
                *gates = Some(Gates::close(&self.store, self.site.tenant, &planned.gated).await?);
                continue;
            }
            let one = Read {
                claimed: shallow(&read.claimed),
                content: Err(planned.outcome.clone()),
            };
            match self.commit(feed, &[(one, planned)], gates.as_ref()).await {
                Ok(()) | Err(store::Error::ClaimLost) => return Ok(()),
                Err(error @ (store::Error::Conflict | store::Error::Taken)) => last = error,
                Err(error @ store::Error::Temporary(_)) => return Err(error.into()),
                Err(error) => return self.hold(feed, read, &error, gates.as_ref()).await,
            }
        }
        match last {
            // Nobody else's change explains it any more.
            store::Error::Taken => self.hold(feed, read, &last, gates.as_ref()).await,
            other => Err(other.into()),
        }
    }

    /// A plan, or the holding of a message for which none can be made: what it builds on cannot be
    /// read, and repeating that changes nothing.
    async fn plan_or_hold(
        &self,
        view: &mut Option<Tx>,
        feed: &Feed,
        read: &Read,
    ) -> Result<Planned, Error> {
        match self.plan_read(view, feed, read).await {
            Err(Error::Store(error)) if !error.is_temporary() => {
                *view = None;
                Ok(Planned::ended(not_storable(&error)))
            }
            other => other,
        }
    }

    /// Holds a message whose effects the store refuses for good.
    async fn hold(
        &self,
        feed: &Feed,
        read: &Read,
        error: &store::Error,
        gates: Option<&Gates>,
    ) -> Result<(), Error> {
        let held = Read {
            claimed: shallow(&read.claimed),
            content: Err(not_storable(error)),
        };
        let planned = Planned::ended(not_storable(error));
        match self.commit(feed, &[(held, planned)], gates).await {
            Ok(()) | Err(store::Error::ClaimLost) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    async fn plan_read(
        &self,
        view: &mut Option<Tx>,
        feed: &Feed,
        read: &Read,
    ) -> Result<Planned, Error> {
        let tx = match view {
            Some(tx) => tx,
            None => view.insert(self.store.read(self.site.tenant).await?),
        };
        let now = clock::now();
        let label = feed.label(&read.claimed.processing_id);
        let keys = tx.shared_keys();
        let desk = Desk {
            site: &self.site,
            keys: &keys,
            cause: Cause {
                message: Some(read.claimed.id),
                label: &label,
                event_time: event_time(&read.claimed),
                now,
                pilot_left: self.pilot_left(now).await?,
            },
        };
        let mut planned = self.plan(tx, feed, read, desk).await?;
        if read.claimed.is_again {
            self.forget(tx, read.claimed.id, desk, &mut planned).await?;
        }
        Ok(planned)
    }

    /// A message that is done again may mean somebody else now, or nobody: what it told of others
    /// before is taken back.
    async fn forget(
        &self,
        tx: &mut Tx,
        message: Uuid,
        desk: Desk<'_>,
        planned: &mut Planned,
    ) -> Result<(), Error> {
        let spoken: HashSet<Uuid> = planned.effects.iter().flat_map(Effects::people).collect();
        for person in tx.people_told_by(message).await? {
            if spoken.contains(&person) {
                continue;
            }
            if let Some(record) = tx.load(person, desk.cause.now).await? {
                planned.effects.push(desk.take_back(record, message));
            }
        }
        Ok(())
    }

    async fn plan(
        &self,
        tx: &mut Tx,
        feed: &Feed,
        read: &Read,
        desk: Desk<'_>,
    ) -> Result<Planned, Error> {
        let subjects = match &read.content {
            Ok(subjects) => subjects,
            Err(outcome) => return Ok(Planned::ended(outcome.clone())),
        };
        let asked = Asked {
            message: desk.cause.message,
            event_time: desk.cause.event_time,
            now: desk.cause.now,
        };
        let mut planned = Planned::ended(Outcome::Processed);
        let mut seen: HashSet<Uuid> = HashSet::new();
        for subject in subjects {
            let resolved =
                match subject::find(tx, subject, (&self.site, &feed.trust), asked).await? {
                    Ok(resolved) => resolved,
                    Err(outcome) => return Ok(Planned::ended(outcome)),
                };
            let mut members: Vec<&Member> = resolved.record.members.iter().collect();
            members.extend(
                resolved
                    .moved
                    .iter()
                    .flat_map(|moved| &moved.record.members),
            );
            if members.iter().any(|member| !seen.insert(member.person)) {
                return Ok(Planned::ended(subject::held(
                    Code::IdentityAmbiguous,
                    "PID: groups with different identifiers reach one person",
                )));
            }
            let stored = members.iter().filter(|member| member.version > 0);
            let stored: Vec<Uuid> = stored.map(|member| member.person).collect();
            let (effects, gated) = desk.plan(subject, resolved);
            for mut effects in effects {
                effects.bundle = feed.bundle.digest().to_owned();
                planned.effects.push(effects);
            }
            if gated {
                planned.gated.extend(stored);
            }
        }
        Ok(planned)
    }

    /// How many tasks pilot mode may still release today.
    async fn pilot_left(&self, now: Timestamp) -> Result<u32, Error> {
        pilot_left(&self.store, &self.site, now).await
    }

    /// The tenant that is processed.
    pub fn tenant(&self) -> TenantId {
        self.site.tenant
    }
}

fn not_storable(error: &store::Error) -> Outcome {
    tracing::error!(%error, "a message cannot be stored and is held");
    subject::held(Code::NotStorable, "the store")
}
