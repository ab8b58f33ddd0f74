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

/// Runs an `INSERT` with `VALUES ($1, …)` for many rows at once, in few statements instead of one a
/// row; gives the number of rows that it touched. Between the bars: a row, and what it binds.
macro_rules! many {
    ($tx:expr, $sql:expr, $rows:expr, |$one:ident| $($bind:expr),+ $(,)?) => {{
        let mut touched = 0_u64;
        let mut rest: &[_] = $rows;
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at($crate::store::dialect::chunk(rest.len()));
            rest = later;
            let text = sqlx::AssertSqlSafe($crate::store::dialect::repeated($sql, chunk.len()));
            touched += match &mut $tx.inner {
                $crate::store::tx::Inner::Postgres(c) => {
                    let mut query = sqlx::query(text).bind($tx.tenant.0);
                    for $one in chunk {
                        query = query$(.bind($bind))+;
                    }
                    query.execute(&mut **c).await?.rows_affected()
                }
                $crate::store::tx::Inner::Sqlite(c) => {
                    let mut query = sqlx::query(text).bind($tx.tenant.0);
                    for $one in chunk {
                        query = query$(.bind($bind))+;
                    }
                    query.execute(&mut **c).await?.rows_affected()
                }
            };
        }
        touched
    }};
}

/// Rows of one statement. Few different lengths, so that all of them stay prepared.
pub(super) fn chunk(rows: usize) -> usize {
    [64, 16, 4]
        .into_iter()
        .find(|size| rows >= *size)
        .unwrap_or(1)
}

/// The statement with its `VALUES (…)` once for each row: `$1` stays, the others count on.
pub(super) fn repeated(sql: &str, rows: usize) -> String {
    const VALUES: &str = "VALUES (";
    let Some((head, rest)) = sql.split_once(VALUES) else {
        return sql.to_owned();
    };
    let mut depth = 1_usize;
    let end = rest.find(|c: char| {
        depth = match c {
            '(' => depth + 1,
            ')' => depth - 1,
            _ => depth,
        };
        depth == 0
    });
    let Some((group, tail)) = end.and_then(|end| rest.split_at_checked(end)) else {
        return sql.to_owned();
    };
    let number = |part: &str| -> (usize, usize) {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let number = part.get(..digits).and_then(|text| text.parse().ok());
        (number.unwrap_or(1), digits)
    };
    let parts: Vec<&str> = group.split('$').collect();
    let numbers = parts.iter().skip(1).map(|part| number(part).0);
    let step = numbers.max().unwrap_or(1).saturating_sub(1);
    let mut text = format!("{head}VALUES ");
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { "), (" });
        for (place, part) in parts.iter().enumerate() {
            if place == 0 {
                text.push_str(part);
                continue;
            }
            let (number, digits) = number(part);
            let number = if number == 1 { 1 } else { number + row * step };
            text.push_str(&format!(
                "${number}{}",
                part.get(digits..).unwrap_or_default()
            ));
        }
    }
    text.push_str(tail);
    text
}

pub(super) use {many, row, rows, run, sql};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_for_many_rows_counts_on_and_keeps_the_tenant() {
        let one = "INSERT INTO t (tenant, a, b, c) VALUES ($1, $2, coalesce($3, $2), 'x') ON CONFLICT (tenant, a) DO NOTHING";
        assert_eq!(repeated(one, 1), one);
        assert_eq!(
            repeated(one, 2),
            "INSERT INTO t (tenant, a, b, c) VALUES ($1, $2, coalesce($3, $2), 'x'), ($1, $4, coalesce($5, $4), 'x') ON CONFLICT (tenant, a) DO NOTHING"
        );
    }

    #[test]
    fn rows_go_in_chunks_of_few_lengths() {
        let mut rows = 87;
        let mut chunks = Vec::new();
        while rows > 0 {
            chunks.push(chunk(rows));
            rows -= chunk(rows);
        }
        assert_eq!(chunks, [64, 16, 4, 1, 1, 1]);
    }
}
