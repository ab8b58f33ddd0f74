//! Findings that rest after their task has ended, as rows.

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{among, row, run};
use super::load::Gathered;
use super::record::at;
use super::{Error, TaskFinding, Tx};
use crate::care::{Rest, RestReason};

impl Tx {
    /// Adds the rests of the findings that were loaded.
    pub(super) async fn rests(&mut self, all: &mut Gathered) -> Result<(), Error> {
        let found = among!(
            self,
            (Uuid, Uuid, String, i64, Option<i64>, i64),
            "SELECT person, finding, reason, since_at, until_at, raised FROM finding_rest WHERE tenant = $1 AND person = ANY($2)",
            &all.people
        )?;
        let form = || Error::Form {
            table: "finding_rest",
        };
        for (person, finding, reason, since, until, raised) in found {
            let rest = Rest {
                reason: RestReason::from_name(&reason).ok_or_else(form)?,
                since: at(since),
                until: until.map(at),
                raised: u32::try_from(raised).unwrap_or(u32::MAX),
            };
            let mut findings = all.record(person)?.findings.iter_mut();
            if let Some(row) = findings.find(|row| row.id == finding) {
                row.rest = Some(rest);
            }
        }
        Ok(())
    }

    /// Puts a finding of a task to rest, under the count of tasks that it had in vain before. What was
    /// answered later stands, in whichever order answers arrive.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn rest(
        &mut self,
        finding: &TaskFinding,
        reason: RestReason,
        (since, until): (Timestamp, Timestamp),
    ) -> Result<(), Error> {
        let before = self.rest_before(finding.id).await?;
        if before.is_some_and(|(_, last)| last > since) {
            return Ok(());
        }
        let raised = before.map_or(0, |(raised, _)| raised);
        let rest = Rest::new(reason, (since, until), raised);
        self.put_rest((finding.person, finding.id), &rest).await
    }

    async fn rest_before(&mut self, finding: Uuid) -> Result<Option<(u32, Timestamp)>, Error> {
        let found = row!(
            self,
            (i64, i64),
            "SELECT raised, since_at FROM finding_rest WHERE tenant = $1 AND finding = $2",
            finding
        )?;
        Ok(found.map(|(raised, since)| (u32::try_from(raised).unwrap_or(u32::MAX), at(since))))
    }

    /// Puts a finding to rest, or changes its rest.
    ///
    /// # Errors
    /// When the store is away.
    pub(super) async fn put_rest(
        &mut self,
        (person, finding): (Uuid, Uuid),
        rest: &Rest,
    ) -> Result<(), Error> {
        run!(
            self,
            "INSERT INTO finding_rest (tenant, finding, person, reason, since_at, until_at, raised) VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (tenant, finding) DO UPDATE SET reason = excluded.reason, since_at = excluded.since_at, until_at = excluded.until_at, raised = excluded.raised",
            finding,
            person,
            rest.reason.name(),
            rest.since.as_microsecond(),
            rest.until.map(Timestamp::as_microsecond),
            i64::from(rest.raised)
        )?;
        Ok(())
    }
}
