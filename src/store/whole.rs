//! What concerns the whole database and no tenant's rows: where it lies, and a copy of it.

use std::fs::File;
use std::path::Path;

use jiff::Timestamp;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::place::RESTORED;
use super::{Error, Pools, Store};

impl Store {
    /// The file of an embedded store; the cluster and the database of the other.
    pub(super) async fn place(&self) -> Result<String, Error> {
        match &self.pools {
            Pools::Postgres(pool) => {
                let (place,): (String,) = sqlx::query_as(
                    "SELECT (SELECT system_identifier FROM pg_control_system())::text || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())::text",
                )
                .fetch_one(pool)
                .await?;
                Ok(place)
            }
            Pools::Sqlite { readers, .. } => {
                let (file,): (String,) =
                    sqlx::query_as("SELECT file FROM pragma_database_list WHERE name = 'main'")
                        .fetch_one(readers)
                        .await?;
                number_of(Path::new(&file))
            }
        }
    }

    /// Lets go of the pages of an embedded store that still hold what was overwritten. Where somebody
    /// reads them for longer than a moment they go with the next ones: nobody waits for it.
    pub(super) async fn forget_old_pages(&self) {
        let Pools::Sqlite { writer, .. } = &self.pools else {
            return;
        };
        let Ok(mut connection) = writer.acquire().await else {
            return;
        };
        for statement in [
            "PRAGMA busy_timeout = 250",
            "PRAGMA wal_checkpoint(TRUNCATE)",
            "PRAGMA busy_timeout = 5000",
        ] {
            drop(sqlx::query(statement).execute(&mut *connection).await);
        }
    }

    /// Writes a copy of an embedded store to `to`, while it is in use. The copy has outreach
    /// stopped for every tenant, wherever it is put.
    ///
    /// # Errors
    /// [`Error::Setup`] when the file is there already or cannot be written, and for PostgreSQL.
    pub async fn back_up(&self, to: &Path, now: Timestamp) -> Result<(), Error> {
        let Pools::Sqlite { readers, .. } = &self.pools else {
            return Err(Error::Setup(
                "backup: expected a SQLite store; back up PostgreSQL with pg_dump or its own archiving, a restored database is noticed by itself".into(),
            ));
        };
        make(to)?;
        let copied = self.copy_into(readers, to, now).await;
        if copied.is_err() {
            drop(std::fs::remove_file(to)); // half a copy is worse than none
        }
        copied
    }

    async fn copy_into(
        &self,
        from: &sqlx::SqlitePool,
        to: &Path,
        now: Timestamp,
    ) -> Result<(), Error> {
        sqlx::query("VACUUM INTO $1")
            .bind(to.display().to_string())
            .execute(from)
            .await?;
        let options = SqliteConnectOptions::new().filename(to);
        let mut copy = SqliteConnection::connect_with(&options).await?;
        sqlx::query(
            "INSERT INTO outreach_stop (tenant, id, reason, since_at, operator) \
             SELECT id, randomblob(16), $1, $2, 'backup' FROM tenant \
             WHERE NOT EXISTS (SELECT 1 FROM outreach_stop AS stop WHERE stop.tenant = tenant.id AND stop.lifted_at IS NULL)",
        )
        .bind(RESTORED)
        .bind(now.as_microsecond())
        .execute(&mut copy)
        .await?;
        copy.close().await?;
        File::open(to)
            .and_then(|file| file.sync_all())
            .map_err(|error| unwritable(to, &error))
    }
}

/// An empty file that only its owner may read.
fn make(to: &Path) -> Result<(), Error> {
    let mut options = File::options();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(to)
        .map(|_file| ())
        .map_err(|error| unwritable(to, &error))
}

fn unwritable(to: &Path, error: &std::io::Error) -> Error {
    Error::Setup(format!(
        "backup: {} cannot be written ({}); choose a file that is not there yet",
        to.display(),
        error.kind()
    ))
}

/// The number under which the file system knows a file: a copy has another.
#[cfg(unix)]
fn number_of(file: &Path) -> Result<String, Error> {
    let found = std::fs::metadata(file).map_err(|error| {
        Error::Setup(format!(
            "store.url: {} cannot be looked at ({})",
            file.display(),
            error.kind()
        ))
    })?;
    Ok(std::os::unix::fs::MetadataExt::ino(&found).to_string())
}
