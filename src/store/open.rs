//! Opening: the file or the server, its safety settings, its migrations, its tenants.

use std::fs::File;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgPool};

use super::{Error, Pools, RootKeys, Store, TenantId, planner, version};
use crate::config::StoreConfig;

/// After this long without use a connection is asked whether it lives.
const QUIET: Duration = Duration::from_secs(1);
/// How long a connection may take before the store counts as away.
const ACQUIRE: Duration = Duration::from_secs(5);
const ROWS_AHEAD: usize = 1024; // that SQLite's thread may be ahead of who reads them
/// Memory for pages where SQLite is written: 16 MiB. A message touches forty pages of indexes, in no order.
const PAGES: &str = "-16384";

impl Store {
    /// Opens the store for the daemon: migrates SQLite, checks PostgreSQL's role and schema, and
    /// takes ownership of a SQLite file.
    ///
    /// # Errors
    /// [`Error::Setup`] when an operator must act, [`Error::Temporary`] when the database is away.
    pub async fn open(config: &StoreConfig, roots: RootKeys) -> Result<Self, Error> {
        Self::open_as(config, roots, true).await
    }

    /// Opens the store beside a running daemon, for commands. A SQLite file may then be read and
    /// written, but stays owned by the daemon.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_beside(config: &StoreConfig, roots: RootKeys) -> Result<Self, Error> {
        Self::open_as(config, roots, false).await
    }

    async fn open_as(config: &StoreConfig, roots: RootKeys, own: bool) -> Result<Self, Error> {
        let url = config.url.open();
        let (pools, owner) = match url.strip_prefix("sqlite:") {
            Some(path) => {
                let owner = if own {
                    Some(Arc::new(own_file(path)?))
                } else {
                    None
                };
                (open_sqlite(path, config.connections, own).await?, owner)
            }
            None => (
                Pools::Postgres(open_postgres(url, config.connections).await?),
                None,
            ),
        };
        let store = Self {
            pools,
            roots: Arc::new(roots),
            keys: Arc::default(),
            tenants: Arc::default(),
            _owner: owner,
        };
        store.load_tenants().await?;
        Ok(store)
    }

    /// Creates or upgrades a PostgreSQL schema as its owner, and grants the application role what
    /// it needs: rows everywhere, only inserts in the audit.
    ///
    /// # Errors
    /// [`Error::Setup`] with what to do, or the database's refusal.
    pub async fn migrate_postgres(owner_url: &str, application_role: &str) -> Result<(), Error> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if application_role.is_empty() || !application_role.chars().all(fits) {
            return Err(Error::Setup(
                "store.url: expected a role name of letters, digits and _, found another form"
                    .into(),
            ));
        }
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .connect_with(postgres(owner_url)?)
            .await?;
        sqlx::migrate!("migrations/postgres")
            .run(&pool)
            .await
            .map_err(version::failed)?;
        sqlx::query(PROTECT).execute(&pool).await?;
        for statement in grants(application_role) {
            sqlx::query(sqlx::AssertSqlSafe(statement))
                .execute(&pool)
                .await?;
        }
        pool.close().await;
        Ok(())
    }

    /// Makes sure that `name` is a tenant with keys, and gives its number.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn ensure_tenant(&self, name: &str, now: Timestamp) -> Result<TenantId, Error> {
        const INSERT: &str =
            "INSERT INTO tenant (name, created_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        let at = now.as_microsecond();
        match &self.pools {
            Pools::Postgres(pool) => {
                sqlx::query(INSERT)
                    .bind(name)
                    .bind(at)
                    .execute(pool)
                    .await?;
            }
            Pools::Sqlite { writer, .. } => {
                sqlx::query(INSERT)
                    .bind(name)
                    .bind(at)
                    .execute(writer)
                    .await?;
            }
        }
        self.load_tenants().await?;
        let tenant = self.tenant(name).await?;
        self.ensure_tenant_keys(tenant, now).await?;
        Ok(tenant)
    }

    /// The number of a tenant.
    ///
    /// # Errors
    /// [`Error::NoTenant`].
    pub async fn tenant(&self, name: &str) -> Result<TenantId, Error> {
        let known = self.tenants.read().await.get(name).copied();
        known.ok_or_else(|| Error::NoTenant(name.to_owned()))
    }

    async fn load_tenants(&self) -> Result<(), Error> {
        const ALL: &str = "SELECT name, id FROM tenant";
        let found: Vec<(String, i64)> = match &self.pools {
            Pools::Postgres(pool) => sqlx::query_as(ALL).fetch_all(pool).await?,
            Pools::Sqlite { readers, .. } => sqlx::query_as(ALL).fetch_all(readers).await?,
        };
        let mut tenants = self.tenants.write().await;
        for (name, id) in found {
            tenants.insert(name, TenantId(id));
        }
        Ok(())
    }

    /// Closes the connections; what was committed stays.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Postgres(pool) => pool.close().await,
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }

    /// Whether this is the embedded database, which one process owns.
    pub const fn is_embedded(&self) -> bool {
        matches!(self.pools, Pools::Sqlite { .. })
    }
}

