//! The real hub in a test: a configuration, a daemon on port 0, and what the test asks it.

use std::path::PathBuf;
use std::process::Command;

use careloop::config::{Config, Environment};
use careloop::crm::Identifier;
use careloop::daemon::Daemon;
use careloop::store::{Counts, OutboxCounts, Store, TaskListing, TenantId};
use serde_json::Value;
use uuid::Uuid;

use super::agreement::agreement;
use super::database::Database;
use super::peer::Peer;
use super::policy;
use super::wait::until;

/// What a test changes in the configuration.
pub(crate) struct Setup {
    /// The `rules` line, in place of every gap, referral and missed appointment.
    pub(crate) rules: Option<&'static str>,
    /// The mode of source, location and every rule.
    pub(crate) mode: &'static str,
    /// Whether treatment contact is implied.
    pub(crate) implied: bool,
    /// The broker's address.
    pub(crate) broker: Option<String>,
    /// Whether quiet hours bind; without them a test passes at any hour.
    pub(crate) quiet_hours: bool,
    /// Since when the first source's feed is complete.
    pub(crate) history: &'static str,
    /// Lines added to the tenant.
    pub(crate) tenant: String,
    /// Lines added to the first source.
    pub(crate) source: String,
    /// Lines added to the HTTP door.
    pub(crate) http: String,
    /// What the agreement covers.
    pub(crate) covers: &'static str,
    /// Lines added to the pace.
    pub(crate) pace: String,
    /// Messages taken at once.
    pub(crate) batch: u32,
    /// Anything else, at the end.
    pub(crate) more: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            rules: None,
            mode: "live",
            implied: true,
            broker: None,
            quiet_hours: false,
            history: r#"history_since = { "*" = 2020-01-01 }"#,
            tenant: String::new(),
            source: String::new(),
            http: String::new(),
            covers: r#"["adt", "careloop.tasks"]"#,
            pace: String::new(),
            batch: 256,
            more: String::new(),
        }
    }
}

impl Setup {
    fn hours(&self, database: &Database) -> String {
        if self.quiet_hours {
            return String::new();
        }
        policy::at_any_hour(database.folder.path())
    }

    /// The line of rules with their modes.
    fn rules(&self) -> String {
        let mode = self.mode;
        self.rules.map_or_else(
            || {
                format!(
                    r#"rules = {{ hba1c-due = "{mode}", referral-outstanding = "{mode}", missed-appointment = "{mode}" }}"#
                )
            },
            ToOwned::to_owned,
        )
    }

    pub(crate) fn text(&self, database: &Database) -> String {
        let url = &database.url;
        let hours = self.hours(database);
        let Self {
            mode,
            implied,
            history,
            tenant,
            source,
            http,
            covers,
            pace,
            batch,
            more,
            ..
        } = self;
        let rules = self.rules();
        let agreement = agreement("riverside", covers);
        let named = "[broker]\nurl = \"env:TEST_BROKER\"\n";
        let broker = self.broker.as_ref().map_or("", |_| named);
        format!(
            r#"
public_url = "https://hub.example.org"
[store]
url = "{url}"
[http]
listen = "127.0.0.1:0"
{http}
[pace]
batch = {batch}
idle = "20ms"
sweep = "1s"
{pace}
[log]
filter = "debug"
{broker}
[[tenant]]
name = "riverside"
zone = "America/New_York"
locations = [{{ name = "main", mode = "{mode}" }}]
{rules}
implied_treatment_contact = {implied}
{hours}
{tenant}
{agreement}
[[source]]
tenant = "riverside"
name = "adt"
kind = "mllp"
listen = "127.0.0.1:0"
zone = "America/New_York"
mode = "{mode}"
identifiers = [{{ type = "MR", assigner = "RVS" }}]
{history}
{source}
{more}
"#
        )
    }
}

/// A running hub.
pub(crate) struct Hub {
    /// The daemon.
    pub(crate) daemon: Daemon,
    /// The tenant.
    pub(crate) tenant: TenantId,
    /// The database, kept for a restart.
    pub(crate) database: Database,
    setup: Setup,
}

impl Hub {
    pub(crate) async fn start(database: Database, setup: Setup) -> Self {
        let key = database.folder.path().join("careloop.key");
        if !key.exists() {
            std::fs::write(&key, "0123456789abcdef".repeat(4)).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
            std::fs::set_permissions(&key, mode).unwrap();
        }
        std::fs::write(
            database.folder.path().join("careloop.toml"),
            setup.text(&database),
        )
        .unwrap();
        let daemon = Daemon::start(config(&database, &setup)).await.unwrap();
        let tenant = daemon.store.tenant("riverside").await.unwrap();
        Self {
            daemon,
            tenant,
            database,
            setup,
        }
    }

    /// The parts, for a test that does something between a stop and a start.
    pub(crate) fn apart(self) -> (Daemon, Database, Setup) {
        (self.daemon, self.database, self.setup)
    }

