//! The answers of the CRM, each with the effect that the table of [`Answer`] gives it, once.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Error;
use super::events::{self, OptOutScope, TaskEvent};
use super::judge::{Judged, judge};
use super::rabbit::TaskEvents;
use crate::care::{Answer, Beyond, TaskState};
use crate::clock;
use crate::consent::{Channel, Hold};
use crate::site::Site;
use crate::store::{
    AnsweredTask, AuditEntry, ContactMade, NewOptOut, RecordedEvent, Store, TaskEventEffect, Tx,
};

/// What the audit calls a test task, so that nothing that looks for tasks finds it.
const TEST_TASK: &str = "test-task";

/// Takes task events into the store.
#[derive(Clone)]
pub struct Answers {
    store: Store,
    site: Arc<Site>,
}

/// How far an event came.
enum Applied {
    Stored,
    Stopping,
    Never,
}

impl Answers {
    /// The answers to one tenant's tasks.
    pub const fn new(store: Store, site: Arc<Site>) -> Self {
        Self { store, site }
    }

    /// Consumes the tenant's queue until told to stop. An event is acknowledged after its effect is
    /// committed, and goes to the dead letters when it cannot be read.
    pub async fn run(self, mut queue: TaskEvents, stop: CancellationToken) {
        loop {
            let received = tokio::select! {
                () = stop.cancelled() => break,
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
        queue.close().await;
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

    /// Applies one event in one transaction. What may cut off a publish under way (an opt-out, a
    /// death, a wrong number) passes the gate first.
    ///
    /// # Errors
    /// When the store is away; nothing happened then.
    pub async fn apply(&self, event: &TaskEvent) -> Result<TaskEventEffect, Error> {
        let mut tx = self.store.read(self.site.tenant).await?;
        let Some(task) = tx.answered_task(event.task, event.version).await? else {
            drop(tx);
            return self.unknown(event).await;
        };
        let person = tx.survivor(task.person).await?;
        let mut gated = Vec::new();
        if event.answer.effect().beyond != Beyond::Nothing {
            gated.push(person);
        }
        if let (Some(OptOutScope::ContactPoint), (_, Some(index))) = (event.scope, &task.contact) {
            for sharing in tx.people_sharing(index).await? {
                let survivor = tx.survivor(sharing).await?;
                if !gated.contains(&survivor) {
                    gated.push(survivor);
                }
            }
        }
        gated.sort_unstable();
        drop(tx);
        self.commit(event, person, &gated).await
    }

    /// An answer about a task that is not here is kept, so that somebody can ask the CRM about it; one
    /// to a test task is noted there, and nowhere else.
    async fn unknown(&self, event: &TaskEvent) -> Result<TaskEventEffect, Error> {
        let now = clock::now();
        let mut tx = self.store.write(self.site.tenant).await?;
        let said = (event.id.as_str(), event.answer.name());
        if let Some(effect) = tx.answer_test_task(event.task, said, now).await? {
            if effect != TaskEventEffect::Repeated {
                let mut entry = entry(event, now);
                (entry.action, entry.entity.0) = ("task.answer", TEST_TASK);
                tx.audit(&entry).await?;
            }
            tx.commit().await?;
            return Ok(effect);
        }
        let fresh = tx
            .record_task_event(&recorded(event, "unknown-task"), false, now)
            .await?;
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
        gated: &[Uuid],
    ) -> Result<TaskEventEffect, Error> {
        let mut gates = Vec::new();
        for person in gated {
            gates.push(self.store.close_gate(self.site.tenant, *person).await?);
        }
        let now = clock::now();
        let mut tx = self.store.write(self.site.tenant).await?;
        let mut changed = gated.to_vec();
        changed.push(person);
        changed.sort_unstable();
        changed.dedup();
        for person in changed {
            tx.lock_person(person).await?;
        }
        // After the lock: what another event did meanwhile is seen.
        let effect = match tx.answered_task(event.task, event.version).await? {
            Some(mut task) => {
                task.findings = tx.findings_of_task((person, event.task), now).await?;
                self.write(&mut tx, event, (person, &task), now).await?
            }
            None => TaskEventEffect::UnknownTask,
        };
        if effect != TaskEventEffect::Repeated {
            for person in gated {
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

    /// Records an event once, with what it does.
    async fn write(
        &self,
        tx: &mut Tx,
        event: &TaskEvent,
        (person, task): (Uuid, &AnsweredTask),
        now: Timestamp,
    ) -> Result<TaskEventEffect, Error> {
        let judged = judge(event, task, now);
        let row = recorded(event, judged.word());
        if !tx.record_task_event(&row, judged.is_applied(), now).await? {
            return Ok(TaskEventEffect::Repeated);
        }
        self.beyond(tx, event, (person, task), now).await?;
        if let Some(channel) = task.channel.as_deref().filter(|_| judged.is_contact) {
            let made = ContactMade {
                person: task.person,
                task: event.task,
                contact: (task.contact.0, task.contact.1.as_deref()),
                channel,
                kind: event.answer.name(),
                at: event.at.min(now),
            };
            tx.add_contact_made(&made).await?;
        }
        self.put_to_rest(tx, event, (person, task, &judged), now)
            .await?;
        if !judged.is_applied() {
            return Ok(TaskEventEffect::Recorded);
        }
        self.move_task(tx, event, (person, &judged), now).await?;
        Ok(TaskEventEffect::Applied)
    }

    /// What an event does besides moving its task, whatever state the task is in.
    async fn beyond(
        &self,
        tx: &mut Tx,
        event: &TaskEvent,
        (person, task): (Uuid, &AnsweredTask),
        now: Timestamp,
    ) -> Result<(), Error> {
        match event.answer.effect().beyond {
            Beyond::Nothing => {}
            Beyond::ContactEnds => {
                if let Some(index) = &task.contact.1 {
                    tx.end_wrong_contact(person, index, now).await?;
                }
            }
            Beyond::Hold => {
                tx.put_hold(person, Hold::ReportedDeceased, now).await?;
                tracing::warn!(%person, "the CRM reports a death; see `careloop person holds`");
            }
            Beyond::OptOut => {
                let is = |scope| event.scope == Some(scope);
                let index = task.contact.1.clone();
                let channel = task.channel.as_deref().and_then(Channel::from_name);
                let opt_out = NewOptOut {
                    value_index: index.filter(|_| is(OptOutScope::ContactPoint)),
                    channel: channel.filter(|_| is(OptOutScope::Channel)),
                    at: event.at.min(now),
                    origin: "crm",
                };
                tx.record_opt_out(task.person, &opt_out).await?;
            }
        }
        Ok(())
    }

    /// Moves the task.
    async fn move_task(
        &self,
        tx: &mut Tx,
        event: &TaskEvent,
        (person, judged): (Uuid, &Judged),
        now: Timestamp,
    ) -> Result<(), Error> {
        let at = event.at.min(now);
        if let Some(state) = judged.next {
            tx.set_task_state(event.task, state, now).await?;
        }
        let taken = matches!(
            judged.next,
            None | Some(TaskState::Accepted | TaskState::InProgress)
        );
        tx.stop_clock(event.task, taken.then_some(at)).await?;
        if let Some(when) = judged.ask_at {
            tx.ask_task_at(event.task, when).await?;
            tx.look_at(person, when).await?;
        }
        Ok(())
    }

    /// Puts the findings that are answered to rest.
    async fn put_to_rest(
        &self,
        tx: &mut Tx,
        event: &TaskEvent,
        (person, task, judged): (Uuid, &AnsweredTask, &Judged),
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(reason) = judged.rest else {
            return Ok(());
        };
        let at = event.at.min(now);
        let answered = task.findings.iter();
        for finding in answered.filter(|one| event.topic.is_none_or(|topic| topic == one.id)) {
            let until = judged.rest_until;
            let until = until.unwrap_or_else(|| self.site.rests_until(&finding.rule, reason, now));
            tx.rest(finding, reason, (at, until)).await?;
            // One of several reasons leaves the task at once; a whole task is looked at later.
            let soon = if judged.next.is_none() { now } else { until };
            tx.look_at(person, soon).await?;
        }
        Ok(())
    }
}

fn recorded<'a>(event: &'a TaskEvent, effect: &'static str) -> RecordedEvent<'a> {
    RecordedEvent {
        id: &event.id,
        task: event.task,
        version: event.version,
        kind: event.answer.name(),
        topic: event.topic,
        at: event.at,
        effect,
    }
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
        detail: Some(event.answer.name().to_owned()),
    }
}
