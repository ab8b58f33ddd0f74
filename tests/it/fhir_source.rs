//! A FHIR endpoint that sends by itself: what it may send, what becomes of it, and whom it concerns.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::database::Database;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::operator::ASKER;
use crate::support::wait::until;

const SECRET: &str = "an-invented-secret";
const BASE: &str = "https://ehr.example/fhir";

/// The person as HL7 v2 tells of her.
const ADA: &str = r"
    MSH|^~\&|EPIC|RVS|CARELOOP|HUB|20261121120000||ADT^A08|MSG-1|P|2.5.1
    EVN||20261121120000
    PID|1||TEST-1^^^RVS^MR||Example^Ada||19700102|F|||1 Sample St^^Albany^NY^12207^US||(518)555-0101^PRN^PH
";

/// A hub with an HL7 v2 feed and a FHIR endpoint, whose numbers the site says are the same.
async fn hub(database: Database) -> Hub {
    let folder = database.folder.path();
    let site = "extends = \"fhir.*\"\n[tables.assigner]\n\"urn:oid:2.999.1\" = \"RVS\"\n";
    std::fs::write(folder.join("site.toml"), site).unwrap();
    let secret = folder.join("notifications.secret");
    std::fs::write(&secret, SECRET).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
    std::fs::set_permissions(&secret, mode).unwrap();
    let folder = folder.display();
    let more = format!(
        r#"
[[source]]
tenant = "riverside"
name = "ehr"
kind = "fhir"
base = "{BASE}"
release = "R4"
notifications = "file:{folder}/notifications.secret"
zone = "America/New_York"
mode = "live"
mappings = ["fhir", "file:{folder}/site.toml"]
identifiers = [{{ type = "MR", assigner = "RVS" }}]
history_since = {{ "*" = 2020-01-01 }}
"#
    );
    let setup = Setup {
        covers: r#"["adt", "ehr", "careloop.tasks"]"#,
        more,
        ..Setup::default()
    };
    Hub::start(database, setup).await
}

/// Sends a notification with a secret; the status and the problem's code.
async fn send(
    (door, secret): (SocketAddr, &str),
    (method, path): (reqwest::Method, &str),
    body: String,
) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client
        .request(method, format!("http://{door}/fhir/riverside/{path}"))
        .bearer_auth(secret)
        .header("content-type", "application/fhir+json")
        .body(body);
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.text().await.unwrap();
    let problem: Option<Value> = serde_json::from_str(&body).ok();
    let code = problem.and_then(|problem| Some(problem["code"].as_str()?.to_owned()));
    (status, code.unwrap_or_default())
}

async fn put(hub: &Hub, resource: &Value) -> (u16, String) {
    let text = |key: &str| resource[key].as_str().unwrap();
    let path = format!("ehr/{}/{}", text("resourceType"), text("id"));
    let door = hub.daemon.http.unwrap();
    let request = (reqwest::Method::PUT, path.as_str());
    send((door, SECRET), request, resource.to_string()).await
}

async fn post(hub: &Hub, body: &str) -> (u16, String) {
    let door = hub.daemon.http.unwrap();
    let request = (reqwest::Method::POST, "ehr");
    send((door, SECRET), request, body.to_owned()).await
}

fn patient() -> Value {
    json!({
        "resourceType": "Patient", "id": "p1",
        "meta": { "versionId": "1", "lastUpdated": "2026-11-20T12:00:00Z" },
        "identifier": [{
            "type": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR" }] },
            "system": "urn:oid:2.999.1", "value": "TEST-1",
        }],
        "name": [{ "use": "official", "family": "Example", "given": ["Ada"] }],
        "birthDate": "1970-01-02", "gender": "female",
        "telecom": [{ "system": "phone", "use": "home", "value": "(518)555-0101" }],
    })
}

