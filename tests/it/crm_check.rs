//! `careloop crm check` against a running hub on a real RabbitMQ, and `careloop task story`.

use careloop::clock;
use careloop::outbox::envelope::ulid;
use careloop::store::{AuditEntry, TestTask};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::api::{SCOPES, asked, content_of, token, token_of};
use crate::support::behind::Behind;
use crate::support::broker;
use crate::support::clinic::QUEUE;
use crate::support::crm::{answer, published, say};
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::operator::ASKER;

/// Everything that counts people, work or contacts.
const COUNTED: [&str; 10] = [
    "person",
    "contact_point",
    "finding",
    "task",
    "outbox",
    "task_event",
    "disclosure",
    "consent_decision",
    "contact_attempt",
    "message",
];

/// A file with a token, and the hub's address.
async fn as_crm(hub: &Hub, scopes: &str) -> [String; 4] {
    let file = hub.folder().join("token");
    drop(std::fs::remove_file(&file));
    std::fs::write(&file, token(hub, scopes).await).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
    std::fs::set_permissions(&file, mode).unwrap();
    let address = format!("http://{}", hub.daemon.http.unwrap());
    let options = [
        "--token-file",
        &file.display().to_string(),
        "--hub",
        &address,
    ];
    options.map(ToOwned::to_owned)
}

/// Runs a check to its end, well or not; gives what it said and whether it ended well.
async fn check(hub: &Hub, options: &[String]) -> (String, bool) {
    let mut command = hub.process(&["crm", "check"]);
    command.args(options);
    let output = tokio::process::Command::from(command)
        .output()
        .await
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    (told + &errors, output.status.success())
}

async fn nothing_is_counted(behind: &Behind) {
    for table in COUNTED {
        let count = format!("SELECT count(*) FROM {table}");
        assert_eq!(behind.number(&count).await, 0, "{table}");
    }
}

on_each_store! {
    async fn a_check_with_the_crm_goes_all_the_way_round_and_nothing_counts_it(database) {
        let Some(broker) = broker::share().await else { return };
        let setup = Setup { broker: Some(broker.url()), ..Setup::default() };
        let hub = Hub::start(database, setup).await;
        let behind = Behind::open(&hub.database).await;
        let (told, well) = check(&hub, &[]).await;
        for step in ["ok        broker", "ok        test task", "left out  content", "ok        answer", "ok        end"] {
            assert!(well && told.contains(step), "{told}");
        }
        let crm = as_crm(&hub, SCOPES).await;
        let (told, well) = check(&hub, &crm).await;
        for step in ["broker", "test task", "content", "re-check", "answer", "end"] {
            assert!(well && told.contains(&format!("ok        {step}: ")), "{step}: {told}");
        }
        nothing_is_counted(&behind).await;
        let open = "SELECT count(*) FROM test_task WHERE answer IS NULL OR ends_at > ";
        assert_eq!(behind.number(&format!("{open}{}", clock::now().as_microsecond())).await, 0);
        let audited = behind.texts("SELECT action FROM audit WHERE entity_kind = 'test-task' ORDER BY id").await;
        let first = ["crm.check.begin", "task.answer", "crm.check.end"];
        let second = ["crm.check.begin", "task.disclose", "task.answer", "crm.check.end", "task.disclose"];
        assert_eq!(audited, [&first[..], &second[..4]].concat());
        let refused = "SELECT detail FROM audit WHERE action = 'task.disclose' AND outcome = 'denied'";
        assert_eq!(behind.texts(refused).await, ["task-ended completed"], "the end was tried");
        for command in [&["task", "list", "--json"][..], &["person", "list"]] {
            assert_eq!(hub.run(command).await, "", "{command:?}");
        }
        hub.daemon.stop().await;
    }
}

