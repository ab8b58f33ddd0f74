//! The middle of the hub on one page: stored messages become everything they imply, or stay.
//!
//! Reading, mapping and deciding happen outside the write transaction, so that intake can write
//! meanwhile: on a board, where each message is planned on what those before it imply. A batch is
//! then written in transactions that hold whole messages only, side by side where the store can and
//! the people are others; each re-checks the versions of all people that were read. When one fails,
//! its messages are done again by themselves, so that one message's trouble is not its neighbours'.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;

use super::Error;
use super::batch::{Planned, Read, plan, read};
use super::board::Board;
use super::gate::Gates;
use super::lanes::split;
use super::pilot::check_cap;
use super::subject;
use crate::clock;
use crate::failure::Code;
use crate::message::Outcome;
use crate::site::{Feed, Site};
use crate::store::{self, Claim, Claimed, Effects, Store, TenantId, TenantKeys};
use crate::trace::{self, Span, Tracer};

/// How often a batch is planned anew because somebody else changed one of its people; then each
/// message goes by itself.
const TOGETHER: u32 = 3;
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
    /// Told of the way of each message.
    pub tracer: Tracer,
}

impl Pipeline {
    /// Reads claimed messages of one feed. What they say does not depend on what is known.
    pub(super) fn read(&self, feed: &Feed, keys: &TenantKeys, claimed: Vec<Claimed>) -> Vec<Read> {
        let messages = claimed.into_iter();
        messages.map(|claimed| read(feed, keys, claimed)).collect()
    }

    /// Processes messages of one feed, in order.
    ///
    /// # Errors
    /// When the store is away: what was not committed stays *waiting*.
    pub(super) async fn process(&self, feed: &Feed, messages: Vec<Read>) -> Result<(), Error> {
        let mut rest: Vec<&Read> = messages.iter().collect();
        let mut tries = 0;
        while let Some(first) = rest.first() {
            let batch = if tries < TOGETHER {
                self.plan_all(feed, &rest).await
            } else {
                Ok(Vec::new())
            };
            let batch = match batch {
                // What cannot be planned is found by going singly from here on.
                Err(Error::Store(error)) if !error.is_temporary() => {
                    tries = TOGETHER;
                    continue;
                }
                other => other?,
            };
            if batch.is_empty() {
                self.alone(feed, first).await?;
                rest.remove(0);
                continue;
            }
            let later = rest.split_off(batch.len());
            rest = self.side_by_side(feed, rest, &batch).await?;
            tries = if rest.is_empty() { 0 } else { tries + 1 };
            rest.extend(later);
        }
        Ok(())
    }

