//! Writes effects: every row of one message, or none of them.

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{row, run};
use super::effects::{DecisionRow, Effects, FindingRow, NewEnvelope, TaskRow, Withdrawal};
use super::record::{Member, mode_name};
use super::{AuditEntry, Error, Tx};
use crate::crm::Assertion;

impl Tx {
    /// Writes everything, of many messages at once where they speak of different people: table by
    /// table, so that a batch takes few statements. People are locked in sorted order and must
    /// still be in the version they were read in.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody changed a person in between: read and decide again.
    pub async fn apply(&mut self, all: &[&Effects], now: Timestamp) -> Result<(), Error> {
        self.take_people(all, now).await?;
        // Before the identifiers: those of a retired record are the survivor's from here on.
        for link in all.iter().flat_map(|effects| &effects.links) {
            self.link(link, now).await?;
        }
        for assignment in all.iter().flat_map(|effects| &effects.assignments) {
            self.assign_identifier(assignment, now).await?;
        }
        self.add_identifiers(all, now).await?;
        for assertion in all.iter().flat_map(|effects| &effects.retracted) {
            self.retract(assertion).await?;
        }
        self.put_assertions(all).await?;
        self.put_contacts(all).await?;
        self.compare_later(all, now).await?;
        for effects in all {
            self.apply_care(effects, now).await?;
        }
        let audit: Vec<&AuditEntry> = all.iter().flat_map(|effects| &effects.audit).collect();
        self.audit_all(&audit).await
    }

    async fn apply_care(&mut self, effects: &Effects, now: Timestamp) -> Result<(), Error> {
        for finding in &effects.findings {
            self.put_finding(effects.member(finding.person)?, finding)
                .await?;
        }
        for task in &effects.tasks {
            self.put_task(effects.member(task.person)?, task).await?;
        }
        for decision in &effects.decisions {
            self.put_decision(decision).await?;
        }
        for envelope in &effects.envelopes {
            self.put_envelope(envelope, now).await?;
        }
        for revision in &effects.revisions {
            self.revise(revision, now).await?;
        }
        for withdrawal in &effects.withdrawals {
            self.withdraw(withdrawal, now).await?;
        }
        for (person, next) in &effects.next_checks {
            if next.is_none() && effects.is_new(*person) {
                continue;
            }
            run!(
                self,
                "UPDATE person SET next_check_at = $3 WHERE tenant = $1 AND id = $2",
                *person,
                next.map(Timestamp::as_microsecond)
            )?;
        }
        Ok(())
    }

    async fn retract(&mut self, assertion: &Assertion) -> Result<(), Error> {
        let group = assertion.group.name();
        let index = self.keys.index.index("assertion", &[group, &assertion.key]);
        run!(
            self,
            "DELETE FROM assertion WHERE tenant = $1 AND person = $2 AND field_group = $3 AND source = $4 AND key_index = $5 AND message = $6",
            assertion.person,
            group,
            assertion.source.as_str(),
            index.as_slice(),
            assertion.message
        )?;
        Ok(())
    }

    async fn put_finding(&mut self, member: &Member, finding: &FindingRow) -> Result<(), Error> {
        let cell = member.seal(
            &self.place("finding", finding.id.as_bytes()),
            &finding.detail,
        )?;
        run!(
            self,
            "INSERT INTO finding (tenant, id, person, key, rule_index, state, opened_at, changed_at, message, cell) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (tenant, id) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at, message = excluded.message, cell = excluded.cell",
            finding.id,
            finding.person,
            finding.key.as_slice(),
            finding.rule_index.as_slice(),
            finding.state.name(),
            finding.opened_at.as_microsecond(),
            finding.changed_at.as_microsecond(),
            finding.message,
            cell.as_slice()
        )?;
        Ok(())
    }

    pub(super) async fn put_task(&mut self, member: &Member, task: &TaskRow) -> Result<(), Error> {
        let cell = member.seal(&self.place("task", task.id.as_bytes()), &task.detail)?;
        run!(
            self,
            "INSERT INTO task (tenant, id, person, finding, key, version, state, mode, routing_key, created_at, changed_at, due_at, ask_at, released_at, message, decision, cell) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
             ON CONFLICT (tenant, id) DO UPDATE SET state = excluded.state, mode = excluded.mode, routing_key = excluded.routing_key, \
             changed_at = excluded.changed_at, due_at = excluded.due_at, ask_at = excluded.ask_at, released_at = excluded.released_at, decision = excluded.decision, cell = excluded.cell",
            task.id,
            task.person,
            task.finding,
            task.key.as_slice(),
            task.version,
            task.state.name(),
            mode_name(task.mode),
            task.routing_key.as_str(),
            task.created_at.as_microsecond(),
            task.changed_at.as_microsecond(),
            task.due_at.as_microsecond(),
            task.ask_at.map(Timestamp::as_microsecond),
            task.released_at.map(Timestamp::as_microsecond),
            task.message,
            task.decision,
            cell.as_slice()
        )?;
        Ok(())
    }

