//! Stops of all outreach of a tenant, and what would leave if something observed did not.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::dialect::{row, rows, run};
use super::record::at;
use super::{AuditEntry, Error, Store, TenantId, Tx};

/// A stop that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutreachStop {
    /// `restored` or `operator`.
    pub reason: String,
    /// Since when.
    pub since_at: Timestamp,
    /// Who said so.
    pub operator: String,
}

/// Observed tasks with the same rule, routing key and answer of consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// Blind index of the rule.
    #[serde(skip)]
    pub rule_index: Vec<u8>,
    /// `<tenant>.<location>.<team>.<priority>`.
    pub routing_key: String,
    /// What consent said: `allow`, `defer`, `deny`, …; `None` if it was not asked.
    pub result: Option<String>,
    /// Its reason codes, with spaces between.
    pub reason_codes: Option<String>,
    /// How many tasks.
    pub count: i64,
}

impl Store {
    /// The stop that stands, if any.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn outreach_stop(&self, tenant: TenantId) -> Result<Option<OutreachStop>, Error> {
        let mut tx = self.read(tenant).await?;
        tx.outreach_stop().await
    }

    /// Stops all outreach: what is queued is taken back, what is found is only observed.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn stop_outreach(
        &self,
        tenant: TenantId,
        (reason, operator): (&'static str, &str),
        entry: &AuditEntry,
    ) -> Result<bool, Error> {
        let mut tx = self.write(tenant).await?;
        if tx.outreach_stop().await?.is_some() {
            return Ok(false);
        }
        run!(
            tx,
            "INSERT INTO outreach_stop (tenant, id, reason, since_at, operator) VALUES ($1, $2, $3, $4, $5)",
            Uuid::now_v7(),
            reason,
            entry.at.as_microsecond(),
            operator
        )?;
        tx.audit(entry).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Lifts the stop, and has everybody looked at of whom something was observed.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn resume_outreach(
        &self,
        tenant: TenantId,
        operator: &str,
        entry: &AuditEntry,
    ) -> Result<bool, Error> {
        let mut tx = self.write(tenant).await?;
        let lifted = run!(
            tx,
            "UPDATE outreach_stop SET lifted_at = $2, lifted_by = $3 WHERE tenant = $1 AND lifted_at IS NULL",
            entry.at.as_microsecond(),
            operator
        )?;
        if lifted == 0 {
            return Ok(false);
        }
        tx.audit(entry).await?;
        tx.commit().await?;
        self.look_at_observed(tenant, entry.at).await?;
        Ok(true)
    }

    /// The observed tasks by rule, routing key and what consent said of them.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn preview(&self, tenant: TenantId) -> Result<Vec<Preview>, Error> {
        let mut tx = self.read(tenant).await?;
        let found = rows!(
            tx,
            (Vec<u8>, String, Option<String>, Option<String>, i64),
            "SELECT finding.rule_index, task.routing_key, decision.result, decision.reason_codes, count(*) FROM task \
             JOIN finding ON finding.tenant = $1 AND finding.id = task.finding \
             LEFT JOIN consent_decision AS decision ON decision.tenant = $1 AND decision.id = task.decision \
             WHERE task.tenant = $1 AND task.state = 'observed' \
             GROUP BY finding.rule_index, task.routing_key, decision.result, decision.reason_codes ORDER BY count(*) DESC"
        )?;
        Ok(found
            .into_iter()
            .map(
                |(rule_index, routing_key, result, reason_codes, count)| Preview {
                    rule_index,
                    routing_key,
                    result,
                    reason_codes,
                    count,
                },
            )
            .collect())
    }
}

impl Tx {
    /// The stop that stands, as this transaction sees it.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn outreach_stop(&mut self) -> Result<Option<OutreachStop>, Error> {
        let found = row!(
            self,
            (String, i64, String),
            "SELECT reason, since_at, operator FROM outreach_stop WHERE tenant = $1 AND lifted_at IS NULL ORDER BY since_at LIMIT 1"
        )?;
        Ok(found.map(|(reason, since, operator)| OutreachStop {
            reason,
            since_at: at(since),
            operator,
        }))
    }
}
