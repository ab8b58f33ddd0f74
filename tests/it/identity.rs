//! Who a message speaks of: new people, updates, late news, replays, doubtful identities, merges.

use careloop::crm::View;
use uuid::Uuid;

use crate::support::behind::Behind;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::said::{DIABETES, Said, hours_ago};

/// The family name that the hub believes.
async fn family(hub: &Hub, person: Uuid) -> String {
    let view = View::of(&hub.record(person).await.assertions, &[]);
    view.demographics.names[0].family.clone().unwrap()
}

async fn people(hub: &Hub) -> usize {
    hub.store().person_ids(hub.tenant, 100).await.unwrap().len()
}

fn merge<'a>(id: &'a str, survivor: &'a str, retired: &str) -> Said<'a> {
    Said::of("ADT^A40", id, survivor).with(format!("MRG|{retired}^^^RVS^MR"))
}

on_each_store! {
    async fn a_late_message_never_undoes_a_newer_one(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let said = |id, hours, name| Said { at: hours_ago(hours), name, ..Said::of("ADT^A08", id, "TEST-1") };
        hub.hear(&[
            said("NEW", 30, "Example^Ada"),
            said("MARRIED", 10, "Sample^Ada"),
            said("LATE", 20, "Example^Ada"),
        ])
        .await;
        assert_eq!(people(&hub).await, 1);
        let ada = hub.person("TEST-1").await;
        assert_eq!(family(&hub, ada).await, "Sample");
        assert_eq!(hub.counts().await.processed, 3);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn what_doubtful_identifiers_say_is_held_and_changes_nobody(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let stranger = Said { name: "Other^Bea", born: "19550505", ..Said::of("ADT^A08", "CONFLICT", "TEST-1") };
        let nobody = Said::of("ADT^A08", "NOBODY", "").with(DIABETES);
        hub.hear(&[
            Said::of("ADT^A08", "ONE", "TEST-1"),
            Said::of("ADT^A08", "TWO", "TEST-2"),
            Said::of("ADT^A08", "BOTH", "TEST-1~TEST-2").with(DIABETES),
            stranger.with(DIABETES),
            nobody,
        ])
        .await;
        let held = |code: &str| ("held".to_owned(), code.to_owned());
        assert_eq!(hub.ended("BOTH").await, held("identity-ambiguous"));
        assert_eq!(hub.ended("CONFLICT").await, held("identity-conflict"));
        assert_eq!(hub.ended("NOBODY").await.0, "held");
        assert_eq!(people(&hub).await, 2);
        assert_eq!(hub.tasks().await.len(), 0, "a message that is held has no effect");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_replay_of_one_or_of_all_with_a_code_takes_the_mended_mapping(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let visit = |id, number, filler: &str| {
            let status = format!("{}HERE", "|".repeat(14));
            let schedule = format!("SCH||{filler}|||||||30|min|^^30^202601050900{status}");
            Said::of("SIU^S12", id, number).with(schedule)
        };
        hub.hear(&[visit("V-1", "TEST-1", "F-1"), visit("V-2", "TEST-2", "F-2")]).await;
        for id in ["V-1", "V-2"] {
            assert_eq!(hub.ended(id).await, ("held".to_owned(), "unmapped-code".to_owned()));
        }
        let layer = hub.folder().join("site.toml");
        let text = "extends = \"hl7v2.siu\"\nlayer = \"our-site\"\n[tables.appt_status]\nHERE = \"arrived\"\n";
        std::fs::write(&layer, text).unwrap();
        let source = format!("mappings = [\"hl7v2\", \"file:{}\"]", layer.display());
        let hub = hub.restart_as(Setup { source, ..Setup::default() }).await;
        let one = hub.message("V-1").await.id;
        hub.run(&["message", "replay", "--id", &one, "--operator", "Test Operator"]).await;
        let counts = hub.processed().await;
        assert_eq!((counts.processed, counts.held), (1, 1));
        for _ in 0..2 {
            hub.run(&["message", "replay", "--code", "unmapped-code", "--operator", "Test Operator"]).await;
            let counts = hub.processed().await;
            assert_eq!((counts.processed, counts.held), (2, 0));
        }
        for number in ["TEST-1", "TEST-2"] {
            let record = hub.record(hub.person(number).await).await;
            let chart = View::of(&record.assertions, &[]).chart;
            assert_eq!(chart.appointments.len(), 1);
        }
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_task_keeps_its_id_over_every_replay(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[Said::of("ADT^A08", "D-1", "TEST-1").with(DIABETES)]).await;
        let before = hub.settled().await;
        let id = hub.message("D-1").await.id;
        for _ in 0..3 {
            hub.run(&["message", "replay", "--id", &id, "--operator", "Test Operator"]).await;
            let after = hub.settled().await;
            assert_eq!(after.len(), 1, "{after:?}");
            assert_eq!((&after[0].id, after[0].version), (&before[0].id, before[0].version));
        }
        assert_eq!(hub.spooled().len(), 1, "unchanged content is not sent again");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_merge_leaves_one_task_of_two(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let ill = |id, number| Said::of("ADT^A08", id, number).with(DIABETES);
        hub.hear(&[ill("D-1", "TEST-1"), ill("D-2", "TEST-2")]).await;
        hub.settled().await;
        let retired = hub.person("TEST-2").await;
        assert_eq!(hub.spooled().len(), 2);
        hub.hear(&[merge("M-1", "TEST-1", "TEST-2")]).await;
        let tasks = hub.settled().await;
        let survivor = hub.person("TEST-1").await;
        assert_eq!(hub.reached("TEST-2").await, [survivor], "the old number leads to the survivor");
        assert_ne!(retired, survivor);
        let mut states: Vec<&str> = tasks.iter().map(|task| task.state.as_str()).collect();
        states.sort_unstable();
        assert_eq!(states, ["cancelled", "requested"], "{tasks:?}");
        let gone = tasks.iter().find(|task| task.state == "cancelled").unwrap();
        assert_eq!(hub.told(&gone.id), [("requested".to_owned(), 1), ("cancelled".to_owned(), 2)]);
        let findings = hub.record(survivor).await.findings;
        let live = findings.iter().filter(|finding| finding.state.is_live()).count();
        assert_eq!(live, 1, "one person, one rule, one finding");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn news_under_a_retired_number_reaches_the_survivor(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[
            Said::of("ADT^A28", "A-1", "TEST-1"),
            Said::of("ADT^A28", "A-2", "TEST-2"),
            merge("M-1", "TEST-1", "TEST-2"),
            Said { name: "Sample^Ada", at: hours_ago(1), ..Said::of("ADT^A08", "LATER", "TEST-2").with(DIABETES) },
        ])
        .await;
        let survivor = hub.person("TEST-1").await;
        assert_eq!(hub.reached("TEST-2").await, [survivor]);
        assert_eq!(family(&hub, survivor).await, "Sample");
        let tasks = hub.settled().await;
        assert_eq!(tasks.len(), 1);
        assert_eq!(tasks[0].person, survivor.to_string());
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_retired_number_that_nobody_has_becomes_the_survivors(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[
            Said::of("ADT^A28", "A-1", "TEST-1"),
            merge("M-1", "TEST-1", "TEST-9"),
            Said::of("ADT^A08", "LATER", "TEST-9"),
        ])
        .await;
        assert_eq!(hub.reached("TEST-9").await, hub.reached("TEST-1").await);
        assert_eq!(people(&hub).await, 1, "a merge makes nobody");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn merges_in_a_chain_and_in_one_message_end_at_one_person(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let known = |id, number| Said::of("ADT^A28", id, number);
        hub.hear(&[
            known("A-1", "TEST-1"),
            known("A-2", "TEST-2"),
            known("A-3", "TEST-3"),
            known("A-4", "TEST-4"),
            known("A-5", "TEST-5"),
            merge("M-1", "TEST-2", "TEST-1"),
            merge("M-2", "TEST-3", "TEST-2"),
        ])
        .await;
        let last = hub.person("TEST-3").await;
        assert_eq!([hub.reached("TEST-1").await, hub.reached("TEST-2").await].concat(), [last, last]);
        // Two pairs in one message: 4 into 3, and 5 into a new person.
        let pairs = merge("M-3", "TEST-3", "TEST-4").with(
            "MRG|TEST-4^^^RVS^MR\nPID|2||TEST-6^^^RVS^MR||Example^Bea||19800102|F\nMRG|TEST-5^^^RVS^MR",
        );
        hub.hear(&[pairs]).await;
        assert_eq!(hub.ended("M-3").await.0, "processed");
        assert_eq!(hub.reached("TEST-4").await, [last]);
        assert_eq!(hub.reached("TEST-5").await, hub.reached("TEST-6").await);
        assert_ne!(hub.reached("TEST-5").await, [last]);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_message_without_a_type_is_held_and_nothing_of_it_is_lost(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[Said::of("", "T-1", "TEST-1")]).await;
        let row = hub.message("T-1").await;
        assert_eq!((row.state.as_str(), row.code.as_deref()), ("held", Some("no-message-type")));
        assert_eq!(row.place.as_deref(), Some("MSH-9.1"));
        assert_eq!(people(&hub).await, 0);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_message_that_comes_again_has_no_second_effect(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let said = Said::of("ADT^A08", "D-1", "TEST-1").with(DIABETES);
        hub.hear(std::slice::from_ref(&said)).await;
        let before = hub.settled().await;
        hub.hear(&[said.clone(), said]).await;
        let counts = hub.counts().await;
        assert_eq!((counts.received, counts.duplicate, counts.processed), (1, 2, 1));
        assert_eq!(hub.settled().await[0].id, before[0].id);
        let behind = Behind::open(&hub.database).await;
        let applied = "SELECT count(*) FROM audit WHERE action = 'message.apply'";
        assert_eq!(behind.number(applied).await, 1);
        hub.daemon.stop().await;
    }
}
