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

/// Reads all rows of a query about a set of ids or blind indexes, which is `$2`: the text says
/// `= ANY($2)`, as PostgreSQL does.
macro_rules! among {
    ($tx:expr, $row:ty, $sql:expr, $set:expr $(, $bind:expr)* $(,)?) => {
        match &mut $tx.inner {
            $crate::store::tx::Inner::Postgres(c) => sqlx::query_as::<_, $row>($sql)
                .bind($tx.tenant.0).bind($set)$(.bind($bind))*
                .fetch_all(&mut **c).await,
            $crate::store::tx::Inner::Sqlite(c) => sqlx::query_as::<_, $row>(
                sqlx::AssertSqlSafe($crate::store::statement::listed($sql)))
                .bind($tx.tenant.0).bind($crate::store::statement::digits($set))$(.bind($bind))*
                .fetch_all(&mut **c).await,
        }
    };
}

/// Runs a statement with `VALUES ($1, …)`, or with `FROM (VALUES ($2, …)) AS given`, for many rows
/// at once; gives the number of rows that it touched. Between the bars: a row, and what it binds.
/// PostgreSQL gets one array a column, SQLite the group once for each row of a chunk.
macro_rules! many {
    ($tx:expr, $sql:expr, $rows:expr, |$one:ident| $($bind:expr),+ $(,)?) => {{
        let rows: &[_] = $rows;
        match &mut $tx.inner {
            _ if rows.is_empty() => 0_u64,
            $crate::store::tx::Inner::Postgres(c) => {
                let text = sqlx::AssertSqlSafe($crate::store::statement::unnested($sql));
                sqlx::query(text).bind($tx.tenant.0)
                    $(.bind(rows.iter().map(|$one| { let _ = $one; $bind }).collect::<Vec<_>>()))+
                    .execute(&mut **c).await?.rows_affected()
            }
            $crate::store::tx::Inner::Sqlite(c) => {
                let (mut touched, mut rest) = (0_u64, rows);
                while !rest.is_empty() {
                    let length = $crate::store::statement::chunk(rest.len());
                    let (chunk, later) = rest.split_at(length);
                    rest = later;
                    let text = $crate::store::statement::repeated($sql, length);
                    let mut query = sqlx::query(sqlx::AssertSqlSafe(text)).bind($tx.tenant.0);
                    for $one in chunk {
                        query = query$(.bind($bind))+;
                    }
                    touched += query.execute(&mut **c).await?.rows_affected();
                }
                touched
            }
        }
    }};
}

/// As [`many`], and reads what the statement returns of each row.
macro_rules! many_rows {
    ($tx:expr, $row:ty, $sql:expr, $rows:expr, |$one:ident| $($bind:expr),+ $(,)?) => {{
        let rows: &[_] = $rows;
        match &mut $tx.inner {
            _ if rows.is_empty() => Vec::new(),
            $crate::store::tx::Inner::Postgres(c) => {
                let text = sqlx::AssertSqlSafe($crate::store::statement::unnested($sql));
                sqlx::query_as::<_, $row>(text).bind($tx.tenant.0)
                    $(.bind(rows.iter().map(|$one| { let _ = $one; $bind }).collect::<Vec<_>>()))+
                    .fetch_all(&mut **c).await?
            }
            $crate::store::tx::Inner::Sqlite(c) => {
                let (mut found, mut rest) = (Vec::with_capacity(rows.len()), rows);
                while !rest.is_empty() {
                    let length = $crate::store::statement::chunk(rest.len());
                    let (chunk, later) = rest.split_at(length);
                    rest = later;
                    let text = $crate::store::statement::repeated($sql, length);
                    let mut query = sqlx::query_as::<_, $row>(sqlx::AssertSqlSafe(text))
                        .bind($tx.tenant.0);
                    for $one in chunk {
                        query = query$(.bind($bind))+;
                    }
                    found.extend(query.fetch_all(&mut **c).await?);
                }
                found
            }
        }
    }};
}

/// As [`many_rows`], for a statement that is a transaction by itself: one round trip. `None` where
/// there are more rows than one statement takes.
macro_rules! rows_alone {
    ($store:expr, $tenant:expr, $row:ty, $sql:expr, $rows:expr, |$one:ident| $($bind:expr),+ $(,)?) => {{
        let rows: &[_] = $rows;
        match &$store.pools {
            $crate::store::Pools::Postgres(pool) => {
                let text = sqlx::AssertSqlSafe($crate::store::statement::scoped($sql));
                let query = sqlx::query_as::<_, $row>(text).bind($tenant.0)
                    $(.bind(rows.iter().map(|$one| { let _ = $one; $bind }).collect::<Vec<_>>()))+;
                Some(query.fetch_all(pool).await?)
            }
            $crate::store::Pools::Sqlite { writer, .. }
                if (1..=$crate::store::statement::MOST_ROWS).contains(&rows.len()) =>
            {
                let text = $crate::store::statement::repeated($sql, rows.len());
                let mut query =
                    sqlx::query_as::<_, $row>(sqlx::AssertSqlSafe(text)).bind($tenant.0);
                for $one in rows {
                    query = query$(.bind($bind))+;
                }
                Some(query.fetch_all(writer).await?)
            }
            $crate::store::Pools::Sqlite { .. } => None,
        }
    }};
}

pub(super) use {among, many, many_rows, row, rows, rows_alone, run, sql};
