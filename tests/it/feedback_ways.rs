//! Tasks that come back: raised again after a rest, taken to a wider team, given back by the broker,
//! sent to the next contact point.

use lapin::options::{BasicGetOptions, BasicRejectOptions};
use serde_json::Value;
use uuid::Uuid;

use crate::support::behind::Behind;
use crate::support::broker::{self, Broker};
use crate::support::clinic::{QUEUE, diagnosed, told};
use crate::support::crm::{answer, published, say};
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::standing::status;
use crate::support::wait::until;

const TEAMS: &str = r#"
[[team]]
tenant = "riverside"
name = "team-7"
location = "main"
escalate_after = "200ms"
escalate_to = "team-8"
[[team]]
tenant = "riverside"
name = "team-8"
location = "main"
escalate_after = { routine = "200ms", urgent = "200ms" }
escalate_to = "coordination"
"#;
const TEAM_7: &str = "careloop.tasks.riverside.main.team-7";
const TEAM_8: &str = "careloop.tasks.riverside.main.team-8";

fn setup(broker: &Broker, more: &str) -> Setup {
    Setup {
        broker: Some(broker.url()),
        more: more.to_owned(),
        ..Setup::default()
    }
}

/// The states of a person's tasks, the oldest first.
async fn states(hub: &Hub, person: Uuid) -> Vec<String> {
    let tasks = hub
        .store()
        .task_list(hub.tenant, None, Some(person), 10)
        .await
        .unwrap();
    tasks.into_iter().rev().map(|task| task.state).collect()
}

async fn until_states(hub: &Hub, person: Uuid, wanted: &[&str]) {
    until(&format!("the tasks are {wanted:?}"), || async {
        (states(hub, person).await == wanted).then_some(())
    })
    .await;
}

/// Lets the time of every rest come, and the calendar look.
async fn rests_end(behind: &Behind) {
    behind
        .run("UPDATE finding_rest SET until_at = 1 WHERE until_at IS NOT NULL")
        .await;
    behind.run("UPDATE person SET next_check_at = 1").await;
}

async fn taken(broker: &Broker, queue: &str) -> Value {
    let message = broker.take(queue, 1).await.remove(0);
    serde_json::from_slice(&message.delivery.data).unwrap()
}

