//! Everything that is known of one person, loaded and opened: assertions, contact points, findings,
//! tasks, consents. People that were merged into the person are members of the record.

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::dialect::{row, rows};
use super::effects::{FindingRow, TaskRow};
use super::{Error, Tx};
use crate::care::{FindingState, TaskState};
use crate::config::Mode;
use crate::consent::{Channel, ContactPoint, ContentClass, Entry, Hold, OptOut, Purpose, Sent};
use crate::crm::{Assertion, Contact, Group, Identifier, Payload};
use crate::vault::{Key, KeyId, Place, open, seal};

/// A person's own row and key.
#[derive(Clone)]
pub struct Member {
    /// Whose.
    pub person: Uuid,
    /// The version that was read; 0 for one that is not stored yet.
    pub version: i64,
    pub(super) key: Key,
}

impl Member {
    /// A new person with a fresh key.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(person: Uuid) -> Result<Self, Error> {
        Ok(Self {
            person,
            version: 0,
            key: Key::generate(KeyId(1))?,
        })
    }

    pub(super) fn seal<T: Serialize>(
        &self,
        place: &Place<'_>,
        value: &T,
    ) -> Result<Vec<u8>, Error> {
        let plain =
            serde_json::to_vec(value).map_err(|_unwritable| Error::Form { table: "cell" })?;
        Ok(seal(&self.key, place, &plain)?)
    }

    pub(super) fn open<T: DeserializeOwned>(
        &self,
        place: &Place<'_>,
        cell: &[u8],
        table: &'static str,
    ) -> Result<T, Error> {
        let plain = open(&self.key, place, cell)?;
        serde_json::from_slice(&plain).map_err(|_other_form| Error::Form { table })
    }
}

/// A contact point as stored.
#[derive(Clone)]
pub struct ContactRow {
    /// Its id, which tasks name.
    pub id: Uuid,
    /// Whose.
    pub person: Uuid,
    /// Blind index of the value; equal for everybody who shares it.
    pub value_index: Vec<u8>,
    /// The lowest is tried first.
    pub rank: i64,
    /// When it stopped being current.
    pub ended_at: Option<Timestamp>,
    /// What it is.
    pub contact: Contact,
}

/// Everything known of one person.
pub struct Record {
    /// The person, the survivor of all merges.
    pub person: Uuid,
    /// The person and those merged into it; the person first.
    pub members: Vec<Member>,
    /// What sources said.
    pub assertions: Vec<Assertion>,
    /// Contact points.
    pub contacts: Vec<ContactRow>,
    /// Findings.
    pub findings: Vec<FindingRow>,
    /// Tasks.
    pub tasks: Vec<TaskRow>,
    /// Consent entries.
    pub entries: Vec<Entry>,
    /// Opt-outs, those of shared numbers included.
    pub opt_outs: Vec<OptOut>,
    /// Holds in force.
    pub holds: Vec<Hold>,
    /// What was sent or is about to be in the last seven days.
    pub sent: Vec<(Uuid, Sent)>,
    /// Whether pilot mode includes the person by name.
    pub is_pilot: bool,
}

impl Record {
    /// A record of nobody yet.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(person: Uuid) -> Result<Self, Error> {
        Ok(Self {
            person,
            members: vec![Member::new(person)?],
            assertions: Vec::new(),
            contacts: Vec::new(),
            findings: Vec::new(),
            tasks: Vec::new(),
            entries: Vec::new(),
            opt_outs: Vec::new(),
            holds: Vec::new(),
            sent: Vec::new(),
            is_pilot: false,
        })
    }

    /// Adds the record of a person that is being merged into this one.
    pub fn absorb(&mut self, other: Self) {
        self.members.extend(other.members);
        self.assertions.extend(other.assertions);
        self.contacts.extend(other.contacts);
        self.findings.extend(other.findings);
        self.tasks.extend(other.tasks);
        self.entries.extend(other.entries);
        self.opt_outs.extend(other.opt_outs);
        self.holds.extend(other.holds);
        self.sent.extend(other.sent);
        self.is_pilot |= other.is_pilot;
    }

    /// The contact points as consent looks at them.
    pub fn contact_points(&self) -> Vec<ContactPoint> {
        self.contacts
            .iter()
            .map(|row| ContactPoint {
                id: row.id,
                key: row.value_index.clone(),
                system: row.contact.system,
                usage: row.contact.usage.clone(),
                rank: u32::try_from(row.rank).unwrap_or(u32::MAX),
                ended: row.ended_at.is_some(),
            })
            .collect()
    }
}

/// What an assertion's cell holds.
#[derive(Serialize, Deserialize)]
pub(super) struct AssertionCell {
    pub(super) key: String,
    pub(super) payload: Payload,
}

