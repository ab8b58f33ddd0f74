//! Loads records, many at once: finds who is meant, follows merges, opens the cells.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::among;
use super::effects::{FindingRow, TaskRow};
use super::keys::{LOOKS, number, person_key_place};
use super::record::{ContactRow, Member, Record, at, mode_from};
use super::topics::StoredDetail;
use super::{Error, TenantKeys, Tx};
use crate::care::{FindingState, TaskState};
use crate::crm::Identifier;
use crate::vault::{Key, Place};

/// Records that are being read together, and where each member's rows belong.
pub(super) struct Gathered {
    pub(super) records: Vec<Record>,
    places: HashMap<Uuid, (usize, usize)>,
    /// Everybody whose rows are read, sorted.
    pub(super) people: Vec<Uuid>,
}

impl Gathered {
    fn of(records: Vec<Record>) -> Self {
        let mut places = HashMap::new();
        for (record, of) in records.iter().enumerate() {
            for (member, one) in of.members.iter().enumerate() {
                places.insert(one.person, (record, member));
            }
        }
        let mut people: Vec<Uuid> = places.keys().copied().collect();
        people.sort_unstable();
        Self {
            records,
            places,
            people,
        }
    }

    /// The record that a person's rows belong to. Nobody else was asked for.
    pub(super) fn record(&mut self, person: Uuid) -> Result<&mut Record, Error> {
        let place = self.places.get(&person).map(|(record, _)| *record);
        let found = place.and_then(|place| self.records.get_mut(place));
        found.ok_or(Error::Conflict)
    }

    pub(super) fn with_member(&mut self, person: Uuid) -> Result<(&mut Record, Member), Error> {
        let place = self.places.get(&person).map(|(_, member)| *member);
        let record = self.record(person)?;
        let member = place.and_then(|place| record.members.get(place)).cloned();
        Ok((record, member.ok_or(Error::Conflict)?))
    }

    /// Rows of merged people stand behind those of the survivor, as if read one after the other.
    fn finish(mut self) -> Vec<Record> {
        for record in self.records.iter_mut().filter(|one| one.members.len() > 1) {
            let places = &self.places;
            let place = |person: &Uuid| places.get(person).map(|(_, member)| *member);
            record.assertions.sort_by_person(place);
            record.contacts.sort_by_key(|row| place(&row.person));
            record.findings.sort_by_key(|row| place(&row.person));
            record.tasks.sort_by_key(|row| place(&row.person));
        }
        self.records
    }
}

/// Root, person, version, number of the person's key, and that key.
type WrappedMember = (Uuid, Uuid, i64, i64, Vec<u8>);

