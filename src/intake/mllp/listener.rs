//! A listener: opens only under an agreement in force, and admits peers within its limits.
//!
//! Accepted: peers on the allow list (loopback where it is empty), up to the limits in all and for
//! each address. Refused, counted and logged with the peer's address: all others, failed TLS
//! handshakes, and everything once the agreement has lapsed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::config::{AddressRange, MllpLimits};
use crate::intake::Coverage;
use crate::intake::mllp::Refusal;
use crate::intake::mllp::admission::is_allowed;
use crate::intake::mllp::connection::{Ending, Reply, Terms, Then, converse, part};
use crate::intake::{Door, Feed, Handled, Unready};
use crate::slots::{Slot, Slots};

/// How often an agreement is looked at, besides at every connection and frame.
const RECHECK: Duration = Duration::from_secs(3600);
/// How long to wait before an address that could not be opened is tried again.
const REOPEN: Duration = Duration::from_secs(30);
/// How long to wait when the system gives no more sockets.
const EXHAUSTED: Duration = Duration::from_millis(200);
/// Connections the kernel holds for us until they are accepted.
const BACKLOG: u32 = 1024;
/// Refusals being counted in the store at once; a flood of peers must not become one of commits.
pub(super) const REFUSALS_AT_ONCE: usize = 32;

/// What a listener and its connections need.
pub(super) struct Listener {
    pub(super) feed: Arc<Feed>,
    pub(super) address: SocketAddr,
    pub(super) allow: Vec<AddressRange>,
    pub(super) tls: Option<TlsAcceptor>,
    /// Whether application acknowledgements go over the same connections.
    pub(super) carries_replies: bool,
    pub(super) covered: Coverage,
    pub(super) door: Door,
    pub(super) limits: Arc<MllpLimits>,
    pub(super) slots: Arc<Slots>,
    pub(super) large: Arc<Semaphore>,
    pub(super) refusals: Arc<Semaphore>,
    pub(super) tracker: TaskTracker,
    /// No more connections, and those there are end after their frame.
    pub(super) stop: CancellationToken,
    /// The grace is over: connections end where they are.
    pub(super) abort: CancellationToken,
}

/// Opens a listening socket. Keepalive is set here, since accepted sockets inherit it.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.set_keepalive(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Listener {
    /// Whether an agreement in force covers the source today.
    pub(super) fn is_covered(&self) -> bool {
        (self.covered)(self.feed.today())
    }

    /// Listens while the agreement is in force, until it is stopped. `socket` is the one opened at
    /// the start, where it was allowed to be.
    pub(super) async fn run(self: Arc<Self>, mut socket: Option<TcpListener>) {
        while !self.stop.is_cancelled() {
            let wait = match self.open(socket.take()) {
                Some(open) => {
                    self.listen(open).await;
                    continue;
                }
                None if self.is_covered() => REOPEN,
                None => RECHECK,
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = sleep(wait) => {}
            }
        }
    }

    /// The socket to listen on, where an agreement allows it and the system gives it.
    fn open(&self, socket: Option<TcpListener>) -> Option<TcpListener> {
        let (tenant, source) = (&self.feed.tenant_name, &self.feed.source);
        if !self.is_covered() {
            tracing::warn!(
                tenant,
                source,
                "no agreement in force covers this source: its listener stays closed"
            );
            return None;
        }
        let reason = Unready::NotListening {
            tenant: tenant.clone(),
            source: source.clone(),
        };
        let opened = match socket {
            Some(socket) => Ok(socket),
            None => bind(self.address),
        };
        match opened {
            Ok(open) => {
                self.door.readiness().recover(&reason);
                let tls = self.tls.is_some();
                tracing::info!(tenant, source, address = %self.address, tls, "listening for MLLP");
                Some(open)
            }
            Err(error) => {
                self.door.readiness().fail(reason);
                let address = self.address;
                tracing::error!(tenant, source, %address, %error, "the listener cannot be opened");
                None
            }
        }
    }

    /// Accepts connections until it is stopped or the agreement lapses.
    async fn listen(self: &Arc<Self>, socket: TcpListener) {
        let period = self.stop.child_token();
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                accepted = socket.accept() => Some(accepted),
                () = sleep(RECHECK) => None,
            };
            match accepted {
                Some(Ok((stream, peer))) => self.admit(stream, peer, &period),
                Some(Err(error)) => {
                    let (tenant, source) = (&self.feed.tenant_name, &self.feed.source);
                    tracing::error!(tenant, source, %error, "a connection could not be accepted");
                    sleep(EXHAUSTED).await;
                }
                None => {}
            }
            if !self.is_covered() {
                break;
            }
        }
        // Connections of a lapsed agreement end after their frame, too.
        period.cancel();
    }

    /// Gives a new connection its place and its task, or refuses it.
    fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, period: &CancellationToken) {
        let slot = if !is_allowed(&self.allow, peer.ip()) {
            Err(Refusal::NotAllowed)
        } else if !self.is_covered() {
            Err(Refusal::NoAgreement)
        } else {
            self.slots.take(peer.ip()).map_err(Refusal::from)
        };
        match slot {
            Ok(slot) => {
                let guest = Guest {
                    listener: Arc::clone(self),
                    peer,
                    _slot: slot,
                };
                guest.listener.feed.counters.accepted.add(1);
                let (abort, period) = (self.abort.clone(), period.clone());
                let serving = async move {
                    tokio::select! {
                        biased;
                        () = abort.cancelled() => guest.cut_off(),
                        () = guest.serve(stream, &period) => {}
                    }
                };
                let (tenant, source) = (&self.feed.tenant_name, &self.feed.source);
                let span = tracing::warn_span!("mllp", tenant, source, %peer);
                self.tracker.spawn(serving.instrument(span));
            }
            Err(refusal) => self.turn_away(stream, peer, refusal),
        }
    }

    /// Counts a refused connection and closes it.
    fn turn_away(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, refusal: Refusal) {
        self.warn_refused(peer, refusal);
        let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else {
            // A flood: the log and the counters have it, the store's count would be a second one.
            self.feed.counters.refused.add(refusal.name());
            return;
        };
        let listener = Arc::clone(self);
        self.tracker.spawn(async move {
            listener.door.refuse(&listener.feed, refusal.name()).await;
            drop((stream, permit));
        });
    }

    fn warn_refused(&self, peer: SocketAddr, refusal: Refusal) {
        tracing::warn!(
            tenant = self.feed.tenant_name,
            source = self.feed.source,
            %peer,
            reason = refusal.name(),
            "refused"
        );
    }
}

