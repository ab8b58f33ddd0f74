//! Withdrawals by other processes while a relay publishes to a real RabbitMQ.
//!
//! The proof is the queue itself, which keeps the order of arrival: as soon as a withdrawal has
//! returned, a mark is published to the same queue. A task of that person behind the mark arrived
//! after the withdrawal had returned, and that must never be.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use careloop::clock;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel};
use serde_json::Value;
use uuid::Uuid;

use crate::support::behind::Behind;
use crate::support::broker;
use crate::support::clinic::{QUEUE, diagnosed, registered, told};
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::operator::BY;
use crate::support::wait::until;

/// Withdrawals in one run.
const PEOPLE: usize = 120;
/// How many of them run at once.
const AT_ONCE: usize = 4;

fn number(index: usize) -> String {
    format!("TEST-{index}")
}

fn phone(index: usize) -> String {
    format!("(518)555-{:04}", 100 + index)
}

/// Everybody is known and has permitted contact; nobody has a task yet.
async fn permitted(hub: &Hub) -> Vec<(Uuid, Uuid)> {
    let mut peer = hub.peer("adt").await;
    let mut rows = String::from(
        "assigner,type,identifier,channel,purpose,content,decision,from,until,time,method,source\n",
    );
    for index in 0..PEOPLE {
        peer.send_bytes(registered(&number(index), &phone(index)).as_bytes())
            .await;
        rows += &format!(
            "RVS,MR,{},,,,permit,,,2025-01-01,written,FORM-1\n",
            number(index)
        );
    }
    hub.processed().await;
    let file = hub.folder().join("consents.csv");
    std::fs::write(&file, rows).unwrap();
    let file = file.to_str().unwrap();
    hub.run(&["consent", "import", file, BY[0], BY[1]]).await;
    let mut people = Vec::new();
    for index in 0..PEOPLE {
        let person = hub.person(&number(index)).await;
        let mut tx = hub.store().read(hub.tenant).await.unwrap();
        let record = tx.load(person, clock::now()).await.unwrap().unwrap();
        assert_eq!(record.entries.len(), 1);
        people.push((person, record.entries[0].id));
    }
    people
}

/// Puts a mark behind everything that has arrived.
async fn mark(channel: &Channel, person: Uuid) {
    let properties = BasicProperties::default().with_type("mark".into());
    let options = BasicPublishOptions::default();
    channel
        .basic_publish(
            "".into(),
            QUEUE.into(),
            options,
            person.to_string().as_bytes(),
            properties,
        )
        .await
        .unwrap()
        .await
        .unwrap();
}

/// Everything in the queue, in the order of arrival.
async fn drain(channel: &Channel) -> Vec<BasicGetMessage> {
    let mut found = Vec::new();
    let options = BasicGetOptions { no_ack: true };
    while let Some(message) = channel.basic_get(QUEUE.into(), options).await.unwrap() {
        found.push(message);
    }
    found
}

/// What came of each person, read from the queue: whether the task arrived before the mark, and
/// how many tasks arrived behind it.
#[derive(Default)]
struct Seen {
    before: usize,
    behind: usize,
    is_marked: bool,
    last: Option<(String, u64)>,
}

fn read(messages: &[BasicGetMessage]) -> BTreeMap<String, Seen> {
    let mut people: BTreeMap<String, Seen> = BTreeMap::new();
    for message in messages {
        if message.delivery.properties.kind().is_some() {
            let person: Uuid = std::str::from_utf8(&message.delivery.data)
                .unwrap()
                .parse()
                .unwrap();
            people
                .entry(careloop::outbox::envelope::ulid(person))
                .or_default()
                .is_marked = true;
            continue;
        }
        let envelope: Value = serde_json::from_slice(&message.delivery.data).unwrap();
        let (kind, _, version) = told(&envelope);
        let person = envelope["data"]["for"]
            .as_str()
            .unwrap()
            .strip_prefix("Patient/")
            .unwrap();
        let seen = people.entry(person.to_owned()).or_default();
        if kind != "cancelled" && seen.is_marked {
            seen.behind += 1;
        } else if kind != "cancelled" {
            seen.before += 1;
        }
        let newer = seen
            .last
            .as_ref()
            .is_none_or(|(_, known)| version >= *known);
        assert!(newer, "a version arrived after a newer one");
        seen.last = Some((kind, version));
    }
    people
}

