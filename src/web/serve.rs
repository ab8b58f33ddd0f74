//! The accept loop, with the timeouts that `axum::serve` does not have.
//!
//! A client that says nothing, sends half a head or never reads is let go in time, and cannot keep
//! others out for longer than that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::HttpConfig;

/// How long a connection may be kept, so that one whose client never reads ends as well.
const LONGEST: Duration = Duration::from_secs(300);

/// How long an answer under way may take once the door closes.
const FAREWELL: Duration = Duration::from_secs(2);

/// How long to wait when the system has no more sockets to give.
const BREATH: Duration = Duration::from_millis(100);

/// The most headers, and the room for a request's head.
const HEADERS: usize = 64;
const HEAD: usize = 32 * 1024;

/// Serves until `stop`, then lets answers under way finish.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: HttpConfig,
    stop: CancellationToken,
) {
    let (tracker, seats) = (
        TaskTracker::new(),
        Arc::new(Semaphore::new(limits.connections)),
    );
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(error = %error.kind(), "http: a connection could not be accepted");
                sleep(BREATH).await;
                continue;
            }
        };
        let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
            tracing::warn!(%peer, "http: refused, because http.connections are open");
            continue;
        };
        let (router, limits, stop) = (router.clone(), limits.clone(), stop.clone());
        tracker.spawn(async move {
            connection(stream, router, &limits, stop).await;
            tracing::debug!(%peer, "http: closed");
            drop(seat);
        });
    }
    drop(listener);
    tracker.close();
    tracker.wait().await;
}

async fn connection(
    stream: TcpStream,
    router: Router,
    limits: &HttpConfig,
    stop: CancellationToken,
) {
    let peer = stream.peer_addr().ok();
    let mut builder = http1::Builder::new();
    // Without a timer hyper's timeouts do nothing.
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout);
    builder.max_headers(HEADERS).max_buf_size(HEAD);
    let service = TowerToHyperService::new(router);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let rest = tokio::select! {
        ended = connection.as_mut() => return report(peer, ended),
        () = stop.cancelled() => FAREWELL,
        () = sleep(LONGEST) => limits.request_timeout,
    };
    connection.as_mut().graceful_shutdown();
    match timeout(rest, connection).await {
        Ok(ended) => report(peer, ended),
        Err(_elapsed) => tracing::debug!(?peer, "http: closed before the client was done"),
    }
}

fn report(peer: Option<SocketAddr>, ended: hyper::Result<()>) {
    if let Err(error) = ended {
        // The kind only: the text could quote what the client sent.
        let (timeout, parse) = (error.is_timeout(), error.is_parse());
        tracing::debug!(?peer, timeout, parse, "http: the connection ended early");
    }
}
