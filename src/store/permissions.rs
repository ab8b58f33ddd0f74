//! Loads what decides about contact: consent entries, opt-outs, holds, and what was sent.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::dialect::among;
use super::load::Gathered;
use super::record::{Lift, at};
use super::{Error, Tx};
use crate::consent::{Channel, ContentClass, Entry, Hold, OptOut, Purpose, Sent};

impl Tx {
    /// Adds the permissions of everybody in the records.
    pub(super) async fn permissions(
        &mut self,
        all: &mut Gathered,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.entries(all, now).await?;
        self.opt_outs(all).await?;
        let holds = among!(
            self,
            (Uuid, String),
            "SELECT person, reason FROM outreach_hold WHERE tenant = $1 AND person = ANY($2) AND (until_at IS NULL OR until_at > $3)",
            &all.people,
            now.as_microsecond()
        )?;
        for (person, reason) in holds {
            let hold = Hold::from_name(&reason);
            all.record(person)?.holds.push(hold.ok_or(Error::Form {
                table: "outreach_hold",
            })?);
        }
        self.lifts(all).await?;
        self.sent(all, now).await?;
        self.sent_to_sharers(all, now).await?;
        let pilots = among!(
            self,
            (Uuid,),
            "SELECT person FROM pilot_person WHERE tenant = $1 AND person = ANY($2)",
            &all.people
        )?;
        for (person,) in pilots {
            all.record(person)?.is_pilot = true;
        }
        Ok(())
    }

    /// What holds at once when it is recorded has begun, and what is withdrawn has ended, even where
    /// the clock of the process that wrote it is ahead of this one's.
    async fn entries(&mut self, all: &mut Gathered, now: Timestamp) -> Result<(), Error> {
        let entries = among!(
            self,
            StoredEntry,
            "SELECT person, id, channel, purpose, content_class, permit, valid_from, valid_until, recorded_at, revoked_at, method, operator \
             FROM consent_entry WHERE tenant = $1 AND person = ANY($2) ORDER BY id",
            &all.people
        )?;
        for entry in entries {
            let record = all.record(entry.person)?;
            let mut entry = entry.open()?;
            entry.revoked_at = entry.revoked_at.map(|at| at.min(now));
            if entry.from <= entry.recorded_at {
                entry.from = entry.from.min(now);
            }
            record.entries.push(entry);
        }
        Ok(())
    }

    /// Opt-outs of the people, and of everybody with whom a number is shared.
    async fn opt_outs(&mut self, all: &mut Gathered) -> Result<(), Error> {
        let found = among!(
            self,
            (Uuid, Uuid, Option<Vec<u8>>, Option<String>, i64),
            "SELECT person, id, value_index, channel, at FROM opt_out WHERE tenant = $1 AND person = ANY($2) \
             UNION SELECT contact_point.person, opt_out.id, opt_out.value_index, opt_out.channel, opt_out.at FROM contact_point \
             JOIN opt_out ON opt_out.tenant = $1 AND opt_out.value_index = contact_point.value_index \
             WHERE contact_point.tenant = $1 AND contact_point.person = ANY($2)",
            &all.people
        )?;
        for (person, _, contact, channel, since) in found {
            let opt_out = opt_out(contact, channel, since)?;
            all.record(person)?.opt_outs.push(opt_out);
        }
        Ok(())
    }

    /// Restrictions that were read and lifted.
    async fn lifts(&mut self, all: &mut Gathered) -> Result<(), Error> {
        let found = among!(
            self,
            (Uuid, Uuid, i64, String, Vec<u8>),
            "SELECT person, id, at, operator, cell FROM restriction_lift WHERE tenant = $1 AND person = ANY($2) ORDER BY at",
            &all.people
        )?;
        for (person, id, since, operator, cell) in found {
            let (record, member) = all.with_member(person)?;
            let place = self.place("restriction_lift", id.as_bytes());
            record.lifts.push(Lift {
                id,
                at: at(since),
                operator,
                detail: member.open(&place, &cell, "restriction_lift")?,
            });
        }
        Ok(())
    }

