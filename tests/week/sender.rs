//! An EHR's sender: one connection, one message at a time, the same bytes again until it is answered.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::plan::{Event, Meaning};
use crate::time::Pace;

/// What the sender remembers of one message.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// By which source.
    pub(crate) source: usize,
    /// MSH-10.
    pub(crate) control: String,
    /// The bytes.
    pub(crate) text: String,
    /// The acknowledgement code of the last answer; empty when there was none.
    pub(crate) code: String,
    /// How often it was written.
    pub(crate) tries: u32,
    /// What it means.
    pub(crate) meaning: Meaning,
}

impl Sent {
    /// Whether the hub promised to keep it.
    pub(crate) fn is_accepted(&self) -> bool {
        matches!(self.code.as_str(), "AA" | "CA")
    }
}

/// Sends the messages of one source, each at its time.
pub(crate) async fn send(address: SocketAddr, events: Vec<Event>, pace: Pace) -> Vec<Sent> {
    let mut stream = None;
    let mut sent = Vec::with_capacity(events.len());
    for event in events {
        pace.until(event.at).await;
        let mut tries = 0;
        let code = loop {
            tries += 1;
            let answer = exchange(&mut stream, address, event.text.as_bytes()).await;
            match answer {
                Some(code) if matches!(code.as_str(), "AA" | "CA") => break code,
                answer if event.meaning == Meaning::Malformed && tries == 2 => {
                    stream = None;
                    break answer.unwrap_or_default();
                }
                Some(_) => {}
                None => stream = None,
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        sent.push(Sent {
            source: event.source,
            control: event.control,
            text: event.text,
            code,
            tries,
            meaning: event.meaning,
        });
    }
    sent
}

/// Writes a frame and reads the acknowledgement code; `None` when the connection is of no use.
async fn exchange(
    stream: &mut Option<TcpStream>,
    address: SocketAddr,
    text: &[u8],
) -> Option<String> {
    if stream.is_none() {
        *stream = Some(TcpStream::connect(address).await.ok()?);
    }
    let socket = stream.as_mut()?;
    let frame = [b"\x0b", text, b"\x1c\r"].concat();
    socket.write_all(&frame).await.ok()?;
    let mut answer = Vec::new();
    timeout(Duration::from_secs(15), async {
        while !answer.ends_with(b"\x1c\r") {
            if socket.read_buf(&mut answer).await.ok()? == 0 {
                return None;
            }
        }
        Some(())
    })
    .await
    .ok()??;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let msa = text.split('\r').find(|line| line.starts_with("MSA"))?;
    msa.split('|').nth(1).map(ToOwned::to_owned)
}
