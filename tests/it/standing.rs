//! How the hub stands, as operators and their webhook are told; stops of all outreach.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::clinic::diagnosed;
use crate::support::database::Database;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::operator::ASKER;
use crate::support::serving::Serving;
use crate::support::standing::status;
use crate::support::wait::until;

const PHONE: &str = "(518)555-0101";

/// A place on loopback that takes what is told.
struct Told {
    url: String,
    notices: Arc<Mutex<Vec<Value>>>,
}

impl Told {
    /// Refuses what it hears first.
    async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/alerts", listener.local_addr().unwrap());
        let notices = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&notices);
        tokio::spawn(async move {
            if let Ok((mut stream, _)) = listener.accept().await {
                notice(&mut stream).await;
                let answer = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n";
                drop(stream.write_all(answer).await);
            }
            while let Ok((mut stream, _)) = listener.accept().await {
                let body = notice(&mut stream).await;
                taken.lock().unwrap().extend(body);
                let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
                drop(stream.write_all(answer).await);
            }
        });
        Self { url, notices }
    }

    fn of(&self, kind: &str) -> Vec<Value> {
        let notices = self.notices.lock().unwrap();
        notices
            .iter()
            .filter(|notice| notice["kind"] == kind)
            .cloned()
            .collect()
    }
}

/// The document that a request carries.
async fn notice(stream: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    while stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&bytes);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
        if let Some(notice) = body.and_then(|body| serde_json::from_str(body).ok()) {
            return Some(notice);
        }
    }
    None
}

async fn outreach(hub: &Hub, what: &str) -> String {
    hub.run(&[&["outreach", what][..], &ASKER[..]].concat())
        .await
}

