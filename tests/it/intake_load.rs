//! Many connections at once, with repeats, frames without a header and junk: the counts add up.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;

/// Connections, and messages on each.
const PEERS: i64 = 16;
const MESSAGES: i64 = 20;

async fn exchange(stream: &mut TcpStream, content: &str) -> String {
    stream
        .write_all(format!("\x0b{content}\x1c\r").as_bytes())
        .await
        .unwrap();
    let mut found = Vec::new();
    while !found.ends_with(b"\x1c\r") {
        found.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8_lossy(&found).into_owned()
}

fn message(id: &str) -> String {
    format!(
        "MSH|^~\\&|APP|FAC|HUB|CLINIC|20260102030405||ADT^A08|{id}|P|2.5.1\rPID|1||TEST-9^^^RVS^MR\r"
    )
}

/// Sends new messages, one again, one without a header, one with an odd control id, and junk.
async fn send(address: SocketAddr, peer: i64) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    for n in 0..MESSAGES {
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
    stream.write_all(&[b'j'; 1025]).await.unwrap();
    assert!(
        stream.read_u8().await.is_err(),
        "junk beyond its bound ends the connection"
    );
}

on_each_store! {
    async fn what_many_connections_send_is_all_in_the_store(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let address = hub.daemon.bound[0].address;
        let peers: Vec<_> = (0..PEERS).map(|peer| tokio::spawn(send(address, peer))).collect();
        for peer in peers {
            peer.await.unwrap();
        }
        let counts = hub.processed().await;
        assert_eq!(counts.received, PEERS * (MESSAGES + 2));
        assert_eq!((counts.duplicate, counts.refused), (PEERS, PEERS));
        assert_eq!(counts.held, PEERS, "only the frames without a header");
        assert_eq!(counts.processed, PEERS * (MESSAGES + 1));
        hub.daemon.stop().await;
    }
}