/// A CRM that takes one task, reads it, asks about its decision, and answers.
async fn crm(hub: &Hub, broker: &broker::Broker) -> Value {
    let token = token(hub, SCOPES).await;
    let taken = broker.take(QUEUE, 1).await;
    let envelope: Value = serde_json::from_slice(&taken[0].delivery.data).unwrap();
    let schema: Value = serde_json::from_str(careloop::outbox::schema::OUTREACH_TASK_TEXT).unwrap();
    let schema = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let errors: Vec<String> = schema
        .iter_errors(&envelope)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let data = &envelope["data"];
    let task = data["task"]["id"].as_str().unwrap();
    let content = asked(
        hub,
        &token,
        &format!("GET /v1/tasks/{task}/content?purpose=TREAT"),
        "",
    )
    .await;
    assert_eq!(content.status, 200, "{}", content.body);
    let decision = data["consent"]["decisionId"].as_str().unwrap();
    let recheck = asked(
        hub,
        &token,
        &format!("GET /v1/consent-decisions/{decision}"),
        "",
    )
    .await;
    assert_eq!(recheck.json()["holds"], true);
    let content = content.json();
    assert_eq!(content["consent"]["decisionId"], decision);
    assert_eq!(content["person"]["id"], data["for"]);
    assert_eq!(
        content["contact"]["contactPoint"]["id"],
        data["contact"]["contactPoint"]
    );
    let event = json!({"id": "crm-1", "task": task, "version": 1, "type": "reached", "at": clock::now().to_string()});
    for (status, effect) in [(202, "applied"), (200, "repeated")] {
        let told = asked(hub, &token, "POST /v1/task-events", &event.to_string()).await;
        assert_eq!(
            (told.status, &told.json()["effect"]),
            (status, &effect.into())
        );
    }
    content
}

