//! The envelope's shape: one struct per JSON object, with no field that could hold free text.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use serde::Serializer;
use uuid::Uuid;

use crate::care::PerformerRole;
use crate::care::TaskCode;
use crate::care::TopicKind;
use crate::consent::Channel;
use crate::consent::Obligation;
use crate::consent::Purpose;
use crate::crm::Priority;
use crate::outbox::envelope;
use crate::outbox::envelope::Parts;
use crate::outbox::envelope::Reach;
use crate::outbox::envelope::ulid;
use crate::outbox::schema;
use crate::outbox::words::ContentClass;
use crate::outbox::words::Decision;
use crate::outbox::words::GapStatus;
use crate::outbox::words::Need;
use crate::outbox::words::StatusReason;

/// Which of the three messages it is.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) status: &'static str,
    pub(super) reason: Option<StatusReason>,
}

/// An id, as ULID text.
struct Id(Uuid);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&ulid(self.0))
    }
}

/// A reference to a record of the CRM: a type and an id.
struct Reference(&'static str, Uuid);

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}/{}", self.0, ulid(self.1)))
    }
}

/// A CloudEvents 1.0 envelope in structured mode.
#[derive(Serialize)]
pub(super) struct Envelope<'a> {
    specversion: &'static str,
    id: Id,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    subject: Reference,
    time: Timestamp,
    datacontenttype: &'static str,
    dataschema: &'static str,
    tenant: &'a str,
    expirytime: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    task: Task,
    #[serde(rename = "for")]
    person: Reference,
    topics: Vec<Topic>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<Contact<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consent: Option<Consent<'a>>,
    dedupe: Dedupe<'a>,
    audit: Audit,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    id: Id,
    version: u32,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<StatusReason>,
    intent: &'static str,
    code: TaskCode,
    priority: Priority,
    authored_on: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    performer_role: Option<PerformerRole>,
    restriction: Restriction,
    #[serde(skip_serializing_if = "Option::is_none")]
    details_url: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Restriction {
    not_before: Timestamp,
    due: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Topic {
    kind: TopicKind,
    content_class: ContentClass,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap_id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap_status: Option<GapStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_date: Option<Date>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Contact<'a> {
    channel: Channel,
    recipient: Recipient,
    contact_point: Reference,
    language: &'a str,
    #[serde(skip_serializing_if = "<[Need]>::is_empty")]
    needs: &'a [Need],
}

#[derive(Serialize)]
struct Recipient {
    role: &'static str,
    #[serde(rename = "ref")]
    person: Reference,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Consent<'a> {
    decision_id: Id,
    decision: Decision,
    reason_codes: &'a [String],
    purpose: Purpose,
    evaluated_at: Timestamp,
    valid_until: Timestamp,
    window: Window<'a>,
    #[serde(skip_serializing_if = "<[Obligation]>::is_empty")]
    obligations: &'a [Obligation],
    policy_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recheck_url: Option<String>,
}

#[derive(Serialize)]
struct Window<'a> {
    from: Timestamp,
    to: Timestamp,
    tz: &'a str,
}

#[derive(Serialize)]
struct Dedupe<'a> {
    key: &'a str,
    attempt: u8,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Audit {
    correlation_id: Id,
    causation_id: Id,
}

impl<'a> Envelope<'a> {
    /// Lays the parts out; `envelope::build` has checked them.
    pub(super) fn new(
        parts: &'a Parts,
        kind: Kind,
        reach: Option<&'a Reach>,
        now: Timestamp,
    ) -> Self {
        Self {
            specversion: "1.0",
            id: Id(parts.message),
            source: format!("urn:careloop:{}", parts.tenant),
            kind: format!("org.careloop.outreach.task.{}.v1", kind.name),
            subject: Reference("Task", parts.task),
            time: now,
            datacontenttype: "application/json",
            dataschema: schema::OUTREACH_TASK,
            tenant: &parts.tenant,
            expirytime: parts.due,
            traceparent: parts.traceparent.as_deref(),
            data: Data {
                task: Task::new(parts, kind),
                person: Reference("Patient", parts.person),
                topics: parts.topics.iter().map(Topic::new).collect(),
                contact: reach.map(|reach| Contact::new(parts, reach)),
                consent: reach.map(|reach| Consent::new(parts, &reach.consent)),
                dedupe: Dedupe {
                    key: &parts.dedupe_key,
                    attempt: parts.attempt,
                },
                audit: Audit {
                    correlation_id: Id(parts.correlation),
                    causation_id: Id(parts.causation),
                },
            },
        }
    }
}

impl Task {
    fn new(parts: &Parts, kind: Kind) -> Self {
        Self {
            id: Id(parts.task),
            version: parts.version,
            status: kind.status,
            status_reason: kind.reason,
            intent: "order",
            code: parts.code,
            priority: parts.priority,
            authored_on: parts.authored_on,
            performer_role: parts.performer_role,
            restriction: Restriction {
                not_before: parts.not_before,
                due: parts.due,
            },
            details_url: link(&parts.public_url, "tasks", parts.task, "/content"),
        }
    }
}

impl Topic {
    fn new(topic: &envelope::Topic) -> Self {
        let gap = topic.gap;
        Self {
            kind: topic.kind,
            content_class: topic.content_class,
            gap_id: gap.map(|gap| Id(gap.id)),
            gap_status: gap.map(|gap| gap.status),
            due_date: gap.and_then(|gap| gap.due),
        }
    }
}

impl<'a> Contact<'a> {
    fn new(parts: &Parts, reach: &'a Reach) -> Self {
        let recipient = match reach.proxy {
            None => Recipient {
                role: "self",
                person: Reference("Patient", parts.person),
            },
            Some(id) => Recipient {
                role: "proxy",
                person: Reference("RelatedPerson", id),
            },
        };
        Self {
            channel: reach.channel,
            recipient,
            contact_point: Reference("ContactPoint", reach.contact_point),
            language: &reach.language,
            needs: &reach.needs,
        }
    }
}

impl<'a> Consent<'a> {
    fn new(parts: &Parts, consent: &'a envelope::Consent) -> Self {
        let window = &consent.window;
        Self {
            decision_id: Id(consent.id),
            decision: consent.decision,
            reason_codes: &consent.reason_codes,
            purpose: consent.purpose,
            evaluated_at: consent.evaluated_at,
            valid_until: consent.valid_until,
            window: Window {
                from: window.from,
                to: window.to,
                tz: &window.zone,
            },
            obligations: &consent.obligations,
            policy_version: &consent.policy_version,
            recheck_url: link(&parts.public_url, "consent-decisions", consent.id, ""),
        }
    }
}

/// A link for people with the right to look. An address with a query is not used: that would be
/// a place for data.
fn link(base: &str, place: &str, id: Uuid, part: &str) -> Option<String> {
    let is_plain = base.len() > "https://".len() && !base.contains(['?', '#', ' ']);
    (base.starts_with("https://") && is_plain).then(|| {
        format!(
            "{}/v1/{place}/{}{part}",
            base.trim_end_matches('/'),
            ulid(id)
        )
    })
}
