//! The description and the hub: every answer that is documented is given, and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use careloop::outbox::envelope::ulid;
use futures_util::future::join_all;
use serde_json::Value;
use uuid::Uuid;

use crate::support::api::{
    Answer, SCOPES, asked, code, documented, published, request, token, token_of,
};
use crate::support::behind::Behind;
use crate::support::database::Database;
use crate::support::hub::{Hub, Setup};
use crate::support::operator::ASKER;

/// Who notes which answers an operation gave.
struct Noting {
    door: SocketAddr,
    seen: BTreeMap<String, BTreeSet<u16>>,
}

impl Noting {
    fn note(&mut self, answer: Answer) -> Answer {
        let of = self.seen.entry(answer.operation.clone()).or_default();
        of.insert(answer.status);
        answer
    }

    async fn ask(&mut self, token: &str, line: &str, body: &str) -> Answer {
        self.ask_as(token, line, body, &[]).await
    }

    async fn ask_as(
        &mut self,
        token: &str,
        line: &str,
        body: &str,
        more: &[(&str, &str)],
    ) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [&[("authorization", bearer.as_str())], more].concat();
        let answer = request(self.door, line, &headers, body).await;
        self.note(answer)
    }
}

/// A request to each operation behind a token that is answered well.
fn five(person: Uuid, task: Uuid, decision: &str) -> [(String, String); 5] {
    let (person, task) = (ulid(person), ulid(task));
    let event = format!(
        r#"{{"id":"e-1","task":"{task}","version":1,"type":"accepted","at":"2026-11-01T10:00:00Z"}}"#
    );
    [
        (
            format!("PUT /v1/people/{person}/crm-id"),
            r#"{"crmId":"CRM-TEST-1"}"#.to_owned(),
        ),
        (
            format!("GET /v1/people/{person}/crm-id?purpose=TREAT"),
            String::new(),
        ),
        (
            format!("GET /v1/tasks/{task}/content?purpose=TREAT"),
            String::new(),
        ),
        (
            format!("GET /v1/consent-decisions/{decision}"),
            String::new(),
        ),
        ("POST /v1/task-events".to_owned(), event),
    ]
}

