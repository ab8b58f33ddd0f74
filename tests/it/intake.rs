//! Intake over real sockets into the real hub: what is stored, answered, refused and counted.

use std::sync::Arc;

use careloop::failure::Code;
use careloop::store::MessageSelection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::behind::Behind;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::wait::until;

fn message(id: &str) -> String {
    format!(
        "MSH|^~\\&|APP|FAC|HUB|CLINIC|20260102030405||ADT^A08|{id}|P|2.5.1\rPID|1||TEST-9^^^RVS^MR\r"
    )
}

fn framed(content: &str) -> Vec<u8> {
    format!("\x0b{content}\x1c\r").into_bytes()
}

async fn connect(hub: &Hub) -> TcpStream {
    let stream = TcpStream::connect(hub.daemon.bound[0].address)
        .await
        .unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Reads one framed answer, byte by byte, so that nothing of the next one is taken.
async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut found = Vec::new();
    while !found.ends_with(b"\x1c\r") {
        match stream.read_u8().await {
            Ok(byte) => found.push(byte),
            Err(_) => return format!("closed after {} bytes", found.len()),
        }
    }
    String::from_utf8_lossy(&found).into_owned()
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, content: &str) -> String {
    stream.write_all(&framed(content)).await.unwrap();
    answer(stream).await
}

async fn is_closed<S: AsyncRead + Unpin>(stream: &mut S) -> bool {
    matches!(stream.read(&mut [0; 64]).await, Ok(0) | Err(_))
}

/// The reasons for which frames and peers were refused, as the store counted them.
async fn refused(hub: &Hub) -> Vec<(String, String)> {
    let behind = Behind::open(&hub.database).await;
    let statement = "SELECT reason, CAST(count AS TEXT) FROM refused_frame ORDER BY reason";
    behind.pairs(statement).await
}

fn counted(reasons: &[(&str, &str)]) -> Vec<(String, String)> {
    reasons
        .iter()
        .map(|(reason, count)| ((*reason).to_owned(), (*count).to_owned()))
        .collect()
}

