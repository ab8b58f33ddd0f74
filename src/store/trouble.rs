//! Troubles: each stands once, from when it was seen until it was gone, and is told twice: then and
//! then.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::dialect::{rows, run};
use super::record::at;
use super::{Error, Store, TenantId};

/// A trouble as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TroubleRow {
    /// Its id.
    pub id: Uuid,
    /// What kind it is.
    pub kind: String,
    /// What it is about: the name of a source, a team, an agreement's party; empty for the hub.
    pub subject: String,
    /// Since when.
    pub since_at: Timestamp,
    /// Until when.
    pub resolved_at: Option<Timestamp>,
}

impl Store {
    /// Notes what is seen now: new troubles begin, those that are no longer seen end.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn note_troubles(
        &self,
        tenant: TenantId,
        seen: &[(&'static str, String)],
        now: Timestamp,
    ) -> Result<(), Error> {
        let open = self.open_troubles(tenant).await?;
        let is_open = |kind: &str, subject: &str| {
            open.iter()
                .any(|known| known.kind == kind && known.subject == subject)
        };
        let fresh: Vec<_> = seen
            .iter()
            .filter(|(kind, subject)| !is_open(kind, subject))
            .collect();
        let gone: Vec<_> = open
            .iter()
            .filter(|known| {
                !seen
                    .iter()
                    .any(|(kind, subject)| known.kind == *kind && known.subject == *subject)
            })
            .collect();
        if fresh.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let mut tx = self.write(tenant).await?;
        for (kind, subject) in fresh {
            run!(
                tx,
                "INSERT INTO trouble (tenant, id, kind, subject, since_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                Uuid::now_v7(),
                *kind,
                subject.as_str(),
                now.as_microsecond()
            )?;
        }
        for known in gone {
            run!(
                tx,
                "UPDATE trouble SET resolved_at = $3 WHERE tenant = $1 AND id = $2 AND resolved_at IS NULL",
                known.id,
                now.as_microsecond()
            )?;
        }
        tx.commit().await
    }

    /// The troubles that stand, the oldest first.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn open_troubles(&self, tenant: TenantId) -> Result<Vec<TroubleRow>, Error> {
        let mut tx = self.read(tenant).await?;
        let found = rows!(
            tx,
            (Uuid, String, String, i64, Option<i64>),
            "SELECT id, kind, subject, since_at, resolved_at FROM trouble WHERE tenant = $1 AND resolved_at IS NULL ORDER BY since_at, id"
        )?;
        Ok(found.into_iter().map(open).collect())
    }

    /// The troubles whose beginning or end nobody was told of, the oldest first.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn untold_troubles(&self, tenant: TenantId) -> Result<Vec<TroubleRow>, Error> {
        let mut tx = self.read(tenant).await?;
        let found = rows!(
            tx,
            (Uuid, String, String, i64, Option<i64>),
            "SELECT id, kind, subject, since_at, resolved_at FROM trouble WHERE tenant = $1 \
             AND (told_at IS NULL OR (resolved_at IS NOT NULL AND resolution_told_at IS NULL)) ORDER BY since_at, id LIMIT 100"
        )?;
        Ok(found.into_iter().map(open).collect())
    }

    /// Notes that the beginning of a trouble, and its end if it has one, were told.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn trouble_told(
        &self,
        tenant: TenantId,
        told: &TroubleRow,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.write(tenant).await?;
        run!(
            tx,
            "UPDATE trouble SET told_at = coalesce(told_at, $3), resolution_told_at = CASE WHEN $4 THEN $3 ELSE resolution_told_at END WHERE tenant = $1 AND id = $2",
            told.id,
            now.as_microsecond(),
            told.resolved_at.is_some()
        )?;
        tx.commit().await
    }
}

fn open(
    (id, kind, subject, since, resolved): (Uuid, String, String, i64, Option<i64>),
) -> TroubleRow {
    TroubleRow {
        id,
        kind,
        subject,
        since_at: at(since),
        resolved_at: resolved.map(at),
    }
}