    pub(super) async fn put_decision(&mut self, row: &DecisionRow) -> Result<(), Error> {
        let decision = &row.decision;
        let consents: Vec<String> = decision.consents.iter().map(Uuid::to_string).collect();
        run!(
            self,
            "INSERT INTO consent_decision (tenant, id, person, task, stage, at, result, reason_codes, sentence, next_allowed_at, valid_until, consents, policy_version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            row.id,
            row.person,
            row.task,
            row.stage,
            row.at.as_microsecond(),
            decision.result.name(),
            decision.reason_codes().join(" "),
            decision.sentence.as_str(),
            decision.next_allowed_at.map(Timestamp::as_microsecond),
            decision.valid_until.map(Timestamp::as_microsecond),
            consents.join(" "),
            decision.policy_version.as_str()
        )?;
        Ok(())
    }

    /// Queues an envelope under the version after the newest that the task ever had, so that
    /// consumers never take it for an old one.
    pub(super) async fn put_envelope(
        &mut self,
        envelope: &NewEnvelope,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (contact_point, channel) = match envelope.contact {
            Some((contact_point, channel)) => (contact_point, Some(channel.name())),
            None => (None, None),
        };
        let newest = row!(
            self,
            (i64,),
            "SELECT coalesce(max(version), 0) FROM outbox WHERE tenant = $1 AND task = $2",
            envelope.task
        )?;
        let version = newest.map_or(1, |(newest,)| newest + 1);
        run!(
            self,
            "INSERT INTO outbox (tenant, id, task, person, version, kind, state, routing_key, created_at, due_at, expires_at, contact_point, channel, message) \
             VALUES ($1, $2, $3, $4, $5, 'requested', 'waiting', $6, $7, $8, $9, $10, $11, $12)",
            envelope.id,
            envelope.task,
            envelope.person,
            version,
            envelope.routing_key.as_str(),
            now.as_microsecond(),
            envelope.due_at.as_microsecond(),
            envelope.expires_at.as_microsecond(),
            contact_point,
            channel,
            envelope.message
        )?;
        self.set_version(envelope.task, version).await
    }

    /// Ends a task. An envelope that never left is withdrawn in place; when one left or may have,
    /// a cancellation follows, which the relay holds back while the first is in doubt.
    pub(super) async fn withdraw(
        &mut self,
        withdrawal: &Withdrawal,
        now: Timestamp,
    ) -> Result<(), Error> {
        run!(
            self,
            "UPDATE outbox SET state = 'withdrawn', status_reason = $3 WHERE tenant = $1 AND task = $2 AND kind <> 'cancelled' \
             AND (state = 'parked' OR (state = 'waiting' AND (last_outcome IS NULL OR last_outcome <> 'unknown')))",
            withdrawal.task,
            withdrawal.reason
        )?;
        let last = row!(
            self,
            (Uuid, i64, String, i64, i64),
            "SELECT person, version, routing_key, expires_at, (SELECT count(*) FROM outbox AS left_or_may_have WHERE left_or_may_have.tenant = $1 AND left_or_may_have.task = $2 \
             AND left_or_may_have.state IN ('sent', 'publishing', 'waiting') AND left_or_may_have.kind <> 'cancelled') \
             FROM outbox WHERE tenant = $1 AND task = $2 ORDER BY version DESC LIMIT 1",
            withdrawal.task
        )?;
        let Some((person, version, routing_key, expires_at, out)) = last else {
            return Ok(());
        };
        if out == 0 || self.is_cancelled(withdrawal.task, version).await? {
            return Ok(());
        }
        run!(
            self,
            "INSERT INTO outbox (tenant, id, task, person, version, kind, state, status_reason, routing_key, created_at, due_at, expires_at, message) \
             VALUES ($1, $2, $3, $4, $5, 'cancelled', 'waiting', $6, $7, $8, $8, $9, $10)",
            Uuid::now_v7(),
            withdrawal.task,
            person,
            version + 1,
            withdrawal.reason,
            routing_key.as_str(),
            now.as_microsecond(),
            expires_at.max(now.as_microsecond() + CANCELLATION_LIFE),
            withdrawal.message
        )?;
        self.set_version(withdrawal.task, version + 1).await
    }

    /// The version of a task is that of its newest envelope, and only grows.
    pub(super) async fn set_version(&mut self, task: Uuid, version: i64) -> Result<(), Error> {
        run!(
            self,
            "UPDATE task SET version = $3 WHERE tenant = $1 AND id = $2 AND version < $3",
            task,
            version
        )?;
        Ok(())
    }

    /// Whether the newest envelope of the task is its cancellation already.
    async fn is_cancelled(&mut self, task: Uuid, version: i64) -> Result<bool, Error> {
        let found = row!(
            self,
            (i64,),
            "SELECT count(*) FROM outbox WHERE tenant = $1 AND task = $2 AND version = $3 AND kind = 'cancelled'",
            task,
            version
        )?;
        Ok(found.is_some_and(|(count,)| count > 0))
    }
}

/// A cancellation outlives its task's due date by this much (one day, in microseconds), so that a
/// coordinator who took the task late still learns of it.
const CANCELLATION_LIFE: i64 = 86_400_000_000;