on_each_store! {
    async fn a_crm_is_given_a_test_task_on_its_queue_and_its_answer_is_awaited(database) {
        let Some(broker) = broker::share().await else { return };
        let setup = Setup { broker: Some(broker.url()), ..Setup::default() };
        let hub = Hub::start(database, setup).await;
        let behind = Behind::open(&hub.database).await;
        let (told, well) = check(&hub, &[]).await; // exchanges and queues stand from then on
        assert!(well, "{told}");
        let options = ["--queue", QUEUE, "--wait", "60"].map(ToOwned::to_owned);
        let ((told, well), content) = tokio::join!(check(&hub, &options), crm(&hub, &broker));
        assert!(well && told.contains("ok        answer: the CRM answered: reached"), "{told}");
        assert_eq!(content["person"]["name"]["text"], "Careloop-Check Test");
        assert_eq!(content["contact"]["contactPoint"]["value"], "(555)555-0100");
        nothing_is_counted(&behind).await;
        let (told, well) = check(&hub, &["--queue", QUEUE, "--wait", "1"].map(ToOwned::to_owned)).await;
        assert!(!well && told.contains("failed    answer: no answer in 1 s; it did not read the content"), "{told}");
        let (told, well) = check(&hub, &["--queue".to_owned(), "careloop.tasks.lakeside.main.x".to_owned()]).await;
        assert!(!well && told.contains("--queue: expected careloop.tasks.riverside."), "{told}");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_check_says_what_is_wrong_and_works_without_a_broker(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let behind = Behind::open(&hub.database).await;
        let (told, well) = check(&hub, &as_crm(&hub, SCOPES).await).await;
        assert!(well && told.contains("ok        answer: the hub took it over HTTP"), "{told}");
        let (told, well) = check(&hub, &as_crm(&hub, "task:content").await).await;
        assert!(well && told.contains("left out  re-check") && told.contains("left out  answer"), "{told}");
        let (told, well) = check(&hub, &as_crm(&hub, "task-event:write").await).await;
        assert!(!well && told.contains("failed    content: the token does not permit it"), "{told}");
        hub.run(&[&["outreach", "stop"][..], &ASKER[..]].concat()).await;
        let crm = as_crm(&hub, SCOPES).await;
        let (told, well) = check(&hub, &crm).await;
        assert!(!well && told.contains("failed    content: all outreach is stopped"), "{told}");
        behind.run("UPDATE service_token SET revoked_at = 1").await;
        let (told, well) = check(&hub, &crm).await;
        assert!(!well && told.contains("failed    content: the token is not in force here"), "{told}");
        nothing_is_counted(&behind).await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_test_task_is_checked_like_any_other_and_ends_by_itself(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let behind = Behind::open(&hub.database).await;
        let task = TestTask::new(clock::now(), SignedDuration::from_mins(10));
        let made = AuditEntry {
            at: clock::now(), actor: "crm-check".to_owned(), action: "crm.check.begin", outcome: "done",
            purpose: None, entity: ("test-task", Some(task.id)), message: None, detail: None,
        };
        hub.store().make_test_task(hub.tenant, &task, &made).await.unwrap();
        let path = content_of(task.id);
        let both = token_of(&hub, "riverside", SCOPES, "TREAT,HOPERAT").await;
        let events = token(&hub, "task-event:write").await;
        let other = token_of(&hub, "riverside", SCOPES, "HOPERAT").await;
        for (token, line, status, code) in [
            (&events, path.clone(), 403, "scope-missing"),
            (&both, path.replace("?purpose=TREAT", ""), 400, "purpose-missing"),
            (&both, path.replace("TREAT", "HOPERAT"), 403, "purpose-mismatch"),
            (&other, path.replace("TREAT", "HOPERAT"), 404, "not-found"),
        ] {
            assert_eq!(asked(&hub, token, &line, "").await.problem(), (status, code.to_owned()));
        }
        behind.run("ALTER TABLE test_task RENAME TO away").await;
        assert_eq!(asked(&hub, &both, &path, "").await.status, 503);
        behind.run("ALTER TABLE away RENAME TO test_task").await;
        let read = "SELECT count(*) FROM test_task WHERE read_at IS NOT NULL AND token IS NOT NULL";
        assert_eq!(behind.number(read).await, 0);
        assert_eq!(asked(&hub, &both, &path, "").await.status, 200);
        assert_eq!(behind.number(read).await, 1);
        behind.run("UPDATE test_task SET ends_at = 1").await;
        let gone = asked(&hub, &both, &path, "").await;
        assert_eq!((gone.status, &gone.json()["reasonCodes"][0]), (410, &"expired".into()));
        let recheck = asked(&hub, &both, &format!("GET /v1/consent-decisions/{}", ulid(task.decision)), "").await;
        assert_eq!(recheck.json()["holds"], false);
        let event = json!({"id": "crm-1", "task": ulid(task.id), "version": 1, "type": "reached", "at": clock::now().to_string()});
        let late = asked(&hub, &both, "POST /v1/task-events", &event.to_string()).await;
        assert_eq!((late.status, &late.json()["effect"]), (202, &"recorded".into()));
        nothing_is_counted(&behind).await;
        let hub = hub.restart_as(Setup { covers: r#"["adt"]"#, ..Setup::default() }).await;
        assert_eq!(asked(&hub, &both, &path, "").await.problem(), (403, "agreement-not-in-force".to_owned()));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn the_story_of_a_task_tells_versions_answers_and_what_is_next(database) {
        let Some(broker) = broker::share().await else { return };
        let setup = Setup { broker: Some(broker.url()), ..Setup::default() };
        let hub = Hub::start(database, setup).await;
        let (_connection, channel) = broker.channel().await;
        let [(person, task)] = published(&hub, &[("TEST-1", "(518)555-0101")]).await[..] else {
            panic!("one task");
        };
        say(&channel, &answer("crm-1", task, "left-message", "")).await;
        hub.until_task_is(person, "in-progress").await;
        say(&channel, &answer("crm-2", task, "unreachable", "")).await;
        hub.until_task_is(person, "failed").await;
        let told = hub.run(&["task", "story", &task.to_string()]).await;
        for says in [
            "consent, asked when it was made: allow",
            "version 1 was queued for riverside.main.coordination.",
            "the broker has version 1",
            "the CRM answered to version 1: left-message",
            "the CRM answered to version 1: unreachable",
            "next: its finding rests (unreachable) until ",
        ] {
            assert!(told.contains(says), "{says}: {told}");
        }
        assert!(!told.contains("Example") && !told.contains("555-01") && !told.contains("518555"), "{told}");
        hub.daemon.stop().await;
    }
}
