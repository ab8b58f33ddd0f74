//! The exchanges and queues that careloop needs, declared once when it starts.
//!
//! There is no alternate exchange: with one, a message that no queue wanted would be confirmed as
//! if it had been delivered. Nothing is ever deleted: a quorum queue that is deleted and declared
//! again under its name can come up dead when the broker crashes.

use lapin::Channel;
use lapin::Connection;
use lapin::ExchangeKind;
use lapin::options::ExchangeDeclareOptions;
use lapin::options::QueueBindOptions;
use lapin::options::QueueDeclareOptions;
use lapin::types::AMQPValue;
use lapin::types::FieldTable;

use crate::outbox::publisher::DEAD;
use crate::outbox::publisher::DownReason;
use crate::outbox::publisher::PROBE;
use crate::outbox::publisher::TASK_EVENTS;
use crate::outbox::publisher::TASKS;
use crate::outbox::publisher::Topology;
use crate::outbox::rabbit::line::reason_of;

/// Deliveries of a task before it counts as one that no consumer can take.
const TASK_DELIVERIES: i64 = 20;
/// Deliveries of a task event: in effect without a limit, which has to be said, since RabbitMQ 4
/// puts one of 20 where none is given. Each restart of the hub and each second of a store that is
/// away may cost one, and an opt-out must not end in the dead letters because of that. What cannot
/// be read is rejected at once anyway.
const EVENT_DELIVERIES: i64 = 1_000_000;

/// Declares everything. What exists with other properties is an error, never changed.
pub(super) async fn declare(at: &Connection, topology: &Topology) -> Result<(), DownReason> {
    let channel = at
        .create_channel()
        .await
        .map_err(|error| reason_of(&error, "broker"))?;
    // Topic exchanges: keys have parts, and the broker can restrict users by key (tenants).
    exchange(&channel, TASKS, ExchangeKind::Topic).await?;
    exchange(&channel, TASK_EVENTS, ExchangeKind::Topic).await?;
    exchange(&channel, DEAD, ExchangeKind::Topic).await?;
    // Without queues for good: what a probe publishes is confirmed and gone.
    exchange(&channel, PROBE, ExchangeKind::Fanout).await?;
    queue(&channel, DEAD, dead_letters()).await?;
    // Answers have keys of one word, tasks of four; careloop itself takes the tasks back.
    bind(&channel, DEAD, DEAD, "*").await?;
    unbind(&channel, DEAD, DEAD, "#").await?;
    for (name, key) in topology.returned_queues() {
        queue(&channel, &name, returned()).await?;
        bind(&channel, &name, DEAD, &key).await?;
    }
    for (name, key) in topology.task_queues() {
        queue(&channel, &name, quorum(TASK_DELIVERIES)).await?;
        bind(&channel, &name, TASKS, &key).await?;
    }
    for (name, key) in topology.event_queues() {
        queue(&channel, &name, quorum(EVENT_DELIVERIES)).await?;
        bind(&channel, &name, TASK_EVENTS, &key).await?;
    }
    Ok(())
}

/// Whether the exchanges that publishing needs are there.
pub(super) async fn verify(channel: &Channel) -> Result<(), DownReason> {
    for (name, kind) in [(TASKS, ExchangeKind::Topic), (PROBE, ExchangeKind::Fanout)] {
        // Passive: look, do not create. One that was removed by hand lost its bindings too, and
        // making it anew would only turn "missing" into "unroutable".
        let options = ExchangeDeclareOptions {
            passive: true,
            ..ExchangeDeclareOptions::default()
        };
        channel
            .exchange_declare(name.into(), kind, options, FieldTable::default())
            .await
            .map_err(|error| reason_of(&error, name))?;
    }
    Ok(())
}

async fn exchange(at: &Channel, name: &str, kind: ExchangeKind) -> Result<(), DownReason> {
    let options = ExchangeDeclareOptions {
        durable: true,      // outlives a restart of the broker
        auto_delete: false, // outlives its last queue
        internal: false,    // publishers use it
        passive: false,     // made where it is missing
        nowait: false,      // a mismatch is to be heard of here
    };
    at.exchange_declare(name.into(), kind, options, FieldTable::default())
        .await
        .map_err(|error| reason_of(&error, name))
}

async fn queue(at: &Channel, name: &str, arguments: FieldTable) -> Result<(), DownReason> {
    let options = QueueDeclareOptions {
        durable: true,      // quorum queues are nothing else
        exclusive: false,   // the CRM reads it, on its own connection
        auto_delete: false, // tasks wait while no consumer is there
        passive: false,     // made where it is missing
        nowait: false,      // a mismatch is to be heard of here
    };
    at.queue_declare(name.into(), options, arguments)
        .await
        .map(|_queue| ())
        .map_err(|error| reason_of(&error, name))
}

pub(super) async fn bind(at: &Channel, queue: &str, to: &str, key: &str) -> Result<(), DownReason> {
    let options = QueueBindOptions { nowait: false }; // a refusal is to be heard of here
    at.queue_bind(
        queue.into(),
        to.into(),
        key.into(),
        options,
        FieldTable::default(),
    )
    .await
    .map_err(|error| reason_of(&error, queue))
}

/// Takes away the binding of earlier versions; one that is not there is no error to the broker.
async fn unbind(at: &Channel, queue: &str, from: &str, key: &str) -> Result<(), DownReason> {
    at.queue_unbind(queue.into(), from.into(), key.into(), FieldTable::default())
        .await
        .map_err(|error| reason_of(&error, queue))
}

/// What comes back is taken by careloop alone, however often it has to try.
fn returned() -> FieldTable {
    let mut arguments = dead_letters();
    arguments.insert(
        "x-delivery-limit".into(),
        AMQPValue::LongLongInt(EVENT_DELIVERIES),
    );
    arguments
}

fn quorum(deliveries: i64) -> FieldTable {
    let mut arguments = dead_letters();
    // A message that makes every consumer fail leaves the queue instead of blocking it.
    arguments.insert(
        "x-delivery-limit".into(),
        AMQPValue::LongLongInt(deliveries),
    );
    // Expired, rejected and undeliverable messages are kept where someone can look.
    arguments.insert("x-dead-letter-exchange".into(), text(DEAD));
    arguments
}

fn dead_letters() -> FieldTable {
    let mut arguments = FieldTable::default();
    // Replicated and on disk before it is confirmed.
    arguments.insert("x-queue-type".into(), text("quorum"));
    // Should a policy ever limit the length, the queue then refuses new messages (a nack, and the
    // outbox keeps them) instead of dropping old ones that were confirmed.
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
