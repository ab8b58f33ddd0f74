//! Appointments that are to come: a confirmation is asked for through a real RabbitMQ, taken back
//! and asked for anew when the appointment moves, and taken back for good when it is called off.

use careloop::clock;
use careloop::store::TaskListing;
use jiff::{SignedDuration, tz::TimeZone};
use serde_json::Value;

use crate::support::broker::{self, Broker};
use crate::support::clinic::{QUEUE, told};
use crate::support::crm::{answer, say};
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::peer::lines;
use crate::support::policy;
use crate::support::wait::until;

/// The rules under test, live.
const RULES: &str =
    r#"rules = { appointment-confirmation = "live", appointment-reminder = "live" }"#;

/// Hours from now, in the zone of the source.
fn hours_on(hours: i64) -> String {
    let zone = TimeZone::get("America/New_York").unwrap();
    let at = (clock::now() + SignedDuration::from_hours(hours)).to_zoned(zone);
    at.strftime("%Y%m%d%H%M%S").to_string()
}

/// A message about an appointment; each is told a minute after the one before.
fn visit(kind: &str, minute: i64, start: &str, status: &str) -> String {
    let zone = TimeZone::get("America/New_York").unwrap();
    let at = (clock::now() - SignedDuration::from_mins(60 - minute)).to_zoned(zone);
    let at = at.strftime("%Y%m%d%H%M%S");
    let phone = "(518)555-0101^PRS^CP";
    let email = format!("^NET^X.400^ada@example.org{}1", "^".repeat(14));
    lines(&format!(
        r"
        MSH|^~\&|SCHED|RVS|CARELOOP|HUB|{at}||SIU^{kind}|{kind}-{minute}|P|2.7
        SCH||F-1^HIS|||||||30|min|^^30^{start}||||||||||||||{status}
        PID|1||TEST-1^^^RVS^MR||Example^Ada||19700102|F|||1 Sample St^^Albany^NY^12207^US||{phone}~{email}
        "
    ))
}

async fn hear(hub: &Hub, text: &str) {
    let ack = hub.peer("adt").await.send_bytes(text.as_bytes()).await;
    assert_eq!(ack.code, "AA");
    hub.processed().await;
}

async fn take(broker: &Broker, count: usize) -> Vec<Value> {
    let messages = broker.take(QUEUE, count).await;
    assert_eq!(messages.len(), count);
    let read = |message: &lapin::message::BasicGetMessage| {
        serde_json::from_slice(&message.delivery.data).unwrap()
    };
    messages.iter().map(read).collect()
}

/// The task in this state, once there is one.
async fn in_state(hub: &Hub, state: &str) -> TaskListing {
    until(&format!("a task is {state}"), || async {
        let tasks = hub.tasks().await;
        tasks.into_iter().find(|task| task.state == state)
    })
    .await
}

fn setup(broker: Option<&Broker>) -> Setup {
    Setup {
        broker: broker.map(Broker::url),
        rules: Some(RULES),
        ..Setup::default()
    }
}

