//! A connection to the broker that can be cut at once, and what its errors mean.

use std::net::Shutdown;
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lapin::AsyncTcpStream;
use lapin::Connection;
use lapin::ConnectionProperties;
use lapin::ErrorKind;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPScheme;
use lapin::uri::AMQPUri;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::time::timeout;

use crate::config::BrokerConfig;
use crate::config::is_loopback;
use crate::outbox::publisher::DownReason;
use crate::outbox::rabbit::Error;

/// How long the network part and the AMQP part of connecting may take, each.
pub(super) const SETUP: Duration = Duration::from_secs(10);
/// How long a polite goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);
/// Twice this in silence, and the connection counts as dead. RabbitMQ's own default of a minute
/// is long for tasks that wait.
const HEARTBEAT_SECONDS: u16 = 10;

/// Where the broker is and how it proves itself.
#[derive(Clone)]
pub(super) struct Target {
    uri: AMQPUri,
    tls: OwnedTLSConfig,
}

impl Target {
    /// Reads the configuration. Says what is wrong without showing the address: it holds a
    /// password.
    pub(super) async fn of(broker: &BrokerConfig) -> Result<Self, Error> {
        let text = broker.url.open();
        let mut uri: AMQPUri = text.parse().map_err(|_text| Error::Address)?;
        // The parser takes an IPv6 literal for no host at all and would go to localhost.
        if text.contains('[') {
            return Err(Error::Address);
        }
        if matches!(uri.scheme, AMQPScheme::AMQP) && !is_loopback(&uri.authority.host) {
            return Err(Error::Plaintext);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let cert_chain = match &broker.ca {
            None => None,
            Some(path) => {
                let pem = tokio::fs::read_to_string(path)
                    .await
                    .map_err(Error::CaUnreadable)?;
                // The connector skips what it cannot read, so it is read here once before.
                let found: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
                if found.is_empty() || found.iter().any(Result::is_err) {
                    return Err(Error::Ca);
                }
                Some(pem)
            }
        };
        Ok(Self {
            uri,
            tls: OwnedTLSConfig {
                identity: None,
                cert_chain,
            },
        })
    }

    /// Connects. `name` is what the broker's own tools show.
    pub(super) async fn connect(&self, name: &'static str) -> Result<Line, DownReason> {
        let cut = Cut::default();
        let (tls, handle) = (self.tls.clone(), cut.clone());
        let runtime =
            lapin::runtime::default_runtime().map_err(|error| reason_of(&error, "broker"))?;
        let connecting = Connection::connector(
            self.uri.clone(),
            runtime,
            async move |uri: AMQPUri, runtime| {
                let network = async {
                    let place = (uri.authority.host.clone(), uri.authority.port);
                    let stream =
                        AsyncTcpStream::connect(&runtime, runtime.to_socket_addrs(place)).await?;
                    if let AsyncTcpStream::Plain(tcp) = &stream {
                        handle.hold(tcp.get_ref().as_fd().try_clone_to_owned()?);
                    }
                    match uri.scheme {
                        AMQPScheme::AMQP => Ok(stream),
                        AMQPScheme::AMQPS => {
                            stream.into_tls(&uri.authority.host, tls.as_ref()).await
                        }
                    }
                };
                let connected = timeout(SETUP, network).await;
                Ok(connected.map_err(std::io::Error::from)??)
            },
            ConnectionProperties::default().with_connection_name(name.into()),
        );
        // Given up or dropped half-way, lapin's thread must not wait for a silent broker for ever.
        let unless_connected = CutOnDrop(cut);
        // The future is large, and it is kept in one place only.
        match timeout(SETUP + SETUP, Box::pin(connecting)).await {
            Ok(Ok(connection)) => Ok(Line {
                connection,
                cut: unless_connected,
            }),
            Ok(Err(error)) => Err(reason_of(&error, "broker")),
            Err(_elapsed) => Err(DownReason::Silent),
        }
    }
}

/// A live connection. Dropping it cuts it off.
pub(super) struct Line {
    pub(super) connection: Connection,
    cut: CutOnDrop,
}

impl Line {
    /// What cuts the connection at once.
    pub(super) fn cut(&self) -> Cut {
        self.cut.0.clone()
    }

    /// Ends the connection politely, within a bound.
    pub(super) async fn close(self) {
        // 200 is AMQP's "all is well"; whether the broker still answers makes no difference.
        let goodbye = self.connection.close(200, "careloop is stopping".into());
        if timeout(GOODBYE, goodbye).await.is_err() {
            tracing::debug!("broker: no answer to the goodbye");
        }
    }
}

/// A second handle on the socket. Cutting it ends lapin's thread, and with it everything that
/// lapin still meant to write: a task must not leave after the deadline its consent was asked for.
#[derive(Clone, Default)]
pub(super) struct Cut(Arc<Held>);

#[derive(Default)]
struct Held {
    socket: OnceLock<TcpStream>,
    is_cut: AtomicBool,
}

/// Cuts when it goes out of scope.
struct CutOnDrop(Cut);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.now();
    }
}

impl Cut {
    /// Takes a handle on the socket; one that comes after the cut is cut at once.
    fn hold(&self, socket: OwnedFd) {
        self.0.socket.get_or_init(|| socket.into());
        if self.0.is_cut.load(Ordering::SeqCst) {
            self.now();
        }
    }

    /// Cuts the connection.
    pub(super) fn now(&self) {
        self.0.is_cut.store(true, Ordering::SeqCst);
        if let Some(socket) = self.0.socket.get()
            && let Err(error) = socket.shutdown(Shutdown::Both)
        {
            tracing::trace!(kind = %error.kind(), "broker: the connection was gone already");
        }
    }
}

/// The class of an error that came up at `name`. The broker's text stays behind: it can quote
/// what was sent.
pub(super) fn reason_of(error: &lapin::Error, name: &str) -> DownReason {
    match error.kind() {
        ErrorKind::ProtocolError(refusal) => match refusal.get_id() {
            // ACCESS_REFUSED, NOT_ALLOWED (no such virtual host, or not for this user).
            403 | 530 => DownReason::AccessRefused,
            404 => DownReason::Missing(name.to_owned()),
            406 => DownReason::TopologyMismatch(name.to_owned()),
            // CONNECTION_FORCED: the broker is shutting down.
            320 => DownReason::Lost,
            _ => DownReason::ChannelClosed,
        },
        // rustls reports a certificate it does not trust as invalid data.
        ErrorKind::IOError(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            DownReason::Tls
        }
        ErrorKind::IOError(error) => match error.kind() {
            std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::ConnectionAborted
            | std::io::ErrorKind::BrokenPipe
            | std::io::ErrorKind::UnexpectedEof => DownReason::Lost,
            std::io::ErrorKind::TimedOut => DownReason::Silent,
            _ => DownReason::Unreachable,
        },
        ErrorKind::MissingHeartbeatError => DownReason::Silent,
        _ => DownReason::Lost,
    }
}
