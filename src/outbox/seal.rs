//! From a task and its decision to an envelope.

use jiff::Timestamp;
use uuid::Uuid;

use super::envelope::{self, Action, Consent, Error, Gap, Parts, Reach, Topic, Window};
use super::publisher::Outgoing;
use super::words::{self, ContentClass, GapStatus, Need, StatusReason};
use crate::consent::{self, Decision, Obligation};
use crate::store::{ClaimedEnvelope, EnvelopeKind, TaskRow, TaskTopic};

/// BCP 47 for a language that is not known; the coordinator has to find out.
const UNKNOWN_LANGUAGE: &str = "und";

/// What an envelope needs besides the task.
pub(super) struct Setting<'a> {
    pub(super) tenant: &'a str,
    pub(super) public_url: &'a str,
    pub(super) traceparent: Option<String>,
    pub(super) now: Timestamp,
}

/// A task that consent allows to leave now.
pub(super) struct Allowed<'a> {
    pub(super) id: Uuid,
    pub(super) decision: &'a Decision,
    pub(super) language: Option<&'a str>,
}

impl Allowed<'_> {
    fn consent(&self, task: &TaskRow, now: Timestamp) -> Result<Consent, Error> {
        let decision = self.decision;
        let until = decision.valid_until.unwrap_or(task.due_at);
        let window = match &decision.window {
            Some(window) => Window {
                from: window.from,
                to: window.to,
                zone: window.zone.clone(),
            },
            None => Window {
                from: now,
                to: until,
                zone: "UTC".to_owned(),
            },
        };
        Ok(Consent {
            id: self.id,
            decision: words::Decision::from_name(decision.result.name())
                .ok_or(no_word("consent.decision"))?,
            reason_codes: codes(decision),
            purpose: task.detail.purpose,
            evaluated_at: now,
            valid_until: until,
            window,
            obligations: decision.obligations.clone(),
            policy_version: decision.policy_version.clone(),
        })
    }

    fn reach(&self, task: &TaskRow, now: Timestamp) -> Result<Reach, Error> {
        let decision = self.decision;
        let contact = decision.contact_point.zip(decision.channel);
        let (contact_point, channel) = contact.ok_or(Error::Field {
            field: "contact",
            expected: "a contact point and a channel",
        })?;
        let interpreter = decision.obligations.contains(&Obligation::UseInterpreter);
        Ok(Reach {
            channel,
            proxy: None,
            contact_point,
            language: self.language.unwrap_or(UNKNOWN_LANGUAGE).to_owned(),
            needs: if interpreter {
                vec![Need::Interpreter]
            } else {
                Vec::new()
            },
            consent: self.consent(task, now)?,
        })
    }
}

impl Setting<'_> {
    /// The request for a task, or its newer version.
    pub(super) fn request(
        &self,
        claimed: &ClaimedEnvelope,
        task: &TaskRow,
        allowed: &Allowed<'_>,
    ) -> Result<Outgoing, Error> {
        let reach = allowed.reach(task, self.now)?;
        let mut parts = self.parts(claimed, task, allowed.decision.content)?;
        let by_channel = &task.detail.performers;
        let role = allowed
            .decision
            .channel
            .and_then(|one| by_channel.get(&one));
        parts.performer_role = role.copied().or(parts.performer_role);
        let action = match claimed.kind {
            EnvelopeKind::Revised => Action::Revised(reach),
            EnvelopeKind::Requested | EnvelopeKind::Cancelled => Action::Requested(reach),
        };
        self.outgoing(claimed, &parts, &action)
    }

    /// The cancellation of a task.
    pub(super) fn cancellation(
        &self,
        claimed: &ClaimedEnvelope,
        task: &TaskRow,
    ) -> Result<Outgoing, Error> {
        let reason = claimed
            .status_reason
            .as_deref()
            .and_then(StatusReason::from_name);
        let reason = reason.ok_or(no_word("task.statusReason"))?;
        let mut parts = self.parts(claimed, task, consent::ContentClass::C0)?;
        parts.due = claimed.expires_at;
        // Which of several it went to is not looked up: the task's id says which one it is.
        parts.performer_role = parts
            .performer_role
            .filter(|_| task.detail.performers.is_empty());
        self.outgoing(claimed, &parts, &Action::Cancelled(reason))
    }

    fn parts(
        &self,
        claimed: &ClaimedEnvelope,
        task: &TaskRow,
        content: consent::ContentClass,
    ) -> Result<Parts, Error> {
        let detail = &task.detail;
        Ok(Parts {
            message: claimed.id,
            tenant: self.tenant.to_owned(),
            task: task.id,
            version: u32::try_from(claimed.version).map_err(|_range| no_word("task.version"))?,
            code: detail.code,
            priority: detail.priority,
            authored_on: task.created_at,
            not_before: task.created_at,
            due: task.due_at,
            performer_role: Some(detail.performer),
            person: task.person,
            topics: task
                .told_topics()
                .into_iter()
                .map(|topic| told(topic, content))
                .collect::<Result<_, _>>()?,
            dedupe_key: task.key.iter().map(|byte| format!("{byte:02x}")).collect(),
            attempt: u8::try_from((claimed.attempts + 1).clamp(1, 10)).unwrap_or(1),
            correlation: claimed.message.unwrap_or(task.id),
            causation: claimed.message.unwrap_or(task.id),
            public_url: self.public_url.to_owned(),
            traceparent: self.traceparent.clone(),
        })
    }

    fn outgoing(
        &self,
        claimed: &ClaimedEnvelope,
        parts: &Parts,
        action: &Action,
    ) -> Result<Outgoing, Error> {
        let left = claimed.expires_at.duration_since(self.now);
        Ok(Outgoing {
            message_id: envelope::ulid(claimed.id),
            routing_key: claimed.routing_key.clone(),
            body: envelope::build(parts, action, self.now)?,
            expiration: left.try_into().ok(),
        })
    }
}

/// A reason as the message tells it: never more of it than the decision permits.
fn told(topic: &TaskTopic, permitted: consent::ContentClass) -> Result<Topic, Error> {
    let content = topic.content.min(permitted);
    let status = GapStatus::from_name(topic.gap_status.name());
    Ok(Topic {
        kind: topic.kind,
        content_class: ContentClass::from_name(content.name())
            .ok_or(no_word("topics.contentClass"))?,
        gap: status.map(|status| Gap {
            id: topic.finding,
            status,
            due: topic.gap_due,
        }),
    })
}

const fn no_word(field: &'static str) -> Error {
    Error::Field {
        field,
        expected: "a word of the task schema",
    }
}

/// Deferral codes are between careloop and its operators; the message names what permits it.
fn codes(decision: &Decision) -> Vec<String> {
    let codes = decision.reason_codes().into_iter();
    codes
        .filter(|code| !code.starts_with('T'))
        .map(ToOwned::to_owned)
        .collect()
}
