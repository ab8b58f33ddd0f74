//! Enhanced mode's application acknowledgement: a message of the hub's own, once the sender's message
//! has ended, over real sockets; kept over restarts and kills until the sender has it.

use std::sync::Arc;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::behind::Behind;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::peer::Peer;
use crate::support::served::Served;
use crate::support::wait::until;

/// A message with MSH-15 and MSH-16; `person` is the number in PID-3, or nothing that may link.
fn message(id: &str, modes: &str, person: &str) -> Vec<u8> {
    let msh =
        format!("MSH|^~\\&|APP|FAC|HUB|CLINIC|20260102030405||ADT^A08|{id}|P|2.5.1|||{modes}");
    format!("{msh}\rPID|1||{person}\r").into_bytes()
}

const KNOWN: &str = "TEST-9^^^RVS^MR";
/// Nobody whom the source may link: the message is held.
const UNKNOWN: &str = "TEST-9^^^ZZZ^XX";

/// The sender's own listener, where application acknowledgements arrive.
struct Engine(TcpListener);

impl Engine {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn source(&self) -> String {
        format!(
            "application_ack = {{ to = \"{}\" }}",
            self.0.local_addr().unwrap()
        )
    }

    async fn accept(&self) -> Peer {
        Peer::over(self.0.accept().await.unwrap().0)
    }
}

/// An application acknowledgement as it came.
struct Came {
    /// Its MSH-10.
    id: String,
    text: String,
}

async fn next(peer: &mut Peer) -> Came {
    let text = String::from_utf8(peer.frame().await.unwrap()).unwrap();
    let id = text.split('|').nth(9).unwrap().to_owned();
    Came { id, text }
}

/// The sender's commit acknowledgement of what came.
async fn commit(peer: &mut Peer, came: &Came, code: &str) {
    let ack = format!(
        "MSH|^~\\&|APP|FAC|HUB|CLINIC|2026||ACK|A-1|P|2.5.1\rMSA|{code}|{}\r",
        came.id
    );
    peer.write(ack.as_bytes()).await;
}

/// Waits until nothing is owed any more; gives each state and how often it was sent in vain or well.
async fn settled(hub: &Hub) -> Vec<(String, String)> {
    until("nothing is owed", || async {
        let behind = Behind::open(&hub.database).await;
        let owed = behind
            .number("SELECT count(*) FROM application_ack WHERE state = 'waiting'")
            .await;
        let statement = "SELECT state, CAST(attempts AS TEXT) FROM application_ack ORDER BY id";
        let all = behind.pairs(statement).await;
        behind.close().await;
        (owed == 0).then_some(all)
    })
    .await
}

on_each_store! {
    async fn each_message_gets_the_application_acknowledgement_that_it_asks_for_and_no_other(database) {
        let engine = Engine::start().await;
        let hub = Hub::start(database, Setup { source: engine.source(), ..Setup::default() }).await;
        let mut sender = hub.peer("adt").await;
        for (id, modes, person) in [
            ("T-NE", "AL|NE", KNOWN),
            ("T-1", "AL|AL", KNOWN),
            ("T-ER", "AL|ER", KNOWN),
            ("T-2", "AL|ER", UNKNOWN),
            ("T-SU", "AL|SU", UNKNOWN),
            ("T-3", "AL|SU", KNOWN),
        ] {
            assert_eq!(sender.send_bytes(&message(id, modes, person)).await.code, "CA", "{id}");
            hub.processed().await;
        }
        let mut peer = engine.accept().await;
        for (id, code) in [("T-1", "AA"), ("T-2", "AE"), ("T-3", "AA")] {
            let came = next(&mut peer).await;
            assert!(came.text.contains(&format!("\rMSA|{code}|{id}|")), "{}", came.text);
            assert!(came.text.starts_with("MSH|^~\\&|HUB|CLINIC|APP|FAC|"), "{}", came.text);
            assert!(came.text.contains("|ACK^A08^ACK|") && came.text.contains("|||AL|NE\r"), "{}", came.text);
            if code == "AE" {
                assert!(came.text.contains("\rERR||") && came.text.contains("|no-identifier^^careloop|"), "{}", came.text);
                assert!(!came.text.contains("TEST-9"), "{}", came.text);
            }
            commit(&mut peer, &came, "CA").await;
        }
        let sent = ("sent".to_owned(), "1".to_owned());
        assert_eq!(settled(&hub).await, vec![sent; 3]);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn what_the_sender_did_not_take_is_sent_again_under_the_same_number_over_a_restart(database) {
        let engine = Engine::start().await;
        let hub = Hub::start(database, Setup { source: engine.source(), ..Setup::default() }).await;
        let answer = hub.peer("adt").await.send_bytes(&message("T-1", "AL|AL", KNOWN)).await;
        assert_eq!(answer.code, "CA");
        // A connection that ends without an answer, and a sender that cannot take it now.
        let first = next(&mut engine.accept().await).await;
        let mut peer = engine.accept().await;
        let second = next(&mut peer).await;
        commit(&mut peer, &second, "CE").await;
        let hub = hub.restart().await;
        drop(peer);
        let mut peer = engine.accept().await;
        let third = next(&mut peer).await;
        // Somebody else's answer is none.
        let other = Came { id: "X".to_owned(), text: String::new() };
        commit(&mut peer, &other, "CA").await;
        commit(&mut peer, &third, "CA").await;
        assert!(first.id == second.id && second.id == third.id);
        let all = settled(&hub).await;
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].0, "sent");
        // A repeat says that the sender may not have got it: it is owed once more.
        let again = hub.peer("adt").await.send_bytes(&message("T-1", "AL|AL", KNOWN)).await;
        assert_eq!(again.code, "CA");
        let fourth = next(&mut peer).await;
        assert_eq!(fourth.id, first.id);
        commit(&mut peer, &fourth, "CR").await;
        assert_eq!(settled(&hub).await[0].0, "rejected");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_kill_between_commit_and_application_acknowledgement_loses_neither(database) {
        let engine = Engine::start().await;
        let identifiers = r#"identifiers = [{ type = "MR", assigner = "RVS" }]"#;
        let mut hub = Served::start(database, &format!("{identifiers}\n{}", engine.source())).await;
        for round in 0..4 {
            let id = format!("T-{round}");
            let mut sender = Peer::connect(hub.address).await;
            assert_eq!(sender.send_bytes(&message(&id, "AL|AL", KNOWN)).await.code, "CA");
            if round % 2 == 1 {
                // Whatever it had sent by then, nobody took it.
                drop(engine.accept().await);
            }
            hub.kill();
            hub.spawn();
            let came = loop {
                let mut peer = engine.accept().await;
                // The killed process may have left a connection behind.
                let Some(frame) = peer.frame().await else { continue };
                let text = String::from_utf8(frame).unwrap();
                let came = Came { id: text.split('|').nth(9).unwrap().to_owned(), text };
                commit(&mut peer, &came, "CA").await;
                let behind = Behind::open(&hub.database).await;
                let told = until("the hub has read the answer or is back", || async {
                    let sent = format!("SELECT count(*) FROM application_ack AS owed JOIN message ON message.id = owed.message \
                        WHERE message.control_id = '{id}' AND owed.state = 'sent'");
                    (behind.number(&sent).await == 1).then_some(true)
                });
                let told = tokio::select! { told = told => told, _ = engine.0.accept() => false };
                behind.close().await;
                if told {
                    break came;
                }
            };
            assert!(came.text.contains(&format!("\rMSA|AA|{id}|")), "{}", came.text);
        }
    }
}

