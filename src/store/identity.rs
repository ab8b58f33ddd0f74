//! Whose an identifier is, and links between people: made, ended, never moved.

use std::collections::HashMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{among, many, row, rows, run};
use super::effects::{Assignment, Effects, NewLink};
use super::record::{Member, at};
use super::{Error, Tx};
use crate::crm::Identifier;

/// Who is reached by identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Whose identifier it is.
    pub owner: Uuid,
    /// Who that is now, after merges.
    pub person: Uuid,
}

/// A merge in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRow {
    /// Its id.
    pub id: Uuid,
    /// Who went.
    pub retired: Uuid,
    /// Who stayed.
    pub survivor: Uuid,
    /// Since when.
    pub since_at: Timestamp,
    /// The message that said so.
    pub message: Option<Uuid>,
    /// The operator who said so.
    pub made_by: Option<String>,
}

impl Tx {
    /// The people, after merges, whom identifiers reach; each once.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn find_people(&mut self, identifiers: &[Identifier]) -> Result<Vec<Uuid>, Error> {
        let mut found = Vec::new();
        for Owner { person, .. } in self.find_owners(identifiers).await? {
            if !found.contains(&person) {
                found.push(person);
            }
        }
        Ok(found)
    }

    /// Whose the identifiers are, each owner once, with who that is after merges.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn find_owners(&mut self, identifiers: &[Identifier]) -> Result<Vec<Owner>, Error> {
        let indexes: Vec<Vec<u8>> = identifiers
            .iter()
            .map(|identifier| self.identifier_index(identifier))
            .collect();
        let known = self.owners_of(&indexes).await?;
        let mut found: Vec<Owner> = Vec::new();
        for owner in indexes.iter().filter_map(|index| known.get(index)) {
            if !found.iter().any(|known| known.owner == owner.owner) {
                found.push(*owner);
            }
        }
        Ok(found)
    }

    /// Whose blind indexes of identifiers are, with who that is after merges.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn owners_of(
        &mut self,
        indexes: &[Vec<u8>],
    ) -> Result<HashMap<Vec<u8>, Owner>, Error> {
        if indexes.is_empty() {
            return Ok(HashMap::new());
        }
        let found = among!(
            self,
            (Vec<u8>, Uuid),
            "SELECT own.value_index, coalesce(assigned.person, own.person) FROM person_identifier AS own \
             LEFT JOIN identifier_assignment AS assigned ON assigned.tenant = $1 AND assigned.value_index = own.value_index AND assigned.until_at IS NULL \
             WHERE own.tenant = $1 AND own.value_index = ANY($2)",
            indexes
        )?;
        let people: Vec<Uuid> = found.iter().map(|(_, owner)| *owner).collect();
        let survivors = self.survivors(&people).await?;
        let owner = |owner: Uuid| Owner {
            owner,
            person: survivors.get(&owner).copied().unwrap_or(owner),
        };
        Ok(found
            .into_iter()
            .map(|(index, person)| (index, owner(person)))
            .collect())
    }

    /// Whose an identifier is: who it was assigned to last, else who it came to first.
    pub(super) async fn owner_of(&mut self, index: &[u8]) -> Result<Option<Uuid>, Error> {
        let found = row!(
            self,
            (Uuid,),
            "SELECT coalesce(assigned.person, own.person) FROM person_identifier AS own \
             LEFT JOIN identifier_assignment AS assigned ON assigned.tenant = $1 AND assigned.value_index = own.value_index AND assigned.until_at IS NULL \
             WHERE own.tenant = $1 AND own.value_index = $2",
            index
        )?;
        Ok(found.map(|(person,)| person))
    }

    /// The identifiers that are a member's now. A cell stays under the key of who had the
    /// identifier first, so those that came from elsewhere are opened with that key.
    pub(super) async fn identifiers_of(
        &mut self,
        member: &Member,
    ) -> Result<Vec<Identifier>, Error> {
        let found = rows!(
            self,
            (Vec<u8>, Vec<u8>, Uuid),
            "SELECT own.value_index, own.cell, own.person FROM person_identifier AS own \
             LEFT JOIN identifier_assignment AS assigned ON assigned.tenant = $1 AND assigned.value_index = own.value_index AND assigned.until_at IS NULL \
             WHERE own.tenant = $1 AND (assigned.person = $2 OR (own.person = $2 AND assigned.person IS NULL))",
            member.person
        )?;
        let mut identifiers = Vec::with_capacity(found.len());
        for (index, cell, owner) in found {
            let place = self.place("person_identifier", &index);
            if owner == member.person {
                identifiers.push(member.open(&place, &cell, "person_identifier")?);
                continue;
            }
            let others = self.members(&[owner]).await?;
            let mut others = others.iter().flat_map(|record| &record.members);
            let first = others.find(|other| other.person == owner);
            if let Some(first) = first {
                let place = self.place("person_identifier", &index);
                identifiers.push(first.open(&place, &cell, "person_identifier")?);
            }
        }
        Ok(identifiers)
    }

    /// Gives an identifier to another person, unless a newer event gave it to somebody already.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn assign_identifier(
        &mut self,
        assignment: &Assignment,
        now: Timestamp,
    ) -> Result<(), Error> {
        let index = self.identifier_index(&assignment.identifier);
        if self.owner_of(&index).await? == Some(assignment.person) {
            return Ok(());
        }
        let newer = row!(
            self,
            (i64,),
            "SELECT count(*) FROM identifier_assignment WHERE tenant = $1 AND value_index = $2 AND event_time > $3",
            index.as_slice(),
            assignment.event_time.as_microsecond()
        )?;
        if newer.is_some_and(|(count,)| count > 0) {
            return Ok(());
        }
        run!(
            self,
            "UPDATE identifier_assignment SET until_at = $3 WHERE tenant = $1 AND value_index = $2 AND until_at IS NULL",
            index.as_slice(),
            now.as_microsecond()
        )?;
        run!(
            self,
            "INSERT INTO identifier_assignment (tenant, id, value_index, person, event_time, since_at, message, made_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            Uuid::now_v7(),
            index.as_slice(),
            assignment.person,
            assignment.event_time.as_microsecond(),
            now.as_microsecond(),
            assignment.message,
            assignment.made_by.as_str()
        )?;
        Ok(())
    }

    /// When the newest event was that gave identifiers to somebody, by blind index.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn last_assigned(
        &mut self,
        indexes: &[Vec<u8>],
    ) -> Result<HashMap<Vec<u8>, Timestamp>, Error> {
        if indexes.is_empty() {
            return Ok(HashMap::new());
        }
        let found = among!(
            self,
            (Vec<u8>, i64),
            "SELECT value_index, max(event_time) FROM identifier_assignment WHERE tenant = $1 AND value_index = ANY($2) GROUP BY value_index",
            indexes
        )?;
        Ok(found
            .into_iter()
            .map(|(index, last)| (index, at(last)))
            .collect())
    }

    pub(super) async fn link(&mut self, link: &NewLink, now: Timestamp) -> Result<(), Error> {
        run!(
            self,
            "INSERT INTO person_link (tenant, id, retired, survivor, since_at, message, made_by) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            Uuid::now_v7(),
            link.retired,
            link.survivor,
            now.as_microsecond(),
            link.message,
            link.made_by.as_deref()
        )?;
        Ok(())
    }

    /// The merge in force by which a person went.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn link_of(&mut self, retired: Uuid) -> Result<Option<LinkRow>, Error> {
        let found = row!(
            self,
            StoredLink,
            "SELECT id, retired, survivor, since_at, message, made_by FROM person_link WHERE tenant = $1 AND retired = $2 AND until_at IS NULL",
            retired
        )?;
        Ok(found.map(StoredLink::open))
    }

    /// Merges in force, the newest first.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn links(&mut self, limit: u32) -> Result<Vec<LinkRow>, Error> {
        let found = rows!(
            self,
            StoredLink,
            "SELECT id, retired, survivor, since_at, message, made_by FROM person_link WHERE tenant = $1 AND until_at IS NULL ORDER BY since_at DESC, id LIMIT $2",
            i64::from(limit)
        )?;
        Ok(found.into_iter().map(StoredLink::open).collect())
    }

    /// Ends a merge; `false` where it had ended before.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn end_link(
        &mut self,
        link: Uuid,
        ended_by: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let touched = run!(
            self,
            "UPDATE person_link SET until_at = $3, ended_by = $4 WHERE tenant = $1 AND id = $2 AND until_at IS NULL",
            link,
            now.as_microsecond(),
            ended_by
        )?;
        Ok(touched == 1)
    }

    /// Has people compared with others whose demographics changed.
    pub(super) async fn compare_later(
        &mut self,
        all: &[&Effects],
        now: Timestamp,
    ) -> Result<(), Error> {
        let changed: Vec<Uuid> = all
            .iter()
            .filter(|effects| effects.is_to_be_compared)
            .filter_map(|effects| effects.people().next())
            .collect();
        many!(
            self,
            "INSERT INTO identity_check (tenant, person, since_at) VALUES ($1, $2, $3) ON CONFLICT (tenant, person) DO NOTHING",
            &changed,
            |person| *person,
            now.as_microsecond()
        );
        Ok(())
    }
}

#[derive(sqlx::FromRow)]
struct StoredLink {
    id: Uuid,
    retired: Uuid,
    survivor: Uuid,
    since_at: i64,
    message: Option<Uuid>,
    made_by: Option<String>,
}

impl StoredLink {
    fn open(self) -> LinkRow {
        LinkRow {
            id: self.id,
            retired: self.retired,
            survivor: self.survivor,
            since_at: at(self.since_at),
            message: self.message,
            made_by: self.made_by,
        }
    }
}