impl TenantKeys {
    /// The blind index of an identifier.
    pub fn identifier_index(&self, identifier: &Identifier) -> Vec<u8> {
        let assigner = identifier.assigner.as_deref().unwrap_or("");
        let kind = identifier.kind.as_deref().unwrap_or("");
        self.index
            .index("person_identifier", &[assigner, kind, &identifier.value])
    }
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
        self.keys.identifier_index(identifier)
    }

    /// The person that `person` is now, after merges.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn survivor(&mut self, person: Uuid) -> Result<Uuid, Error> {
        let survivors = self.survivors(&[person]).await?;
        Ok(survivors.get(&person).copied().unwrap_or(person))
    }

    /// The people that those of `people` are now who were merged into somebody. Merges are refused
    /// when they would close a circle; should there be one, nobody of it is in the answer.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn survivors(&mut self, people: &[Uuid]) -> Result<HashMap<Uuid, Uuid>, Error> {
        let mut asked = people.to_vec();
        asked.sort_unstable();
        asked.dedup();
        let found = among!(
            self,
            (Uuid, Uuid),
            "WITH RECURSIVE up (retired, survivor) AS (SELECT retired, survivor FROM person_link WHERE tenant = $1 AND until_at IS NULL AND retired = ANY($2) \
             UNION SELECT up.retired, link.survivor FROM up JOIN person_link AS link ON link.tenant = $1 AND link.retired = up.survivor AND link.until_at IS NULL) \
             SELECT retired, survivor FROM up WHERE NOT EXISTS (SELECT 1 FROM person_link AS link WHERE link.tenant = $1 AND link.retired = up.survivor AND link.until_at IS NULL)",
            &asked
        )?;
        Ok(found.into_iter().collect())
    }

    /// Everything known of a person, or `None` for an id that is not a person's.
    ///
    /// # Errors
    /// When the store is away or a cell does not open.
    pub async fn load(&mut self, person: Uuid, now: Timestamp) -> Result<Option<Record>, Error> {
        Ok(self.load_all(&[person], now).await?.pop())
    }

    /// Everything known of people, one record for each survivor of merges among them, sorted by
    /// person. It takes one statement a table, however many they are.
    ///
    /// # Errors
    /// When the store is away or a cell does not open.
    pub async fn load_all(
        &mut self,
        people: &[Uuid],
        now: Timestamp,
    ) -> Result<Vec<Record>, Error> {
        let survivors = self.survivors(people).await?;
        let roots: BTreeSet<Uuid> = people
            .iter()
            .map(|person| survivors.get(person).copied().unwrap_or(*person))
            .collect();
        if roots.is_empty() {
            return Ok(Vec::new());
        }
        let roots: Vec<Uuid> = roots.into_iter().collect();
        let mut all = Gathered::of(self.members(&roots).await?);
        if all.records.is_empty() {
            return Ok(Vec::new());
        }
        self.assertions(&mut all).await?;
        self.contacts(&mut all).await?;
        self.findings(&mut all).await?;
        self.tasks(&mut all).await?;
        self.permissions(&mut all, now).await?;
        Ok(all.finish())
    }

    /// A record for each of `roots`, with its members and nothing else.
    pub(super) async fn members(&mut self, roots: &[Uuid]) -> Result<Vec<Record>, Error> {
        let found = self.wrapped_members(roots).await?;
        let mut members: HashMap<Uuid, Vec<Member>> = HashMap::new();
        for (root, id, version, key_id, wrapped) in found {
            let outer = self.outer_key(&wrapped)?;
            let place = person_key_place(self.tenant, &id);
            let key = Key::unwrap(number(key_id), &wrapped, &outer, &place)?;
            members.entry(root).or_default().push(Member {
                person: id,
                version,
                key,
            });
        }
        let mut records = Vec::with_capacity(members.len());
        for root in roots {
            if let Some(mut members) = members.remove(root) {
                members.sort_by_key(|member| (member.person != *root, member.person));
                records.push(Record::of(*root, members));
            }
        }
        Ok(records)
    }

    /// Root, person, version, and the wrapped key whose tenant key is at hand.
    async fn wrapped_members(&mut self, roots: &[Uuid]) -> Result<Vec<WrappedMember>, Error> {
        for _ in 0..LOOKS {
            let found: Vec<WrappedMember> = among!(
                self,
                WrappedMember,
                "WITH RECURSIVE member (root, id) AS (SELECT id, id FROM person WHERE tenant = $1 AND id = ANY($2) \
             UNION SELECT member.root, link.retired FROM member JOIN person_link AS link ON link.tenant = $1 AND link.survivor = member.id AND link.until_at IS NULL) \
             SELECT member.root, person.id, person.version, person_key.id, person_key.wrapped FROM member \
             JOIN person ON person.tenant = $1 AND person.id = member.id \
             JOIN person_key ON person_key.tenant = $1 AND person_key.person = member.id",
                roots
            )?;
            let cells = found.iter().map(|(.., wrapped)| wrapped.as_slice());
            if self.can_unwrap(cells).await? {
                return Ok(found);
            }
        }
        Err(Error::Conflict)
    }

    async fn contacts(&mut self, all: &mut Gathered) -> Result<(), Error> {
        let found = among!(
            self,
            (Uuid, Uuid, Vec<u8>, i64, Option<i64>, Option<i64>, Vec<u8>),
            "SELECT person, id, value_index, rank, ended_at, wrong_at, cell FROM contact_point WHERE tenant = $1 AND person = ANY($2) ORDER BY rank, id",
            &all.people
        )?;
        for (person, id, value_index, rank, ended_at, wrong_at, cell) in found {
            let (record, member) = all.with_member(person)?;
            let place = self.place("contact_point", id.as_bytes());
            record.contacts.push(ContactRow {
                id,
                person,
                value_index,
                rank,
                ended_at: ended_at.map(at),
                wrong_at: wrong_at.map(at),
                contact: member.open(&place, &cell, "contact_point")?,
            });
        }
        Ok(())
    }

    async fn findings(&mut self, all: &mut Gathered) -> Result<(), Error> {
        let found = among!(
            self,
            StoredFinding,
            "SELECT person, id, key, rule_index, state, opened_at, changed_at, message, cell FROM finding WHERE tenant = $1 AND person = ANY($2) ORDER BY id",
            &all.people
        )?;
        for stored in found {
            let (record, member) = all.with_member(stored.person)?;
            let place = self.place("finding", stored.id.as_bytes());
            record.findings.push(FindingRow {
                id: stored.id,
                person: stored.person,
                key: stored.key,
                rule_index: stored.rule_index,
                state: FindingState::from_name(&stored.state)
                    .ok_or(Error::Form { table: "finding" })?,
                opened_at: at(stored.opened_at),
                changed_at: at(stored.changed_at),
                message: stored.message,
                rest: None,
                detail: member.open(&place, &stored.cell, "finding")?,
            });
        }
        self.rests(all).await
    }

    async fn tasks(&mut self, all: &mut Gathered) -> Result<(), Error> {
        let found = among!(
            self,
            StoredTask,
            "SELECT person, id, finding, key, version, state, mode, routing_key, created_at, changed_at, due_at, ask_at, released_at, message, decision, cell \
             FROM task WHERE tenant = $1 AND person = ANY($2) ORDER BY id",
            &all.people
        )?;
        for stored in found {
            let (record, member) = all.with_member(stored.person)?;
            record.tasks.push(self.task_of(&member, stored)?);
        }
        Ok(())
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
struct StoredFinding {
    person: Uuid,
    id: Uuid,
    key: Vec<u8>,
    rule_index: Vec<u8>,
    state: String,
    opened_at: i64,
    changed_at: i64,
    message: Option<Uuid>,
    cell: Vec<u8>,
}

#[derive(sqlx::FromRow)]
struct StoredTask {
    person: Uuid,
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
