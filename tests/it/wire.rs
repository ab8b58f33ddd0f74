//! The wire of HL7 v2 beyond the plain case: character sets, acknowledgements that come as messages,
//! and what the metrics say of what was refused.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::behind::Behind;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::operator::ASKER;
use crate::support::peer::Peer;
use crate::support::wait::until;

fn header(kind: &str, id: &str, rest: &str) -> String {
    format!("MSH|^~\\&|APP|FAC|HUB|CLINIC|20260102030405||{kind}|{id}|P|2.5.1{rest}\r")
}

/// What `/metrics` says.
async fn metrics(hub: &Hub) -> String {
    let mut stream = TcpStream::connect(hub.daemon.http.unwrap()).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

async fn until_metrics_say(hub: &Hub, line: &str) {
    until(line, || async {
        metrics(hub)
            .await
            .lines()
            .any(|other| other == line)
            .then_some(())
    })
    .await;
}

/// Family and given name, as `person show` tells them.
async fn name(hub: &Hub, number: &str) -> (String, String) {
    let person = hub.person(number).await.to_string();
    let show = ["person", "show", &person, "--json"];
    let shown = hub.run(&[&show[..], &ASKER[..]].concat()).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let name = &shown["names"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&name["family"]), text(&name["given"][0]))
}