    /// Writes a batch in lanes; gives the messages of the lanes that met somebody else's change, for
    /// a plan on that.
    async fn side_by_side<'a>(
        &self,
        feed: &Feed,
        messages: Vec<&'a Read>,
        batch: &[Planned],
    ) -> Result<Vec<&'a Read>, Error> {
        let lanes = if self.store.writes_side_by_side() {
            split(batch)
        } else {
            vec![(0..batch.len()).collect()]
        };
        let commits = lanes.iter().map(|lane| {
            let lane: Vec<&Planned> = lane.iter().filter_map(|place| batch.get(*place)).collect();
            async move { self.commit(feed, &lane, None).await }
        });
        let (mut again, mut singly, mut failed) = (Vec::new(), Vec::new(), None);
        for (lane, ended) in lanes.iter().zip(join_all(commits).await) {
            match ended {
                Ok(()) => {}
                Err(error @ store::Error::Temporary(_)) => failed = Some(error),
                Err(store::Error::Conflict | store::Error::Taken) => again.extend(lane),
                Err(_one_of_them) => singly.extend(lane),
            }
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        let reads = |mut places: Vec<&usize>| -> Vec<&'a Read> {
            places.sort_unstable();
            let reads = places.into_iter().filter_map(|place| messages.get(*place));
            reads.copied().collect()
        };
        for read in reads(singly) {
            self.alone(feed, read).await?;
        }
        Ok(reads(again))
    }

    /// Plans the first messages, each on what those before it imply, until one must go by itself
    /// or needs what only the store can tell after those before it.
    async fn plan_all(&self, feed: &Feed, messages: &[&Read]) -> Result<Vec<Planned>, Error> {
        let mut board = Board::read(&self.store, &self.site, feed, messages).await?;
        let mut batch = Vec::with_capacity(messages.len());
        for read in messages {
            let mut planned = plan(&board, (&self.site, feed), read)?;
            if planned.is_apart || board.is_worn(&planned) {
                break;
            }
            board.keep(&mut planned);
            batch.push(planned);
        }
        Ok(batch)
    }

    async fn commit(
        &self,
        feed: &Feed,
        messages: &[&Planned],
        gates: Option<&Gates>,
    ) -> Result<(), store::Error> {
        let now = clock::now();
        let effects: Vec<&Effects> = messages.iter().flat_map(|one| &one.effects).collect();
        let piloted: u32 = effects.iter().map(|effects| effects.piloted()).sum();
        let known = effects.iter().flat_map(|effects| effects.known_people());
        let ended: Vec<(Claim, &Outcome)> = messages
            .iter()
            .map(|planned| (planned.claim, &planned.outcome))
            .collect();
        let mut tx = self.store.write(self.site.tenant).await?;
        tx.lock_in_order(known.collect()).await?;
        tx.apply(&effects, now).await?;
        tx.finish_messages(&ended, feed.bundle.digest(), now)
            .await?;
        if feed.source.application_ack.is_some() {
            let ids: Vec<_> = ended.iter().map(|(claim, _)| claim.id).collect();
            tx.owe(&ids, now).await?;
        }
        if piloted > 0 {
            check_cap(&mut tx, &self.site, now).await?;
        }
        if let Some(gates) = gates {
            gates.open(&mut tx).await?;
        }
        tx.commit().await?;
        for planned in messages.iter().copied() {
            (self.ended)(planned.outcome.state().name());
            self.trace(feed, planned);
        }
        if effects.iter().any(|effects| effects.has_envelopes()) {
            self.queued.notify_one();
        }
        Ok(())
    }

    /// The span of a message that has ended: its claim's token was made when it was claimed.
    fn trace(&self, feed: &Feed, planned: &Planned) {
        let message = planned.claim.id;
        self.tracer.record(message, || {
            let to = clock::now();
            Span {
                trace: message,
                step: trace::Step::Process,
                subject: message,
                from: trace::made_at(planned.claim.token).unwrap_or(to),
                to,
                outcome: planned.outcome.state().name(),
                names: vec![
                    ("careloop.tenant", self.site.config.name.clone()),
                    ("careloop.source", feed.source.name.clone()),
                ],
            }
        });
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
            let planned = self.plan_or_hold(feed, read).await?;
            if gates.is_none() && !planned.gated.is_empty() {
                *gates = Some(Gates::close(&self.store, self.site.tenant, &planned.gated).await?);
                continue;
            }
            match self.commit(feed, &[&planned], gates.as_ref()).await {
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
    async fn plan_or_hold(&self, feed: &Feed, message: &Read) -> Result<Planned, Error> {
        let messages = &[message];
        let planned = match Board::read(&self.store, &self.site, feed, messages).await {
            Ok(board) => plan(&board, (&self.site, feed), message).map_err(Error::from),
            Err(error) => Err(error),
        };
        match planned {
            Err(Error::Store(error)) if !error.is_temporary() => {
                Ok(Planned::ended(message, not_storable(message, &error)))
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
        let planned = Planned::ended(read, not_storable(read, error));
        match self.commit(feed, &[&planned], gates).await {
            Ok(()) | Err(store::Error::ClaimLost) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }

    /// The tenant that is processed.
    pub fn tenant(&self) -> TenantId {
        self.site.tenant
    }
}

fn not_storable(read: &Read, error: &store::Error) -> Outcome {
    let trace_id = read.claimed.claim.id.simple();
    tracing::error!(%trace_id, %error, "a message cannot be stored and is held");
    subject::held(Code::NotStorable, "the store")
}