/// Withdraws each consent in a process of its own while the task of the same person is being made
/// and published. Who was first decides how much later than the other the next one begins, so that
/// the two keep meeting, however long this machine takes to start a process.
async fn race(hub: &Hub, people: &[(Uuid, Uuid)], channel: &Channel) {
    // By how many milliseconds the message is ahead of the withdrawal; below zero: behind it.
    let (next, ahead) = (AtomicUsize::new(0), AtomicI64::new(50));
    let pause =
        |millis: i64| tokio::time::sleep(Duration::from_millis(millis.try_into().unwrap_or(0)));
    let worker = || async {
        let mut peer = hub.peer("adt").await;
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((person, entry)) = people.get(index) else {
                return;
            };
            let entry = entry.to_string();
            let lead = ahead.load(Ordering::Relaxed);
            let withdrawal = async {
                pause(lead).await;
                hub.run(&["consent", "revoke", &entry, BY[0], BY[1]]).await;
                mark(channel, *person).await;
            };
            let text = diagnosed(&number(index), &phone(index));
            let message = async {
                pause(-lead).await;
                peer.send_bytes(text.as_bytes()).await;
            };
            tokio::join!(withdrawal, message);
            let left = hub
                .store()
                .task_list(hub.tenant, None, Some(*person), 1)
                .await;
            let was_late = left
                .unwrap()
                .iter()
                .any(|task| task.state != "withheld" && task.state != "queued");
            let change = |lead: i64| match was_late {
                true => Some((lead - 20).max(-3_000)),
                false => Some((lead + 20).min(1_000)),
            };
            ahead
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change)
                .unwrap();
        }
    };
    let workers = (0..AT_ONCE).map(|_| worker());
    futures_util::future::join_all(workers).await;
}

on_each_store! {
    async fn nothing_of_a_person_arrives_after_their_withdrawal_has_returned(database) {
        let Some(broker) = broker::share().await else { return };
        let setup = Setup { implied: false, broker: Some(broker.url()), ..Setup::default() };
        let hub = Hub::start(database, setup).await;
        let people = permitted(&hub).await;
        let (_connection, channel) = broker.channel().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        race(&hub, &people, &channel).await;
        // What was sent before its withdrawal is cancelled afterwards.
        hub.processed().await;
        until("every task is withheld or cancelled", || async {
            let tasks = hub.tasks().await;
            let is_over = |state: &str| state == "withheld" || state == "cancelled";
            (tasks.len() == PEOPLE && tasks.iter().all(|task| is_over(&task.state))).then_some(())
        })
        .await;
        hub.settled().await;
        let seen = read(&drain(&channel).await);
        let sent = seen.values().filter(|seen| seen.before > 0).count();
        let violations: usize = seen.values().map(|seen| seen.behind).sum();
        println!("{PEOPLE} withdrawals raced {sent} published tasks: {violations} violations");
        assert_eq!(seen.values().filter(|seen| seen.is_marked).count(), PEOPLE);
        assert_eq!(violations, 0);
        assert!(sent > 0 && sent < PEOPLE, "nothing raced: {sent} of {PEOPLE} left");
        for seen in seen.values().filter(|seen| seen.before > 0) {
            let (kind, version) = seen.last.clone().unwrap();
            assert_eq!((seen.before, kind.as_str(), version), (1, "cancelled", 2));
        }
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_withdrawal_waits_for_the_publish_under_way_and_cancels_it(database) {
        let Some(broker) = broker::alone().await else { return };
        let setup = Setup { implied: false, broker: Some(broker.url()), ..Setup::default() };
        let hub = Hub::start(database, setup).await;
        let behind = Behind::open(&hub.database).await;
        let mut peer = hub.peer("adt").await;
        let mut people = Vec::new();
        for number in ["TEST-1", "TEST-2"] {
            peer.send_bytes(registered(number, "(518)555-0101").as_bytes()).await;
            hub.processed().await;
            let person = hub.person(number).await;
            let id = person.to_string();
            let permit = ["--decision", "permit", "--method", "verbal", "--source", "FORM-1"];
            hub.run(&[&["consent", "record", &id][..], &permit[..], &BY[..]].concat()).await;
            people.push(person);
        }
        let person = people[1];
        let of_the_second = format!("SELECT {} FROM consent_entry ORDER BY id DESC", behind.hex("id"));
        let entry = behind.texts(&of_the_second).await;
        peer.send_bytes(diagnosed("TEST-1", "(518)555-0101").as_bytes()).await;
        hub.processed().await;
        hub.until_task_is(people[0], "requested").await; // the broker is reached
        let (_connection, channel) = broker.channel().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        assert_eq!(drain(&channel).await.len(), 1);

        broker.freeze(true);
        peer.send_bytes(diagnosed("TEST-2", "(518)555-0101").as_bytes()).await;
        until("the publish is under way", || async {
            (hub.outbox().await.publishing == 1).then_some(())
        })
        .await;
        let revoke = [&["consent", "revoke", &entry[0]][..], &BY[..]].concat();
        let mut withdrawal = hub.process(&revoke).spawn().unwrap();
        until("the withdrawal has put up its hold", || async {
            let holds = behind.number("SELECT count(*) FROM outreach_hold").await;
            (holds == 1).then_some(())
        })
        .await;
        assert_eq!(withdrawal.try_wait().unwrap(), None, "it returned during the publish");
        assert_eq!(hub.outbox().await.publishing, 1);
        broker.freeze(false);
        assert!(withdrawal.wait().unwrap().success());
        mark(&channel, person).await;
        hub.until_task_is(person, "cancelled").await;
        hub.settled().await;
        let seen = read(&drain(&channel).await);
        let seen = seen.values().next().unwrap();
        assert_eq!((seen.before, seen.behind, seen.is_marked), (1, 0, true));
        assert_eq!(seen.last, Some(("cancelled".to_owned(), 2)));
        hub.daemon.stop().await;
    }
}
