//! Consent over the whole hub: what is not permitted stays, what is permitted leaves, and what is
//! withdrawn stops, whoever says so from whichever process.

use std::time::Duration;

use careloop::clock;
use careloop::store::{Effects, Error};
use uuid::Uuid;

use crate::support::behind::Behind;
use crate::support::clinic::{diagnosed, merged, registered, told};
use crate::support::database::Database;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::operator::BY;
use crate::support::wait::until;

const PHONE: &str = "(518)555-0101";

fn explicit_only() -> Setup {
    Setup {
        implied: false,
        ..Setup::default()
    }
}

async fn record(hub: &Hub, person: Uuid, decision: &str) {
    let person = person.to_string();
    let how = ["--method", "verbal", "--source", "FORM-1"];
    let what = [
        "consent",
        "record",
        &person,
        "--decision",
        decision,
        "--channel",
        "phone-live",
    ];
    hub.run(&[&what[..], &how[..], &BY[..]].concat()).await;
}

async fn entry_of(hub: &Hub, person: Uuid) -> String {
    let mut tx = hub.store().read(hub.tenant).await.unwrap();
    let record = tx.load(person, clock::now()).await.unwrap().unwrap();
    assert_eq!(record.entries.len(), 1);
    record.entries[0].id.to_string()
}

