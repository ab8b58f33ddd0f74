//! Publishing to a real RabbitMQ: every answer that a broker in good health can give.

use std::time::Duration;

use careloop::outbox::publisher::DownReason;
use careloop::outbox::publisher::Outgoing;
use careloop::outbox::publisher::Published;
use careloop::outbox::publisher::PublisherState;
use careloop::outbox::rabbit::Error;
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;
use lapin::options::ExchangeDeleteOptions;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use crate::support::broker;
use crate::support::publishing::LONG;
use crate::support::publishing::QUEUE;
use crate::support::publishing::Under;
use crate::support::publishing::is_down;
use crate::support::publishing::task;

#[tokio::test]
async fn a_batch_is_confirmed_in_order_and_arrives_persistent_with_its_id() {
    let Some(broker) = broker::share().await else {
        return;
    };
    let under = Under::ready(&broker.config()).await;
    let batch: Vec<Outgoing> = (0..300).map(|n| task(&format!("m{n}"))).collect();
    let answers = under.rabbit.publish_all(batch).await;
    assert_eq!(answers, vec![Published::Confirmed; 300]);
    let messages = broker.take(QUEUE, 300).await;
    let ids: Vec<String> = messages
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
    assert_eq!(ids, (0..300).map(|n| format!("m{n}")).collect::<Vec<_>>());
    let properties = &messages[0].delivery.properties;
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(
        properties.expiration().as_ref().unwrap().to_string(),
        "3600000"
    );
    let content_type = properties.content_type().as_ref().unwrap().to_string();
    assert_eq!(content_type, "application/cloudevents+json");
    under.end().await;
}

#[tokio::test]
async fn an_expiry_beyond_what_the_broker_takes_is_cut_and_not_refused() {
    let Some(broker) = broker::share().await else {
        return;
    };
    let under = Under::ready(&broker.config()).await;
    let far = Outgoing {
        expiration: Some(Duration::from_secs(200 * 86_400)),
        ..task("far")
    };
    let never = Outgoing {
        expiration: None,
        ..task("never")
    };
    assert_eq!(
        under.rabbit.publish_all(vec![far, never]).await,
        [Published::Confirmed; 2]
    );
    under.end().await;
}

#[tokio::test]
async fn a_task_that_no_queue_wants_is_unroutable_and_its_neighbours_are_confirmed() {
    let Some(broker) = broker::share().await else {
        return;
    };
    let under = Under::ready(&broker.config()).await;
    let lost = Outgoing {
        routing_key: "riverside.main.team-8.routine".into(),
        ..task("lost")
    };
    let answers = under
        .rabbit
        .publish_all(vec![task("1"), lost, task("2")])
        .await;
    assert_eq!(
        answers,
        [
            Published::Confirmed,
            Published::Unroutable,
            Published::Confirmed
        ]
    );
    // The same where a binding is taken away while the hub runs.
    let (_connection, channel) = broker.channel().await;
    let (key, none) = ("riverside.main.team-7.*", FieldTable::default());
    channel
        .queue_unbind(QUEUE.into(), "careloop.tasks".into(), key.into(), none)
        .await
        .unwrap();
    assert_eq!(
        under.rabbit.publish_all(vec![task("3")]).await,
        [Published::Unroutable]
    );
    assert_eq!(under.rabbit.state(), PublisherState::Up);
    under.end().await;
}

#[tokio::test]
async fn a_full_queue_refuses_and_keeps_what_it_confirmed() {
    let Some(broker) = broker::share().await else {
        return;
    };
    let under = Under::ready(&broker.config()).await;
    broker.policy("full", "^careloop", r#"{"max-length":3}"#);
    let mut confirmed = 0;
    let mut is_refused = false;
    for n in 0..200 {
        match under.rabbit.publish_all(vec![task(&format!("m{n}"))]).await[0] {
            Published::Confirmed => confirmed += 1,
            Published::Refused => {
                is_refused = true;
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(is_refused);
    assert_eq!(broker.take(QUEUE, confirmed).await.len(), confirmed);
    assert_eq!(under.rabbit.state(), PublisherState::Up);
    under.end().await;
}

#[tokio::test]
async fn a_missing_exchange_is_said_once_and_burns_no_further_task() {
    let Some(broker) = broker::share().await else {
        return;
    };
    let under = Under::ready(&broker.config()).await;
    let (_connection, channel) = broker.channel().await;
    let options = ExchangeDeleteOptions::default();
    channel
        .exchange_delete("careloop.tasks".into(), options)
        .await
        .unwrap();
    assert_eq!(
        under.rabbit.publish_all(vec![task("1")]).await,
        [Published::Unknown]
    );
    under.wait_for(is_down).await;
    assert_eq!(
        under.rabbit.publish_all(vec![task("2")]).await,
        [Published::NotSent]
    );
    let missing = DownReason::Missing("careloop.tasks".into());
    under
        .wait_for(
            |state| matches!(state, PublisherState::Down { reason, .. } if *reason == missing),
        )
        .await;
    under.end().await;
}

#[tokio::test]
async fn a_queue_with_other_properties_is_an_error_that_names_it() {
    let Some(broker) = broker::share().await else {
        return;
    };
    let (_connection, channel) = broker.channel().await;
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(QUEUE.into(), options, FieldTable::default())
        .await
        .unwrap();
    let under = Under::start(&broker.config()).await;
    let error = under.rabbit.ready(LONG).await.unwrap_err();
    let expected = DownReason::TopologyMismatch(QUEUE.into());
    assert!(
        matches!(&error, Error::NotReady(reason) if *reason == expected),
        "{error}"
    );
    assert!(error.to_string().contains("remove"), "{error}");
    under.end().await;
}

#[tokio::test]
async fn an_event_comes_again_until_it_is_acknowledged_and_a_rejected_one_is_kept_aside() {
    let Some(broker) = broker::share().await else {
        return;
    };
    let under = Under::ready(&broker.config()).await;
    let (_connection, channel) = broker.channel().await;
    for body in ["one", "two"] {
        let (exchange, key) = ("careloop.task-events".into(), "riverside".into());
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let properties = BasicProperties::default().with_delivery_mode(2);
        channel
            .basic_publish(exchange, key, options, body.as_bytes(), properties)
            .await
            .unwrap();
    }
    let mut events = under.rabbit.task_events("riverside");
    let first = tokio::time::timeout(LONG, events.recv()).await.unwrap();
    assert_eq!(
        (first.body.as_slice(), first.redelivered),
        (b"one".as_slice(), false)
    );
    // The hub goes away between the delivery and its commit.
    drop(first);
    drop(events);
    let mut events = under.rabbit.task_events("riverside");
    let again = tokio::time::timeout(LONG, events.recv()).await.unwrap();
    assert_eq!(
        (again.body.as_slice(), again.redelivered),
        (b"one".as_slice(), true)
    );
    again.ack().await.unwrap();
    let second = tokio::time::timeout(LONG, events.recv()).await.unwrap();
    assert_eq!(second.body, b"two");
    second.reject().await.unwrap();
    let dead = broker.take("careloop.tasks.dead", 1).await;
    assert_eq!(dead[0].delivery.data, b"two");
    under.end().await;
}
