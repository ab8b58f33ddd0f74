//! A database of its own for each test: a SQLite file, or a PostgreSQL database whose application
//! role owns nothing.

use careloop::store::Store;
use tempfile::TempDir;
use uuid::Uuid;

use super::behind::Behind;

/// The application role; row security binds it.
const APPLICATION: &str = "careloop_app";
/// The role that owns the schema.
const OWNER: &str = "careloop_owner";

/// A database and the folder of its test.
pub(crate) struct Database {
    /// What `store.url` says.
    pub(crate) url: String,
    /// A superuser's address of the same database, for looking behind the scenes.
    pub(crate) behind: Option<String>,
    /// The test's folder.
    pub(crate) folder: TempDir,
}

/// Makes an empty database, and closes the pool that may do so.
async fn created(pool: sqlx::PgPool) -> String {
    let name = format!("t_{}", Uuid::now_v7().simple());
    let statement = format!("CREATE DATABASE {name} OWNER {OWNER}");
    sqlx::query(sqlx::AssertSqlSafe(statement))
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    name
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("careloop.db").display());
        Self {
            url,
            behind: None,
            folder,
        }
    }

    /// A fresh PostgreSQL database, or `None` (said aloud) where no server is offered.
    pub(crate) async fn postgres() -> Option<Self> {
        let Ok(server) = std::env::var("CARELOOP_TEST_POSTGRES") else {
            assert!(
                std::env::var("CARELOOP_TEST_REQUIRE_SERVICES").is_err(),
                "CARELOOP_TEST_POSTGRES is not set; run the tests by tests/run"
            );
            println!("left out: no PostgreSQL; run the tests by tests/run");
            return None;
        };
        let pool = sqlx::PgPool::connect(&server).await.unwrap();
        for role in [OWNER, APPLICATION] {
            let statement = format!(
                "DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
            );
            sqlx::query(sqlx::AssertSqlSafe(statement))
                .execute(&pool)
                .await
                .unwrap();
        }
        let name = created(pool).await;
        let (base, _) = server.rsplit_once('/').unwrap();
        let (_, host) = base.rsplit_once('@').unwrap();
        let owner = format!("postgres://{OWNER}@{host}/{name}");
        Store::migrate_postgres(&owner, APPLICATION).await.unwrap();
        Some(Self {
            url: format!("postgres://{APPLICATION}@{host}/{name}"),
            behind: Some(format!("{base}/{name}")),
            folder: tempfile::tempdir().unwrap(),
        })
    }

    /// Another database of the same kind, with nothing in it.
    pub(crate) async fn empty(&self) -> Behind {
        let Some(behind) = &self.behind else {
            let file = self.folder.path().join("empty.db");
            let url = format!("sqlite:{}?mode=rwc", file.display());
            return Behind::Sqlite(sqlx::SqlitePool::connect(&url).await.unwrap());
        };
        let pool = sqlx::PgPool::connect(behind).await.unwrap();
        let name = created(pool).await;
        let (base, _) = behind.rsplit_once('/').unwrap();
        let pool = sqlx::PgPool::connect(&format!("{base}/{name}")).await;
        Behind::Postgres(pool.unwrap())
    }

    /// The same rows in another PostgreSQL database, as after a restore.
    pub(crate) async fn copied(self) -> Self {
        let server = std::env::var("CARELOOP_TEST_POSTGRES").unwrap();
        let (_, old) = self.url.rsplit_once('/').unwrap();
        let new = format!("t_{}", Uuid::now_v7().simple());
        let pool = sqlx::PgPool::connect(&server).await.unwrap();
        let statement = format!("CREATE DATABASE {new} TEMPLATE {old} OWNER {OWNER}");
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(&pool)
            .await
            .unwrap();
        pool.close().await;
        Self {
            url: self.url.replace(old, &new),
            behind: self.behind.map(|url| url.replace(old, &new)),
            folder: self.folder,
        }
    }
}
