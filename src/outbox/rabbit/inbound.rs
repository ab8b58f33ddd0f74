//! Task events, and tasks that came back, from a tenant's queues: each acknowledged only when its
//! effect is stored.

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::Acker;
use lapin::BasicProperties;
use lapin::Consumer;
use lapin::options::BasicAckOptions;
use lapin::options::BasicConsumeOptions;
use lapin::options::BasicQosOptions;
use lapin::options::BasicRejectOptions;
use lapin::types::AMQPValue;
use lapin::types::FieldTable;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::outbox::publisher::DownReason;
use crate::outbox::publisher::PublisherState;
use crate::outbox::publisher::event_queue;
use crate::outbox::publisher::returned_queue;
use crate::outbox::rabbit::Rabbit;
use crate::outbox::rabbit::line::Line;
use crate::outbox::rabbit::line::SETUP;
use crate::outbox::rabbit::line::Target;
use crate::outbox::rabbit::line::reason_of;
use crate::retry::Backoff;
use crate::retry::Policy;

/// Events handed out and not yet acknowledged; the rest waits at the broker.
const PREFETCH: u16 = 16;

/// The events of one tenant. It has a connection of its own: a broker under alarm stops reading
/// from connections that publish, and opt-outs must get through then too.
pub struct TaskEvents {
    target: Target,
    queue: String,
    /// Whether the queue was declared, and how whoever declares it is.
    declared: watch::Receiver<bool>,
    declarer: watch::Receiver<PublisherState>,
    answer: Duration,
    backoff: Backoff,
    open: Option<Open>,
}

struct Open {
    /// Its connection is cut when this is dropped.
    line: Line,
    consumer: Consumer,
}

/// An event that the broker keeps until it is acknowledged or rejected; dropped without either,
/// it comes again after the connection ends.
pub struct Received {
    /// The body, as it came.
    pub body: Vec<u8>,
    /// The message id that its publisher gave it.
    pub message_id: Option<String>,
    /// Why the broker gave it back, for a message that came back.
    pub died_of: Death,
    /// The broker's number of this delivery, for logs.
    pub tag: u64,
    /// Whether it was handed out before.
    pub redelivered: bool,
    acker: Acker,
    answer: Duration,
}

/// Why the broker gave a message back (`x-first-death-reason`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// It did not, or does not say.
    Unknown,
    /// Its time was over.
    Expired,
    /// A consumer refused it.
    Rejected,
    /// Every delivery failed, as often as the queue allows.
    DeliveryLimit,
    /// Its queue was full.
    MaxLen,
}

impl Death {
    /// The reason's stable name, as stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::DeliveryLimit => "delivery-limit",
            Self::MaxLen => "max-len",
        }
    }
}

fn died_of(properties: &BasicProperties) -> Death {
    let headers = properties.headers().as_ref();
    let reason = headers.and_then(|headers| headers.inner().get("x-first-death-reason"));
    match reason {
        Some(AMQPValue::LongString(reason)) => match reason.as_bytes() {
            b"expired" => Death::Expired,
            b"rejected" => Death::Rejected,
            b"delivery_limit" => Death::DeliveryLimit,
            b"maxlen" => Death::MaxLen,
            _ => Death::Unknown,
        },
        _ => Death::Unknown,
    }
}

/// The broker did not take the answer: the event comes again and is dropped as a repeat then.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("task event: the connection ended before the answer arrived")]
pub struct Unanswered;

impl Rabbit {
    /// The task events of a tenant.
    pub fn task_events(&self, tenant: &str) -> TaskEvents {
        TaskEvents::of(self, event_queue(tenant))
    }

    /// The tasks of a tenant that the broker gave back.
    pub fn returned_tasks(&self, tenant: &str) -> TaskEvents {
        TaskEvents::of(self, returned_queue(tenant))
    }
}

impl TaskEvents {
    fn of(rabbit: &Rabbit, queue: String) -> Self {
        let backoff = Backoff::new(Policy::CONNECTION);
        Self {
            target: rabbit.shared.target.clone(),
            queue,
            declared: rabbit.shared.declared.subscribe(),
            declarer: rabbit.watch(),
            answer: rabbit.shared.confirm_timeout,
            backoff,
            open: None,
        }
    }

