//! Test tasks of `careloop crm check`: asked for as any other, answered in fixed words about a person
//! who is not there. Token, scope, purpose, agreement, stop and end are checked as for a real one, and
//! the reading is on record before its first byte; no record is read, and no consent decided.

use jiff::Timestamp;
use uuid::Uuid;

use super::content::{Content, FIELDS};
use super::decision::Recheck;
use super::{Desk, Pass, Refusal};
use crate::consent::Purpose;
use crate::phi::Phi;
use crate::store::{TestTask, Tx};

/// What a test task is there for.
pub const TEST_PURPOSE: Purpose = Purpose::Treat;

/// The family name of the person who is not there.
pub const TEST_FAMILY: &str = "Test";

/// What the audit calls a test task.
const ENTITY: &str = "test-task";

impl Desk {
    /// The content of a test task, under the checks that every task has; [`Refusal::NotFound`] where
    /// there is no such test task either.
    pub(super) async fn test_content(
        &self,
        mut tx: Tx,
        pass: &Pass,
        (id, purpose, now): (Uuid, Purpose, Timestamp),
    ) -> Result<Phi<Content>, Refusal> {
        let found = tx.test_task(id).await?.filter(|found| found.id == id);
        let task = found.ok_or(Refusal::NotFound)?;
        if !tx.is_in_force(pass.id(), now).await? {
            return Err(Refusal::Unauthenticated);
        }
        if tx.outreach_stop().await?.is_some() {
            return Err(Refusal::Stopped);
        }
        pass.may_read(TEST_PURPOSE)?;
        if purpose != TEST_PURPOSE {
            return Err(Refusal::PurposeMismatch);
        }
        if task.has_ended(now) {
            return Err(Refusal::Gone(end_of(&task)));
        }
        tx.note_test_reading(task.id, pass.id(), now).await?;
        let mut entry = pass.entry("task.disclose", (ENTITY, Some(task.id)), now);
        entry.purpose = Some(purpose.name().to_owned());
        entry.detail = Some(FIELDS.join(" "));
        tx.audit(&entry).await?;
        tx.commit().await?;
        let policy = pass.site.policy.version();
        Ok(Phi::new(Content::of_test(&task, policy, now)))
    }

    /// Whether the decision of a test task holds: until it ends.
    pub(super) async fn test_recheck(
        &self,
        tx: &mut Tx,
        pass: &Pass,
        (decision, now): (Uuid, Timestamp),
    ) -> Result<Recheck, Refusal> {
        let found = tx.test_task(decision).await?;
        let task = found.filter(|found| found.decision == decision);
        let task = task.ok_or(Refusal::NotFound)?;
        pass.may_read(TEST_PURPOSE)?;
        let end = task.has_ended(now).then(|| end_of(&task));
        Ok(Recheck::of_test(&task, end, now))
    }
}

/// How a test task ended, in the words of a task's states.
const fn end_of(task: &TestTask) -> &'static str {
    if task.answer.is_some() {
        "completed"
    } else {
        "expired"
    }
}
