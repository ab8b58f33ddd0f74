//! What the store and the broker can do at most, on the same machine in the same run.

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use lapin::Confirmation;
use lapin::options::QueueDeleteOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgPool, SqliteConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::load::per_second;
use crate::queue::Queue;

/// The size of a row and of an envelope: that of a message.
const BODY: usize = 1_200;

/// Rows a second into SQLite with the store's settings, `rows` in each commit.
pub(crate) async fn sqlite(folder: &Path, rows: usize, commits: usize) -> anyhow::Result<f64> {
    let file = folder.join(format!("limit-{rows}.db"));
    let options = SqliteConnectOptions::new()
        .filename(&file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "ON")
        .disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS kept (id BLOB PRIMARY KEY, body BLOB NOT NULL) STRICT")
        .execute(&mut connection)
        .await?;
    let body = vec![7_u8; BODY];
    let began = Instant::now();
    for _ in 0..commits {
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        for _ in 0..rows {
            sqlx::query("INSERT INTO kept VALUES ($1, $2)")
                .bind(Uuid::now_v7())
                .bind(body.as_slice())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
    }
    Ok(per_second(rows * commits, began.elapsed()))
}

/// Rows a second into PostgreSQL over `connections`, `rows` in each statement and commit.
pub(crate) async fn postgres(
    address: &str,
    (connections, rows): (u32, usize),
    commits: usize,
) -> anyhow::Result<f64> {
    let pool = PgPoolOptions::new()
        .min_connections(connections)
        .max_connections(connections)
        .connect(address)
        .await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS kept (id uuid PRIMARY KEY, body bytea NOT NULL)")
        .execute(&pool)
        .await?;
    let began = Instant::now();
    let mut writers = JoinSet::new();
    for _ in 0..connections {
        writers.spawn(insert(pool.clone(), rows, commits));
    }
    while let Some(writer) = writers.join_next().await {
        writer??;
    }
    let rate = per_second(rows * commits * pool.size() as usize, began.elapsed());
    sqlx::query("DROP TABLE kept").execute(&pool).await?;
    pool.close().await;
    Ok(rate)
}

async fn insert(pool: PgPool, rows: usize, commits: usize) -> anyhow::Result<()> {
    let mut connection = pool.acquire().await?;
    let bodies = vec![vec![7_u8; BODY]; rows];
    for _ in 0..commits {
        let ids: Vec<Uuid> = bodies.iter().map(|_| Uuid::now_v7()).collect();
        sqlx::query("INSERT INTO kept SELECT * FROM unnest($1::uuid[], $2::bytea[])")
            .bind(ids)
            .bind(&bodies)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Confirmed persistent publishes a second into a quorum queue, `window` under way at once.
pub(crate) async fn rabbit(address: &str, window: usize, count: usize) -> anyhow::Result<f64> {
    let queue = Queue::declare(address, "limit").await?;
    let body = vec![7_u8; BODY];
    let began = Instant::now();
    let mut under_way = std::collections::VecDeque::new();
    for _ in 0..count {
        under_way.push_back(queue.publish(&body).await?);
        if under_way.len() >= window
            && let Some(oldest) = under_way.pop_front()
        {
            ensure!(
                oldest.await? == Confirmation::Ack(None),
                "a publish was not confirmed"
            );
        }
    }
    for confirm in under_way {
        ensure!(
            confirm.await? == Confirmation::Ack(None),
            "a publish was not confirmed"
        );
    }
    let rate = per_second(count, began.elapsed());
    queue
        .channel
        .queue_delete("limit".into(), QueueDeleteOptions::default())
        .await?;
    queue.connection.close(200, "done".into()).await?;
    Ok(rate)
}
