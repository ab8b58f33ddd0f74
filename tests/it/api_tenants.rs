//! What belongs to others looks like nothing: with a token of one tenant every id of another one is
//! answered as a random id is, byte for byte, on every route.

use std::cell::Cell;

use careloop::clock;
use careloop::outbox::envelope::ulid;
use careloop::store::{AuditEntry, TestTask};
use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config as Cases, TestRunner};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::support::agreement::agreement;
use crate::support::api::{Answer, SCOPES, asked, content_of, published, token_of};
use crate::support::behind::Behind;
use crate::support::clinic::diagnosed;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;

/// Two more clinics on the same hub.
const OTHERS: [&str; 2] = ["lakeside", "hillside"];

/// What the others have that has an id.
const TABLES: [&str; 11] = [
    "task",
    "test_task",
    "person",
    "consent_decision",
    "disclosure",
    "contact_point",
    "finding",
    "outbox",
    "message",
    "service_token",
    "audit",
];

fn three_clinics(hours: &str) -> Setup {
    let clinic = |name: &str| {
        let agreement = agreement(name, &format!(r#"["adt-{name}", "careloop.tasks"]"#));
        format!(
            r#"
[[tenant]]
name = "{name}"
zone = "America/New_York"
locations = [{{ name = "main", mode = "live" }}]
rules = {{ hba1c-due = "live" }}
implied_treatment_contact = true
{hours}
{agreement}
[[source]]
tenant = "{name}"
name = "adt-{name}"
kind = "mllp"
listen = "127.0.0.1:0"
zone = "America/New_York"
mode = "live"
identifiers = [{{ type = "MR", assigner = "RVS" }}]
history_since = {{ "*" = 2020-01-01 }}
"#
        )
    };
    Setup {
        more: OTHERS.map(clinic).concat(),
        ..Setup::default()
    }
}

/// Publishes a task of another clinic, reads its content and registers an id, all with its own token.
async fn busy(hub: &mut Hub, name: &str) -> String {
    let own = hub.tenant;
    let source = format!("adt-{name}");
    let mut peer = hub.peer(&source).await;
    let message = diagnosed("TEST-1", "(518)555-0102");
    assert_eq!(peer.send_bytes(message.as_bytes()).await.code, "AA");
    hub.tenant = hub.store().tenant(name).await.unwrap();
    hub.processed().await;
    let person = hub.person("TEST-1").await;
    let task = hub.until_task_is(person, "requested").await;
    let test = TestTask::new(clock::now(), SignedDuration::from_mins(10));
    let entry = AuditEntry {
        at: clock::now(),
        actor: "crm-check".to_owned(),
        action: "crm.check.begin",
        outcome: "done",
        purpose: None,
        entity: ("test-task", Some(test.id)),
        message: None,
        detail: None,
    };
    let made = hub.store().make_test_task(hub.tenant, &test, &entry);
    made.await.unwrap();
    hub.tenant = own;
    let token = token_of(hub, name, SCOPES, "TREAT").await;
    let content = asked(hub, &token, &content_of(task.id.parse().unwrap()), "").await;
    assert_eq!(content.status, 200, "{}", content.body);
    let register = format!("PUT /v1/people/{}/crm-id", ulid(person));
    let made = asked(hub, &token, &register, r#"{"crmId":"CRM-TEST-1"}"#).await;
    assert_eq!(made.status, 200, "{}", made.body);
    token
}

/// Every id of the other clinics, each with where it stands.
async fn ids_of_others(behind: &Behind) -> Vec<(&'static str, Uuid)> {
    let mut found = Vec::new();
    for table in TABLES {
        let id = behind.hex("id");
        let of = "tenant IN (SELECT id FROM tenant WHERE name IN ('lakeside', 'hillside'))";
        let ids = behind
            .texts(&format!("SELECT {id} FROM {table} WHERE {of}"))
            .await;
        assert!(ids.len() >= OTHERS.len(), "{table}");
        found.extend(ids.iter().map(|id| (table, Uuid::parse_str(id).unwrap())));
    }
    found
}

/// How somebody asks: the route, what stands in its query, and which token.
#[derive(Clone, Copy, Debug)]
struct Asking {
    route: usize,
    purpose: &'static str,
    token: usize,
}

fn asking(tokens: usize) -> impl Strategy<Value = Asking> {
    let purposes = select(&["?purpose=TREAT", "?purpose=HOPERAT", "?purpose=FUN", ""][..]);
    (0..5_usize, purposes, 0..tokens).prop_map(|(route, purpose, token)| Asking {
        route,
        purpose,
        token,
    })
}

/// Asks about an id; an event carries an id of its own, so that none is a repeat.
async fn about(hub: &Hub, token: &str, how: Asking, id: Uuid) -> Answer {
    let (id, purpose, event) = (ulid(id), how.purpose, Uuid::now_v7());
    let (line, body) = match how.route {
        0 => (
            format!("GET /v1/tasks/{id}/content{purpose}"),
            String::new(),
        ),
        1 => (
            format!("GET /v1/consent-decisions/{id}{purpose}"),
            String::new(),
        ),
        2 => (
            format!("GET /v1/people/{id}/crm-id{purpose}"),
            String::new(),
        ),
        3 => (
            format!("PUT /v1/people/{id}/crm-id"),
            r#"{"crmId":"CRM-TEST-1"}"#.to_owned(),
        ),
        _ => (
            "POST /v1/task-events".to_owned(),
            format!(
                r#"{{"id":"{event}","task":"{id}","version":1,"type":"opted-out","scope":"all","at":"2026-11-01T10:00:00Z"}}"#
            ),
        ),
    };
    asked(hub, token, &line, &body).await
}

/// Everything of the other clinics that an answer could have changed.
async fn standing(behind: &Behind) -> Vec<i64> {
    let of = "tenant IN (SELECT id FROM tenant WHERE name IN ('lakeside', 'hillside'))";
    let mut counts = Vec::new();
    for table in [
        "audit",
        "task_event",
        "opt_out",
        "person_crm_id",
        "disclosure",
    ] {
        let count = format!("SELECT count(*) FROM {table} WHERE {of}");
        counts.push(behind.number(&count).await);
    }
    let asked = format!("SELECT count(*) FROM task WHERE state = 'requested' AND {of}");
    counts.push(behind.number(&asked).await);
    let read = format!(
        "SELECT count(*) FROM test_task WHERE (read_at IS NOT NULL OR answer IS NOT NULL) AND {of}"
    );
    counts.push(behind.number(&read).await);
    counts
}

on_each_store! {
    async fn an_id_of_another_clinic_is_answered_as_one_that_is_nowhere(database) {
        let hours = crate::support::policy::at_any_hour(database.folder.path());
        let setup = Setup { http: "requests_per_minute = 1000000".to_owned(), ..three_clinics(&hours) };
        let mut hub = Hub::start(database, setup).await;
        let behind = Behind::open(&hub.database).await;
        for name in OTHERS {
            busy(&mut hub, name).await;
        }
        let (_, task, path) = published(&hub).await;
        let ids = ids_of_others(&behind).await;
        let tokens = [
            token_of(&hub, "riverside", SCOPES, "TREAT,HOPERAT").await,
            token_of(&hub, "riverside", "task-event:write", "TREAT").await,
            token_of(&hub, "riverside", SCOPES, "HOPERAT").await,
        ];
        let before = standing(&behind).await;
        let cases = Cases { cases: 150, failure_persistence: None, ..Cases::default() };
        let (found, seen) = (Cell::new(0), std::cell::RefCell::new(std::collections::BTreeSet::new()));
        let result = tokio::task::block_in_place(|| {
            TestRunner::new(cases).run(&(asking(tokens.len()), select(ids.clone())), |(how, (table, id))| {
                let (theirs, nowhere) = Handle::current().block_on(async {
                    let theirs = about(&hub, &tokens[how.token], how, id).await;
                    (theirs, about(&hub, &tokens[how.token], how, Uuid::now_v7()).await)
                });
                prop_assert_eq!(&theirs, &nowhere, "{} {:?}", table, how);
                prop_assert!(theirs.status >= 400, "{theirs:?}");
                found.set(found.get() + u32::from(theirs.status == 404));
                seen.borrow_mut().insert((theirs.operation, theirs.status));
                Ok(())
            })
        });
        result.unwrap();
        assert!(found.get() > 30, "only {} came to look for an id", found.get());
        assert!(seen.borrow().iter().filter(|(_, status)| *status == 404).count() == 5, "{seen:?}");
        assert_eq!(standing(&behind).await, before, "nothing of theirs has changed");
        let own = asked(&hub, &tokens[0], &path, "").await;
        assert_eq!((own.status, hub.task_of(hub.person("TEST-1").await).await.state.as_str()), (200, "requested"));
        assert_eq!(own.json()["task"]["id"], ulid(task));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn what_a_token_may_not_read_looks_like_nothing_to_it(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let behind = Behind::open(&hub.database).await;
        let (person, task, path) = published(&hub).await;
        let full = token_of(&hub, "riverside", SCOPES, "TREAT,HOPERAT").await;
        let content = asked(&hub, &full, &path, "").await.json();
        let decision = content["consent"]["decisionId"].as_str().unwrap();
        let decision = careloop::outbox::envelope::from_ulid(decision).unwrap();
        let route = |route, purpose| Asking { route, purpose, token: 0 };
        // Without the scope, whatever is asked for.
        for (scopes, how, id) in [
            ("decision:read", route(0, "?purpose=TREAT"), task),
            ("task:content", route(1, ""), decision),
            ("task:content", route(2, "?purpose=TREAT"), person),
            ("task:content", route(3, ""), person),
            ("task:content", route(4, ""), task),
        ] {
            let token = token_of(&hub, "riverside", scopes, "TREAT").await;
            let own = about(&hub, &token, how, id).await;
            assert_eq!(own.problem(), (403, "scope-missing".to_owned()), "{how:?}");
            assert_eq!(own, about(&hub, &token, how, Uuid::now_v7()).await, "{how:?}");
        }
        // With the scope and for a purpose that is not the task's.
        let other = token_of(&hub, "riverside", SCOPES, "HOPERAT").await;
        for (how, id) in [(route(0, "?purpose=HOPERAT"), task), (route(1, ""), decision)] {
            let own = about(&hub, &other, how, id).await;
            assert_eq!(own.problem(), (404, "not-found".to_owned()), "{how:?}");
            assert_eq!(own, about(&hub, &other, how, Uuid::now_v7()).await, "{how:?}");
        }
        // Who may have both is told that it is the other one.
        let mismatch = about(&hub, &full, route(0, "?purpose=HOPERAT"), task).await;
        assert_eq!(mismatch.problem(), (403, "purpose-mismatch".to_owned()));
        let told = behind.number("SELECT count(*) FROM disclosure").await;
        assert_eq!((told, hub.task_of(person).await.state.as_str()), (1, "requested"));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn the_crms_own_id_of_a_person_is_kept_once_for_each_clinic(database) {
        let hours = crate::support::policy::at_any_hour(database.folder.path());
        let mut hub = Hub::start(database, three_clinics(&hours)).await;
        let behind = Behind::open(&hub.database).await;
        let theirs = busy(&mut hub, "lakeside").await;
        let (ada, _, path) = published(&hub).await;
        let mut peer = hub.peer("adt").await;
        peer.send_bytes(diagnosed("TEST-2", "(518)555-0103").as_bytes()).await;
        hub.processed().await;
        let ben = hub.person("TEST-2").await;
        let token = token_of(&hub, "riverside", SCOPES, "TREAT").await;
        let place = |person: Uuid| format!("/v1/people/{}/crm-id", ulid(person));
        let put = |person| format!("PUT {}", place(person));
        let get = |person| format!("GET {}?purpose=TREAT", place(person));
        let named = |id: &str| format!(r#"{{"crmId":"{id}"}}"#);
        assert_eq!(asked(&hub, &token, &get(ada), "").await.status, 404, "none is registered yet");
        // The other clinic has a person of this id; that is no conflict and no hint.
        let made = asked(&hub, &token, &put(ada), &named("CRM-TEST-1")).await;
        assert_eq!((made.status, made.json()["crmId"].as_str()), (200, Some("CRM-TEST-1")));
        let read = asked(&hub, &token, &get(ada), "").await.json();
        assert_eq!((&read["crmId"], &read["person"]), (&"CRM-TEST-1".into(), &format!("Patient/{}", ulid(ada)).into()));
        let taken = asked(&hub, &token, &put(ben), &named("CRM-TEST-1")).await;
        assert_eq!(taken.problem(), (409, "crm-id-taken".to_owned()));
        assert_eq!(asked(&hub, &token, &get(ben), "").await.status, 404);
        // A repeat changes nothing, a later one takes its place and frees the earlier.
        assert_eq!(asked(&hub, &token, &put(ada), &named("CRM-TEST-1")).await.status, 200);
        assert_eq!(asked(&hub, &token, &put(ada), &named("CRM-TEST-9")).await.status, 200);
        assert_eq!(asked(&hub, &token, &put(ben), &named("CRM-TEST-1")).await.status, 200);
        assert_eq!(asked(&hub, &token, &path, "").await.json()["person"]["crmId"], "CRM-TEST-9");
        let (no_purpose, form) = (format!("GET {}", place(ada)), named("two words"));
        assert_eq!(asked(&hub, &token, &no_purpose, "").await.problem(), (400, "purpose-missing".to_owned()));
        assert_eq!(asked(&hub, &token, &put(ada), &form).await.problem(), (422, "form".to_owned()));
        // The other clinic's token reaches neither person, and its own is as it was.
        for line in [get(ada), get(ben)] {
            assert_eq!(asked(&hub, &theirs, &line, "").await.problem(), (404, "not-found".to_owned()));
        }
        assert_eq!(asked(&hub, &theirs, &put(ada), &named("CRM-TEST-5")).await.status, 404);
        let refused = "SELECT count(*) FROM audit WHERE action = 'person.register' AND outcome = 'denied'";
        assert_eq!(behind.number(refused).await, 2, "the conflict and the other clinic's try are on record");
        assert_eq!(behind.number("SELECT count(*) FROM person_crm_id").await, 3);
        hub.daemon.stop().await;
    }
}
