//! Whether a recorded decision still holds: codes and instants, nothing protected.

use jiff::Timestamp;
use serde::Serialize;

use super::disclose::decide;
use super::{Desk, Pass, Refusal, Scope, covered};
use crate::clock;
use crate::consent::{Code, Outcome};
use crate::outbox::envelope::{from_ulid, ulid};
use crate::store::{RecordedDecision, TestTask};

/// A decision as recorded, and what it would be now.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recheck {
    id: String,
    task: String,
    /// Whether the recorded decision allowed contact and contact is allowed now.
    holds: bool,
    recorded: Recorded,
    now: Now,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    stage: String,
    at: Timestamp,
    decision: String,
    reason_codes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Now {
    checked_at: Timestamp,
    decision: &'static str,
    codes: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_allowed: Option<Timestamp>,
}

impl Desk {
    /// Whether a decision that was told still holds.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], a token without the scope, or the store's failure.
    pub async fn recheck(&self, pass: &Pass, id: &str) -> Result<Recheck, Refusal> {
        pass.permits(Scope::DecisionRead)?;
        let id = from_ulid(id).ok_or(Refusal::NotFound)?;
        let mut tx = self.store.read(pass.site.tenant).await?;
        let now = clock::now();
        let Some(recorded) = tx.recorded_decision(id).await? else {
            return self.test_recheck(&mut tx, pass, (id, now)).await;
        };
        let record = tx.load(recorded.person, now).await?;
        let record = record.ok_or(Refusal::NotFound)?;
        let task = record.tasks.iter().find(|row| row.id == recorded.task);
        let task = task.ok_or(Refusal::NotFound)?;
        pass.may_read(task.detail.purpose)?;
        let left = tx.has_left(task.id).await?;
        let view = pass.site.view(&record.assertions);
        let stopped = tx.outreach_stop().await?;
        let stopped = stopped.map_or(Ok(()), |_since| Err(Refusal::Stopped));
        let answer = covered(&pass.site, now)
            .and(stopped)
            .and_then(|()| decide(&pass.site, (&record, task), &view, (left, now)));
        let present = match answer {
            Ok(decision) => Now {
                checked_at: now,
                decision: decision.result.name(),
                codes: decision.reason_codes(),
                valid_until: decision.valid_until,
                next_allowed: None,
            },
            Err(Refusal::Store(error)) => return Err(error.into()),
            Err(refusal) => refused(&refusal, now),
        };
        let allowed = |word: &str| word.starts_with("allow");
        Ok(Recheck {
            id: ulid(recorded.id),
            task: ulid(recorded.task),
            holds: allowed(&recorded.result) && allowed(present.decision),
            recorded: recorded.into(),
            now: present,
        })
    }
}

impl Recheck {
    /// The decision of a test task, and what ended it.
    pub(super) fn of_test(task: &TestTask, end: Option<&'static str>, now: Timestamp) -> Self {
        let allow = Outcome::Allow.name();
        let codes = vec![Code::Allowed.name()];
        Self {
            id: ulid(task.decision),
            task: ulid(task.id),
            holds: end.is_none(),
            recorded: Recorded {
                stage: "published".to_owned(),
                at: task.made_at,
                decision: allow.to_owned(),
                reason_codes: vec![Code::Allowed.name().to_owned()],
                valid_until: Some(task.ends_at),
            },
            now: match end {
                Some(state) => refused(&Refusal::Gone(state), now),
                None => Now {
                    checked_at: now,
                    decision: allow,
                    codes,
                    valid_until: Some(task.ends_at),
                    next_allowed: None,
                },
            },
        }
    }
}

fn refused(refusal: &Refusal, now: Timestamp) -> Now {
    let (decision, next_allowed) = match refusal {
        Refusal::NotYet(_, next) => ("defer", *next),
        Refusal::Changing | Refusal::Stopped => ("defer", None),
        _ => ("deny", None),
    };
    Now {
        checked_at: now,
        decision,
        codes: refusal.codes(),
        valid_until: None,
        next_allowed,
    }
}

impl From<RecordedDecision> for Recorded {
    fn from(row: RecordedDecision) -> Self {
        Self {
            stage: row.stage,
            at: row.at,
            decision: row.result,
            reason_codes: row.reason_codes,
            valid_until: row.valid_until,
        }
    }
}
