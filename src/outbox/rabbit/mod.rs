//! RabbitMQ, and the only module that speaks AMQP: topology, confirmed publishing, task events.
//!
//! One keeper holds one publishing connection and makes a new one, after a wait that grows,
//! whenever anything about it is in doubt: there is a single way back. lapin's own recovery is not
//! used, since it would send buffered frames after their deadline had passed.

mod check;
mod inbound;
mod levels;
mod line;
mod session;
mod topology;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use lapin::Channel;
use lapin::Confirmation;
use lapin::Event;
use lapin::options::ConfirmSelectOptions;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::sleep;
use tokio::time::timeout;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::config::BrokerConfig;
use crate::outbox::publisher::Alarm;
use crate::outbox::publisher::DownReason;
use crate::outbox::publisher::Outgoing;
use crate::outbox::publisher::PROBE;
use crate::outbox::publisher::Published;
use crate::outbox::publisher::PublisherState;
use crate::outbox::publisher::TASKS;
use crate::outbox::publisher::Topology;
use crate::outbox::rabbit::levels::Levels;
use crate::outbox::rabbit::line::Line;
use crate::outbox::rabbit::line::SETUP;
use crate::outbox::rabbit::line::Target;
use crate::outbox::rabbit::line::reason_of;
use crate::outbox::rabbit::session::Session;
use crate::outbox::rabbit::session::alarm_of;
use crate::outbox::rabbit::session::send;
use crate::retry::Backoff;
use crate::retry::Policy;
use crate::store::QueueLevel;

pub use crate::outbox::rabbit::inbound::Death;
pub use crate::outbox::rabbit::inbound::Received;
pub use crate::outbox::rabbit::inbound::TaskEvents;
pub use crate::outbox::rabbit::inbound::Unanswered;

/// How often the keeper looks whether the connection is still what it believes.
const LOOK: Duration = Duration::from_secs(1);

/// How often it asks how much lies in the queues.
const LEVELS: Duration = Duration::from_secs(5);

/// A configuration with which no connection can be tried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an address.
    #[error("broker.url: expected amqps://USER:PASSWORD@HOST:PORT/VHOST, HOST a name or IPv4")]
    Address,
    /// No TLS beyond this machine.
    #[error("broker.url: expected amqps:// for a broker that is not on loopback, found amqp://")]
    Plaintext,
    /// The authority's file cannot be read.
    #[error("broker.ca: expected a readable file: {0}")]
    CaUnreadable(io::Error),
    /// The authority's file holds something else.
    #[error("broker.ca: expected certificates in PEM form")]
    Ca,
    /// Not connected in the time given, or not before a person has acted.
    #[error("{0}")]
    NotReady(DownReason),
}

/// A broker.
pub struct Rabbit {
    shared: Arc<Shared>,
}

struct Shared {
    target: Target,
    window: usize,
    confirm_timeout: Duration,
    state: watch::Sender<PublisherState>,
    /// Whether the queues stand: nobody reads one before.
    declared: watch::Sender<bool>,
    /// The session to publish on while the state is up.
    session: Mutex<Option<Session>>,
    levels: Levels,
    /// Whether anything was confirmed since the last connection: only that ends a series of waits.
    confirmed: AtomicBool,
}

impl Rabbit {
    /// Checks the configuration and starts the keeper on `tracker`; it connects, declares the
    /// topology once, and stays at it until `stop`. Starting does not wait for a broker that is
    /// away: intake goes on without one.
    pub async fn start(
        broker: &BrokerConfig,
        topology: Topology,
        tracker: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let down = PublisherState::Down {
            since: clock::now(),
            reason: DownReason::Starting,
        };
        let shared = Arc::new(Shared {
            target: Target::of(broker).await?,
            window: broker.window.max(1),
            confirm_timeout: broker.confirm_timeout,
            state: watch::Sender::new(down),
            declared: watch::Sender::new(false),
            session: Mutex::new(None),
            levels: Levels::new(&topology),
            confirmed: AtomicBool::new(false),
        });
        tracker.spawn(Arc::clone(&shared).keep(topology, stop));
        Ok(Self { shared })
    }

