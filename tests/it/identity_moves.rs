//! Numbers that move from one person to another (A43 to A45) and numbers that change (A46 to A51):
//! none of them merges anybody.

use careloop::crm::View;
use uuid::Uuid;

use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::said::{DIABETES, Said, hours_ago};

/// How many diagnoses a person has.
async fn diagnoses(hub: &Hub, person: Uuid) -> usize {
    let record = hub.record(person).await;
    let chart = View::of(&record.assertions, &[]).chart;
    let diagnoses = chart.pointers.iter();
    diagnoses
        .filter(|pointer| pointer.concept.starts_with("diabetes"))
        .count()
}

/// A message of `hours` ago whose MRG names something.
fn told<'a>(kind: &'a str, id: &'a str, number: &'a str, hours: i64, rest: &str) -> Said<'a> {
    Said {
        at: hours_ago(hours),
        ..Said::of(kind, id, number)
    }
    .with(rest)
}

fn held(code: &str) -> (String, String) {
    ("held".to_owned(), code.to_owned())
}

on_each_store! {
    async fn a_moved_number_takes_what_was_said_under_it_and_leaves_the_rest(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[
            Said::of("ADT^A28", "BOTH", "TEST-1~TEST-7"),
            Said::of("ADT^A28", "OTHER", "TEST-2"),
            Said::of("ADT^A08", "ILL", "TEST-7").with(DIABETES),
        ])
        .await;
        let (ada, bea) = (hub.person("TEST-1").await, hub.person("TEST-2").await);
        let wrong = hub.until_task_is(ada, "requested").await;
        hub.hear(&[told("ADT^A43", "MOVE", "TEST-2", 3, "MRG|TEST-7^^^RVS^MR")]).await;
        assert_eq!(hub.ended("MOVE").await.0, "processed");
        hub.settled().await;
        assert_eq!(hub.reached("TEST-7").await, [bea]);
        assert_eq!(hub.reached("TEST-1").await, [ada], "both people stay");
        assert_eq!((diagnoses(&hub, ada).await, diagnoses(&hub, bea).await), (0, 1));
        hub.until_task_is(bea, "requested").await;
        assert_eq!(hub.told(&wrong.id), [("requested".to_owned(), 1), ("cancelled".to_owned(), 2)]);
        // News under the number is its new owner's; an older move that comes late undoes nothing.
        hub.hear(&[
            told("ADT^A08", "NEWS", "TEST-7", 2, "PV1|1|O"),
            told("ADT^A43", "OLD", "TEST-1", 30, "MRG|TEST-7^^^RVS^MR"),
        ])
        .await;
        assert_eq!(hub.reached("TEST-7").await, [bea]);
        assert_eq!(hub.ended("OLD").await.0, "processed");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_moved_visit_or_account_takes_its_diagnoses_along(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let visit = format!("PV1|1|O{}TEST-V-5\n{DIABETES}", "|".repeat(17));
        hub.hear(&[
            Said::of("ADT^A28", "OTHER", "TEST-2"),
            Said::of("ADT^A01", "VISIT", "TEST-1").with(visit),
        ])
        .await;
        let account = Said::of("ADT^A04", "ACCOUNT", "TEST-3").with(DIABETES).text();
        // Said under another number, which the account then changes (A49).
        let account = account.replace("^PRN^PH|||||", "^PRN^PH|||||TEST-ACC-0");
        let renamed = told("ADT^A49", "RENAMED", "TEST-3", 4, "MRG|TEST-3^^^RVS^MR||TEST-ACC-0").text();
        let renamed = renamed.replace("^PRN^PH|||||", "^PRN^PH|||||TEST-ACC-7");
        let mut peer = hub.peer("adt").await;
        for text in [account, renamed] {
            assert_eq!(peer.send_bytes(text.as_bytes()).await.code, "AA");
        }
        hub.processed().await;
        assert_eq!(hub.ended("RENAMED").await.0, "processed");
        let (ada, bea, cyd) =
            (hub.person("TEST-1").await, hub.person("TEST-2").await, hub.person("TEST-3").await);
        assert_eq!((diagnoses(&hub, ada).await, diagnoses(&hub, cyd).await), (1, 1));
        hub.hear(&[
            told("ADT^A45", "V", "TEST-2", 3, "MRG|TEST-1^^^RVS^MR||||TEST-V-5"),
            told("ADT^A44", "A", "TEST-2", 3, "MRG|TEST-3^^^RVS^MR||TEST-ACC-7"),
        ])
        .await;
        assert_eq!(hub.ended("V").await.0, "processed");
        assert_eq!(hub.ended("A").await.0, "processed");
        assert_eq!((diagnoses(&hub, ada).await, diagnoses(&hub, cyd).await), (0, 0), "under the new number, too");
        assert_eq!(diagnoses(&hub, bea).await, 2);
        let numbers = [hub.reached("TEST-1").await, hub.reached("TEST-3").await];
        assert_eq!(numbers, [[ada], [cyd]], "an account moves, not a person");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_changed_number_leads_to_the_same_person_as_before(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[
            Said::of("ADT^A28", "ONE", "TEST-1"),
            Said::of("ADT^A28", "TWO", "TEST-2"),
            told("ADT^A47", "CHANGE", "TEST-8", 3, "MRG|TEST-1^^^RVS^MR"),
        ])
        .await;
        let ada = hub.person("TEST-1").await;
        assert_eq!(hub.reached("TEST-8").await, [ada], "the old number stays an alias");
        hub.hear(&[told("ADT^A47", "TAKEN", "TEST-2", 2, "MRG|TEST-1^^^RVS^MR")]).await;
        assert_eq!(hub.ended("TAKEN").await, held("identifier-change-unresolved"));
        assert_ne!(hub.reached("TEST-2").await, [ada], "a change merges nobody");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_move_to_or_between_unknown_people_is_held(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[
            Said::of("ADT^A28", "ONE", "TEST-1"),
            told("ADT^A43", "NOBODY", "TEST-9", 3, "MRG|TEST-1^^^RVS^MR"),
            told("ADT^A43", "SAME", "TEST-1", 3, "MRG|TEST-1^^^RVS^MR"),
        ])
        .await;
        for id in ["NOBODY", "SAME"] {
            assert_eq!(hub.ended(id).await, held("move-unresolved"), "{id}");
        }
        assert!(hub.reached("TEST-9").await.is_empty(), "a move makes nobody");
        hub.daemon.stop().await;
    }
}