on_each_store! {
    async fn every_declared_set_is_read_and_another_is_held_with_what_was_found(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let mut peer = hub.peer("adt").await;
        // In BIG-5 the second half of a character may look like a separator.
        let sets: [(&str, &[u8], &str, &str); 6] = [
            ("8859/2", b"\xb1^\xb1", "ą", "ą"),
            ("GB 18030-2000", b"\xb2\xa1^\xd4\xba", "病", "院"),
            ("KS X 1001", b"\xba\xb4\xbf\xf8^Ada", "병원", "Ada"),
            ("BIG-5", b"\xb0|\xb0|^Ada", "院院", "Ada"),
            ("~ISO IR87", b"\x1b$BIB1!\x1b(B^Ada", "病院", "Ada"),
            ("8859/1~8859/2", b"\xe9\\C2D42\\\xb1^\xe9", "éą", "é"),
        ];
        for (number, (set, text, ..)) in sets.iter().enumerate() {
            let msh = header("ADT^A08", &format!("S-{number}"), &format!("||||||{set}"));
            let pid = format!("PID|1||TEST-{number}^^^RVS^MR||");
            let bytes = [msh.as_bytes(), pid.as_bytes(), text, b"\r"].concat();
            assert_eq!(peer.send_bytes(&bytes).await.code, "AA");
        }
        let wide = header("ADT^A08", "S-W", "||||||UNICODE UTF-16") + "PID|1||TEST-9^^^RVS^MR||病院^Żółć\r";
        let wide: Vec<u8> = wide.encode_utf16().flat_map(u16::to_le_bytes).collect();
        peer.write(&wide).await;
        let answer = peer.frame().await.unwrap();
        let answer: Vec<u16> = answer.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        assert!(String::from_utf16(&answer).unwrap().contains("MSA|AA|S-W"));
        let counts = hub.processed().await;
        assert_eq!((counts.processed, counts.held), (7, 0));
        for (number, (set, _, family, given)) in sets.iter().enumerate() {
            assert_eq!(name(&hub, &format!("TEST-{number}")).await, (family.to_string(), given.to_string()), "{set}");
        }
        assert_eq!(name(&hub, "TEST-9").await, ("病院".to_owned(), "Żółć".to_owned()));
        let other = header("ADT^A08", "S-X", "||||||CNS 11643-1992") + "PID|1||TEST-X^^^RVS^MR\r";
        peer.send_bytes(other.as_bytes()).await;
        assert_eq!(hub.processed().await.held, 1);
        let behind = Behind::open(&hub.database).await;
        let place = behind.texts("SELECT place FROM message WHERE state = 'held'").await.remove(0);
        assert!(place.contains("GB 18030-2000") && place.ends_with("found CNS 11643-1992"), "{place}");
        behind.close().await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn an_acknowledgement_that_comes_as_a_message_is_ignored_counted_and_not_answered_in_kind(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let mut peer = hub.peer("adt").await;
        for (id, kind, rest, code) in [
            ("K-1", "ACK^A08^ACK", "", "CA"),
            ("K-2", "ACK", "|||AL|AL", "CA"),
            ("K-3", "MCF", "|||AL|NE", "CA"),
        ] {
            let msa = "MSA|AE|T-1|text\r";
            let answer = peer.send_bytes((header(kind, id, rest) + msa).as_bytes()).await;
            assert_eq!((answer.code.as_str(), answer.control_id.as_str()), (code, id));
        }
        // Who asks for no commit acknowledgement gets none, and no other one in its place.
        peer.write((header("ACK", "K-4", "|||NE|AL") + "MSA|AA|T-2\r").as_bytes()).await;
        let last = header("ADT^A08", "T-5", "") + "PID|1||TEST-1^^^RVS^MR\r";
        assert_eq!(peer.send_bytes(last.as_bytes()).await.control_id, "T-5");
        let counts = hub.processed().await;
        assert_eq!((counts.processed, counts.ignored, counts.held), (1, 4, 0));
        until_metrics_say(&hub, "careloop_acknowledgements_received_total{code=\"AE\",source=\"adt\"} 3").await;
        until_metrics_say(&hub, "careloop_acknowledgements_received_total{code=\"AA\",source=\"adt\"} 1").await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn the_metrics_tell_repeats_from_new_messages_and_why_frames_were_refused(database) {
        let more = "[mllp]\nframe = \"1 KiB\"\njunk = 10\n".to_owned();
        let hub = Hub::start(database, Setup { more, ..Setup::default() }).await;
        let mut peer = hub.peer("adt").await;
        let message = header("ADT^A08", "T-1", "") + "PID|1||TEST-1^^^RVS^MR\r";
        for _ in 0..3 {
            assert_eq!(peer.send_bytes(message.as_bytes()).await.code, "AA");
        }
        peer.write(&[b'x'; 1025]).await;
        assert!(peer.answer().await.is_none());
        let mut junk = TcpStream::connect(hub.daemon.bound[0].address).await.unwrap();
        junk.write_all(&[b'x'; 11]).await.unwrap();
        for line in [
            "careloop_messages_received_total{source=\"adt\"} 1",
            "careloop_messages_repeated_total{source=\"adt\"} 2",
            "careloop_messages_refused_total{reason=\"frame-too-large\",source=\"adt\"} 1",
            "careloop_messages_refused_total{reason=\"junk\",source=\"adt\"} 1",
        ] {
            until_metrics_say(&hub, line).await;
        }
        hub.daemon.stop().await;
    }
}

/// Sends a message with this MSH-13; gives MSA-1 and MSA-4 of the answer.
async fn numbered(peer: &mut Peer, id: &str, number: &str) -> (String, String) {
    let message = header("ADT^A08", id, &format!("|{number}")) + "PID|1||TEST-9^^^RVS^MR\r";
    peer.write(message.as_bytes()).await;
    let text = String::from_utf8(peer.frame().await.unwrap()).unwrap();
    let msa = text
        .split('\r')
        .find(|line| line.starts_with("MSA"))
        .unwrap();
    let fields: Vec<&str> = msa.split('|').collect();
    (
        fields[1].to_owned(),
        (*fields.get(4).unwrap_or(&"")).to_owned(),
    )
}

on_each_store! {
    async fn numbered_messages_are_taken_in_sequence_and_the_number_outlives_a_restart(database) {
        let source = "sequence_numbers = true".to_owned();
        let hub = Hub::start(database, Setup { source, ..Setup::default() }).await;
        let mut peer = hub.peer("adt").await;
        let answer = |code: &str, number: &str| (code.to_owned(), number.to_owned());
        for (id, number, expected) in [
            ("N-0", "0", answer("AA", "-1")),
            ("N-7", "7", answer("AA", "7")),
            ("N-9", "9", answer("AE", "8")),
            ("N-X", "", answer("AE", "8")),
            ("N-8", "8", answer("AA", "8")),
            // Its answer was lost: it comes again, and is answered again.
            ("N-8", "8", answer("AA", "8")),
            ("N-Y", "8", answer("AE", "9")),
        ] {
            assert_eq!(numbered(&mut peer, id, number).await, expected, "{id}");
        }
        let counts = hub.processed().await;
        assert_eq!((counts.received, counts.duplicate), (3, 1));
        let hub = hub.restart().await;
        let mut peer = hub.peer("adt").await;
        for (id, number, expected) in [
            ("N-A", "0", answer("AA", "9")),
            ("N-9", "9", answer("AA", "9")),
            ("N-B", "-1", answer("AA", "-1")),
            ("N-C", "1", answer("AA", "1")),
            ("N-D", "3", answer("AE", "2")),
        ] {
            assert_eq!(numbered(&mut peer, id, number).await, expected, "{id}");
        }
        assert_eq!(hub.processed().await.received, 7);
        until_metrics_say(&hub, "careloop_messages_refused_total{reason=\"out-of-sequence\",source=\"adt\"} 1").await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn pipelined_numbers_are_judged_in_the_order_in_which_they_came(database) {
        let source = "sequence_numbers = true".to_owned();
        let hub = Hub::start(database, Setup { source, ..Setup::default() }).await;
        let mut peer = hub.peer("adt").await;
        // Control ids in the other order than the numbers: the store sorts its batch by them.
        for number in 1..=40 {
            let message = header("ADT^A08", &format!("P-{:02}", 99 - number), &format!("|{number}"));
            peer.write((message + "PID|1||TEST-9^^^RVS^MR\r").as_bytes()).await;
        }
        for number in 1..=40 {
            let text = String::from_utf8(peer.frame().await.unwrap()).unwrap();
            assert!(text.contains(&format!("\rMSA|AA|P-{:02}||{number}\r", 99 - number)), "{text}");
        }
        assert_eq!(hub.processed().await.processed, 40);
        hub.daemon.stop().await;
    }
}
