//! One outreach, several reasons: findings share a task and leave it again, and a booked visit lets a
//! finding rest.

use careloop::care::FindingState;
use careloop::clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::support::behind::Behind;
use crate::support::broker::{self, Broker};
use crate::support::clinic::{QUEUE, told};
use crate::support::crm::{answer, say};
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::policy;
use crate::support::said::{DIABETES, Said, hours_ago};
use crate::support::wait::until;

/// A site whose schedule calls a diabetes visit `DMFU`.
fn setup(folder: &std::path::Path) -> Setup {
    let layer = "extends = \"hl7v2.siu\"\nlayer = \"test-site\"\n[tables.appointment_concept]\nDMFU = \"diabetes-visit\"\n";
    std::fs::write(folder.join("site.toml"), layer).unwrap();
    Setup {
        source: format!(
            "mappings = [\"hl7v2\", \"file:{}\"]",
            folder.join("site.toml").display()
        ),
        ..Setup::default()
    }
}

/// A referral that has had no answer for too long.
fn referral<'a>(id: &'a str, priority: &str) -> Said<'a> {
    let day = hours_ago(24 * 25);
    Said {
        at: day.clone(),
        ..Said::of("REF^I12", id, "TEST-1")
    }
    .with(format!("RF1||{priority}|||O|REF-1^HIS|{day}"))
}

fn ill<'a>(id: &'a str) -> Said<'a> {
    Said::of("ADT^A08", id, "TEST-1").with(DIABETES)
}

fn result<'a>(id: &'a str) -> Said<'a> {
    let day = hours_ago(1);
    let order = format!(
        "OBR|1|P-1^HIS|R-{id}^LAB|4548-4^Test^LN|||{day}|||||||||||||||{day}|||F\n\
         OBX|1|NM|4548-4^Test^LN||1|1|||||F|||{day}"
    );
    Said {
        at: hours_ago(1),
        ..Said::of("ORU^R01", id, "TEST-1")
    }
    .with(order)
}

/// A visit in a week; S12 books, S26 is a no-show.
fn visit<'a>(kind: &'a str, id: &'a str, hours: i64) -> Said<'a> {
    let start = hours_ago(-24 * 7);
    Said {
        at: hours_ago(hours),
        ..Said::of(kind, id, "TEST-1")
    }
    .with(format!("SCH||A-1^HIS||||||DMFU|30|min|^^30^{start}"))
}

fn kinds(envelope: &Value) -> Vec<&str> {
    let topics = envelope["data"]["topics"].as_array().unwrap();
    topics
        .iter()
        .map(|topic| topic["kind"].as_str().unwrap())
        .collect()
}

async fn states(hub: &Hub) -> Vec<FindingState> {
    let ada = hub.person("TEST-1").await;
    let mut states: Vec<FindingState> = hub
        .record(ada)
        .await
        .findings
        .iter()
        .map(|finding| finding.state)
        .collect();
    states.sort_unstable();
    states
}

/// Since when the team's oldest task waits for an answer.
async fn unanswered_since(hub: &Hub) -> Timestamp {
    let teams = hub.store().queue_standings(hub.tenant).await.unwrap();
    teams[0].oldest_unanswered_at.unwrap()
}

on_each_store! {
    async fn two_findings_share_a_task_and_each_change_is_a_newer_version(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[referral("F-1", "R")]).await;
        let tasks = hub.settled().await;
        assert_eq!((tasks.len(), tasks[0].state.as_str()), (1, "requested"));
        let since = unanswered_since(&hub).await;
        hub.hear(&[ill("D-1")]).await;
        let tasks = hub.settled().await;
        assert_eq!(tasks.len(), 1, "the second finding joins the first one's task");
        hub.hear(&[result("R-1")]).await;
        let tasks = hub.settled().await;
        assert_eq!((tasks.len(), tasks[0].state.as_str()), (1, "requested"));
        let envelopes = hub.spooled();
        let versions: Vec<(String, u64)> = envelopes
            .iter()
            .map(|envelope| { let (kind, _, version) = told(envelope); (kind, version) })
            .collect();
        assert_eq!(since, unanswered_since(&hub).await, "a revision does not begin the team's time anew");
        let expected = [("requested", 1), ("revised", 2), ("revised", 3)];
        assert_eq!(versions, expected.map(|(kind, version)| (kind.to_owned(), version)));
        assert_eq!(kinds(&envelopes[1]), ["referral", "chronic-follow-up"]);
        assert_eq!(kinds(&envelopes[2]), ["referral"]);
        for envelope in &envelopes {
            assert_eq!(envelope["data"]["task"]["id"], envelopes[0]["data"]["task"]["id"]);
            assert_eq!(envelope["data"]["dedupe"]["key"], envelopes[0]["data"]["dedupe"]["key"]);
        }
    }
}

