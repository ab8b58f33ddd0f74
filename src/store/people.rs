//! Writes what is said of people, many rows at a time: rows, keys, identifiers, contacts.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::many;
use super::effects::Effects;
use super::keys::person_key_place;
use super::record::{ContactRow, Member};
use super::{Error, Tx};

/// An identifier to be learned.
struct Learned<'a> {
    index: Vec<u8>,
    person: Uuid,
    cell: Vec<u8>,
    source: &'a str,
}

impl Tx {
    /// Makes new people and takes known ones in the version they were read in, in sorted order.
    pub(super) async fn take_people(
        &mut self,
        all: &[&Effects],
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut members: BTreeMap<Uuid, &Member> = BTreeMap::new();
        for member in all.iter().flat_map(|effects| &effects.members) {
            let known = members.entry(member.person).or_insert(member);
            if known.version != member.version {
                return Err(Error::Conflict);
            }
        }
        let (new, known): (Vec<&Member>, Vec<&Member>) = members
            .into_values()
            .partition(|member| member.version == 0);
        let touched = many!(
            self,
            "UPDATE person SET version = version + 1 FROM (VALUES ($2, $3)) AS given WHERE tenant = $1 AND id = given.column1 AND version = given.column2",
            &known,
            |member| member.person,
            member.version
        );
        if usize::try_from(touched).ok() != Some(known.len()) {
            return Err(Error::Conflict);
        }
        many!(
            self,
            "INSERT INTO person (tenant, id, created_at) VALUES ($1, $2, $3)",
            &new,
            |member| member.person,
            now.as_microsecond()
        );
        if new.is_empty() {
            return Ok(());
        }
        let outer = self.sealing_key().await?;
        let mut keys = Vec::with_capacity(new.len());
        for member in new {
            let place = person_key_place(self.tenant, &member.person);
            let wrapped = member.key.wrap(&outer, &place)?;
            keys.push((member.person, i64::from(member.key.id().0), wrapped));
        }
        many!(
            self,
            "INSERT INTO person_key (tenant, person, id, wrapped, created_at) VALUES ($1, $2, $3, $4, $5)",
            &keys,
            |key| key.0,
            key.1,
            key.2.as_slice(),
            now.as_microsecond()
        );
        Ok(())
    }

    /// An identifier belongs to whom it came to first; that another writer was faster is a conflict.
    pub(super) async fn add_identifiers(
        &mut self,
        all: &[&Effects],
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut learned = Vec::new();
        let mut seen: HashSet<(Vec<u8>, Uuid)> = HashSet::new();
        for effects in all {
            for (person, identifier, source) in &effects.identifiers {
                let index = self.identifier_index(identifier);
                if !seen.insert((index.clone(), *person)) {
                    continue;
                }
                let place = self.place("person_identifier", &index);
                let cell = effects.member(*person)?.seal(&place, identifier)?;
                let person = *person;
                learned.push(Learned {
                    index,
                    person,
                    cell,
                    source,
                });
            }
        }
        learned.sort_by(|a, b| a.index.cmp(&b.index));
        let touched = many!(
            self,
            "INSERT INTO person_identifier (tenant, value_index, person, cell, source, created_at) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (tenant, value_index) DO NOTHING",
            &learned,
            |one| one.index.as_slice(),
            one.person,
            one.cell.as_slice(),
            one.source,
            now.as_microsecond()
        );
        if usize::try_from(touched).ok() == Some(learned.len()) {
            return Ok(());
        }
        for one in &learned {
            self.check_owner(one).await?;
        }
        Ok(())
    }

    async fn check_owner(&mut self, one: &Learned<'_>) -> Result<(), Error> {
        let Some(owner) = self.owner_of(&one.index).await? else {
            return Err(Error::Conflict);
        };
        if owner == one.person || self.survivor(owner).await? == self.survivor(one.person).await? {
            Ok(())
        } else {
            Err(Error::Taken)
        }
    }

    pub(super) async fn put_contacts(&mut self, all: &[&Effects]) -> Result<(), Error> {
        let mut sealed: Vec<(&ContactRow, Vec<u8>)> = Vec::new();
        let mut seen: HashSet<Uuid> = HashSet::new();
        for effects in all.iter().rev() {
            for contact in effects.contacts.iter().rev() {
                if !seen.insert(contact.id) {
                    continue;
                }
                let place = self.place("contact_point", contact.id.as_bytes());
                let cell = effects
                    .member(contact.person)?
                    .seal(&place, &contact.contact)?;
                sealed.push((contact, cell));
            }
        }
        many!(
            self,
            "INSERT INTO contact_point (tenant, id, person, value_index, rank, ended_at, cell) VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (tenant, id) DO UPDATE SET rank = excluded.rank, ended_at = excluded.ended_at, wrong_at = CASE WHEN excluded.ended_at IS NULL THEN contact_point.wrong_at END, cell = excluded.cell",
            &sealed,
            |one| one.0.id,
            one.0.person,
            one.0.value_index.as_slice(),
            one.0.rank,
            one.0.ended_at.map(Timestamp::as_microsecond),
            one.1.as_slice()
        );
        Ok(())
    }
}