fn condition() -> Value {
    json!({
        "resourceType": "Condition", "id": "c1",
        "meta": { "lastUpdated": "2026-11-20T12:00:05Z" },
        "subject": { "reference": "Patient/p1" },
        "clinicalStatus": { "coding": [{ "code": "active" }] },
        "code": { "coding": [{ "system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9" }] },
        "onsetDateTime": "2024-03-01",
    })
}

fn hba1c(status: &str, second: u8) -> Value {
    json!({
        "resourceType": "Observation", "id": "o1", "status": status,
        "meta": { "lastUpdated": format!("2026-11-20T12:00:{second}Z") },
        "subject": { "reference": format!("{BASE}/Patient/p1") },
        "code": { "coding": [{ "system": "http://loinc.org", "code": "4548-4" }] },
        "effectiveDateTime": "2026-11-19",
        "valueQuantity": { "value": 6.1, "unit": "%" },
    })
}

on_each_store! {
    async fn what_an_endpoint_sends_opens_and_closes_a_gap_of_the_person_that_hl7_knows(database) {
        let hub = hub(database).await;
        assert_eq!(hub.peer("adt").await.send(ADA).await.code, "AA");
        hub.processed().await;
        let person = hub.person("TEST-1").await;
        for resource in [patient(), condition()] {
            assert_eq!(put(&hub, &resource).await.0, 200);
        }
        let counts = hub.processed().await;
        assert_eq!((counts.received, counts.processed, counts.held), (3, 3, 0));
        hub.until_task_is(person, "requested").await;
        // The result closes the gap; taken back, it opens it again.
        assert_eq!(put(&hub, &hba1c("final", 10)).await.0, 200);
        hub.processed().await;
        until("the task is withdrawn", || async {
            let task = hub.task_of(person).await;
            (task.state == "cancelled").then_some(())
        })
        .await;
        assert_eq!(put(&hub, &hba1c("entered-in-error", 20)).await.0, 200);
        hub.processed().await;
        until("a second task", || async {
            let tasks = hub.store().task_list(hub.tenant, None, Some(person), 10).await.unwrap();
            (tasks.len() == 2).then_some(())
        })
        .await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_notification_is_taken_only_with_the_secret_and_only_with_resources(database) {
        let hub = hub(database).await;
        let door = hub.daemon.http.unwrap();
        let at = "ehr/Patient/p1";
        let body = patient().to_string();
        for (secret, path) in [("another", at), (SECRET, "nobody/Patient/p1")] {
            let request = (reqwest::Method::PUT, path);
            let answer = send((door, secret), request, body.clone()).await;
            assert_eq!(answer, (401, "unknown-sender".to_owned()), "{path}");
        }
        let request = (reqwest::Method::PUT, "ehr/Patient/p2");
        let answer = send((door, SECRET), request, body.clone()).await;
        assert_eq!(answer, (422, "elsewhere-named".to_owned()));
        let ids = json!({ "resourceType": "Bundle", "type": "history", "entry": [
            { "resource": { "resourceType": "Parameters" } },
            { "fullUrl": format!("{BASE}/Patient/p1"), "request": { "method": "PUT", "url": "Patient/p1" } },
        ] });
        let mut mixed = ids.clone();
        mixed["entry"].as_array_mut().unwrap().push(json!({ "resource": patient() }));
        for body in [String::new(), ids.to_string(), mixed.to_string()] {
            assert_eq!(post(&hub, &body).await, (422, "no-resources".to_owned()));
        }
        assert_eq!(hub.counts().await.received, 0, "what is refused is not stored");
        let handshake = json!({ "resourceType": "Bundle", "type": "history", "entry": [
            { "resource": { "resourceType": "Parameters", "parameter": [{ "name": "type", "valueCode": "handshake" }] } },
        ] });
        assert_eq!(post(&hub, &handshake.to_string()).await.0, 200);
        assert_eq!(hub.counts().await.received, 0, "a handshake is no message");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn one_bad_entry_is_held_alone_and_a_repeat_is_no_second_message(database) {
        let hub = hub(database).await;
        let bundle = json!({ "resourceType": "Bundle", "type": "subscription-notification", "entry": [
            { "resource": { "resourceType": "SubscriptionStatus" } },
            { "resource": patient() },
            { "resource": { "resourceType": 7 } },
            { "resource": condition() },
            { "resource": { "resourceType": "Practitioner", "id": "d1", "meta": { "versionId": "1" } } },
        ] })
        .to_string();
        for _ in 0..2 {
            assert_eq!(post(&hub, &bundle).await.0, 200);
        }
        let counts = hub.processed().await;
        assert_eq!(
            (counts.received, counts.processed, counts.ignored, counts.held),
            (4, 2, 1, 1)
        );
        let person = hub.person("TEST-1").await;
        hub.until_task_is(person, "requested").await;
        assert_eq!(post(&hub, "{\"resourceType\":\"Patient\"").await.0, 200);
        assert_eq!(hub.processed().await.held, 2, "what cannot be read is stored and held");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn what_an_endpoint_no_longer_says_is_gone_there_and_what_hl7_said_stays(database) {
        let hub = hub(database).await;
        assert_eq!(hub.peer("adt").await.send(ADA).await.code, "AA");
        hub.processed().await;
        let person = hub.person("TEST-1").await.to_string();
        let mut told = patient();
        told["telecom"] = json!([{ "system": "phone", "use": "work", "value": "(518)555-0199" }]);
        // Of two sources, the one that spoke last is believed.
        told["meta"]["lastUpdated"] = json!("2026-11-21T18:00:00Z");
        put(&hub, &told).await;
        hub.processed().await;
        let shown = hub.run(&[&["person", "show", &person][..], &ASKER[..]].concat()).await;
        assert!(shown.contains("555-0199"), "{shown}");
        told["telecom"] = json!([]);
        told["meta"]["lastUpdated"] = json!("2026-11-21T18:01:00Z");
        put(&hub, &told).await;
        hub.processed().await;
        let shown = hub.run(&[&["person", "show", &person][..], &ASKER[..]].concat()).await;
        assert!(shown.contains("555-0101") && !shown.contains("555-0199"), "{shown}");
        hub.daemon.stop().await;
    }
}

/// A visit that says of no version which one it is.
fn visit(status: &str) -> Value {
    json!({
        "resourceType": "Appointment", "id": "a1", "status": status,
        "start": "2027-02-01T15:00:00Z",
        "participant": [{ "actor": { "reference": "Patient/p1" }, "status": "accepted" }],
    })
}

on_each_store! {
    async fn what_comes_back_to_an_earlier_state_is_news(database) {
        let hub = hub(database).await;
        put(&hub, &patient()).await;
        for status in ["booked", "cancelled", "booked"] {
            assert_eq!(put(&hub, &visit(status)).await.0, 200);
            hub.processed().await;
        }
        assert_eq!(hub.counts().await.received, 4);
        let person = hub.person("TEST-1").await.to_string();
        let shown = hub.run(&[&["person", "show", &person][..], &ASKER[..]].concat()).await;
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(shown["appointments"][0]["status"], "booked", "{shown}");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_visit_of_two_people_is_held_and_makes_nobody_one(database) {
        let hub = hub(database).await;
        put(&hub, &patient()).await;
        let mut both = visit("booked");
        let second = json!({ "actor": { "reference": "Patient/p2" }, "status": "accepted" });
        both["participant"].as_array_mut().unwrap().push(second);
        assert_eq!(put(&hub, &both).await.0, 200);
        let counts = hub.processed().await;
        assert_eq!((counts.processed, counts.held), (1, 1));
        let mut ben = patient();
        ben["id"] = json!("p2");
        ben["identifier"][0]["value"] = json!("TEST-2");
        put(&hub, &ben).await;
        hub.processed().await;
        assert_ne!(hub.person("TEST-1").await, hub.person("TEST-2").await);
        hub.daemon.stop().await;
    }
}
