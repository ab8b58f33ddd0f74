//! Senders over real sockets: each sends a message and waits for its acknowledgement, then sends the
//! next one at once (closed loop) or when it is due (open loop).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::BytesMut;
use careloop::intake::mllp::frame::{END, put_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::messages::Author;

/// What the senders saw.
pub(crate) struct Seen {
    /// When the first message was sent.
    pub(crate) began: Instant,
    /// From the first message to the last acknowledgement.
    pub(crate) took: Duration,
    /// How long each acknowledgement took, shortest first.
    pub(crate) waits: Vec<Duration>,
}

impl Seen {
    /// Acknowledged messages a second.
    pub(crate) fn rate(&self) -> f64 {
        per_second(self.waits.len(), self.took)
    }

    /// The wait that `share` of the acknowledgements stayed below, in milliseconds.
    pub(crate) fn wait(&self, share: (usize, usize)) -> f64 {
        let index = self.waits.len() * share.0 / share.1;
        let found = self.waits.get(index).or(self.waits.last());
        found.map_or(0.0, |wait| wait.as_secs_f64() * 1e3)
    }
}

/// Things a second.
pub(crate) fn per_second(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

/// Sends all messages over `connections` and waits for all acknowledgements.
pub(crate) async fn send(
    to: SocketAddr,
    connections: usize,
    messages: Vec<Vec<u8>>,
) -> anyhow::Result<Seen> {
    let share = messages.len().div_ceil(connections);
    let lines = Line::open(to, connections).await?;
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for (mut line, part) in lines.into_iter().zip(messages.chunks(share)) {
        let part = part.to_vec();
        senders.spawn(async move {
            for message in part {
                line.exchange(&message, Instant::now()).await?;
            }
            Ok(line.waits)
        });
    }
    gather(senders, began).await
}

/// Sends over `connections` for as long as `lasting`, and waits for all acknowledgements.
pub(crate) async fn send_for(
    to: SocketAddr,
    connections: usize,
    author: &Shared,
    lasting: Duration,
) -> anyhow::Result<Seen> {
    let lines = Line::open(to, connections).await?;
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for mut line in lines {
        let author = author.clone();
        senders.spawn(async move {
            while began.elapsed() < lasting {
                let message = author.write();
                line.exchange(&message, Instant::now()).await?;
            }
            Ok(line.waits)
        });
    }
    gather(senders, began).await
}

/// Sends `rate` messages a second, evenly, whether the hub keeps up or not, over `connections`. What
/// finds all connections busy waits from when it was due.
pub(crate) async fn send_at(
    to: SocketAddr,
    (connections, rate): (usize, f64),
    author: &Shared,
    lasting: Duration,
) -> anyhow::Result<Seen> {
    let lines = Line::open(to, connections).await?;
    let number = Arc::new(AtomicU32::new(0));
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for mut line in lines {
        let (author, number) = (author.clone(), Arc::clone(&number));
        senders.spawn(async move {
            loop {
                let after = f64::from(number.fetch_add(1, Ordering::Relaxed)) / rate;
                let due = Duration::from_secs_f64(after);
                if due >= lasting {
                    return Ok(line.waits);
                }
                let mut since = began + due;
                if since > Instant::now() {
                    sleep_until(since.into()).await;
                    // The sender's own timer is not the hub's delay.
                    since = Instant::now();
                }
                let message = author.write();
                line.exchange(&message, since).await?;
            }
        });
    }
    gather(senders, began).await
}

/// Opens `count` connections that say nothing, from many addresses: one may have only so many.
pub(crate) async fn idle(to: SocketAddr, count: usize) -> anyhow::Result<Vec<TcpStream>> {
    let mut idle = Vec::with_capacity(count);
    for number in 0..count {
        idle.push(connect(to, u8::try_from(number / 50)?).await?);
    }
    Ok(idle)
}

/// Connects from a loopback address: those of the load before may not have left yet.
async fn connect(to: SocketAddr, from: u8) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 1, from), 0).into())?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// An author whom all senders ask.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Author>>);

impl Shared {
    /// Lets many senders ask `author`.
    pub(crate) fn new(author: Author) -> Self {
        Self(Arc::new(Mutex::new(author)))
    }

    /// How many messages were written so far.
    pub(crate) fn written(&self) -> usize {
        self.ask().written()
    }

    /// The tasks that they end in.
    pub(crate) fn tasks(&self) -> i64 {
        self.ask().tasks()
    }

    /// From now on one message in so many leads to a task.
    pub(crate) fn task_every(&self, messages: usize) {
        self.ask().task_every(messages);
    }

    fn ask(&self) -> MutexGuard<'_, Author> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> Vec<u8> {
        let now = careloop::clock::now();
        self.ask().next(now)
    }

    /// The next `count` messages.
    pub(crate) fn several(&self, count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|_| self.write()).collect()
    }
}

async fn gather(
    mut senders: JoinSet<anyhow::Result<Vec<Duration>>>,
    began: Instant,
) -> anyhow::Result<Seen> {
    let mut waits = Vec::new();
    while let Some(sender) = senders.join_next().await {
        waits.extend(sender??);
    }
    let took = began.elapsed();
    waits.sort_unstable();
    Ok(Seen { began, took, waits })
}

/// A sender's connection.
struct Line {
    socket: TcpStream,
    out: BytesMut,
    answer: BytesMut,
    waits: Vec<Duration>,
}

impl Line {
    async fn open(to: SocketAddr, count: usize) -> anyhow::Result<Vec<Self>> {
        static OPENED: AtomicU8 = AtomicU8::new(0);
        let from = OPENED.fetch_add(1, Ordering::Relaxed);
        let mut lines = Vec::with_capacity(count);
        for _ in 0..count {
            lines.push(Self {
                socket: connect(to, from).await?,
                out: BytesMut::new(),
                answer: BytesMut::new(),
                waits: Vec::new(),
            });
        }
        Ok(lines)
    }

    /// Sends a message that has waited `since`, and reads its acknowledgement.
    async fn exchange(&mut self, message: &[u8], since: Instant) -> anyhow::Result<()> {
        self.out.clear();
        self.answer.clear();
        put_frame(message, &mut self.out);
        self.socket.write_all(&self.out).await?;
        while !self.answer.ends_with(&[END, b'\r']) {
            if self.socket.read_buf(&mut self.answer).await? == 0 {
                bail!("the hub closed the connection");
            }
        }
        self.waits.push(since.elapsed());
        let text = String::from_utf8_lossy(&self.answer);
        let accepted = text.contains("MSA|AA|") || text.contains("MSA|CA|");
        accepted
            .then_some(())
            .context("expected an acceptance, found another answer")
    }
}