on_each_store! {
    async fn frames_in_any_pieces_are_answered_in_order_and_in_the_senders_manner(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let mut peer = connect(&hub).await;
        let ends = ["\r", "\n", "\r\n"];
        let frames = (0..12).flat_map(|n| {
            // Every sender ends its lines in its own way, some without the last one.
            let text = message(&format!("T-{n}")).replace('\r', ends[n % 3]);
            let text = if n % 2 == 0 { text.trim_end().to_owned() } else { text };
            framed(&text)
        });
        for piece in frames.collect::<Vec<u8>>().chunks(37) {
            peer.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        for n in 0..12 {
            let ack = answer(&mut peer).await;
            assert!(ack.starts_with("\x0bMSH|^~\\&|HUB|CLINIC|APP|FAC|"), "{ack:?}");
            assert!(ack.contains(&format!("\rMSA|AA|T-{n}")), "{ack:?}");
        }
        let enhanced = message("T-E").replace("|P|2.5.1", "|P|2.5.1|||AL|NE");
        assert!(exchange(&mut peer, &enhanced).await.contains("MSA|CA|T-E"));
        let marked = format!("\u{feff}{}", message("T-BOM"));
        assert!(exchange(&mut peer, &marked).await.contains("MSA|AA|T-BOM"));
        let counts = hub.processed().await;
        assert_eq!((counts.received, counts.processed, counts.refused), (14, 14, 0));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn every_message_of_a_batch_is_stored_and_answered(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let mut peer = connect(&hub).await;
        let messages: String = (0..150).map(|n| message(&format!("B-{n}"))).collect();
        let batch = format!("FHS|^~\\&\rBHS|^~\\&\r{messages}BTS|150\rFTS|1\r");
        peer.write_all(&framed(&batch)).await.unwrap();
        for n in 0..150 {
            let ack = answer(&mut peer).await;
            assert!(ack.contains(&format!("MSA|AA|B-{n}")), "{ack:?}");
        }
        assert_eq!(hub.processed().await.received, 150);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_repeat_is_counted_and_a_number_used_for_other_bytes_is_flagged(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let mut peer = connect(&hub).await;
        for _ in 0..3 {
            assert!(exchange(&mut peer, &message("T-1")).await.contains("MSA|AA|T-1"));
        }
        let other = message("T-1").replace("TEST-9", "TEST-8");
        assert!(exchange(&mut peer, &other).await.contains("MSA|AA|T-1"));
        let counts = hub.processed().await;
        assert_eq!((counts.received, counts.duplicate, counts.processed), (2, 2, 2));
        let rows = hub.store().messages(hub.tenant, &MessageSelection::default(), 10).await.unwrap();
        let mut seen: Vec<_> = rows.iter().map(|row| (row.times_seen, row.control_id_reused)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [(1, true), (3, false)]);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn what_cannot_be_read_is_held_and_acknowledged(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let mut peer = connect(&hub).await;
        for junk in ["", "no header at all", "PID|1||TEST"] {
            let ack = exchange(&mut peer, junk).await;
            assert!(ack.contains("MSA|AA|"), "{ack:?}");
        }
        let undecodable = [message("BYTES").as_bytes(), b"NTE|1||\xff\xfe\r"].concat();
        peer.write_all(&[b"\x0b", undecodable.as_slice(), b"\x1c\r"].concat()).await.unwrap();
        assert!(answer(&mut peer).await.contains("MSA|AA|BYTES"));
        let unknown = message("SET").replace("|P|2.5.1", "|P|2.5.1||||||CNS 11643-1992");
        assert!(exchange(&mut peer, &unknown).await.contains("MSA|AA|SET"));
        let counts = hub.processed().await;
        assert_eq!((counts.received, counts.held, counts.refused), (5, 5, 0));
        let reasons = hub.store().reasons(hub.tenant).await.unwrap();
        let mut codes: Vec<_> = reasons.iter().map(|row| (row.code.as_str(), row.count)).collect();
        codes.sort_unstable();
        let expected = [
            (Code::CharsetUndecodable.name(), 1),
            (Code::CharsetUnsupported.name(), 1),
            (Code::NoHeader.name(), 3),
        ];
        assert_eq!(codes, expected);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn refused_frames_are_counted_before_the_connection_is_gone(database) {
        let more = "[mllp]\nframe = \"1 KiB\"\njunk = 10\n".to_owned();
        let hub = Hub::start(database, Setup { more, ..Setup::default() }).await;
        let mut large = connect(&hub).await;
        large.write_all(&framed(&"x".repeat(1025))).await.unwrap();
        assert!(is_closed(&mut large).await);
        assert_eq!(refused(&hub).await, counted(&[("frame-too-large", "1")]));
        let mut junk = connect(&hub).await;
        junk.write_all(&[b'x'; 11]).await.unwrap();
        assert!(is_closed(&mut junk).await);
        let mut cut = connect(&hub).await;
        cut.write_all(b"\x0bMSH|").await.unwrap();
        cut.shutdown().await.unwrap();
        assert!(is_closed(&mut cut).await);
        let reasons = [("frame-too-large", "1"), ("frame-truncated", "1"), ("junk", "1")];
        assert_eq!(refused(&hub).await, counted(&reasons));
        let counts = hub.counts().await;
        assert_eq!((counts.received, counts.refused), (0, 3));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_connection_over_the_limit_is_refused_and_its_place_is_free_afterwards(database) {
        let more = "[mllp]\nconnections_per_peer = 1\n".to_owned();
        let hub = Hub::start(database, Setup { more, ..Setup::default() }).await;
        let mut first = connect(&hub).await;
        assert!(exchange(&mut first, &message("T-1")).await.contains("|AA|"));
        let mut second = connect(&hub).await;
        assert!(is_closed(&mut second).await);
        drop((first, second));
        until("the place is free", || async {
            let mut third = connect(&hub).await;
            third.write_all(&framed(&message("T-2"))).await.ok()?;
            answer(&mut third).await.contains("|AA|T-2").then_some(())
        })
        .await;
        assert_eq!(refused(&hub).await[0].0, "too-many-connections-from-peer");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_peer_that_is_not_on_the_list_is_refused(database) {
        let source = "allow = [\"10.0.0.0/8\"]".to_owned();
        let hub = Hub::start(database, Setup { source, ..Setup::default() }).await;
        let mut peer = connect(&hub).await;
        assert!(is_closed(&mut peer).await);
        assert_eq!(refused(&hub).await, counted(&[("address-not-allowed", "1")]));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn without_an_agreement_in_force_nothing_is_opened(database) {
        let lapsed = "[[agreement]]\ntenant = \"riverside\"\nparty = \"Riverside Clinic\"\ndocument = \"BAA-OLD\"\n\
            signed = 2019-01-01\nuntil = 2020-01-01\ncovers = [\"adt\"]\n";
        let setup = Setup { covers: r#"["careloop.tasks"]"#, more: lapsed.to_owned(), ..Setup::default() };
        let hub = Hub::start(database, setup).await;
        assert!(!hub.daemon.bound[0].open, "the listener is closed");
        let hub = hub.restart_as(Setup::default()).await;
        assert!(hub.daemon.bound[0].open);
        assert!(exchange(&mut connect(&hub).await, &message("T-1")).await.contains("|AA|T-1"));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_store_that_is_away_gives_ae_and_heals_by_itself(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let mut peer = connect(&hub).await;
        assert!(exchange(&mut peer, &message("T-0")).await.contains("MSA|AA|T-0"));
        hub.processed().await;
        let away = Away::take(&hub).await;
        let ack = exchange(&mut peer, &message("T-1")).await;
        assert!(ack.contains("MSA|AE|T-1") && !ack.contains("TEST-9"), "{ack:?}");
        assert!(!is_ready(&hub).await);
        away.give_back().await;
        until("the message is taken", || async {
            let mut peer = connect(&hub).await;
            exchange(&mut peer, &message("T-1")).await.contains("MSA|AA|T-1").then_some(())
        })
        .await;
        until("the hub is ready", || async { is_ready(&hub).await.then_some(()) }).await;
        let counts = hub.processed().await;
        assert_eq!((counts.received, counts.processed), (2, 2));
        hub.daemon.stop().await;
    }
}

/// What `/health/ready` says.
async fn is_ready(hub: &Hub) -> bool {
    let mut stream = TcpStream::connect(hub.daemon.http.unwrap()).await.unwrap();
    let request = b"GET /health/ready HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text.starts_with("HTTP/1.1 200")
}

/// A lock on the store from outside, longer than the hub waits for one.
enum Away {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(sqlx::PgPool, String),
}

impl Away {
    async fn take(hub: &Hub) -> Self {
        let Some(behind) = &hub.database.behind else {
            let pool = sqlx::SqlitePool::connect(&hub.database.url).await.unwrap();
            return Self::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await.unwrap());
        };
        // Nobody connects to this database any more, and who is connected is cut off.
        let (server, name) = behind.rsplit_once('/').unwrap();
        let pool = sqlx::PgPool::connect(&format!("{server}/postgres"))
            .await
            .unwrap();
        let away = Self::Postgres(pool, name.to_owned());
        away.allow(false).await;
        away
    }

    async fn allow(&self, connections: bool) {
        let Self::Postgres(pool, name) = self else {
            return;
        };
        let text = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {connections}");
        sqlx::query(sqlx::AssertSqlSafe(text))
            .execute(pool)
            .await
            .unwrap();
        let cut =
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1";
        sqlx::query(cut).bind(name).execute(pool).await.unwrap();
    }

    async fn give_back(self) {
        self.allow(true).await;
        if let Self::Sqlite(lock) = self {
            lock.rollback().await.unwrap();
        }
    }
}

/// An authority, and a sender with a certificate of it and one without.
struct Tls {
    source: String,
    with_certificate: tokio_rustls::TlsConnector,
    without: tokio_rustls::TlsConnector,
}

fn tls(folder: &std::path::Path) -> Tls {
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca_params = rcgen::CertificateParams::new(vec![]).unwrap();
    ca_params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = ca_params.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca_params, ca_key);
    let issue = |name: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &issuer).unwrap(), key)
    };
    let (server, server_key) = issue("localhost");
    let (client, client_key) = issue("sender.example");
    let file = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mode).unwrap();
        path.display().to_string()
    };
    let source = format!(
        "tls = {{ certificate = \"{}\", key = \"{}\", client_ca = \"{}\" }}",
        file("server.pem", server.pem()),
        file("server.key", server_key.serialize_pem()),
        file("ca.pem", ca.pem()),
    );
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let builder = || {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(client_key.serialize_der()));
    let with = builder()
        .with_client_auth_cert(vec![client.der().clone()], key)
        .unwrap();
    let without = builder().with_no_client_auth();
    Tls {
        source,
        with_certificate: Arc::new(with).into(),
        without: Arc::new(without).into(),
    }
}

on_each_store! {
    async fn mutual_tls_admits_only_senders_of_the_authority(database) {
        let tls = tls(database.folder.path());
        let hub = Hub::start(database, Setup { source: tls.source.clone(), ..Setup::default() }).await;
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let stream = connect(&hub).await;
        let mut peer = tls.with_certificate.connect(name.clone(), stream).await.unwrap();
        assert!(exchange(&mut peer, &message("T-1")).await.contains("|AA|T-1"));
        drop(peer);
        // Without a certificate; TLS 1.3 clients learn of it only when they read.
        let stream = connect(&hub).await;
        if let Ok(mut peer) = tls.without.connect(name, stream).await {
            assert!(is_closed(&mut peer).await);
        }
        let mut plain = connect(&hub).await;
        plain.write_all(&framed(&message("T-2"))).await.unwrap();
        while !is_closed(&mut plain).await {}
        until("both are counted", || async {
            (refused(&hub).await == counted(&[("tls-handshake", "2")])).then_some(())
        })
        .await;
        assert_eq!(hub.processed().await.received, 1);
        hub.daemon.stop().await;
    }
}