pub(super) fn at(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub(super) const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "observe",
        Mode::Pilot => "pilot",
        Mode::Live => "live",
    }
}

pub(super) fn mode_from(name: &str) -> Mode {
    match name {
        "live" => Mode::Live,
        "pilot" => Mode::Pilot,
        _ => Mode::Observe,
    }
}

/// The row key of an assertion's cell.
pub(super) fn assertion_row(person: Uuid, group: &str, source: &str, index: &[u8]) -> Vec<u8> {
    let mut row = person.as_bytes().to_vec();
    for part in [group.as_bytes(), source.as_bytes(), index] {
        row.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        row.extend_from_slice(part);
    }
    row
}

impl Tx {
    pub(super) fn place<'a>(&self, table: &'a str, row: &'a [u8]) -> Place<'a> {
        Place {
            tenant: self.tenant.0,
            table,
            column: "cell",
            row,
        }
    }

    /// The blind index of an identifier.
    pub fn identifier_index(&self, identifier: &Identifier) -> Vec<u8> {
        let assigner = identifier.assigner.as_deref().unwrap_or("");
        let kind = identifier.kind.as_deref().unwrap_or("");
        self.keys
            .index
            .index("person_identifier", &[assigner, kind, &identifier.value])
    }

    /// The people, after merges, whom identifiers reach; each once.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn find_people(&mut self, identifiers: &[Identifier]) -> Result<Vec<Uuid>, Error> {
        let mut found = Vec::new();
        for identifier in identifiers {
            let index = self.identifier_index(identifier);
            let person = row!(
                self,
                (Uuid,),
                "SELECT person FROM person_identifier WHERE tenant = $1 AND value_index = $2",
                index.as_slice()
            )?;
            if let Some((person,)) = person {
                let survivor = self.survivor(person).await?;
                if !found.contains(&survivor) {
                    found.push(survivor);
                }
            }
        }
        Ok(found)
    }

    /// The person that `person` is now, after merges.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn survivor(&mut self, person: Uuid) -> Result<Uuid, Error> {
        let mut current = person;
        // Merges are refused when they would close a circle; the bound is a second lock.
        for _ in 0..64 {
            let next = row!(
                self,
                (Uuid,),
                "SELECT survivor FROM person_link WHERE tenant = $1 AND retired = $2 AND until_at IS NULL",
                current
            )?;
            match next {
                Some((survivor,)) => current = survivor,
                None => break,
            }
        }
        Ok(current)
    }

    /// Everything known of a person, or `None` for an id that is not a person's.
    ///
    /// # Errors
    /// When the store is away or a cell does not open.
    pub async fn load(&mut self, person: Uuid, now: Timestamp) -> Result<Option<Record>, Error> {
        let person = self.survivor(person).await?;
        let members = self.members(person).await?;
        if members.is_empty() {
            return Ok(None);
        }
        let mut record = Record {
            members,
            ..Record::new(person)?
        };
        for member in record.members.clone() {
            let of = &member;
            record.assertions.extend(self.assertions(of).await?);
            record.contacts.extend(self.contacts(of).await?);
            record.findings.extend(self.findings(of).await?);
            record.tasks.extend(self.tasks(of).await?);
            self.permissions(of.person, now, &mut record).await?;
        }
        Ok(Some(record))
    }

    async fn members(&mut self, person: Uuid) -> Result<Vec<Member>, Error> {
        let found = rows!(
            self,
            (Uuid, i64, i64, Vec<u8>),
            "WITH RECURSIVE member (id) AS (SELECT id FROM person WHERE tenant = $1 AND id = $2 \
             UNION SELECT link.retired FROM person_link AS link JOIN member ON link.survivor = member.id WHERE link.tenant = $1 AND link.until_at IS NULL) \
             SELECT person.id, person.version, person_key.id, person_key.wrapped FROM member \
             JOIN person ON person.tenant = $1 AND person.id = member.id \
             JOIN person_key ON person_key.tenant = $1 AND person_key.person = member.id",
            person
        )?;
        let mut members = Vec::with_capacity(found.len());
        for (id, version, key_id, wrapped) in found {
            let key_id = KeyId(u32::try_from(key_id).unwrap_or(0));
            let place = Place {
                tenant: self.tenant.0,
                table: "person_key",
                column: "wrapped",
                row: id.as_bytes(),
            };
            let key = Key::unwrap(key_id, &wrapped, &self.keys.tenant, &place)?;
            members.push(Member {
                person: id,
                version,
                key,
            });
        }
        members.sort_by_key(|member| member.person != person);
        Ok(members)
    }

    async fn assertions(&mut self, member: &Member) -> Result<Vec<Assertion>, Error> {
        let found = rows!(
            self,
            (String, String, Vec<u8>, i64, Uuid, Vec<u8>),
            "SELECT field_group, source, key_index, event_time, message, cell FROM assertion WHERE tenant = $1 AND person = $2",
            member.person
        )?;
        let mut assertions = Vec::with_capacity(found.len());
        for (group, source, index, event_time, message, cell) in found {
            let row = assertion_row(member.person, &group, &source, &index);
            let AssertionCell { key, payload } =
                member.open(&self.place("assertion", &row), &cell, "assertion")?;
            let group = Group::from_name(&group).ok_or(Error::Form { table: "assertion" })?;
            let event_time = at(event_time);
            assertions.push(Assertion {
                person: member.person,
                group,
                source,
                key,
                event_time,
                message,
                payload,
            });
        }
        Ok(assertions)
    }

    async fn contacts(&mut self, member: &Member) -> Result<Vec<ContactRow>, Error> {
        let found = rows!(
            self,
            (Uuid, Vec<u8>, i64, Option<i64>, Vec<u8>),
            "SELECT id, value_index, rank, ended_at, cell FROM contact_point WHERE tenant = $1 AND person = $2 ORDER BY rank, id",
            member.person
        )?;
        let mut contacts = Vec::with_capacity(found.len());
        for (id, value_index, rank, ended_at, cell) in found {
            let contact = member.open(
                &self.place("contact_point", id.as_bytes()),
                &cell,
                "contact_point",
            )?;
            let ended_at = ended_at.map(at);
            contacts.push(ContactRow {
                id,
                person: member.person,
                value_index,
                rank,
                ended_at,
                contact,
            });
        }
        Ok(contacts)
    }

    async fn findings(&mut self, member: &Member) -> Result<Vec<FindingRow>, Error> {
        let found = rows!(
            self,
            (
                Uuid,
                Vec<u8>,
                Vec<u8>,
                String,
                i64,
                i64,
                Option<Uuid>,
                Vec<u8>
            ),
            "SELECT id, key, rule_index, state, opened_at, changed_at, message, cell FROM finding WHERE tenant = $1 AND person = $2",
            member.person
        )?;
        let mut findings = Vec::with_capacity(found.len());
        for (id, key, rule_index, state, opened_at, changed_at, message, cell) in found {
            findings.push(FindingRow {
                id,
                person: member.person,
                key,
                rule_index,
                state: FindingState::from_name(&state).ok_or(Error::Form { table: "finding" })?,
                opened_at: at(opened_at),
                changed_at: at(changed_at),
                message,
                detail: member.open(&self.place("finding", id.as_bytes()), &cell, "finding")?,
            });
        }
        Ok(findings)
    }

    async fn tasks(&mut self, member: &Member) -> Result<Vec<TaskRow>, Error> {
        let found = rows!(
            self,
            StoredTask,
            "SELECT id, finding, key, version, state, mode, routing_key, created_at, changed_at, due_at, ask_at, released_at, message, decision, cell \
             FROM task WHERE tenant = $1 AND person = $2 ORDER BY id",
            member.person
        )?;
        found
            .into_iter()
            .map(|stored| self.task_of(member, stored))
            .collect()
    }

    fn task_of(&self, member: &Member, stored: StoredTask) -> Result<TaskRow, Error> {
        Ok(TaskRow {
            person: member.person,
            finding: stored.finding,
            key: stored.key,
            version: stored.version,
            state: TaskState::from_name(&stored.state).ok_or(Error::Form { table: "task" })?,
            mode: mode_from(&stored.mode),
            routing_key: stored.routing_key,
            created_at: at(stored.created_at),
            changed_at: at(stored.changed_at),
            due_at: at(stored.due_at),
            ask_at: stored.ask_at.map(at),
            released_at: stored.released_at.map(at),
            message: stored.message,
            decision: stored.decision,
            detail: member.open(
                &self.place("task", stored.id.as_bytes()),
                &stored.cell,
                "task",
            )?,
            id: stored.id,
        })
    }

    async fn permissions(
        &mut self,
        person: Uuid,
        now: Timestamp,
        record: &mut Record,
    ) -> Result<(), Error> {
        self.entries(person, now, record).await?;
        self.opt_outs(person, record).await?;
        let holds = rows!(
            self,
            (String,),
            "SELECT reason FROM outreach_hold WHERE tenant = $1 AND person = $2 AND (until_at IS NULL OR until_at > $3)",
            person,
            now.as_microsecond()
        )?;
        for (reason,) in holds {
            let hold = Hold::from_name(&reason);
            record.holds.push(hold.ok_or(Error::Form { table: "outreach_hold" })?);
        }
        self.sent(person, now, record).await?;
        let pilot = row!(
            self,
            (i64,),
            "SELECT since_at FROM pilot_person WHERE tenant = $1 AND person = $2",
            person
        )?;
        record.is_pilot |= pilot.is_some();
        Ok(())
    }

    /// What holds at once when it is recorded has begun, and what is withdrawn has ended, even where
    /// the clock of the process that wrote it is ahead of this one's.
    async fn entries(
        &mut self,
        person: Uuid,
        now: Timestamp,
        record: &mut Record,
    ) -> Result<(), Error> {
        let entries = rows!(
            self,
            StoredEntry,
            "SELECT id, channel, purpose, content_class, permit, valid_from, valid_until, recorded_at, revoked_at, method, operator \
             FROM consent_entry WHERE tenant = $1 AND person = $2",
            person
        )?;
        for entry in entries {
            let mut entry = entry.open()?;
            entry.revoked_at = entry.revoked_at.map(|at| at.min(now));
            if entry.from <= entry.recorded_at {
                entry.from = entry.from.min(now);
            }
            record.entries.push(entry);
        }
        Ok(())
    }

    /// Opt-outs of the person, and of everybody with whom a number is shared.
    async fn opt_outs(&mut self, person: Uuid, record: &mut Record) -> Result<(), Error> {
        let found = rows!(
            self,
            (Option<Vec<u8>>, Option<String>, i64),
            "SELECT value_index, channel, at FROM opt_out WHERE tenant = $1 AND (person = $2 OR value_index IN (\
             SELECT value_index FROM contact_point WHERE tenant = $1 AND person = $2))",
            person
        )?;
        for (contact, channel, since) in found {
            let channel = channel
                .map(|name| Channel::from_name(&name).ok_or(Error::Form { table: "opt_out" }))
                .transpose()?;
            record.opt_outs.push(OptOut { contact, channel, at: at(since) });
        }
        Ok(())
    }

    /// What was sent in the last seven days, and slots that are reserved.
    async fn sent(
        &mut self,
        person: Uuid,
        now: Timestamp,
        record: &mut Record,
    ) -> Result<(), Error> {
        let week = now - SignedDuration::from_hours(7 * 24);
        let sent = rows!(
            self,
            (Uuid, i64, String, Option<Uuid>),
            "SELECT task, coalesce(sent_at, due_at), channel, contact_point FROM outbox WHERE tenant = $1 AND person = $2 \
             AND kind = 'requested' AND state IN ('waiting', 'publishing', 'sent') AND channel IS NOT NULL AND coalesce(sent_at, due_at) >= $3",
            person,
            week.as_microsecond()
        )?;
        for (task, when, channel, contact) in sent {
            let channel = Channel::from_name(&channel).ok_or(Error::Form { table: "outbox" })?;
            record.sent.push((task, Sent { at: at(when), channel, contact }));
        }
        Ok(())
    }
}

