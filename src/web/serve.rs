//! The accept loop, with the timeouts that `axum::serve` does not have.
//!
//! A client that says nothing, sends half a head or never reads is let go in time, and cannot keep
//! others out for longer than that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::HttpConfig;
use crate::slots::{Full, Slots};

/// How long a connection may be kept, so that one whose client never reads ends as well.
const LONGEST: Duration = Duration::from_secs(300);

/// How long an answer under way may take once the door closes.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long to wait when the system has no more sockets to give.
const BREATH: Duration = Duration::from_millis(100);

/// The most headers, and the room for a request's head.
const HEADERS: usize = 64;
const HEAD: usize = 32 * 1024;

/// Who sends a request.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// A socket to serve, and what its connections are held to.
pub struct Listening {
    /// The socket.
    pub socket: TcpListener,
    /// TLS, where it is spoken.
    pub tls: Option<TlsAcceptor>,
    /// The limits.
    pub limits: HttpConfig,
}

/// Serves until `stop`, then lets answers under way finish.
pub async fn serve(listening: Listening, router: Router, stop: CancellationToken) {
    let Listening {
        socket,
        tls,
        limits,
    } = listening;
    let (tracker, limits) = (TaskTracker::new(), Arc::new(limits));
    let slots = Slots::new(limits.connections, limits.connections_per_peer);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = socket.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(error = %error.kind(), "http: a connection could not be accepted");
                sleep(BREATH).await;
                continue;
            }
        };
        let slot = match slots.take(peer.ip()) {
            Ok(slot) => slot,
            Err(full) => {
                let limit = match full {
                    Full::InAll => "http.connections",
                    Full::ForPeer => "http.connections_per_peer",
                };
                tracing::warn!(%peer, limit, "http: refused, because so many are open");
                continue;
            }
        };
        let (tls, limits, stop) = (tls.clone(), Arc::clone(&limits), stop.clone());
        let router = router.clone().layer(Extension(Peer(peer)));
        tracker.spawn(async move {
            match tls {
                None => connection(stream, router, &limits, stop).await,
                Some(tls) => encrypted(&tls, stream, router, (&limits, stop)).await,
            }
            tracing::debug!(%peer, "http: closed");
            drop(slot);
        });
    }
    drop(socket);
    tracker.close();
    tracker.wait().await;
}

/// Handshakes, for as long as a head may take, and serves.
async fn encrypted(
    tls: &TlsAcceptor,
    stream: TcpStream,
    router: Router,
    (limits, stop): (&HttpConfig, CancellationToken),
) {
    let handshake = tokio::select! {
        handshake = timeout(limits.head_timeout, tls.accept(stream)) => handshake,
        () = stop.cancelled() => return,
    };
    match handshake {
        Ok(Ok(stream)) => connection(stream, router, limits, stop).await,
        Ok(Err(error)) => tracing::debug!(%error, "http: the TLS handshake failed"),
        Err(_elapsed) => tracing::debug!("http: the TLS handshake took too long"),
    }
}

async fn connection<S>(stream: S, router: Router, limits: &HttpConfig, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = http1::Builder::new();
    // Without a timer hyper's timeouts do nothing.
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout);
    builder.max_headers(HEADERS).max_buf_size(HEAD);
    let service = TowerToHyperService::new(router);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let rest = tokio::select! {
        ended = connection.as_mut() => return report(ended),
        () = stop.cancelled() => FAREWELL,
        () = sleep(LONGEST) => limits.request_timeout,
    };
    connection.as_mut().graceful_shutdown();
    match timeout(rest, connection).await {
        Ok(ended) => report(ended),
        Err(_elapsed) => tracing::debug!("http: closed before the client was done"),
    }
}

fn report(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        // The kind only: the text could quote what the client sent.
        let (timeout, parse) = (error.is_timeout(), error.is_parse());
        tracing::debug!(timeout, parse, "http: the connection ended early");
    }
}
