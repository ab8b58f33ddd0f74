//! `careloop serve` as a process of its own with everything that it says: log, answers over HTTP,
//! exit code.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Output};

use super::database::Database;
use super::hub::Setup;
use super::peer::Peer;
use super::wait::until;

/// A hub that serves in a process of its own.
pub(crate) struct Serving {
    /// Its database; configuration, key, spool and log are in the folder.
    pub(crate) database: Database,
    child: Child,
    broker: String,
}

impl Serving {
    /// Starts with a log filter and waits until it listens.
    pub(crate) async fn start(database: Database, setup: &Setup, filter: &str) -> Self {
        let folder = database.folder.path();
        install(&database, setup, filter);
        let broker = setup.broker.clone().unwrap_or_default();
        let child = bare(&database, &broker, &["serve"])
            .stdout(File::create(folder.join("stdout")).unwrap())
            .stderr(File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let serving = Self {
            database,
            child,
            broker,
        };
        until("the hub serves", || async {
            serving
                .address("health and metrics")
                .is_some()
                .then_some(())
        })
        .await;
        serving
    }

    /// Kills it as `kill -9` does, and starts it again on the same database.
    pub(crate) async fn crash(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let folder = self.database.folder.path();
        self.child = bare(&self.database, &self.broker, &["serve"])
            .stdout(File::create(folder.join("stdout")).unwrap())
            .stderr(File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        until("the hub serves again", || async {
            let address = self.address("health and metrics");
            address.is_some().then_some(())
        })
        .await;
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(self.database.folder.path().join("log")).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The address in the log line that holds `what`.
    fn address(&self, what: &str) -> Option<SocketAddr> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains(what))?;
        let (_, rest) = line.split_once("address=")?;
        rest.split_whitespace().next()?.parse().ok()
    }

    /// Where its HTTP door is.
    pub(crate) fn door(&self) -> SocketAddr {
        self.address("health and metrics").unwrap()
    }

    pub(crate) async fn peer(&self) -> Peer {
        Peer::connect(self.address("listening for MLLP").unwrap()).await
    }

    /// Asks for a page: the status and the whole answer.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address("health and metrics").unwrap()).unwrap();
        let ask = format!("GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split_whitespace().nth(1).unwrap();
        (status.parse().unwrap(), answer)
    }

    /// Runs a command of the same installation.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        bare(&self.database, &self.broker, arguments)
            .output()
            .unwrap()
    }

    /// Runs a command that must end well; gives what it wrote.
    pub(crate) fn told(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Asks it to stop and waits for it.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let asked = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(asked.unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// Writes configuration and key into the folder of a database.
pub(crate) fn install(database: &Database, setup: &Setup, filter: &str) {
    let folder = database.folder.path();
    let text = setup
        .text(database)
        .replace(r#"filter = "debug""#, &format!("filter = {filter:?}"));
    assert!(text.contains(&format!("filter = {filter:?}")));
    std::fs::write(folder.join("careloop.toml"), text).unwrap();
    if !folder.join("careloop.key").exists() {
        let broker = setup.broker.clone().unwrap_or_default();
        let made = bare(database, &broker, &["keys", "init"]).output().unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
    }
}

/// A command in the folder of a database.
pub(crate) fn bare(database: &Database, broker: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_careloop"));
    command
        .current_dir(database.folder.path())
        .args(["--config", "careloop.toml"])
        .args(arguments)
        .env("TEST_BROKER", broker);
    command
}
