//! Each reason for which the content of a task is not told: with its status and code, on record, and
//! with nothing of the person in it.

use careloop::clock;
use uuid::Uuid;

use crate::support::api::{
    Answer, PHONE, SCOPES, asked, content_of, published, token, token_of, told_and_refused,
};
use crate::support::behind::Behind;
use crate::support::clinic::diagnosed;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::operator::{ASKER, BY};
use crate::support::policy;
use crate::support::wait::until;

/// Asks for the content and finds it refused, on record, and nothing disclosed.
async fn refused(hub: &Hub, token: &str, path: &str, status: u16, codes: &str) -> Answer {
    let behind = Behind::open(&hub.database).await;
    let (told, before) = told_and_refused(&behind).await;
    let answer = asked(hub, token, path, "").await;
    let code = codes.split(' ').next().unwrap().to_owned();
    assert_eq!(answer.problem(), (status, code), "{}", answer.body);
    assert!(
        !answer.body.contains("Ada")
            && !answer.body.contains("555-0101")
            && !answer.body.contains("518555")
    );
    let (told_now, now) = told_and_refused(&behind).await;
    assert_eq!(told_now, told, "nothing is disclosed");
    assert_eq!(now.len(), before.len() + 1, "{now:?}");
    assert_eq!(now.last().unwrap(), codes);
    behind.close().await;
    answer
}

/// A hub where only a recorded consent permits, with one; its task has left.
async fn consented(hub: &Hub) -> (Uuid, Uuid, String) {
    hub.peer("adt")
        .await
        .send_bytes(diagnosed("TEST-1", PHONE).as_bytes())
        .await;
    hub.processed().await;
    let person = hub.person("TEST-1").await;
    let id = person.to_string();
    let what = [
        "consent",
        "record",
        &id,
        "--decision",
        "permit",
        "--channel",
        "phone-live",
    ];
    let how = ["--method", "verbal", "--source", "FORM-1"];
    hub.run(&[&what[..], &how[..], &BY[..]].concat()).await;
    let task = hub.until_task_is(person, "requested").await;
    let entry = hub.record(person).await.entries[0].id;
    (person, entry, content_of(task.id.parse().unwrap()))
}

