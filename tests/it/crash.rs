//! `kill -9` at random under load: what was acknowledged is accounted for, and nothing happens twice.
//!
//! Four senders write down what they send, and what was acknowledged, into a history that is synced
//! before they go on. Meanwhile the hub, a process of its own, is killed and started again. At the end
//! the history is held against the store and the spool. An ordinary run kills it 12 times on each
//! store; `CARELOOP_TEST_KILLS=100 tests/run --test it crash` does it a hundred times.
//! `CARELOOP_TEST_SEED` repeats the pauses between the kills.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::support::behind::Behind;
use crate::support::on_each_store;
use crate::support::peer::{Peer, lines};
use crate::support::served::Served;
use crate::support::wait::until;

const SOURCE: &str = r#"identifiers = [{ type = "MR", assigner = "RVS" }]"#;
const SENDERS: usize = 4;
/// How long an acknowledgement may take before the sender takes the connection for dead.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a sender waits between two messages.
const PACE: Duration = Duration::from_millis(150);

on_each_store! {
    async fn nothing_acknowledged_is_lost_and_nothing_happens_twice_under_kill_9(database) {
        let (kills, mut random) = (variable("CARELOOP_TEST_KILLS", 12), Random::seeded());
        let started = Instant::now();
        let mut hub = Served::start(database, SOURCE).await;
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..SENDERS)
            .map(|number| {
                let path = hub.database.folder.path().join(format!("history-{number}"));
                let sender = Sender::new(number, hub.address, &path);
                tokio::task::spawn(sender.run(Arc::clone(&stop)))
            })
            .collect();
        for kill in 0..kills {
            // Most starts get to finish something: a message in hand at every one of four kills
            // would rightly be held. Every fourth is killed whatever it is doing.
            if kill % 4 != 0 {
                some_progress(&hub).await;
            }
            // No synchronisation: the instant of the kill is what is random here.
            sleep(Duration::from_millis(50 + random.below(900))).await;
            hub.kill();
            hub.run().await;
        }
        stop.store(true, Ordering::SeqCst);
        let mut history = History::default();
        for sender in senders {
            history.read(&sender.await.unwrap());
        }
        let behind = Behind::open(&hub.database).await;
        drain(&behind).await;
        println!(
            "{kills} kills: {} sent, {} acknowledged, {} sent again, {} s",
            history.sent.len(),
            history.acknowledged.len(),
            history.again,
            started.elapsed().as_secs()
        );
        replay_exhausted(&hub, &behind, kills).await;
        check_messages(&hub, &behind, &history).await;
        check_effects(&behind).await;
        check_tasks(&behind, &hub.spooled()).await;
        assert!(!hub.logged().contains("panicked"), "{}", hub.logged());
    }
}

/// A number from the environment.
fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// A small generator of pauses (xorshift), so that a run can be repeated from its seed.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        let seed = variable("CARELOOP_TEST_SEED", u64::from(std::process::id()) + 1);
        println!("CARELOOP_TEST_SEED={seed}");
        Self(seed)
    }

    const fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// One connection of an EHR that keeps a record of its own.
struct Sender {
    number: usize,
    address: SocketAddr,
    path: PathBuf,
    history: File,
}

impl Sender {
    fn new(number: usize, address: SocketAddr, path: &Path) -> Self {
        let history = File::options()
            .create_new(true)
            .append(true)
            .open(path)
            .unwrap();
        Self {
            number,
            address,
            path: path.to_owned(),
            history,
        }
    }

    /// Sends one message after the other until told to stop, each until it is acknowledged.
    async fn run(mut self, stop: Arc<AtomicBool>) -> PathBuf {
        let mut next = 0;
        let mut peer = None;
        while !stop.load(Ordering::SeqCst) {
            let (id, text) = message(self.number, next);
            let frame = lines(&text).into_bytes();
            loop {
                self.write_down('S', &id);
                if self.acknowledged(&mut peer, &frame, &id).await {
                    self.write_down('A', &id);
                    break;
                }
                peer = None;
            }
            if next % 7 == 3 {
                // Some senders repeat what was acknowledged already.
                self.write_down('S', &id);
                if !self.acknowledged(&mut peer, &frame, &id).await {
                    peer = None;
                }
            }
            next += 1;
            // The pace of a busy EHR; without it the backlog after many kills takes minutes.
            sleep(PACE).await;
        }
        self.path
    }

