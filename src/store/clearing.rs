//! What the relay decided about envelopes that are due, written together: under the version of each
//! person that it looked at, so that a withdrawal committed in between is never overtaken.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{among, many, many_rows};
use super::effects::{DecisionRow, TaskRow, Withdrawal};
use super::outbox::PublishOutcome;
use super::record::{Member, Record};
use super::{AuditEntry, Error, Tx};
use crate::care::TaskState;
use crate::consent::Channel;

/// What was decided about one envelope.
pub struct Clearing {
    /// The envelope.
    pub envelope: Uuid,
    /// The person, after merges.
    pub person: Uuid,
    /// The message that caused it.
    pub message: Option<Uuid>,
    /// Its task as it is afterwards, where that changes.
    pub task: Option<TaskRow>,
    /// What consent said, where it was asked.
    pub decision: Option<DecisionRow>,
    /// What follows.
    pub then: Then,
}

/// What follows from a decision about an envelope.
pub enum Then {
    /// It leaves: under this claim until this deadline, to this contact point where it names one.
    Leave(Claimant, Option<(Option<Uuid>, Option<Channel>)>),
    /// It is looked at again then.
    Wait(Timestamp),
    /// It is looked at again then, and the person at once: the calendar has something to do first.
    Late(Timestamp),
    /// It ends: its state, why, and what is to be taken back of what may have left.
    End(&'static str, &'static str, Option<Withdrawal>),
    /// It ends, for its task is not there.
    Orphan,
}

/// Who publishes, and until when.
#[derive(Clone, Copy)]
pub struct Claimant {
    /// The claim's token.
    pub token: Uuid,
    /// No publish begins after it.
    pub deadline: Timestamp,
}

/// A publish that was answered.
pub struct Settled {
    /// The envelope.
    pub envelope: Uuid,
    /// The task that it asks for; `None` where it cancels one.
    pub task: Option<Uuid>,
    /// Its person.
    pub person: Uuid,
    /// The claim's token.
    pub token: Uuid,
    /// What became of it.
    pub outcome: PublishOutcome,
    /// When it is looked at again.
    pub retry_at: Timestamp,
    /// What is recorded where it was confirmed.
    pub disclosure: AuditEntry,
}

/// The newest decision at publishing of a task.
pub struct LastDecision {
    id: Uuid,
    result: String,
    reason_codes: String,
}

impl LastDecision {
    /// The decision's id, where another one says the same.
    pub fn same_as(&self, decision: &DecisionRow) -> Option<Uuid> {
        let answer = &decision.decision;
        let same = self.result == answer.result.name()
            && self.reason_codes == answer.reason_codes().join(" ");
        same.then_some(self.id)
    }
}

