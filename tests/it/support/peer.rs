//! An MLLP sender as an EHR has one: a frame, then the answer to it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection to a listener.
pub(crate) struct Peer {
    stream: TcpStream,
}

/// An acknowledgement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    /// MSA-1.
    pub(crate) code: String,
    /// MSA-2.
    pub(crate) control_id: String,
}

impl Peer {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
        }
    }

    /// Speaks over a connection that is there already.
    pub(crate) const fn over(stream: TcpStream) -> Self {
        Self { stream }
    }

    /// Writes a frame; `false` when the connection is gone.
    pub(crate) async fn try_write(&mut self, content: &[u8]) -> bool {
        let frame = [b"\x0b", content, b"\x1c\r"].concat();
        self.stream.write_all(&frame).await.is_ok()
    }

    /// Sends segments written on lines and reads the answer.
    pub(crate) async fn send(&mut self, segments: &str) -> Ack {
        self.send_bytes(lines(segments).as_bytes()).await
    }

    /// Sends bytes as one frame and reads the answer.
    pub(crate) async fn send_bytes(&mut self, content: &[u8]) -> Ack {
        self.write(content).await;
        self.answer()
            .await
            .expect("the listener closed instead of answering")
    }

    /// Writes a frame without waiting for its answer.
    pub(crate) async fn write(&mut self, content: &[u8]) {
        let mut frame = vec![0x0b];
        frame.extend_from_slice(content);
        frame.extend_from_slice(b"\x1c\r");
        self.stream.write_all(&frame).await.unwrap();
    }

    /// Reads one answer; `None` when the listener closed.
    pub(crate) async fn answer(&mut self) -> Option<Ack> {
        let found = self.frame().await?;
        let text = String::from_utf8_lossy(&found).into_owned();
        let msa = text.split('\r').find(|line| line.starts_with("MSA"))?;
        let mut fields = msa.split(msa.chars().nth(3)?).skip(1);
        Some(Ack {
            code: fields.next()?.to_owned(),
            control_id: fields.next().unwrap_or_default().to_owned(),
        })
    }

    /// Reads one frame's content; `None` when the listener closed.
    pub(crate) async fn frame(&mut self) -> Option<Vec<u8>> {
        let mut found = Vec::new();
        while !found.ends_with(b"\x1c\r") {
            found.push(self.stream.read_u8().await.ok()?);
        }
        found.truncate(found.len() - 2);
        found.strip_prefix(b"\x0b").map(<[u8]>::to_vec)
    }
}

/// Segments on lines, indented as a test likes, as they go over the wire.
pub(crate) fn lines(segments: &str) -> String {
    let mut text = String::new();
    for line in segments
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        text.push_str(line);
        text.push('\r');
    }
    text
}
