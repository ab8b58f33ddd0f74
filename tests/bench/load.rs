//! Closed-loop senders over real sockets: each sends a message and waits for its acknowledgement.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::BytesMut;
use careloop::intake::mllp::frame::{END, put_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

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
    let mut sockets = Vec::new();
    for _ in 0..connections {
        let socket = TcpStream::connect(to).await?;
        socket.set_nodelay(true)?;
        sockets.push(socket);
    }
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for (socket, part) in sockets.into_iter().zip(messages.chunks(share)) {
        senders.spawn(talk(socket, part.to_vec()));
    }
    let mut waits = Vec::with_capacity(messages.len());
    while let Some(sender) = senders.join_next().await {
        waits.extend(sender??);
    }
    let took = began.elapsed();
    waits.sort_unstable();
    Ok(Seen { began, took, waits })
}

async fn talk(mut socket: TcpStream, messages: Vec<Vec<u8>>) -> anyhow::Result<Vec<Duration>> {
    let (mut out, mut answer) = (BytesMut::new(), BytesMut::new());
    let mut waits = Vec::with_capacity(messages.len());
    for message in messages {
        out.clear();
        answer.clear();
        put_frame(&message, &mut out);
        let began = Instant::now();
        socket.write_all(&out).await?;
        while !answer.ends_with(&[END, b'\r']) {
            if socket.read_buf(&mut answer).await? == 0 {
                bail!("the hub closed the connection");
            }
        }
        waits.push(began.elapsed());
        let text = String::from_utf8_lossy(&answer);
        let accepted = text.contains("MSA|AA|") || text.contains("MSA|CA|");
        accepted
            .then_some(())
            .context("expected an acceptance, found another answer")?;
    }
    Ok(waits)
}