    /// Waits until the broker was reached and its topology stands; gives up after `limit`, and at
    /// once where only a person can help.
    pub async fn ready(&self, limit: Duration) -> Result<(), Error> {
        let mut states = self.watch();
        let settled = states.wait_for(|state| match state {
            PublisherState::Up | PublisherState::Blocked { .. } => true,
            PublisherState::Down { reason, .. } => reason.needs_a_person(),
        });
        // Either way the state then says how it stands.
        if timeout(limit, settled).await.is_err() {
            tracing::debug!("broker: not ready in the time given");
        }
        match self.state() {
            PublisherState::Up | PublisherState::Blocked { .. } => Ok(()),
            PublisherState::Down { reason, .. } => Err(Error::NotReady(reason)),
        }
    }

    /// How the broker is.
    pub fn state(&self) -> PublisherState {
        self.shared.state.borrow().clone()
    }

    /// The state, to be woken by its changes.
    pub fn watch(&self) -> watch::Receiver<PublisherState> {
        self.shared.state.subscribe()
    }

    /// What lies in the teams' queues, as the broker last said; empty while it is away.
    pub fn levels(&self) -> Vec<QueueLevel> {
        self.shared.levels.found()
    }

    /// Publishes a batch and answers for each message, in order, within the confirm timeout. Up
    /// to the window of messages are in flight at once; what is not handed over when the time is
    /// up is not handed over at all.
    pub async fn publish_all(&self, batch: Vec<Outgoing>) -> Vec<Published> {
        self.publish_within(batch, self.shared.confirm_timeout)
            .await
    }

    /// The same within a shorter time: what has not been handed over by then never is.
    pub async fn publish_within(&self, batch: Vec<Outgoing>, limit: Duration) -> Vec<Published> {
        let Some(session) = self.shared.session() else {
            return vec![Published::NotSent; batch.len()];
        };
        let deadline = Instant::now() + self.shared.confirm_timeout.min(limit);
        let mut answers = Vec::with_capacity(batch.len());
        let mut flying = FuturesOrdered::new();
        for outgoing in batch {
            if flying.len() >= self.shared.window {
                answers.extend(flying.next().await);
            }
            flying.push_back(self.shared.publish(&session, outgoing, deadline));
        }
        while let Some(answer) = flying.next().await {
            answers.push(answer);
        }
        answers
    }
}

