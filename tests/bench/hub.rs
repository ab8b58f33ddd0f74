//! The hub under measurement: the release program, or its door alone, as a child process on a fresh
//! store and broker.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use careloop::config::Config;
use careloop::daemon;
use careloop::store::{Counts, Store, TenantId};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::agreement::agreement;
use crate::own;
use crate::queue;

const PROGRAM: &str = env!("CARGO_BIN_EXE_careloop");
/// How long the hub may take to start, and to finish what it was sent.
const PATIENCE: Duration = Duration::from_secs(600);
/// Where the tasks of a location without teams lie.
const QUEUE: &str = "careloop.tasks.riverside.main.coordination";
/// The contact policy that ships.
const POLICY: &str = include_str!("../../mappings/care/contact-policy.toml");

/// What runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// `careloop serve`.
    Whole,
    /// The same listener, door and store, and nothing that works on what they take.
    DoorAlone,
}

/// Where the services are, as `tests/services env` says.
#[derive(Clone, Default)]
pub(crate) struct Services {
    /// A PostgreSQL superuser's address.
    pub(crate) postgres: Option<String>,
    /// RabbitMQ's default virtual host.
    pub(crate) amqp: Option<String>,
    /// A script that runs `rabbitmqctl`.
    pub(crate) ctl: Option<PathBuf>,
}

/// A running hub and a second look into its store.
pub(crate) struct Hub {
    child: Child,
    /// Where it takes messages.
    pub(crate) address: SocketAddr,
    store: Store,
    tenant: TenantId,
    /// The owner's address of a PostgreSQL database.
    owner: Option<String>,
    /// Its own virtual host.
    pub(crate) broker: Option<String>,
}

impl Hub {
    /// Starts a hub on the store `kind`, with everything of its own below `folder`.
    pub(crate) async fn start(
        folder: &Path,
        kind: &str,
        services: &Services,
        (program, name): (Program, &str),
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let store = match kind {
            "sqlite" => "url = \"sqlite:careloop.db\"".to_owned(),
            _ => {
                let superuser = services.postgres.as_deref().context(
                    "PostgreSQL is measured where CARELOOP_TEST_POSTGRES says; tests/bench/run starts one",
                )?;
                own::database(superuser, name).await?.0
            }
        };
        // Without a broker tasks go to the spool file.
        let mut broker = None;
        if let (Program::Whole, Some(amqp), Some(ctl)) = (program, &services.amqp, &services.ctl) {
            own::virtual_host(ctl, &[], name).await?;
            broker = Some(amqp.replace("%2f", name));
        }
        let file = folder.join("careloop.toml");
        let text = configuration(&store);
        std::fs::write(&file, text)?;
        std::fs::write(folder.join("contact-policy.toml"), policy()?)?;
        command(&file, &["keys", "init"]).await?;
        command(&file, &["migrate"]).await?;
        let mut child = match program {
            Program::Whole => Command::new(PROGRAM),
            Program::DoorAlone => Command::new(std::env::current_exe()?),
        };
        match program {
            Program::Whole => child.arg("--config").arg(&file).arg("serve"),
            Program::DoorAlone => child.arg("--door").arg(&file),
        };
        let mut child = child
            .current_dir(folder)
            .envs(broker.iter().map(|url| ("CARELOOP__BROKER__URL", url)))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let address = listening(&mut child).await?;
        let config = Config::load(Some(&file)).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow::anyhow!(problems.join("\n"))
        })?;
        let store = Store::open_beside(&config.store, daemon::root_key(&config)?).await?;
        let tenant = store.tenant("riverside").await?;
        Ok(Self {
            child,
            address,
            store,
            tenant,
            owner: config.store.owner_url.map(|url| url.open().to_owned()),
            broker,
        })
    }

    /// Waits until nothing waits any more and `tasks` were confirmed in all.
    pub(crate) async fn settled(&self, tasks: i64) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let (waiting, _) = self.store.backlog(self.tenant).await?;
            let outbox = self.store.outbox_counts(self.tenant).await?;
            if waiting == 0 && outbox.sent == tasks {
                return Ok(());
            }
            ensure!(
                began.elapsed() < PATIENCE && (waiting > 0 || outbox.sent <= tasks),
                "expected {tasks} confirmed tasks, found {outbox:?} with {waiting} messages waiting"
            );
            // Asked more often, the question itself takes a tenth of the processors.
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Every message there is, by what became of it.
    pub(crate) async fn counts(&self) -> anyhow::Result<Counts> {
        Ok(self.store.counts(self.tenant).await?)
    }

    /// The tasks in the broker's queue, repeats of one id counted once; the queue is empty then.
    pub(crate) async fn tasks_at_broker(&self) -> anyhow::Result<usize> {
        let address = self.broker.as_deref().context("a broker")?;
        queue::distinct(address, QUEUE).await
    }

    /// What autovacuum does within its first minute, which is longer than a round: before it
    /// PostgreSQL plans for empty tables.
    pub(crate) async fn analyze(&self) -> anyhow::Result<()> {
        if let Some(owner) = &self.owner {
            let pool = sqlx::PgPool::connect(owner).await?;
            sqlx::query("ANALYZE").execute(&pool).await?;
            pool.close().await;
        }
        Ok(())
    }

    /// Processor time used so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()?))?;
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks =
            |place: usize| -> u64 { fields.get(place).and_then(|t| t.parse().ok()).unwrap_or(0) };
        // utime and stime are fields 14 and 15 of the line, 12 and 13 after the name; 100 a second.
        Ok(Duration::from_millis((ticks(11) + ticks(12)) * 10))
    }

    /// The memory that it holds (`VmRSS`), or the most that it ever held (`VmHWM`), in MB.
    pub(crate) fn memory(&self, line: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let found = status.lines().find_map(|text| text.strip_prefix(line));
        let kilobytes = found.and_then(|text| text.split_whitespace().nth(1));
        let kilobytes: f64 = kilobytes.context("a size")?.parse()?;
        Ok(kilobytes / 1024.0)
    }

    /// How many files and sockets it has open.
    pub(crate) fn open(&self) -> anyhow::Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.pid()?))?.count())
    }

    /// Stops the hub, and removes its virtual host.
    pub(crate) async fn stop(mut self, services: &Services) -> anyhow::Result<()> {
        own::stop(&mut self.child).await?;
        self.store.close().await;
        if let (Some(address), Some(ctl)) = (&self.broker, &services.ctl) {
            let name = address.rsplit('/').next().unwrap_or_default();
            Command::new(ctl)
                .args(["--quiet", "delete_vhost", name])
                .status()
                .await?;
        }
        Ok(())
    }

    /// Its process.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("the hub has ended")
    }
}