on_each_store! {
    async fn while_outreach_is_stopped_everything_is_computed_and_nothing_leaves(database) {
        let hub = Hub::start(database, Setup::default()).await;
        assert!(outreach(&hub, "stop").await.contains("stopped"));
        assert!(outreach(&hub, "stop").await.contains("already"));
        hub.peer("adt").await.send_bytes(diagnosed("TEST-1", PHONE).as_bytes()).await;
        hub.settled().await;
        let person = hub.person("TEST-1").await;
        hub.until_task_is(person, "observed").await;
        assert!(hub.spooled().is_empty());
        assert_eq!(status(&hub).await["stop"]["operator"], "Test Operator");
        let preview = hub.run(&["outreach", "preview", "--as", "live", "--json"]).await;
        let preview: Value = serde_json::from_str(&preview).unwrap();
        assert_eq!((&preview["rule"], &preview["would_leave"]), (&"hba1c-due".into(), &1.into()));

        let hub = hub.restart().await;
        hub.until_task_is(person, "observed").await;
        assert!(hub.spooled().is_empty(), "a stop outlives a restart");

        assert!(outreach(&hub, "resume").await.contains("leaves again"));
        hub.until_task_is(person, "requested").await;
        assert_eq!(hub.spooled().len(), 1);
        assert!(outreach(&hub, "resume").await.contains("not stopped"));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_trouble_is_told_once_and_its_end_once(database) {
        let told = Told::listen().await;
        let more = format!("[alerts]\nwebhook = \"{}\"\n", told.url);
        let hub = Hub::start(database, Setup { more, ..Setup::default() }).await;
        let mut peer = hub.peer("adt").await;
        peer.send_bytes(diagnosed("", PHONE).as_bytes()).await;
        assert_eq!(hub.processed().await.held, 1);
        outreach(&hub, "stop").await;
        let both = || async {
            let told = told.of("messages-held").len() + told.of("outreach-stopped").len();
            (told == 2).then_some(())
        };
        until("both troubles are told", both).await;
        let held = told.of("messages-held").remove(0);
        assert_eq!((&held["subject"], &held["state"]), (&"adt".into(), &"firing".into()));
        assert!(held["first_step"].as_str().unwrap().contains("message count --reasons"));

        outreach(&hub, "resume").await;
        until("its end is told", || async {
            (told.of("outreach-stopped").len() == 2).then_some(())
        })
        .await;
        // The next looks find the same: nothing is told again.
        let now = status(&hub).await;
        until("the hub has looked again", || async {
            let later = status(&hub).await;
            (later["sources"][0]["at"] != now["sources"][0]["at"]).then_some(())
        })
        .await;
        let stops = told.of("outreach-stopped");
        let states: Vec<&str> = stops.iter().map(|one| one["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["firing", "resolved"]);
        assert_eq!(stops[0]["id"], stops[1]["id"]);
        assert_eq!(told.of("messages-held").len(), 1);
        let now = status(&hub).await;
        assert_eq!(now["troubles"].as_array().unwrap().len(), 1, "{now}");
        assert_eq!(now["sources"][0]["held"], serde_json::json!([{"code": "required-missing", "count": 1}]));
        for notice in told.notices.lock().unwrap().iter() {
            let text = notice.to_string();
            assert!(!text.contains("Example") && !text.contains("555-01") && !text.contains("518555"), "{text}");
        }
        hub.daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trouble_that_no_webhook_takes_is_in_the_log_once() {
    // Nobody listens on port 1.
    let more = "[alerts]\nwebhook = \"http://127.0.0.1:1/\"\n".to_owned();
    let setup = Setup {
        more,
        ..Setup::default()
    };
    let mut hub = Serving::start(Database::sqlite(), &setup, "info").await;
    hub.told(&[&["outreach", "stop"][..], &ASKER[..]].concat());
    until("it was told twice, in vain", || async {
        let log = hub.log();
        let in_vain = log.matches("an alert was not taken").count();
        (in_vain >= 2).then_some(())
    })
    .await;
    assert!(hub.stop().success());
    let log = hub.log();
    let told = log.lines().filter(|line| line.contains("outreach-stopped"));
    assert_eq!(told.count(), 1, "{log}");
}

#[tokio::test]
async fn a_backup_that_is_put_in_place_comes_up_with_outreach_stopped() {
    let hub = Hub::start(Database::sqlite(), Setup::default()).await;
    let copy = hub.folder().join("copy.db");
    hub.peer("adt")
        .await
        .send_bytes(diagnosed("TEST-1", PHONE).as_bytes())
        .await;
    hub.settled().await;
    let person = hub.person("TEST-1").await;
    hub.run(&["backup", copy.to_str().unwrap()]).await;
    let again = hub.command(&["backup", copy.to_str().unwrap()]);
    assert_eq!(
        again.status.code(),
        Some(78),
        "a file that is there is never replaced"
    );
    assert_eq!(
        status(&hub).await["stop"],
        Value::Null,
        "the store itself goes on"
    );

    // The machine is lost; the copy takes the file's place, under its number too.
    let (daemon, database, setup) = hub.apart();
    daemon.stop().await;
    let file = database.folder.path().join("careloop.db");
    for rest in ["careloop.db-wal", "careloop.db-shm"] {
        drop(std::fs::remove_file(database.folder.path().join(rest)));
    }
    std::fs::copy(&copy, &file).unwrap();
    let hub = Hub::start(database, setup).await;
    assert_eq!(status(&hub).await["stop"]["reason"], "restored");
    assert_eq!(hub.person("TEST-1").await, person);
    hub.peer("adt")
        .await
        .send_bytes(diagnosed("TEST-2", PHONE).as_bytes())
        .await;
    hub.settled().await;
    hub.until_task_is(hub.person("TEST-2").await, "observed")
        .await;
    assert_eq!(hub.spooled().len(), 1, "only what left before the backup");
    outreach(&hub, "resume").await;
    hub.until_task_is(hub.person("TEST-2").await, "requested")
        .await;
    hub.daemon.stop().await;
}

#[tokio::test]
async fn a_database_that_was_copied_comes_up_with_outreach_stopped() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let hub = Hub::start(database, Setup::default()).await;
    hub.peer("adt")
        .await
        .send_bytes(diagnosed("TEST-1", PHONE).as_bytes())
        .await;
    hub.settled().await;
    let (daemon, database, setup) = hub.apart();
    daemon.stop().await;
    let database = database.copied().await;
    let hub = Hub::start(database, setup).await;
    assert_eq!(status(&hub).await["stop"]["reason"], "restored");
    let hub = hub.restart().await;
    outreach(&hub, "resume").await;
    let hub = hub.restart().await;
    assert_eq!(
        status(&hub).await["stop"],
        Value::Null,
        "a restart alone is no restoration"
    );
    hub.daemon.stop().await;
}