    /// Sends over the open connection, or a new one as soon as there is one.
    async fn acknowledged(&self, peer: &mut Option<Peer>, frame: &[u8], id: &str) -> bool {
        if peer.is_none() {
            let address = self.address;
            let stream = until("the hub is back", || async {
                TcpStream::connect(address).await.ok()
            });
            *peer = Some(Peer::over(stream.await));
        }
        let Some(peer) = peer else { return false };
        if !peer.try_write(frame).await {
            return false;
        }
        let answer = timeout(PATIENCE, peer.answer()).await.ok().flatten();
        answer.is_some_and(|ack| ack.code == "AA" && ack.control_id == id)
    }

    fn write_down(&mut self, what: char, id: &str) {
        writeln!(self.history, "{what} {id}").unwrap();
        self.history.sync_data().unwrap();
    }
}

/// The message of a sender at a step: five steps in the life of one person, then the next person.
fn message(sender: usize, step: usize) -> (String, String) {
    let (person, part) = (step / 5, step % 5);
    let id = format!("C{sender}-{step}");
    let kind = ["ADT^A08", "SIU^S12", "SIU^S26", "ORU^R01", "ADT^A31"][part];
    let head = format!("MSH|^~\\&|EPIC|RVS|HUB|HUB|2026110112{part:02}00||{kind}|{id}|P|2.5.1");
    let name = if part == 4 { "Sample" } else { "Example" };
    let pid = format!(
        "PID|1||TEST-{sender}-{person}^^^RVS^MR||{name}^Ada||19700102|F|||1 Sample St^^Albany^NY^12207^US||(555)555-0101^PRN^PH"
    );
    let rest = match part {
        0 => "DG1|1||E11.9^Type 2 diabetes^I10C|||F".to_owned(),
        1 | 2 => {
            format!("SCH|P{id}|F{sender}-{person}|||||||30|min|^^30^202611010900^202611010930")
        }
        3 => format!(
            "OBR|1|P{id}|F{id}|4548-4^HbA1c^LN|||20261101\nOBX|1|NM|4548-4^HbA1c^LN||0|%|||||F|||20261101"
        ),
        _ => String::new(),
    };
    (id, format!("{head}\n{pid}\n{rest}"))
}

/// What the senders wrote down.
#[derive(Default)]
struct History {
    sent: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
    again: usize,
}

impl History {
    fn read(&mut self, path: &Path) {
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let (what, id) = line.split_once(' ').unwrap();
            let fresh = match what {
                "S" => self.sent.insert(id.to_owned()),
                _ => self.acknowledged.insert(id.to_owned()),
            };
            self.again += usize::from(!fresh);
        }
    }
}

/// Waits until the hub has finished a message. Nothing of the test holds the database open when the
/// hub is killed: the next start finds it as a crash leaves it.
async fn some_progress(hub: &Served) {
    let finished = || async {
        let behind = Behind::open(&hub.database).await;
        let count = behind
            .number("SELECT count(*) FROM message WHERE state <> 'waiting'")
            .await;
        behind.close().await;
        count
    };
    let before = finished().await;
    until("a message is finished", || async {
        (finished().await > before).then_some(())
    })
    .await;
}

/// Waits until every message has an outcome and nothing is left that could be published now; for as
/// long as there is progress.
async fn drain(behind: &Behind) {
    let mut left = unfinished(behind).await;
    println!("{left} messages and envelopes are left after the last kill");
    while left > 0 {
        left = until("less is left to do", || async {
            let now = unfinished(behind).await;
            (now < left).then_some(now)
        })
        .await;
    }
}

/// A message whose three claims all ended in a kill is held, as one that kills the hub must be; an
/// operator's replay mends it. After a claim in a batch each goes alone, so a kill meets at most one,
/// and it takes two such kills.
async fn replay_exhausted(hub: &Served, behind: &Behind, kills: u64) {
    let held = "SELECT count(*) FROM message WHERE state = 'held' AND code = 'attempts-exhausted'";
    let exhausted = behind.number(held).await;
    println!("{exhausted} messages were held because three of their claims ended in a kill");
    assert!(
        exhausted.unsigned_abs() * 2 <= kills,
        "kills used up the attempts of neighbours"
    );
    if exhausted > 0 {
        hub.message(&[
            "replay",
            "--code",
            "attempts-exhausted",
            "--operator",
            "Test Operator",
        ]);
        drain(behind).await;
    }
}

