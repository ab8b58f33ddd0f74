//! The answers of the CRM, each with the effect that the table of `care::Answer` gives it, once.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Error;
use super::events::{self, OptOutScope, TaskEvent};
use super::rabbit::TaskEvents;
use crate::care::Answer;
use crate::clock;
use crate::consent::Channel;
use crate::store::{AuditEntry, NewOptOut, Store, TaskEventEffect, TenantId, Tx};

/// Takes task events into the store.
#[derive(Clone)]
pub struct Answers {
    store: Store,
    tenant: TenantId,
}

/// How far an event came.
enum Applied {
    Stored,
    Stopping,
    Never,
}

impl Answers {
    /// The answers to one tenant's tasks.
    pub const fn new(store: Store, tenant: TenantId) -> Self {
        Self { store, tenant }
    }

    /// Consumes the tenant's queue until told to stop. An event is acknowledged after its effect is
    /// committed, and goes to the dead letters when it cannot be read.
    pub async fn run(self, mut queue: TaskEvents, stop: CancellationToken) {
        loop {
            let received = tokio::select! {
                () = stop.cancelled() => return,
                received = queue.recv() => received,
            };
            let answered = match events::parse(&received.body) {
                Err(error) => {
                    tracing::warn!(%error, "a task event cannot be read and goes to the dead letters");
                    received.reject().await
                }
                Ok(event) => match self.apply_in_time(&event, &stop).await {
                    Applied::Stored => received.ack().await,
                    Applied::Stopping => received.give_back().await,
                    Applied::Never => received.reject().await,
                },
            };
            if let Err(error) = answered {
                tracing::debug!(%error, "the event comes again and is dropped as a repeat");
            }
        }
    }

    /// Applies an event as often as the store needs. Trouble that repeating does not heal sends the
    /// event to the dead letters: those behind it, opt-outs among them, must not wait for it.
    async fn apply_in_time(&self, event: &TaskEvent, stop: &CancellationToken) -> Applied {
        loop {
            match self.apply(event).await {
                Ok(_effect) => return Applied::Stored,
                Err(Error::Store(error)) if !error.is_temporary() => {
                    tracing::error!(%error, "a task event cannot be stored and goes to the dead letters");
                    return Applied::Never;
                }
                Err(error) => tracing::warn!(%error, "a task event waits"),
            }
            tokio::select! {
                () = stop.cancelled() => return Applied::Stopping,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    /// Applies one event in one transaction; an opt-out passes the gate first.
    ///
    /// # Errors
    /// When the store is away; nothing happened then.
    pub async fn apply(&self, event: &TaskEvent) -> Result<TaskEventEffect, Error> {
        let mut tx = self.store.read(self.tenant).await?;
        let task = tx.task_state(event.task).await?;
        let contact = tx.task_contact(event.task).await?;
        let Some((person, _)) = task else {
            drop(tx);
            return self.unknown(event).await;
        };
        let (index, channel) = contact.unwrap_or((None, None));
        let mut people = vec![tx.survivor(person).await?];
        if let (Some(OptOutScope::ContactPoint), Some(index)) = (event.scope, &index) {
            for sharing in tx.people_sharing(index).await? {
                let survivor = tx.survivor(sharing).await?;
                if !people.contains(&survivor) {
                    people.push(survivor);
                }
            }
        }
        people.sort_unstable();
        drop(tx);
        let Some(scope) = event.scope else {
            return self.commit(event, person, None, &[]).await;
        };
        let opt_out = NewOptOut {
            value_index: index.filter(|_| scope == OptOutScope::ContactPoint),
            channel: channel
                .filter(|_| scope == OptOutScope::Channel)
                .and_then(|name| Channel::from_name(&name)),
            at: event.at,
            origin: "crm",
        };
        self.commit(event, person, Some(opt_out), &people).await
    }

    /// An answer about a task that is not here is kept, so that somebody can ask the CRM about it.
    async fn unknown(&self, event: &TaskEvent) -> Result<TaskEventEffect, Error> {
        let now = clock::now();
        let mut tx = self.store.write(self.tenant).await?;
        let row = (event.id.as_str(), event.task, event.answer.name());
        let fresh = tx.record_task_event(row, false, (event.at, now)).await?;
        tx.commit().await?;
        if fresh {
            tracing::warn!(task = %event.task, "a task event names a task that is not here; it is recorded");
        }
        Ok(TaskEventEffect::UnknownTask)
    }

    /// Commits the effect of an event; a gate is closed before and opened with it, or without it.
    async fn commit(
        &self,
        event: &TaskEvent,
        person: Uuid,
        opt_out: Option<NewOptOut>,
        people: &[Uuid],
    ) -> Result<TaskEventEffect, Error> {
        let mut gates = Vec::new();
        for person in people {
            gates.push(self.store.close_gate(self.tenant, *person).await?);
        }
        let now = clock::now();
        let mut tx = self.store.write(self.tenant).await?;
        let mut changed = people.to_vec();
        changed.push(tx.survivor(person).await?);
        changed.sort_unstable();
        changed.dedup();
        for person in changed {
            tx.lock_person(person).await?;
        }
        let effect = write(&mut tx, event, now).await?;
        if effect != TaskEventEffect::Repeated {
            if let Some(opt_out) = &opt_out {
                tx.record_opt_out(person, opt_out).await?;
            }
            for person in people {
                tx.ask_again(*person, now).await?;
            }
            tx.audit(&entry(event, now)).await?;
        }
        for gate in gates {
            tx.open_gate(gate).await?;
        }
        tx.commit().await?;
        Ok(effect)
    }
}

/// Records an event once, with what it does to its task.
async fn write(tx: &mut Tx, event: &TaskEvent, now: Timestamp) -> Result<TaskEventEffect, Error> {
    let happened = event.answer.effect().task;
    let task = tx.task_state(event.task).await?;
    let state = task.and_then(|(_, state)| state.after(happened));
    let row = (event.id.as_str(), event.task, event.answer.name());
    if !tx
        .record_task_event(row, state.is_some(), (event.at, now))
        .await?
    {
        return Ok(TaskEventEffect::Repeated);
    }
    let Some(state) = state else {
        return Ok(TaskEventEffect::Recorded);
    };
    tx.set_task_state(event.task, state, now).await?;
    Ok(TaskEventEffect::Applied)
}

fn entry(event: &TaskEvent, now: Timestamp) -> AuditEntry {
    AuditEntry {
        at: now,
        actor: "crm".to_owned(),
        action: match event.answer {
            Answer::OptedOut => "person.opt-out",
            Answer::Completed => "task.complete",
            _ => "task.answer",
        },
        outcome: "done",
        purpose: None,
        entity: ("task", Some(event.task)),
        message: None,
        detail: None,
    }
}