/// The second wall between tenants, put before every table that a migration made: its rows are those
/// of the transaction's tenant, for the owner too, and none where no tenant is set.
const PROTECT: &str = "DO $$ DECLARE name TEXT; BEGIN \
    FOR name IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace \
        AND relname NOT IN ('tenant', '_sqlx_migrations') \
        AND NOT EXISTS (SELECT 1 FROM pg_policy WHERE polrelid = pg_class.oid AND polname = 'tenant_only') LOOP \
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name); \
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name); \
        EXECUTE format('CREATE POLICY tenant_only ON %I \
            USING (tenant = nullif(current_setting(''careloop.tenant'', true), '''')::bigint) \
            WITH CHECK (tenant = nullif(current_setting(''careloop.tenant'', true), '''')::bigint)', name); \
    END LOOP; END $$";

/// What the application role may do: rows everywhere, only new ones in the audit and the registry,
/// and nothing to the schema or its history.
fn grants(role: &str) -> [String; 5] {
    [
        format!("GRANT USAGE ON SCHEMA public TO \"{role}\""),
        format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO \"{role}\""
        ),
        format!("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO \"{role}\""),
        format!("REVOKE UPDATE, DELETE, TRUNCATE ON audit, tenant FROM \"{role}\""),
        format!("REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON _sqlx_migrations FROM \"{role}\""),
    ]
}

/// One process owns a SQLite file: a second one would take the first one's claims for dead.
fn own_file(path: &str) -> Result<File, Error> {
    let lock = format!("{path}.lock");
    let setup = |what: &str| Error::Setup(format!("{lock}: {what}"));
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options
        .open(Path::new(&lock))
        .map_err(|error| setup(&format!("cannot be created ({})", error.kind())))?;
    file.try_lock().map_err(|_held| {
        setup(
            "another careloop owns this store; stop it first, or give this one its own [store] url",
        )
    })?;
    Ok(file)
}

async fn open_sqlite(path: &str, connections: u32, own: bool) -> Result<Pools, Error> {
    if own {
        restrict_to_owner(path)?;
    } else if !Path::new(path).exists() {
        return Err(Error::Setup(format!(
            "store.url: {path} does not exist yet; `careloop serve` makes it"
        )));
    }
    let options = SqliteConnectOptions::from_str(&format!("sqlite:{path}"))
        .map_err(|_form| Error::Setup(format!("store.url: expected sqlite:PATH, found {path}")))?
        .create_if_missing(own)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL loses acknowledged messages on power loss (measured); FULL does not.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(ACQUIRE)
        // Each row that does not fit wakes the other thread once more.
        .row_buffer_size(ROWS_AHEAD)
        .pragma("secure_delete", "ON")
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging();
    let options = planner::sqlite(options);
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE)
        .connect_with(options.clone().pragma("cache_size", PAGES))
        .await?;
    if own {
        sqlx::migrate!("migrations/sqlite")
            .run(&writer)
            .await
            .map_err(version::failed)?;
        planner::tell_sqlite(&writer).await?;
    }
    let applied = sqlx::query_as(APPLIED).fetch_all(&writer).await;
    version::check(
        &sqlx::migrate!("migrations/sqlite"),
        &applied.unwrap_or_default(),
    )?;
    let (synchronous,): (i64,) = sqlx::query_as("PRAGMA synchronous")
        .fetch_one(&writer)
        .await?;
    if synchronous != 2 {
        return Err(Error::Setup(format!(
            "store: expected synchronous=FULL (2), found {synchronous}; this SQLite cannot promise durability"
        )));
    }
    let readers = SqlitePoolOptions::new()
        .max_connections(connections.max(2))
        .acquire_timeout(ACQUIRE)
        .connect_with(options)
        .await?;
    Ok(Pools::Sqlite { writer, readers })
}

