//! What one message, one sweep or one command implies: plain rows, written together or not at all.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Error;
use super::assertions::Said;
use super::audit::AuditEntry;
use super::proposals::ToldLink;
use super::record::{ContactRow, Member};
use super::topics::TaskDetail;
use crate::care::{FindingState, GapStatus, ReasonCode, Rest, TaskState};
use crate::config::Mode;
use crate::consent::{Channel, Decision, Hold};
use crate::crm::Identifier;

/// A finding as stored; the detail is sealed, because a rule's name tells a diagnosis.
#[derive(Clone)]
pub struct FindingRow {
    /// Its id (`gapId` of the message).
    pub id: Uuid,
    /// The person.
    pub person: Uuid,
    /// Keyed hash of person, rule and cycle: one finding each.
    pub key: Vec<u8>,
    /// Keyed hash of the rule.
    pub rule_index: Vec<u8>,
    /// Where it stands.
    pub state: FindingState,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// The message that caused the last change.
    pub message: Option<Uuid>,
    /// Whether it rests although nothing has closed it.
    pub rest: Option<Rest>,
    /// What it is.
    pub detail: FindingDetail,
}

/// The sealed part of a finding.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingDetail {
    /// The rule.
    pub rule: String,
    /// The cycle.
    pub cycle: String,
    /// The verdict.
    pub status: GapStatus,
    /// When it falls or fell due.
    pub due: Option<Date>,
    /// Why, for a coordinator.
    pub reason: String,
    /// Why, as a DEQM code.
    pub reason_code: ReasonCode,
    /// References it rests on.
    pub evidence: Vec<String>,
}

/// A task as stored.
#[derive(Clone)]
pub struct TaskRow {
    /// Its id.
    pub id: Uuid,
    /// The person.
    pub person: Uuid,
    /// The finding that made it; its reasons, of which that may be one no more, are in the detail.
    pub finding: Uuid,
    /// The key of the finding that made it; of a finding that asks anew, a key of its own.
    pub key: Vec<u8>,
    /// Its version; consumers drop versions that are not newer than the last seen.
    pub version: i64,
    /// Where it stands.
    pub state: TaskState,
    /// The mode it was made in.
    pub mode: Mode,
    /// `<tenant>.<location>.<team>.<priority>`.
    pub routing_key: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it came into its state, or to its team.
    pub changed_at: Timestamp,
    /// When it must be done; also the broker's expiry.
    pub due_at: Timestamp,
    /// When consent is to be asked again.
    pub ask_at: Option<Timestamp>,
    /// When it was put into the outbox first, for caps.
    pub released_at: Option<Timestamp>,
    /// The message that caused it.
    pub message: Option<Uuid>,
    /// The latest decision.
    pub decision: Option<Uuid>,
    /// What it is.
    pub detail: TaskDetail,
}

/// An envelope to be sent; the store gives it the version after the task's newest.
#[derive(Clone)]
pub struct NewEnvelope {
    /// Its id: CloudEvents id and AMQP message id.
    pub id: Uuid,
    /// The task.
    pub task: Uuid,
    /// The person.
    pub person: Uuid,
    /// Where it goes.
    pub routing_key: String,
    /// Not before.
    pub due_at: Timestamp,
    /// Not after.
    pub expires_at: Timestamp,
    /// The contact point and channel that the slot was reserved for.
    pub contact: Option<(Option<Uuid>, Channel)>,
    /// The message that caused it.
    pub message: Option<Uuid>,
}

/// A task whose content changed after its envelope was queued: what has not left is changed in
/// place; what left, or may have, is followed by a newer version.
#[derive(Clone)]
pub struct Revision {
    /// The task.
    pub task: Uuid,
    /// Worth nothing after.
    pub expires_at: Timestamp,
    /// The message that caused it.
    pub message: Option<Uuid>,
}

/// The end of a task that may already have left.
#[derive(Clone)]
pub struct Withdrawal {
    /// The task.
    pub task: Uuid,
    /// Why, in the words of the message schema (`statusReason`).
    pub reason: &'static str,
    /// The message that caused it.
    pub message: Option<Uuid>,
}

/// A decision to be recorded.
pub struct DecisionRow {
    /// Its id.
    pub id: Uuid,
    /// The person.
    pub person: Uuid,
    /// The task.
    pub task: Uuid,
    /// `made` or `published`.
    pub stage: &'static str,
    /// When.
    pub at: Timestamp,
    /// What was decided.
    pub decision: Decision,
}

