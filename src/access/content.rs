//! What a task is about, for whoever works it: one shape, each field of which is disclosed.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use uuid::Uuid;

use super::test_task::{TEST_FAMILY, TEST_PURPOSE};
use crate::care::{TaskCode, TopicKind};
use crate::consent::{Channel, Code, ContentClass, Decision, Limit, Obligation, Outcome, Purpose};
use crate::crm::{ContactSystem, Demographics, Name, Priority};
use crate::outbox::envelope::ulid;
use crate::outbox::words::Need;
use crate::store::{ContactRow, Record, TaskRow, TestTask};

/// The names of the fields, as disclosures list them.
pub(super) const FIELDS: &[&str] = &["name", "contact", "language", "needs", "reasons"];

/// BCP 47 for a language that is not known; the coordinator has to find out.
const UNKNOWN_LANGUAGE: &str = "und";

/// What is told instead of a specially protected reason.
const PROTECTED: &str = "The reason is specially protected; it is in the patient's record only.";

/// What a task is about.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    task: Task,
    person: Person,
    contact: Reach,
    reasons: Vec<Reason>,
    limits: Limits,
    obligations: Vec<Obligation>,
    consent: Consent,
    checked_at: Timestamp,
}

#[derive(Serialize)]
struct Task {
    id: String,
    version: i64,
    code: TaskCode,
    priority: Priority,
    due: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Person {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    crm_id: Option<String>,
    name: FullName,
}

#[derive(Serialize)]
struct FullName {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<String>,
    given: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reach {
    channel: Channel,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_point: Option<Point>,
    language: String,
    needs: Vec<Need>,
}

#[derive(Serialize)]
struct Point {
    id: String,
    system: ContactSystem,
    value: String,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
}

#[derive(Serialize)]
struct Reason {
    kind: TopicKind,
    sentence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<Date>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    content_class: ContentClass,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<Window>,
    valid_until: Timestamp,
    caps: Vec<Limit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_contact: Option<Timestamp>,
}

#[derive(Serialize)]
struct Window {
    from: Timestamp,
    to: Timestamp,
    tz: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Consent {
    decision_id: String,
    decision: &'static str,
    reason_codes: Vec<&'static str>,
    purpose: Purpose,
    policy_version: String,
}

/// What an answer is made of, all as of one moment.
pub(super) struct Known<'a> {
    pub(super) record: &'a Record,
    pub(super) task: &'a TaskRow,
    pub(super) demographics: &'a Demographics,
    pub(super) crm_id: Option<String>,
    pub(super) decision: (Uuid, &'a Decision),
    pub(super) caps: Vec<Limit>,
    /// Where the task's own contacts have used a cap up: when it lets the next one through.
    pub(super) next_contact: Option<Timestamp>,
    pub(super) now: Timestamp,
}

impl Content {
    /// Lays out what is known; `None` where the decision names no channel.
    pub(super) fn of(known: Known<'_>) -> Option<Self> {
        let (id, decision) = known.decision;
        let task = known.task;
        let channel = decision.channel?;
        let point = decision
            .contact_point
            .and_then(|id| known.record.contacts.iter().find(|row| row.id == id));
        let language = known.demographics.language.as_deref();
        let interpreter = decision.obligations.contains(&Obligation::UseInterpreter);
        Some(Self {
            task: Task {
                id: ulid(task.id),
                version: task.version,
                code: task.detail.code,
                priority: task.detail.priority,
                due: task.due_at,
            },
            person: Person {
                id: format!("Patient/{}", ulid(known.record.person)),
                crm_id: known.crm_id,
                name: full_name(&known.demographics.names),
            },
            contact: Reach {
                channel,
                contact_point: point.map(Point::of),
                language: language.unwrap_or(UNKNOWN_LANGUAGE).to_owned(),
                needs: interpreter
                    .then_some(Need::Interpreter)
                    .into_iter()
                    .collect(),
            },
            reasons: reasons(known.record, task),
            limits: Limits {
                content_class: decision.content,
                window: decision.window.as_ref().map(|window| Window {
                    from: window.from,
                    to: window.to,
                    tz: window.zone.clone(),
                }),
                valid_until: decision.valid_until.unwrap_or(task.due_at),
                caps: known.caps,
                next_contact: known.next_contact,
            },
            obligations: decision.obligations.clone(),
            consent: Consent {
                decision_id: ulid(id),
                decision: decision.result.name(),
                reason_codes: decision.reason_codes(),
                purpose: task.detail.purpose,
                policy_version: decision.policy_version.clone(),
            },
            checked_at: known.now,
        })
    }
}

impl Content {
    /// The content of a test task: fixed words about a person who is not there, at a number that is
    /// nobody's.
    pub(super) fn of_test(task: &TestTask, policy: &str, now: Timestamp) -> Self {
        let given = "Careloop-Check";
        Self {
            task: Task {
                id: ulid(task.id),
                version: 1,
                code: TaskCode::OutreachCall,
                priority: Priority::Routine,
                due: task.ends_at,
            },
            person: Person {
                id: format!("Patient/{}", ulid(task.person)),
                crm_id: None,
                name: FullName {
                    text: format!("{given} {TEST_FAMILY}"),
                    family: Some(TEST_FAMILY.to_owned()),
                    given: vec![given.to_owned()],
                },
            },
            contact: Reach {
                channel: Channel::PhoneLive,
                contact_point: Some(Point {
                    id: format!("ContactPoint/{}", ulid(task.contact_point)),
                    system: ContactSystem::Phone,
                    value: "(555)555-0100".to_owned(),
                    usage: None,
                }),
                language: "en".to_owned(),
                needs: Vec::new(),
            },
            reasons: vec![Reason {
                kind: TopicKind::General,
                sentence:
                    "A test of careloop and the CRM: there is no such person; contact nobody."
                        .to_owned(),
                due: None,
            }],
            limits: Limits {
                content_class: ContentClass::C0,
                window: None,
                valid_until: task.ends_at,
                caps: Vec::new(),
                next_contact: None,
            },
            obligations: Vec::new(),
            consent: Consent {
                decision_id: ulid(task.decision),
                decision: Outcome::Allow.name(),
                reason_codes: vec![Code::Allowed.name()],
                purpose: TEST_PURPOSE,
                policy_version: policy.to_owned(),
            },
            checked_at: now,
        }
    }
}

impl Point {
    fn of(row: &ContactRow) -> Self {
        Self {
            id: format!("ContactPoint/{}", ulid(row.id)),
            system: row.contact.system,
            value: row.contact.value.clone(),
            usage: row.contact.usage.clone(),
        }
    }
}

/// Why the person is contacted, a sentence for each topic of the task.
fn reasons(record: &Record, task: &TaskRow) -> Vec<Reason> {
    let reasons = record.reasons(task).into_iter();
    reasons
        .map(|reason| Reason {
            kind: reason.topic.kind,
            sentence: match reason.topic.content {
                ContentClass::C3 => PROTECTED.to_owned(),
                ContentClass::C0 | ContentClass::C1 | ContentClass::C2 => {
                    reason.sentence().to_owned()
                }
            },
            due: reason.topic.gap_due,
        })
        .collect()
}

/// The name to ask for: the official or usual one, and no former one.
fn full_name(names: &[Name]) -> FullName {
    let place = |name: &Name| match name.usage.as_deref() {
        Some("usual") => 0,
        Some("official") => 1,
        None => 2,
        Some("old" | "maiden") => 9,
        Some(_) => 3,
    };
    let name = names.iter().min_by_key(|name| place(name));
    let family = name.and_then(|name| name.family.clone());
    let given = name.map(|name| name.given.clone()).unwrap_or_default();
    let parts: Vec<&str> = given
        .iter()
        .map(String::as_str)
        .chain(family.as_deref())
        .collect();
    FullName {
        text: parts.join(" "),
        family,
        given,
    }
}