    /// Opt-outs of contact points, whoever has them, by their blind index.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn opt_outs_of(
        &mut self,
        contacts: &[Vec<u8>],
    ) -> Result<HashMap<Vec<u8>, Vec<OptOut>>, Error> {
        let found = among!(
            self,
            (Vec<u8>, Option<String>, i64),
            "SELECT value_index, channel, at FROM opt_out WHERE tenant = $1 AND value_index = ANY($2)",
            contacts
        )?;
        let mut opted: HashMap<Vec<u8>, Vec<OptOut>> = HashMap::new();
        for (contact, channel, since) in found {
            let opt_out = opt_out(Some(contact.clone()), channel, since)?;
            opted.entry(contact).or_default().push(opt_out);
        }
        Ok(opted)
    }

    /// What was sent in the last seven days, slots that are reserved, and contacts that the CRM
    /// told of. A task takes one slot, whatever versions it has; contacts take its place, each one.
    async fn sent(&mut self, all: &mut Gathered, now: Timestamp) -> Result<(), Error> {
        let week = now - SignedDuration::from_hours(7 * 24);
        let sent = among!(
            self,
            (Uuid, Uuid, Uuid, i64, String, Option<Uuid>),
            "SELECT person, task, task, coalesce(sent_at, due_at), channel, contact_point FROM outbox WHERE tenant = $1 AND person = ANY($2) \
             AND kind <> 'cancelled' AND state IN ('waiting', 'publishing', 'sent') AND channel IS NOT NULL AND coalesce(sent_at, due_at) >= $3 \
             AND NOT EXISTS (SELECT 1 FROM outbox AS newer WHERE newer.tenant = $1 AND newer.task = outbox.task AND newer.version > outbox.version \
             AND newer.kind <> 'cancelled' AND newer.state IN ('waiting', 'publishing', 'sent')) \
             AND NOT EXISTS (SELECT 1 FROM contact_attempt AS made WHERE made.tenant = $1 AND made.task = outbox.task) \
             UNION SELECT person, id, task, at, channel, contact_point FROM contact_attempt WHERE tenant = $1 AND person = ANY($2) AND at >= $3 \
             UNION SELECT shared.person, made.id, made.task, made.at, made.channel, made.contact_point FROM contact_attempt AS made \
             JOIN contact_point AS shared ON shared.tenant = $1 AND shared.value_index = made.value_index WHERE made.tenant = $1 AND shared.person = ANY($2) AND made.at >= $3",
            &all.people,
            week.as_microsecond()
        )?;
        for (person, id, task, when, channel, contact) in sent {
            let channel = Channel::from_name(&channel).ok_or(Error::Form { table: "outbox" })?;
            let sent = Sent {
                at: at(when),
                channel,
                contact,
                shared: false,
            };
            // One contact is one, also where two records of the person have the number.
            let record = all.record(person)?;
            if !record.sent.iter().any(|(known, _)| *known == id) {
                record.sent.push((id, sent));
                if id != task {
                    record.contacts_made.push((id, task));
                }
            }
        }
        Ok(())
    }

    /// What left for others in the last seven days to a contact point that the person has, too. A
    /// slot that others only reserved does not count: who publishes first takes it. Contacts made
    /// there take the slot's place, as they do for the others themselves.
    async fn sent_to_sharers(&mut self, all: &mut Gathered, now: Timestamp) -> Result<(), Error> {
        for (person, task, sent) in self.shared_slots(&all.people, now).await? {
            all.record(person)?.sent.push((task, sent));
        }
        Ok(())
    }

    /// What left for others to a contact point of these people: whose point, and which task.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn taken_by_sharers(
        &mut self,
        people: &[Uuid],
        now: Timestamp,
    ) -> Result<Vec<(Uuid, Uuid)>, Error> {
        let slots = self.shared_slots(people, now).await?.into_iter();
        Ok(slots.map(|(person, task, _)| (person, task)).collect())
    }

    async fn shared_slots(
        &mut self,
        people: &[Uuid],
        now: Timestamp,
    ) -> Result<Vec<(Uuid, Uuid, Sent)>, Error> {
        let week = now - SignedDuration::from_hours(7 * 24);
        let sent = among!(
            self,
            (Uuid, Uuid, i64, String, Uuid),
            "SELECT mine.person, outbox.task, coalesce(outbox.sent_at, outbox.due_at), outbox.channel, mine.id FROM contact_point AS mine \
             JOIN contact_point AS theirs ON theirs.tenant = $1 AND theirs.value_index = mine.value_index AND theirs.person <> mine.person \
             JOIN outbox ON outbox.tenant = $1 AND outbox.contact_point = theirs.id \
             WHERE mine.tenant = $1 AND mine.person = ANY($2) AND outbox.kind = 'requested' AND outbox.state IN ('publishing', 'sent') \
             AND outbox.channel IS NOT NULL AND coalesce(outbox.sent_at, outbox.due_at) >= $3 \
             AND NOT EXISTS (SELECT 1 FROM contact_attempt AS made WHERE made.tenant = $1 AND made.task = outbox.task AND made.value_index = mine.value_index)",
            people,
            week.as_microsecond()
        )?;
        let slot = |(person, task, when, channel, contact): (Uuid, Uuid, i64, String, Uuid)| {
            let channel = Channel::from_name(&channel).ok_or(Error::Form { table: "outbox" })?;
            let sent = Sent {
                at: at(when),
                channel,
                contact: Some(contact),
                shared: true,
            };
            Ok((person, task, sent))
        };
        sent.into_iter().map(slot).collect()
    }

    /// Locks people, and everybody with whom they share a contact point, in the order in which
    /// everybody locks them: two who publish to one number meet here.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn lock_sharers(&mut self, people: &[Uuid]) -> Result<(), Error> {
        let sharing = among!(
            self,
            (Uuid,),
            "SELECT DISTINCT theirs.person FROM contact_point AS mine \
             JOIN contact_point AS theirs ON theirs.tenant = $1 AND theirs.value_index = mine.value_index \
             WHERE mine.tenant = $1 AND mine.person = ANY($2)",
            people
        )?;
        let mut all = people.to_vec();
        all.extend(sharing.into_iter().map(|(person,)| person));
        self.lock_in_order(all).await
    }
}

/// A word that this version does not know must not end an opt-out, so it is an error.
fn opt_out(contact: Option<Vec<u8>>, channel: Option<String>, since: i64) -> Result<OptOut, Error> {
    let channel = channel
        .map(|name| Channel::from_name(&name).ok_or(Error::Form { table: "opt_out" }))
        .transpose()?;
    Ok(OptOut {
        contact,
        channel,
        at: at(since),
    })
}

#[derive(sqlx::FromRow)]
struct StoredEntry {
    person: Uuid,
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
