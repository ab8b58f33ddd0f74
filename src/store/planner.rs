//! Keeps the planners of both databases to the indexes. Both plan for the rows they know of; on a
//! new or fast growing store that is next to none, and a plan for few rows reads them all.

use sqlx::SqlitePool;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::Error;
use super::statement::KEPT;

/// What PostgreSQL is told, for statements and for the checks of foreign keys, whose plans last as long
/// as the connection: every table has an index for whatever is asked of it.
///
/// A plan is made once and must not depend on how few rows there were then, so what counts is how many rows a plan touches:
/// pages and comparisons cost next to nothing, and a probe for each person who is asked for is
/// dearer than reading all of a tenant's only where they are fewer. What else goes by cost,
/// compiling and parallel workers, is off.
pub const PLANNING: [(&str, &str); 9] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("seq_page_cost", "0.1"),
    ("random_page_cost", "0.1"),
    ("cpu_tuple_cost", "1"),
    ("cpu_index_tuple_cost", "0.5"),
    ("cpu_operator_cost", "0.01"),
    ("jit", "off"),
    ("max_parallel_workers_per_gather", "0"),
];

/// Connections to PostgreSQL that plan so.
pub(super) fn postgres(options: PgConnectOptions) -> PgConnectOptions {
    options.statement_cache_capacity(KEPT).options(PLANNING)
}

/// Connections to SQLite that make no index for a single statement: they would for a list of rows to be
/// changed, and read the whole table along it.
pub(super) fn sqlite(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .statement_cache_capacity(KEPT)
        .pragma("automatic_index", "OFF")
}

/// SQLite never measures by itself, and takes the first column of an index for a choice among many.
/// Ours is the tenant, of whom there are few, so that it would as soon read all rows of a tenant as
/// those of a person. What it is told instead: a million rows, all of one tenant, and ten for
/// anything more that is asked for.
const TOLD: &str = "ANALYZE tenant; \
    DELETE FROM sqlite_stat1; \
    INSERT INTO sqlite_stat1 (tbl, idx, stat) \
    SELECT tbl, idx, rows || ' ' || rows || replace(substr(quote(zeroblob(width - 1)), 3, 2 * (width - 1)), '00', ' 10') FROM (\
        SELECT listed.name AS tbl, own.name AS idx, CASE WHEN own.partial THEN '10000' ELSE '1000000' END AS rows, \
        (SELECT count(*) FROM pragma_index_info(own.name)) AS width, \
        (SELECT name FROM pragma_index_info(own.name) WHERE seqno = 0) AS first \
        FROM sqlite_schema AS listed JOIN pragma_index_list(listed.name) AS own WHERE listed.type = 'table'\
    ) WHERE first = 'tenant'; \
    ANALYZE sqlite_schema";

/// Tells SQLite; connections that are opened later know it, too.
pub(super) async fn tell_sqlite(writer: &SqlitePool) -> Result<(), Error> {
    sqlx::raw_sql(TOLD).execute(writer).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqlitePoolOptions;

    use super::super::statement::{MOST_ROWS, repeated};
    use super::*;

    /// What is asked for each message or each look, and the index that answers it.
    const ASKED: [(&str, &str); 7] = [
        (
            "SELECT id FROM finding WHERE tenant = $1 AND person IN (SELECT unhex(value) FROM json_each('[]')) ORDER BY id",
            "finding_of",
        ),
        (
            "SELECT id FROM task WHERE tenant = $1 AND person IN (SELECT unhex(value) FROM json_each('[]')) ORDER BY id",
            "task_of",
        ),
        (
            "SELECT DISTINCT person FROM contact_point WHERE tenant = $1 AND value_index = x'00'",
            "contact_point_value",
        ),
        (
            "SELECT count(*) FROM outbox WHERE tenant = $1 AND state = 'publishing' AND claim_deadline < 2",
            "outbox_publishing",
        ),
        (
            "SELECT source, code, count(*) FROM message WHERE tenant = $1 AND state = 'held' GROUP BY source, code",
            "message_by_state",
        ),
        (
            "SELECT person FROM identity_check WHERE tenant = $1 ORDER BY since_at, person LIMIT 2",
            "identity_check_since",
        ),
        (
            "SELECT max(event_time) FROM identifier_assignment WHERE tenant = $1 AND value_index IN (SELECT unhex(value) FROM json_each('[]'))",
            "identifier_assignment_of",
        ),
    ];

    async fn told() -> SqlitePool {
        let memory = sqlite(SqliteConnectOptions::new().in_memory(true));
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(memory)
            .await
            .unwrap();
        sqlx::migrate!("migrations/sqlite")
            .run(&pool)
            .await
            .unwrap();
        tell_sqlite(&pool).await.unwrap();
        pool
    }

    async fn plan(pool: &SqlitePool, statement: &str) -> Vec<String> {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).fetch_all(pool).await.unwrap();
        plan.into_iter().map(|step| step.3).collect()
    }

    #[tokio::test]
    async fn sqlite_takes_the_index_that_leads_to_the_person() {
        let pool = told().await;
        for (statement, index) in ASKED {
            let steps = plan(&pool, statement).await;
            let wanted = format!("INDEX {index} (");
            assert!(
                steps.iter().any(|step| step.contains(&wanted)),
                "{statement}: {steps:?}"
            );
        }
    }

    /// The statements of this folder that change the rows of a list.
    fn listed() -> Vec<String> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store");
        let mut found = Vec::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            let texts = text.split('"').skip(1).step_by(2);
            let texts = texts.filter(|text| text.contains("FROM (VALUES"));
            found.extend(texts.map(|text| text.replace("\\\n", " ")));
        }
        found
    }

    /// Whether a step goes through a whole table, or through all that one tenant has in it.
    fn reads_all(step: &str) -> bool {
        let is_list = ["CONSTANT ROW", "VALUES CLAUSE", "SCAN given"];
        let scans = step.starts_with("SCAN ") && !is_list.iter().any(|list| step.contains(list));
        scans || step.ends_with("(tenant=?)")
    }

    #[tokio::test]
    async fn sqlite_goes_from_a_list_to_its_rows_however_long_it_is() {
        let pool = told().await;
        let listed = listed();
        assert!(listed.len() > 8, "{listed:?}");
        for statement in listed {
            for rows in [1, 2, 4, 8, 16, MOST_ROWS] {
                let steps = plan(&pool, &repeated(&statement, rows)).await;
                let all: Vec<_> = steps.iter().filter(|step| reads_all(step)).collect();
                assert!(all.is_empty(), "{rows} rows: {statement}: {steps:?}");
            }
        }
    }
}