async fn take(broker: &Broker, count: usize) -> Vec<Value> {
    let messages = broker.take(QUEUE, count).await;
    let read = |message: &lapin::message::BasicGetMessage| {
        serde_json::from_slice(&message.delivery.data).unwrap()
    };
    messages.iter().map(read).collect()
}

on_each_store! {
    async fn an_answer_about_one_reason_leaves_the_others_and_the_task(database) {
        let Some(broker) = broker::share().await else { return };
        let setup = Setup {
            broker: Some(broker.url()),
            tenant: r#"rests = { hba1c-due = { evidence_within = "90d" } }"#.to_owned(),
            ..Setup::default()
        };
        let hub = Hub::start(database, setup).await;
        let behind = Behind::open(&hub.database).await;
        hub.hear(&[referral("F-1", "R")]).await;
        hub.settled().await;
        hub.hear(&[ill("D-1")]).await;
        hub.settled().await;
        let both = take(&broker, 2).await.remove(1);
        assert_eq!(kinds(&both), ["referral", "chronic-follow-up"]);
        let gap = both["data"]["topics"][1]["gapId"].as_str().unwrap().to_owned();
        let ada = hub.person("TEST-1").await;
        let task = hub.task_of(ada).await.id.parse().unwrap();
        let (_connection, channel) = broker.channel().await;
        let one = format!(r#","topic":"{gap}""#);
        let answer = |id, version: u32, kind, own: &str| {
            answer(id, task, kind, own).replace(r#""version":1"#, &format!(r#""version":{version}"#))
        };
        say(&channel, &answer("crm-1", 2, "completed", &one)).await;
        let rest = take(&broker, 1).await.remove(0);
        let (kind, _, version) = told(&rest);
        assert_eq!((kind.as_str(), version, kinds(&rest)), ("revised", 3, vec!["referral"]));
        assert_eq!(hub.task_of(ada).await.state, "requested", "the task goes on with the other reason");
        let rests = "SELECT reason FROM finding_rest ORDER BY reason";
        assert_eq!(behind.texts(rests).await, ["completed"]);
        // As long as its rule says, where that differs from the tenant's thirty days.
        let in_days = |days: i64| (clock::now() + SignedDuration::from_hours(24 * days)).as_microsecond();
        let long = format!("SELECT count(*) FROM finding_rest WHERE until_at > {} AND until_at <= {}", in_days(89), in_days(90));
        assert_eq!(behind.number(&long).await, 1);
        // Once more about the same reason: it is none of the task's any more.
        say(&channel, &answer("crm-2", 3, "declined", &one)).await;
        until("it is recorded", || async {
            let effects = behind.texts("SELECT effect FROM task_event ORDER BY id").await;
            (effects == ["applied", "other-topic"]).then_some(())
        })
        .await;
        say(&channel, &answer("crm-3", 3, "scheduled", "")).await;
        hub.until_task_is(ada, "completed").await;
        assert_eq!(behind.texts(rests).await, ["completed", "scheduled"], "each reason has its own answer");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn an_urgent_finding_waits_for_no_other_and_others_join_it(database) {
        let tenant = policy::shares_within_a_month(database.folder.path());
        let hub = Hub::start(database, Setup { quiet_hours: true, tenant, ..Setup::default() }).await;
        hub.hear(&[ill("D-1")]).await;
        assert_eq!(hub.settled().await.len(), 1);
        hub.hear(&[referral("F-1", "S")]).await;
        let tasks = hub.settled().await;
        assert_eq!(tasks.len(), 2, "a published routine task takes in nothing urgent");
        let urgent: Vec<Value> = hub.spooled().into_iter().filter(|one| one["data"]["task"]["priority"] == "stat").collect();
        assert_eq!(urgent.len(), 1);
        assert_eq!(kinds(&urgent[0]), ["referral"]);

        // Where the urgent one is out first, what is less urgent joins it and waits for nothing.
        let bea = |said: Said<'static>| Said { numbers: "TEST-2", name: "Sample^Bea", born: "19810203", ..said };
        hub.hear(&[bea(referral("F-2", "S"))]).await;
        hub.settled().await;
        let own = hub.task_of(hub.person("TEST-2").await).await;
        hub.hear(&[bea(ill("D-2"))]).await;
        hub.settled().await;
        let own = hub.task_of(own.person.parse().unwrap()).await;
        assert_eq!(hub.told(&own.id), [("requested".to_owned(), 1), ("revised".to_owned(), 2)]);
        let sent = hub.spooled();
        let joined = &sent.last().unwrap()["data"];
        assert_eq!(kinds(sent.last().unwrap()), ["referral", "chronic-follow-up"], "the urgent one leads");
        assert_eq!(joined["task"]["priority"], "stat");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_booked_visit_parks_its_finding_and_a_no_show_asks_anew(database) {
        let setup = setup(database.folder.path());
        let hub = Hub::start(database, setup).await;
        hub.hear(&[ill("D-1")]).await;
        assert_eq!(hub.settled().await[0].state, "requested");
        hub.hear(&[visit("SIU^S12", "V-1", 3)]).await;
        assert_eq!(hub.settled().await[0].state, "cancelled");
        assert_eq!(hub.spooled()[1]["data"]["task"]["statusReason"], "appointment-booked");
        assert_eq!(states(&hub).await, [FindingState::Parked]);
        hub.hear(&[visit("SIU^S26", "V-2", 2)]).await;
        let tasks = hub.settled().await;
        let envelopes = hub.spooled();
        let last = told(envelopes.iter().rev().find(|one| kinds(one) == ["chronic-follow-up"]).unwrap());
        assert_eq!((last.0.as_str(), last.2), ("requested", 1), "a new task, not the old one");
        assert!(states(&hub).await.contains(&FindingState::Open));
        assert!(tasks.len() >= 2);
    }
}

on_each_store! {
    async fn a_visit_that_is_called_off_asks_anew_and_another_one_parks_again(database) {
        let setup = setup(database.folder.path());
        let hub = Hub::start(database, setup).await;
        hub.hear(&[ill("D-1")]).await;
        let first = hub.settled().await.remove(0);
        hub.hear(&[visit("SIU^S12", "V-1", 4)]).await;
        hub.settled().await;
        assert_eq!(states(&hub).await, [FindingState::Parked]);
        let gone = [("requested".to_owned(), 1), ("cancelled".to_owned(), 2)];
        assert_eq!(hub.told(&first.id), gone);

        hub.hear(&[visit("SIU^S15", "V-2", 3)]).await;
        let mut tasks = hub.settled().await;
        assert_eq!(states(&hub).await, [FindingState::Open]);
        assert_eq!(tasks.len(), 2, "nobody missed anything: {tasks:?}");
        tasks.retain(|task| task.id != first.id);
        let second = tasks.remove(0);
        assert_eq!((second.state.as_str(), hub.told(&second.id)), ("requested", gone[..1].to_vec()));
        assert_eq!(kinds(hub.spooled().last().unwrap()), ["chronic-follow-up"]);

        hub.hear(&[visit("SIU^S12", "V-3", 2)]).await;
        hub.settled().await;
        assert_eq!(states(&hub).await, [FindingState::Parked]);
        assert_eq!(hub.told(&second.id), gone);
        assert_eq!(hub.told(&first.id), gone, "what ended stays as it was");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_finding_that_a_result_closed_says_so(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[ill("D-1"), result("R-1")]).await;
        let ada = hub.person("TEST-1").await;
        let record = hub.record(ada).await;
        let closed: Vec<&str> = record
            .findings
            .iter()
            .map(|finding| finding.detail.reason.as_str())
            .collect();
        assert!(closed.iter().all(|reason| reason.contains("is on record; the next falls due")), "{closed:?}");
        assert_eq!(closed.len(), 1);
    }
}
