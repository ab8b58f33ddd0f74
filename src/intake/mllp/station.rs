//! The MLLP station: checks and opens every listener, and stops them with their connections.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{ApplicationAck, MllpLimits, Source};
use crate::intake::mllp::connection::LARGE_AT_ONCE;
use crate::intake::mllp::listener::{Listener, REFUSALS_AT_ONCE, bind};
use crate::intake::{Coverage, Door, Feed};
use crate::slots::Slots;
use crate::tls::{TlsError, server_config};

/// A source, and what it needs besides its configuration.
pub struct Endpoint {
    /// Whose messages these are.
    pub feed: Arc<Feed>,
    /// The source as configured.
    pub source: Source,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Asked at the start, every hour, at every connection and at every frame.
    pub covered: Coverage,
}

/// Where a source listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The tenant's name.
    pub tenant: String,
    /// The source's name.
    pub source: String,
    /// The address; with the port that the system chose, where the configuration said 0.
    pub address: SocketAddr,
    /// Whether it is open: not without an agreement in force.
    pub open: bool,
}

/// Why a listener cannot be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Others could read what is sent.
    #[error(
        "source {name}: listen: expected TLS for an address beyond loopback, found plaintext on \
         {address}; add `tls`, or set `plaintext_beyond_loopback = true` if the network itself \
         encrypts"
    )]
    Plaintext {
        /// The source.
        name: String,
        /// The address.
        address: SocketAddr,
    },
    /// The certificate, the key or the authority is not usable.
    #[error("source {name}: {error}")]
    Tls {
        /// The source.
        name: String,
        /// Which and why.
        error: TlsError,
    },
    /// The system does not give the address.
    #[error("source {name}: listen: expected a free address, found {address}: {error}; {}", advice(.error))]
    Bind {
        /// The source.
        name: String,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
}

/// All listeners and their connections.
pub struct Station {
    bound: Vec<Bound>,
    tracker: TaskTracker,
    stop: CancellationToken,
    abort: CancellationToken,
}

impl Station {
    /// Opens a listener for each endpoint whose agreement is in force, and starts all.
    ///
    /// # Errors
    /// Every endpoint that cannot be opened; then none is.
    pub fn start(
        door: &Door,
        endpoints: Vec<Endpoint>,
        limits: &MllpLimits,
    ) -> Result<Self, Vec<OpenError>> {
        let (large, refusals) = (
            Semaphore::new(LARGE_AT_ONCE),
            Semaphore::new(REFUSALS_AT_ONCE),
        );
        let shared = Shared {
            door: door.clone(),
            limits: Arc::new(limits.clone()),
            large: Arc::new(large),
            refusals: Arc::new(refusals),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
        };
        let (mut opened, mut errors) = (Vec::new(), Vec::new());
        for endpoint in endpoints {
            match shared.open(endpoint) {
                Ok(listener) => opened.push(listener),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut bound = Vec::new();
        for (listener, socket) in opened {
            bound.push(Bound {
                tenant: listener.feed.tenant_name.clone(),
                source: listener.feed.source.clone(),
                address: listener.address,
                open: socket.is_some(),
            });
            shared.tracker.spawn(Arc::new(listener).run(socket));
        }
        let Shared {
            tracker,
            stop,
            abort,
            ..
        } = shared;
        Ok(Self {
            bound,
            tracker,
            stop,
            abort,
        })
    }

    /// Where each source listens, as of the start.
    pub fn bound(&self) -> &[Bound] {
        &self.bound
    }

    /// Stops listening, lets each connection finish the frame that it is in, for at most `grace`,
    /// and cuts off the rest; returns how many tasks that were. Close the door after this.
    pub async fn stop(self, grace: Duration) -> usize {
        self.stop.cancel();
        self.tracker.close();
        if timeout(grace, self.tracker.wait()).await.is_ok() {
            return 0;
        }
        let left = self.tracker.len();
        self.abort.cancel();
        left
    }
}

/// What all listeners share.
struct Shared {
    door: Door,
    limits: Arc<MllpLimits>,
    large: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
    tracker: TaskTracker,
    stop: CancellationToken,
    abort: CancellationToken,
}

impl Shared {
    /// Checks an endpoint and opens its socket, unless its agreement is not in force.
    fn open(&self, endpoint: Endpoint) -> Result<(Listener, Option<TcpListener>), OpenError> {
        let Endpoint {
            feed,
            source,
            listen: address,
            covered,
        } = endpoint;
        let name = source.name;
        let encrypted = source.tls.is_some() || source.plaintext_beyond_loopback;
        if !encrypted && !address.ip().to_canonical().is_loopback() {
            return Err(OpenError::Plaintext { name, address });
        }
        let tls = match source.tls.as_ref().map(server_config).transpose() {
            Ok(config) => config.map(TlsAcceptor::from),
            Err(error) => return Err(OpenError::Tls { name, error }),
        };
        let mut listener = Listener {
            slots: Slots::new(self.limits.connections, self.limits.connections_per_peer),
            feed,
            address,
            carries_replies: matches!(source.application_ack, Some(ApplicationAck::SameConnection)),
            allow: source.allow,
            tls,
            covered,
            door: self.door.clone(),
            limits: Arc::clone(&self.limits),
            large: Arc::clone(&self.large),
            refusals: Arc::clone(&self.refusals),
            tracker: self.tracker.clone(),
            stop: self.stop.clone(),
            abort: self.abort.clone(),
        };
        if !listener.is_covered() {
            return Ok((listener, None));
        }
        let opened = bind(address).and_then(|socket| Ok((socket.local_addr()?, socket)));
        let (actual, socket) = opened.map_err(|error| OpenError::Bind {
            name,
            address,
            error,
        })?;
        listener.address = actual;
        Ok((listener, Some(socket)))
    }
}

/// What to do about an address that the system does not give.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there: stop it (`ss -ltnp` names it) or choose another port"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address: `ip address` lists those it has"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege: choose a higher one, such as 2575"
        }
        _ => "check `listen` of this source",
    }
}
