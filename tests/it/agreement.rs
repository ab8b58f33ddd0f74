//! An agreement that ends while a listener is open: nothing more is taken, on either store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use careloop::config::{MllpLimits, Mode, Source, SourceKind};
use careloop::intake::mllp::{Endpoint, Station};
use careloop::intake::{Door, Feed, Readiness};
use jiff::tz::TimeZone;
use tokio::net::TcpStream;

use crate::support::behind::Behind;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::peer::Peer;
use crate::support::said::Said;

fn source() -> Source {
    Source {
        name: "lapsing".into(),
        kind: SourceKind::Mllp {
            listen: "127.0.0.1:0".parse().unwrap(),
        },
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
        consents_verified: false,
        tls: None,
        allow: vec![],
        plaintext_beyond_loopback: false,
        silent_after: None,
        sequence_numbers: false,
        application_ack: None,
    }
}

fn limits() -> MllpLimits {
    MllpLimits {
        frame: 4 * 1024 * 1024,
        junk: 64,
        frame_timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(600),
        handshake_timeout: Duration::from_secs(10),
        write_timeout: Duration::from_secs(10),
        connections_per_peer: 64,
        connections: 1024,
    }
}

on_each_store! {
    async fn a_lapsed_agreement_ends_connections_and_closes_the_listener(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let (name, source) = ("riverside".to_owned(), source());
        let feed = Feed::new(hub.tenant, name, source.name.clone(), TimeZone::UTC);
        let in_force = Arc::new(AtomicBool::new(true));
        let asked = Arc::clone(&in_force);
        let covered = Arc::new(move |_| asked.load(Ordering::SeqCst));
        let listen = "127.0.0.1:0".parse().unwrap();
        let endpoint = Endpoint { feed: Arc::new(feed), source, listen, covered };
        let door = Door::new(hub.store().clone(), Readiness::default());
        let station = Station::start(&door, vec![endpoint], &limits()).ok().unwrap();
        let address = station.bound()[0].address;

        let mut peer = Peer::connect(address).await;
        let first = Said::of("ADT^A28", "BEFORE", "TEST-1").text();
        assert_eq!(peer.send_bytes(first.as_bytes()).await.code, "AA");
        in_force.store(false, Ordering::SeqCst);
        peer.write(Said::of("ADT^A28", "AFTER", "TEST-1").text().as_bytes()).await;
        assert_eq!(peer.answer().await, None, "the connection is closed");
        let mut late = Peer::connect(address).await;
        assert_eq!(late.answer().await, None, "a new one is closed at once");
        assert!(TcpStream::connect(address).await.is_err(), "the listener is closed");

        assert_eq!(station.stop(Duration::from_secs(5)).await, 0);
        door.close().await;
        let behind = Behind::open(&hub.database).await;
        assert_eq!(behind.texts("SELECT control_id FROM message").await, ["BEFORE"]);
        let reasons = "SELECT reason FROM refused_frame WHERE source = 'lapsing'";
        assert_eq!(behind.texts(reasons).await, ["no-agreement"]);
        hub.daemon.stop().await;
    }
}