on_each_store! {
    async fn a_confirmation_is_asked_for_taken_back_when_the_visit_moves_and_ends_with_it(database) {
        let Some(broker) = broker::share().await else { return };
        let hub = Hub::start(database, setup(Some(&broker))).await;
        hear(&hub, &visit("S12", 1, &hours_on(5 * 24), "Booked")).await;
        let first = take(&broker, 1).await.remove(0);
        let (kind, old, version) = told(&first);
        assert_eq!((kind.as_str(), version), ("requested", 1));
        let task = &first["data"]["task"];
        assert_eq!(task["code"], "confirm-appointment");
        assert_eq!(task["performerRole"], "scheduler", "implied consent is for a person's call");
        assert_eq!(first["data"]["contact"]["channel"], "phone-live");

        hear(&hub, &visit("S13", 2, &hours_on(6 * 24), "Booked")).await;
        let moved = take(&broker, 2).await;
        let mut kinds: Vec<(String, String, u64)> = moved.iter().map(told).collect();
        kinds.sort();
        let [(cancelled, same, two), (requested, new, one)] = kinds.try_into().unwrap();
        assert_eq!((cancelled.as_str(), two, requested.as_str(), one), ("cancelled", 2, "requested", 1));
        assert!(same == old && new != old, "the old one ends, another one begins");

        hear(&hub, &visit("S15", 3, &hours_on(6 * 24), "")).await;
        let (kind, last, version) = told(&take(&broker, 1).await[0]);
        assert_eq!((kind.as_str(), last, version), ("cancelled", new.clone(), 2));

        // Booked once more for the same time, it is asked for once more.
        hear(&hub, &visit("S12", 4, &hours_on(6 * 24), "Booked")).await;
        let (kind, again, _) = told(&take(&broker, 1).await[0]);
        assert!(kind == "requested" && again != new && again != old);
        // Who is there needs no confirmation.
        hear(&hub, &visit("S14", 5, &hours_on(6 * 24), "Arrived")).await;
        let (kind, done, _) = told(&take(&broker, 1).await[0]);
        assert_eq!((kind.as_str(), done), ("cancelled", again));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_reminder_is_taken_back_and_given_anew_when_the_visit_moves_and_ends_with_it(database) {
        let Some(broker) = broker::share().await else { return };
        let hub = Hub::start(database, setup(Some(&broker))).await;
        let (first_start, later) = (hours_on(30), hours_on(40));
        hear(&hub, &visit("S12", 1, &first_start, "Booked")).await;
        let (kind, old, version) = told(&take(&broker, 1).await[0]);
        assert_eq!((kind.as_str(), version), ("requested", 1));
        assert_eq!(reminder(&hub).await, 30);

        hear(&hub, &visit("S13", 2, &later, "Booked")).await;
        let mut kinds: Vec<(String, String, u64)> = take(&broker, 2).await.iter().map(told).collect();
        kinds.sort();
        let [(cancelled, same, two), (requested, new, one)] = kinds.try_into().unwrap();
        assert_eq!((cancelled.as_str(), two, requested.as_str(), one), ("cancelled", 2, "requested", 1));
        assert!(same == old && new != old, "the old one ends, another one begins");
        assert_eq!(reminder(&hub).await, 40, "for the new time");

        // Far away nobody is reminded yet; back at its first time it is reminded of once more.
        hear(&hub, &visit("S13", 3, &hours_on(20 * 24), "Booked")).await;
        let (kind, gone, _) = told(&take(&broker, 1).await[0]);
        assert_eq!((kind.as_str(), gone), ("cancelled", new.clone()));
        hear(&hub, &visit("S13", 4, &first_start, "Booked")).await;
        let (kind, back, _) = told(&take(&broker, 1).await[0]);
        assert!(kind == "requested" && back != old && back != new);
        assert_eq!(reminder(&hub).await, 30);

        hear(&hub, &visit("S15", 5, &first_start, "")).await;
        let (kind, last, version) = told(&take(&broker, 1).await[0]);
        assert_eq!((kind.as_str(), last, version), ("cancelled", back, 2));
        let states: Vec<String> = hub.settled().await.into_iter().map(|task| task.state).collect();
        assert_eq!(states, ["cancelled"; 3], "called off, nobody is reminded");
        hub.daemon.stop().await;
    }
}

/// The hours until the visit of the one reminder that is open.
async fn reminder(hub: &Hub) -> i64 {
    let ada = hub.person("TEST-1").await;
    let record = hub.record(ada).await;
    let open: Vec<_> = record
        .tasks
        .iter()
        .filter(|task| !task.state.is_terminal())
        .collect();
    assert_eq!(open.len(), 1, "one task at a time");
    assert_eq!(open[0].detail.topics[0].rule, "appointment-reminder");
    // Four hours before the visit at the latest; the seconds of this test have passed.
    let left = open[0].due_at.duration_since(clock::now()) + SignedDuration::from_hours(4);
    left.as_hours() + 1
}

on_each_store! {
    async fn a_visit_far_away_waits_and_a_near_one_is_only_reminded_of(database) {
        let hub = Hub::start(database, setup(None)).await;
        hear(&hub, &visit("S12", 1, &hours_on(20 * 24), "Booked")).await;
        assert_eq!(hub.settled().await.len(), 0);
        let ada = hub.person("TEST-1").await;
        assert!(hub.record(ada).await.findings.is_empty());
        hear(&hub, &visit("S13", 2, &hours_on(30), "Booked")).await;
        let tasks = hub.settled().await;
        assert_eq!(tasks.len(), 1, "three days before nobody asks for a confirmation any more");
        let record = hub.record(ada).await;
        assert_eq!(record.tasks[0].detail.topics[0].rule, "appointment-reminder");
        let due = record.tasks[0].due_at.duration_since(clock::now());
        assert!(due <= SignedDuration::from_hours(26) && due > SignedDuration::from_hours(25));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn the_preferred_channel_comes_first_and_the_exemption_lets_a_text_leave(database) {
        let shipped = policy::at_any_hour(database.folder.path());
        let file = database.folder.path().join("contact-policy.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let off = "[appointment_exemption]\npermitted = false";
        assert!(text.contains(off));
        std::fs::write(&file, text.replace(off, &off.replace("false", "true"))).unwrap();
        let exempt = || Setup {
            implied: false,
            quiet_hours: true, // the policy above is named in its place
            tenant: shipped.clone(),
            ..setup(None)
        };
        let hub = Hub::start(database, exempt()).await;
        hear(&hub, &visit("S12", 1, &hours_on(5 * 24), "Booked")).await;
        hub.settled().await;
        let sent = hub.spooled().remove(0);
        assert_eq!(sent["data"]["contact"]["channel"], "sms");
        assert_eq!(sent["data"]["task"]["performerRole"], "automated-sender");
        let codes = sent["data"]["consent"]["reasonCodes"].to_string();
        assert!(codes.contains("P03_TCPA_EXEMPT"), "{codes}");

        // With a consent to e-mail, the address that the person prefers comes first.
        let ada = hub.person("TEST-1").await.to_string();
        let permit = ["consent", "record", &ada, "--decision", "permit", "--channel", "email"];
        let how = ["--method", "written", "--source", "FORM-1", "--operator", "Test Operator"];
        hub.run(&[&permit[..], &how[..]].concat()).await;
        hear(&hub, &visit("S13", 2, &hours_on(6 * 24), "Booked")).await;
        let task = until("the new task left or waits for tomorrow", || async {
            let record = hub.record(ada.parse().unwrap()).await;
            let decision = hub.tasks().await.into_iter().find(|task| {
                record.tasks.iter().any(|row| row.id.to_string() == task.id && !row.state.is_terminal())
            })?;
            (decision.state != "queued").then_some(decision)
        })
        .await;
        // One automated message a local day: the text of today counts.
        assert_eq!(task.reason_codes, ["T01_FREQ_CAP"], "{task:?}");
        assert!(task.reason.unwrap().starts_with("An e-mail"), "the preferred one comes first");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn what_leaves_goes_by_the_channel_that_the_person_prefers(database) {
        let hub = Hub::start(database, setup(None)).await;
        // The same consents; Ada says which contact she prefers, and Bea does not.
        let ada = |kind, minute, hours| visit(kind, minute, &hours_on(hours), "Booked");
        let bea = |kind, minute, hours| {
            let preferred = format!("{}1", "^".repeat(14));
            let text = ada(kind, minute, hours).replace(&preferred, "");
            let text = text.replace("Example^Ada", "Sample^Bea").replace("19700102", "19810203");
            let text = text.replace("TEST-1", "TEST-2").replace("F-1^HIS", "F-2^HIS");
            text.replace("555-0101", "555-0102").replace("ada@", "bea@")
        };
        for text in [ada("S12", 1, 20 * 24), bea("S12", 2, 20 * 24)] {
            hear(&hub, &text).await;
        }
        assert!(hub.settled().await.is_empty());
        for (number, channel) in [("TEST-1", "sms"), ("TEST-1", "email"), ("TEST-2", "sms"), ("TEST-2", "email")] {
            let person = hub.person(number).await.to_string();
            let permit = ["consent", "record", &person, "--decision", "permit", "--channel", channel];
            let how = ["--method", "written", "--source", "FORM-1", "--operator", "Test Operator"];
            hub.run(&[&permit[..], &how[..]].concat()).await;
        }
        for (text, channel) in [(ada("S13", 3, 5 * 24), "email"), (bea("S13", 4, 5 * 24), "sms")] {
            let before = hub.spooled().len();
            hear(&hub, &text).await;
            hub.settled().await;
            let sent = hub.spooled();
            assert_eq!(sent.len(), before + 1);
            assert_eq!(sent[before]["data"]["contact"]["channel"], channel);
            assert_eq!(sent[before]["data"]["task"]["performerRole"], "automated-sender");
            let codes = sent[before]["data"]["consent"]["reasonCodes"].to_string();
            assert!(codes.contains("EXPLICIT"), "{codes}");
        }
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn whoever_has_confirmed_is_asked_nothing_until_the_visit_moves(database) {
        let Some(broker) = broker::share().await else { return };
        let hub = Hub::start(database, setup(Some(&broker))).await;
        let (soon, later) = (hours_on(5 * 24), hours_on(6 * 24));
        // Confirmed at the clinic: nothing is asked, and what was asked is taken back.
        hear(&hub, &visit("S12", 1, &soon, "Confirmed")).await;
        assert!(hub.settled().await.is_empty());
        hear(&hub, &visit("S13", 2, &later, "Booked")).await;
        let (kind, asked, _) = told(&take(&broker, 1).await[0]);
        assert_eq!(kind, "requested", "a yes to one time is none to another");
        hear(&hub, &visit("S14", 3, &later, "Confirmed")).await;
        let (kind, ended, _) = told(&take(&broker, 1).await[0]);
        assert_eq!((kind.as_str(), &ended), ("cancelled", &asked));

        // Confirmed to the CRM: an update of the same time asks nothing, another time does.
        hear(&hub, &visit("S13", 4, &soon, "Booked")).await;
        let (_, asked, _) = told(&take(&broker, 1).await[0]);
        let task = in_state(&hub, "requested").await;
        let (_connection, channel) = broker.channel().await;
        say(&channel, &answer("crm-1", task.id.parse().unwrap(), "completed", "")).await;
        in_state(&hub, "completed").await;
        hear(&hub, &visit("S14", 5, &soon, "Booked")).await;
        let states: Vec<String> = hub.settled().await.into_iter().map(|task| task.state).collect();
        assert!(!states.iter().any(|state| state == "requested"), "{states:?}");
        hear(&hub, &visit("S13", 6, &later, "Booked")).await;
        let (kind, anew, _) = told(&take(&broker, 1).await[0]);
        assert!(kind == "requested" && anew != asked);
        hub.daemon.stop().await;
    }
}