/// The file holds sealed cells, but volumes and times can be read from it: only its owner may.
fn restrict_to_owner(path: &str) -> Result<(), Error> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .and_then(|file| own_only(&file))
        .map_err(|error| {
            Error::Setup(format!(
                "store.url: {path} cannot be opened for writing ({})",
                error.kind()
            ))
        })
}

/// A file that was there before may be open to others.
#[cfg(unix)]
fn own_only(file: &File) -> std::io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

fn postgres(url: &str) -> Result<PgConnectOptions, Error> {
    PgConnectOptions::from_str(url)
        .map(ConnectOptions::disable_statement_logging)
        .map_err(|_form| {
            Error::Setup("store.url: expected sqlite:PATH or postgres://USER@HOST/DATABASE".into())
        })
}

async fn open_postgres(url: &str, connections: u32) -> Result<PgPool, Error> {
    let pool = PgPoolOptions::new()
        .max_connections(connections.max(4))
        .acquire_timeout(ACQUIRE)
        // A connection that was in use a moment ago is not asked whether it lives.
        .test_before_acquire(false)
        .before_acquire(|connection, is| {
            Box::pin(async move {
                if is.idle_for > QUIET {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(planner::postgres(postgres(url)?))
        .await?;
    let (role, unbound): (String, bool) = sqlx::query_as(
        "SELECT rolname::text, rolsuper OR rolbypassrls OR EXISTS (SELECT 1 FROM pg_class WHERE relname = 'audit' AND pg_has_role(current_user, relowner, 'MEMBER')) FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(&pool)
    .await?;
    if unbound {
        return Err(Error::Setup(format!(
            "store.url: role {role} is a superuser, bypasses row security or owns the schema; make an application role that is none of these, then run `careloop migrate`"
        )));
    }
    let (tables, forced): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE relrowsecurity AND relforcerowsecurity \
         AND EXISTS (SELECT 1 FROM pg_policy WHERE polrelid = pg_class.oid AND polname = 'tenant_only')) FROM pg_class \
         WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace \
         AND relname NOT IN ('tenant', '_sqlx_migrations')",
    )
    .fetch_one(&pool)
    .await?;
    if tables == 0 {
        return Err(Error::Setup(
            "store: the database has no careloop schema; run `careloop migrate` with store.owner_url".into(),
        ));
    }
    if tables != forced {
        return Err(Error::Setup(format!(
            "store: expected forced row security on all {tables} tables, found it on {forced}; run `careloop migrate`"
        )));
    }
    let applied = sqlx::query_as(APPLIED).fetch_all(&pool).await;
    version::check(
        &sqlx::migrate!("migrations/postgres"),
        &applied.unwrap_or_default(),
    )?;
    Ok(pool)
}

/// The migrations that a store has had.
const APPLIED: &str =
    "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_connection_to_sqlite_syncs_every_commit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("careloop.db");
        let opened = open_sqlite(path.to_str().unwrap(), 4, true).await;
        let Pools::Sqlite { writer, readers } = opened.unwrap() else {
            panic!("a path is SQLite's");
        };
        for pool in [&writer, &readers] {
            let (synchronous,): (i64,) = sqlx::query_as("PRAGMA synchronous")
                .fetch_one(pool)
                .await
                .unwrap();
            let (journal,): (String,) = sqlx::query_as("PRAGMA journal_mode")
                .fetch_one(pool)
                .await
                .unwrap();
            assert_eq!((synchronous, journal.as_str()), (2, "wal"));
        }
    }
}
