//! What `careloop status` tells of sources, queues and the outbox while something waits in them.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use careloop::clock;
use careloop::store::{FeedLevel, Lease, QueueLevel};
use jiff::{SignedDuration, Timestamp};
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
use serde_json::Value;

use crate::support::broker;
use crate::support::clinic::{QUEUE, diagnosed, registered};
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::standing::status;
use crate::support::wait::until;

const PHONE: &str = "(518)555-0101";

on_each_store! {
    async fn status_tells_connections_rates_and_queues(database) {
        let Some(broker) = broker::share().await else {
            return;
        };
        let hub = Hub::start(database, Setup { broker: Some(broker.url()), ..Setup::default() }).await;
        let mut peer = hub.peer("adt").await;
        peer.send_bytes(diagnosed("TEST-1", PHONE).as_bytes()).await;
        peer.send_bytes(registered("TEST-2", PHONE).as_bytes()).await;
        hub.settled().await;
        let status = until("the queue's level is told", || async {
            let status = status(&hub).await;
            let told = status["teams"][0]["messages"] == 1 && status["sources"][0]["connections"] == 1;
            told.then_some(status)
        })
        .await;
        assert_eq!(status["running"], true);
        assert_eq!(hub.run(&["status", "--check"]).await, "");
        let source = &status["sources"][0];
        assert_eq!((&source["source"], &source["last_hour"]), (&"adt".into(), &2.into()));
        assert!(source["last_received_at"].is_string(), "{source}");
        assert!(source["waiting"] == 0 && source["oldest_waiting_at"].is_null(), "{source}");
        let left = status["agreements"][0]["days_left"].as_i64().unwrap();
        assert!(left > 60 && status["troubles"] == serde_json::json!([]), "{status}");
        let team = &status["teams"][0];
        assert_eq!(team["team"], "riverside.main.coordination");
        assert_eq!((&team["consumers"], &team["unanswered"]), (&0.into(), &1.into()));
        assert!(team["oldest_unanswered_at"].is_string());
        let page = hub.run(&["status"]).await;
        assert!(page.contains("riverside.main.coordination") && page.contains("no trouble"), "{page}");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn status_tells_who_reads_a_queue_and_is_watched_until_a_signal(database) {
        let Some(broker) = broker::share().await else {
            return;
        };
        let hub = Hub::start(database, Setup { broker: Some(broker.url()), ..Setup::default() }).await;
        hub.peer("adt").await.send_bytes(diagnosed("TEST-1", PHONE).as_bytes()).await;
        hub.settled().await;
        let (connection, channel) = broker.channel().await;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let reads = channel.basic_consume(QUEUE.into(), "crm".into(), options, none).await.unwrap();
        until_consumers(&hub, 1).await;

        // Into a pipe it writes one table below the other.
        let watched = hub.folder().join("watched");
        let mut watch = tokio::process::Command::from(hub.process(&["status", "--watch"]))
            .stdout(std::fs::File::create(&watched).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let page = until("it has looked twice", async || {
            let page = std::fs::read_to_string(&watched).unwrap();
            (page.matches("no trouble").count() >= 2).then_some(page)
        })
        .await;
        assert!(page.matches("riverside at ").count() >= 2, "{page}");
        assert!(page.matches("riverside.main.coordination").count() >= 2, "{page}");
        assert!(watch.try_wait().unwrap().is_none(), "it goes on looking");
        let id = watch.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert_eq!(watch.wait().await.unwrap().signal(), Some(15), "a signal ends it");

        drop(reads);
        connection.close(200, "done".into()).await.unwrap();
        until_consumers(&hub, 0).await;
        hub.daemon.stop().await;
    }
}

/// Waits until `status` tells so many consumers of the only team.
async fn until_consumers(hub: &Hub, count: i64) {
    until(&format!("{count} consumers are told"), async || {
        let status = status(hub).await;
        (status["teams"][0]["consumers"] == count).then_some(())
    })
    .await;
}

/// What the operators of a source see of it.
fn source(status: &Value) -> (i64, Option<Timestamp>) {
    let source = &status["sources"][0];
    let oldest = source["oldest_waiting_at"].as_str();
    let oldest = oldest.map(|at| at.parse().unwrap());
    (source["waiting"].as_i64().unwrap(), oldest)
}

on_each_store! {
    async fn status_tells_since_when_messages_wait_while_another_process_has_their_source(database) {
        let setup = Setup {
            pace: "lease = \"1s\"".to_owned(),
            more: "[alerts]\nwaiting = \"1s\"\n".to_owned(),
            ..Setup::default()
        };
        let hub = Hub::start(database, setup).await;
        let hour = SignedDuration::from_hours(1);
        let lease = Lease::new("source:adt");
        let then = clock::now() + hour;
        assert!(hub.store().hold(hub.tenant, &lease, then, then + hour).await.unwrap());
        let taken = clock::now();
        until("the hub's own lease is over", async || {
            (clock::now() > taken + SignedDuration::from_secs(1)).then_some(())
        })
        .await;
        let mut peer = hub.peer("adt").await;
        for number in ["TEST-1", "TEST-2"] {
            let ack = peer.send_bytes(registered(number, PHONE).as_bytes()).await;
            assert_eq!(ack.code, "AA", "a waiting pipeline does not keep senders waiting");
        }
        let came = async |id: &str| hub.message(id).await.received_at.parse::<Timestamp>().unwrap();
        let (first, second) = (came("A28-TEST-1").await, came("A28-TEST-2").await);
        assert!(taken < first && first < second && second <= clock::now());
        assert_eq!(source(&status(&hub).await), (2, Some(first)));
        until("it is a trouble", async || {
            let status = status(&hub).await;
            (status["troubles"][0]["kind"] == "inbox-lag").then_some(())
        })
        .await;
        let page = hub.run(&["status"]).await;
        let line = page.lines().find(|line| line.trim().starts_with("adt ")).unwrap();
        let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert!(cells[6] == "2" && cells[7].ends_with(" s ago"), "waiting and oldest: {page}");

        hub.store().let_go(hub.tenant, &lease).await.unwrap();
        hub.processed().await;
        until("it is over", async || {
            let status = status(&hub).await;
            let is_over = status["troubles"] == serde_json::json!([]);
            is_over.then(|| assert_eq!(source(&status), (0, None)))
        })
        .await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn status_tells_what_waits_for_a_broker_that_is_away(database) {
        let setup = Setup {
            // Nobody listens on port 1.
            broker: Some("amqp://guest:guest@127.0.0.1:1/%2f".to_owned()),
            more: "[alerts]\nbroker_down = \"1s\"\n".to_owned(),
            ..Setup::default()
        };
        let hub = Hub::start(database, setup).await;
        hub.peer("adt").await.send_bytes(diagnosed("TEST-1", PHONE).as_bytes()).await;
        hub.processed().await;
        let status = until("it is a trouble", async || {
            let status = status(&hub).await;
            (status["troubles"][0]["kind"] == "broker-down").then_some(status)
        })
        .await;
        assert_eq!(status["troubles"].as_array().unwrap().len(), 1, "{status}");
        let outbox = &status["outbox"];
        assert!(outbox["waiting"] == 1 && outbox["publishing"] == 0 && outbox["sent"] == 0, "{outbox}");
        assert_eq!(source(&status), (0, None), "messages go on being processed");
        assert_eq!(status["teams"], serde_json::json!([]), "nobody was told yet");
        let page = hub.run(&["status"]).await;
        assert!(page.contains("outbox: 1 waiting, 0 sent"), "{page}");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_queue_or_source_that_nobody_writes_of_any_more_is_forgotten_and_its_trouble_ends(database) {
        let more = "[alerts]\nno_consumer = \"1s\"\n".to_owned();
        let hub = Hub::start(database, Setup { more, ..Setup::default() }).await;
        hub.peer("adt").await.send_bytes(diagnosed("TEST-1", PHONE).as_bytes()).await;
        assert_eq!(hub.settled().await[0].state, "requested");
        // As a process wrote whose configuration still had the source, and a broker.
        let feed = FeedLevel {
            source: "retired".to_owned(),
            listening: true,
            connections: 1,
            last_received_at: None,
        };
        let queue = QueueLevel {
            queue: "riverside.main.coordination".to_owned(),
            messages: 1,
            consumers: 0,
        };
        let write = async |ago| {
            let at = clock::now() - SignedDuration::from_secs(ago);
            let levels = (&[feed.clone()][..], &[queue.clone()][..]);
            hub.store().write_levels(hub.tenant, levels, at).await.unwrap();
        };
        write(0).await;
        until("nobody reads the queue", async || {
            let status = status(&hub).await;
            (status["troubles"][0]["kind"] == "no-consumer").then_some(())
        })
        .await;
        let known = status(&hub).await;
        assert_eq!(known["teams"][0]["messages"], 1, "{known}");
        assert_eq!(known["sources"].as_array().unwrap().len(), 2, "{known}");
        write(31).await;
        let over = until("the trouble is over", async || {
            let status = status(&hub).await;
            let is_over = status["troubles"] == serde_json::json!([]);
            let is_known = status["sources"].as_array().unwrap().len() == 2;
            (is_over && !is_known).then_some(status)
        })
        .await;
        let team = &over["teams"][0];
        assert!(team["at"].is_null() && team["messages"] == 0 && team["unanswered"] == 1, "{team}");
        hub.daemon.stop().await;
    }
}
