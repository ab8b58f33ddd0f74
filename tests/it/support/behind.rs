//! Looking behind the scenes: the tables themselves, past the store and past row security.

use sqlx::{AssertSqlSafe, PgPool, SqlitePool};

use super::database::Database;

/// A connection of its own to the database of a test.
pub(crate) enum Behind {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Behind {
    pub(crate) async fn open(database: &Database) -> Self {
        match &database.behind {
            Some(url) => Self::Postgres(PgPool::connect(url).await.unwrap()),
            None => Self::Sqlite(SqlitePool::connect(&database.url).await.unwrap()),
        }
    }

    pub(crate) async fn close(self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }

    pub(crate) const fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// Small hexadecimal digits of a column: `uuid` and `bytea` there, `blob` here.
    pub(crate) fn hex(&self, column: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("lower(hex({column}))"),
            Self::Postgres(_) => {
                format!("replace(regexp_replace({column}::text, '^\\\\x', ''), '-', '')")
            }
        }
    }

    /// A column as text; SQLite's blobs have none.
    pub(crate) fn text(&self, column: &str) -> String {
        match self {
            Self::Sqlite(_) => {
                format!("CASE typeof({column}) WHEN 'blob' THEN '' ELSE CAST({column} AS TEXT) END")
            }
            Self::Postgres(_) => format!("CAST({column} AS TEXT)"),
        }
    }

    /// One column of texts.
    pub(crate) async fn texts(&self, statement: &str) -> Vec<String> {
        let statement = AssertSqlSafe(statement.to_owned());
        let rows: Vec<(Option<String>,)> = match self {
            Self::Sqlite(pool) => sqlx::query_as(statement).fetch_all(pool).await.unwrap(),
            Self::Postgres(pool) => sqlx::query_as(statement).fetch_all(pool).await.unwrap(),
        };
        rows.into_iter()
            .map(|(text,)| text.unwrap_or_default())
            .collect()
    }

    /// Two columns of texts; NULL reads as empty.
    pub(crate) async fn pairs(&self, statement: &str) -> Vec<(String, String)> {
        let statement = AssertSqlSafe(statement.to_owned());
        let rows: Vec<(Option<String>, Option<String>)> = match self {
            Self::Sqlite(pool) => sqlx::query_as(statement).fetch_all(pool).await.unwrap(),
            Self::Postgres(pool) => sqlx::query_as(statement).fetch_all(pool).await.unwrap(),
        };
        let text = Option::unwrap_or_default;
        rows.into_iter().map(|(a, b)| (text(a), text(b))).collect()
    }

    /// The single number that a statement gives.
    pub(crate) async fn number(&self, statement: &str) -> i64 {
        let statement = AssertSqlSafe(statement.to_owned());
        let (number,): (i64,) = match self {
            Self::Sqlite(pool) => sqlx::query_as(statement).fetch_one(pool).await.unwrap(),
            Self::Postgres(pool) => sqlx::query_as(statement).fetch_one(pool).await.unwrap(),
        };
        number
    }

    /// Changes rows; gives how many.
    pub(crate) async fn run(&self, statement: &str) -> u64 {
        let statement = AssertSqlSafe(statement.to_owned());
        match self {
            Self::Sqlite(pool) => sqlx::query(statement)
                .execute(pool)
                .await
                .unwrap()
                .rows_affected(),
            Self::Postgres(pool) => sqlx::query(statement)
                .execute(pool)
                .await
                .unwrap()
                .rows_affected(),
        }
    }
}