#[derive(sqlx::FromRow)]
struct StoredTask {
    id: Uuid,
    finding: Uuid,
    key: Vec<u8>,
    version: i64,
    state: String,
    mode: String,
    routing_key: String,
    created_at: i64,
    changed_at: i64,
    due_at: i64,
    ask_at: Option<i64>,
    released_at: Option<i64>,
    message: Option<Uuid>,
    decision: Option<Uuid>,
    cell: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct StoredEntry {
    id: Uuid,
    channel: Option<String>,
    purpose: Option<String>,
    content_class: Option<String>,
    permit: bool,
    valid_from: i64,
    valid_until: Option<i64>,
    recorded_at: i64,
    revoked_at: Option<i64>,
    method: String,
    operator: String,
}

impl StoredEntry {
    /// A word that this version does not know must not widen a permission, so it is an error.
    fn open(self) -> Result<Entry, Error> {
        let form = || Error::Form {
            table: "consent_entry",
        };
        let channel = self
            .channel
            .map(|name| Channel::from_name(&name).ok_or_else(form));
        let purpose = self
            .purpose
            .map(|name| Purpose::from_name(&name).ok_or_else(form));
        let content = self
            .content_class
            .map(|name| ContentClass::from_name(&name).ok_or_else(form));
        Ok(Entry {
            id: self.id,
            channel: channel.transpose()?,
            purpose: purpose.transpose()?,
            content: content.transpose()?,
            permit: self.permit,
            from: at(self.valid_from),
            until: self.valid_until.map(at),
            recorded_at: at(self.recorded_at),
            revoked_at: self.revoked_at.map(at),
            method: self.method,
            source: self.operator,
        })
    }
}