/// A merge: from now on `retired` is `survivor`.
pub struct NewLink {
    /// Who goes.
    pub retired: Uuid,
    /// Who stays.
    pub survivor: Uuid,
    /// The message that says so.
    pub message: Option<Uuid>,
    /// The operator who says so.
    pub made_by: Option<String>,
}

/// An identifier belongs to another person than the one it came to first.
pub struct Assignment {
    /// Whose it is.
    pub person: Uuid,
    /// Which.
    pub identifier: Identifier,
    /// When it happened; an older one never undoes a newer one.
    pub event_time: Timestamp,
    /// The message that says so.
    pub message: Option<Uuid>,
    /// `pipeline`, or the operator who says so.
    pub made_by: String,
}

impl DecisionRow {
    /// The consents that it rests on, as stored.
    pub(super) fn consents(&self) -> String {
        let consents = self.decision.consents.iter().map(Uuid::to_string);
        consents.collect::<Vec<_>>().join(" ")
    }
}

/// Everything that is written together.
#[derive(Default)]
pub struct Effects {
    /// The people that were read, by the version they were read in; version 0 is a new person.
    pub members: Vec<Member>,
    /// Identifiers learned: whose, which, from which source.
    pub identifiers: Vec<(Uuid, Identifier, String)>,
    /// What messages say of people from now on.
    pub said: Vec<Said>,
    /// Contact points, new or changed.
    pub contacts: Vec<ContactRow>,
    /// Merges.
    pub links: Vec<NewLink>,
    /// Identifiers that belong to another person from now on.
    pub assignments: Vec<Assignment>,
    /// Whether what tells people apart changed, so that others are to be compared.
    pub is_to_be_compared: bool,
    /// What an EHR says of two people, who stay two.
    pub told: Vec<ToldLink>,
    /// Findings, new or changed.
    pub findings: Vec<FindingRow>,
    /// Rests of findings, new or changed: whose, which finding's, what.
    pub rests: Vec<(Uuid, Uuid, Rest)>,
    /// Holds that end, as the record now says what they stood for.
    pub lifted: Vec<(Uuid, Hold)>,
    /// Tasks, new or changed.
    pub tasks: Vec<TaskRow>,
    /// Envelopes to send.
    pub envelopes: Vec<NewEnvelope>,
    /// Tasks whose content changed.
    pub revisions: Vec<Revision>,
    /// Tasks to end.
    pub withdrawals: Vec<Withdrawal>,
    /// Decisions.
    pub decisions: Vec<DecisionRow>,
    /// When each person is to be looked at again by the calendar.
    pub next_checks: Vec<(Uuid, Option<Timestamp>)>,
    /// Audit entries.
    pub audit: Vec<AuditEntry>,
}

impl Effects {
    /// How many tasks leave on the pilot's daily cap.
    pub fn piloted(&self) -> u32 {
        let released = |task: &&TaskRow| {
            task.mode == Mode::Pilot
                && self
                    .envelopes
                    .iter()
                    .any(|envelope| envelope.task == task.id)
        };
        u32::try_from(self.tasks.iter().filter(released).count()).unwrap_or(u32::MAX)
    }

    /// Whether something is to be published.
    pub fn has_envelopes(&self) -> bool {
        !self.envelopes.is_empty() || !self.revisions.is_empty() || !self.withdrawals.is_empty()
    }

    pub(super) fn member(&self, person: Uuid) -> Result<&Member, Error> {
        let found = self.members.iter().find(|member| member.person == person);
        found.ok_or(Error::Conflict)
    }

    /// Whether these effects make the person.
    pub(super) fn is_new(&self, person: Uuid) -> bool {
        let mut members = self.members.iter();
        members.any(|member| member.person == person && member.version == 0)
    }

    /// The people of these that are stored already: others may want to change them too.
    pub fn known_people(&self) -> impl Iterator<Item = Uuid> + '_ {
        let known = self.members.iter().filter(|member| member.version > 0);
        known.map(|member| member.person)
    }

    /// The people whose rows these effects touch, each once.
    pub fn people(&self) -> impl Iterator<Item = Uuid> + '_ {
        self.members.iter().map(|member| member.person)
    }
}
