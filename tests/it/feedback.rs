//! Every answer of the CRM, end to end over a real RabbitMQ: what it does to task, finding, contact
//! point, consent and communications history.

use uuid::Uuid;

use crate::support::behind::Behind;
use crate::support::broker::{self, Broker};
use crate::support::clinic::diagnosed;
use crate::support::crm::{answer, published, say};
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::serving::Serving;
use crate::support::wait::until;

/// The type, its own fields, and: the task's state, why the finding rests, contacts, what else.
const TABLE: [(&str, &str, &str, &str, &str); 13] = [
    ("accepted", "", "accepted", "", ""),
    ("attempted", "", "in-progress", "", "contact"),
    ("left-message", "", "in-progress", "", "contact"),
    ("reached", "", "in-progress", "", "contact"),
    ("scheduled", "", "completed", "scheduled", ""),
    ("completed", "", "completed", "completed", ""),
    ("declined", "", "cancelled", "declined", ""),
    ("wrong-number", "", "withheld", "", "wrong"),
    (
        "call-back-at",
        r#","callBackAt":"CALL""#,
        "deferred",
        "",
        "",
    ),
    ("unreachable", "", "failed", "unreachable", ""),
    ("done-elsewhere", "", "completed", "done-elsewhere", ""),
    ("reported-deceased", "", "cancelled", "", "hold"),
    ("opted-out", r#","scope":"all""#, "cancelled", "", "opt-out"),
];

fn setup(broker: &Broker) -> Setup {
    Setup {
        broker: Some(broker.url()),
        ..Setup::default()
    }
}

/// Everything that an answer left behind for a person, in words.
async fn left_behind(behind: &Behind, person: Uuid) -> (String, String) {
    let is = format!("{} = '{}'", behind.hex("person"), person.simple());
    let rests = behind
        .texts(&format!("SELECT reason FROM finding_rest WHERE {is}"))
        .await;
    let mut found = Vec::new();
    for (word, table, more) in [
        ("contact", "contact_attempt", ""),
        ("wrong", "contact_point", " AND wrong_at IS NOT NULL"),
        ("hold", "outreach_hold", " AND until_at IS NULL"),
        ("opt-out", "opt_out", ""),
    ] {
        let count = format!("SELECT count(*) FROM {table} WHERE {is}{more}");
        if behind.number(&count).await > 0 {
            found.push(word);
        }
    }
    (rests.join(" "), found.join(" "))
}

on_each_store! {
    async fn every_answer_does_what_the_table_says_once(database) {
        let Some(broker) = broker::share().await else { return };
        let hub = Hub::start(database, setup(&broker)).await;
        let behind = Behind::open(&hub.database).await;
        let (_connection, channel) = broker.channel().await;
        let phones: Vec<(String, String)> = (0..TABLE.len())
            .map(|n| (format!("TEST-{n}"), format!("(518)555-01{n:02}")))
            .collect();
        let people: Vec<(&str, &str)> =
            phones.iter().map(|(number, phone)| (number.as_str(), phone.as_str())).collect();
        let tasks = published(&hub, &people).await;
        let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(48);
        for ((kind, own, ..), (_, task)) in TABLE.iter().zip(&tasks) {
            let own = own.replace("CALL", &soon.to_string());
            say(&channel, &answer(&format!("crm-{kind}"), *task, kind, &own)).await;
        }
        for ((kind, _, state, rest, beyond), (person, _)) in TABLE.iter().zip(&tasks) {
            hub.until_task_is(*person, state).await;
            let expected = ((*rest).to_owned(), (*beyond).to_owned());
            assert_eq!(left_behind(&behind, *person).await, expected, "{kind}");
        }
        // All of it again: nothing changes, and nothing counts twice.
        for ((kind, own, ..), (_, task)) in TABLE.iter().zip(&tasks) {
            let own = own.replace("CALL", &soon.to_string());
            say(&channel, &answer(&format!("crm-{kind}"), *task, kind, &own)).await;
        }
        say(&channel, &answer("crm-last", tasks[0].1, "accepted", "")).await;
        until("the last answer is recorded", || async {
            let last = "SELECT count(*) FROM task_event WHERE id = 'crm-last'";
            (behind.number(last).await == 1).then_some(())
        })
        .await;
        assert_eq!(behind.number("SELECT count(*) FROM task_event").await, 14);
        assert_eq!(behind.number("SELECT count(*) FROM contact_attempt").await, 3);
        assert_eq!(behind.number("SELECT count(*) FROM opt_out").await, 1);
        assert_eq!(behind.number("SELECT count(*) FROM outreach_hold").await, 1);
        let waits = behind.number("SELECT ask_at FROM task WHERE state = 'deferred'").await;
        assert_eq!(waits, soon.as_microsecond());
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn answers_that_do_not_fit_are_recorded_with_the_reason_and_move_nothing(database) {
        let Some(broker) = broker::share().await else { return };
        let hub = Hub::start(database, setup(&broker)).await;
        let behind = Behind::open(&hub.database).await;
        let (_connection, channel) = broker.channel().await;
        let people = [("TEST-1", "(518)555-0101"), ("TEST-2", "(518)555-0102")];
        let [(first, one), (second, two)] = published(&hub, &people).await[..] else {
            panic!("two people have a task each");
        };
        let ahead = answer("crm-1", one, "completed", "").replace(r#""version":1"#, r#""version":9"#);
        let topic = r#","topic":"01JD8Q2W7V3N5R6T8Y9ZABCDEG""#;
        let early = answer("crm-5", two, "attempted", "").replace("2025-03-02", "2025-03-01");
        for said in [
            ahead,
            answer("crm-2", one, "completed", topic),
            answer("crm-3", Uuid::now_v7(), "accepted", ""),
            answer("crm-4", two, "accepted", ""),
            early,
            answer("crm-6", two, "declined", ""),
            answer("crm-7", two, "completed", ""),
        ] {
            say(&channel, &said).await;
        }
        hub.until_task_is(second, "cancelled").await;
        until("the last answer is recorded", || async {
            let last = "SELECT count(*) FROM task_event WHERE id = 'crm-7'";
            (behind.number(last).await == 1).then_some(())
        })
        .await;
        let effects = behind.pairs("SELECT id, effect FROM task_event ORDER BY id").await;
        let effects: Vec<&str> = effects.iter().map(|(_, effect)| effect.as_str()).collect();
        let expected =
            ["version-not-sent", "other-topic", "unknown-task", "applied", "late", "applied", "state"];
        assert_eq!(effects, expected);
        assert_eq!(hub.task_of(first).await.state, "requested");
        // The late contact was a contact all the same.
        assert_eq!(behind.number("SELECT count(*) FROM contact_attempt").await, 1);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn answers_survive_kill_9_between_their_effect_and_their_acknowledgement(database) {
        let Some(broker) = broker::share().await else { return };
        let mut hub = Serving::start(database, &setup(&broker), "info").await;
        let behind = Behind::open(&hub.database).await;
        let (_connection, channel) = broker.channel().await;
        let mut peer = hub.peer().await;
        for n in 0..8 {
            let phone = format!("(518)555-01{n:02}");
            peer.send_bytes(diagnosed(&format!("TEST-{n}"), &phone).as_bytes()).await;
        }
        until("all tasks are published", || async {
            let count = "SELECT count(*) FROM task WHERE state = 'requested'";
            (behind.number(count).await == 8).then_some(())
        })
        .await;
        let tasks = behind.texts(&format!("SELECT {} FROM task ORDER BY id", behind.hex("id"))).await;
        for round in 0..3 {
            for (n, task) in tasks.iter().enumerate() {
                let task = Uuid::parse_str(task).unwrap();
                say(&channel, &answer(&format!("crm-{round}-{n}"), task, "attempted", "")).await;
            }
            hub.crash().await;
        }
        until("every answer is recorded", || async {
            let count = "SELECT count(*) FROM task_event WHERE applied";
            (behind.number(count).await == 24).then_some(())
        })
        .await;
        assert_eq!(behind.number("SELECT count(*) FROM contact_attempt").await, 24);
        assert_eq!(behind.number("SELECT min(contacts) FROM task").await, 3);
        assert_eq!(behind.number("SELECT max(contacts) FROM task").await, 3);
    }
}
