//! What operators read: tasks with their reasons, a person with everything that points to them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::dialect::{row, rows, run};
use super::record::at;
use super::{AuditEntry, Error, Record, Store, TenantId, Tx};
use crate::phi::Phi;

/// A task in a list: ids, states and reasons, no name, number or diagnosis.
#[derive(Clone, Debug, Serialize)]
pub struct TaskListing {
    /// Its id.
    pub id: String,
    /// The person's id.
    pub person: String,
    /// Where it stands.
    pub state: String,
    /// The mode it was made in.
    pub mode: String,
    /// Its version.
    pub version: i64,
    /// Where it goes.
    pub routing_key: String,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// When it is due (RFC 3339).
    pub due_at: String,
    /// The latest decision: `allow`, `defer`, `deny`, …
    pub decision: Option<String>,
    /// Its reason codes.
    pub reason_codes: Vec<String>,
    /// Why, in plain words.
    pub reason: Option<String>,
    /// When it may be tried next (RFC 3339).
    pub next_allowed_at: Option<String>,
}

/// How many tasks are withheld or deferred for a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WithheldCount {
    /// `withheld`, `deferred` or `observed`.
    pub state: String,
    /// The reason code.
    pub reason: String,
    /// How many.
    pub count: i64,
}

/// A person's record, for a named operator with a purpose.
pub struct PersonDocument {
    /// The person.
    pub id: Uuid,
    /// Everything that is known.
    pub record: Phi<Record>,
    /// Identifiers, opened.
    pub identifiers: Phi<Vec<crate::crm::Identifier>>,
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: Uuid,
    person: Uuid,
    state: String,
    mode: String,
    version: i64,
    routing_key: String,
    created_at: i64,
    due_at: i64,
    result: Option<String>,
    reason_codes: Option<String>,
    sentence: Option<String>,
    next_allowed_at: Option<i64>,
}

impl Stored {
    fn open(self) -> TaskListing {
        TaskListing {
            id: self.id.to_string(),
            person: self.person.to_string(),
            state: self.state,
            mode: self.mode,
            version: self.version,
            routing_key: self.routing_key,
            created_at: at(self.created_at).to_string(),
            due_at: at(self.due_at).to_string(),
            decision: self.result,
            reason_codes: words(self.reason_codes),
            reason: self.sentence,
            next_allowed_at: self.next_allowed_at.map(|micros| at(micros).to_string()),
        }
    }
}

fn words(joined: Option<String>) -> Vec<String> {
    joined
        .unwrap_or_default()
        .split_whitespace()
        .map(ToOwned::to_owned)
        .collect()
}

impl Store {
    /// Tasks, the newest first, optionally of one state or one person.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn task_list(
        &self,
        tenant: TenantId,
        state: Option<&str>,
        person: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<TaskListing>, Error> {
        let mut tx = self.read(tenant).await?;
        let found = rows!(
            tx,
            Stored,
            "SELECT task.id, task.person, task.state, task.mode, task.version, task.routing_key, task.created_at, task.due_at, \
             decision.result, decision.reason_codes, decision.sentence, decision.next_allowed_at FROM task \
             LEFT JOIN consent_decision AS decision ON decision.tenant = $1 AND decision.id = task.decision \
             WHERE task.tenant = $1 AND ($2 IS NULL OR task.state = $2) AND ($3 IS NULL OR task.person = $3) ORDER BY task.id DESC LIMIT $4",
            state,
            person,
            i64::from(limit)
        )?;
        Ok(found.into_iter().map(Stored::open).collect())
    }