on_each_store! {
    async fn a_finding_is_raised_again_after_its_rest_and_a_wider_team_gets_the_last_task(database) {
        let Some(broker) = broker::share().await else { return };
        let teams = TEAMS.replace("200ms", "9d");
        let hub = Hub::start(database, setup(&broker, &teams)).await;
        let behind = Behind::open(&hub.database).await;
        let (_connection, channel) = broker.channel().await;
        let [(person, task)] = published(&hub, &[("TEST-1", "(518)555-0101")]).await[..] else {
            panic!("one task");
        };
        let mut task = task;
        let mut ended = Vec::new();
        for round in 0..3 {
            say(&channel, &answer(&format!("crm-{round}"), task, "unreachable", "")).await;
            ended.push("failed");
            until_states(&hub, person, &ended).await;
            // Nothing before its time.
            behind.run("UPDATE person SET next_check_at = 1").await;
            until("the calendar has looked", || async {
                let due = "SELECT count(*) FROM person WHERE next_check_at = 1";
                (behind.number(due).await == 0).then_some(())
            })
            .await;
            assert_eq!(states(&hub, person).await, ended);
            rests_end(&behind).await;
            let mut wanted = ended.clone();
            wanted.push("requested");
            until_states(&hub, person, &wanted).await;
            let newest = hub.store().task_list(hub.tenant, None, Some(person), 1).await.unwrap();
            task = newest[0].id.parse().unwrap();
            let team = if round == 2 { "team-8" } else { "team-7" };
            assert!(newest[0].routing_key.contains(team), "{}", newest[0].routing_key);
        }
        // The wider team could not reach the person either: that was all.
        say(&channel, &answer("crm-9", task, "unreachable", "")).await;
        until_states(&hub, person, &["failed"; 4]).await;
        rests_end(&behind).await;
        until("it is given up", || async {
            let given_up = "SELECT count(*) FROM audit WHERE action = 'finding.give-up'";
            (behind.number(given_up).await == 1).then_some(())
        })
        .await;
        assert_eq!(states(&hub, person).await, ["failed"; 4]);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn what_was_done_elsewhere_comes_back_as_a_request_for_records(database) {
        let Some(broker) = broker::share().await else { return };
        let hub = Hub::start(database, setup(&broker, "")).await;
        let behind = Behind::open(&hub.database).await;
        let (_connection, channel) = broker.channel().await;
        let [(person, task)] = published(&hub, &[("TEST-1", "(518)555-0101")]).await[..] else {
            panic!("one task");
        };
        taken(&broker, QUEUE).await;
        say(&channel, &answer("crm-1", task, "done-elsewhere", "")).await;
        until_states(&hub, person, &["completed"]).await;
        rests_end(&behind).await;
        until_states(&hub, person, &["completed", "requested"]).await;
        let asked = taken(&broker, QUEUE).await;
        assert_eq!(asked["data"]["task"]["code"], "records-request");
        assert_eq!(told(&asked).2, 1, "another task begins anew");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_task_that_nobody_takes_goes_to_wider_teams_and_is_then_shown_as_unanswered(database) {
        let Some(broker) = broker::share().await else { return };
        let more = format!("{TEAMS}[alerts]\nunanswered = \"1s\"\n");
        let hub = Hub::start(database, setup(&broker, &more)).await;
        let mut peer = hub.peer("adt").await;
        let said = diagnosed("TEST-1", "(518)555-0101");
        peer.send_bytes(said.as_bytes()).await;
        hub.processed().await;
        hub.until_task_is(hub.person("TEST-1").await, "requested").await; // the queues are there
        let mut seen = Vec::new();
        for queue in [TEAM_7, TEAM_8, QUEUE] {
            seen.push(told(&taken(&broker, queue).await));
        }
        let kinds: Vec<(&str, u64)> = seen.iter().map(|(kind, _, v)| (kind.as_str(), *v)).collect();
        assert_eq!(kinds, [("requested", 1), ("revised", 2), ("revised", 3)]);
        // "coordination" has no clock here: the task waits there until its due date.
        let person = hub.person("TEST-1").await;
        let task = hub.until_task_is(person, "requested").await;
        assert!(task.routing_key.starts_with("riverside.main.coordination."), "{task:?}");
        let widest = "riverside.main.coordination";
        until_unanswered(&hub, &[(widest, 1)]).await;
        let page = hub.run(&["status"]).await;
        let line = page.lines().find(|line| line.contains("unanswered") && line.contains(widest));
        assert!(line.is_some(), "{page}");
        let (_connection, channel) = broker.channel().await;
        let taken = answer("crm-1", task.id.parse().unwrap(), "accepted", "");
        say(&channel, &taken.replace(r#""version":1"#, r#""version":3"#)).await;
        hub.until_task_is(person, "accepted").await;
        until_unanswered(&hub, &[]).await;
        hub.daemon.stop().await;
    }
}

/// Waits until `status` tells the trouble `unanswered` of these teams alone, each with so many tasks.
async fn until_unanswered(hub: &Hub, expected: &[(&str, i64)]) {
    until("status shows what is unanswered", || async {
        let status = status(hub).await;
        let troubles = status["troubles"].as_array().unwrap().iter();
        let subjects: Vec<&str> = troubles
            .filter(|trouble| trouble["kind"] == "unanswered")
            .filter_map(|trouble| trouble["subject"].as_str())
            .collect();
        let teams = status["teams"].as_array().unwrap().iter();
        let counts: Vec<(&str, i64)> = teams
            .filter_map(|team| Some((team["team"].as_str()?, team["unanswered"].as_i64()?)))
            .filter(|(_, count)| *count > 0)
            .collect();
        let named: Vec<&str> = expected.iter().map(|(team, _)| *team).collect();
        (counts == expected && subjects == named).then_some(())
    })
    .await;
}

on_each_store! {
    async fn a_task_that_somebody_took_stays_where_it_is(database) {
        let Some(broker) = broker::share().await else { return };
        let teams = TEAMS.replace("200ms", "1h").replace("\"team-8\"\nlocation", "\"team-9\"\nlocation")
            .replace("escalate_to = \"team-8\"", "escalate_to = \"team-9\"");
        let hub = Hub::start(database, setup(&broker, &teams)).await;
        let behind = Behind::open(&hub.database).await;
        let (_connection, channel) = broker.channel().await;
        let people = [("TEST-1", "(518)555-0101"), ("TEST-2", "(518)555-0102")];
        let [(first, one), (second, _)] = published(&hub, &people).await[..] else {
            panic!("two tasks");
        };
        assert_eq!(behind.number("SELECT count(*) FROM task WHERE escalate_at > 0").await, 2);
        say(&channel, &answer("crm-1", one, "accepted", "")).await;
        hub.until_task_is(first, "accepted").await;
        behind.run("UPDATE task SET escalate_at = 1 WHERE escalate_at IS NOT NULL").await;
        until("the other one went to the wider team", || async {
            let task = hub.task_of(second).await;
            task.routing_key.contains("team-9").then_some(())
        })
        .await;
        assert!(hub.task_of(first).await.routing_key.contains("team-7"));
        hub.daemon.stop().await;
    }
}

/// Waits until `status` counts so many tasks that nobody took, and shows the trouble accordingly.
async fn until_not_taken(hub: &Hub, expected: i64) {
    until("status shows it, or its end", || async {
        let shown = hub.run(&["status", "--json"]).await;
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let troubles = shown["troubles"].as_array().unwrap();
        let stands = troubles.iter().any(|one| one["kind"] == "not-taken");
        let teams = shown["teams"].as_array().unwrap().iter();
        let count: i64 = teams.filter_map(|team| team["not_taken"].as_i64()).sum();
        (count == expected && stands == (expected > 0)).then_some(())
    })
    .await;
}

on_each_store! {
    async fn the_last_team_that_nobody_answers_from_is_shown_as_unanswered(database) {
        let Some(broker) = broker::share().await else { return };
        // A circle: the task goes round three times at most.
        let teams = TEAMS.replace("\"coordination\"", "\"team-7\"");
        let hub = Hub::start(database, setup(&broker, &teams)).await;
        let mut peer = hub.peer("adt").await;
        let said = diagnosed("TEST-1", "(518)555-0101");
        peer.send_bytes(said.as_bytes()).await;
        until("it is unanswered", || async {
            (hub.store().unanswered(hub.tenant).await.unwrap() == 1).then_some(())
        })
        .await;
        let task = hub.task_of(hub.person("TEST-1").await).await;
        assert_eq!((task.state.as_str(), task.version), ("requested", 4));
        // Shown where people look, and counted, until somebody takes it.
        until_not_taken(&hub, 1).await;
        let (_connection, channel) = broker.channel().await;
        let accepted = answer("crm-1", task.id.parse().unwrap(), "accepted", "");
        say(&channel, &accepted.replace(r#""version":1"#, r#""version":4"#)).await;
        until_not_taken(&hub, 0).await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_crm_that_sends_no_feedback_is_not_waited_for(database) {
        let Some(broker) = broker::share().await else { return };
        let quiet = Setup { tenant: "feedback = false".to_owned(), ..setup(&broker, TEAMS) };
        let hub = Hub::start(database, quiet).await;
        let behind = Behind::open(&hub.database).await;
        let [(person, _)] = published(&hub, &[("TEST-1", "(518)555-0101")]).await[..] else {
            panic!("one task");
        };
        assert_eq!(behind.number("SELECT count(*) FROM task WHERE escalate_at > 0").await, 0);
        behind.run("UPDATE task SET due_at = 1").await;
        behind.run("UPDATE person SET next_check_at = 1").await;
        until_states(&hub, person, &["expired"]).await;
        assert_eq!(behind.number("SELECT count(*) FROM finding_rest").await, 0);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_task_that_expires_unanswered_is_raised_again(database) {
        let Some(broker) = broker::share().await else { return };
        let hub = Hub::start(database, setup(&broker, "")).await;
        let behind = Behind::open(&hub.database).await;
        let [(person, _)] = published(&hub, &[("TEST-1", "(518)555-0101")]).await[..] else {
            panic!("one task");
        };
        behind.run("UPDATE task SET due_at = 1").await;
        behind.run("UPDATE person SET next_check_at = 1").await;
        until_states(&hub, person, &["expired"]).await;
        rests_end(&behind).await;
        until_states(&hub, person, &["expired", "requested"]).await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_task_that_nobody_was_told_of_in_time_gets_another_date_and_leaves(database) {
        let Some(broker) = broker::share().await else { return };
        // Nothing covers the destination yet, so that what is allowed waits in the outbox.
        let closed = Setup { covers: r#"["adt"]"#, ..setup(&broker, "") };
        let hub = Hub::start(database, closed).await;
        let mut peer = hub.peer("adt").await;
        for (number, phone) in [("TEST-1", "(518)555-0101"), ("TEST-2", "(518)555-0102")] {
            peer.send_bytes(diagnosed(number, phone).as_bytes()).await;
        }
        hub.processed().await;
        let people = [hub.person("TEST-1").await, hub.person("TEST-2").await];
        for person in people {
            hub.until_task_is(person, "queued").await;
        }
        let behind = Behind::open(&hub.database).await;
        // Whether one of them left is in doubt.
        let oldest = if behind.is_postgres() { "id::text = (SELECT min(id::text)" } else { "id = (SELECT min(id)" };
        let in_doubt = format!("UPDATE outbox SET last_outcome = 'unknown' WHERE {oldest} FROM outbox)");
        assert_eq!(behind.run(&in_doubt).await, 1);
        for late in ["UPDATE outbox SET expires_at = 1", "UPDATE task SET due_at = 1"] {
            assert_eq!(behind.run(late).await, 2);
        }
        // The relay finds them late, and has the calendar look.
        let hub = hub.restart_as(setup(&broker, "")).await;
        for person in people {
            hub.until_task_is(person, "requested").await;
        }
        assert_eq!(behind.number("SELECT count(*) FROM task WHERE due_at = 1").await, 0);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_task_that_no_consumer_can_take_comes_back_and_goes_to_the_wider_team(database) {
        let Some(broker) = broker::share().await else { return };
        let teams = TEAMS.replace("200ms", "9d");
        let hub = Hub::start(database, setup(&broker, &teams)).await;
        let behind = Behind::open(&hub.database).await;
        let (_connection, channel) = broker.channel().await;
        let [(person, _)] = published(&hub, &[("TEST-1", "(518)555-0101")]).await[..] else {
            panic!("one task");
        };
        let options = BasicGetOptions { no_ack: false };
        let message = channel.basic_get(TEAM_7.into(), options).await.unwrap().unwrap();
        message.acker.reject(BasicRejectOptions { requeue: false }).await.unwrap();
        until_states(&hub, person, &["dead-lettered"]).await;
        let reasons = behind.texts("SELECT returned_reason FROM outbox").await;
        assert_eq!(reasons, ["rejected"]);
        rests_end(&behind).await;
        until_states(&hub, person, &["dead-lettered", "requested"]).await;
        taken(&broker, TEAM_8).await;
        assert!(broker.take("careloop.tasks.dead", 0).await.is_empty());
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_wrong_number_leads_to_the_next_contact_point_until_the_record_changes(database) {
        let Some(broker) = broker::share().await else { return };
        let hub = Hub::start(database, setup(&broker, "")).await;
        let behind = Behind::open(&hub.database).await;
        let (_connection, channel) = broker.channel().await;
        let two = "(518)555-0101^PRN^PH~(518)555-0102";
        let [(person, task)] = published(&hub, &[("TEST-1", two)]).await[..] else {
            panic!("one task");
        };
        let first = taken(&broker, QUEUE).await;
        say(&channel, &answer("crm-1", task, "wrong-number", "")).await;
        let second = taken(&broker, QUEUE).await;
        assert_eq!(told(&second).0, "revised");
        assert_eq!(told(&second).2, 2);
        let point = |envelope: &Value| envelope["data"]["contact"]["contactPoint"].clone();
        assert_ne!(point(&first), point(&second));
        // The second is wrong, too: nothing is left, and the task is withheld with its reason.
        let again = answer("crm-2", task, "wrong-number", "").replace(r#""version":1"#, r#""version":2"#);
        say(&channel, &again).await;
        let withheld = hub.until_task_is(person, "withheld").await;
        let codes = &withheld.reason_codes;
        assert!(codes.contains(&"D18_NO_VALID_CONTACT".to_owned()), "{codes:?}");
        assert_eq!(told(&taken(&broker, QUEUE).await).0, "cancelled");
        // The EHR repeats itself: that is no news. Then it has another number.
        let mut peer = hub.peer("adt").await;
        let same = diagnosed("TEST-1", two).replace("A08-TEST-1", "A08-again");
        peer.send_bytes(same.as_bytes()).await;
        hub.processed().await;
        assert_eq!(behind.number("SELECT count(*) FROM contact_point WHERE wrong_at > 0").await, 2);
        let other = diagnosed("TEST-1", "(518)555-0103")
            .replace("A08-TEST-1", "A08-other")
            .replace("20250301120000", "20250302120000");
        peer.send_bytes(other.as_bytes()).await;
        hub.until_task_is(person, "requested").await;
        assert_eq!(told(&taken(&broker, QUEUE).await).0, "requested");
        assert_eq!(behind.number("SELECT count(*) FROM contact_point WHERE wrong_at > 0").await, 0);
        hub.daemon.stop().await;
    }
}
