//! `careloop backup`: a copy of the embedded store, while it is in use.

use std::path::PathBuf;

use clap::Args;

use super::{Global, output};
use crate::clock;
use crate::vault::KeyId;

/// What the command takes.
#[derive(Args)]
pub(super) struct BackupArgs {
    /// The file to write; it must not be there yet.
    to: PathBuf,
}

/// Writes a copy of the store.
pub(super) async fn run(global: &Global, args: BackupArgs) -> anyhow::Result<()> {
    let desk = global.open().await?;
    let root = desk.store.named_root().await?;
    desk.store.back_up(&args.to, clock::now()).await?;
    output::line(&format!(
        "copied to {}; it cannot be read without root key {}, which is kept elsewhere: keep that one as long as the copy. Put in place of the store, it comes up with outreach stopped.",
        args.to.display(),
        root.map(KeyId::hex).unwrap_or_default()
    ))?;
    Ok(())
}
