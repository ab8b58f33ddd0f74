//! The whole hub while its RabbitMQ stops, crashes and fills up: intake goes on, tasks wait, and
//! the backlog leaves by itself, each task at least once and each id once.

use std::collections::BTreeSet;

use careloop::outbox::schema::OUTREACH_TASK_TEXT;
use lapin::message::BasicGetMessage;
use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use serde_json::Value;

use crate::support::broker;
use crate::support::clinic::{QUEUE, diagnosed};
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::serving::Serving;
use crate::support::wait::until;

const BINDING: &str = "riverside.main.coordination.*";

/// Sends people with a task each; every message is accepted at once.
async fn send(hub: &Hub, people: std::ops::Range<usize>) {
    let mut peer = hub.peer("adt").await;
    for index in people {
        let text = diagnosed(
            &format!("TEST-{index}"),
            &format!("(518)555-{:04}", 100 + index),
        );
        assert_eq!(peer.send_bytes(text.as_bytes()).await.code, "AA");
    }
    hub.processed().await;
}

async fn sent(hub: &Hub, count: i64) {
    until(&format!("{count} tasks are sent"), || async {
        (hub.outbox().await.sent == count).then_some(())
    })
    .await;
}

/// Every message is what the contract says; gives the number of distinct ids.
fn checked(messages: &[BasicGetMessage]) -> usize {
    let schema: Value = serde_json::from_str(OUTREACH_TASK_TEXT).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let mut ids = BTreeSet::new();
    for message in messages {
        let properties = &message.delivery.properties;
        let body: Value = serde_json::from_slice(&message.delivery.data).unwrap();
        let errors: Vec<String> = schema
            .iter_errors(&body)
            .map(|error| error.instance_path().to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(
            properties.message_id().as_ref().unwrap().as_str(),
            body["id"]
        );
        assert_eq!(*properties.delivery_mode(), Some(2), "persistent");
        let left: u64 = properties
            .expiration()
            .as_ref()
            .unwrap()
            .as_str()
            .parse()
            .unwrap();
        assert!(left > 0, "it ends with its due date");
        assert_eq!(
            message.delivery.routing_key.as_str(),
            "riverside.main.coordination.routine"
        );
        ids.insert(body["id"].as_str().unwrap().to_owned());
    }
    ids.len()
}

on_each_store! {
    async fn a_broker_that_stops_and_crashes_delays_tasks_and_loses_none(database) {
        let Some(broker) = broker::alone().await else { return };
        let hub = Hub::start(database, Setup { broker: Some(broker.url()), ..Setup::default() }).await;
        send(&hub, 0..5).await;
        sent(&hub, 5).await;
        broker.stop();
        send(&hub, 5..15).await;
        assert_eq!((hub.outbox().await.sent, hub.outbox().await.waiting), (5, 10));
        broker.start();
        sent(&hub, 15).await;
        broker.age().await;
        // The crash meets publishes under way.
        let (_, ()) = tokio::join!(send(&hub, 15..35), async { broker.kill() });
        send(&hub, 35..40).await;
        broker.start();
        sent(&hub, 40).await;
        let counts = hub.counts().await;
        assert_eq!((counts.received, counts.processed, counts.waiting), (40, 40, 0));
        let messages = broker.take(QUEUE, 40).await;
        assert_eq!(checked(&messages), 40, "each task, and each under one id");
        assert!(hub.tasks().await.iter().all(|task| task.state == "requested"));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_broker_that_is_full_delays_tasks_and_loses_none(database) {
        let Some(broker) = broker::alone().await else { return };
        let hub = Hub::start(database, Setup { broker: Some(broker.url()), ..Setup::default() }).await;
        send(&hub, 0..3).await;
        sent(&hub, 3).await;
        broker.ctl(&["-q", "set_disk_free_limit", "100000GB"]);
        send(&hub, 3..8).await;
        assert_eq!(hub.counts().await.processed, 8);
        assert!(hub.outbox().await.sent < 8);
        broker.ctl(&["-q", "set_disk_free_limit", "200MB"]);
        sent(&hub, 8).await;
        // A queue that refuses what is more than it may hold.
        broker.policy("small", "^careloop.tasks.riverside", r#"{"max-length":8}"#);
        until("the queue refuses", || async {
            let index = usize::try_from(hub.counts().await.received).unwrap();
            send(&hub, index..index + 1).await;
            let outbox = hub.outbox().await;
            (outbox.waiting > 0 && outbox.publishing == 0).then_some(())
        })
        .await;
        let first = broker.take(QUEUE, 8).await;
        let all = hub.counts().await.received;
        sent(&hub, all).await;
        let rest = broker.take(QUEUE, usize::try_from(all).unwrap() - first.len()).await;
        let messages: Vec<BasicGetMessage> = first.into_iter().chain(rest).collect();
        assert_eq!(checked(&messages), usize::try_from(all).unwrap());
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_task_that_no_queue_takes_waits_is_counted_and_is_never_called_sent(database) {
        let Some(broker) = broker::share().await else { return };
        let hub = Hub::start(database, Setup { broker: Some(broker.url()), ..Setup::default() }).await;
        send(&hub, 0..1).await;
        sent(&hub, 1).await;
        let (_connection, channel) = broker.channel().await;
        let tasks = "careloop.tasks";
        channel
            .queue_unbind(QUEUE.into(), tasks.into(), BINDING.into(), FieldTable::default())
            .await
            .unwrap();
        send(&hub, 1..2).await;
        until("it is unroutable", || async { (hub.outbox().await.unroutable == 1).then_some(()) }).await;
        assert_eq!((hub.outbox().await.sent, hub.outbox().await.waiting), (1, 1));
        let options = QueueBindOptions::default();
        channel
            .queue_bind(QUEUE.into(), tasks.into(), BINDING.into(), options, FieldTable::default())
            .await
            .unwrap();
        sent(&hub, 2).await;
        assert_eq!(checked(&broker.take(QUEUE, 2).await), 2);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_first_start_on_an_empty_broker_and_a_stop_log_no_error(database) {
        let Some(broker) = broker::share().await else { return };
        let setup = Setup { broker: Some(broker.url()), ..Setup::default() };
        let mut hub = Serving::start(database, &setup, "info").await;
        until("the broker is in use", || async {
            hub.log().contains("publishing to the broker").then_some(())
        })
        .await;
        let (_connection, channel) = broker.channel().await;
        for queue in ["careloop.task-events.riverside", "careloop.tasks.returned.riverside"] {
            until("somebody reads the queue", || async {
                let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
                let found = channel.queue_declare(queue.into(), options, FieldTable::default()).await;
                (found.unwrap().consumer_count() == 1).then_some(())
            })
            .await;
        }
        let log = hub.log();
        assert!(!log.contains("ERROR") && !log.contains("not connected"), "{log}");
        assert!(hub.stop().success());
        let log = hub.log();
        assert!(log.contains("this is left for the next start"), "{log}");
        assert!(!log.contains("ERROR") && !log.contains(" WARN "), "{log}");
    }
}
