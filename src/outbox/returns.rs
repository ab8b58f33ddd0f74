//! Tasks that the broker gave back: expired, refused, or too much for every consumer. Their bodies
//! are kept nowhere; the envelope's id says which task it was.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Error;
use super::envelope::from_ulid;
use super::rabbit::{Death, TaskEvents};
use crate::care::{RestReason, TaskEvent};
use crate::clock;
use crate::site::Site;
use crate::store::{AuditEntry, Returned, Store, Tx};

/// Takes a tenant's returned tasks into the store.
pub struct Returns {
    store: Store,
    site: Arc<Site>,
}

impl Returns {
    /// The returned tasks of one tenant.
    pub const fn new(store: Store, site: Arc<Site>) -> Self {
        Self { store, site }
    }

    /// Consumes the tenant's queue until told to stop; a task is acknowledged after its effect is
    /// committed.
    pub async fn run(self, mut queue: TaskEvents, stop: CancellationToken) {
        loop {
            let received = tokio::select! {
                () = stop.cancelled() => break,
                received = queue.recv() => received,
            };
            let envelope = received.message_id.as_deref().and_then(from_ulid);
            let taken = match envelope {
                Some(envelope) => self.take_in_time(envelope, received.died_of, &stop).await,
                None => {
                    tracing::error!("a message without an id of the hub came back; it is dropped");
                    true
                }
            };
            let answered = if taken {
                received.ack().await
            } else {
                received.give_back().await
            };
            if let Err(error) = answered {
                tracing::debug!(%error, "the returned task comes again and is dropped as a repeat");
            }
        }
        queue.close().await;
    }

    /// Whether it was taken; not when the hub stops before the store is back.
    async fn take_in_time(&self, envelope: Uuid, reason: Death, stop: &CancellationToken) -> bool {
        loop {
            match self.take(envelope, reason).await {
                Ok(()) => return true,
                Err(error) => tracing::warn!(%error, "a returned task waits"),
            }
            tokio::select! {
                () = stop.cancelled() => return false,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    /// Notes that an envelope came back. The task that it was the newest version of ends as
    /// dead-lettered, and its finding is raised again; what merely expired the calendar ends.
    ///
    /// # Errors
    /// When the store is away; nothing happened then.
    pub async fn take(&self, envelope: Uuid, reason: Death) -> Result<(), Error> {
        let now = clock::now();
        let mut tx = self.store.write(self.site.tenant).await?;
        let Some(returned) = tx.take_returned(envelope, reason.name(), now).await? else {
            drop(tx);
            tracing::warn!(%envelope, "an envelope came back that is not here");
            return Ok(());
        };
        if returned.is_repeated {
            return Ok(());
        }
        if returned.is_newest && reason != Death::Expired {
            self.end(&mut tx, &returned, now).await?;
        }
        tx.audit(&AuditEntry {
            at: now,
            actor: "broker".to_owned(),
            action: "task.return",
            outcome: "done",
            purpose: None,
            entity: ("envelope", Some(envelope)),
            message: None,
            detail: Some(reason.name().to_owned()),
        })
        .await?;
        tx.commit().await?;
        if reason != Death::Expired {
            tracing::error!(
                task = %returned.task,
                reason = reason.name(),
                "no consumer could take this task; look at the CRM's log, it is raised again"
            );
        }
        Ok(())
    }

    async fn end(
        &self,
        tx: &mut Tx,
        returned: &Returned,
        now: jiff::Timestamp,
    ) -> Result<(), Error> {
        let person = tx.survivor(returned.person).await?;
        tx.lock_person(person).await?;
        let Some(state) = returned.state.after(TaskEvent::DeadLettered) else {
            return Ok(());
        };
        tx.set_task_state(returned.task, state, now).await?;
        tx.stop_clock(returned.task, None).await?;
        let findings = tx.findings_of_task((person, returned.task), now).await?;
        // Such a rest is over at once: the finding is raised again when the calendar looks.
        for finding in &findings {
            tx.rest(finding, RestReason::DeadLettered, (now, now))
                .await?;
        }
        Ok(tx.look_at(person, now).await?)
    }
}
