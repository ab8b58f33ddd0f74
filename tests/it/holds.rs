//! People whom nobody may contact until somebody has looked: a death that the CRM reports stops all
//! outreach until the clinic says that it was a mistake, or the EHR says that it was none.

use std::collections::BTreeSet;

use serde_json::Value;
use uuid::Uuid;

use crate::support::behind::Behind;
use crate::support::broker::{self, Broker};
use crate::support::clinic::diagnosed;
use crate::support::crm::{answer, published, say};
use crate::support::database::Database;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::operator::ASKER;
use crate::support::said::{Said, hours_ago};
use crate::support::wait::until;

/// A hub whose CRM has reported that its only person, of the task that is told, is dead.
async fn reported(database: Database, broker: &Broker) -> (Hub, Uuid, Uuid) {
    let setup = Setup {
        broker: Some(broker.url()),
        ..Setup::default()
    };
    let hub = Hub::start(database, setup).await;
    let (_connection, channel) = broker.channel().await;
    let [(person, task)] = published(&hub, &[("TEST-1", "(518)555-0101")]).await[..] else {
        panic!("one task");
    };
    let death = answer("crm-1", task, "reported-deceased", "");
    say(&channel, &death).await;
    hub.until_task_is(person, "cancelled").await;
    (hub, person, task)
}

async fn holds(hub: &Hub) -> Vec<Value> {
    let listed = hub.run(&["person", "holds", "--json"]).await;
    listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The states that a person's tasks have.
async fn states(hub: &Hub) -> BTreeSet<String> {
    hub.settled()
        .await
        .into_iter()
        .map(|task| task.state)
        .collect()
}

fn release(person: &str) -> Vec<&str> {
    [&["person", "release", person][..], &ASKER[..]].concat()
}

on_each_store! {
    async fn a_hold_is_listed_and_released_by_name_and_then_the_person_is_asked_again(database) {
        let Some(broker) = broker::share().await else { return };
        let (hub, person, _) = reported(database, &broker).await;
        let listed = holds(&hub).await;
        assert_eq!(listed.len(), 1, "{listed:?}");
        assert_eq!(listed[0]["person"], person.to_string());
        assert_eq!(listed[0]["reason"], "reported-deceased");
        assert!(listed[0]["since"].is_string(), "{listed:?}");
        let page = hub.run(&["person", "holds"]).await;
        assert!(page.contains(&person.to_string()) && page.contains("careloop person release"), "{page}");
        assert!(!page.contains("Example") && !page.contains("TEST-1"), "ids only: {page}");

        // What the EHR goes on saying asks nothing.
        let again = diagnosed("TEST-1", "(518)555-0109").replace("A08-TEST-1", "A08-AGAIN");
        hub.peer("adt").await.send_bytes(again.as_bytes()).await;
        assert!(!states(&hub).await.contains("requested"));

        let nobody = Uuid::now_v7().to_string();
        let refused = hub.command(&release(&nobody));
        assert_eq!(refused.status.code(), Some(64));
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(told.contains("no hold to lift; see `careloop person holds`"), "{told}");
        let person = person.to_string();
        assert!(hub.run(&release(&person)).await.contains("may be contacted again"));
        assert!(holds(&hub).await.is_empty());
        until("the person is asked again", || async {
            states(&hub).await.contains("requested").then_some(())
        })
        .await;
        assert_eq!(hub.command(&release(&person)).status.code(), Some(64), "nothing is left to lift");
        let behind = Behind::open(&hub.database).await;
        let audited = "SELECT actor, purpose FROM audit WHERE action = 'person.release'";
        let who = ("operator:Test Operator".to_owned(), "operations".to_owned());
        assert_eq!(behind.pairs(audited).await, [who]);
        behind.close().await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_hold_ends_when_the_ehr_itself_tells_of_the_death(database) {
        let Some(broker) = broker::share().await else { return };
        let (hub, ..) = reported(database, &broker).await;
        assert_eq!(holds(&hub).await.len(), 1);
        let died = |id, died, hours| Said { died, at: hours_ago(hours), ..Said::of("ADT^A08", id, "TEST-1") };
        hub.hear(&[died("DEATH", "Y", 3)]).await;
        assert!(holds(&hub).await.is_empty(), "the record speaks for itself");
        assert!(!states(&hub).await.contains("requested"), "and nobody contacts the dead");
        // The EHR corrects itself: no hold is left that would outlive that.
        hub.hear(&[died("MISTAKE", "N", 2)]).await;
        until("the person is asked again", || async {
            states(&hub).await.contains("requested").then_some(())
        })
        .await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn what_a_person_said_while_a_hold_took_the_task_back_is_not_asked_again(database) {
        let Some(broker) = broker::share().await else { return };
        let (hub, person, task) = reported(database, &broker).await;
        let (_connection, channel) = broker.channel().await;
        say(&channel, &answer("crm-2", task, "declined", "")).await;
        let behind = Behind::open(&hub.database).await;
        until("the answer is recorded", || async {
            let told = behind.texts("SELECT effect FROM task_event WHERE kind = 'declined'").await;
            (told == ["state"]).then_some(())
        })
        .await;
        behind.close().await;
        hub.run(&release(&person.to_string())).await;
        let again = diagnosed("TEST-1", "(518)555-0109").replace("A08-TEST-1", "A08-AGAIN");
        hub.peer("adt").await.send_bytes(again.as_bytes()).await;
        assert!(!states(&hub).await.contains("requested"), "the person has declined");
        hub.daemon.stop().await;
    }
}
