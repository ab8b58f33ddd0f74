//! Gaps, visits and referrals from the first message to the last: what opens them, what closes them,
//! what holds their tasks back, and which modes let them leave.

use careloop::care::FindingState;
use uuid::Uuid;

use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::said::{DIABETES, Said, hours_ago};

/// Two days and more from now back, as the zone of the source writes it.
fn days_ago(days: i64) -> String {
    hours_ago(days * 24)
}

/// A visit; S12 books, S14 changes, S15 cancels, S26 is a no-show.
fn visit<'a>(kind: &'a str, id: &'a str, filler: &str, start: &str, orders: &str) -> Said<'a> {
    let orders = match orders {
        "" => String::new(),
        placer => format!("{}{placer}", "|".repeat(15)),
    };
    let schedule = format!("SCH||{filler}^HIS|||||||30|min|^^30^{start}{orders}");
    Said {
        at: hours_ago(3),
        ..Said::of(kind, id, "TEST-1")
    }
    .with(schedule)
}

/// A result of today; OBX-3 is a LOINC code.
fn result<'a>(id: &'a str, placer: &str, code: &str) -> Said<'a> {
    let day = hours_ago(1);
    let order =
        format!("OBR|1|{placer}^HIS|R-{id}^LAB|{code}^Test^LN|||{day}|||||||||||||||{day}|||F");
    let result = format!("OBX|1|NM|{code}^Test^LN||1|1|||||F|||{day}");
    Said {
        at: hours_ago(1),
        ..Said::of("ORU^R01", id, "TEST-1")
    }
    .with(format!("{order}\n{result}"))
}

fn ill<'a>(id: &'a str, number: &'a str) -> Said<'a> {
    Said::of("ADT^A08", id, number).with(DIABETES)
}

async fn states(hub: &Hub) -> Vec<FindingState> {
    let ada: Uuid = hub.person("TEST-1").await;
    hub.record(ada)
        .await
        .findings
        .iter()
        .map(|finding| finding.state)
        .collect()
}

fn asked() -> Vec<(String, u64)> {
    vec![("requested".to_owned(), 1)]
}

fn withdrawn() -> Vec<(String, u64)> {
    vec![("requested".to_owned(), 1), ("cancelled".to_owned(), 2)]
}

