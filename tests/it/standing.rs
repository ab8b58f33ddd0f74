//! How the hub stands, as operators and their webhook are told; stops of all outreach.

use careloop::clock;
use jiff::SignedDuration;
use serde_json::Value;

use crate::support::clinic::{diagnosed, registered};
use crate::support::database::Database;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::operator::{ASKER, BY};
use crate::support::policy;
use crate::support::serving::Serving;
use crate::support::standing::status;
use crate::support::wait::until;
use crate::support::webhook::Webhook;

const PHONE: &str = "(518)555-0101";

async fn outreach(hub: &Hub, what: &str) -> String {
    hub.run(&[&["outreach", what][..], &ASKER[..]].concat())
        .await
}

on_each_store! {
    async fn while_outreach_is_stopped_everything_is_computed_and_nothing_leaves(database) {
        let hub = Hub::start(database, Setup::default()).await;
        assert!(outreach(&hub, "stop").await.contains("stopped"));
        assert!(outreach(&hub, "stop").await.contains("already"));
        hub.peer("adt").await.send_bytes(diagnosed("TEST-1", PHONE).as_bytes()).await;
        hub.settled().await;
        let person = hub.person("TEST-1").await;
        hub.until_task_is(person, "observed").await;
        assert!(hub.spooled().is_empty());
        assert_eq!(status(&hub).await["stop"]["operator"], "Test Operator");
        let preview = hub.run(&["outreach", "preview", "--as", "live", "--json"]).await;
        let preview: Value = serde_json::from_str(&preview).unwrap();
        assert_eq!((&preview["rule"], &preview["would_leave"]), (&"hba1c-due".into(), &1.into()));

        let hub = hub.restart().await;
        hub.until_task_is(person, "observed").await;
        assert!(hub.spooled().is_empty(), "a stop outlives a restart");

        assert!(outreach(&hub, "resume").await.contains("leaves again"));
        hub.until_task_is(person, "requested").await;
        assert_eq!(hub.spooled().len(), 1);
        assert!(outreach(&hub, "resume").await.contains("not stopped"));
        hub.daemon.stop().await;
    }
}

/// A consent to live calls from an instant on.
async fn permit(hub: &Hub, number: &str, from: &str) {
    let person = hub.person(number).await.to_string();
    let what = [
        "consent",
        "record",
        &person,
        "--decision",
        "permit",
        "--channel",
        "phone-live",
    ];
    let how = ["--from", from, "--method", "verbal", "--source", "CALL-1"];
    hub.run(&[&what[..], &how[..], &BY[..]].concat()).await;
}

