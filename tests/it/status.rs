//! What `careloop status` tells of sources, queues and the outbox while something waits in them.

use careloop::clock;
use careloop::store::{FeedLevel, QueueLevel};
use jiff::SignedDuration;

use crate::support::broker;
use crate::support::clinic::{diagnosed, registered};
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
