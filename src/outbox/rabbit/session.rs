//! One message on one channel: its flags, and the broker's answer to it.

use lapin::BasicProperties;
use lapin::Channel;
use lapin::Confirmation;
use lapin::options::BasicPublishOptions;
use tokio::sync::mpsc;

use crate::outbox::publisher::Alarm;
use crate::outbox::publisher::DownReason;
use crate::outbox::publisher::Outgoing;
use crate::outbox::rabbit::line::Cut;

/// The longest expiry that the broker takes, in milliseconds (about 49 days); more closes the
/// channel. The outbox looks at the due date itself, so a shorter expiry only costs a repeat.
const LONGEST_EXPIRY: u128 = u32::MAX as u128;

/// What publishing needs of a connection.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) channel: Channel,
    pub(super) cut: Cut,
    /// Room for one: the first fault of a session is the one that counts.
    pub(super) faults: mpsc::Sender<DownReason>,
}

impl Session {
    /// Ends the session, at once: what was not written yet is never written.
    pub(super) fn fail(&self, reason: DownReason) {
        self.cut.now();
        if self.faults.try_send(reason).is_err() {
            tracing::trace!("broker: this session had failed before");
        }
    }
}

/// Publishes a message and waits for the broker's answer.
pub(super) async fn send(
    at: &Channel,
    exchange: &str,
    outgoing: &Outgoing,
) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions {
        mandatory: true,  // without it a message that no queue wants is confirmed and lost
        immediate: false, // RabbitMQ has no such thing
    };
    let mut properties = BasicProperties::default()
        .with_delivery_mode(2) // persistent: on disk before it is confirmed
        .with_content_type("application/cloudevents+json".into()) // structured mode
        .with_message_id(outgoing.message_id.as_str().into()); // by which consumers drop repeats
    if let Some(expiration) = outgoing.expiration {
        // What is past its due date leaves the queue. Zero would mean "now or never".
        let milliseconds = expiration.as_millis().clamp(1, LONGEST_EXPIRY);
        properties = properties.with_expiration(milliseconds.to_string().into());
    }
    let (exchange, key) = (exchange.into(), outgoing.routing_key.as_str().into());
    at.basic_publish(exchange, key, options, &outgoing.body, properties)
        .await?
        .await
}

/// RabbitMQ's text is "low on memory" or "low on disk".
pub(super) fn alarm_of(text: &str) -> Alarm {
    match (text.contains("memory"), text.contains("disk")) {
        (true, _) => Alarm::Memory,
        (_, true) => Alarm::Disk,
        _ => Alarm::Other,
    }
}
