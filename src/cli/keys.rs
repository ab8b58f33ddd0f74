//! `careloop keys` and `careloop migrate`: what must exist before the first start.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, bail};
use clap::Subcommand;

use super::{Global, output};
use crate::config::KeySource;
use crate::store::Store;
use crate::vault::{Key, KeyId};

/// Commands about keys.
#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// Make the root key in the file that `keys.root` names; refuses to replace one.
    Init,
    /// Show how many keys protect what.
    Status {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

/// Runs a command about keys.
pub(super) async fn run(global: &Global, command: KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::Init => init(global),
        KeysCommand::Status { json } => status(global, json).await,
    }
}

fn init(global: &Global) -> anyhow::Result<()> {
    let config = global.load()?;
    let KeySource::File(path) = &config.root_key else {
        bail!(
            "keys.root: expected file:PATH, found another source; make 64 hexadecimal digits there yourself"
        );
    };
    let key = Key::generate(KeyId(0))?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(path)
        .with_context(|| {
            format!(
                "{} cannot be made; an existing key is never replaced",
                path.display()
            )
        })?;
    file.write_all(key.to_root_text().as_bytes())?;
    file.sync_all()?;
    output::line(&format!(
        "root key written to {}\nKeep a copy away from this machine and apart from database backups: without it nothing can be read.",
        path.display()
    ))?;
    Ok(())
}

async fn status(global: &Global, json: bool) -> anyhow::Result<()> {
    let desk = global.open().await?;
    let status = desk.store.key_status(desk.id).await?;
    if json {
        for line in &status {
            output::json_line(line)?;
        }
        return Ok(());
    }
    let rows = status.into_iter().map(|key| {
        vec![
            key.purpose,
            key.keys.to_string(),
            key.active.to_string(),
            key.newest.unwrap_or_default(),
        ]
    });
    output::table(&["purpose", "keys", "active", "newest"], rows)?;
    Ok(())
}

/// Creates or upgrades the PostgreSQL schema as its owner.
pub(super) async fn migrate(global: &Global) -> anyhow::Result<()> {
    let config = global.load()?;
    let url = config.store.url.open();
    if url.starts_with("sqlite:") {
        output::line("store.url is SQLite: `careloop serve` upgrades it by itself")?;
        return Ok(());
    }
    let Some(owner) = &config.store.owner_url else {
        bail!(
            "store.owner_url: expected the owner role's address, found none; set CARELOOP__STORE__OWNER_URL"
        );
    };
    let role = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split(['@', ':', '/']).next())
        .unwrap_or_default();
    Store::migrate_postgres(owner.open(), role).await?;
    output::line("schema is up to date; the application role may use it")?;
    Ok(())
}