/// A connection that has its place.
struct Guest {
    listener: Arc<Listener>,
    peer: SocketAddr,
    _slot: Slot,
}

impl Guest {
    /// Handshakes where TLS is spoken, then serves until the end.
    async fn serve(&self, stream: TcpStream, period: &CancellationToken) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(peer = %self.peer, %error, "answers may be delayed");
        }
        match &self.listener.tls {
            None => self.converse(stream, period).await,
            // Boxed, so that a connection without TLS has no room for it.
            Some(tls) => Box::pin(self.encrypt(tls, stream, period)).await,
        }
    }

    async fn encrypt(&self, tls: &TlsAcceptor, stream: TcpStream, period: &CancellationToken) {
        let handshake = timeout(self.listener.limits.handshake_timeout, tls.accept(stream));
        let outcome = tokio::select! {
            outcome = handshake => outcome,
            () = period.cancelled() => return,
        };
        match outcome {
            Ok(Ok(stream)) => self.converse(stream, period).await,
            Ok(Err(error)) => self.handshake_failed(&error.to_string()).await,
            Err(_elapsed) => self.handshake_failed("timed out").await,
        }
    }

    async fn handshake_failed(&self, error: &str) {
        tracing::warn!(peer = %self.peer, error, "the TLS handshake failed");
        self.end(Ending::Refused(Refusal::Handshake)).await;
    }

    async fn converse<S>(&self, stream: S, period: &CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let terms = Terms {
            limits: &self.listener.limits,
            counters: &self.listener.feed.counters,
            large: &self.listener.large,
            stop: period,
            replies: self
                .listener
                .carries_replies
                .then_some(&self.listener.feed.replies),
        };
        let (ending, stream) = converse(stream, terms, |frame| self.handle(frame)).await;
        // Boxed: most connections wait for a frame, and few for their end.
        Box::pin(self.end(ending)).await;
        if !matches!(ending, Ending::Lost(_) | Ending::AnswersNotRead) {
            Box::pin(part(stream)).await;
        }
    }

    /// Hands a frame to the door, unless it answers a message of careloop's own.
    async fn handle(&self, frame: Bytes) -> Reply {
        if !self.listener.is_covered() {
            let then = Then::Refuse(Refusal::NoAgreement);
            return Reply {
                answers: Vec::new(),
                then,
            };
        }
        let feed = &self.listener.feed;
        if self.listener.carries_replies && feed.replies.take(&frame) {
            return Reply {
                answers: Vec::new(),
                then: Then::GoOn,
            };
        }
        let complete = Instant::now();
        let handled = self.listener.door.receive(feed, &frame).await;
        if let Some(answered) = &feed.answered {
            answered(complete.elapsed());
        }
        let silent = |one: &Handled| one.receipt.is_err() && one.answer.is_none();
        let then = if handled.iter().any(silent) {
            Then::Close
        } else {
            Then::GoOn
        };
        Reply {
            answers: handled.into_iter().filter_map(|one| one.answer).collect(),
            then,
        }
    }

    /// Says how it ended, and counts it where it was a refusal.
    async fn end(&self, ending: Ending) {
        let (tenant, source) = (&self.listener.feed.tenant_name, &self.listener.feed.source);
        let peer = self.peer;
        match ending {
            Ending::Refused(refusal) => {
                self.listener.warn_refused(peer, refusal);
                self.listener
                    .door
                    .refuse(&self.listener.feed, refusal.name())
                    .await;
            }
            Ending::AnswersNotRead | Ending::Unanswerable => {
                tracing::warn!(tenant, source, %peer, ?ending, "connection closed");
            }
            Ending::PeerClosed | Ending::Stopped | Ending::Idle | Ending::Lost(_) => {
                tracing::debug!(tenant, source, %peer, ?ending, "connection closed");
            }
        }
    }

    fn cut_off(&self) {
        tracing::warn!(
            tenant = self.listener.feed.tenant_name,
            source = self.listener.feed.source,
            peer = %self.peer,
            "connection cut off: its frame was not complete within the grace"
        );
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.listener.feed.counters.ended.add(1);
    }
}
