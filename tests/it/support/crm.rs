//! A CRM that answers: events on the exchange, as the schema says.

use careloop::outbox::envelope::ulid;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel};
use uuid::Uuid;

use super::clinic::diagnosed;
use super::hub::Hub;

/// Publishes an event of the clinic's CRM and waits for the broker to have it.
pub(crate) async fn say(channel: &Channel, body: &str) {
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default().with_delivery_mode(2);
    channel
        .basic_publish(
            "careloop.task-events".into(),
            "riverside".into(),
            options,
            body.as_bytes(),
            properties,
        )
        .await
        .unwrap()
        .await
        .unwrap();
}

/// An answer to version 1 of a task; `own` are the fields of its type, such as `,"scope":"all"`.
pub(crate) fn answer(id: &str, task: Uuid, kind: &str, own: &str) -> String {
    let task = ulid(task);
    format!(
        r#"{{"id":"{id}","task":"{task}","version":1,"type":"{kind}"{own},"at":"2025-03-02T10:00:00Z"}}"#
    )
}

/// One published task for each person, by number and phone: person and task.
pub(crate) async fn published(hub: &Hub, people: &[(&str, &str)]) -> Vec<(Uuid, Uuid)> {
    let mut peer = hub.peer("adt").await;
    let mut found = Vec::new();
    for (number, phone) in people {
        peer.send_bytes(diagnosed(number, phone).as_bytes()).await;
        hub.processed().await;
        let person = hub.person(number).await;
        let task = hub.until_task_is(person, "requested").await;
        found.push((person, task.id.parse().unwrap()));
    }
    found
}