on_each_store! {
    async fn a_result_closes_the_gap_and_takes_its_task_back(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[ill("D-1", "TEST-1")]).await;
        let task = hub.settled().await.remove(0);
        assert_eq!((task.state.as_str(), hub.told(&task.id)), ("requested", asked()));
        hub.hear(&[result("R-1", "P-1", "4548-4")]).await;
        let task = hub.settled().await.remove(0);
        assert_eq!((task.state.as_str(), hub.told(&task.id)), ("cancelled", withdrawn()));
        assert_eq!(hub.spooled()[1]["data"]["task"]["statusReason"], "gap-closed");
        assert_eq!(states(&hub).await, [FindingState::Closed]);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_missed_visit_asks_for_a_call_until_another_one_is_booked(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let (missed, later) = (days_ago(2), days_ago(-5));
        hub.hear(&[
            visit("SIU^S12", "BOOK", "F-1", &missed, ""),
            visit("SIU^S12", "BOOK-2", "F-2", &days_ago(1), ""),
            visit("SIU^S15", "CANCEL", "F-2", &days_ago(1), ""),
        ])
        .await;
        assert_eq!(hub.settled().await.len(), 0, "neither a booked nor a cancelled visit was missed");
        hub.hear(&[Said { at: hours_ago(2), ..visit("SIU^S26", "MISSED", "F-1", &missed, "") }]).await;
        let task = hub.settled().await.remove(0);
        assert_eq!((task.state.as_str(), hub.told(&task.id)), ("requested", asked()));
        hub.hear(&[Said { at: hours_ago(1), ..visit("SIU^S12", "AGAIN", "F-3", &later, "") }]).await;
        let task = hub.settled().await.remove(0);
        assert_eq!((task.state.as_str(), hub.told(&task.id)), ("cancelled", withdrawn()));
        assert_eq!(states(&hub).await, [FindingState::Closed]);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_referrals_loop_closes_over_ref_siu_and_oru(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let referral = format!("RF1||R|||O|P-1^HIS|{}", days_ago(25));
        hub.hear(&[Said { at: days_ago(25), ..Said::of("REF^I12", "ASK", "TEST-1") }.with(referral)]).await;
        let task = hub.settled().await.remove(0);
        assert_eq!((task.state.as_str(), hub.told(&task.id)), ("requested", asked()), "no answer came");
        hub.hear(&[visit("SIU^S12", "BOOK", "F-1", &days_ago(-3), "P-1^HIS")]).await;
        let task = hub.settled().await.remove(0);
        assert_eq!((task.state.as_str(), hub.told(&task.id)), ("cancelled", withdrawn()), "a visit is booked");
        assert_ne!(states(&hub).await, [FindingState::Closed], "a booked visit is no report");
        hub.hear(&[result("REPORT", "P-1", "11488-4")]).await;
        hub.settled().await;
        assert_eq!(states(&hub).await.last(), Some(&FindingState::Closed));
        assert_eq!(hub.spooled().len(), 2, "nothing more is asked");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_document_closes_a_referral_and_its_cancellation_opens_it_again(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let referral = format!("RF1||R|||O|P-1^HIS|{}", days_ago(25));
        hub.hear(&[Said { at: days_ago(25), ..Said::of("REF^I12", "ASK", "TEST-1") }.with(referral)]).await;
        hub.settled().await;
        let document = |kind: &'static str, id: &'static str, hours: i64, state: &str| {
            let txa = format!("TXA|1|CN|TX|{0}||{0}||||||DOC-1^DOCS||P-1^HIS|||{state}", hours_ago(9));
            Said { at: hours_ago(hours), ..Said::of(kind, id, "TEST-1") }.with(txa)
        };
        hub.hear(&[document("MDM^T02", "DRAFT", 8, "IP")]).await;
        hub.settled().await;
        assert_ne!(states(&hub).await.last(), Some(&FindingState::Closed), "a draft is no report");
        hub.hear(&[document("MDM^T04", "SIGNED", 7, "AU")]).await;
        let task = hub.settled().await.remove(0);
        assert_eq!((task.state.as_str(), hub.told(&task.id)), ("cancelled", withdrawn()));
        assert_eq!(states(&hub).await, [FindingState::Closed]);
        hub.hear(&[document("MDM^T11", "CANCELLED", 6, "")]).await;
        hub.settled().await;
        assert!(states(&hub).await.contains(&FindingState::Open), "{:?}", states(&hub).await);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_declined_referral_asks_at_once_for_another_place(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let referral = format!("RF1||R|||O|P-1^HIS|{}", hours_ago(3));
        hub.hear(&[Said { at: hours_ago(3), ..Said::of("REF^I12", "ASK", "TEST-1") }.with(referral)]).await;
        assert_eq!(hub.settled().await.len(), 0, "there is time for an answer");
        let answer = "ORC|UA|P-1^HIS";
        hub.hear(&[Said { at: hours_ago(1), ..Said::of("OSU^O51", "DECLINED", "TEST-1") }.with(answer)]).await;
        let task = hub.settled().await.remove(0);
        assert_eq!((task.state.as_str(), hub.told(&task.id)), ("requested", asked()));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn what_may_restrict_contact_holds_the_task_back_with_its_reason(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let protected = format!("PD1|{}F\n{DIABETES}", "|".repeat(10));
        let refused = format!("{DIABETES}\nCON|1|001|||||||||R");
        hub.hear(&[
            Said::of("ADT^A08", "PD1", "TEST-1").with(protected),
            Said::of("ADT^A08", "CON", "TEST-2").with(refused),
        ])
        .await;
        for task in hub.settled().await {
            assert_eq!(task.state, "withheld");
            assert_eq!(task.reason_codes, ["D08_NO_CONTACT"]);
        }
        assert_eq!((hub.tasks().await.len(), hub.spooled().len()), (2, 0));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_restriction_that_comes_later_takes_the_task_back(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[ill("D-1", "TEST-1")]).await;
        hub.settled().await;
        let protected = format!("PD1|{}F", "|".repeat(10));
        hub.hear(&[Said { at: hours_ago(1), ..Said::of("ADT^A08", "PD1", "TEST-1") }.with(protected)]).await;
        let ada = hub.person("TEST-1").await;
        hub.until_task_is(ada, "cancelled").await;
        let task = hub.settled().await.remove(0);
        assert_eq!(hub.told(&task.id), withdrawn());
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_death_takes_back_what_was_sent(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[ill("D-1", "TEST-1")]).await;
        hub.settled().await;
        hub.hear(&[Said { at: hours_ago(1), died: "Y", ..Said::of("ADT^A08", "DIED", "TEST-1") }]).await;
        let task = hub.settled().await.remove(0);
        assert_eq!((task.state.as_str(), hub.told(&task.id)), ("cancelled", withdrawn()));
        assert_eq!(hub.spooled()[1]["data"]["task"]["statusReason"], "patient-deceased");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_feed_without_a_past_asks_for_nothing(database) {
        let hub = Hub::start(database, Setup { history: "", ..Setup::default() }).await;
        hub.hear(&[ill("D-1", "TEST-1")]).await;
        assert_eq!(hub.settled().await.len(), 0);
        // With the past declared, the next message about the person asks.
        let hub = hub.restart_as(Setup::default()).await;
        hub.hear(&[Said { at: hours_ago(1), ..ill("D-2", "TEST-1") }]).await;
        let task = hub.settled().await.remove(0);
        assert_eq!(task.state, "requested");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn observing_counts_everything_and_publishes_nothing(database) {
        let hub = Hub::start(database, Setup { mode: "observe", ..Setup::default() }).await;
        hub.hear(&[ill("D-1", "TEST-1"), ill("D-2", "TEST-2")]).await;
        let tasks = hub.settled().await;
        let states: Vec<&str> = tasks.iter().map(|task| task.state.as_str()).collect();
        assert_eq!((states, hub.spooled().len()), (vec!["observed"; 2], 0));
        let told = hub.store().withheld(hub.tenant).await.unwrap();
        let observed: i64 = told.iter().filter(|row| row.state == "observed").map(|row| row.count).sum();
        assert!(observed >= 2, "{told:?}");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_pilot_stops_at_its_cap_but_not_for_people_named(database) {
        let setup = Setup { mode: "pilot", tenant: "pilot_daily_cap = 2".to_owned(), ..Setup::default() };
        let hub = Hub::start(database, setup).await;
        let numbers = ["TEST-1", "TEST-2", "TEST-3", "TEST-4"];
        for number in numbers {
            hub.hear(&[ill(number, number)]).await;
        }
        let count = |tasks: &[careloop::store::TaskListing], state: &str| {
            tasks.iter().filter(|task| task.state == state).count()
        };
        let tasks = hub.settled().await;
        assert_eq!((count(&tasks, "requested"), count(&tasks, "observed")), (2, 2), "{tasks:?}");
        let left = tasks.iter().find(|task| task.state == "observed").unwrap();
        let person: Uuid = left.person.parse().unwrap();
        hub.run(&[
            "person", "pilot", &left.person, "--operator", "Test Operator", "--purpose", "operations",
        ])
        .await;
        hub.until_task_is(person, "requested").await;
        assert_eq!(hub.spooled().len(), 3);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn what_a_sender_calls_a_test_is_never_published(database) {
        let hub = Hub::start(database, Setup::default()).await;
        for (id, processing) in [("T-1", "T"), ("T-2", "D")] {
            let number = if processing == "T" { "TEST-1" } else { "TEST-2" };
            hub.hear(&[Said { processing, ..ill(id, number) }]).await;
        }
        let tasks = hub.settled().await;
        let states: Vec<&str> = tasks.iter().map(|task| task.state.as_str()).collect();
        assert_eq!((states, hub.spooled().len()), (vec!["observed"; 2], 0));
        hub.daemon.stop().await;
    }
}
