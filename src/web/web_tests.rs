//! The door on real sockets: what it answers, and whom it lets go.

use super::{Listening, State, bounded, router, serve};
use crate::config::HttpConfig;
use crate::telemetry::Metrics;
use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Far beyond the limits in use here: reached only if a connection is never let go.
const PATIENCE: Duration = Duration::from_secs(10);

fn limits() -> HttpConfig {
    HttpConfig {
        listen: None,
        tls: None,
        plaintext_beyond_loopback: false,
        connections: 4,
        connections_per_peer: 4,
        requests_per_minute: 600,
        body: 16,
        head_timeout: Duration::from_millis(200),
        request_timeout: Duration::from_millis(200),
    }
}

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn start(routes: Router) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let listening = Listening {
        socket: listener,
        tls: None,
        limits: limits(),
    };
    let serving = serve(listening, routes, stop.clone());
    let task = TaskTracker::new().spawn(serving);
    Running {
        address,
        stop,
        task,
    }
}

/// Sends some bytes and reads until the other side closes.
async fn talk(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    until_closed(stream).await
}

async fn until_closed(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer));
    // A reset is a way of closing, too.
    drop(read.await.expect("the connection was never closed"));
    String::from_utf8(answer).unwrap()
}

fn ask(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn health_and_metrics_are_answered() {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let shown = Arc::clone(&reasons);
    let metrics = Metrics::new().unwrap();
    metrics.received("epic-adt", 1);
    let reasons_now = Arc::new(move || shown.lock().unwrap().clone());
    let running = start(router(
        State {
            metrics,
            reasons: reasons_now,
            desk: None,
            notified: None,
        },
        &limits(),
    ))
    .await;
    assert!(
        talk(running.address, &ask("/health/live"))
            .await
            .contains("{\"live\":true}")
    );
    let ready = talk(running.address, &ask("/health/ready")).await;
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    assert!(
        ready.ends_with("{\"ready\":true,\"reasons\":[]}"),
        "{ready}"
    );
    reasons
        .lock()
        .unwrap()
        .push("the store cannot be written: the disk is full".to_owned());
    let ready = talk(running.address, &ask("/health/ready")).await;
    assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
    assert!(
        ready.contains("[\"the store cannot be written: the disk is full\"]"),
        "{ready}"
    );
    let metrics = talk(running.address, &ask("/metrics")).await;
    assert!(metrics.contains("text/plain; version=0.0.4"), "{metrics}");
    assert!(metrics.contains("careloop_messages_received_total{source=\"epic-adt\"} 1"));
    assert!(
        talk(running.address, &ask("/elsewhere"))
            .await
            .starts_with("HTTP/1.1 404 ")
    );
}

#[tokio::test]
async fn a_client_that_sends_nothing_or_half_a_head_is_let_go() {
    let running = start(Router::new().route("/", get(|| async { "here" }))).await;
    assert_eq!(talk(running.address, "").await, "");
    talk(running.address, "GET / HTT").await;
    talk(running.address, "GET / HTTP/1.1\r\nhost: hub\r\nx-slow: 1").await;
    // Kept alive after an answer, then silent.
    let idle = talk(running.address, "GET / HTTP/1.1\r\nhost: hub\r\n\r\n").await;
    assert!(idle.ends_with("here"), "{idle}");
}

#[tokio::test]
async fn a_request_is_bounded_in_time_and_size() {
    let routes = Router::new()
        .route("/never", get(std::future::pending::<()>))
        .route("/body", post(|body: Bytes| async move { body }));
    let running = start(bounded(routes, 16, Duration::from_millis(200))).await;
    assert!(
        talk(running.address, &ask("/never"))
            .await
            .starts_with("HTTP/1.1 408 ")
    );
    let post = |length: usize, sent: &str| {
        format!(
            "POST /body HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{sent}"
        )
    };
    assert!(
        talk(running.address, &post(4, "four"))
            .await
            .ends_with("four")
    );
    assert!(
        talk(running.address, &post(17, ""))
            .await
            .starts_with("HTTP/1.1 413 ")
    );
    assert!(
        talk(running.address, &post(8, "half"))
            .await
            .starts_with("HTTP/1.1 408 ")
    );
    let chunked = "POST /body HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\
                   transfer-encoding: chunked\r\n\r\n20\r\n0123456789abcdef0123456789abcdef\r\n0\r\n\r\n";
    assert!(
        talk(running.address, chunked)
            .await
            .starts_with("HTTP/1.1 413 ")
    );
}

#[tokio::test]
async fn a_connection_too_many_is_closed_and_a_seat_is_given_back() {
    let running = start(Router::new().route("/", get(|| async { "here" }))).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(running.address).await.unwrap());
    }
    assert_eq!(
        until_closed(TcpStream::connect(running.address).await.unwrap()).await,
        ""
    );
    for stream in silent {
        until_closed(stream).await;
    }
    // The seat is free a moment after its connection was seen to close.
    let answered = async {
        while !talk(running.address, &ask("/")).await.ends_with("here") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.unwrap();
}

#[tokio::test]
async fn stopping_closes_idle_connections_and_the_listener() {
    let running = start(Router::new().route("/", get(|| async { "here" }))).await;
    let silent = TcpStream::connect(running.address).await.unwrap();
    talk(running.address, &ask("/")).await;
    running.stop.cancel();
    tokio::time::timeout(PATIENCE, running.task)
        .await
        .unwrap()
        .unwrap();
    until_closed(silent).await;
    assert!(TcpStream::connect(running.address).await.is_err());
}
