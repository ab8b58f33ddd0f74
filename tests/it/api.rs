//! The CRM's API on real sockets and both stores: what is told, to whom, and what is on record.

use careloop::outbox::envelope::ulid;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::api::{PHONE, SCOPES, ask, asked, code, content_of, published, token};
use crate::support::behind::Behind;
use crate::support::clinic::diagnosed;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;

on_each_store! {
    async fn content_is_told_once_it_is_on_record_and_not_after_the_task_has_ended(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let behind = Behind::open(&hub.database).await;
        let (person, task, path) = published(&hub).await;
        let token = token(&hub, SCOPES).await;
        let crm = format!("PUT /v1/people/{}/crm-id", ulid(person));
        let (status, body) = ask(&hub, &token, &crm, r#"{"crmId":"CRM-TEST-1"}"#).await;
        assert_eq!(status, 200, "{body}");
        let (status, body) = ask(&hub, &token, &path, "").await;
        assert_eq!(status, 200, "{body}");
        let content: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(content["person"]["name"]["text"], "Ada Example");
        assert_eq!(content["person"]["crmId"], "CRM-TEST-1");
        assert_eq!(content["contact"]["contactPoint"]["value"], PHONE);
        assert_eq!(content["reasons"].as_array().unwrap().len(), 1);
        let told = "SELECT count(*) FROM audit WHERE action = 'task.disclose' AND outcome = 'done'";
        assert_eq!(behind.number(told).await, 1);
        assert_eq!(behind.number("SELECT count(*) FROM disclosure").await, 1);
        let decision = content["consent"]["decisionId"].as_str().unwrap();
        let recheck = format!("GET /v1/consent-decisions/{decision}");
        let (status, body) = ask(&hub, &token, &recheck, "").await;
        assert!(status == 200 && body.contains(r#""holds":true"#), "{body}");
        let event = format!(
            r#"{{"id":"e-1","task":"{}","version":1,"type":"completed","at":"2026-11-01T10:00:00Z"}}"#,
            ulid(task)
        );
        let events = "POST /v1/task-events";
        assert_eq!(ask(&hub, &token, events, &event).await.0, 202);
        assert_eq!(ask(&hub, &token, events, &event).await.0, 200);
        let wrong = event.replace(r#""version":1"#, r#""version":0"#);
        assert_eq!(ask(&hub, &token, events, &wrong).await.0, 422);
        let (status, body) = ask(&hub, &token, &path, "").await;
        assert_eq!((status, code(&body).as_str()), (410, "task-ended"));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn content_tells_the_language_and_that_an_interpreter_is_needed(database) {
        let tenant = r#"languages = ["en"]"#.to_owned();
        let hub = Hub::start(database, Setup { tenant, ..Setup::default() }).await;
        let token = token(&hub, SCOPES).await;
        for (number, spoken, language, needs) in [
            ("TEST-1", "spa", "es", json!(["interpreter"])),
            ("TEST-2", "eng", "en", json!([])),
            ("TEST-3", "", "und", json!([])),
        ] {
            let message = diagnosed(number, PHONE).replace("^PRN^PH", &format!("^PRN^PH||{spoken}"));
            hub.peer("adt").await.send_bytes(message.as_bytes()).await;
            hub.processed().await;
            let task = hub.until_task_is(hub.person(number).await, "requested").await;
            let content = asked(&hub, &token, &content_of(task.id.parse().unwrap()), "").await.json();
            assert_eq!((&content["contact"]["language"], &content["contact"]["needs"]), (&language.into(), &needs));
            let obliged = content["obligations"].to_string().contains("use-interpreter");
            assert_eq!(obliged, language == "es", "{content:#}");
            let sent = hub.spooled().pop().unwrap()["data"]["contact"].clone();
            let told = sent.get("needs").cloned().unwrap_or_else(|| json!([]));
            assert_eq!((&sent["language"], told), (&language.into(), needs));
        }
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn nothing_is_told_that_cannot_be_put_on_record(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let behind = Behind::open(&hub.database).await;
        let (_, _, path) = published(&hub).await;
        let token = token(&hub, SCOPES).await;
        behind.run("ALTER TABLE audit RENAME TO away").await;
        let (status, body) = ask(&hub, &token, &path, "").await;
        assert_eq!((status, code(&body).as_str()), (503, "unavailable"));
        assert!(!body.contains("Ada"));
        behind.run("ALTER TABLE away RENAME TO audit").await;
        assert_eq!(ask(&hub, &token, &path, "").await.0, 200);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_token_permits_what_it_names_until_it_is_revoked_or_ends(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let behind = Behind::open(&hub.database).await;
        let (_, _, path) = published(&hub).await;
        let token_of_events = token(&hub, "task-event:write").await;
        let (status, body) = ask(&hub, &token_of_events, &path, "").await;
        assert_eq!((status, code(&body).as_str()), (403, "scope-missing"));
        let token = token(&hub, SCOPES).await;
        let secret = token.rsplit('_').next().unwrap();
        let kept = behind.texts(&format!("SELECT {} FROM service_token", behind.hex("digest"))).await;
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.as_bytes());
        let hash: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(kept.contains(&hash) && !kept.iter().any(|kept| kept == secret), "only a hash is kept");
        for (line, status, word) in [
            (path.replace("?purpose=TREAT", ""), 400, "purpose-missing"),
            (path.replace("TREAT", "FUN"), 400, "purpose-unknown"),
            (path.replace("TREAT", "HOPERAT"), 403, "purpose-not-allowed"),
        ] {
            let (found, body) = ask(&hub, &token, &line, "").await;
            assert_eq!((found, code(&body).as_str()), (status, word));
        }
        let unknown = format!("GET /v1/tasks/{}/content?purpose=TREAT", ulid(Uuid::now_v7()));
        assert_eq!(code(&ask(&hub, &token, &unknown, "").await.1), "not-found");
        let invented = ask(&hub, "careloop_elsewhere_x_y", &path, "").await;
        let mistyped = ask(&hub, &token.replace('a', "b"), &path, "").await;
        assert_eq!((invented.0, &invented), (401, &mistyped));
        behind.run("UPDATE service_token SET expires_at = 1").await;
        let (status, body) = ask(&hub, &token, &path, "").await;
        assert_eq!((status, code(&body).as_str()), (401, "token-expired"));
        assert_eq!(ask(&hub, &token.replace('a', "b"), &path, "").await, mistyped);
        behind.run("UPDATE service_token SET revoked_at = 1").await;
        assert_eq!(ask(&hub, &token, &path, "").await, mistyped);
        hub.daemon.stop().await;
    }
}
