//! The real binary as a process of its own: it can be killed at any instant, started again on the
//! same port, and asked for its memory.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::agreement::agreement;
use super::database::Database;
use super::policy;
use super::wait::until;

/// A hub that runs as a process.
pub(crate) struct Served {
    /// Where its source listens, over every restart.
    pub(crate) address: SocketAddr,
    /// The database, and the folder with configuration, key, spool and log.
    pub(crate) database: Database,
    child: Option<Child>,
}

/// Ports that the kernel gives to no outgoing connection; each is handed out once in this process, and
/// processes with neighbouring ids begin far apart: a hub that is down between a kill and its next
/// start leaves its port free to be seen.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let offset = std::process::id() * 97 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(22_000 + offset % 9_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Served {
    /// Writes the configuration and starts; `source` is added to the source's table.
    pub(crate) async fn start(database: Database, source: &str) -> Self {
        let folder = database.folder.path();
        let port = free_port();
        let key = folder.join("careloop.key");
        std::fs::write(&key, "0123456789abcdef".repeat(4)).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        std::fs::set_permissions(&key, mode).unwrap();
        std::fs::write(folder.join("careloop.toml"), text(&database, port, source)).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut served = Self {
            address,
            database,
            child: None,
        };
        served.run().await;
        served
    }

    /// Starts the process and waits until it listens.
    pub(crate) async fn run(&mut self) {
        self.spawn();
        let address = self.address;
        until("the hub listens", || async {
            tokio::net::TcpStream::connect(address).await.ok().map(drop)
        })
        .await;
    }

    /// Starts the process without waiting for it.
    pub(crate) fn spawn(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .unwrap();
        let child = self
            .bare("serve")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Ends it as a power cut ends a process: at once.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// The counts, by the command that proves them.
    pub(crate) fn counts(&self) -> serde_json::Value {
        serde_json::from_slice(&self.message(&["count", "--json"])).unwrap()
    }

    /// Runs `careloop message …` beside the hub and gives what it wrote.
    pub(crate) fn message(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.bare("message").args(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "message {arguments:?} failed: {told}"
        );
        output.stdout
    }

    /// Its largest resident memory so far, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let id = self.child.as_ref().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// What it has logged over all starts.
    pub(crate) fn logged(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log()).unwrap()).into_owned()
    }

    /// The lines of its spool that are whole, with their place. A line that a kill cut short is
    /// left out: its envelope was never confirmed and follows again.
    pub(crate) fn spooled(&self) -> Vec<serde_json::Value> {
        let file = self.database.folder.path().join("spool/riverside.ndjson");
        let text = std::fs::read(file).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    fn log(&self) -> PathBuf {
        self.database.folder.path().join("log")
    }

    fn bare(&self, command: &str) -> Command {
        let mut bare = Command::new(env!("CARGO_BIN_EXE_careloop"));
        bare.current_dir(self.database.folder.path())
            .args(["--config", "careloop.toml", command]);
        bare
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

fn text(database: &Database, port: u16, source: &str) -> String {
    let (url, hours) = (&database.url, policy::at_any_hour(database.folder.path()));
    let agreement = agreement("riverside", r#"["adt", "careloop.tasks"]"#);
    format!(
        r#"
[store]
url = "{url}"
[http]
listen = "off"
[pace]
idle = "20ms"
sweep = "1s"
lease = "1s"
publishing = "1s"
[broker]
confirm_timeout = "1s"
[[tenant]]
name = "riverside"
zone = "America/New_York"
locations = [{{ name = "main", mode = "live" }}]
rules = {{ hba1c-due = "live", referral-outstanding = "live", missed-appointment = "live" }}
implied_treatment_contact = true
{hours}
{agreement}
[[source]]
tenant = "riverside"
name = "adt"
kind = "mllp"
listen = "127.0.0.1:{port}"
zone = "America/New_York"
mode = "live"
history_since = {{ "*" = 2020-01-01 }}
{source}
"#
    )
}
