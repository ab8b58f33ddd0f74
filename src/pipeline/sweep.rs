//! What falls due by the calendar alone: people whose time has come, never a scan of people.

use std::time::Duration;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Error;
use super::plan::{Cause, Desk};
use super::process::{Pipeline, Step, pilot_left};
use crate::clock;
use crate::config::Pace;
use crate::store;

/// People looked at in one step.
const BATCH: u32 = 64;

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
            let pause = match self.run_once().await {
                Ok(Step::Worked) => continue,
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

    /// Looks at the people whose time has come.
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
            self.look_at(*person).await?;
        }
        if due.is_empty() {
            let keep = SignedDuration::try_from(self.keep_bodies).unwrap_or(SignedDuration::MAX);
            let before = now.checked_sub(keep).unwrap_or(jiff::Timestamp::MIN);
            let purged = pipeline
                .store
                .purge_bodies(pipeline.tenant(), before)
                .await?;
            if purged > 0 {
                tracing::info!(purged, "bodies of finished messages were removed");
            }
            return Ok(Step::Idle);
        }
        Ok(Step::Worked)
    }

    /// Re-evaluates one person; somebody else's change in between makes it due again by itself.
    async fn look_at(&self, person: Uuid) -> Result<(), Error> {
        let pipeline = &self.pipeline;
        let now = clock::now();
        let mut tx = pipeline.store.read(pipeline.tenant()).await?;
        let survivor = tx.survivor(person).await?;
        let record = tx.load(person, now).await?;
        let keys = tx.shared_keys();
        drop(tx);
        let Some(record) = record else { return Ok(()) };
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
        match tx.apply(&[&effects], now).await {
            Ok(()) => Ok(tx.commit().await?),
            Err(store::Error::Conflict) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }
}
