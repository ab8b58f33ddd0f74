//! The canary's CRM: what it reads is in the answers to it alone, and what it sends comes back from no
//! error text.

use std::net::SocketAddr;

use crate::canary::search;
use crate::support::api::{content_of, request};
use crate::support::serving::Serving;

/// The CRM reads what it may, asks for what it may not, and sends bodies of every wrong form with values
/// in them; what it may read is in the answer to it, and no error text echoes anything.
pub(crate) async fn read_as_crm(hub: &Serving) {
    let scopes = "task:content,decision:read,person:register,task-event:write";
    let what = ["token", "create", "--name", "crm", "--scope", scopes];
    let how = ["--purpose", "TREAT", "--operator", "Test Operator"];
    let bearer = format!(
        "Bearer {}",
        hub.told(&[&what[..], &how[..]].concat()).trim()
    );
    let told = [("authorization", bearer.as_str())];
    let door = hub.door();
    let listed = hub.told(&["task", "list", "--json"]);
    let tasks: Vec<serde_json::Value> = listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (mut read, mut person) = (0, String::new());
    for task in &tasks {
        let id: uuid::Uuid = task["id"].as_str().unwrap().parse().unwrap();
        let answer = request(door, &content_of(id), &told, "").await;
        if answer.status != 200 {
            search("a refusal", answer.body.as_bytes());
            continue;
        }
        let content = answer.json();
        assert!(
            answer.body.contains("Zylophantine") && answer.body.contains("555-0177"),
            "the canary was never there"
        );
        assert!(answer.body.contains("HbA1c result on record"));
        person = content["person"]["id"]
            .as_str()
            .unwrap()
            .replace("Patient/", "");
        read += 1;
    }
    assert!(read > 0, "{listed}");
    let id = format!("PUT /v1/people/{person}/crm-id");
    let made = request(door, &id, &told, r#"{"crmId":"CRMX-Canarynumber-5512"}"#).await;
    assert!(made.body.contains("CRMX-Canarynumber-5512"));
    send_wrongly(door, &told, &id).await;
}

/// Values in every place where a request has one; what comes back holds none of them.
async fn send_wrongly(door: SocketAddr, told: &[(&str, &str)], id: &str) {
    let wrong = r#"{"crmId":"EVENT-Canarykestrel Zylophantine"}"#;
    let event = r#"{"id":"e-1","task":"EVENT-Canarykestrel","version":1,"type":"EVENT-Canarykestrel","at":"EVENT-Canarykestrel"}"#;
    let more = r#"{"id":"e-1","note":"EVENT-Canarykestrel","EVENT-Canarykestrel":1}"#;
    let nowhere = "GET /v1/tasks/Zylophantine/content?purpose=Quillamora";
    for (line, body) in [
        (id, wrong),
        (id, r#"{"EVENT-Canarykestrel":"x"}"#),
        ("POST /v1/task-events", event),
        ("POST /v1/task-events", more),
        ("POST /v1/task-events", "EVENT-Canarykestrel"),
        (nowhere, ""),
        ("GET /v1/people/MRNX-77310942/crm-id?purpose=TREAT", ""),
        ("GET /v1/Zylophantine?name=Quillamora", ""),
        ("GET /v1/consent-decisions/MRNX-77310942", ""),
    ] {
        let answer = request(door, line, told, body).await;
        assert!(answer.status >= 400, "{line}");
        search("an error text", format!("{answer:?}").as_bytes());
    }
    let quoting = [
        (
            "authorization",
            "Bearer careloop_Zylophantine_Quillamora_MRNX-77310942",
        ),
        ("purpose-of-use", "Zylophantine"),
        ("x-canary", "CRMX-Canarynumber-5512"),
    ];
    let answer = request(door, nowhere, &quoting, "").await;
    assert_eq!(answer.status, 401);
    search("an error text", format!("{answer:?}").as_bytes());
}