on_each_store! {
    async fn a_preview_as_pilot_tells_what_leaves_what_is_withheld_and_how_many_days_that_takes(database) {
        let setup = Setup { mode: "observe", implied: false, tenant: "pilot_daily_cap = 2".to_owned(), ..Setup::default() };
        let hub = Hub::start(database, setup).await;
        let mut peer = hub.peer("adt").await;
        let phone = |n: usize| format!("(518)555-01{n:02}");
        for n in 1..=5 {
            peer.send_bytes(registered(&format!("TEST-{n}"), &phone(n)).as_bytes()).await;
        }
        hub.processed().await;
        let today = (clock::now() - SignedDuration::from_hours(1)).to_string();
        let tomorrow = (clock::now() + SignedDuration::from_hours(24)).to_string();
        for (number, from) in [("TEST-1", &today), ("TEST-2", &today), ("TEST-3", &today), ("TEST-4", &tomorrow)] {
            permit(&hub, number, from).await;
        }
        for n in 1..=5 {
            peer.send_bytes(diagnosed(&format!("TEST-{n}"), &phone(n)).as_bytes()).await;
        }
        assert_eq!(hub.settled().await.len(), 5);
        let preview = hub.run(&["outreach", "preview", "--as", "pilot", "--json"]).await;
        let preview: Value = serde_json::from_str(&preview).unwrap();
        let expected = serde_json::json!({
            // A consent that begins tomorrow permits nothing today.
            "rule": "hba1c-due", "team": "riverside.main.coordination", "observed": 5,
            "would_leave": 3, "would_wait": 0, "withheld": { "D13_NO_CONSENT": 2 },
        });
        assert_eq!(preview, expected);
        let page = hub.run(&["outreach", "preview", "--as", "pilot"]).await;
        assert!(page.contains("at most 2 a day leave (pilot_daily_cap), so that 3 take 2 days"), "{page}");
        assert!(page.contains("2 D13_NO_CONSENT"), "{page}");
        let live = hub.run(&["outreach", "preview", "--as", "live"]).await;
        assert!(live.contains("as live: 3 leave at once"), "{live}");

        // As a pilot it comes as it was told: two today, the third not.
        let setup = Setup { mode: "pilot", implied: false, tenant: "pilot_daily_cap = 2".to_owned(), ..Setup::default() };
        let hub = hub.restart_as(setup).await;
        until("the pilot has asked everybody anew", || async {
            let tasks = hub.settled().await;
            let count = |state| tasks.iter().filter(|task| task.state == state).count();
            (count("requested") == 2 && hub.spooled().len() == 2).then_some(())
        })
        .await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_preview_outside_the_hours_says_that_all_would_wait(database) {
        let tenant = policy::closed_now(database.folder.path()) + "\npilot_daily_cap = 0";
        let setup = Setup { mode: "observe", quiet_hours: true, tenant, ..Setup::default() };
        let hub = Hub::start(database, setup).await;
        hub.peer("adt").await.send_bytes(diagnosed("TEST-1", PHONE).as_bytes()).await;
        hub.settled().await;
        let preview = hub.run(&["outreach", "preview", "--json"]).await;
        let preview: Value = serde_json::from_str(&preview).unwrap();
        assert!(preview["would_leave"] == 0 && preview["would_wait"] == 1, "{preview}");
        assert_eq!(preview["withheld"], serde_json::json!({}));
        let page = hub.run(&["outreach", "preview"]).await;
        assert!(page.contains("pilot_daily_cap is 0: only people included by name"), "{page}");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_trouble_is_told_once_and_its_end_once(database) {
        let told = Webhook::listen().await;
        let more = format!("[alerts]\nwebhook = \"{}\"\n", told.url);
        let hub = Hub::start(database, Setup { more, ..Setup::default() }).await;
        let mut peer = hub.peer("adt").await;
        peer.send_bytes(diagnosed("", PHONE).as_bytes()).await;
        assert_eq!(hub.processed().await.held, 1);
        outreach(&hub, "stop").await;
        let both = || async {
            let told = told.of("messages-held").len() + told.of("outreach-stopped").len();
            (told == 2).then_some(())
        };
        until("both troubles are told", both).await;
        let held = told.of("messages-held").remove(0);
        assert_eq!((&held["subject"], &held["state"]), (&"adt".into(), &"firing".into()));
        assert!(held["first_step"].as_str().unwrap().contains("message count --reasons"));

        outreach(&hub, "resume").await;
        until("its end is told", || async {
            (told.of("outreach-stopped").len() == 2).then_some(())
        })
        .await;
        // The next looks find the same: nothing is told again.
        let now = status(&hub).await;
        until("the hub has looked again", || async {
            let later = status(&hub).await;
            (later["sources"][0]["at"] != now["sources"][0]["at"]).then_some(())
        })
        .await;
        let stops = told.of("outreach-stopped");
        let states: Vec<&str> = stops.iter().map(|one| one["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["firing", "resolved"]);
        assert_eq!(stops[0]["id"], stops[1]["id"]);
        assert_eq!(told.of("messages-held").len(), 1);
        let now = status(&hub).await;
        assert_eq!(now["troubles"].as_array().unwrap().len(), 1, "{now}");
        assert_eq!(now["sources"][0]["held"], serde_json::json!([{"code": "required-missing", "count": 1}]));
        for notice in told.all() {
            let text = notice.to_string();
            assert!(!text.contains("Example") && !text.contains("555-01") && !text.contains("518555"), "{text}");
        }
        hub.daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trouble_that_no_webhook_takes_is_in_the_log_once() {
    // Nobody listens on port 1.
    let more = "[alerts]\nwebhook = \"http://127.0.0.1:1/\"\n".to_owned();
    let setup = Setup {
        more,
        ..Setup::default()
    };
    let mut hub = Serving::start(Database::sqlite(), &setup, "info").await;
    hub.told(&[&["outreach", "stop"][..], &ASKER[..]].concat());
    until("it was told twice, in vain", || async {
        let log = hub.log();
        let in_vain = log.matches("an alert was not taken").count();
        (in_vain >= 2).then_some(())
    })
    .await;
    assert!(hub.stop().success());
    let log = hub.log();
    let told = log.lines().filter(|line| line.contains("outreach-stopped"));
    assert_eq!(told.count(), 1, "{log}");
}

#[tokio::test]
async fn a_backup_that_is_put_in_place_comes_up_with_outreach_stopped() {
    let hub = Hub::start(Database::sqlite(), Setup::default()).await;
    let copy = hub.folder().join("copy.db");
    hub.peer("adt")
        .await
        .send_bytes(diagnosed("TEST-1", PHONE).as_bytes())
        .await;
    hub.settled().await;
    let person = hub.person("TEST-1").await;
    hub.run(&["backup", copy.to_str().unwrap()]).await;
    let again = hub.command(&["backup", copy.to_str().unwrap()]);
    assert_eq!(
        again.status.code(),
        Some(78),
        "a file that is there is never replaced"
    );
    assert_eq!(
        status(&hub).await["stop"],
        Value::Null,
        "the store itself goes on"
    );

    // The machine is lost; the copy takes the file's place, under its number too.
    let (daemon, database, setup) = hub.apart();
    daemon.stop().await;
    let file = database.folder.path().join("careloop.db");
    for rest in ["careloop.db-wal", "careloop.db-shm"] {
        drop(std::fs::remove_file(database.folder.path().join(rest)));
    }
    std::fs::copy(&copy, &file).unwrap();
    let hub = Hub::start(database, setup).await;
    assert_eq!(status(&hub).await["stop"]["reason"], "restored");
    assert_eq!(hub.person("TEST-1").await, person);
    hub.peer("adt")
        .await
        .send_bytes(diagnosed("TEST-2", PHONE).as_bytes())
        .await;
    hub.settled().await;
    hub.until_task_is(hub.person("TEST-2").await, "observed")
        .await;
    assert_eq!(hub.spooled().len(), 1, "only what left before the backup");
    outreach(&hub, "resume").await;
    hub.until_task_is(hub.person("TEST-2").await, "requested")
        .await;
    hub.daemon.stop().await;
}

#[tokio::test]
async fn a_database_that_was_copied_comes_up_with_outreach_stopped() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let hub = Hub::start(database, Setup::default()).await;
    hub.peer("adt")
        .await
        .send_bytes(diagnosed("TEST-1", PHONE).as_bytes())
        .await;
    hub.settled().await;
    let (daemon, database, setup) = hub.apart();
    daemon.stop().await;
    let database = database.copied().await;
    let hub = Hub::start(database, setup).await;
    assert_eq!(status(&hub).await["stop"]["reason"], "restored");
    let hub = hub.restart().await;
    outreach(&hub, "resume").await;
    let hub = hub.restart().await;
    assert_eq!(
        status(&hub).await["stop"],
        Value::Null,
        "a restart alone is no restoration"
    );
    hub.daemon.stop().await;
}
