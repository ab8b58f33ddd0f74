//! Writes effects: every row of one message, or none of them.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{among, many, row, run};
use super::effects::{DecisionRow, Effects, FindingRow, NewEnvelope, TaskRow, Withdrawal};
use super::record::{Member, mode_name};
use super::{AuditEntry, Error, Tx};

impl Tx {
    /// Writes everything, of many messages at once, table by table, so that a batch takes few
    /// statements. Effects on one person follow one another as their messages do: each was planned
    /// on what those before it left, so the newest row of each key is the one that is written.
    /// People are locked in sorted order and must still be in the version they were read in.
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
        self.put_assertions(all).await?;
        self.put_contacts(all).await?;
        self.compare_later(all, now).await?;
        for told in all.iter().flat_map(|effects| &effects.told) {
            self.tell_link(told).await?;
        }
        self.put_findings(all).await?;
        self.put_tasks(all).await?;
        for (person, finding, rest) in all.iter().flat_map(|effects| &effects.rests) {
            self.put_rest((*person, *finding), rest).await?;
        }
        for (person, hold) in all.iter().flat_map(|effects| &effects.lifted) {
            self.lift_holds(*person, *hold).await?;
        }
        let decisions: Vec<&DecisionRow> =
            all.iter().flat_map(|effects| &effects.decisions).collect();
        self.put_decisions(&decisions).await?;
        self.put_outbox(all, now).await?;
        self.put_next_checks(all).await?;
        let audit: Vec<&AuditEntry> = all.iter().flat_map(|effects| &effects.audit).collect();
        self.audit_all(&audit).await
    }

    /// The envelopes of many messages together; what revises or withdraws comes after them.
    async fn put_outbox(&mut self, all: &[&Effects], now: Timestamp) -> Result<(), Error> {
        let mut together: Vec<&NewEnvelope> = Vec::new();
        for effects in all {
            for envelope in &effects.envelopes {
                if together.iter().any(|known| known.task == envelope.task) {
                    self.put_envelopes(&std::mem::take(&mut together), now)
                        .await?;
                }
                together.push(envelope);
            }
            if !effects.revisions.is_empty() || !effects.withdrawals.is_empty() {
                self.put_envelopes(&std::mem::take(&mut together), now)
                    .await?;
            }
            for revision in &effects.revisions {
                self.revise(revision, now).await?;
            }
            for withdrawal in &effects.withdrawals {
                self.withdraw(withdrawal, now).await?;
            }
        }
        self.put_envelopes(&together, now).await
    }

    async fn put_next_checks(&mut self, all: &[&Effects]) -> Result<(), Error> {
        let mut newest: BTreeMap<Uuid, Option<i64>> = BTreeMap::new();
        for effects in all {
            for (person, next) in &effects.next_checks {
                newest.insert(*person, next.map(Timestamp::as_microsecond));
            }
        }
        // A new person is not looked at unless something says so.
        newest.retain(|person, next| {
            next.is_some() || !all.iter().any(|effects| effects.is_new(*person))
        });
        let checks: Vec<(Uuid, Option<i64>)> = newest.into_iter().collect();
        many!(
            self,
            "UPDATE person SET next_check_at = given.column2 FROM (VALUES ($2, $3)) AS given WHERE tenant = $1 AND id = given.column1",
            &checks,
            |check| check.0,
            check.1
        );
        Ok(())
    }

    async fn put_findings(&mut self, all: &[&Effects]) -> Result<(), Error> {
        let mut sealed: Vec<(&FindingRow, Vec<u8>)> = Vec::new();
        let mut seen: HashSet<Uuid> = HashSet::new();
        for effects in all.iter().rev() {
            for finding in effects.findings.iter().rev() {
                if seen.insert(finding.id) {
                    let place = self.place("finding", finding.id.as_bytes());
                    let member = effects.member(finding.person)?;
                    sealed.push((finding, member.seal(&place, &finding.detail)?));
                }
            }
        }
        many!(
            self,
            "INSERT INTO finding (tenant, id, person, key, rule_index, state, opened_at, changed_at, message, cell) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (tenant, id) DO UPDATE SET state = excluded.state, changed_at = excluded.changed_at, message = excluded.message, cell = excluded.cell",
            &sealed,
            |one| one.0.id,
            one.0.person,
            one.0.key.as_slice(),
            one.0.rule_index.as_slice(),
            one.0.state.name(),
            one.0.opened_at.as_microsecond(),
            one.0.changed_at.as_microsecond(),
            one.0.message,
            one.1.as_slice()
        );
        Ok(())
    }

    async fn put_tasks(&mut self, all: &[&Effects]) -> Result<(), Error> {
        let mut newest: Vec<(&Member, &TaskRow)> = Vec::new();
        let mut seen: HashSet<Uuid> = HashSet::new();
        for effects in all.iter().rev() {
            for task in effects.tasks.iter().rev() {
                if seen.insert(task.id) {
                    newest.push((effects.member(task.person)?, task));
                }
            }
        }
        self.write_tasks(&newest).await
    }

    /// Writes tasks, each under the key of its person.
    pub(super) async fn write_tasks(&mut self, tasks: &[(&Member, &TaskRow)]) -> Result<(), Error> {
        let mut sealed: Vec<(&TaskRow, Vec<u8>)> = Vec::with_capacity(tasks.len());
        for (member, task) in tasks {
            let place = self.place("task", task.id.as_bytes());
            sealed.push((task, member.seal(&place, &task.detail)?));
        }
        many!(
            self,
            "INSERT INTO task (tenant, id, person, finding, key, version, state, mode, routing_key, created_at, changed_at, due_at, ask_at, released_at, message, decision, cell) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
             ON CONFLICT (tenant, id) DO UPDATE SET state = excluded.state, mode = excluded.mode, routing_key = excluded.routing_key, \
             changed_at = excluded.changed_at, due_at = excluded.due_at, ask_at = excluded.ask_at, released_at = excluded.released_at, decision = excluded.decision, cell = excluded.cell",
            &sealed,
            |one| one.0.id,
            one.0.person,
            one.0.finding,
            one.0.key.as_slice(),
            one.0.version,
            one.0.state.name(),
            mode_name(one.0.mode),
            one.0.routing_key.as_str(),
            one.0.created_at.as_microsecond(),
            one.0.changed_at.as_microsecond(),
            one.0.due_at.as_microsecond(),
            one.0.ask_at.map(Timestamp::as_microsecond),
            one.0.released_at.map(Timestamp::as_microsecond),
            one.0.message,
            one.0.decision,
            one.1.as_slice()
        );
        Ok(())
    }

    /// Records decisions, or renews those that stand already: where nothing but the time differs, a
    /// broker that is away for a week must not fill the table.
    pub(super) async fn put_decisions(&mut self, rows: &[&DecisionRow]) -> Result<(), Error> {
        many!(
            self,
            "INSERT INTO consent_decision (tenant, id, person, task, stage, at, result, reason_codes, sentence, next_allowed_at, valid_until, consents, policy_version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT (tenant, id) DO UPDATE SET at = excluded.at, next_allowed_at = excluded.next_allowed_at, valid_until = excluded.valid_until",
            rows,
            |row| row.id,
            row.person,
            row.task,
            row.stage,
            row.at.as_microsecond(),
            row.decision.result.name(),
            row.decision.reason_codes().join(" "),
            row.decision.sentence.as_str(),
            row.decision.next_allowed_at.map(Timestamp::as_microsecond),
            row.decision.valid_until.map(Timestamp::as_microsecond),
            row.consents(),
            row.decision.policy_version.as_str()
        );
        Ok(())
    }

    /// Queues envelopes of different tasks, each under the version after the newest that its task
    /// ever had, so that consumers never take it for an old one.
    pub(super) async fn put_envelopes(
        &mut self,
        envelopes: &[&NewEnvelope],
        now: Timestamp,
    ) -> Result<(), Error> {
        if envelopes.is_empty() {
            return Ok(());
        }
        let tasks: Vec<Uuid> = envelopes.iter().map(|one| one.task).collect();
        let newest = among!(
            self,
            (Uuid, i64, i64, i64),
            "SELECT task, max(version), coalesce(max(CASE WHEN kind <> 'cancelled' AND (state IN ('sent', 'publishing') OR last_outcome = 'unknown') THEN version END), 0), \
             coalesce(max(CASE WHEN kind = 'cancelled' AND state IN ('sent', 'publishing', 'waiting') THEN version END), 0) \
             FROM outbox WHERE tenant = $1 AND task = ANY($2) GROUP BY task",
            &tasks
        )?;
        // To somebody who has the task already, the next version revises it.
        let newest: HashMap<Uuid, (i64, &str)> = newest
            .into_iter()
            .map(|(task, newest, left, cancelled)| {
                let kind = if left > cancelled {
                    "revised"
                } else {
                    "requested"
                };
                (task, (newest, kind))
            })
            .collect();
        let numbered: Vec<(&NewEnvelope, i64, &str)> = envelopes
            .iter()
            .map(|one| {
                let (newest, kind) = newest.get(&one.task).copied().unwrap_or((0, "requested"));
                (*one, newest + 1, kind)
            })
            .collect();
        many!(
            self,
            "INSERT INTO outbox (tenant, id, task, person, version, kind, state, routing_key, created_at, due_at, expires_at, contact_point, channel, message) \
             VALUES ($1, $2, $3, $4, $5, $13, 'waiting', $6, $7, $8, $9, $10, $11, $12)",
            &numbered,
            |one| one.0.id,
            one.0.task,
            one.0.person,
            one.1,
            one.0.routing_key.as_str(),
            now.as_microsecond(),
            one.0.due_at.as_microsecond(),
            one.0.expires_at.as_microsecond(),
            one.0.contact.and_then(|(contact_point, _)| contact_point),
            one.0.contact.map(|(_, channel)| channel.name()),
            one.0.message,
            one.2
        );
        let later: Vec<(Uuid, i64)> = numbered
            .iter()
            .filter(|(_, version, _)| *version > 1)
            .map(|(one, version, _)| (one.task, *version))
            .collect();
        self.set_versions(&later).await
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
        self.set_versions(&[(withdrawal.task, version + 1)]).await
    }

    /// The version of a task is that of its newest envelope, and only grows; a new task has 1.
    pub(super) async fn set_versions(&mut self, tasks: &[(Uuid, i64)]) -> Result<(), Error> {
        many!(
            self,
            "UPDATE task SET version = given.column2 FROM (VALUES ($2, $3)) AS given WHERE tenant = $1 AND id = given.column1 AND version < given.column2",
            tasks,
            |one| one.0,
            one.1
        );
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
