//! A test message there and back: what `careloop crm check` asks of the broker.

use std::time::Duration;

use lapin::Channel;
use lapin::Confirmation;
use lapin::options::BasicGetOptions;
use lapin::options::ConfirmSelectOptions;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::outbox::publisher::DownReason;
use crate::outbox::publisher::Outgoing;
use crate::outbox::publisher::TASK_EVENTS;
use crate::outbox::publisher::TASKS;
use crate::outbox::rabbit::Rabbit;
use crate::outbox::rabbit::line::reason_of;
use crate::outbox::rabbit::session::send;
use crate::outbox::rabbit::topology::bind;

/// How long the message may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How often the queue is looked at.
const LOOK: Duration = Duration::from_millis(50);

impl Rabbit {
    /// Publishes a test task on its routing key, takes it off a queue of its own, which ends with
    /// the connection, and gives its body.
    ///
    /// # Errors
    /// With the reason, whose text says what to do.
    pub async fn there_and_back(&self, task: &Outgoing) -> Result<Vec<u8>, DownReason> {
        let queue = format!("{TASKS}.check.{}", task.message_id);
        let line = self.shared.target.connect("careloop crm check").await?;
        let trip = async {
            let channel = self.confirming(&line.connection).await?;
            let of = |error| reason_of(&error, &queue);
            let options = QueueDeclareOptions {
                durable: false,
                exclusive: true, // nobody else sees it, and it ends with this connection
                auto_delete: true,
                passive: false,
                nowait: false,
            };
            channel
                .queue_declare(queue.as_str().into(), options, FieldTable::default())
                .await
                .map_err(of)?;
            bind(&channel, &queue, TASKS, &task.routing_key).await?;
            publish(&channel, TASKS, task).await?;
            loop {
                let options = BasicGetOptions { no_ack: true };
                let found = channel.basic_get(queue.as_str().into(), options).await;
                match found.map_err(of)? {
                    Some(message) => return Ok(message.delivery.data),
                    None => sleep(LOOK).await,
                }
            }
        };
        let body = timeout(LIMIT, trip).await;
        line.close().await;
        body.unwrap_or(Err(DownReason::Silent))
    }

    /// Publishes a test task for a team's own queue.
    ///
    /// # Errors
    /// With the reason, whose text says what to do.
    pub async fn deliver(&self, task: &Outgoing) -> Result<(), DownReason> {
        self.hand_over(TASKS, task).await
    }

    /// Publishes an answer as the CRM does.
    ///
    /// # Errors
    /// With the reason, whose text says what to do.
    pub async fn answer(&self, answer: &Outgoing) -> Result<(), DownReason> {
        self.hand_over(TASK_EVENTS, answer).await
    }

    async fn hand_over(&self, exchange: &str, message: &Outgoing) -> Result<(), DownReason> {
        let line = self.shared.target.connect("careloop crm check").await?;
        let trip = async {
            let channel = self.confirming(&line.connection).await?;
            publish(&channel, exchange, message).await
        };
        let sent = timeout(LIMIT, trip).await;
        line.close().await;
        sent.unwrap_or(Err(DownReason::Silent))
    }

    async fn confirming(&self, connection: &lapin::Connection) -> Result<Channel, DownReason> {
        let of = |error| reason_of(&error, "broker");
        let channel = connection.create_channel().await.map_err(of)?;
        channel
            .confirm_select(ConfirmSelectOptions { nowait: false })
            .await
            .map_err(of)?;
        Ok(channel)
    }
}

async fn publish(at: &Channel, exchange: &str, message: &Outgoing) -> Result<(), DownReason> {
    match send(at, exchange, message).await {
        Ok(Confirmation::Ack(None)) => Ok(()),
        // It came back: nothing is bound to its routing key.
        Ok(_) => Err(DownReason::Missing(exchange.to_owned())),
        Err(error) => Err(reason_of(&error, exchange)),
    }
}
