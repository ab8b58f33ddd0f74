//! From a task and its decision to an envelope.

use jiff::Timestamp;
use uuid::Uuid;

use super::envelope::{self, Action, Consent, Error, Gap, Parts, Reach, Topic, Window};
use super::publisher::Outgoing;
use super::words;
use crate::consent::{Decision, Obligation};
use crate::store::{ClaimedEnvelope, TaskRow};

/// The language of a person who named none.
const DEFAULT_LANGUAGE: &str = "en";

/// What an envelope needs besides the task.
pub(super) struct Setting<'a> {
    pub(super) tenant: &'a str,
    pub(super) public_url: &'a str,
    pub(super) now: Timestamp,
}

/// A task that consent allows to leave now.
pub(super) struct Allowed<'a> {
    pub(super) id: Uuid,
    pub(super) decision: &'a Decision,
    pub(super) language: Option<&'a str>,
}

impl Setting<'_> {
    /// The request for a task.
    pub(super) fn request(
        &self,
        claimed: &ClaimedEnvelope,
        task: &TaskRow,
        allowed: &Allowed<'_>,
    ) -> Result<Outgoing, Error> {
        let decision = allowed.decision;
        let contact_point = decision.contact_point.ok_or(Error::Field {
            field: "contact.contactPoint",
            expected: "a contact point",
        })?;
        let channel = decision.channel.map(crate::consent::Channel::name);
        let until = decision.valid_until.unwrap_or(task.due_at);
        let reach = Reach {
            channel: word(words::Channel::parse, channel, "contact.channel")?,
            proxy: None,
            contact_point,
            language: allowed.language.unwrap_or(DEFAULT_LANGUAGE).to_owned(),
            needs: if decision.obligations.contains(&Obligation::UseInterpreter) {
                vec![words::Need::Interpreter]
            } else {
                Vec::new()
            },
            consent: Consent {
                id: allowed.id,
                decision: word(
                    words::Decision::parse,
                    Some(decision.result.name()),
                    "consent.decision",
                )?,
                reason_codes: codes(decision),
                purpose: word(
                    words::Purpose::parse,
                    Some(task.detail.purpose.name()),
                    "consent.purpose",
                )?,
                evaluated_at: self.now,
                valid_until: until,
                window: decision.window.as_ref().map_or_else(
                    || Window {
                        from: self.now,
                        to: until,
                        zone: "UTC".to_owned(),
                    },
                    |window| Window {
                        from: window.from,
                        to: window.to,
                        zone: window.zone.clone(),
                    },
                ),
                obligations: obligations(decision)?,
                policy_version: decision.policy_version.clone(),
            },
        };
        let action = if task.version > 1 {
            Action::Revised(reach)
        } else {
            Action::Requested(reach)
        };
        let mut parts = self.parts(claimed, task)?;
        parts.topic.content_class = word(
            words::ContentClass::parse,
            Some(decision.content.name()),
            "topic.contentClass",
        )?;
        self.outgoing(claimed, &parts, &action)
    }

    /// The cancellation of a task.
    pub(super) fn cancellation(
        &self,
        claimed: &ClaimedEnvelope,
        task: &TaskRow,
    ) -> Result<Outgoing, Error> {
        let reason = claimed.status_reason.as_deref();
        let reason = word(words::StatusReason::parse, reason, "task.statusReason")?;
        let mut parts = self.parts(claimed, task)?;
        parts.due = claimed.expires_at;
        self.outgoing(claimed, &parts, &Action::Cancelled(reason))
    }

    fn parts(&self, claimed: &ClaimedEnvelope, task: &TaskRow) -> Result<Parts, Error> {
        let detail = &task.detail;
        let content = detail.content.min(crate::consent::ContentClass::C2);
        Ok(Parts {
            message: claimed.id,
            tenant: self.tenant.to_owned(),
            task: task.id,
            version: u32::try_from(claimed.version).map_err(|_range| Error::Field {
                field: "task.version",
                expected: "from 1",
            })?,
            code: word(
                words::TaskCode::parse,
                Some(detail.code.name()),
                "task.code",
            )?,
            priority: word(
                words::Priority::parse,
                Some(detail.priority.name()),
                "task.priority",
            )?,
            authored_on: task.created_at,
            not_before: task.created_at,
            due: task.due_at,
            performer_role: words::PerformerRole::parse(detail.performer.name()),
            person: task.person,
            topic: Topic {
                kind: word(
                    words::TopicKind::parse,
                    Some(detail.topic.name()),
                    "topic.kind",
                )?,
                content_class: word(
                    words::ContentClass::parse,
                    Some(content.name()),
                    "topic.contentClass",
                )?,
                gap: words::GapStatus::parse(detail.gap_status.name()).map(|status| Gap {
                    id: task.finding,
                    status,
                    due: detail.gap_due,
                }),
            },
            dedupe_key: task.key.iter().map(|byte| format!("{byte:02x}")).collect(),
            attempt: u8::try_from((claimed.attempts + 1).clamp(1, 10)).unwrap_or(1),
            correlation: claimed.message.unwrap_or(task.id),
            causation: claimed.message.unwrap_or(task.id),
            public_url: self.public_url.to_owned(),
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

fn word<T>(
    parse: fn(&str) -> Option<T>,
    name: Option<&str>,
    field: &'static str,
) -> Result<T, Error> {
    name.and_then(parse).ok_or(Error::Field {
        field,
        expected: "a word of the task schema",
    })
}

/// Deferral codes are between careloop and its operators; the message names what permits it.
fn codes(decision: &Decision) -> Vec<String> {
    let codes = decision.reason_codes();
    codes
        .into_iter()
        .filter(|code| !code.starts_with('T'))
        .map(ToOwned::to_owned)
        .collect()
}

fn obligations(decision: &Decision) -> Result<Vec<words::Obligation>, Error> {
    decision
        .obligations
        .iter()
        .map(|duty| {
            word(
                words::Obligation::parse,
                Some(duty.name()),
                "consent.obligations",
            )
        })
        .collect()
}