/// What each operation answers to who may not, to what is nowhere, and to bodies of another form.
async fn badly_asked(noting: &mut Noting, five: &[(String, String)], tokens: [&str; 3]) {
    let [full, none, address] = tokens;
    let here = five[1].0.split('/').nth(3).unwrap().to_owned();
    for (line, body) in five {
        noting.ask(address, line, body).await;
        noting.ask(none, line, body).await;
        let nowhere = ulid(Uuid::now_v7());
        let ids = line.split('/').nth(3).filter(|id| id.len() == 26);
        let line = ids.map_or_else(|| line.clone(), |id| line.replace(id, &nowhere));
        let body = body.replace("e-1", &nowhere);
        let task = body
            .split("\"task\":\"")
            .nth(1)
            .and_then(|rest| Some(rest.split('"').next()?.to_owned()));
        let body = task.map_or_else(|| body.clone(), |task| body.replace(&task, &nowhere));
        assert_eq!(noting.ask(full, &line, &body).await.status, 404, "{line}");
        noting
            .ask(full, &line.replace("?purpose=TREAT", ""), &body)
            .await;
        if body.is_empty() {
            continue;
        }
        noting.ask(full, &line, r#"{"other":true}"#).await;
        let text = [("content-type", "text/plain")];
        assert_eq!(noting.ask_as(full, &line, &body, &text).await.status, 415);
        let large = [("content-length", "99999999")];
        assert_eq!(noting.ask_as(full, &line, "{}", &large).await.status, 413);
    }
    // An id that is another person's.
    let other = five[0].0.replace(&here, &ulid(Uuid::now_v7()));
    assert_eq!(noting.ask(full, &other, &five[0].1).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_that_is_documented_is_given_and_no_other() {
    let setup = Setup {
        http: "requests_per_minute = 40\nrequest_timeout = \"3s\"".to_owned(),
        ..Setup::default()
    };
    let hub = Hub::start(Database::sqlite(), setup).await;
    let behind = Behind::open(&hub.database).await;
    let (person, task, path) = published(&hub).await;
    let mut noting = Noting {
        door: hub.daemon.http.unwrap(),
        seen: BTreeMap::new(),
    };
    let full = token(&hub, SCOPES).await;
    let content = noting.ask(&full, &path, "").await.json();
    let five = five(
        person,
        task,
        content["consent"]["decisionId"].as_str().unwrap(),
    );
    for (line, body) in &five {
        assert!(noting.ask(&full, line, body).await.status < 300, "{line}");
        noting.ask(&full, line, body).await;
    }
    let none = token_of(&hub, "riverside", "decision:read", "TREAT").await;
    let events = token_of(&hub, "riverside", "task-event:write", "TREAT").await;
    badly_asked(&mut noting, &five, [&full, &events, "nobody"]).await;
    noting.ask(&none, &five[4].0, &five[4].1).await;
    taken_id(&hub, &mut noting, &five[0].1).await;
    too_late(&hub, &mut noting, &five).await;
    not_now(&behind, &mut noting, &full, &five).await;
    let ended = r#""type":"completed""#;
    let body = five[4]
        .1
        .replace(r#""type":"accepted""#, ended)
        .replace("e-1", "e-2");
    let last = token(&hub, SCOPES).await;
    assert_eq!(noting.ask(&last, &five[4].0, &body).await.status, 202);
    assert_eq!(noting.ask(&last, &path, "").await.status, 410);
    assert_eq!(stopped(&hub, &mut noting, &last).await, 409);
    open_pages(&mut noting).await;
    hub.daemon.stop().await;
    for (operation, statuses) in documented() {
        let documented: BTreeSet<u16> = statuses.into_iter().collect();
        let mut seen = noting.seen.remove(&operation).unwrap_or_default();
        if operation == "GET /health/ready" {
            seen.insert(503); // the unit tests of the door see it
        }
        assert_eq!(seen, documented, "{operation}");
    }
}

/// What each operation answers while another process holds the store: a token that was not used yet is
/// noted, and that waits.
async fn too_late(hub: &Hub, noting: &mut Noting, five: &[(String, String)]) {
    let fresh = join_all((0..5).map(|_| token(hub, SCOPES))).await;
    let held = sqlx::SqlitePool::connect(&hub.database.url).await.unwrap();
    let lock = held.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let late = five
        .iter()
        .zip(&fresh)
        .map(|((line, body), token)| asked(hub, token, line, body));
    for answer in join_all(late).await {
        let late = (408, "request-timeout".to_owned());
        assert_eq!(answer.problem(), late, "{}", answer.operation);
        noting.note(answer);
    }
    lock.rollback().await.unwrap();
}

/// What each operation answers while the store cannot be read, and to who asks too often.
async fn not_now(behind: &Behind, noting: &mut Noting, full: &str, five: &[(String, String)]) {
    behind.run("ALTER TABLE service_token RENAME TO away").await;
    for (line, body) in five {
        assert_eq!(noting.ask(full, line, body).await.status, 503);
    }
    behind.run("ALTER TABLE away RENAME TO service_token").await;
    for (line, body) in five {
        while noting.ask(full, line, body).await.status != 429 {}
    }
}

/// The id is taken by another person.
async fn taken_id(hub: &Hub, noting: &mut Noting, body: &str) {
    let token = token(hub, SCOPES).await;
    let message = crate::support::clinic::diagnosed("TEST-2", "(518)555-0102");
    hub.peer("adt").await.send_bytes(message.as_bytes()).await;
    hub.processed().await;
    let other = format!("PUT /v1/people/{}/crm-id", ulid(hub.person("TEST-2").await));
    assert_eq!(noting.ask(&token, &other, body).await.status, 409);
}

/// What content answers while all outreach is stopped.
async fn stopped(hub: &Hub, noting: &mut Noting, token: &str) -> u16 {
    hub.run(&[&["outreach", "stop"][..], &ASKER[..]].concat())
        .await;
    let person = hub.person("TEST-2").await;
    let task: Uuid = hub.task_of(person).await.id.parse().unwrap();
    let path = crate::support::api::content_of(task);
    noting.ask(token, &path, "").await.status
}

/// What nobody needs a token for; the description is the one that the hub was built with.
async fn open_pages(noting: &mut Noting) {
    let pages = [
        "/openapi.json",
        "/schemas/outreach-task/v1",
        "/schemas/task-event/v1",
        "/health/live",
        "/health/ready",
        "/metrics",
    ];
    let mut texts = Vec::new();
    for page in pages {
        let answer = request(noting.door, &format!("GET {page}"), &[], "").await;
        assert_eq!(answer.status, 200, "{page}");
        texts.push(noting.note(answer).body);
    }
    assert_eq!(texts[0], include_str!("../../src/web/openapi.json"));
    for (text, shipped) in texts[1..3].iter().zip([
        include_str!("../../src/outbox/schema/outreach-task.v1.schema.json"),
        include_str!("../../src/outbox/schema/task-event.v1.schema.json"),
    ]) {
        assert_eq!(text, shipped);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_described_is_not_served() {
    let hub = Hub::start(Database::sqlite(), Setup::default()).await;
    let token = token(&hub, SCOPES).await;
    let described = documented();
    let paths: BTreeSet<&str> = described
        .keys()
        .filter_map(|one| one.split(' ').nth(1))
        .collect();
    for path in paths {
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            let line = format!("{method} {}", path.replace("{id}", &ulid(Uuid::now_v7())));
            let answer = asked(&hub, &token, &line, "").await;
            let known = described.contains_key(&format!("{method} {path}"));
            assert_eq!(answer.status == 405, !known, "{line}: {}", answer.status);
        }
    }
    for line in [
        "GET /v1",
        "GET /v1/tasks",
        "GET /v2/tasks",
        "GET /",
        "GET /docs",
    ] {
        let answer = asked(&hub, &token, line, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (404, ""), "{line}");
    }
    // Codes of problems: the list of the description is what the hub can say.
    let whole: Value = serde_json::from_str(include_str!("../../src/web/openapi.json")).unwrap();
    let codes = whole["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].clone();
    let (_, body) =
        crate::support::api::ask(&hub, "nobody", "GET /v1/consent-decisions/x", "").await;
    assert!(codes.as_array().unwrap().contains(&code(&body).into()));
    hub.daemon.stop().await;
}
