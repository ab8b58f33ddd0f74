//! Tells a CRM what changed in a task, or changes what has not left yet.

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{row, run};
use super::effects::Revision;
use super::{Error, Tx};

impl Tx {
    /// Follows a changed task with its new content. An envelope that waits and never left is written
    /// when it leaves, so it takes the change with it; after one that left, or may have, a newer
    /// version follows, which the relay holds back while the earlier is in doubt.
    pub(super) async fn revise(
        &mut self,
        revision: &Revision,
        now: Timestamp,
    ) -> Result<(), Error> {
        // Whatever may still leave keeps to the task's date: one in doubt would hold up what follows it.
        run!(
            self,
            "UPDATE outbox SET expires_at = $3 WHERE tenant = $1 AND task = $2 AND kind <> 'cancelled' AND state IN ('waiting', 'publishing')",
            revision.task,
            revision.expires_at.as_microsecond()
        )?;
        let last = row!(
            self,
            (i64, String, String, String, Option<String>, Uuid),
            "SELECT version, kind, state, routing_key, last_outcome, person FROM outbox WHERE tenant = $1 AND task = $2 \
             AND state IN ('waiting', 'publishing', 'sent') ORDER BY version DESC LIMIT 1",
            revision.task
        )?;
        let Some((version, kind, state, routing_key, outcome, person)) = last else {
            return Ok(());
        };
        if kind == "cancelled" {
            return Ok(());
        }
        if state == "waiting" && outcome.as_deref() != Some("unknown") {
            return Ok(());
        }
        let newest = row!(
            self,
            (i64,),
            "SELECT max(version) FROM outbox WHERE tenant = $1 AND task = $2",
            revision.task
        )?;
        let version = newest.map_or(version, |(newest,)| newest) + 1;
        run!(
            self,
            "INSERT INTO outbox (tenant, id, task, person, version, kind, state, routing_key, created_at, due_at, expires_at, message) \
             VALUES ($1, $2, $3, $4, $5, 'revised', 'waiting', $6, $7, $7, $8, $9)",
            Uuid::now_v7(),
            revision.task,
            person,
            version,
            routing_key.as_str(),
            now.as_microsecond(),
            revision.expires_at.as_microsecond(),
            revision.message
        )?;
        self.set_versions(&[(revision.task, version)]).await
    }
}