    /// Stops in order and starts again on the same database.
    pub(crate) async fn restart(self) -> Self {
        let Self {
            daemon,
            database,
            setup,
            ..
        } = self;
        daemon.stop().await;
        Self::start(database, setup).await
    }

    /// Stops in order and starts again on the same database with another configuration.
    pub(crate) async fn restart_as(mut self, setup: Setup) -> Self {
        self.setup = setup;
        self.restart().await
    }

    /// The person with this medical record number.
    pub(crate) async fn person(&self, number: &str) -> Uuid {
        let identifier = Identifier {
            value: number.to_owned(),
            assigner: Some("RVS".to_owned()),
            kind: Some("MR".to_owned()),
        };
        let mut tx = self.store().read(self.tenant).await.unwrap();
        let found = tx.find_people(&[identifier]).await.unwrap();
        assert_eq!(found.len(), 1, "{number} is one person");
        found[0]
    }

    /// The only task of a person.
    pub(crate) async fn task_of(&self, person: Uuid) -> TaskListing {
        let mut tasks = self
            .store()
            .task_list(self.tenant, None, Some(person), 10)
            .await
            .unwrap();
        assert_eq!(tasks.len(), 1, "{tasks:?}");
        tasks.remove(0)
    }

    /// Waits until the only task of a person is in a state.
    pub(crate) async fn until_task_is(&self, person: Uuid, state: &str) -> TaskListing {
        until(&format!("the task is {state}"), || async {
            let task = self.task_of(person).await;
            (task.state == state).then_some(task)
        })
        .await
    }

    pub(crate) fn store(&self) -> &Store {
        &self.daemon.store
    }

    /// A connection to the source of this name.
    pub(crate) async fn peer(&self, source: &str) -> Peer {
        let bound = self
            .daemon
            .bound
            .iter()
            .find(|bound| bound.source == source)
            .unwrap();
        Peer::connect(bound.address).await
    }

    pub(crate) async fn counts(&self) -> Counts {
        self.store().counts(self.tenant).await.unwrap()
    }

    pub(crate) async fn outbox(&self) -> OutboxCounts {
        self.store().outbox_counts(self.tenant).await.unwrap()
    }

    pub(crate) async fn tasks(&self) -> Vec<TaskListing> {
        self.store()
            .task_list(self.tenant, None, None, 1_000)
            .await
            .unwrap()
    }

    /// Waits until every message has an outcome.
    pub(crate) async fn processed(&self) -> Counts {
        until("every message has an outcome", || async {
            let counts = self.counts().await;
            (counts.waiting == 0).then_some(counts)
        })
        .await
    }

    /// Waits until every message has an outcome and nothing is left to publish.
    pub(crate) async fn settled(&self) -> Vec<TaskListing> {
        self.processed().await;
        until("nothing is left to publish", || async {
            let counts = self.outbox().await;
            (counts.waiting + counts.publishing == 0).then_some(())
        })
        .await;
        self.tasks().await
    }

    /// Runs a command of the same installation in a process of its own.
    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Output {
        self.process(arguments).output().unwrap()
    }

    /// Runs a command as [`Self::command`] does, while this test goes on, and asserts that it
    /// ended well; gives what it wrote.
    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        let output = tokio::process::Command::from(self.process(arguments))
            .output()
            .await
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A command of the same installation, not yet started.
    pub(crate) fn process(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_careloop"));
        command
            .arg("--config")
            .arg(self.folder().join("careloop.toml"))
            .args(arguments)
            .env(
                "TEST_BROKER",
                self.setup.broker.as_deref().unwrap_or_default(),
            )
            .current_dir(self.folder());
        command
    }

    /// The envelopes in the spool, in order.
    pub(crate) fn spooled(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder().join("spool/riverside.ndjson"));
        let text = text.unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.database.folder.path().to_owned()
    }
}

fn config(database: &Database, setup: &Setup) -> Config {
    let folder = database.folder.path();
    let mut environment = Environment::new();
    let set = |name: &str, value: String, environment: &mut Environment| {
        environment.insert(name.to_owned(), value);
    };
    set(
        "CARELOOP__KEYS__ROOT",
        format!("file:{}", folder.join("careloop.key").display()),
        &mut environment,
    );
    set(
        "CARELOOP__SPOOL__FOLDER",
        folder.join("spool").display().to_string(),
        &mut environment,
    );
    if let Some(broker) = &setup.broker {
        set("CARELOOP__BROKER__URL", broker.clone(), &mut environment);
    }
    let text = setup
        .text(database)
        .replace("[broker]\nurl = \"env:TEST_BROKER\"\n", "");
    match Config::from_texts(Some(("careloop.toml", &text)), &environment) {
        Ok(config) => config,
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{}", lines.join("\n"))
        }
    }
}