on_each_store! {
    async fn over_the_same_connection_both_sides_speak_and_nothing_is_mixed_up(database) {
        let source = "application_ack = \"same-connection\"".to_owned();
        let hub = Hub::start(database, Setup { source, ..Setup::default() }).await;
        let mut peer = hub.peer("adt").await;
        for (id, modes) in [("T-1", "AL|AL"), ("T-2", "NE|AL"), ("T-3", "AL|AL")] {
            peer.write(&message(id, modes, KNOWN)).await;
            if modes == "AL|AL" {
                assert_eq!(peer.answer().await.unwrap().code, "CA");
            }
            let came = next(&mut peer).await;
            assert!(came.text.contains(&format!("\rMSA|AA|{id}|")), "{}", came.text);
            if modes == "AL|AL" {
                commit(&mut peer, &came, "CA").await;
            }
        }
        assert_eq!(settled(&hub).await.len(), 3);
        let counts = hub.counts().await;
        assert_eq!((counts.received, counts.processed), (3, 3), "the answers are no messages");
        hub.daemon.stop().await;
    }
}

/// A server's side of TLS under an authority that is written to a file.
fn tls(folder: &std::path::Path) -> (tokio_rustls::TlsAcceptor, String) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(params, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let server = params.signed_by(&key, &issuer).unwrap();
    let path = folder.join("engine-ca.pem");
    std::fs::write(&path, ca.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![server.der().clone()], key)
        .unwrap();
    (Arc::new(config).into(), path.display().to_string())
}

on_each_store! {
    async fn towards_an_engine_with_tls_its_authority_is_checked(database) {
        let (acceptor, ca) = tls(database.folder.path());
        let engine = Engine::start().await;
        let port = engine.0.local_addr().unwrap().port();
        let source = format!("application_ack = {{ to = \"localhost:{port}\", tls = {{ ca = \"{ca}\" }} }}");
        let hub = Hub::start(database, Setup { source, ..Setup::default() }).await;
        let mut sender = hub.peer("adt").await;
        sender.write(&message("T-1", "NE|AL", KNOWN)).await;
        // Without MSH-15 the end of the connection tells that it was read.
        let mut stream = acceptor.accept(engine.0.accept().await.unwrap().0).await.unwrap();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        assert!(String::from_utf8(read).unwrap().contains("\rMSA|AA|T-1|"));
        stream.shutdown().await.unwrap();
        assert_eq!(settled(&hub).await[0].0, "sent");
        let (other, _) = tls(&hub.folder().join("spool"));
        sender.send_bytes(&message("T-2", "AL|AL", KNOWN)).await;
        assert!(other.accept(engine.0.accept().await.unwrap().0).await.is_err());
        hub.daemon.stop().await;
    }
}
