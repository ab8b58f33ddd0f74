//! Caps hold for a number, whoever has it: two records of one person, or a couple, are not called
//! twice.

use careloop::clock;
use careloop::consent::Channel;
use careloop::store::{Claimant, Clearing, NewOptOut, Then};
use uuid::Uuid;

use crate::support::behind::Behind;
use crate::support::database::Database;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::policy;
use crate::support::said::{DIABETES, Said};
use crate::support::wait::until;

/// A hub whose clinic calls at most once a day.
async fn hub_with_cap(database: Database, shared: bool, covers: &'static str) -> Hub {
    let tenant = policy::one_call_a_day(database.folder.path(), shared);
    let setup = Setup {
        quiet_hours: true,
        tenant,
        covers,
        ..Setup::default()
    };
    Hub::start(database, setup).await
}

const ALL: &str = r#"["adt", "careloop.tasks"]"#;

/// Two people with one number, and something to call each of them for.
async fn couple(hub: &Hub) -> [Uuid; 2] {
    let ben = Said {
        name: "Example^Ben",
        ..Said::of("ADT^A08", "D-2", "TEST-2")
    };
    hub.hear(&[
        Said::of("ADT^A08", "D-1", "TEST-1").with(DIABETES),
        ben.with(DIABETES),
    ])
    .await;
    [hub.person("TEST-1").await, hub.person("TEST-2").await]
}

on_each_store! {
    async fn a_number_that_two_people_share_is_called_once_a_day(database) {
        let hub = hub_with_cap(database, true, ALL).await;
        couple(&hub).await;
        until("one of the two leaves and the other waits", || async {
            let tasks = hub.tasks().await;
            let left = tasks.iter().filter(|task| task.state == "requested").count();
            let waits = tasks.iter().filter(|task| {
                task.decision.as_deref() == Some("defer")
                    && task.reason_codes.iter().any(|code| code.contains("FREQ_CAP"))
            });
            (left == 1 && waits.count() == 1).then_some(())
        })
        .await;
        assert_eq!(hub.spooled().len(), 1);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_clinic_may_count_each_person_alone(database) {
        let hub = hub_with_cap(database, false, ALL).await;
        couple(&hub).await;
        let tasks = hub.settled().await;
        assert_eq!(tasks.len(), 2);
        assert!(tasks.iter().all(|task| task.state == "requested"), "{tasks:?}");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn two_who_publish_to_one_number_at_once_meet_and_the_second_sees_the_first(database) {
        // Nothing leaves by itself: the test is both publishers.
        let hub = hub_with_cap(database, true, r#"["adt"]"#).await;
        let [ada, ben] = couple(&hub).await;
        let (store, tenant) = (hub.store().clone(), hub.tenant);
        let mut first = store.write(tenant).await.unwrap();
        first.lock_sharers(&[ada]).await.unwrap();
        let other = store.clone();
        let second = tokio::spawn(async move {
            let mut second = other.write(tenant).await.unwrap();
            second.lock_sharers(&[ben]).await.unwrap();
            let record = second.load(ben, clock::now()).await.unwrap().unwrap();
            record.sent.iter().filter(|(_, sent)| sent.shared).count()
        });
        let behind = Behind::open(&hub.database).await;
        if behind.is_postgres() {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
            until("the second waits for the first", || async {
                (behind.number(waiting).await > 0).then_some(())
            })
            .await;
        }
        let due = first.due_envelopes(clock::now(), 10).await.unwrap();
        let mine = due.iter().find(|envelope| envelope.person == ada).unwrap();
        let record = first.load(ada, clock::now()).await.unwrap().unwrap();
        let claimant = Claimant { token: Uuid::now_v7(), deadline: clock::now() };
        let contact = (Some(record.contacts[0].id), Some(Channel::PhoneLive));
        let clearing = Clearing {
            envelope: mine.id,
            person: ada,
            message: None,
            task: None,
            decision: None,
            then: Then::Leave(claimant, Some(contact)),
        };
        let marked = first.write_clearings(&[(&record, &clearing)], clock::now()).await.unwrap();
        assert!(marked.contains(&mine.id));
        first.commit().await.unwrap();
        assert_eq!(second.await.unwrap(), 1, "the slot is taken");
        hub.daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_names_a_person_is_written_while_somebody_else_has_them_locked() {
    let Some(database) = Database::postgres().await else {
        return; // SQLite has one writer
    };
    let hub = hub_with_cap(database, true, r#"["adt"]"#).await;
    let [ada, _] = couple(&hub).await;
    let (store, tenant) = (hub.store().clone(), hub.tenant);
    let mut holder = store.write(tenant).await.unwrap();
    holder.lock_in_order(vec![ada]).await.unwrap();
    // Were it to wait, two of whom each names the other's person would wait for each other.
    let writing = tokio::spawn(async move {
        let mut writer = store.write(tenant).await.unwrap();
        let opt_out = NewOptOut {
            value_index: None,
            channel: None,
            at: clock::now(),
            origin: "operator",
        };
        writer.record_opt_out(ada, &opt_out).await.unwrap();
        writer.commit().await.unwrap();
    });
    until("it is written", || async {
        writing.is_finished().then_some(())
    })
    .await;
    writing.await.unwrap();
    holder.commit().await.unwrap();
    hub.daemon.stop().await;
}