impl Tx {
    /// The newest decisions at publishing, by task.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn last_decisions(
        &mut self,
        tasks: &[Uuid],
    ) -> Result<HashMap<Uuid, LastDecision>, Error> {
        let found = among!(
            self,
            (Uuid, Uuid, String, String),
            "SELECT task, id, result, reason_codes FROM consent_decision WHERE tenant = $1 AND task = ANY($2) AND stage = 'published' ORDER BY at, id",
            tasks
        )?;
        let last = |(task, id, result, reason_codes)| {
            let last = LastDecision {
                id,
                result,
                reason_codes,
            };
            (task, last)
        };
        Ok(found.into_iter().map(last).collect())
    }

    /// Takes the people of records in the versions they were read in, all members of each; gives
    /// those that nobody changed in between. Who changes one of them later meets a conflict.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn take_unchanged(&mut self, records: &[&Record]) -> Result<HashSet<Uuid>, Error> {
        let mut members: Vec<&Member> = records.iter().flat_map(|one| &one.members).collect();
        members.sort_by_key(|member| member.person);
        members.dedup_by_key(|member| member.person);
        self.lock_in_order(members.iter().map(|member| member.person).collect())
            .await?;
        let taken = many_rows!(
            self,
            (Uuid,),
            "UPDATE person SET version = version + 1 FROM (VALUES ($2, $3)) AS given WHERE tenant = $1 AND id = given.column1 AND version = given.column2 RETURNING id",
            &members,
            |member| member.person,
            member.version
        );
        let taken: HashSet<Uuid> = taken.into_iter().map(|(person,)| person).collect();
        let whole = |record: &&&Record| {
            let mut members = record.members.iter();
            members.all(|member| taken.contains(&member.person))
        };
        Ok(records
            .iter()
            .filter(whole)
            .map(|record| record.person)
            .collect())
    }

    /// Writes what was decided; gives the envelopes that are this relay's to publish now.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn write_clearings(
        &mut self,
        clearings: &[(&Record, &Clearing)],
        now: Timestamp,
    ) -> Result<HashSet<Uuid>, Error> {
        let mut tasks: Vec<(&Member, &TaskRow)> = Vec::new();
        for (record, clearing) in clearings {
            if let Some(task) = &clearing.task {
                let mut members = record.members.iter();
                let member = members.find(|member| member.person == task.person);
                tasks.push((member.ok_or(Error::Conflict)?, task));
            }
        }
        self.write_tasks(&tasks).await?;
        let decisions: Vec<&DecisionRow> = clearings
            .iter()
            .filter_map(|(_, clearing)| clearing.decision.as_ref())
            .collect();
        self.put_decisions(&decisions).await?;
        for (_, clearing) in clearings {
            self.write_rare(clearing, now).await?;
        }
        self.mark_publishing(clearings).await
    }

    /// What happens to few envelopes goes statement by statement.
    async fn write_rare(&mut self, clearing: &Clearing, now: Timestamp) -> Result<(), Error> {
        match &clearing.then {
            Then::Leave(..) => Ok(()),
            Then::Wait(until) => self.postpone(clearing.envelope, *until).await,
            Then::Late(until) => {
                self.look_at(clearing.person, now).await?;
                self.postpone(clearing.envelope, *until).await
            }
            Then::Orphan => {
                self.end_envelope(clearing.envelope, "dropped", "content-error")
                    .await
            }
            Then::End(state, reason, withdrawal) => {
                if let Some(withdrawal) = withdrawal {
                    self.withdraw(withdrawal, now).await?;
                }
                self.end_envelope(clearing.envelope, state, reason).await?;
                let Some(task) = &clearing.task else {
                    return Ok(());
                };
                // The calendar finds out when this task may be asked again.
                self.look_at(clearing.person, now).await?;
                self.audit(&AuditEntry {
                    at: now,
                    actor: "relay".to_owned(),
                    action: "task.withdraw",
                    outcome: "done",
                    purpose: None,
                    entity: ("task", Some(task.id)),
                    message: clearing.message,
                    detail: Some((*reason).to_owned()),
                })
                .await
            }
        }
    }

    async fn mark_publishing(
        &mut self,
        clearings: &[(&Record, &Clearing)],
    ) -> Result<HashSet<Uuid>, Error> {
        let mut leaving = Vec::new();
        for (_, clearing) in clearings {
            if let Then::Leave(claimant, contact) = &clearing.then {
                leaving.push((clearing.envelope, claimant, contact.unwrap_or_default()));
            }
        }
        // The answer to an envelope will speak of its contact point; a cancellation keeps its own.
        let marked = many_rows!(
            self,
            (Uuid,),
            "UPDATE outbox SET state = 'publishing', claim_token = given.column2, claim_deadline = given.column3, attempts = attempts + 1, \
             contact_point = coalesce(given.column4, contact_point), channel = coalesce(given.column5, channel) \
             FROM (VALUES ($2, $3, $4, $5, $6)) AS given WHERE tenant = $1 AND id = given.column1 AND state = 'waiting' RETURNING id",
            &leaving,
            |one| one.0,
            one.1.token,
            one.1.deadline.as_microsecond(),
            one.2.0,
            one.2.1.map(Channel::name)
        );
        Ok(marked.into_iter().map(|(id,)| id).collect())
    }

    /// Writes what became of publishes, where the claims still stand. A confirmed task becomes
    /// *requested*, unless it ended in between.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn settle(&mut self, answers: &[Settled], now: Timestamp) -> Result<(), Error> {
        // First the people, as everybody does who changes their tasks.
        let mut people: Vec<Uuid> = answers.iter().map(|one| one.person).collect();
        people.sort_unstable();
        people.dedup();
        self.lock_people(&people).await?;
        let confirmed = |one: &&Settled| one.outcome == PublishOutcome::Confirmed;
        let settled = many_rows!(
            self,
            (Uuid,),
            "UPDATE outbox SET state = given.column3, last_outcome = given.column4, sent_at = given.column5, due_at = given.column6, claim_token = NULL, claim_deadline = NULL \
             FROM (VALUES ($2, $3, $4, $5, $6, $7)) AS given WHERE tenant = $1 AND id = given.column1 AND claim_token = given.column2 AND state = 'publishing' RETURNING id",
            answers,
            |one| one.envelope,
            one.token,
            if confirmed(&one) { "sent" } else { "waiting" },
            one.outcome.name(),
            confirmed(&one).then(|| now.as_microsecond()),
            one.retry_at.as_microsecond()
        );
        let settled: HashSet<Uuid> = settled.into_iter().map(|(id,)| id).collect();
        let gone: Vec<&Settled> = answers
            .iter()
            .filter(confirmed)
            .filter(|one| settled.contains(&one.envelope))
            .collect();
        let tasks: Vec<Uuid> = gone.iter().filter_map(|one| one.task).collect();
        self.confirm_tasks(&tasks, now).await?;
        let audit: Vec<&AuditEntry> = gone.iter().map(|one| &one.disclosure).collect();
        self.audit_all(&audit).await
    }

    async fn confirm_tasks(&mut self, tasks: &[Uuid], now: Timestamp) -> Result<(), Error> {
        many!(
            self,
            "UPDATE task SET state = given.column2, changed_at = given.column3 FROM (VALUES ($2, $3, $4, $5)) AS given WHERE tenant = $1 AND id = given.column1 AND state = given.column4",
            tasks,
            |task| *task,
            TaskState::Requested.name(),
            now.as_microsecond(),
            TaskState::Queued.name()
        );
        Ok(())
    }

    /// As `lock_person`, of many.
    async fn lock_people(&mut self, people: &[Uuid]) -> Result<(), Error> {
        self.lock_in_order(people.to_vec()).await?;
        many!(
            self,
            "UPDATE person SET version = version + 1 FROM (VALUES ($2)) AS given WHERE tenant = $1 AND id = given.column1",
            people,
            |person| *person
        );
        Ok(())
    }
}
