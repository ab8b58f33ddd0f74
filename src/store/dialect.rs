//! The few places where SQLite and PostgreSQL differ, and the macros through which every query goes.
//!
//! `$1` of every statement is the tenant, bound by the macros and by nothing else; `tests/tidy.rs`
//! refuses a statement without it.

/// Runs a statement in a [`super::Tx`]; gives the number of rows it touched.
macro_rules! run {
    ($tx:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        match &mut $tx.inner {
            $crate::store::tx::Inner::Postgres(c) => sqlx::query($sql)
                .bind($tx.tenant.0)$(.bind($bind))*
                .execute(&mut **c).await.map(|done| done.rows_affected()),
            $crate::store::tx::Inner::Sqlite(c) => sqlx::query($sql)
                .bind($tx.tenant.0)$(.bind($bind))*
                .execute(&mut **c).await.map(|done| done.rows_affected()),
        }
    };
}

/// Reads all rows of a query as tuples of `$row`.
macro_rules! rows {
    ($tx:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        match &mut $tx.inner {
            $crate::store::tx::Inner::Postgres(c) => sqlx::query_as::<_, $row>($sql)
                .bind($tx.tenant.0)$(.bind($bind))*
                .fetch_all(&mut **c).await,
            $crate::store::tx::Inner::Sqlite(c) => sqlx::query_as::<_, $row>($sql)
                .bind($tx.tenant.0)$(.bind($bind))*
                .fetch_all(&mut **c).await,
        }
    };
}

/// Reads one row of a query, or none.
macro_rules! row {
    ($tx:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        match &mut $tx.inner {
            $crate::store::tx::Inner::Postgres(c) => sqlx::query_as::<_, $row>($sql)
                .bind($tx.tenant.0)$(.bind($bind))*
                .fetch_optional(&mut **c).await,
            $crate::store::tx::Inner::Sqlite(c) => sqlx::query_as::<_, $row>($sql)
                .bind($tx.tenant.0)$(.bind($bind))*
                .fetch_optional(&mut **c).await,
        }
    };
}

/// Chooses between two texts of one statement.
macro_rules! sql {
    ($tx:expr, postgres: $postgres:expr, sqlite: $sqlite:expr $(,)?) => {
        match &$tx.inner {
            $crate::store::tx::Inner::Postgres(_) => $postgres,
            $crate::store::tx::Inner::Sqlite(_) => $sqlite,
        }
    };
}

pub(super) use {row, rows, run, sql};