    /// One task as lists show it.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn task_listing(
        &self,
        tenant: TenantId,
        id: Uuid,
    ) -> Result<Option<TaskListing>, Error> {
        let mut tx = self.read(tenant).await?;
        let found = row!(
            tx,
            Stored,
            "SELECT task.id, task.person, task.state, task.mode, task.version, task.routing_key, task.created_at, task.due_at, \
             decision.result, decision.reason_codes, decision.sentence, decision.next_allowed_at FROM task \
             LEFT JOIN consent_decision AS decision ON decision.tenant = $1 AND decision.id = task.decision \
             WHERE task.tenant = $1 AND task.id = $2",
            id
        )?;
        Ok(found.map(Stored::open))
    }

    /// Totals of tasks that did not leave, by reason.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn withheld(&self, tenant: TenantId) -> Result<Vec<WithheldCount>, Error> {
        let mut tx = self.read(tenant).await?;
        let found = rows!(
            tx,
            (String, Option<String>, i64),
            "SELECT task.state, decision.reason_codes, count(*) FROM task \
             LEFT JOIN consent_decision AS decision ON decision.tenant = $1 AND decision.id = task.decision \
             WHERE task.tenant = $1 AND task.state IN ('withheld', 'deferred', 'observed', 'expired') GROUP BY task.state, decision.reason_codes"
        )?;
        let mut totals: BTreeMap<(String, String), i64> = BTreeMap::new();
        for (state, codes, count) in found {
            // A task that is only observed stayed for its mode, whatever consent would have said.
            let codes = if state == "observed" {
                Vec::new()
            } else {
                words(codes)
            };
            let reasons = if codes.is_empty() {
                vec!["mode".to_owned()]
            } else {
                codes
            };
            for reason in reasons {
                *totals.entry((state.clone(), reason)).or_default() += count;
            }
        }
        Ok(totals
            .into_iter()
            .map(|((state, reason), count)| WithheldCount {
                state,
                reason,
                count,
            })
            .collect())
    }

    /// A person with everything known, for a named operator; the reading is audited first.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn person(
        &self,
        tenant: TenantId,
        id: Uuid,
        entry: &AuditEntry,
        now: Timestamp,
    ) -> Result<Option<PersonDocument>, Error> {
        let mut tx = self.write(tenant).await?;
        tx.audit(entry).await?;
        let Some(record) = tx.load(id, now).await? else {
            return Ok(None);
        };
        let mut identifiers = Vec::new();
        for member in &record.members {
            identifiers.extend(tx.identifiers_of(member).await?);
        }
        tx.commit().await?;
        let id = record.person;
        Ok(Some(PersonDocument {
            id,
            record: Phi::new(record),
            identifiers: Phi::new(identifiers),
        }))
    }

    /// Includes a person in pilot mode by name of id, or takes them out.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn set_pilot(
        &self,
        tenant: TenantId,
        person: Uuid,
        included: bool,
        entry: &AuditEntry,
    ) -> Result<(), Error> {
        let mut tx = self.write(tenant).await?;
        if included {
            run!(
                tx,
                "INSERT INTO pilot_person (tenant, person, since_at, operator) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, person) DO NOTHING",
                person,
                entry.at.as_microsecond(),
                entry.actor.as_str()
            )?;
        } else {
            run!(
                tx,
                "DELETE FROM pilot_person WHERE tenant = $1 AND person = $2",
                person
            )?;
        }
        tx.ask_again(person, entry.at).await?;
        tx.audit(entry).await?;
        tx.commit().await
    }

    /// People, the oldest first, by id only.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn person_ids(&self, tenant: TenantId, limit: u32) -> Result<Vec<Uuid>, Error> {
        let mut tx = self.read(tenant).await?;
        let found = rows!(
            tx,
            (Uuid,),
            "SELECT id FROM person WHERE tenant = $1 ORDER BY id LIMIT $2",
            i64::from(limit)
        )?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }

    /// Sets when the calendar looks at a person next.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn set_next_check(
        &self,
        tenant: TenantId,
        person: Uuid,
        at: Option<Timestamp>,
    ) -> Result<(), Error> {
        let mut tx = self.write(tenant).await?;
        run!(
            tx,
            "UPDATE person SET next_check_at = $3 WHERE tenant = $1 AND id = $2",
            person,
            at.map(Timestamp::as_microsecond)
        )?;
        tx.commit().await
    }

    /// Has the calendar look at everybody with an observed task: the mode may be another one now.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn look_at_observed(&self, tenant: TenantId, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.write(tenant).await?;
        run!(
            tx,
            "UPDATE person SET next_check_at = $2 WHERE tenant = $1 AND id IN (SELECT person FROM task WHERE tenant = $1 AND state = 'observed')",
            now.as_microsecond()
        )?;
        tx.commit().await
    }

    /// People whose calendar says that they are to be looked at, at most `limit`.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn due_people(
        &self,
        tenant: TenantId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Uuid>, Error> {
        let mut tx = self.read(tenant).await?;
        let found = rows!(
            tx,
            (Uuid,),
            "SELECT id FROM person WHERE tenant = $1 AND next_check_at IS NOT NULL AND next_check_at <= $2 ORDER BY next_check_at LIMIT $3",
            now.as_microsecond(),
            i64::from(limit)
        )?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }
}

impl Tx {
    /// How many tasks of people who are not named pilot mode released since `since`.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn pilot_released(&mut self, since: Timestamp) -> Result<u32, Error> {
        let found = row!(
            self,
            (i64,),
            "SELECT count(*) FROM task WHERE tenant = $1 AND mode = 'pilot' AND released_at >= $2 \
             AND NOT EXISTS (SELECT 1 FROM pilot_person WHERE pilot_person.tenant = $1 AND pilot_person.person = task.person)",
            since.as_microsecond()
        )?;
        Ok(found
            .and_then(|(count,)| u32::try_from(count).ok())
            .unwrap_or(0))
    }
}
