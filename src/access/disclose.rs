//! The content of a task: asked for, decided as of now, put on record, and only then given.

use jiff::Timestamp;
use uuid::Uuid;

use super::content::{Content, FIELDS, Known};
use super::{Desk, Pass, Refusal, Scope, covered};
use crate::care::TaskState;
use crate::clock;
use crate::config::Mode;
use crate::consent::{Decision, Hold, Outcome, Purpose};
use crate::crm::View;
use crate::outbox::envelope::from_ulid;
use crate::outreach;
use crate::phi::Phi;
use crate::site::Site;
use crate::store::{Disclosure, Record, TaskRow, Tx};

impl Desk {
    /// What a task is about, where the token, the purpose, the agreement, the mode, the task's
    /// state and consent all permit it now. The disclosure is durable when this returns.
    ///
    /// # Errors
    /// A refusal, which is on record as well; [`Refusal::Store`] where nothing could be recorded.
    pub async fn content(
        &self,
        pass: &Pass,
        id: &str,
        purpose: Option<&str>,
    ) -> Result<Phi<Content>, Refusal> {
        let task = from_ulid(id);
        let content = self.try_content(pass, task, purpose).await;
        if let Err(refusal) = &content
            && !matches!(refusal, Refusal::Store(_))
        {
            // The word that was sent is only kept where it is one of ours.
            let purpose = purpose.and_then(Purpose::from_name).map(Purpose::name);
            let what = ("task.disclose", ("task", task), purpose);
            self.note_refusal(pass, what, refusal).await?;
        }
        content
    }

    async fn try_content(
        &self,
        pass: &Pass,
        task: Option<Uuid>,
        purpose: Option<&str>,
    ) -> Result<Phi<Content>, Refusal> {
        pass.permits(Scope::TaskContent)?;
        let purpose = pass.states(purpose)?;
        covered(&pass.site, clock::now())?;
        let task = task.ok_or(Refusal::NotFound)?;
        let mut tx = self.store.write(pass.site.tenant).await?;
        let Some((person, _)) = tx.task_state(task).await? else {
            let asked = (task, purpose, clock::now());
            return self.test_content(tx, pass, asked).await;
        };
        let person = tx.survivor(person).await?;
        tx.lock_person(person).await?;
        // After the lock: a withdrawal that was committed while this waited is then in the past.
        let now = clock::now();
        if !tx.is_in_force(pass.row.id, now).await? {
            return Err(Refusal::Unauthenticated);
        }
        if tx.outreach_stop().await?.is_some() {
            return Err(Refusal::Stopped);
        }
        let record = tx.load(person, now).await?.ok_or(Refusal::NotFound)?;
        let found = record.tasks.iter().find(|row| row.id == task);
        let task = found.ok_or(Refusal::NotFound)?;
        let content = disclose(&mut tx, pass, (&record, task), (purpose, now)).await?;
        tx.commit().await?;
        Ok(content)
    }
}

/// Decides, and puts the disclosure on record.
async fn disclose(
    tx: &mut Tx,
    pass: &Pass,
    (record, task): (&Record, &TaskRow),
    (purpose, now): (Purpose, Timestamp),
) -> Result<Phi<Content>, Refusal> {
    pass.may_read(task.detail.purpose)?;
    if purpose != task.detail.purpose {
        return Err(Refusal::PurposeMismatch);
    }
    let left = tx.has_left(task.id).await?;
    let view = pass.site.view(&record.assertions);
    let (decision, next_contact) =
        decide_for_worker(&pass.site, (record, task), &view, (left, now))?;
    let id = Uuid::now_v7();
    let crm_id = tx.crm_id(record).await?.map(|(id, _)| id.into_inner());
    let channel = decision.channel;
    let mut fields = FIELDS.to_vec();
    fields.extend(crm_id.is_some().then_some("crm-id"));
    let content = Content::of(Known {
        record,
        task,
        demographics: &view.demographics,
        crm_id,
        decision: (id, &decision),
        caps: channel.map_or_else(Vec::new, |channel| pass.site.policy.limits(channel)),
        next_contact,
        now,
    });
    let content = content.ok_or(Refusal::Consent(decision.reason_codes()))?;
    let disclosure = Disclosure {
        id,
        person: record.person,
        task: (task.id, task.version),
        token: pass.row.id,
        purpose: purpose.name(),
        fields: &fields,
        at: now,
        decision: &decision,
    };
    tx.record_disclosure(&disclosure).await?;
    let mut entry = pass.entry("task.disclose", ("task", Some(task.id)), now);
    entry.purpose = Some(purpose.name().to_owned());
    entry.detail = Some(fields.join(" "));
    tx.audit(&entry).await?;
    Ok(Phi::new(content))
}

/// Whether who works on the task may see it. Its own contacts may have used a cap up: that closes
/// nothing to who made them, and the instant of the next contact is told. What was sent to the person
/// for other reasons, and everything else, counts as ever.
fn decide_for_worker(
    site: &Site,
    (record, task): (&Record, &TaskRow),
    view: &View,
    (left, now): (bool, Timestamp),
) -> Result<(Decision, Option<Timestamp>), Refusal> {
    let refusal = match decide(site, (record, task), view, (left, now)) {
        Ok(decision) => return Ok((decision, None)),
        Err(refusal) => refusal,
    };
    let next = match &refusal {
        Refusal::NotYet(_, next) => next.unwrap_or(task.due_at),
        // The cap lasts beyond the due date: this task has had its contacts.
        Refusal::Consent(_) => task.due_at,
        _ => return Err(refusal),
    };
    let mut made = record.contacts_made.iter();
    if !task.state.was_published() || !made.any(|(_, of)| *of == task.id) {
        return Err(refusal);
    }
    let without = record.without_contacts_of(task.id);
    let decision = decide(site, (&without, task), view, (left, now))?;
    Ok((decision, Some(next)))
}

/// Whether the task may be worked now: its state, the mode, and consent, in this order.
pub(super) fn decide(
    site: &Site,
    (record, task): (&Record, &TaskRow),
    view: &View,
    (left, now): (bool, Timestamp),
) -> Result<Decision, Refusal> {
    if task.state.is_terminal() {
        return Err(Refusal::Gone(task.state.name()));
    }
    if record.holds.contains(&Hold::ChangePending) {
        return Err(Refusal::Changing);
    }
    if site.mode_of_task(task, record) == Mode::Observe {
        return Err(Refusal::Mode);
    }
    let request = outreach::Request::of(task, record);
    let terms = outreach::Terms {
        tenant: &site.config,
        policy: &site.policy,
    };
    let decision = outreach::decide(&request, record, view, terms, now);
    let codes = || decision.reason_codes();
    match decision.result {
        // A task that has not left is nobody's to work yet; its message says when it is.
        _ if task.state == TaskState::Queued && !left => Err(Refusal::NotYet(codes(), None)),
        Outcome::Allow | Outcome::AllowWithObligations
            if matches!(
                task.state,
                TaskState::Withheld | TaskState::Deferred | TaskState::Observed
            ) =>
        {
            Err(Refusal::NotYet(codes(), None))
        }
        Outcome::Allow | Outcome::AllowWithObligations => Ok(decision),
        Outcome::Defer => Err(Refusal::NotYet(codes(), decision.next_allowed_at)),
        Outcome::Deny | Outcome::HumanReview => Err(Refusal::Consent(codes())),
    }
}