impl Shared {
    fn session(&self) -> Option<Session> {
        self.session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Publishes one message.
    async fn publish(&self, session: &Session, outgoing: Outgoing, deadline: Instant) -> Published {
        let is_up = *self.state.borrow() == PublisherState::Up;
        if !is_up || !session.channel.status().connected() || Instant::now() >= deadline {
            return Published::NotSent;
        }
        let sending = send(&session.channel, TASKS, &outgoing);
        match timeout_at(deadline, sending).await {
            Ok(Ok(Confirmation::Ack(None))) => {
                self.confirmed.store(true, Ordering::Relaxed);
                Published::Confirmed
            }
            // An acknowledgement with the message in it: no queue wanted it.
            Ok(Ok(Confirmation::Ack(Some(_)))) => Published::Unroutable,
            Ok(Ok(Confirmation::Nack(_))) => Published::Refused,
            // Confirms are on before a session is handed out; without them nothing is known.
            Ok(Ok(Confirmation::NotRequested)) => {
                session.fail(DownReason::ChannelClosed);
                Published::Unknown
            }
            Ok(Err(error)) => {
                session.fail(reason_of(&error, TASKS));
                Published::Unknown
            }
            Err(_elapsed) => {
                session.fail(DownReason::Silent);
                Published::Unknown
            }
        }
    }

    /// Keeps a session, until told to stop.
    async fn keep(self: Arc<Self>, topology: Topology, stop: CancellationToken) {
        let mut backoff = Backoff::new(Policy::CONNECTION);
        let mut undeclared = Some(topology);
        loop {
            let ended = match stop
                .run_until_cancelled(self.connect(&mut undeclared))
                .await
            {
                None => Ok(()),
                Some(Ok((line, channel))) => self.attend(line, channel, &stop).await,
                Some(Err(reason)) => Err(reason),
            };
            let Err(reason) = ended else { break };
            if self.confirmed.swap(false, Ordering::Relaxed) {
                backoff.reset();
            }
            let wait = backoff.next_wait();
            tracing::warn!(?wait, "not publishing: {reason}");
            self.down(reason);
            if stop.run_until_cancelled(sleep(wait)).await.is_none() {
                break;
            }
        }
        self.down(DownReason::Stopped);
    }

    /// Makes a connection on which publishing works, or says why not.
    async fn connect(&self, todo: &mut Option<Topology>) -> Result<(Line, Channel), DownReason> {
        let line = self.target.connect("careloop outbox").await?;
        let setup = async {
            if let Some(topology) = todo.as_ref() {
                topology::declare(&line.connection, topology).await?;
            }
            let of = |error| reason_of(&error, PROBE);
            let channel = line.connection.create_channel().await.map_err(of)?;
            topology::verify(&channel).await?;
            // Confirms, before anything is published: without them lapin calls a message sent
            // that nobody has. `nowait: false`: on means that the broker has said so.
            channel
                .confirm_select(ConfirmSelectOptions { nowait: false })
                .await
                .map_err(of)?;
            Ok(channel)
        };
        let channel = timeout(SETUP, setup)
            .await
            .unwrap_or(Err(DownReason::Silent))?;
        *todo = None;
        self.declared.send_replace(true);
        self.probe(&line, &channel).await?;
        Ok((line, channel))
    }

    /// Publishes to nobody. A broker under alarm says so only to connections that publish, and a
    /// task is not to be the one that finds out.
    async fn probe(&self, line: &Line, channel: &Channel) -> Result<(), DownReason> {
        let probe = Outgoing {
            message_id: "probe".to_owned(),
            routing_key: "probe".to_owned(),
            body: Vec::new(),
            expiration: None,
        };
        match timeout(self.confirm_timeout, send(channel, PROBE, &probe)).await {
            // Nobody gets it, so that it comes back is the good answer.
            Ok(Ok(Confirmation::Ack(_))) => Ok(()),
            Ok(Ok(_)) => Err(DownReason::ChannelClosed),
            Ok(Err(error)) => Err(reason_of(&error, PROBE)),
            Err(_elapsed) if line.connection.status().blocked() => Ok(()),
            Err(_elapsed) => Err(DownReason::Silent),
        }
    }

    /// Stays with a connection until it fails (its reason) or the hub stops.
    async fn attend(
        &self,
        line: Line,
        channel: Channel,
        stop: &CancellationToken,
    ) -> Result<(), DownReason> {
        let (faults, mut fault) = mpsc::channel(1);
        let session = Session {
            channel,
            cut: line.cut(),
            faults,
        };
        let mut events = pin!(line.connection.events_listener());
        let mut look = tokio::time::interval(LOOK);
        let mut levels = tokio::time::interval(LEVELS);
        if line.connection.status().blocked() {
            self.blocked(Alarm::Other);
        } else {
            self.up(&session);
        }
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(reason) = fault.recv() => return Err(reason),
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(text)) => self.blocked(alarm_of(&text)),
                    Some(Event::ConnectionUnblocked) => self.up(&session),
                    Some(Event::Error(error)) => return Err(reason_of(&error, TASKS)),
                    None => return Err(DownReason::Lost),
                    // Connected, flow control: lapin sees to it.
                    Some(_) => {}
                },
                _ = levels.tick() => self.levels.ask(&line.connection).await,
                _ = look.tick() => {
                    if !line.connection.status().connected() {
                        return Err(DownReason::Lost);
                    }
                    if !session.channel.status().connected() {
                        return Err(DownReason::ChannelClosed);
                    }
                }
            }
        }
        self.down(DownReason::Stopped);
        line.close().await;
        Ok(())
    }

    fn up(&self, session: &Session) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.clone());
        tracing::info!("publishing to the broker");
        self.state.send_replace(PublisherState::Up);
    }

    fn blocked(&self, alarm: Alarm) {
        tracing::warn!(
            ?alarm,
            "the broker takes no messages until its alarm is over"
        );
        self.state.send_replace(PublisherState::Blocked {
            since: clock::now(),
            alarm,
        });
    }

    /// Notes that nothing can be published; the first moment of an outage stays the one told.
    fn down(&self, reason: DownReason) {
        self.levels.forget();
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.state.send_modify(|state| {
            let since = match state {
                PublisherState::Down { since, .. } => *since,
                PublisherState::Up | PublisherState::Blocked { .. } => clock::now(),
            };
            *state = PublisherState::Down { since, reason };
        });
    }
}
