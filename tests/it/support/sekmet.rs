//! SEKMET, a FHIR server that nobody here wrote, as a child process on loopback. `tests/run` installs
//! it; without it a test says that it is left out.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::wait::until;

/// A running server; it ends with the test.
pub(crate) struct Sekmet {
    child: Child,
    _folder: tempfile::TempDir,
    /// Its service root.
    pub(crate) base: String,
}

/// A token that it takes without asking who has it.
pub(crate) const SEED: &str = "TEST-SEED";

impl Sekmet {
    /// Starts a server with these clients; its tokens last so many seconds. `None` where it is not
    /// installed.
    pub(crate) async fn start(clients: Value, token_lifetime: u32) -> Option<Self> {
        let folder = std::env::var_os("CARELOOP_TEST_SEKMET").map(PathBuf::from);
        let program = folder.map(|folder| folder.join("bin/sekmet"));
        let Some(program) = program.filter(|program| program.is_file()) else {
            println!("left out: CARELOOP_TEST_SEKMET names no folder with sekmet-fhir");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let base = format!("http://127.0.0.1:{port}/fhir");
        let settings = json!({
            "host": "127.0.0.1", "port": port, "base_url": base, "data_dir": "data",
            "simulator": { "enabled": false },
            "server_auth": {
                "types": ["smart", "bearer"], "tokens": [SEED],
                "token_lifetime": token_lifetime, "smart_clients": clients,
            },
        });
        // What is JSON is YAML.
        std::fs::write(folder.path().join("settings.yaml"), settings.to_string()).unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program)
            .args(["serve", "-c", "settings.yaml"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let mut server = Self {
            child,
            _folder: folder,
            base,
        };
        let metadata = format!("{}/metadata", server.base);
        until("SEKMET answered", || {
            let gone = server.child.try_wait().unwrap();
            assert!(gone.is_none(), "SEKMET ended: {gone:?}");
            let asked = reqwest::get(metadata.clone());
            async { asked.await.ok().map(drop) }
        })
        .await;
        Some(server)
    }

    /// Stores a resource.
    pub(crate) async fn put(&self, resource: &Value) {
        let (kind, id) = (&resource["resourceType"], &resource["id"]);
        let place = format!(
            "{}/{}/{}",
            self.base,
            kind.as_str().unwrap(),
            id.as_str().unwrap()
        );
        let request = reqwest::Client::new().put(place).bearer_auth(SEED);
        let answer = request.json(resource).send().await.unwrap();
        assert!(
            answer.status().is_success(),
            "{}",
            answer.text().await.unwrap()
        );
    }
}

impl Drop for Sekmet {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port outside the range from which the kernel serves outgoing connections.
fn free_port() -> u16 {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let mut ports = first..32_000;
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}
