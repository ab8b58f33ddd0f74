//! `careloop demo`: the real hub on this machine, an invented feed over a real connection, and
//! tables of what became of it.

mod departures;
mod feed;
mod folder;
mod report;
mod sender;
mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::consent::{self, ConsentCommand};
use super::{Global, output};
use crate::clock;
use crate::config::{Config, LogConfig};
use crate::daemon::Daemon;
use crate::store::TenantId;
use crate::telemetry;
use feed::Act;
use folder::Folder;
use sender::Sender;

/// The tenant of the demo's configuration.
const TENANT: &str = "riverside";
/// Who records consents and reads records in the demo; named in its audit entries.
const OPERATOR: &str = "demo";
/// How long the hub may take for what was sent; far more than it needs.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the hub's counts are looked at meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// What the demo takes.
#[derive(Args)]
pub(super) struct DemoArgs {
    /// Where its configuration, key, database, tasks and log go. What an earlier demo left there
    /// is replaced; anything else is left alone.
    #[arg(long, default_value = "careloop-demo")]
    folder: PathBuf,
    /// Keep the hub running until Ctrl-C, to send it messages of your own.
    #[arg(long)]
    stay: bool,
}

/// A message that was sent, and how it was answered.
struct Delivery {
    title: String,
    bytes: Vec<u8>,
    answer: String,
    is_repeat: bool,
}

/// A started hub with its demo folder.
struct Stage<'a> {
    program: &'a str,
    folder: &'a Folder,
    global: &'a Global,
    daemon: &'a Daemon,
    tenant: TenantId,
}

/// Plays the feed and shows what became of it.
///
/// `program` is how the operator called careloop; the commands to look further begin with it.
pub(super) async fn run(args: DemoArgs, program: &str) -> anyhow::Result<()> {
    // Installed first, so that Ctrl-C at any time stops the hub in order.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let folder = Folder::prepare(&args.folder, clock::now())?;
    let global = Global {
        config: Some(folder.config()),
        tenant: None,
    };
    let config = global.load()?;
    folder.check(&config)?;
    log_to(&folder, &config.log)?;
    output::line(&format!(
        "careloop demo: the whole hub on this machine, with its own database and no broker.\n\
         Everybody in it is invented. Real people's data has no place here yet: there is no access control.\n\
         Its files: {}\n",
        folder.root.display()
    ))?;
    let daemon = Daemon::start(config.clone())
        .await
        .context("the hub did not start")?;
    let told = tokio::select! {
        told = show(&folder, (&global, program), &daemon, &config) => told,
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted; the hub was stopped in order")),
        _ = terminate.recv() => Err(anyhow::anyhow!("interrupted; the hub was stopped in order")),
    };
    if told.is_ok() && args.stay {
        stay(&daemon)?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        output::line("\nstopping: intake, pipeline, outbox")?;
    }
    daemon.stop().await;
    if told.is_ok() && !args.stay {
        output::line(
            "\nThe hub was stopped in order; `--stay` keeps it running for your own messages.",
        )?;
    }
    told
}

async fn show(
    folder: &Folder,
    (global, program): (&Global, &str),
    daemon: &Daemon,
    config: &Config,
) -> anyhow::Result<()> {
    let stage = Stage {
        program,
        folder,
        global,
        daemon,
        tenant: daemon.store.tenant(TENANT).await?,
    };
    let deliveries = stage.play(config).await?;
    report::print(&stage, config, &deliveries).await
}

/// Sends the log to a file, so that the tables stay readable.
fn log_to(folder: &Folder, log: &LogConfig) -> anyhow::Result<()> {
    let path = folder.log();
    let file = std::fs::File::create(&path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    let subscriber = telemetry::subscriber(log, Arc::new(file))?;
    tracing::subscriber::set_global_default(subscriber).context("the log was set up twice")?;
    Ok(())
}

fn stay(daemon: &Daemon) -> anyhow::Result<()> {
    output::line("\nThe hub keeps running; Ctrl-C stops it.")?;
    for bound in &daemon.bound {
        output::line(&format!(
            "  HL7 v2 over MLLP   {} (source {})",
            bound.address, bound.source
        ))?;
    }
    if let Some(http) = daemon.http {
        output::line(&format!("  ready?             http://{http}/health/ready"))?;
        output::line(&format!("  metrics            http://{http}/metrics"))?;
    }
    Ok(())
}

impl Stage<'_> {
    /// Plays the feed over one real connection and waits until everything has settled.
    async fn play(&self, config: &Config) -> anyhow::Result<Vec<Delivery>> {
        let zone = config.tenants.first().map(|tenant| tenant.zone.clone());
        let zone = zone.context("the demo's configuration has no tenant")?;
        let steps = feed::steps(&clock::now().to_zoned(zone))?;
        self.folder.write_feed(&steps)?;
        let bound = self.daemon.bound.first();
        let bound = bound.filter(|bound| bound.open);
        let address = bound
            .context("the demo's listener did not open; see the log in its folder")?
            .address;
        let mut sender = Sender::connect(address).await?;
        output::line(&format!("playing a feed to {address} ..."))?;
        let mut deliveries: Vec<Delivery> = Vec::new();
        for act in steps {
            match act {
                Act::Send { title, bytes } => {
                    let answer = sender.send(&bytes).await?;
                    deliveries.push(Delivery {
                        title,
                        bytes,
                        answer,
                        is_repeat: false,
                    });
                }
                Act::Again => {
                    let last = deliveries.last().context("@again: nothing was sent yet")?;
                    let again = Delivery {
                        title: "the same message once more".to_owned(),
                        bytes: last.bytes.clone(),
                        answer: sender.send(&last.bytes).await?,
                        is_repeat: true,
                    };
                    deliveries.push(again);
                }
                Act::Consents => {
                    self.settle().await?;
                    output::line("careloop consent import, with what people said so far ...")?;
                    let command = ConsentCommand::Import {
                        file: self.folder.consents(),
                        operator: OPERATOR.to_owned(),
                    };
                    consent::run(self.global, command).await?;
                }
                Act::Settle => self.settle().await?,
            }
        }
        self.settle().await?;
        Ok(deliveries)
    }

    /// Waits until no message waits and nothing is on its way out.
    async fn settle(&self) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        let store = &self.daemon.store;
        loop {
            let (waiting, _) = store.backlog(self.tenant).await?;
            let outbox = store.outbox_counts(self.tenant).await?;
            if waiting == 0 && outbox.waiting + outbox.publishing == 0 {
                return Ok(());
            }
            if Instant::now() >= until {
                bail!(
                    "after {} seconds {waiting} messages and {} tasks still wait; the log says more: {}",
                    PATIENCE.as_secs(),
                    outbox.waiting + outbox.publishing,
                    self.folder.log().display()
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
