//! The slice: a message over a real socket becomes a consented task, on both stores.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;

const ADA: &str = r"
    MSH|^~\&|EPIC|RVS|CARELOOP|HUB|20261121120000||ADT^A08|MSG-1|P|2.5.1
    EVN||20261121120000
    PID|1||TEST-1^^^RVS^MR||Example^Ada||19700102|F|||1 Sample St^^Albany^NY^12207^US||(518)555-0101^PRN^PH
    DG1|1||E11.9^Type 2 diabetes^I10C|||F
";

async fn metrics(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

on_each_store! {
    async fn a_person_with_a_gap_becomes_one_task(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let ack = hub.peer("adt").await.send(ADA).await;
        assert_eq!((ack.code.as_str(), ack.control_id.as_str()), ("AA", "MSG-1"));
        let counts = hub.processed().await;
        assert_eq!((counts.received, counts.processed), (1, 1));
        let tasks = hub.tasks().await;
        assert_eq!(tasks.len(), 1, "{tasks:?}");
        let metrics = metrics(hub.daemon.http.unwrap()).await;
        for line in [
            "careloop_messages_processed_total{state=\"processed\"} 1",
            "careloop_ack_latency_seconds_count 1",
        ] {
            assert!(metrics.contains(line), "{line} is not in\n{metrics}");
        }
        hub.daemon.stop().await;
    }
}
