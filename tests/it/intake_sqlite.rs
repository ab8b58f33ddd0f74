//! Intake into the real SQLite store: counts add up, and what failed is said to have failed.

use std::sync::Arc;
use std::time::Duration;

use careloop::clock;
use careloop::config::{MllpLimits, Mode, Secret, Source, StoreConfig};
use careloop::intake::mllp::{Endpoint, Station};
use careloop::intake::{Door, Feed, Readiness};
use careloop::store::Store;
use careloop::vault::Key;
use jiff::tz::TimeZone;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn exchange(stream: &mut TcpStream, content: &str) -> String {
    stream
        .write_all(format!("\x0b{content}\x1c\r").as_bytes())
        .await
        .unwrap();
    let mut found = Vec::new();
    while !found.ends_with(b"\x1c\r") {
        match stream.read_u8().await {
            Ok(byte) => found.push(byte),
            Err(_) => return "closed".into(),
        }
    }
    String::from_utf8_lossy(&found).into_owned()
}

fn message(id: &str) -> String {
    format!("MSH|^~\\&|APP|FAC|HUB|CLINIC|20260102030405||ADT^A08|{id}|P|2.5.1\rPID|1||TEST-9\r")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_connections_send_is_all_in_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("careloop.db").display());
    let config = StoreConfig {
        url: Secret::new(url),
        owner_url: None,
        connections: 4,
    };
    let root = Key::from_root_text(
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff".as_bytes(),
    )
    .unwrap();
    let store = Store::open(&config, root).await.unwrap();
    let tenant = store
        .ensure_tenant("riverside", clock::now())
        .await
        .unwrap();
    let door = Door::new(store.clone(), Readiness::default());
    let feed = Arc::new(Feed::new(
        tenant,
        "riverside".into(),
        "epic-adt".into(),
        TimeZone::UTC,
    ));
    let source = Source {
        name: "epic-adt".into(),
        listen: "127.0.0.1:0".parse().unwrap(),
        zone: TimeZone::UTC,
        zone_name: "UTC".into(),
        mode: Mode::Observe,
        location: "main".into(),
        layers: vec![],
        identifiers: vec![],
        default_assigner: None,
        default_type: None,
        charset: None,
        history_since: Default::default(),
        tls: None,
        allow: vec![],
        plaintext_beyond_loopback: false,
    };
    let limits = MllpLimits {
        frame: 4 * 1024 * 1024,
        junk: 64,
        frame_timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(600),
        handshake_timeout: Duration::from_secs(10),
        write_timeout: Duration::from_secs(10),
        connections_per_peer: 64,
        connections: 1024,
    };
    let endpoint = Endpoint {
        feed: Arc::clone(&feed),
        source,
        covered: Arc::new(|_| true),
    };
    let station = Station::start(&door, vec![endpoint], &limits).ok().unwrap();
    let address = station.bound()[0].address;
    let tracker = tokio_util::task::TaskTracker::new();
    let peers: Vec<_> = (0..16)
        .map(|peer| {
            tracker.spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                for n in 0..20 {
                    let id = format!("T-{peer}-{n}");
                    let ack = exchange(&mut stream, &message(&id)).await;
                    assert!(ack.contains(&format!("MSA|AA|{id}")), "{ack:?}");
                }
                let again = exchange(&mut stream, &message(&format!("T-{peer}-0"))).await;
                assert!(again.contains("MSA|AA|"), "{again:?}");
                let held = exchange(&mut stream, &format!("no header {peer}\0")).await;
                assert!(held.contains("MSA|AA|"), "{held:?}");
                let odd = message(&format!("N\0{peer}{}", "x".repeat(3000)));
                assert!(exchange(&mut stream, &odd).await.contains("MSA|AA|"));
                stream.write_all(&[b'j'; 65]).await.unwrap();
                assert!(stream.read_u8().await.is_err());
            })
        })
        .collect();
    for peer in peers {
        peer.await.unwrap();
    }
    let counts = store.counts(tenant).await.unwrap();
    assert_eq!(counts.received, 16 * 22);
    assert_eq!(counts.duplicate, 16);
    assert_eq!(counts.held, 16);
    assert_eq!(counts.waiting, 16 * 21);
    assert_eq!(counts.refused, 16);
    assert_eq!(station.stop(Duration::from_secs(5)).await, 0);
    door.close().await;
    let seen = feed.counters.read();
    assert_eq!(
        (seen.received, seen.duplicates, seen.held),
        (16 * 23, 16, 16)
    );
    assert_eq!((seen.refused, seen.not_stored, seen.open), (16, 0, 0));
}
