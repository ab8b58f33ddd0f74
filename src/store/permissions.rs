//! Loads what decides about contact: consent entries, opt-outs, holds, and what was sent.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::dialect::{row, rows};
use super::record::{Lift, Record, at};
use super::{Error, Tx};
use crate::consent::{Channel, ContentClass, Entry, Hold, OptOut, Purpose, Sent};

impl Tx {
    /// Adds a member's permissions to the record.
    pub(super) async fn permissions(
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
            record.holds.push(hold.ok_or(Error::Form {
                table: "outreach_hold",
            })?);
        }
        self.lifts(person, record).await?;
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
            record.opt_outs.push(OptOut {
                contact,
                channel,
                at: at(since),
            });
        }
        Ok(())
    }

    /// Restrictions that were read and lifted.
    async fn lifts(&mut self, person: Uuid, record: &mut Record) -> Result<(), Error> {
        let found = rows!(
            self,
            (Uuid, i64, String, Vec<u8>),
            "SELECT id, at, operator, cell FROM restriction_lift WHERE tenant = $1 AND person = $2 ORDER BY at",
            person
        )?;
        for (id, since, operator, cell) in found {
            let members = record.members.iter();
            let member = members.clone().find(|member| member.person == person);
            let member = member.ok_or(Error::Conflict)?;
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
            record.sent.push((
                task,
                Sent {
                    at: at(when),
                    channel,
                    contact,
                },
            ));
        }
        Ok(())
    }
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
