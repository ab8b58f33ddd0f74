//! The sending end of an MLLP connection: one message, then its answer.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const START: u8 = 0x0B;
const END: [u8; 2] = [0x1C, 0x0D];
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// An answer is a few hundred bytes.
const LARGEST: usize = 64 * 1024;

/// A connection to a listener of the hub.
pub(super) struct Sender {
    stream: TcpStream,
}

impl Sender {
    pub(super) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.with_context(|| format!("no connection to {address}"))?;
        Ok(Self { stream })
    }

    /// Sends one message and returns the code of its answer, such as `AA`.
    pub(super) async fn send(&mut self, message: &[u8]) -> anyhow::Result<String> {
        let mut frame = vec![START];
        frame.extend_from_slice(message);
        frame.extend_from_slice(&END);
        self.stream.write_all(&frame).await?;
        let answer = timeout(PATIENCE, self.answer()).await;
        let answer = answer.context("no answer came; the log says why")??;
        let text = String::from_utf8_lossy(&answer);
        let code = text
            .split('\r')
            .find_map(|segment| segment.strip_prefix("MSA|"))
            .and_then(|rest| rest.split('|').next());
        Ok(code.context("the answer has no MSA-1")?.to_owned())
    }

    async fn answer(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut answer = Vec::new();
        while !answer.ends_with(&END) {
            if self.stream.read_buf(&mut answer).await? == 0 || answer.len() > LARGEST {
                bail!("the connection ended inside an answer");
            }
        }
        Ok(answer)
    }
}
