//! Keys are rotated while hubs work: nobody notices, nothing is lost, and old keys are gone.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use careloop::clock;
use careloop::config::{KeySource, Secret, StoreConfig};
use careloop::store::{RootKeys, Store};
use serde_json::Value;

use crate::support::behind::Behind;
use crate::support::clinic::{diagnosed, registered};
use crate::support::database::Database;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::operator::{ASKER, BY};
use crate::support::peer::Peer;
use crate::support::served::Served;
use crate::support::serving::bare;
use crate::support::wait::until;

/// Senders, and how often each key is rotated while they send.
const SENDERS: usize = 3;
const ROTATIONS: usize = 3;

pub(crate) fn rotate(database: &Database, arguments: &[&str]) -> std::process::Output {
    let command = [&["keys", "rotate"], arguments, &BY].concat();
    bare(database, "", &command).output().unwrap()
}

pub(crate) fn told(output: &std::process::Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What `careloop keys status --json` says.
pub(crate) fn status(database: &Database) -> Vec<Value> {
    let output = bare(database, "", &["keys", "status", "--json"]).output();
    let lines = told(&output.unwrap());
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

/// The numbers of the keys of a purpose that are in a state.
pub(crate) fn ids(status: &[Value], purpose: &str, state: &str) -> Vec<String> {
    let of = |key: &&Value| key["purpose"] == purpose && key["state"] == state;
    let id = |key: &Value| key["id"].as_str().unwrap().to_owned();
    status.iter().filter(of).map(id).collect()
}

/// Sends new people until told to stop; gives how many were acknowledged.
async fn send(mut peer: Peer, sender: usize, stop: Arc<AtomicBool>) -> usize {
    let mut sent = 0;
    while !stop.load(Ordering::SeqCst) {
        let number = format!("TEST-{sender}-{sent}");
        let phone = format!("(555)555-01{sender}{}", sent % 10);
        let ack = peer.send_bytes(diagnosed(&number, &phone).as_bytes()).await;
        assert_eq!(ack.code, "AA", "{number}");
        sent += 1;
    }
    sent
}

on_each_store! {
    async fn keys_rotate_while_messages_arrive_and_nobody_notices(database) {
        let hub = Served::start(database, r#"identifiers = [{ type = "MR", assigner = "RVS" }]"#).await;
        let behind = Behind::open(&hub.database).await;
        let wrapped = format!("SELECT {} FROM tenant_key WHERE purpose = 'tenant'", behind.hex("wrapped"));
        let first_key = behind.texts(&wrapped).await.remove(0);
        let stop = Arc::new(AtomicBool::new(false));
        let mut senders = Vec::new();
        for sender in 0..SENDERS {
            let peer = Peer::connect(hub.address).await;
            senders.push(tokio::task::spawn(send(peer, sender, Arc::clone(&stop))));
        }
        for round in 0..ROTATIONS {
            some_people_more(&behind).await;
            let (old, new) = (round + 1, round + 2);
            let said = told(&rotate(&hub.database, &["tenant", "--at-once", "10"]));
            assert!(said.contains(&format!("tenant key {new} wraps")), "{said}");
            assert!(said.contains(&format!("tenant key {old} is destroyed")), "{said}");
            some_people_more(&behind).await;
            let said = told(&rotate(&hub.database, &["root"]));
            assert!(said.contains("1 keys of 1 tenants"), "{said}");
        }
        some_people_more(&behind).await;
        stop.store(true, Ordering::SeqCst);
        let mut sent = 0;
        for sender in senders {
            sent += sender.await.unwrap();
        }
        until("every message has an outcome", || async {
            (hub.counts()["waiting"] == 0).then_some(())
        }).await;
        let counts = hub.counts();
        assert_eq!(counts["processed"], sent, "{counts}");
        let log = hub.logged();
        // Writers that meet are tried again; nothing may fail because of a key.
        for trouble in ["ERROR", "panicked", "cell:", "root key", "tenant_key"] {
            assert!(!log.contains(trouble), "{log}");
        }
        let keys = status(&hub.database);
        let newest = (ROTATIONS + 1).to_string();
        assert_eq!(ids(&keys, "tenant", "active"), [newest]);
        assert_eq!(ids(&keys, "tenant", "destroyed").len(), ROTATIONS);
        assert_eq!(ids(&keys, "tenant", "decrypt-only"), Vec::<String>::new());
        assert_eq!(ids(&keys, "root", "replaced").len(), ROTATIONS);
        assert_eq!(everybody_can_be_read(&hub.database).await, sent);
        what_commands_show_can_be_read(&hub);
        let bytes = behind.number("SELECT coalesce(sum(length(wrapped)), 0) FROM tenant_key WHERE state = 'destroyed'").await;
        assert_eq!(bytes, 0, "a destroyed key is still there");
        behind.close().await;
        is_in_no_file(&hub.database, &first_key);
    }
}

/// Waits until some people more are stored, so that there is something new between two rotations.
async fn some_people_more(behind: &Behind) {
    let people = "SELECT count(*) FROM person";
    let before = behind.number(people).await;
    until("more people are stored", || async {
        (behind.number(people).await > before + 5).then_some(())
    })
    .await;
}

/// Opens everything that is known of everybody, in a process that knows no key yet; gives how many.
async fn everybody_can_be_read(database: &Database) -> usize {
    let config = StoreConfig {
        url: Secret::new(database.url.clone()),
        owner_url: None,
        connections: 4,
    };
    let source = KeySource::File(database.folder.path().join("careloop.key"));
    let roots = RootKeys::read(&source).unwrap();
    let store = Store::open_beside(&config, roots).await.unwrap();
    let tenant = store.tenant("riverside").await.unwrap();
    let people = store.person_ids(tenant, 100_000).await.unwrap();
    let mut tx = store.read(tenant).await.unwrap();
    for person in &people {
        let record = tx.load(*person, clock::now()).await.unwrap().unwrap();
        assert_eq!(record.contacts.len(), 1);
        assert_eq!(record.tasks.len(), 1);
    }
    drop(tx);
    store.close().await;
    people.len()
}

fn what_commands_show_can_be_read(hub: &Served) {
    let run = |arguments: &[&str]| told(&bare(&hub.database, "", arguments).output().unwrap());
    for (what, id) in [("message", "id"), ("task", "id")] {
        let listed = run(&[what, "list", "--json", "--limit", "5"]);
        for line in listed.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let show = [&[what, "show", line[id].as_str().unwrap()], &ASKER[..]].concat();
            assert!(!run(&show).is_empty());
        }
        assert!(!listed.is_empty());
    }
}

/// SQLite overwrites what is deleted; PostgreSQL's old rows go with its own clearing up.
fn is_in_no_file(database: &Database, digits: &str) {
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let bytes: Vec<u8> = digits.as_bytes().chunks(2).map(byte).collect();
    for name in ["careloop.db", "careloop.db-wal"] {
        let file = std::fs::read(database.folder.path().join(name)).unwrap_or_default();
        let found = file.windows(bytes.len()).any(|part| part == bytes);
        assert!(!found, "a destroyed key is still in {name}");
    }
}

/// A hub with people whose keys are to be wrapped anew.
pub(crate) async fn hub_with_people(database: Database, people: usize) -> Hub {
    let hub = Hub::start(database, Setup::default()).await;
    let mut peer = hub.peer("adt").await;
    for number in 0..people {
        let person = registered(&format!("TEST-{number}"), "(555)555-0101");
        assert_eq!(peer.send_bytes(person.as_bytes()).await.code, "AA");
    }
    hub.processed().await;
    hub
}

/// How many people's keys are under a tenant key.
async fn people_under(behind: &Behind, key: u32) -> i64 {
    let hex = behind.hex("wrapped");
    let cells = behind.texts(&format!("SELECT {hex} FROM person_key")).await;
    let named = format!("{key:08x}");
    let under = cells.iter().filter(|cell| cell.get(6..14) == Some(&named));
    i64::try_from(under.count()).unwrap()
}

on_each_store! {
    async fn a_killed_rotation_goes_on_where_it_stopped(database) {
        let hub = hub_with_people(database, 60).await;
        let behind = Behind::open(&hub.database).await;
        let mut child = Command::new(env!("CARGO_BIN_EXE_careloop"))
            .current_dir(hub.folder())
            .args(["--config", "careloop.toml", "keys", "rotate", "tenant", "--at-once", "1"])
            .args(BY)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until("some keys are wrapped anew", || async {
            (people_under(&behind, 2).await > 3).then_some(())
        }).await;
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(people_under(&behind, 1).await > 0, "it was killed too late");
        let keys = status(&hub.database);
        assert_eq!(ids(&keys, "tenant", "active"), ["2"]);
        assert_eq!(ids(&keys, "tenant", "decrypt-only"), ["1"]);
        // The hub goes on in between: it opens what is under either, and wraps under the new one.
        let old = people_under(&behind, 1).await;
        let mut peer = hub.peer("adt").await;
        assert_eq!(peer.send_bytes(registered("TEST-LATE", "(555)555-0102").as_bytes()).await.code, "AA");
        hub.processed().await;
        assert_eq!(people_under(&behind, 1).await, old);
        for number in ["TEST-0", "TEST-59", "TEST-LATE"] {
            hub.record(hub.person(number).await).await;
        }
        let said = told(&rotate(&hub.database, &["tenant"]));
        assert!(said.contains("was continued: tenant key 2"), "{said}");
        assert!(said.contains("tenant key 1 is destroyed"), "{said}");
        assert_eq!(people_under(&behind, 2).await, 61);
        let entries = behind.number("SELECT count(*) FROM audit WHERE action = 'keys.rotate' AND actor = 'operator:Test Operator'").await;
        assert_eq!(entries, 2, "one when the key was made, one when the old one was destroyed");
        hub.record(hub.person("TEST-59").await).await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_key_that_something_is_still_under_is_not_destroyed(database) {
        let hub = hub_with_people(database, 3).await;
        let behind = Behind::open(&hub.database).await;
        // One person's key is damaged: nobody can wrap it anew.
        let (wrapped, person) = (behind.hex("wrapped"), behind.hex("person"));
        let mut cells = behind.pairs(&format!("SELECT {person}, {wrapped} FROM person_key")).await;
        let (id, cell) = cells.remove(0);
        let set = |digits: &str| {
            let bytes = if behind.is_postgres() { format!("'\\x{digits}'") } else { format!("x'{digits}'") };
            format!("UPDATE person_key SET wrapped = {bytes} WHERE {person} = '{id}'")
        };
        let damaged = format!("{cell}00");
        assert_eq!(behind.run(&set(&damaged)).await, 1);
        let refused = rotate(&hub.database, &["tenant"]);
        let errors = String::from_utf8_lossy(&refused.stderr);
        assert!(errors.contains("1 keys are still under an old tenant key"), "{errors}");
        let keys = status(&hub.database);
        assert_eq!((ids(&keys, "tenant", "active"), ids(&keys, "tenant", "decrypt-only")), (vec!["2".to_owned()], vec!["1".to_owned()]));
        assert_eq!((people_under(&behind, 1).await, people_under(&behind, 2).await), (1, 2));
        // Mended, it is wrapped anew by the next run.
        behind.run(&set(&cell)).await;
        let said = told(&rotate(&hub.database, &["tenant"]));
        assert!(said.contains("tenant key 1 is destroyed"), "{said}");
        assert_eq!(people_under(&behind, 2).await, 3);
        hub.daemon.stop().await;
    }
}

/// How many statements of this form wait for a lock.
async fn waiting(behind: &Behind, form: &str) -> i64 {
    let statement = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND wait_event_type = 'Lock' AND query LIKE '{form}'"
    );
    behind.number(&statement).await
}

/// On SQLite there is one writer, so there is nothing to wait for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_waits_for_whoever_is_wrapping_under_the_old_key() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let hub = hub_with_people(database, 2).await;
    let behind = Behind::open(&hub.database).await;
    let pool = sqlx::PgPool::connect(hub.database.behind.as_deref().unwrap())
        .await
        .unwrap();
    // A hub asks for the active key, and holds it, before it wraps a new person's key.
    let mut rotating = pool.begin().await.unwrap();
    sqlx::query(
        "SELECT id FROM tenant_key WHERE purpose = 'tenant' AND state = 'active' FOR UPDATE",
    )
    .execute(&mut *rotating)
    .await
    .unwrap();
    let late = registered("TEST-LATE", "(555)555-0102");
    let ack = hub.peer("adt").await.send_bytes(late.as_bytes()).await;
    assert_eq!(ack.code, "AA");
    until("the hub waits", || async {
        (waiting(&behind, "SELECT id, wrapped FROM tenant_key%FOR SHARE").await == 1).then_some(())
    })
    .await;
    rotating.rollback().await.unwrap();
    hub.processed().await;
    // A rotation waits for whoever does so.
    let mut wrapping = pool.begin().await.unwrap();
    sqlx::query(
        "SELECT id FROM tenant_key WHERE purpose = 'tenant' AND state = 'active' FOR SHARE",
    )
    .execute(&mut *wrapping)
    .await
    .unwrap();
    let command = [&["keys", "rotate", "tenant"], &BY[..]].concat();
    let rotation = bare(&hub.database, "", &command)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    until("the rotation waits", || async {
        (waiting(&behind, "UPDATE tenant_key%").await == 1).then_some(())
    })
    .await;
    assert_eq!(
        ids(&status(&hub.database), "tenant", "active"),
        ["1"],
        "it did not wait"
    );
    wrapping.commit().await.unwrap();
    let said = told(&rotation.wait_with_output().unwrap());
    assert!(said.contains("tenant key 1 is destroyed"), "{said}");
    hub.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_key_that_is_due_is_rotated_where_that_is_asked() {
    let hub = hub_with_people(Database::sqlite(), 1).await;
    let behind = Behind::open(&hub.database).await;
    for key in ["tenant", "root"] {
        let said = told(&rotate(&hub.database, &[key, "--due"]));
        assert!(said.contains("nothing to do"), "{said}");
    }
    behind
        .run("UPDATE tenant_key SET created_at = 0 WHERE purpose = 'tenant'")
        .await;
    behind.run("UPDATE root_key SET since_at = 0").await;
    let noted = hub.command(&["keys", "status"]);
    let advice = String::from_utf8_lossy(&noted.stderr).into_owned();
    for key in ["tenant", "root"] {
        assert!(advice.contains(&format!("keys rotate {key}")), "{advice}");
        told(&rotate(&hub.database, &[key, "--due"]));
    }
    assert!(hub.command(&["keys", "status"]).stderr.is_empty());
    hub.daemon.stop().await;
}
