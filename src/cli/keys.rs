//! `careloop keys` and `careloop migrate`: what must exist before the first start.

use anyhow::bail;
use clap::Subcommand;
use jiff::{Timestamp, tz::TimeZone};

use super::rotate::{self, RotateCommand, write_key};
use super::{Global, output};
use crate::clock;
use crate::config::KeySource;
use crate::store::{KeyStatus, Store};
use crate::vault::Key;

/// Commands about keys.
#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// Make the root key in the file that `keys.root` names; refuses to replace one.
    Init,
    /// Make a key anew, while hubs work.
    #[command(subcommand)]
    Rotate(RotateCommand),
    /// Show each key with its age and what it protects.
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
        KeysCommand::Rotate(command) => rotate::run(global, command).await,
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
    write_key(path, &Key::generate_root()?)?;
    output::line(&format!(
        "root key written to {}\nKeep a copy away from this machine and apart from database backups: without it nothing can be read.",
        path.display()
    ))?;
    Ok(())
}

async fn status(global: &Global, json: bool) -> anyhow::Result<()> {
    let (desk, now) = (global.open().await?, clock::now());
    let status = desk.store.key_status(desk.id, now).await?;
    if json {
        for line in &status {
            output::json_line(line)?;
        }
        return Ok(());
    }
    let rows = status.iter().map(|key| {
        let (id, state) = (key.id.clone(), key.state.clone());
        let last = key
            .until
            .or(key.newest)
            .filter(|at| Some(*at) != key.oldest);
        vec![
            key.purpose.to_owned(),
            id.unwrap_or_else(|| format!("{} keys", key.keys)),
            state,
            key.oldest.map(day).unwrap_or_default(),
            last.map(day).unwrap_or_default(),
            protects(key),
        ]
    });
    output::table(&["purpose", "key", "state", "from", "to", "protects"], rows)?;
    if let Some(note) = desk.store.check_root().await? {
        output::error(&note);
    }
    for key in status.iter().filter(|key| key.due) {
        output::error(&format!(
            "the {0} key is older than its period: careloop keys rotate {0} --operator NAME",
            key.purpose
        ));
    }
    Ok(())
}

fn day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).date().to_string()
}

/// How much is under a key, in words.
fn protects(key: &KeyStatus) -> String {
    let Some(count) = key.protects else {
        return "blind indexes".to_owned();
    };
    let of = match key.purpose {
        "root" => "tenant keys",
        "tenant" => "keys",
        "inbox" => "messages",
        _ => "people",
    };
    format!("{count} {of}")
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
