//! A connection that careloop opens to a sender, for messages of its own.

use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::codec::Decoder;

use crate::config::ReplyTo;
use crate::hl7::AckCode;
use crate::intake::mllp::frame::{FrameDecoder, put_frame};
use crate::intake::mllp::replier::Undelivered;
use crate::intake::replies::said;
use crate::tls::{TlsError, client_config};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the sender's acknowledgement, or the end of the connection, may take.
const ANSWER: Duration = Duration::from_secs(10);
/// More than any acknowledgement needs.
const FRAME: usize = 64 * 1024;

/// What a connection does, with TLS or without.
trait Socket: AsyncRead + AsyncWrite + Unpin + Send + Sync {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Sync> Socket for S {}

/// Where messages of careloop's own go, and the connection while there is one.
pub(super) struct Line {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    open: Option<Box<dyn Socket>>,
}

impl Line {
    pub(super) fn new(to: &ReplyTo) -> Result<Self, TlsError> {
        let tls = match &to.tls {
            None => None,
            Some(tls) => {
                let name = ServerName::try_from(to.host.clone()).map_err(|_name| TlsError::Name)?;
                Some((TlsConnector::from(client_config(tls)?), name))
            }
        };
        Ok(Self {
            host: to.host.clone(),
            port: to.port,
            tls,
            open: None,
        })
    }

    /// Sends one message. Where its control id is given, the answer to it is awaited and the
    /// connection stays open; else the connection's end tells that it was read.
    pub(super) async fn send(
        &mut self,
        content: &[u8],
        awaited: Option<&String>,
    ) -> Result<Option<AckCode>, Undelivered> {
        let mut socket = match self.open.take() {
            Some(socket) => socket,
            None => self.connect().await?,
        };
        let mut frame = BytesMut::new();
        put_frame(content, &mut frame);
        let exchange = async {
            socket.write_all(&frame).await.ok()?;
            socket.flush().await.ok()?;
            match awaited {
                Some(control_id) => answer(&mut socket, control_id).await.map(Some),
                None => {
                    socket.shutdown().await.ok()?;
                    while socket.read(&mut [0; 1024]).await.ok()? > 0 {}
                    Some(None)
                }
            }
        };
        let outcome = timeout(ANSWER, exchange).await.ok().flatten();
        let outcome = outcome.ok_or(Undelivered::NoAnswer)?;
        if outcome.is_some() {
            self.open = Some(socket);
        }
        Ok(outcome)
    }

    async fn connect(&self) -> Result<Box<dyn Socket>, Undelivered> {
        let opening = TcpStream::connect((self.host.as_str(), self.port));
        let stream = match timeout(CONNECT, opening).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(_)) | Err(_) => return Err(Undelivered::NoConnection),
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "application acknowledgements may be delayed");
        }
        let Some((connector, name)) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let handshake = connector.connect(name.clone(), stream);
        match timeout(CONNECT, handshake).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(_)) | Err(_) => Err(Undelivered::Handshake),
        }
    }
}

/// Reads frames until one answers the message of this control id.
async fn answer(socket: &mut Box<dyn Socket>, control_id: &str) -> Option<AckCode> {
    let (mut decoder, mut buffer) = (FrameDecoder::new(FRAME, FRAME), BytesMut::new());
    loop {
        while let Some(frame) = decoder.decode(&mut buffer).ok()? {
            if let Some(code) = said(&frame, control_id) {
                return Some(code);
            }
        }
        if socket.read_buf(&mut buffer).await.ok()? == 0 {
            return None;
        }
    }
}
