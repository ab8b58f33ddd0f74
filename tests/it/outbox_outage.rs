//! Publishing while a real RabbitMQ is under alarm, frozen, stopped or killed.

use std::time::Duration;
use std::time::Instant;

use careloop::config::BrokerConfig;
use careloop::outbox::publisher::Alarm;
use careloop::outbox::publisher::Outgoing;
use careloop::outbox::publisher::Published;
use careloop::outbox::publisher::PublisherState;
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;

use crate::support::broker;
use crate::support::publishing::LONG;
use crate::support::publishing::QUEUE;
use crate::support::publishing::Under;
use crate::support::publishing::is_down;
use crate::support::publishing::task;

#[tokio::test]
async fn a_broker_under_alarm_blocks_and_goes_on_by_itself() {
    let Some(broker) = broker::alone().await else {
        return;
    };
    let config = BrokerConfig {
        confirm_timeout: Duration::from_secs(2),
        ..broker.config()
    };
    let under = Under::ready(&config).await;
    let is_blocked = |state: &PublisherState| {
        matches!(
            state,
            PublisherState::Blocked {
                alarm: Alarm::Disk | Alarm::Other,
                ..
            }
        )
    };
    broker.ctl(&["-q", "set_disk_free_limit", "100000GB"]);
    let begun = Instant::now();
    let batch: Vec<Outgoing> = (0..100).map(|n| task(&format!("m{n}"))).collect();
    let answers = under.rabbit.publish_all(batch).await;
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "took {:?}",
        begun.elapsed()
    );
    assert!(
        answers.iter().any(|answer| *answer != Published::Confirmed),
        "{answers:?}"
    );
    under.wait_for(is_blocked).await;
    assert_eq!(
        under.rabbit.publish_all(vec![task("later")]).await,
        [Published::NotSent]
    );
    // A hub that starts during the alarm knows of it before it publishes anything.
    let second = Under::ready(&config).await;
    second.wait_for(is_blocked).await;
    second.end().await;
    broker.ctl(&["-q", "set_disk_free_limit", "200MB"]);
    under.until_confirmed("later").await;
    under.end().await;
}

#[tokio::test]
async fn a_frozen_broker_costs_one_timeout_and_no_more() {
    let Some(broker) = broker::alone().await else {
        return;
    };
    let config = BrokerConfig {
        confirm_timeout: Duration::from_secs(1),
        ..broker.config()
    };
    let under = Under::ready(&config).await;
    assert_eq!(
        under.rabbit.publish_all(vec![task("1")]).await,
        [Published::Confirmed]
    );
    broker.freeze(true);
    let begun = Instant::now();
    let batch: Vec<Outgoing> = (0..500).map(|n| task(&format!("m{n}"))).collect();
    let answers = under.rabbit.publish_all(batch).await;
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "took {:?}",
        begun.elapsed()
    );
    assert!(answers.contains(&Published::Unknown) && !answers.contains(&Published::Confirmed));
    // What was beyond the window was never handed over.
    assert_eq!(
        answers
            .iter()
            .filter(|answer| **answer == Published::NotSent)
            .count(),
        500 - 64
    );
    under.wait_for(is_down).await;
    assert_eq!(
        under.rabbit.publish_all(vec![task("2")]).await,
        [Published::NotSent]
    );
    broker.freeze(false);
    under.until_confirmed("2").await;
    under.end().await;
}

#[tokio::test]
async fn a_broker_that_stops_or_crashes_loses_nothing_confirmed_and_is_used_again() {
    let Some(broker) = broker::alone().await else {
        return;
    };
    let under = Under::ready(&broker.config()).await;
    let mut events = under.rabbit.task_events("riverside");
    broker.age().await;
    let mut confirmed = Vec::new();
    for (round, crash) in [("stop", false), ("kill", true)] {
        let batch: Vec<Outgoing> = (0..50).map(|n| task(&format!("{round}-{n}"))).collect();
        let ids: Vec<String> = batch.iter().map(|task| task.message_id.clone()).collect();
        assert_eq!(
            under.rabbit.publish_all(batch).await,
            vec![Published::Confirmed; 50]
        );
        confirmed.extend(ids);
        if crash {
            broker.kill();
        } else {
            broker.stop();
        }
        let begun = Instant::now();
        let answer = under.rabbit.publish_all(vec![task("away")]).await;
        assert!(
            matches!(answer[0], Published::NotSent | Published::Unknown),
            "{answer:?}"
        );
        assert!(
            begun.elapsed() < Duration::from_secs(7),
            "took {:?}",
            begun.elapsed()
        );
        under.wait_for(is_down).await;
        broker.start();
        under.until_confirmed(&format!("{round}-back")).await;
        confirmed.push(format!("{round}-back"));
    }
    let messages = broker.take(QUEUE, confirmed.len()).await;
    let found: Vec<String> = messages
        .iter()
        .map(|m| {
            m.delivery
                .properties
                .message_id()
                .as_ref()
                .unwrap()
                .to_string()
        })
        .collect();
    assert!(confirmed.iter().all(|id| found.contains(id)), "{found:?}");
    // The consumer found its way back too.
    let (_connection, channel) = broker.channel().await;
    let (exchange, key) = ("careloop.task-events".into(), "riverside".into());
    let options = BasicPublishOptions::default();
    channel
        .basic_publish(exchange, key, options, b"{}", BasicProperties::default())
        .await
        .unwrap();
    let event = tokio::time::timeout(LONG, events.recv()).await.unwrap();
    event.ack().await.unwrap();
    under.end().await;
}
