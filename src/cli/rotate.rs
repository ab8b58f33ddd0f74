//! `careloop keys rotate`: new keys while hubs work.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::context::{Misconfigured, Misused, said};
use super::{Global, output};
use crate::clock;
use crate::config::{Config, KeySource, secret};
use crate::daemon;
use crate::store::{Period, Store, beside, kept};
use crate::vault::{Key, KeyId};

/// Which key is made anew.
#[derive(Subcommand)]
pub(super) enum RotateCommand {
    /// A new tenant key; what the old one wraps is wrapped anew, then the old one is destroyed. Run
    /// again after an interruption, it goes on.
    Tenant(TenantArgs),
    /// A new root key; the keys of all tenants are put under it at once. The old one is kept, since
    /// backups need it.
    Root(RootArgs),
}

/// Who rotates, and when.
#[derive(Args)]
pub(super) struct Order {
    /// The name of the person who rotates.
    #[arg(long, value_parser = said)]
    operator: String,
    /// Only when the key is older than its period: 90 days a tenant key, 365 days the root key.
    #[arg(long)]
    due: bool,
}

#[derive(Args)]
pub(super) struct TenantArgs {
    #[command(flatten)]
    order: Order,
    /// Keys wrapped anew in one transaction.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    at_once: u32,
}

#[derive(Args)]
pub(super) struct RootArgs {
    #[command(flatten)]
    order: Order,
    /// Where the new key is written, or lies already; without it, in the place of the old one.
    #[arg(long)]
    to: Option<PathBuf>,
}

impl Order {
    fn actor(&self) -> String {
        format!("operator:{}", self.operator)
    }
}

/// Runs a rotation.
pub(super) async fn run(global: &Global, command: RotateCommand) -> anyhow::Result<()> {
    match command {
        RotateCommand::Tenant(args) => tenant(global, args).await,
        RotateCommand::Root(args) => root(global, args).await,
    }
}

async fn tenant(global: &Global, args: TenantArgs) -> anyhow::Result<()> {
    let (desk, now) = (global.open().await?, clock::now());
    if args.order.due {
        let keys = desk.store.key_status(desk.id, now).await?;
        let mut of = keys.iter().filter(|key| key.purpose == "tenant");
        // An interrupted rotation is finished whatever the new key's age.
        if !of.any(|key| key.due || key.state == "decrypt-only") {
            let days = Period::Tenant.days();
            output::line(&format!(
                "the tenant key is younger than {days} days; nothing to do"
            ))?;
            return Ok(());
        }
    }
    let actor = args.order.actor();
    let done = desk
        .store
        .rotate_tenant_key(desk.id, (&actor, now), args.at_once)
        .await?;
    let made = if done.is_continued {
        "an interrupted rotation was continued: tenant key"
    } else {
        "tenant key"
    };
    output::line(&format!(
        "{made} {} wraps from now on; {} keys were wrapped anew",
        done.active.0, done.rewrapped
    ))?;
    for id in &done.destroyed {
        output::line(&format!("tenant key {} is destroyed", id.0))?;
    }
    if done.left > 0 {
        bail!(
            "{} keys are still under an old tenant key, which therefore stands: they cannot be opened (damaged or moved). Restore their rows from a backup and run the same command again",
            done.left
        );
    }
    Ok(())
}

async fn root(global: &Global, args: RootArgs) -> anyhow::Result<()> {
    let config = global.load()?;
    let now = clock::now();
    let roots = daemon::root_key(&config).map_err(|error| Misconfigured(format!("{error:#}")))?;
    let old = roots.id();
    let place = Place::of(&config, &args)?;
    let store = Store::open_beside(&config.store, roots).await?;
    let Some(named) = store.named_root().await? else {
        let says = "the store has no keys yet; `careloop serve` makes them at its first start";
        return Err(Misused(says.to_owned()).into());
    };
    if named != old {
        return finish(&place, (old, named));
    }
    if args.order.due && !is_due(&store, &config, now).await? {
        let days = Period::Root.days();
        output::line(&format!(
            "the root key is younger than {days} days; nothing to do"
        ))?;
        return Ok(());
    }
    let new = place.new_key()?;
    if new.id() == old {
        let says = format!(
            "--to: expected another root key, found the one in use in {}",
            place.new.display()
        );
        return Err(Misused(says).into());
    }
    let actor = args.order.actor();
    let done = store.rotate_root_key(&new, (&actor, now)).await?;
    output::line(&format!(
        "root key {} is in use: {} keys of {} tenants were wrapped anew",
        new.id().hex(),
        done.rewrapped,
        done.tenants
    ))?;
    place.put_in_place(old)
}

