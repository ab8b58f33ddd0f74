//! A database and a virtual host of its own for a hub that is run from outside, by the bench and by
//! the week.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;

/// Makes a PostgreSQL database with its owner and the application's role; gives the lines of
/// `[store]` that name it, and where the server is.
pub(crate) async fn database(superuser: &str, name: &str) -> anyhow::Result<(String, String)> {
    let pool = sqlx::PgPool::connect(superuser).await?;
    for statement in [
        format!("CREATE ROLE {name}_owner LOGIN"),
        format!("CREATE ROLE {name}_hub LOGIN"),
        format!("CREATE DATABASE {name} OWNER {name}_owner"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(&pool)
            .await?;
    }
    pool.close().await;
    let host = superuser.split(['@', '/']).nth(3).context("an address")?;
    let lines = format!(
        "url = \"postgres://{name}_hub@{host}/{name}\"\nowner_url = \"postgres://{name}_owner@{host}/{name}\""
    );
    Ok((lines, host.to_owned()))
}

/// Makes a virtual host of RabbitMQ; `ctl` runs `rabbitmqctl` after the words `before`.
pub(crate) async fn virtual_host(ctl: &Path, before: &[&str], name: &str) -> anyhow::Result<()> {
    let guest = ["set_permissions", "-p", name, "guest", ".*", ".*", ".*"];
    for arguments in [&["add_vhost", name][..], &guest] {
        let status = Command::new(ctl)
            .args(before)
            .arg("--quiet")
            .args(arguments)
            .stdout(Stdio::null())
            .status()
            .await?;
        ensure!(status.success(), "rabbitmqctl {arguments:?} failed");
    }
    Ok(())
}

/// Ends a hub as its supervisor does, and waits for it.
pub(crate) async fn stop(child: &mut tokio::process::Child) -> anyhow::Result<()> {
    let pid = child.id().context("the hub has ended")?.to_string();
    Command::new("kill").args(["-TERM", &pid]).status().await?;
    child.wait().await?;
    Ok(())
}
