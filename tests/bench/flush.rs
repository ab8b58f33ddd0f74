//! A slower disk: PostgreSQL waits 2 ms before each flush, for the hub and the yardstick alike.

use std::time::Duration;

use anyhow::{Context, ensure};
use sqlx::PgPool;
use tokio::time::sleep;

/// Makes flushes slow, as `commit_delay` of PostgreSQL does where `commit_siblings` is 0.
pub(crate) async fn slow(superuser: &str) -> anyhow::Result<()> {
    set(
        superuser,
        [
            "ALTER SYSTEM SET commit_delay = 2000",
            "ALTER SYSTEM SET commit_siblings = 0",
        ],
        "2000",
    )
    .await
}

/// Takes that back.
pub(crate) async fn normal(superuser: &str) -> anyhow::Result<()> {
    set(
        superuser,
        [
            "ALTER SYSTEM RESET commit_delay",
            "ALTER SYSTEM RESET commit_siblings",
        ],
        "0",
    )
    .await
}

/// Sets both, and waits until every session sees it.
async fn set(superuser: &str, statements: [&'static str; 2], delay: &str) -> anyhow::Result<()> {
    let pool = PgPool::connect(superuser).await?;
    for statement in statements {
        sqlx::query(statement).execute(&pool).await?;
    }
    sqlx::query("SELECT pg_reload_conf()")
        .execute(&pool)
        .await?;
    let mut found = String::new();
    for _ in 0..100 {
        found = sqlx::query_scalar("SHOW commit_delay")
            .fetch_optional(&pool)
            .await?
            .context("commit_delay")?;
        if found == delay {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    pool.close().await;
    ensure!(
        found == delay,
        "commit_delay: expected {delay}, found {found}"
    );
    // The other sessions read the file between two statements.
    sleep(Duration::from_millis(200)).await;
    Ok(())
}
