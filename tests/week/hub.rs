//! The hub as a child process on a fast clock, its commands, its store and its broker.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use jiff::SignedDuration;
use tokio::process::{Child, Command};

use crate::agreement::agreement;
use crate::history::Limits;
use crate::own;
use crate::plan::SOURCES;
use crate::time::Pace;

const SERVICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/services");
const POLICY: &str = include_str!("../../mappings/care/contact-policy.toml");
/// Calls are capped, too, so that there is something to keep.
const CAPS: &str = r#"
[[cap]]
channels = ["phone-live"]
per = "local-day"
at_most = 1
[[cap]]
channels = ["phone-live"]
per = "7 days"
at_most = 2
"#;
const SITE: &str = r#"
extends = "hl7v2.*"
layer = "site"
[tables.consent_type]
CALL = "contact"
[tables.consent_reach]
CALL = "phone-live"
"#;

/// Where everything of the run is.
#[derive(Clone)]
pub(crate) struct Place {
    /// The folder of the run.
    pub(crate) folder: PathBuf,
    /// The program.
    pub(crate) program: PathBuf,
    /// The preloaded clock.
    pub(crate) clock: String,
    /// The run's time.
    pub(crate) pace: Pace,
    /// The virtual host.
    pub(crate) broker: String,
    /// Listeners of the sources.
    pub(crate) listen: Vec<SocketAddr>,
    /// The HTTP door.
    pub(crate) http: SocketAddr,
    /// The database, as the checker opens it.
    pub(crate) database: String,
}

/// A free port of loopback.
pub(crate) fn free() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// The policy of the run, for the hub and for the checker.
pub(crate) fn policy() -> String {
    format!("{POLICY}{CAPS}")
}

/// Runs a command of `tests/services`.
pub(crate) async fn services(arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new(SERVICES)
        .args(arguments)
        .stdout(Stdio::null())
        .status()
        .await?;
    ensure!(status.success(), "tests/services {arguments:?} failed");
    Ok(())
}

impl Place {
    /// Writes the configuration for a store and makes keys, schema and virtual host.
    pub(crate) async fn furnish(&mut self, store: &str, webhook: SocketAddr) -> anyhow::Result<()> {
        let name = self
            .broker
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        own::virtual_host(Path::new(SERVICES), &["ctl"], &name).await?;
        let database = if store == "postgres" {
            let superuser =
                std::env::var("CARELOOP_TEST_POSTGRES").context("CARELOOP_TEST_POSTGRES")?;
            let (lines, host) = own::database(&superuser, &name).await?;
            self.database = format!("postgres://hub@{host}/{name}");
            lines
        } else {
            self.database = format!("sqlite:{}", self.folder.join("careloop.db").display());
            "url = \"sqlite:careloop.db\"".to_owned()
        };
        std::fs::write(self.folder.join("contact-policy.toml"), policy())?;
        std::fs::write(self.folder.join("site.toml"), SITE)?;
        std::fs::write(
            self.folder.join("careloop.toml"),
            self.configuration(&database, webhook),
        )?;
        self.cli(&["keys", "init"]).await?;
        if store == "postgres" {
            self.cli(&["migrate"]).await?;
        }
        Ok(())
    }

    /// What is a trouble, in the week's hours: never less than some real seconds.
    fn hours(&self, hours: i64, real: i64) -> SignedDuration {
        SignedDuration::from_hours(hours).max(self.pace.of_real(real))
    }

    /// From when on something is a trouble.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            waiting: self.hours(1, 30),
            unanswered: SignedDuration::from_hours(4 * 24),
        }
    }

    fn configuration(&self, store: &str, webhook: SocketAddr) -> String {
        let limits = self.limits();
        let [waiting, unanswered, down] =
            [limits.waiting, limits.unanswered, self.hours(1, 2)].map(|span| span.as_secs());
        let covers = r#"["main-ehr", "north-ehr", "south-ehr", "careloop.tasks"]"#;
        let agreement = agreement("riverside", covers);
        let mut text = format!(
            r#"
[store]
{store}
connections = 4
[keys]
root = "file:careloop.key"
[http]
listen = "{http}"
requests_per_minute = 1000000
[log]
json = true
[broker]
confirm_timeout = "5s"
[pace]
idle = "50ms"
sweep = "1s"
lease = "1h"
publishing = "1h"
batch = 64
[alerts]
webhook = "http://{webhook}/"
silent_after = "14h"
waiting = "{waiting}s"
broker_down = "{down}s"
no_consumer = "7d"
unanswered = "{unanswered}s"
[[tenant]]
name = "riverside"
zone = "America/New_York"
locations = [{{ name = "main", mode = "live" }}, {{ name = "north", mode = "live" }}, {{ name = "south", mode = "live" }}]
rules = {{ hba1c-due = "live", referral-outstanding = "live", missed-appointment = "live", appointment-confirmation = "live", appointment-reminder = "live" }}
implied_treatment_contact = true
contact_policy = "file:contact-policy.toml"
{agreement}
"#,
            http = self.http
        );
        text.push_str(&self.sources());
        text
    }

    /// The three clinics' feeds.
    fn sources(&self) -> String {
        let mut text = String::new();
        for ((name, location), listen) in SOURCES.iter().zip(&self.listen) {
            text.push_str(&format!(
                r#"
[[source]]
tenant = "riverside"
name = "{name}"
kind = "mllp"
listen = "{listen}"
zone = "America/New_York"
location = "{location}"
mode = "live"
mappings = ["hl7v2", "file:site.toml"]
consents_verified = true
identifiers = [{{ type = "MR", assigner = "RVS" }}]
history_since = {{ "*" = 2020-01-01 }}
"#
            ));
        }
        text
    }

    /// A process of the installation on the week's clock.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--config", "careloop.toml"])
            .args(arguments)
            .current_dir(&self.folder)
            .env("CARELOOP__BROKER__URL", &self.broker)
            .envs(self.pace.environment(&self.clock));
        command
    }

    /// Runs a command and gives what it wrote.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.command(arguments).output().await?;
        ensure!(
            output.status.success(),
            "careloop {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs a command that writes one JSON document a line.
    pub(crate) async fn lines(&self, arguments: &[&str]) -> anyhow::Result<Vec<serde_json::Value>> {
        let text = self.cli(arguments).await?;
        text.lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    }

    /// Starts the hub and waits until its listeners are open.
    pub(crate) async fn serve(&self) -> anyhow::Result<Child> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))?;
        let mut child = self
            .command(&["serve"])
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        for _ in 0..600 {
            if let Some(status) = child.try_wait()? {
                bail!(
                    "the hub ended with {status}; see {}",
                    self.folder.join("log").display()
                );
            }
            if tokio::net::TcpStream::connect(self.listen[0]).await.is_ok() {
                return Ok(child);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!(
            "the hub does not listen; see {}",
            self.folder.join("log").display()
        );
    }
}