on_each_store! {
    async fn nothing_leaves_without_an_entry_and_a_recorded_one_releases_it(database) {
        let hub = Hub::start(database, explicit_only()).await;
        let behind = Behind::open(&hub.database).await;
        hub.peer("adt").await.send_bytes(diagnosed("TEST-1", PHONE).as_bytes()).await;
        hub.processed().await;
        let person = hub.person("TEST-1").await;
        let task = hub.task_of(person).await;
        assert_eq!(task.state, "withheld");
        assert_eq!(task.reason_codes, ["D13_NO_CONSENT"]);
        assert!(task.reason.unwrap().contains("No consent is on record"));
        let totals = hub.run(&["task", "withheld", "--json"]).await;
        let total = r#"{"state":"withheld","reason":"D13_NO_CONSENT","count":1}"#;
        assert_eq!(totals.trim(), total);
        assert!(hub.spooled().is_empty());

        record(&hub, person, "permit").await;
        hub.until_task_is(person, "requested").await;
        let spooled = hub.spooled();
        assert_eq!(spooled.len(), 1);
        let consent = &spooled[0]["data"]["consent"];
        assert!(consent["reasonCodes"].to_string().contains("P01_EXPLICIT_CONSENT"), "{consent}");
        let decisions = behind
            .pairs("SELECT stage, reason_codes FROM consent_decision ORDER BY at, id")
            .await;
        let stages: Vec<(&str, bool)> = decisions
            .iter()
            .map(|(stage, codes)| (stage.as_str(), codes.contains("P01_EXPLICIT_CONSENT")))
            .collect();
        assert_eq!(stages, [("made", false), ("made", true), ("published", true)]);
        let audited = behind.texts("SELECT actor FROM audit WHERE action = 'consent.record'").await;
        assert_eq!(audited, ["operator:Test Operator"]);
        assert_eq!(hub.run(&["task", "withheld", "--json"]).await, "");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_consent_withdrawn_by_another_process_stops_a_task_that_waits(database) {
        // Nothing covers the destination yet, so that what is allowed waits in the outbox.
        let hub = Hub::start(database, Setup { covers: r#"["adt"]"#, ..explicit_only() }).await;
        let mut peer = hub.peer("adt").await;
        let mut people = Vec::new();
        for number in ["TEST-1", "TEST-2"] {
            peer.send_bytes(diagnosed(number, PHONE).as_bytes()).await;
            hub.processed().await;
            let person = hub.person(number).await;
            record(&hub, person, "permit").await;
            hub.until_task_is(person, "queued").await;
            people.push(person);
        }
        let entry = entry_of(&hub, people[0]).await;
        hub.run(&[&["consent", "revoke", &entry][..], &BY[..]].concat()).await;
        let hub = hub.restart_as(explicit_only()).await;
        hub.until_task_is(people[1], "requested").await;
        let task = hub.until_task_is(people[0], "withheld").await;
        assert!(task.reason_codes.contains(&"D16_CONSENT_REVOKED".to_owned()), "{task:?}");
        hub.settled().await;
        let spooled = hub.spooled();
        assert_eq!(spooled.len(), 1, "only the other person's task left");
        assert_eq!(told(&spooled[0]).0, "requested");
        let outbox = hub.outbox().await;
        assert_eq!((outbox.sent, outbox.withdrawn), (1, 1));
        hub.daemon.stop().await;
    }
}

/// A hub whose only person has a task that left.
async fn asked(database: Database) -> (Hub, Uuid) {
    let hub = Hub::start(database, Setup::default()).await;
    let told = diagnosed("TEST-1", PHONE);
    hub.peer("adt").await.send_bytes(told.as_bytes()).await;
    hub.settled().await;
    let person = hub.person("TEST-1").await;
    (hub, person)
}

on_each_store! {
    async fn a_denial_withdraws_a_task_that_was_sent_as_its_second_version(database) {
        let (hub, person) = asked(database).await;
        assert_eq!(hub.task_of(person).await.state, "requested");
        record(&hub, person, "deny").await;
        hub.until_task_is(person, "cancelled").await;
        hub.settled().await;
        let spooled = hub.spooled();
        let [(first, task, one), (second, same, two)] =
            [told(&spooled[0]), told(&spooled[1])];
        assert_eq!((first.as_str(), one, second.as_str(), two), ("requested", 1, "cancelled", 2));
        assert_eq!(task, same);
        assert_ne!(spooled[0]["id"], spooled[1]["id"]);
        assert_eq!(spooled.len(), 2);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn what_a_denial_took_back_is_asked_anew_where_consent_is_given_again(database) {
        let (hub, person) = asked(database).await;
        let first = hub.task_of(person).await;
        record(&hub, person, "deny").await;
        hub.until_task_is(person, "cancelled").await;
        hub.peer("adt").await.send_bytes(registered("TEST-1", PHONE).as_bytes()).await;
        assert_eq!(hub.settled().await.len(), 1, "as long as the denial stands there is nothing to ask");
        record(&hub, person, "permit").await;
        let again = until("another task is published", || async {
            let tasks = hub.settled().await;
            tasks.into_iter().find(|task| task.state == "requested")
        })
        .await;
        assert_ne!(again.id, first.id, "what ended does not come back to life");
        hub.settled().await;
        let told: Vec<String> = hub.spooled().iter().map(|one| told(one).0).collect();
        assert_eq!(told, ["requested", "cancelled", "requested"]);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn an_import_is_whole_or_not_at_all_and_names_the_lines(database) {
        let hub = Hub::start(database, explicit_only()).await;
        let behind = Behind::open(&hub.database).await;
        let mut peer = hub.peer("adt").await;
        for number in ["TEST-1", "TEST-2"] {
            peer.send_bytes(diagnosed(number, PHONE).as_bytes()).await;
        }
        hub.processed().await;
        let head = "assigner,type,identifier,channel,purpose,content,decision,from,until,time,method,source";
        let row = |number: &str, decision: &str| {
            format!("RVS,MR,{number},,TREAT,,{decision},,,2025-01-01,written,\"FORM 1,\nsheet 2\"")
        };
        let file = hub.folder().join("consents.csv");
        let import = |rows: &[String]| {
            std::fs::write(&file, format!("{head}\n{}\n", rows.join("\n"))).unwrap();
            let command = ["consent", "import", file.to_str().unwrap()];
            hub.command(&[&command[..], &BY[..]].concat())
        };
        // Each row takes two lines; the empty line counts as well.
        let refused = import(&[
            row("TEST-1", "permit"),
            String::new(),
            row("TEST-404", "permit"),
            row("TEST-2", "maybe"),
        ]);
        let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(65), "{errors}");
        for part in ["nothing was imported", "line 5: identifier", "line 7: decision"] {
            assert!(errors.contains(part), "{errors}");
        }
        assert_eq!(behind.number("SELECT count(*) FROM consent_entry").await, 0);
        assert!(hub.tasks().await.iter().all(|task| task.state == "withheld"));

        let taken = import(&[row("TEST-1", "permit"), row("TEST-2", "deny")]);
        assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
        let permitted = hub.person("TEST-1").await;
        hub.until_task_is(permitted, "requested").await;
        let denied = hub.person("TEST-2").await;
        until("the denial is the reason", || async {
            let task = hub.task_of(denied).await;
            task.reason_codes.contains(&"D14_CONSENT_DENIED".to_owned()).then_some(())
        })
        .await;
        assert_eq!(hub.spooled().len(), 1);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_change_under_way_neither_withholds_nor_withdraws_by_itself(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let behind = Behind::open(&hub.database).await;
        let mut peer = hub.peer("adt").await;
        peer.send_bytes(diagnosed("TEST-1", PHONE).as_bytes()).await;
        peer.send_bytes(registered("TEST-2", PHONE).as_bytes()).await;
        hub.settled().await;
        let (sent, new) = (hub.person("TEST-1").await, hub.person("TEST-2").await);
        let mut holds = Vec::new();
        for person in [sent, new] {
            holds.push(hub.store().close_gate(hub.tenant, person).await.unwrap());
        }
        let now = clock::now();
        let mut tx = hub.store().write(hub.tenant).await.unwrap();
        tx.ask_again(sent, now).await.unwrap();
        tx.commit().await.unwrap();
        until("the calendar has looked", || async {
            let due = format!(
                "SELECT count(*) FROM person WHERE next_check_at <= {}", now.as_microsecond()
            );
            (behind.number(&due).await == 0).then_some(())
        })
        .await;
        assert_eq!(hub.task_of(sent).await.state, "requested");

        peer.send_bytes(diagnosed("TEST-2", PHONE).as_bytes()).await;
        hub.processed().await;
        until("the relay has looked and leaves it for later", || async {
            let later = "SELECT count(*) FROM outbox WHERE state = 'waiting' AND due_at > created_at";
            (behind.number(later).await == 1).then_some(())
        })
        .await;
        assert_eq!(hub.task_of(new).await.state, "queued");
        let mut tx = hub.store().write(hub.tenant).await.unwrap();
        for hold in holds {
            tx.open_gate(hold).await.unwrap();
        }
        tx.commit().await.unwrap();
        hub.until_task_is(new, "requested").await;
        assert_eq!(hub.spooled().len(), 2);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_calendar_that_read_before_a_consent_does_not_cover_its_call(database) {
        let hub = Hub::start(database, Setup { mode: "observe", ..Setup::default() }).await;
        hub.peer("adt").await.send_bytes(registered("TEST-1", PHONE).as_bytes()).await;
        hub.processed().await;
        let (person, now) = (hub.person("TEST-1").await, clock::now());
        let mut tx = hub.store().read(hub.tenant).await.unwrap();
        let read = tx.load(person, now).await.unwrap().unwrap();
        drop(tx);
        let mut tx = hub.store().write(hub.tenant).await.unwrap();
        tx.ask_again(person, now).await.unwrap();
        tx.commit().await.unwrap();
        let older = Effects {
            members: read.members.clone(),
            next_checks: vec![(person, None)],
            ..Effects::default()
        };
        let mut tx = hub.store().write(hub.tenant).await.unwrap();
        assert!(matches!(tx.apply(&[&older], now).await, Err(Error::Conflict)));
        drop(tx);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn the_gate_waits_for_what_is_published_under_a_merged_record(database) {
        let hub = Hub::start(database, Setup { covers: r#"["adt"]"#, ..Setup::default() }).await;
        let behind = Behind::open(&hub.database).await;
        let mut peer = hub.peer("adt").await;
        peer.send_bytes(registered("TEST-1", PHONE).as_bytes()).await;
        peer.send_bytes(diagnosed("TEST-2", PHONE).as_bytes()).await;
        hub.processed().await;
        let (survivor, retired) = (hub.person("TEST-1").await, hub.person("TEST-2").await);
        assert_eq!(hub.task_of(retired).await.state, "queued");
        peer.send_bytes(merged("TEST-1", "TEST-2").as_bytes()).await;
        hub.processed().await;
        assert_eq!(hub.person("TEST-2").await, survivor);
        // As a relay leaves it that is in the middle of a publish.
        let far = clock::now().as_microsecond() + 3_600_000_000;
        let publishing =
            format!("UPDATE outbox SET state = 'publishing', claim_deadline = {far} WHERE state = 'waiting'");
        assert_eq!(behind.run(&publishing).await, 1);
        let gate = hub.store().close_gate(hub.tenant, survivor);
        let early = tokio::time::timeout(Duration::from_millis(500), gate).await;
        assert!(early.is_err(), "the gate closed although a publish was under way");
        behind.run("UPDATE outbox SET state = 'sent'").await;
        hub.store().close_gate(hub.tenant, survivor).await.unwrap();
        hub.daemon.stop().await;
    }
}