async fn command(file: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(PROGRAM)
        .arg("--config")
        .arg(file)
        .args(arguments)
        .output()
        .await?;
    ensure!(
        output.status.success(),
        "careloop {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Reads the log until it names the listener's address.
async fn listening(child: &mut Child) -> anyhow::Result<SocketAddr> {
    let log = child.stderr.take().context("a log")?;
    let mut lines = BufReader::new(log).lines();
    let mut said = String::new();
    while let Some(line) = lines.next_line().await? {
        let address = serde_json::from_str::<Value>(&line)
            .ok()
            .and_then(|entry| entry.get("address")?.as_str()?.parse().ok());
        if let Some(address) = address.filter(|_| line.contains("listening for MLLP")) {
            // Read on, so that the hub never waits for somebody to read its log.
            tokio::task::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(address);
        }
        said.push_str(&line);
        said.push('\n');
    }
    bail!("the hub did not start:\n{said}");
}

/// The policy that ships with longer hours, so that the bench can run at any time of day.
fn policy() -> anyhow::Result<String> {
    let shipped = "from = \"08:00\" # allowed from, inclusive";
    ensure!(
        POLICY.contains(shipped),
        "the contact policy: expected the line {shipped}"
    );
    Ok(POLICY.replace(shipped, "from = \"05:00\""))
}

fn configuration(store: &str) -> String {
    let agreement = agreement("riverside", r#"["ehr-test", "careloop.tasks"]"#);
    format!(
        r#"
[store]
{store}
[keys]
root = "file:careloop.key"
[http]
listen = "off"
[log]
json = true
[[tenant]]
name = "riverside"
zone = "America/New_York"
locations = [{{ name = "main", mode = "live" }}]
rules = {{ hba1c-due = "live", referral-outstanding = "live", missed-appointment = "live" }}
implied_treatment_contact = true
contact_policy = "file:contact-policy.toml"
{agreement}
[[source]]
tenant = "riverside"
name = "ehr-test"
kind = "mllp"
listen = "127.0.0.1:0"
zone = "America/New_York"
mode = "live"
mappings = ["hl7v2"]
identifiers = [{{ type = "MR", assigner = "RVS" }}]
history_since = {{ "*" = 2020-01-01 }}
"#
    )
}
