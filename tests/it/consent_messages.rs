//! Consent that arrives in messages, end to end: CON, PD1-11, PD1-12 and ARV in, decisions and
//! withdrawals out. Cases are numbered as in the list of edge cases that the decision is tested with.

use serde_json::Value;
use uuid::Uuid;

use crate::support::clinic::merged;
use crate::support::database::Database;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::operator::ASKER;
use crate::support::said::{DIABETES, Said, hours_ago};

/// The site's consent types: calls, a do-not-call form, and a procedure.
const LAYER: &str = r#"
extends = "hl7v2.*"
layer = "site"
[tables.consent_type]
CALL = "contact"
NOCALL = "contact"
SURG = "other"
[tables.consent_decision]
NOCALL = "deny"
[tables.consent_reach]
CALL = "phone-live"
NOCALL = "voice"
[tables.consent_limits]
"No texts" = "voice"
"#;

/// A hub where only consent permits, with the site's types and, where asked, their verification.
async fn hub(database: Database, verified: bool) -> Hub {
    let file = database.folder.path().join("site.toml");
    std::fs::write(&file, LAYER).unwrap();
    let mappings = format!(r#"mappings = ["hl7v2", "file:{}"]"#, file.display());
    let source = format!("{mappings}\nconsents_verified = {verified}");
    let setup = Setup {
        implied: false,
        source,
        ..Setup::default()
    };
    Hub::start(database, setup).await
}

/// CON with the fields that are named.
fn con(fields: &[(usize, &str)]) -> String {
    let mut all = vec![""; 26];
    for (number, value) in fields {
        all[number - 1] = value;
    }
    format!("CON|{}", all.join("|").trim_end_matches('|'))
}

fn call(status: &str) -> String {
    con(&[
        (1, "1"),
        (2, "CALL"),
        (4, "FORM-1"),
        (10, "W"),
        (11, status),
    ])
}

/// Somebody whose problem asks for a call, with what is said of contact.
fn ill<'a>(id: &'a str, number: &'a str, wish: &str) -> Said<'a> {
    Said::of("ADT^A08", id, number).with(format!("{DIABETES}\n{wish}"))
}

fn later<'a>(id: &'a str, number: &'a str, wish: &str) -> Said<'a> {
    Said {
        at: hours_ago(1),
        ..Said::of("ADT^A31", id, number)
    }
    .with(wish)
}

async fn decided(hub: &Hub, number: &str) -> (String, Vec<String>) {
    let person = hub.person(number).await;
    let task = hub.task_of(person).await;
    (task.state, task.reason_codes)
}

async fn shown(hub: &Hub, person: Uuid) -> Value {
    let person = person.to_string();
    let text = hub
        .run(&[&["consent", "show", &person, "--json"][..], &ASKER[..]].concat())
        .await;
    serde_json::from_str(&text).unwrap()
}

on_each_store! {
    async fn only_an_active_and_understood_consent_of_a_verified_source_lets_a_task_leave(database) {
        let hub = hub(database, true).await;
        let tomorrow = hours_ago(-48);
        let yesterday = hours_ago(24);
        let limited = |limits| con(&[(1, "1"), (2, "CALL"), (9, limits), (11, "L")]);
        let with = |field: (usize, &str)| con(&[(1, "1"), (2, "CALL"), (11, "A"), field]);
        let cases = [
            ("TEST-1", call("A"), "requested", "P01_EXPLICIT_CONSENT"),
            // Case 9.
            ("TEST-2", call("B"), "withheld", "D13_NO_CONSENT"),
            ("TEST-3", call("P"), "withheld", "D13_NO_CONSENT"),
            // Case 10.
            ("TEST-4", limited("mornings only"), "withheld", "D13_NO_CONSENT"),
            ("TEST-5", limited("No texts"), "requested", "P01_EXPLICIT_CONSENT"),
            ("TEST-6", call("R"), "withheld", "D14_CONSENT_DENIED"),
            ("TEST-7", call("X"), "withheld", "D16_CONSENT_REVOKED"),
            // Case 8, and a period that is over.
            ("TEST-8", with((14, &tomorrow)), "withheld", "D13_NO_CONSENT"),
            ("TEST-9", with((15, &yesterday)), "withheld", "D15_CONSENT_EXPIRED"),
            ("TEST-10", with((16, "N")), "withheld", "D13_NO_CONSENT"),
            ("TEST-11", with((25, "3")), "withheld", "D13_NO_CONSENT"),
            // Case 11: a type or a status that nobody has explained holds everything.
            ("TEST-12", con(&[(1, "1"), (2, "CT001"), (11, "A")]), "withheld", "D08_NO_CONTACT"),
            ("TEST-13", call("Q"), "withheld", "D08_NO_CONTACT"),
            ("TEST-14", con(&[(1, "1"), (2, "SURG"), (11, "A")]), "withheld", "D13_NO_CONSENT"),
            // Cases 1 and 2: a denial at the same or a more specific cell.
            ("TEST-15", format!("{}\n{}", call("A"), con(&[(1, "2"), (2, "NOCALL"), (11, "A")])), "withheld", "D14_CONSENT_DENIED"),
            ("TEST-16", format!("PD1|{}03|N\n{}", "|".repeat(10), call("A")), "withheld", "D14_CONSENT_DENIED"),
            ("TEST-17", format!("PD1|{}02|N\n{}", "|".repeat(10), call("A")), "requested", "P01_EXPLICIT_CONSENT"),
            ("TEST-18", format!("PD1|{}F|N\n{}", "|".repeat(10), call("A")), "withheld", "D08_NO_CONTACT"),
            ("TEST-19", format!("{}\nARV|1|A|HIV", call("A")), "withheld", "D08_NO_CONTACT"),
            ("TEST-20", format!("{}\nARV|1|A|OO", call("A")), "requested", "P01_EXPLICIT_CONSENT"),
        ];
        let said: Vec<Said<'_>> = cases.iter().map(|(number, wish, ..)| ill(number, number, wish)).collect();
        hub.hear(&said).await;
        hub.settled().await;
        for (number, _, state, code) in &cases {
            let (found, codes) = decided(&hub, number).await;
            assert_eq!(found, *state, "{number}: {codes:?}");
            assert!(codes.iter().any(|one| one == code), "{number}: {codes:?}");
        }
        let told = shown(&hub, hub.person("TEST-4").await).await;
        assert_eq!(told["told"][0]["counts"], false);
        assert!(told["told"][0]["why"].as_str().unwrap().contains("limits"), "{told}");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn without_verification_messages_deny_and_never_permit(database) {
        let hub = hub(database, false).await;
        hub.hear(&[ill("D-1", "TEST-1", &call("A")), ill("D-2", "TEST-2", &call("R"))]).await;
        hub.settled().await;
        let (state, codes) = decided(&hub, "TEST-1").await;
        assert_eq!((state.as_str(), codes), ("withheld", vec!["D13_NO_CONSENT".to_owned()]));
        let (_, codes) = decided(&hub, "TEST-2").await;
        assert!(codes.contains(&"D14_CONSENT_DENIED".to_owned()), "{codes:?}");
        let told = shown(&hub, hub.person("TEST-1").await).await;
        assert!(told["told"][0]["why"].as_str().unwrap().contains("consents_verified"), "{told}");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_refusal_in_a_later_message_takes_the_task_back_and_a_late_one_changes_nothing(database) {
        let hub = hub(database, true).await;
        hub.hear(&[ill("D-1", "TEST-1", &call("A"))]).await;
        let task = hub.settled().await.remove(0);
        assert_eq!(task.state, "requested");
        // Said before the consent, heard after it.
        let late = Said { at: hours_ago(400), ..later("LATE", "TEST-1", &call("R")) };
        hub.hear(&[late]).await;
        assert_eq!(hub.settled().await.remove(0).state, "requested");
        // Cases 5 and 6.
        hub.hear(&[later("R-1", "TEST-1", &call("R"))]).await;
        let ada = hub.person("TEST-1").await;
        hub.until_task_is(ada, "cancelled").await;
        hub.settled().await;
        let told: Vec<(String, u64)> = hub.told(&task.id);
        assert_eq!(told, [("requested".to_owned(), 1), ("cancelled".to_owned(), 2)]);
        assert_eq!(hub.spooled()[1]["data"]["task"]["statusReason"], "consent-revoked");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn what_a_sender_takes_away_no_longer_binds(database) {
        let hub = hub(database, true).await;
        let publicity = |code: &str| format!("PD1|{}{code}", "|".repeat(10));
        let wish = format!("{}\n{}", publicity("03"), call("A"));
        hub.hear(&[ill("D-1", "TEST-1", &wish)]).await;
        hub.settled().await;
        let codes = decided(&hub, "TEST-1").await.1;
        assert!(codes.contains(&"D14_CONSENT_DENIED".to_owned()), "{codes:?}");
        // A message that says nothing of it leaves it; `""` takes it away.
        hub.hear(&[later("A-1", "TEST-1", "PD1|")]).await;
        let codes = decided(&hub, "TEST-1").await.1;
        assert!(codes.contains(&"D14_CONSENT_DENIED".to_owned()), "{codes:?}");
        hub.hear(&[later("A-2", "TEST-1", &publicity("\"\""))]).await;
        let ada = hub.person("TEST-1").await;
        hub.until_task_is(ada, "requested").await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_merged_record_brings_its_refusals(database) {
        // Case 18.
        let hub = hub(database, true).await;
        hub.hear(&[ill("D-1", "TEST-1", &call("A")), later("D-2", "TEST-2", &call("R"))]).await;
        hub.settled().await;
        let survivor = hub.person("TEST-1").await;
        assert_eq!(hub.task_of(survivor).await.state, "requested");
        hub.peer("adt").await.send_bytes(merged("TEST-1", "TEST-2").as_bytes()).await;
        hub.processed().await;
        let task = hub.until_task_is(survivor, "cancelled").await;
        assert!(task.reason_codes.contains(&"D14_CONSENT_DENIED".to_owned()), "{task:?}");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_restriction_that_somebody_has_read_is_lifted_until_it_is_told_differently(database) {
        let hub = hub(database, true).await;
        let unknown = |status| con(&[(1, "1"), (2, "CT001"), (4, "FORM-9"), (11, status)]);
        let wish = format!("{}\n{}", call("A"), unknown("A"));
        hub.hear(&[ill("D-1", "TEST-1", &wish)]).await;
        hub.settled().await;
        let ada = hub.person("TEST-1").await;
        assert_eq!(hub.task_of(ada).await.reason_codes, ["D08_NO_CONTACT"]);
        let told = shown(&hub, ada).await;
        assert_eq!(told["restrictions"][0]["lifted"], false, "{told}");
        let id = told["restrictions"][0]["id"].as_str().unwrap().to_owned();
        let person = ada.to_string();
        let lift = ["consent", "lift", &person, "--operator", "Test Officer", "--reason"];
        let refused = hub.command(&[&lift[..], &[" "]].concat());
        assert_eq!(refused.status.code(), Some(64));
        hub.run(&[&lift[..], &["a surgical form; no word of contact", "--restriction", &id]].concat()).await;
        hub.until_task_is(ada, "requested").await;
        let told = shown(&hub, ada).await;
        assert_eq!(told["restrictions"][0]["lifted"], true);
        assert_eq!(told["lifts"][0]["by"], "Test Officer");
        assert_eq!(told["lifts"][0]["restriction"], id);
        let again = hub.command(&[&lift[..], &["again"]].concat());
        assert_eq!(again.status.code(), Some(64), "nothing is left to lift");
        // The same once more changes nothing; another status is another restriction.
        hub.hear(&[Said { at: hours_ago(2), ..later("A-1", "TEST-1", &unknown("A")) }]).await;
        assert_eq!(hub.settled().await.remove(0).state, "requested");
        hub.hear(&[later("A-2", "TEST-1", &unknown("R"))]).await;
        hub.until_task_is(ada, "cancelled").await;
        hub.daemon.stop().await;
    }
}
