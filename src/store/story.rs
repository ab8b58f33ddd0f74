//! The whole story of one task, as rows: its versions, answers, decisions, clock and rest.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::dialect::{row, rows};
use super::operators::TaskListing;
use super::record::at;
use super::{Error, Store, TenantId};

/// One version of a task on its way.
#[derive(Clone, Debug, Serialize)]
pub struct VersionTold {
    /// Its number.
    pub version: i64,
    /// `requested`, `revised` or `cancelled`.
    pub kind: String,
    /// Where its envelope stands.
    pub state: String,
    /// Where it goes.
    pub routing_key: String,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When the broker confirmed it.
    pub sent_at: Option<Timestamp>,
    /// How often it was tried.
    pub attempts: i64,
    /// What the last try came to.
    pub last_outcome: Option<String>,
    /// Why it was withdrawn or dropped.
    pub status_reason: Option<String>,
    /// When the broker gave it back, and why.
    pub returned: Option<(Timestamp, String)>,
}

/// One answer of the CRM.
#[derive(Clone, Debug, Serialize)]
pub struct AnswerTold {
    /// When it happened.
    pub at: Timestamp,
    /// When it was taken in.
    pub received_at: Timestamp,
    /// What it says.
    pub kind: String,
    /// The version that it spoke of.
    pub version: i64,
    /// What became of it.
    pub effect: String,
}

/// One decision about a task.
#[derive(Clone, Debug, Serialize)]
pub struct DecisionTold {
    /// When.
    pub at: Timestamp,
    /// `made` or `published`.
    pub stage: String,
    /// What.
    pub result: String,
    /// Why, in plain words.
    pub sentence: String,
}

/// A task with everything that happened to it; ids, states and reasons, nothing protected.
#[derive(Clone, Debug, Serialize)]
pub struct TaskStory {
    /// The task as lists show it.
    pub task: TaskListing,
    /// Its versions.
    pub versions: Vec<VersionTold>,
    /// What the CRM answered.
    pub answers: Vec<AnswerTold>,
    /// What consent said.
    pub decisions: Vec<DecisionTold>,
    /// When somebody took it.
    pub accepted_at: Option<Timestamp>,
    /// Contacts tried or made.
    pub contacts: i64,
    /// How often it went to a wider team.
    pub escalations: i64,
    /// When it goes to a wider team unless somebody takes it.
    pub escalate_at: Option<Timestamp>,
    /// Since when nobody is left to ask.
    pub unanswered_at: Option<Timestamp>,
    /// Why its finding rests, until when, and how many tasks came to nothing before.
    pub rest: Option<(String, Option<Timestamp>, i64)>,
}

#[derive(sqlx::FromRow)]
struct StoredVersion {
    version: i64,
    kind: String,
    state: String,
    routing_key: String,
    created_at: i64,
    sent_at: Option<i64>,
    attempts: i64,
    last_outcome: Option<String>,
    status_reason: Option<String>,
    returned_at: Option<i64>,
    returned_reason: Option<String>,
}

impl StoredVersion {
    fn open(self) -> VersionTold {
        VersionTold {
            version: self.version,
            kind: self.kind,
            state: self.state,
            routing_key: self.routing_key,
            created_at: at(self.created_at),
            sent_at: self.sent_at.map(at),
            attempts: self.attempts,
            last_outcome: self.last_outcome,
            status_reason: self.status_reason,
            returned: self.returned_at.map(at).zip(self.returned_reason),
        }
    }
}

impl Store {
    /// Everything that happened to a task; `None` where there is none here.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn task_story(&self, tenant: TenantId, id: Uuid) -> Result<Option<TaskStory>, Error> {
        let Some(task) = self.task_listing(tenant, id).await? else {
            return Ok(None);
        };
        let mut tx = self.read(tenant).await?;
        let versions = rows!(
            tx,
            StoredVersion,
            "SELECT version, kind, state, routing_key, created_at, sent_at, attempts, last_outcome, status_reason, returned_at, returned_reason \
             FROM outbox WHERE tenant = $1 AND task = $2 ORDER BY version",
            id
        )?;
        let answers = rows!(
            tx,
            (i64, i64, String, i64, String),
            "SELECT at, received_at, kind, version, effect FROM task_event WHERE tenant = $1 AND task = $2 ORDER BY received_at, id",
            id
        )?;
        let decisions = rows!(
            tx,
            (i64, String, String, String),
            "SELECT at, stage, result, sentence FROM consent_decision WHERE tenant = $1 AND task = $2 ORDER BY at, id",
            id
        )?;
        let clock = row!(
            tx,
            (Option<i64>, i64, i64, Option<i64>, Option<i64>),
            "SELECT accepted_at, contacts, escalations, escalate_at, unanswered_at FROM task WHERE tenant = $1 AND id = $2",
            id
        )?;
        let rest = row!(
            tx,
            (String, Option<i64>, i64),
            "SELECT rest.reason, rest.until_at, rest.raised FROM task JOIN finding_rest AS rest ON rest.tenant = $1 AND rest.finding = task.finding WHERE task.tenant = $1 AND task.id = $2",
            id
        )?;
        let (accepted, contacts, escalations, escalate, unanswered) =
            clock.unwrap_or((None, 0, 0, None, None));
        Ok(Some(TaskStory {
            task,
            versions: versions.into_iter().map(StoredVersion::open).collect(),
            answers: answers.into_iter().map(answer).collect(),
            decisions: decisions.into_iter().map(decision).collect(),
            accepted_at: accepted.map(at),
            contacts,
            escalations,
            escalate_at: escalate.map(at),
            unanswered_at: unanswered.map(at),
            rest: rest.map(|(reason, until, raised)| (reason, until.map(at), raised)),
        }))
    }
}

fn answer((when, received, kind, version, effect): (i64, i64, String, i64, String)) -> AnswerTold {
    AnswerTold {
        at: at(when),
        received_at: at(received),
        kind,
        version,
        effect,
    }
}

fn decision((when, stage, result, sentence): (i64, String, String, String)) -> DecisionTold {
    DecisionTold {
        at: at(when),
        stage,
        result,
        sentence,
    }
}
