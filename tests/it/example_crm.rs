//! The CRM in one file that developers read (`tests/example/crm.rs`) does its day's work.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::support::api::{PHONE, SCOPES, token};
use crate::support::behind::Behind;
use crate::support::broker;
use crate::support::clinic::{QUEUE, diagnosed};
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;

/// Builds the example as it is now; where it was built, this takes a moment.
async fn example() -> PathBuf {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--example", "crm"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .await
        .unwrap();
    assert!(built.success(), "the example does not build");
    let program = Path::new(env!("CARGO_BIN_EXE_careloop"));
    program.with_file_name("examples").join("crm")
}

on_each_store! {
    async fn the_example_takes_a_task_reads_its_content_and_completes_it(database) {
        let Some(broker) = broker::share().await else { return };
        let setup = Setup { broker: Some(broker.url()), ..Setup::default() };
        let hub = Hub::start(database, setup).await;
        let file = hub.database.folder.path().join("token.txt");
        std::fs::write(&file, token(&hub, SCOPES).await).unwrap();
        let mut crm = Command::new(example().await)
            .args([&broker.url(), QUEUE, "riverside"])
            .arg(format!("http://{}", hub.daemon.http.unwrap()))
            .arg(&file)
            .arg("accepted,reached,completed")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        hub.peer("adt").await.send_bytes(diagnosed("TEST-1", PHONE).as_bytes()).await;
        hub.processed().await;
        let person = hub.person("TEST-1").await;
        hub.until_task_is(person, "completed").await;
        let behind = Behind::open(&hub.database).await;
        let answers = behind.texts("SELECT kind FROM task_event ORDER BY received_at, id").await;
        assert_eq!(answers, ["accepted", "reached", "completed"]);
        assert_eq!(behind.number("SELECT count(*) FROM disclosure").await, 1);
        behind.close().await;
        crm.kill().await.unwrap();
        hub.daemon.stop().await;
    }
}
