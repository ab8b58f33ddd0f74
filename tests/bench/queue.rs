//! A durable quorum queue of the broker under measurement, and confirmed publishing to it;
//! what lies in the hub's queue.

use std::collections::HashSet;

use anyhow::Context;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, PublisherConfirm};

/// A queue on a connection of its own.
pub(crate) struct Queue {
    pub(crate) connection: Connection,
    pub(crate) channel: Channel,
    pub(crate) name: &'static str,
}

impl Queue {
    /// Declares the queue `name` at the broker.
    pub(crate) async fn declare(address: &str, name: &'static str) -> anyhow::Result<Self> {
        let connection = Connection::connect(address, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-queue-type".into(),
            AMQPValue::LongString("quorum".into()),
        );
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        channel
            .queue_declare(name.into(), options, arguments)
            .await?;
        Ok(Self {
            connection,
            channel,
            name,
        })
    }

    /// Publishes a persistent message; what is given answers once the broker has it.
    pub(crate) async fn publish(&self, body: &[u8]) -> anyhow::Result<PublisherConfirm> {
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let properties = BasicProperties::default().with_delivery_mode(2);
        let confirm = self
            .channel
            .basic_publish("".into(), self.name.into(), options, body, properties)
            .await?;
        Ok(confirm)
    }
}

/// Takes everything out of the queue `name`, and counts the ids of messages.
pub(crate) async fn distinct(address: &str, name: &str) -> anyhow::Result<usize> {
    let connection = Connection::connect(address, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let mut ids = HashSet::new();
    let options = BasicGetOptions { no_ack: true };
    while let Some(message) = channel.basic_get(name.into(), options).await? {
        let id = message.properties.message_id().clone();
        ids.insert(id.context("a message without an id")?.to_string());
    }
    connection.close(200, "done".into()).await?;
    Ok(ids.len())
}
