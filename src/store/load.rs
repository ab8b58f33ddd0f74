//! Loads a person's record: finds who is meant, follows merges, opens the cells.

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{row, rows};
use super::effects::{FindingRow, TaskRow};
use super::record::{AssertionCell, ContactRow, Member, Record, assertion_row, at, mode_from};
use super::topics::StoredDetail;
use super::{Error, Tx};
use crate::care::{FindingState, TaskState};
use crate::crm::{Assertion, Group, Identifier};
use crate::vault::{Key, KeyId, Place};

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

    pub(super) async fn members(&mut self, person: Uuid) -> Result<Vec<Member>, Error> {
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
            let AssertionCell {
                key,
                marks,
                payload,
            } = member.open(&self.place("assertion", &row), &cell, "assertion")?;
            let group = Group::from_name(&group).ok_or(Error::Form { table: "assertion" })?;
            let event_time = at(event_time);
            assertions.push(Assertion {
                person: member.person,
                group,
                source,
                key,
                event_time,
                message,
                marks,
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
        let place = self.place("task", stored.id.as_bytes());
        let detail: StoredDetail = member.open(&place, &stored.cell, "task")?;
        let times = (at(stored.created_at), at(stored.due_at));
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
            detail: detail
                .open(stored.finding, times)
                .ok_or(Error::Form { table: "task" })?,
            id: stored.id,
        })
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
