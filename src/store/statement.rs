//! Texts of statements for many rows: what both databases understand is written once, and reworded
//! here for the one that runs it.

use std::fmt::Write as _;

/// Statements that stay prepared on a connection: all there are, some in six lengths. With fewer places
/// than statements each would be prepared anew each time.
pub(super) const KEPT: usize = 1024;
/// Rows that one statement of SQLite takes.
pub(super) const MOST_ROWS: usize = 32;

/// Rows of one statement. Few different lengths, so that all of them stay prepared; no longer ones, since
/// binding a parameter searches its name among all of the statement's.
pub(super) fn chunk(rows: usize) -> usize {
    [MOST_ROWS, 16, 8, 4, 2]
        .into_iter()
        .find(|size| rows >= *size)
        .unwrap_or(1)
}

/// The statement with its `VALUES (…)` once for each row: `$1` stays, the others count on.
pub(super) fn repeated(sql: &str, rows: usize) -> String {
    let Some(group) = Group::of(sql) else {
        return sql.to_owned();
    };
    let step = group.width();
    let mut text = format!("{}VALUES ", group.head);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { "), (" });
        text.push_str(&group.renamed(|number| format!("${}", number + row * step)));
    }
    text.push_str(group.tail);
    text
}

/// The statement with one array a column instead of `VALUES (…)`: one text, however many rows.
pub(super) fn unnested(sql: &str) -> String {
    let Some(group) = Group::of(sql) else {
        return sql.to_owned();
    };
    let columns = 2..group.width() + 2;
    let list = |write: fn(usize) -> String| -> String {
        let names: Vec<String> = columns.clone().map(write).collect();
        names.join(", ")
    };
    let arrays = list(|number| format!("${number}"));
    if let (Some(head), Some(tail)) = (
        group.head.strip_suffix("FROM ("),
        group.tail.strip_prefix(")) AS given"),
    ) {
        let names = list(|number| format!("column{}", number - 1));
        return format!("{head}FROM unnest({arrays}) AS given ({names}){tail}");
    }
    let tail = group.tail.strip_prefix(')').unwrap_or(group.tail);
    let names = list(|number| format!("c{number}"));
    let chosen = group.renamed(|number| format!("given.c{number}"));
    format!(
        "{}SELECT {chosen} FROM unnest({arrays}) AS given ({names}){tail}",
        group.head
    )
}

/// As [`unnested`], and it names the tenant to row-level security itself: it needs no transaction around
/// it. The setting ends with the statement.
pub(super) fn scoped(sql: &str) -> String {
    const SCOPE: &str =
        "FROM (SELECT set_config('careloop.tenant', $1::text, true)) AS scope, unnest(";
    unnested(sql).replacen("FROM unnest(", SCOPE, 1)
}

/// The statement with `= ANY($n)` as SQLite reads a set: from the digits of [`digits`].
pub(super) fn listed(sql: &str) -> String {
    let mut parts = sql.split("= ANY(");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (parameter, rest) = part.split_once(')').unwrap_or((part, ""));
        // Writing to a string never fails.
        let written = write!(
            text,
            "IN (SELECT unhex(value) FROM json_each({parameter})){rest}"
        );
        debug_assert!(written.is_ok());
    }
    text
}

/// Ids or blind indexes as a JSON list of hexadecimal digits.
pub(super) fn digits<T: AsRef<[u8]>>(set: &[T]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    let mut text = String::with_capacity(2 + set.len() * 36);
    text.push('[');
    for (place, value) in set.iter().enumerate() {
        text.push_str(if place == 0 { "\"" } else { ",\"" });
        for byte in value.as_ref() {
            text.push(digit(byte >> 4));
            text.push(digit(byte & 15));
        }
        text.push('"');
    }
    text.push(']');
    text
}

/// A group of `VALUES (…)` in a statement: what stands before it, in it, and after it.
struct Group<'a> {
    head: &'a str,
    inner: &'a str,
    tail: &'a str,
}