/// Whether a tenant's keys are under the root key for longer than its period.
async fn is_due(store: &Store, config: &Config, now: Timestamp) -> anyhow::Result<bool> {
    for tenant in &config.tenants {
        let id = store.tenant(&tenant.name).await?;
        let keys = store.key_status(id, now).await?;
        if keys.iter().any(|key| key.purpose == "root" && key.due) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A rotation was interrupted after its commit: the key that the store wants lies beside.
fn finish(place: &Place, (old, named): (KeyId, KeyId)) -> anyhow::Result<()> {
    if place.written()?.is_some_and(|key| key.id() == named) {
        output::line(&format!(
            "root key {} is in use since an interrupted rotation",
            named.hex()
        ))?;
        return place.put_in_place(old);
    }
    bail!(Misconfigured(format!(
        "keys.root: the store's keys are under root key {}, and keys.root holds {}; put the former in its place first",
        named.hex(),
        old.hex()
    )))
}

/// Where the new key is written, and what it replaces.
struct Place {
    new: PathBuf,
    /// The file of the old key, if the new one takes its place.
    replaces: Option<PathBuf>,
    source: KeySource,
}

impl Place {
    fn of(config: &Config, args: &RootArgs) -> anyhow::Result<Self> {
        let source = config.root_key.clone();
        let (new, replaces) = match (&args.to, &source) {
            (Some(to), _) => (to.clone(), None),
            (None, KeySource::File(path)) => (beside(path), Some(path.clone())),
            (None, _) => {
                return Err(Misused(format!(
                    "keys.root is {source}, which careloop cannot write: name a file for the new key with --to PATH, then put its content there and restart"
                ))
                .into());
            }
        };
        Ok(Self {
            new,
            replaces,
            source,
        })
    }

    /// The key in the new key's file, if there is one.
    fn written(&self) -> anyhow::Result<Option<Key>> {
        if !self.new.exists() {
            return Ok(None);
        }
        let text = secret(&KeySource::File(self.new.clone()))
            .map_err(|problem| Misconfigured(problem.to_string()))?;
        let key = Key::from_root_text(&text).with_context(|| self.new.display().to_string())?;
        Ok(Some(key))
    }

    /// The key that an interrupted rotation or somebody left there, or a new one, durably written
    /// before anything is under it.
    fn new_key(&self) -> anyhow::Result<Key> {
        let written = self.written().with_context(|| {
            format!(
                "an interrupted rotation left no whole key in {}; nothing is under it: remove it and try again",
                self.new.display()
            )
        })?;
        if let Some(key) = written {
            return Ok(key);
        }
        let key = Key::generate_root()?;
        write_key(&self.new, &key)?;
        Ok(key)
    }

    /// Puts the new key where the old one was, which is kept under its number.
    fn put_in_place(&self, old: KeyId) -> anyhow::Result<()> {
        let Some(path) = &self.replaces else {
            return Ok(output::line(&format!(
                "{} holds the new root key: put it where {} reads it and restart careloop now. Until then running hubs go on, and nothing else can open the store.\nBackups made until now need the old one (root key {}).",
                self.new.display(),
                self.source,
                old.hex()
            ))?);
        };
        let keep = kept(path, old);
        let moved = keep_as(path, &keep)
            .and_then(|()| fs::rename(&self.new, path))
            .and_then(|()| sync_folder(path));
        moved.with_context(|| {
            format!(
                "the new root key is in use, but {} could not take the place of {}; try `careloop keys rotate root` again, or move it yourself and keep the old one for backups",
                self.new.display(),
                path.display()
            )
        })?;
        Ok(output::line(&format!(
            "{} holds it; keep a copy away from this machine and apart from database backups.\nThe old one is kept as {}: backups made until now need it. Remove it when the last of them is gone.",
            path.display(),
            keep.display()
        ))?)
    }
}

/// A second name for the old key's file, so that there is no moment without a key in its place.
fn keep_as(path: &Path, keep: &Path) -> std::io::Result<()> {
    match fs::hard_link(path, keep) {
        // An interrupted rotation got this far.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Writes a root key into a file of its own that only its owner may read; it is there after a crash.
pub(super) fn write_key(path: &Path, key: &Key) -> anyhow::Result<()> {
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
    Ok(sync_folder(path)?)
}

/// Makes a file's name durable.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|path| !path.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
