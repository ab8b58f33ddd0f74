//! Every collected message, over a real connection, into the real hub: all are answered and all are
//! accounted for. The corpus lies outside the repository; where it is absent the test says so.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use careloop::hl7;
use tokio::time::timeout;

use crate::support::on_each_store;
use crate::support::peer::Peer;
use crate::support::served::Served;
use crate::support::wait::until;

/// The types of identifiers that occur in the corpus: here each of them links.
const SOURCE: &str = r#"
default_assigner = "NOBODY"
default_type = "MR"
identifiers = [
    { type = "MR" }, { type = "PI" }, { type = "PT" }, { type = "MRN" }, { type = "AN" },
    { type = "VN" }, { type = "PN" }, { type = "SR" }, { type = "PK" }, { type = "PE" },
    { type = "NH" }, { type = "XX" }, { type = "MC" }, { type = "MA" }, { type = "U" },
    { type = "EPI" }, { type = "EMPI" }, { type = "NI" }, { type = "IHS" }, { type = "CMRN" },
]
"#;

/// Connections that send at the same time.
const PEERS: usize = 4;

/// What the hub may need at most, in KiB: all files together are 6 MiB.
const MEMORY: u64 = 256 * 1024;

/// How long an answer may take before its file is named.
const PATIENCE: Duration = Duration::from_secs(30);

/// A probe that ends each connection's part.
const PROBE: &str = "MSH|^~\\&|T|T|H|H|20260101||ACK|PROBE|P|2.5.1\r";

on_each_store! {
    async fn every_file_of_the_corpus_is_answered_and_accounted_for(database) {
        let files = corpus();
        if files.is_empty() {
            println!("left out: ../shared/corpus/hl7 is not there");
            return;
        }
        let mut hub = Served::start(database, SOURCE).await;
        let sent = send_all(&hub, &files).await;
        let counts = drained(&hub).await;
        let number = |name: &str| counts[name].as_i64().unwrap();
        let ended = number("processed") + number("ignored") + number("held");
        assert_eq!(number("received"), ended, "{counts}");
        assert_eq!(number("received"), i64::try_from(sent.distinct.len()).unwrap(), "{counts}");
        let repeats = sent.pieces - sent.distinct.len();
        assert_eq!(number("duplicate"), i64::try_from(repeats).unwrap(), "{counts}");
        assert_eq!(number("refused"), 0, "{counts}");
        let memory = hub.peak_memory();
        println!("{counts}; at most {} MiB resident", memory / 1024);
        println!("{}", String::from_utf8_lossy(&hub.message(&["count", "--reasons"])));
        assert!(memory < MEMORY, "expected at most {MEMORY} KiB, found {memory}");
        hub.kill();
        hub.run().await;
        assert_eq!(drained(&hub).await, counts, "nothing is taken back, nothing done twice");
        assert!(!hub.logged().contains("panicked"), "{}", hub.logged());
    }
}

/// What was sent: pieces that are stored, and which of them differ.
#[derive(Default)]
struct Sent {
    pieces: usize,
    distinct: HashSet<Vec<u8>>,
}

/// Sends each file in a frame and reads as many answers as it holds messages.
async fn send_all(hub: &Served, files: &[PathBuf]) -> Sent {
    let mut sent = Sent::default();
    let mut peers = Vec::new();
    for part in files.chunks(files.len().div_ceil(PEERS)) {
        for file in part {
            let bytes = fs::read(file).unwrap();
            let split = hl7::split(&bytes);
            for range in split.messages.into_iter().chain(split.stray) {
                sent.pieces += 1;
                sent.distinct.insert(bytes[range].to_vec());
            }
        }
        sent.pieces += 1;
        sent.distinct.insert(PROBE.as_bytes().to_vec());
        peers.push(converse(hub, part));
    }
    futures_util::future::join_all(peers).await;
    sent
}

async fn converse(hub: &Served, files: &[PathBuf]) {
    let mut peer = Peer::connect(hub.address).await;
    for file in files {
        let bytes = fs::read(file).unwrap();
        peer.write(&bytes).await;
        for range in hl7::split(&bytes).messages {
            let header = hl7::Header::read(&bytes[range]).ok();
            if header.as_ref().is_some_and(|header| !wants_answer(header)) {
                continue;
            }
            let answer = timeout(PATIENCE, peer.answer()).await.ok().flatten();
            let answer = answer.unwrap_or_else(|| panic!("{}: no answer", file.display()));
            let positive = ["AA", "CA"].contains(&answer.code.as_str());
            assert!(positive, "{}: {answer:?}", file.display());
            if let Some(header) = header {
                assert_eq!(answer.control_id, header.control_id, "{}", file.display());
            }
        }
    }
    // The next answer is the probe's: no file was answered more often than it holds messages.
    assert_eq!(peer.send_bytes(PROBE.as_bytes()).await.control_id, "PROBE");
}

/// Whether the sender asks for an answer to a message that was stored (MSH-15, MSH-16). An
/// acknowledgement gets no application acknowledgement.
fn wants_answer(header: &hl7::Header) -> bool {
    let silent = |asked: &str| ["", "NE", "ER"].contains(&asked);
    let application = !silent(&header.application_ack) && header.message_code != "ACK";
    !header.wants_enhanced() || !silent(&header.accept_ack) || application
}

async fn drained(hub: &Served) -> serde_json::Value {
    until("every message has an outcome", || async {
        let counts = hub.counts();
        (counts["waiting"] == 0).then_some(counts)
    })
    .await
}

/// Every file of the corpus, in a fixed order.
fn corpus() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/hl7");
    let mut files: Vec<PathBuf> = ["wellformed", "odd", "malformed"]
        .iter()
        .filter_map(|folder| fs::read_dir(root.join(folder)).ok())
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}
