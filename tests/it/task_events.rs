//! What the CRM answers, over a real RabbitMQ: done, opted out, unknown, unreadable.

use careloop::outbox::envelope::ulid;
use uuid::Uuid;

use crate::support::behind::Behind;
use crate::support::broker::{self, Broker};
use crate::support::clinic::{QUEUE, diagnosed, told};
use crate::support::crm::{answer, published, say};
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::wait::until;

const DEAD: &str = "careloop.tasks.dead";

fn completed(id: &str, task: Uuid) -> String {
    answer(id, task, "completed", "")
}

fn opted_out(id: &str, task: Uuid, scope: &str) -> String {
    completed(id, task).replace(
        r#""completed""#,
        &format!(r#""opted-out","scope":"{scope}""#),
    )
}

fn setup(broker: &Broker) -> Setup {
    Setup {
        broker: Some(broker.url()),
        ..Setup::default()
    }
}

async fn recorded(behind: &Behind, id: &str) {
    until("the event is recorded", || async {
        let count = format!("SELECT count(*) FROM task_event WHERE id = '{id}'");
        (behind.number(&count).await == 1).then_some(())
    })
    .await;
}

on_each_store! {
    async fn a_completed_task_is_completed_once_and_strange_answers_do_no_harm(database) {
        let Some(broker) = broker::share().await else { return };
        let hub = Hub::start(database, setup(&broker)).await;
        let behind = Behind::open(&hub.database).await;
        let (_connection, channel) = broker.channel().await;
        let people = [("TEST-1", "(518)555-0101"), ("TEST-2", "(518)555-0102")];
        let [(first, done), (second, other)] = published(&hub, &people).await[..] else {
            panic!("two people have a task each");
        };
        say(&channel, &completed("crm-1", done)).await;
        hub.until_task_is(first, "completed").await;
        // The same event about another task is still the same event; then one that nobody can
        // read, one about nothing here, and one about a task that is over.
        say(&channel, &completed("crm-1", other)).await;
        say(&channel, r#"{"id":"crm-2","note":"unreadable"}"#).await;
        say(&channel, &completed("crm-3", Uuid::now_v7())).await;
        say(&channel, &opted_out("crm-4", done, "all")).await;
        recorded(&behind, "crm-4").await;
        let events = behind
            .pairs("SELECT id, CASE WHEN applied THEN 'applied' ELSE '' END FROM task_event ORDER BY id")
            .await;
        let events: Vec<(&str, &str)> =
            events.iter().map(|(id, applied)| (id.as_str(), applied.as_str())).collect();
        assert_eq!(events, [("crm-1", "applied"), ("crm-3", ""), ("crm-4", "")]);
        assert_eq!(hub.task_of(second).await.state, "requested", "the repeat had no effect");
        assert_eq!(hub.task_of(first).await.state, "completed");
        let dead = broker.take(DEAD, 1).await;
        assert_eq!(dead[0].delivery.data, br#"{"id":"crm-2","note":"unreadable"}"#);
        let audited = "SELECT count(*) FROM audit WHERE actor = 'crm' AND action = 'task.complete'";
        assert_eq!(behind.number(audited).await, 1);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn an_opt_out_of_a_shared_number_stops_everybody_who_has_it(database) {
        let Some(broker) = broker::share().await else { return };
        let hub = Hub::start(database, setup(&broker)).await;
        let (_connection, channel) = broker.channel().await;
        let shared = "(518)555-0101";
        // One number in two spellings, and another one.
        let people =
            [("TEST-1", shared), ("TEST-2", "+1 518 555 0101"), ("TEST-3", "(518)555-0102")];
        let [(asked, task), (sharing, withdrawn), (apart, _)] = published(&hub, &people).await[..]
        else {
            panic!("three people have a task each");
        };
        say(&channel, &opted_out("crm-1", task, "contact-point")).await;
        hub.until_task_is(asked, "cancelled").await;
        hub.until_task_is(sharing, "cancelled").await;
        hub.peer("adt").await.send_bytes(diagnosed("TEST-4", shared).as_bytes()).await;
        hub.processed().await;
        let later = hub.until_task_is(hub.person("TEST-4").await, "withheld").await;
        assert!(later.reason_codes.contains(&"D17_OPTED_OUT".to_owned()), "{later:?}");
        hub.settled().await;
        assert_eq!(hub.task_of(apart).await.state, "requested");
        let told: Vec<(String, String, u64)> = broker
            .take(QUEUE, 4)
            .await
            .iter()
            .map(|message| told(&serde_json::from_slice(&message.delivery.data).unwrap()))
            .collect();
        let cancelled: Vec<&(String, String, u64)> =
            told.iter().filter(|(kind, ..)| kind == "cancelled").collect();
        // The CRM knows of the task it answered about; the other one it is told of.
        assert_eq!(cancelled, [&("cancelled".to_owned(), ulid(withdrawn), 2)]);
        assert_eq!(told.len(), 4);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn an_opt_out_of_a_channel_or_of_everything_stops_one_person(database) {
        let Some(broker) = broker::share().await else { return };
        let hub = Hub::start(database, setup(&broker)).await;
        let behind = Behind::open(&hub.database).await;
        let (_connection, channel) = broker.channel().await;
        let people = [("TEST-1", "(518)555-0101"), ("TEST-2", "(518)555-0101")];
        let [(first, one), (second, two)] = published(&hub, &people).await[..] else {
            panic!("two people have a task each");
        };
        say(&channel, &opted_out("crm-1", one, "channel")).await;
        hub.until_task_is(first, "cancelled").await;
        assert_eq!(hub.task_of(second).await.state, "requested");
        say(&channel, &opted_out("crm-2", two, "all")).await;
        hub.until_task_is(second, "cancelled").await;
        let channels = behind.texts("SELECT coalesce(channel, 'all') FROM opt_out ORDER BY at, id").await;
        assert_eq!(channels, ["phone-live", "all"]);
        let origins = behind.texts("SELECT origin FROM opt_out").await;
        assert_eq!(origins, ["crm", "crm"]);
        assert_eq!(behind.number("SELECT count(*) FROM outreach_hold").await, 0);
        hub.daemon.stop().await;
    }
}