    /// Waits for the next event, over as many reconnections as it takes. It may be dropped at any
    /// time: an event that was under way comes again.
    pub async fn recv(&mut self) -> Received {
        loop {
            let next = match &mut self.open {
                Some(open) => open.consumer.next().await,
                None => None,
            };
            if let Some(Ok(delivery)) = next {
                self.backoff.reset();
                return Received {
                    message_id: delivery
                        .properties
                        .message_id()
                        .as_ref()
                        .map(ToString::to_string),
                    died_of: died_of(&delivery.properties),
                    body: delivery.data,
                    tag: delivery.delivery_tag,
                    redelivered: delivery.redelivered,
                    acker: delivery.acker,
                    answer: self.answer,
                };
            }
            if self.open.take().is_some() {
                tracing::warn!(queue = self.queue, "task events: the connection was lost");
            }
            self.until_declared().await;
            match timeout(SETUP + SETUP + SETUP, self.connect()).await {
                Ok(Ok(open)) => self.open = Some(open),
                Ok(Err(reason)) => self.pause(&reason).await,
                Err(_elapsed) => self.pause(&DownReason::Silent).await,
            }
        }
    }

    /// Ends the connection politely, within a bound: what was handed out and not acknowledged comes
    /// again at the next start.
    pub async fn close(self) {
        // The consumer goes after its connection: dropped before, it would cancel itself meanwhile.
        if let Some(Open {
            line,
            consumer: _ended,
        }) = self.open
        {
            line.close().await;
        }
    }

    /// The publishing side declares the queue. Where it cannot before a person has acted, the queue
    /// of an earlier start may be there: answers count all the same.
    async fn until_declared(&mut self) {
        let stuck = |state: &PublisherState| match state {
            PublisherState::Down { reason, .. } => reason.needs_a_person(),
            PublisherState::Up | PublisherState::Blocked { .. } => false,
        };
        // An error says that the publishing side is gone, and the hub with it.
        tokio::select! {
            _ = self.declared.wait_for(|declared| *declared) => {}
            _ = self.declarer.wait_for(stuck) => {}
        }
    }

    async fn pause(&mut self, reason: &DownReason) {
        let wait = self.backoff.next_wait();
        tracing::warn!(
            queue = self.queue,
            ?wait,
            "task events: not connected: {reason}"
        );
        sleep(wait).await;
    }

    async fn connect(&self) -> Result<Open, DownReason> {
        let of = |error| reason_of(&error, &self.queue);
        let line = self.target.connect("careloop task events").await?;
        let channel = line.connection.create_channel().await.map_err(of)?;
        // `global: false`: the bound is per consumer, which is how quorum queues count.
        channel
            .basic_qos(PREFETCH, BasicQosOptions { global: false })
            .await
            .map_err(of)?;
        let options = BasicConsumeOptions {
            no_local: false,  // RabbitMQ has no such thing
            no_ack: false,    // an event counts as taken when its effect is stored
            exclusive: false, // several hubs may share the queue
            nowait: false,    // a missing queue is to be heard of here
        };
        // An empty tag lets the broker choose one.
        let consumer = channel
            .basic_consume(
                self.queue.as_str().into(),
                "".into(),
                options,
                FieldTable::default(),
            )
            .await
            .map_err(of)?;
        Ok(Open { line, consumer })
    }
}

impl Received {
    /// Says that the event's effect is stored. To be called after the commit, never before.
    pub async fn ack(self) -> Result<(), Unanswered> {
        // `multiple: false`: this event alone; others may still be under way.
        let answer = self.acker.ack(BasicAckOptions { multiple: false });
        within(self.answer, answer).await
    }

    /// Says that the event can never be read: it goes to the dead letters, where a person looks.
    pub async fn reject(self) -> Result<(), Unanswered> {
        // `requeue: false`: it would come back at once and for ever.
        let answer = self.acker.reject(BasicRejectOptions { requeue: false });
        within(self.answer, answer).await
    }

    /// Gives the event back to be handed out again, when the store cannot take it now.
    pub async fn give_back(self) -> Result<(), Unanswered> {
        // `requeue: true`: it is not the event's fault.
        let answer = self.acker.reject(BasicRejectOptions { requeue: true });
        within(self.answer, answer).await
    }
}

async fn within(
    limit: Duration,
    answer: impl Future<Output = lapin::Result<bool>>,
) -> Result<(), Unanswered> {
    match timeout(limit, answer).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false) | Err(_)) | Err(_) => Err(Unanswered),
    }
}