on_each_store! {
    async fn a_consent_withdrawn_after_the_task_left_closes_its_content_at_once(database) {
        let hub = Hub::start(database, Setup { implied: false, ..Setup::default() }).await;
        let (person, entry, path) = consented(&hub).await;
        let token = token(&hub, SCOPES).await;
        let content = asked(&hub, &token, &path, "").await;
        assert_eq!(content.status, 200);
        let decision = content.json()["consent"]["decisionId"].as_str().unwrap().to_owned();
        // The withdrawal alone, before anybody has looked at what follows from it.
        let mut tx = hub.store().write(hub.tenant).await.unwrap();
        assert!(tx.revoke_consent(entry, clock::now()).await.unwrap());
        tx.commit().await.unwrap();
        let answer = refused(&hub, &token, &path, 403, "consent D13_NO_CONSENT D16_CONSENT_REVOKED").await;
        assert_eq!(answer.json()["reasonCodes"], serde_json::json!(["D13_NO_CONSENT", "D16_CONSENT_REVOKED"]));
        let recheck = asked(&hub, &token, &format!("GET /v1/consent-decisions/{decision}"), "").await.json();
        assert_eq!((&recheck["holds"], &recheck["now"]["decision"]), (&false.into(), &"deny".into()));
        // Once it is looked at, the task is taken back.
        let mut tx = hub.store().write(hub.tenant).await.unwrap();
        tx.ask_again(person, clock::now()).await.unwrap();
        tx.commit().await.unwrap();
        hub.until_task_is(person, "cancelled").await;
        refused(&hub, &token, &path, 410, "task-ended cancelled").await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn content_ends_when_the_ehr_or_the_person_takes_the_task_back(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let (ada, _, path) = published(&hub).await;
        let token = token(&hub, SCOPES).await;
        assert_eq!(asked(&hub, &token, &path, "").await.status, 200);
        let died = "PID|1||TEST-1^^^RVS^MR||Example^Ada||19700102|F|||||||||||||||||||||20250301|Y";
        let message = format!(
            "MSH|^~\\&|EPIC|RVS|CARELOOP|HUB|20250302120000||ADT^A08|D-1|P|2.5.1\rEVN||20250302120000\r{died}\r"
        );
        hub.peer("adt").await.send_bytes(message.as_bytes()).await;
        hub.until_task_is(ada, "cancelled").await;
        refused(&hub, &token, &path, 410, "task-ended cancelled").await;
        hub.peer("adt").await.send_bytes(diagnosed("TEST-2", "(518)555-0102").as_bytes()).await;
        hub.processed().await;
        let ben = hub.person("TEST-2").await;
        let path = content_of(hub.until_task_is(ben, "requested").await.id.parse().unwrap());
        assert_eq!(asked(&hub, &token, &path, "").await.status, 200);
        let ben_id = ben.to_string();
        hub.run(&[&["consent", "opt-out", &ben_id][..], &BY[..]].concat()).await;
        // Whoever asks first sees the reason, and then that the task has ended.
        let first = asked(&hub, &token, &path, "").await;
        assert!(matches!(first.status, 403 | 409 | 410), "{}", first.body);
        hub.until_task_is(ben, "cancelled").await;
        refused(&hub, &token, &path, 410, "task-ended cancelled").await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn without_agreement_mode_or_while_outreach_is_stopped_no_content_is_told(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let (person, _, path) = published(&hub).await;
        let token = token(&hub, SCOPES).await;
        hub.run(&[&["outreach", "stop"][..], &ASKER[..]].concat()).await;
        refused(&hub, &token, &path, 409, "outreach-stopped").await;
        hub.run(&[&["outreach", "resume"][..], &ASKER[..]].concat()).await;
        assert_eq!(asked(&hub, &token, &path, "").await.status, 200);
        let hub = hub.restart_as(Setup { covers: r#"["adt"]"#, ..Setup::default() }).await;
        refused(&hub, &token, &path, 403, "agreement-not-in-force").await;
        for line in ["GET /v1/people/ID/crm-id?purpose=TREAT", "PUT /v1/people/ID/crm-id", "POST /v1/task-events"] {
            let line = line.replace("ID", &careloop::outbox::envelope::ulid(person));
            let body = if line.starts_with("GET") { "" } else {
                r#"{"id":"e","task":"01JD8Q2W7V3N5R6T8Y9ZABCDEG","version":1,"type":"accepted","at":"2026-11-01T10:00:00Z"}"#
            };
            let body = if line.starts_with("PUT") { r#"{"crmId":"CRM-1"}"# } else { body };
            assert_eq!(asked(&hub, &token, &line, body).await.problem(), (403, "agreement-not-in-force".to_owned()));
        }
        let hub = hub.restart_as(Setup { mode: "observe", ..Setup::default() }).await;
        refused(&hub, &token, &path, 403, "mode-observe").await;
        let hub = hub.restart_as(Setup::default()).await;
        assert_eq!(asked(&hub, &token, &path, "").await.status, 200);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn content_waits_for_the_hour_for_a_change_under_way_and_for_the_task_to_leave(database) {
        let folder = database.folder.path().to_owned();
        let hub = Hub::start(database, Setup::default()).await;
        let (person, _, path) = published(&hub).await;
        let token = token(&hub, SCOPES).await;
        let gate = hub.store().close_gate(hub.tenant, person).await.unwrap();
        let answer = refused(&hub, &token, &path, 409, "change-pending").await;
        assert_eq!(answer.headers["retry-after"], "5");
        let mut tx = hub.store().write(hub.tenant).await.unwrap();
        tx.open_gate(gate).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(asked(&hub, &token, &path, "").await.status, 200);
        let closed = Setup { quiet_hours: true, tenant: policy::closed_now(&folder), ..Setup::default() };
        let hub = hub.restart_as(closed).await;
        let answer = refused(&hub, &token, &path, 409, "not-yet T02_QUIET_HOURS").await;
        let next: jiff::Timestamp = answer.json()["nextAllowed"].as_str().unwrap().parse().unwrap();
        assert!(next > clock::now());
        // One that has not left yet is nobody's to work.
        hub.peer("adt").await.send_bytes(diagnosed("TEST-2", "(518)555-0102").as_bytes()).await;
        hub.processed().await;
        let ben = hub.person("TEST-2").await;
        let waiting = hub.until_task_is(ben, "deferred").await;
        let path = content_of(waiting.id.parse().unwrap());
        refused(&hub, &token, &path, 409, "not-yet T02_QUIET_HOURS").await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_token_that_is_unknown_expired_or_revoked_opens_nothing(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let behind = Behind::open(&hub.database).await;
        let (_, _, path) = published(&hub).await;
        let (one, other) = (token(&hub, SCOPES).await, token(&hub, SCOPES).await);
        assert_eq!(asked(&hub, &one, &path, "").await.status, 200);
        let listed = hub.run(&["token", "list", "--json"]).await;
        let first: serde_json::Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
        let id = first["id"].as_str().unwrap();
        hub.run(&[&["token", "revoke", id][..], &BY[..]].concat()).await;
        let revoked = asked(&hub, &one, &path, "").await;
        assert_eq!(revoked.problem(), (401, "token-invalid".to_owned()));
        let (tenant_unknown, id_unknown) = (one.replace("riverside", "nowhere"), one.replace("_0", "_1"));
        for unknown in ["", "x", &tenant_unknown, &id_unknown, &format!("{one}0"), &one.to_uppercase()] {
            assert_eq!(asked(&hub, unknown, &path, "").await, revoked, "all look alike");
        }
        assert_eq!(asked(&hub, &other, &path, "").await.status, 200, "the other one is in force");
        behind.run("UPDATE service_token SET expires_at = 1 WHERE revoked_at IS NULL").await;
        assert_eq!(asked(&hub, &other, &path, "").await.problem(), (401, "token-expired".to_owned()));
        assert_eq!(told_and_refused(&behind).await.0, 2);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn scope_and_purpose_are_asked_first_and_their_refusals_are_on_record(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let (_, _, path) = published(&hub).await;
        let events = token(&hub, "task-event:write").await;
        refused(&hub, &events, &path, 403, "scope-missing").await;
        let both = token_of(&hub, "riverside", SCOPES, "TREAT,HOPERAT").await;
        refused(&hub, &both, &path.replace("?purpose=TREAT", ""), 400, "purpose-missing").await;
        refused(&hub, &both, &path.replace("TREAT", "FUN"), 400, "purpose-unknown").await;
        refused(&hub, &both, &path.replace("TREAT", "HMARKT"), 403, "purpose-not-allowed").await;
        refused(&hub, &both, &path.replace("TREAT", "HOPERAT"), 403, "purpose-mismatch").await;
        refused(&hub, &both, &content_of(Uuid::now_v7()), 404, "not-found").await;
        let bearer = format!("Bearer {both}");
        let header = [("authorization", bearer.as_str()), ("purpose-of-use", "TREAT")];
        let (door, line) = (hub.daemon.http.unwrap(), path.replace("?purpose=TREAT", ""));
        assert_eq!(crate::support::api::request(door, &line, &header, "").await.status, 200);
        let two = [("authorization", bearer.as_str()), ("purpose-of-use", "HOPERAT")];
        let contradicting = crate::support::api::request(door, &path, &two, "").await;
        assert_eq!(contradicting.problem(), (400, "purpose-unknown".to_owned()));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn who_asks_too_often_has_to_wait_and_others_do_not(database) {
        let http = "requests_per_minute = 3".to_owned();
        let hub = Hub::start(database, Setup { http, ..Setup::default() }).await;
        let (_, _, path) = published(&hub).await;
        let (eager, calm) = (token(&hub, SCOPES).await, token(&hub, SCOPES).await);
        let last = until("it has to wait", || async {
            let answer = asked(&hub, &eager, &path, "").await;
            (answer.status == 429).then_some(answer)
        })
        .await;
        assert_eq!(last.problem(), (429, "too-many-requests".to_owned()));
        let wait: u32 = last.headers["retry-after"].parse().unwrap();
        assert!((1..=20).contains(&wait), "{wait}");
        assert_eq!(asked(&hub, &calm, &path, "").await.status, 200);
        // Failed ones are counted by address: then even a token in force has to wait.
        let last = until("the address has to wait", || async {
            let answer = asked(&hub, "careloop_riverside_x_y", &path, "").await;
            (answer.status == 429).then_some(answer)
        })
        .await;
        assert!(last.headers.contains_key("retry-after"));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn without_a_disclosure_or_a_refusal_on_record_the_answer_is_503(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let behind = Behind::open(&hub.database).await;
        let (_, _, path) = published(&hub).await;
        let token = token(&hub, SCOPES).await;
        let (close, open) = if behind.is_postgres() {
            (["REVOKE INSERT ON disclosure FROM careloop_app", "REVOKE INSERT ON audit FROM careloop_app"],
             ["GRANT INSERT ON disclosure TO careloop_app", "GRANT INSERT ON audit TO careloop_app"])
        } else {
            (["CREATE TRIGGER no_disclosure BEFORE INSERT ON disclosure BEGIN SELECT RAISE(ABORT, 'no'); END",
              "CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END"],
             ["DROP TRIGGER no_disclosure", "DROP TRIGGER no_audit"])
        };
        let unavailable = (503, "unavailable".to_owned());
        behind.run(close[0]).await;
        let answer = asked(&hub, &token, &path, "").await;
        assert_eq!(answer.problem(), unavailable);
        assert!(!answer.body.contains("Ada") && answer.headers.contains_key("retry-after"));
        behind.run(open[0]).await;
        behind.run(close[1]).await;
        assert_eq!(asked(&hub, &token, &path, "").await.problem(), unavailable);
        let nowhere = content_of(Uuid::now_v7());
        assert_eq!(asked(&hub, &token, &nowhere, "").await.problem(), unavailable, "a refusal, too");
        assert_eq!(told_and_refused(&behind).await, (0, vec![]));
        behind.run(open[1]).await;
        let content = asked(&hub, &token, &path, "").await;
        assert_eq!(content.status, 200);
        let id = content.json()["consent"]["decisionId"].as_str().unwrap().to_owned();
        let id = careloop::outbox::envelope::from_ulid(&id).unwrap().simple().to_string();
        let row = format!("SELECT count(*) FROM disclosure WHERE {} = '{id}' AND purpose = 'TREAT' AND fields = 'name contact language needs reasons'", behind.hex("id"));
        assert_eq!(behind.number(&row).await, 1, "the answer names its disclosure");
        hub.daemon.stop().await;
    }
}
