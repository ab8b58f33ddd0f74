//! A real RabbitMQ for tests: a fresh virtual host each, and the broker's whole life as commands.
//!
//! Tests that stop, kill or freeze the broker ask for it [`alone`]; all others [`share`] it.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails here fails the test, and says so"
)]

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use careloop::config::BrokerConfig;
use careloop::config::Secret;
use lapin::Channel;
use lapin::Connection;
use lapin::ConnectionProperties;
use lapin::message::BasicGetMessage;
use lapin::options::BasicGetOptions;
use serde_json::Value;
use tokio::sync::RwLock;
use tokio::sync::RwLockReadGuard;
use tokio::sync::RwLockWriteGuard;

/// One broker for all tests of the process: many may use it, one may take it down.
static BROKER: RwLock<()> = RwLock::const_new(());
/// The script that `tests/run` started the services with.
const SERVICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/services");
static HOSTS: AtomicU32 = AtomicU32::new(0);

/// Keeps others from taking the broker down, or from using it.
#[expect(dead_code, reason = "held for its effect on others")]
enum Hold {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

/// A virtual host of its own on the test broker.
pub(crate) struct Broker {
    address: String,
    ctl: PathBuf,
    name: String,
    _hold: Hold,
}

/// The broker, shared with other tests; `None` where there is none and none is required.
pub(crate) async fn share() -> Option<Broker> {
    Broker::from_env(Hold::Shared(BROKER.read().await))
}

/// The broker for this test alone, which may stop it and leaves it running.
pub(crate) async fn alone() -> Option<Broker> {
    Broker::from_env(Hold::Alone(BROKER.write().await))
}

/// A variable of the test command.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by `tests/run` where services are"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Broker {
    fn from_env(hold: Hold) -> Option<Self> {
        let address = variable("CARELOOP_TEST_AMQP");
        let ctl = variable("CARELOOP_TEST_RABBITMQCTL");
        let (Some(address), Some(ctl)) = (address, ctl) else {
            let is_required = variable("CARELOOP_TEST_REQUIRE_SERVICES").as_deref() == Some("1");
            assert!(
                !is_required,
                "no RabbitMQ for this test: CARELOOP_TEST_AMQP is not set"
            );
            println!("left out: no RabbitMQ; `tests/run` starts one");
            return None;
        };
        let number = HOSTS.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{number}", std::process::id());
        let broker = Self {
            address,
            ctl: ctl.into(),
            name,
            _hold: hold,
        };
        broker.eval(&format!(
            "rabbit_vhost:add(<<\"{0}\">>, <<\"tests\">>), \
             rabbit_auth_backend_internal:set_permissions(<<\"guest\">>, <<\"{0}\">>, \
             <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"tests\">>).",
            broker.name
        ));
        Some(broker)
    }

    /// The address of this test's virtual host.
    pub(crate) fn url(&self) -> String {
        self.address.replace("%2f", &self.name)
    }

    /// The address for another user of this virtual host.
    pub(crate) fn url_of(&self, user: &str, password: &str) -> String {
        let own = format!("{user}:{password}@");
        self.url().replace("guest:guest@", &own)
    }

    /// Reads users and rights from RabbitMQ's definitions; they are for this virtual host.
    pub(crate) fn define(&self, mut definitions: Value, folder: &Path) {
        for host in definitions["vhosts"].as_array_mut().unwrap() {
            host["name"] = self.name.clone().into();
        }
        for kind in ["permissions", "topic_permissions"] {
            for right in definitions[kind].as_array_mut().unwrap() {
                right["vhost"] = self.name.clone().into();
            }
        }
        let file = folder.join("definitions.json");
        std::fs::write(&file, definitions.to_string()).unwrap();
        self.ctl(&["-q", "import_definitions", file.to_str().unwrap()]);
    }

    /// A configuration that points here.
    pub(crate) fn config(&self) -> BrokerConfig {
        BrokerConfig {
            url: Secret::new(self.url()),
            ca: None,
            window: 64,
            confirm_timeout: Duration::from_secs(5),
        }
    }

    /// Runs `rabbitmqctl` for the whole broker.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> String {
        run(Command::new(&self.ctl).args(arguments))
    }

    /// Runs an Erlang expression inside the broker: half a second, where two commands take four.
    pub(crate) fn eval(&self, expression: &str) -> String {
        self.ctl(&["eval", expression])
    }

    /// Sets a policy in this virtual host.
    pub(crate) fn policy(&self, name: &str, pattern: &str, definition: &str) {
        self.ctl(&[
            "-q",
            "set_policy",
            "-p",
            &self.name,
            name,
            pattern,
            definition,
        ]);
    }

    /// Stops the broker cleanly.
    pub(crate) fn stop(&self) {
        services("rabbit-stop");
    }

    /// Crashes the broker. Quorum queues must be ten seconds old by then (see [`Self::age`]).
    pub(crate) fn kill(&self) {
        services("rabbit-kill");
    }

    /// Starts the broker again and waits for it.
    pub(crate) fn start(&self) {
        services("rabbit-start");
    }

    /// Freezes the broker, or lets it go on: it accepts connections and does not answer.
    pub(crate) fn freeze(&self, is_frozen: bool) {
        let file = variable("CARELOOP_TEST_RABBIT_PIDFILE").expect("CARELOOP_TEST_RABBIT_PIDFILE");
        let pid = std::fs::read_to_string(file).expect("the broker's pid");
        run(Command::new("kill").args([if is_frozen { "-STOP" } else { "-CONT" }, pid.trim()]));
    }

    /// Waits until freshly declared quorum queues survive a crash: RabbitMQ 3.10 can lose one that
    /// is killed within seconds of its declaration.
    pub(crate) async fn age(&self) {
        tokio::time::sleep(Duration::from_secs(11)).await;
    }

    /// A channel for the test itself.
    pub(crate) async fn channel(&self) -> (Connection, Channel) {
        let connection = Connection::connect(&self.url(), ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }

    /// Takes up to `count` messages off a queue, waiting a bounded time for them, and for a hub that
    /// has just started to declare it.
    pub(crate) async fn take(&self, queue: &str, count: usize) -> Vec<BasicGetMessage> {
        let (mut connection, mut channel) = self.channel().await;
        let mut messages = Vec::new();
        for _ in 0..200 {
            while messages.len() < count {
                let options = BasicGetOptions { no_ack: true };
                match channel.basic_get(queue.into(), options).await {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    // It is declared and its process does not run yet; the broker closes the connection.
                    Err(error) if error.to_string().contains("noproc") => {
                        (connection, channel) = self.channel().await;
                        break;
                    }
                    Err(error) => {
                        assert!(error.to_string().contains("NOT_FOUND"), "{error}");
                        // The broker closes the channel on which something is missing.
                        channel = connection.create_channel().await.unwrap();
                        break;
                    }
                }
            }
            if messages.len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        messages
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // A failed test may leave the broker down or frozen; the next one needs it. Panicking here
        // as well would end the process and hide the first failure.
        if std::thread::panicking() && matches!(self._hold, Hold::Alone(_)) {
            for command in ["rabbit-stop", "rabbit-start"] {
                let status = Command::new(SERVICES).arg(command).status();
                println!("{command} after a failed test: {status:?}");
            }
        }
    }
}

fn services(command: &str) {
    run(Command::new(SERVICES).arg(command));
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("the command starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text} {errors}");
    text
}
