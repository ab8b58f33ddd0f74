//! A transaction of one tenant: the only way to reach a row.

use std::sync::Arc;

use sqlx::{Postgres, Sqlite, Transaction};

use super::keys::TenantKeys;
use super::{Error, Pools, Store, TenantId};

/// A transaction that sees one tenant's rows. Dropped without [`Tx::commit`], it did nothing.
pub struct Tx {
    pub(super) inner: Inner,
    pub(super) tenant: TenantId,
    pub(super) keys: Arc<TenantKeys>,
}

pub(super) enum Inner {
    Postgres(Transaction<'static, Postgres>),
    Sqlite(Transaction<'static, Sqlite>),
}

impl Store {
    /// Begins a transaction that may write. On SQLite it takes the write lock at once, since a
    /// reader that turns writer fails without waiting.
    pub async fn write(&self, tenant: TenantId) -> Result<Tx, Error> {
        let keys = self.tenant_keys(tenant).await?;
        let inner = match &self.pools {
            Pools::Postgres(pool) => Inner::Postgres(scoped(pool, tenant).await?),
            Pools::Sqlite { writer, .. } => {
                Inner::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)
            }
        };
        Ok(Tx {
            inner,
            tenant,
            keys,
        })
    }

    /// Whether transactions that write go on at the same time, as in PostgreSQL.
    pub const fn writes_side_by_side(&self) -> bool {
        matches!(self.pools, Pools::Postgres(_))
    }

    /// Begins a transaction that only reads; on SQLite it never waits for the writer.
    pub async fn read(&self, tenant: TenantId) -> Result<Tx, Error> {
        let keys = self.tenant_keys(tenant).await?;
        let inner = match &self.pools {
            Pools::Postgres(pool) => Inner::Postgres(scoped(pool, tenant).await?),
            Pools::Sqlite { readers, .. } => Inner::Sqlite(readers.begin().await?),
        };
        Ok(Tx {
            inner,
            tenant,
            keys,
        })
    }
}

/// Row-level security compares with this setting, which ends with the transaction: a setting of the
/// session would leak to the connection's next user.
pub(super) async fn scoped(
    pool: &sqlx::PgPool,
    tenant: TenantId,
) -> Result<Transaction<'static, Postgres>, Error> {
    // One round trip; the tenant is a number, so nothing of it is text of the statement.
    let begin = format!("BEGIN; SET LOCAL careloop.tenant = '{}'", tenant.0);
    Ok(pool.begin_with(sqlx::AssertSqlSafe(begin)).await?)
}

impl Tx {
    /// Makes everything durable.
    pub async fn commit(self) -> Result<(), Error> {
        match self.inner {
            Inner::Postgres(tx) => tx.commit().await?,
            Inner::Sqlite(tx) => tx.commit().await?,
        }
        Ok(())
    }

    /// Whose rows it sees.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The tenant's keys, which outlive the transaction.
    pub fn shared_keys(&self) -> Arc<TenantKeys> {
        Arc::clone(&self.keys)
    }
}