/// Messages without an outcome, and envelopes that could be published now.
async fn unfinished(behind: &Behind) -> i64 {
    let now = careloop::clock::now().as_microsecond();
    let messages = "SELECT count(*) FROM message WHERE state = 'waiting'";
    let envelopes = format!(
        "SELECT count(*) FROM outbox \
         WHERE state = 'publishing' OR (state = 'waiting' AND due_at <= {now})"
    );
    behind.number(messages).await + behind.number(&envelopes).await
}

async fn check_messages(hub: &Served, behind: &Behind, history: &History) {
    let stored = behind.texts("SELECT control_id FROM message").await;
    let distinct: BTreeSet<String> = stored.iter().cloned().collect();
    assert_eq!(stored.len(), distinct.len(), "a message is stored twice");
    let lost: Vec<_> = history.acknowledged.difference(&distinct).collect();
    assert_eq!(lost, Vec::<&String>::new(), "acknowledged and not stored");
    let invented: Vec<_> = distinct.difference(&history.sent).collect();
    assert_eq!(invented, Vec::<&String>::new(), "stored and never sent");
    let counts = hub.counts();
    let number = |name: &str| counts[name].as_i64().unwrap();
    let ended = number("processed") + number("ignored") + number("held");
    assert_eq!(
        (number("waiting"), number("received")),
        (0, ended),
        "{counts}"
    );
    assert_eq!(ended, i64::try_from(stored.len()).unwrap());
    let stuck = behind
        .pairs("SELECT code, place FROM message WHERE state <> 'processed'")
        .await;
    let log = hub.logged();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    assert_eq!(
        stuck,
        [],
        "every message can be understood; {}",
        told.join("\n")
    );
    println!("{counts}");
}

/// What each message implies is there once: its own audit entry, its person, its assertions.
async fn check_effects(behind: &Behind) {
    let twice = "SELECT count(*) FROM message WHERE (SELECT count(*) FROM audit \
        WHERE audit.tenant = message.tenant AND audit.message = message.id AND action = 'message.apply') <> 1";
    assert_eq!(
        behind.number(twice).await,
        0,
        "a message was applied twice, or not at all"
    );
    let people = behind.number("SELECT count(*) FROM person").await;
    let identifiers = behind
        .number("SELECT count(*) FROM person_identifier")
        .await;
    assert_eq!(
        people, identifiers,
        "each invented person has one identifier"
    );
    for table in ["assertion", "task", "finding", "outbox", "audit"] {
        let orphans = format!(
            "SELECT count(*) FROM {table} AS effect WHERE message IS NOT NULL AND NOT EXISTS (\
             SELECT 1 FROM message WHERE message.tenant = effect.tenant AND message.id = effect.message)"
        );
        assert_eq!(
            behind.number(&orphans).await,
            0,
            "an effect in {table} without its message"
        );
    }
    let open = "SELECT count(*) FROM finding WHERE state = 'open' AND NOT EXISTS (\
        SELECT 1 FROM task WHERE task.tenant = finding.tenant AND task.finding = finding.id)";
    assert_eq!(
        behind.number(open).await,
        0,
        "an open finding without its task"
    );
    assert!(
        behind.number("SELECT count(*) FROM task").await > 0,
        "there were gaps to be found"
    );
}

/// One task a person, rule and cycle; one envelope a task and version, however often it was written.
async fn check_tasks(behind: &Behind, spooled: &[serde_json::Value]) {
    let keys = behind.number("SELECT count(DISTINCT key) FROM task").await;
    assert_eq!(keys, behind.number("SELECT count(*) FROM task").await);
    let stored: BTreeMap<String, String> = behind
        .pairs(&format!("SELECT {}, state FROM outbox", behind.hex("id")))
        .await
        .into_iter()
        .collect();
    let (mut tasks, mut versions) = (BTreeMap::new(), BTreeMap::new());
    for envelope in spooled {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let (id, data) = (text(&envelope["id"]), &envelope["data"]);
        let task = text(&data["task"]["id"]);
        let version = data["task"]["version"].as_u64().unwrap();
        let first = tasks
            .entry(text(&data["dedupe"]["key"]))
            .or_insert_with(|| task.clone());
        assert_eq!(*first, task, "one dedupe key, two tasks");
        let first = versions
            .entry((task, version))
            .or_insert_with(|| id.clone());
        assert_eq!(*first, id, "one version of a task, two envelopes");
    }
    let sent = stored.values().filter(|state| *state == "sent").count();
    println!(
        "{} lines in the spool, {} envelopes, {sent} sent",
        spooled.len(),
        versions.len()
    );
    assert!(versions.len() >= sent, "sent, and not in the spool");
    assert!(sent > 0, "nothing was published");
}
