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

/// A transaction that needs no keys: where these are made, found and put under another root key. It
/// sees one tenant's rows at a time.
pub(super) struct Bare {
    pub(super) inner: Inner,
    pub(super) tenant: TenantId,
}

impl Bare {
    /// Makes everything durable.
    pub(super) async fn commit(self) -> Result<(), Error> {
        self.inner.commit().await
    }

    /// Sees another tenant's rows from now on.
    pub(super) async fn turn_to(&mut self, tenant: TenantId) -> Result<(), Error> {
        if let Inner::Postgres(tx) = &mut self.inner {
            sqlx::query("SELECT set_config('careloop.tenant', $1, true)")
                .bind(tenant.0.to_string())
                .execute(&mut **tx)
                .await?;
        }
        self.tenant = tenant;
        Ok(())
    }

    /// Every tenant.
    pub(super) async fn tenants(&mut self) -> Result<Vec<TenantId>, Error> {
        const ALL: &str = "SELECT id FROM tenant ORDER BY id";
        let found: Vec<(i64,)> = match &mut self.inner {
            Inner::Postgres(tx) => sqlx::query_as(ALL).fetch_all(&mut **tx).await?,
            Inner::Sqlite(tx) => sqlx::query_as(ALL).fetch_all(&mut **tx).await?,
        };
        Ok(found.into_iter().map(|(id,)| TenantId(id)).collect())
    }
}

impl Inner {
    async fn commit(self) -> Result<(), Error> {
        match self {
            Self::Postgres(tx) => tx.commit().await?,
            Self::Sqlite(tx) => tx.commit().await?,
        }
        Ok(())
    }

    /// Waits until nobody else makes or rotates keys; until the transaction ends, nobody does. On
    /// SQLite that is so for whoever writes.
    pub(super) async fn alone_with_keys(&mut self) -> Result<(), Error> {
        if let Self::Postgres(tx) = self {
            sqlx::query("SELECT pg_advisory_xact_lock($1)")
                .bind(KEYS_LOCK)
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }
}

/// The advisory lock of whoever makes or rotates keys, in this database.
const KEYS_LOCK: i64 = 0x6361_7265_6b65_7973;

impl Store {
    /// A transaction that may write and needs no keys.
    pub(super) async fn bare(&self, tenant: TenantId) -> Result<Bare, Error> {
        let inner = match &self.pools {
            Pools::Postgres(pool) => Inner::Postgres(scoped(pool, tenant).await?),
            Pools::Sqlite { writer, .. } => {
                Inner::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)
            }
        };
        Ok(Bare { inner, tenant })
    }

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
        self.read_with(tenant, keys).await
    }

    pub(super) async fn read_with(
        &self,
        tenant: TenantId,
        keys: Arc<TenantKeys>,
    ) -> Result<Tx, Error> {
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
        self.inner.commit().await
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