impl<'a> Group<'a> {
    fn of(sql: &'a str) -> Option<Self> {
        let (head, rest) = sql.split_once("VALUES (")?;
        let mut depth = 1_usize;
        let end = rest.find(|c: char| {
            depth = match c {
                '(' => depth + 1,
                ')' => depth - 1,
                _ => depth,
            };
            depth == 0
        })?;
        let (inner, tail) = rest.split_at_checked(end)?;
        Some(Self { head, inner, tail })
    }

    /// The group with every parameter but the tenant as `name` says.
    fn renamed(&self, name: impl Fn(usize) -> String) -> String {
        let mut parts = self.inner.split('$');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (number, rest) = number(part);
            text.push_str(&match number {
                1 => "$1".to_owned(),
                other => name(other),
            });
            text.push_str(rest);
        }
        text
    }

    /// How many parameters a row has besides the tenant.
    fn width(&self) -> usize {
        let numbers = self.inner.split('$').skip(1).map(|part| number(part).0);
        numbers.max().unwrap_or(1).saturating_sub(1)
    }
}

/// The number that a part begins with, and what follows it.
fn number(part: &str) -> (usize, &str) {
    let digits = part.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = part.split_at_checked(digits).unwrap_or((part, ""));
    (number.parse().unwrap_or(1), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "INSERT INTO t (tenant, a, b, c) VALUES ($1, $2, coalesce($3, $2), 'x') ON CONFLICT (tenant, a) DO NOTHING";
    const CHANGE: &str = "UPDATE t SET a = given.column2 FROM (VALUES ($2, $3)) AS given WHERE tenant = $1 AND id = given.column1";

    #[test]
    fn a_statement_for_many_rows_counts_on_and_keeps_the_tenant() {
        assert_eq!(repeated(ONE, 1), ONE);
        assert_eq!(
            repeated(ONE, 2),
            "INSERT INTO t (tenant, a, b, c) VALUES ($1, $2, coalesce($3, $2), 'x'), ($1, $4, coalesce($5, $4), 'x') ON CONFLICT (tenant, a) DO NOTHING"
        );
        assert_eq!(
            repeated(CHANGE, 2),
            "UPDATE t SET a = given.column2 FROM (VALUES ($2, $3), ($4, $5)) AS given WHERE tenant = $1 AND id = given.column1"
        );
    }

    #[test]
    fn a_statement_for_arrays_names_their_columns() {
        assert_eq!(
            unnested(ONE),
            "INSERT INTO t (tenant, a, b, c) SELECT $1, given.c2, coalesce(given.c3, given.c2), 'x' FROM unnest($2, $3) AS given (c2, c3) ON CONFLICT (tenant, a) DO NOTHING"
        );
        assert_eq!(
            unnested(CHANGE),
            "UPDATE t SET a = given.column2 FROM unnest($2, $3) AS given (column1, column2) WHERE tenant = $1 AND id = given.column1"
        );
    }

    #[test]
    fn a_statement_alone_names_its_tenant_before_any_row() {
        assert_eq!(
            scoped(ONE),
            "INSERT INTO t (tenant, a, b, c) SELECT $1, given.c2, coalesce(given.c3, given.c2), 'x' FROM (SELECT set_config('careloop.tenant', $1::text, true)) AS scope, unnest($2, $3) AS given (c2, c3) ON CONFLICT (tenant, a) DO NOTHING"
        );
    }

    #[test]
    fn a_set_is_read_from_digits() {
        assert_eq!(
            listed("SELECT a FROM t WHERE tenant = $1 AND id = ANY($2) AND b < $3"),
            "SELECT a FROM t WHERE tenant = $1 AND id IN (SELECT unhex(value) FROM json_each($2)) AND b < $3"
        );
        assert_eq!(digits(&[vec![0_u8, 255], vec![16]]), r#"["00ff","10"]"#);
        assert_eq!(digits::<Vec<u8>>(&[]), "[]");
    }

    #[test]
    fn rows_go_in_chunks_of_few_lengths() {
        let mut rows = 87;
        let mut chunks = Vec::new();
        while rows > 0 {
            chunks.push(chunk(rows));
            rows -= chunk(rows);
        }
        assert_eq!(chunks, [32, 32, 16, 4, 2, 1]);
    }
}
