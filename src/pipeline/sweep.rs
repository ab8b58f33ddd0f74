//! What falls due by the calendar alone: people whose time has come, never a scan of people.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Error;
use super::escalate::escalate;
use super::pilot::{check_cap, pilot_left};
use super::plan::{Cause, Desk};
use super::process::Pipeline;
use crate::clock;
use crate::config::Pace;
use crate::guard::guarded;
use crate::step::Step;
use crate::store;

/// People looked at in one step.
const BATCH: u32 = 64;

/// How soon a person is looked at again whom somebody else changed meanwhile.
const SOON: SignedDuration = SignedDuration::from_secs(5);
/// When a person is looked at again who cannot be looked at now.
const LATER: SignedDuration = SignedDuration::from_hours(1);

/// The calendar's worker of one tenant; it also purges bodies whose time is over.
pub struct Sweep {
    pipeline: Pipeline,
    pace: Pace,
    keep_bodies: Duration,
}

impl Sweep {
    /// A sweep of one tenant.
    pub const fn new(pipeline: Pipeline, pace: Pace, keep_bodies: Duration) -> Self {
        Self {
            pipeline,
            pace,
            keep_bodies,
        }
    }

    /// Works until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let pause = match guarded(self.run_once()).await {
                Ok(Step::Worked | Step::CaughtUp) => continue,
                Ok(Step::Idle) => self.pace.sweep,
                Err(error) => {
                    tracing::warn!(%error, "the calendar pauses");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks at the people whose time has come, and removes what is past its time.
    ///
    /// # Errors
    /// When the store is away; they stay due.
    pub async fn run_once(&self) -> Result<Step, Error> {
        let pipeline = &self.pipeline;
        let now = clock::now();
        let due = pipeline
            .store
            .due_people(pipeline.tenant(), now, BATCH)
            .await?;
        for person in &due {
            self.look_at_or_later(*person, now).await?;
        }
        let escalated = escalate(pipeline, now).await?;
        let removed = self.remove_old(now).await?;
        let compared = pipeline.compare_some(now).await?;
        Ok(
            if due.is_empty() && escalated + compared == 0 && removed == 0 {
                Step::Idle
            } else {
                Step::Worked
            },
        )
    }

    async fn remove_old(&self, now: Timestamp) -> Result<u64, Error> {
        let (store, tenant) = (&self.pipeline.store, self.pipeline.tenant());
        let keep = SignedDuration::try_from(self.keep_bodies).unwrap_or(SignedDuration::MAX);
        let before = now.checked_sub(keep).unwrap_or(Timestamp::MIN);
        let removed = store.purge_bodies(tenant, before).await?;
        if removed > 0 {
            tracing::info!(removed, "bodies of finished messages were removed");
        }
        store.drop_ended_holds(tenant, now).await?;
        Ok(removed)
    }

    /// One person's trouble is not the others': who cannot be looked at is due again later.
    async fn look_at_or_later(&self, person: Uuid, now: Timestamp) -> Result<(), Error> {
        let again = match self.look_at(person).await {
            Ok(()) => return Ok(()),
            Err(Error::Store(error @ store::Error::Temporary(_))) => return Err(error.into()),
            // Nobody else's change explains that something is taken for long; no need to hurry.
            Err(Error::Store(store::Error::Taken)) => now + LATER,
            // Somebody else changed the person, and has planned what follows.
            Err(Error::Store(store::Error::Conflict)) => now + SOON,
            Err(error) => {
                tracing::error!(%person, %error, "a person cannot be looked at; again in an hour");
                now + LATER
            }
        };
        let store = &self.pipeline.store;
        Ok(store
            .set_next_check(self.pipeline.tenant(), person, Some(again))
            .await?)
    }

    async fn look_at(&self, person: Uuid) -> Result<(), Error> {
        let pipeline = &self.pipeline;
        let now = clock::now();
        let mut tx = pipeline.store.read(pipeline.tenant()).await?;
        let survivor = tx.survivor(person).await?;
        let record = tx.load(person, now).await?;
        let keys = tx.shared_keys();
        drop(tx);
        let Some(record) = record else {
            return Err(store::Error::Form {
                table: "person_key",
            }
            .into());
        };
        let cause = Cause {
            message: None,
            label: "",
            event_time: now,
            now,
            pilot_left: pilot_left(&pipeline.store, &pipeline.site, now).await?,
        };
        let desk = Desk {
            site: &pipeline.site,
            keys: &keys,
            cause,
        };
        let mut effects = desk.look_again(record);
        if survivor != person {
            // A merged record is looked at as its survivor from now on.
            effects.next_checks.push((person, None));
        }
        let mut tx = pipeline.store.write(pipeline.tenant()).await?;
        tx.lock_in_order(effects.people().collect()).await?;
        tx.apply(&[&effects], now).await?;
        if effects.piloted() > 0 {
            check_cap(&mut tx, &pipeline.site, now).await?;
        }
        tx.commit().await?;
        if effects.has_envelopes() {
            pipeline.queued.notify_one();
        }
        Ok(())
    }
}
