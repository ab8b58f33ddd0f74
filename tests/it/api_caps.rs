//! Caps and content: what a task's own contacts use up closes it to nobody who works on it, what went
//! to the person otherwise does.

use careloop::clock;
use careloop::outbox::envelope::ulid;
use serde_json::json;
use uuid::Uuid;

use crate::support::api::{Answer, SCOPES, asked, content_of, token};
use crate::support::clinic::diagnosed;
use crate::support::database::Database;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::policy;

/// Two people with one number whose tasks have both left.
async fn couple(database: Database, most: u8) -> (Hub, [Uuid; 2]) {
    let tenant = policy::calls_a_day(database.folder.path(), true, most);
    let setup = Setup {
        quiet_hours: true,
        tenant,
        ..Setup::default()
    };
    let hub = Hub::start(database, setup).await;
    let mut tasks = Vec::new();
    for number in ["TEST-1", "TEST-2"] {
        let message = diagnosed(number, "(518)555-0101");
        hub.peer("adt").await.send_bytes(message.as_bytes()).await;
        hub.processed().await;
        let person = hub.person(number).await;
        let task = hub.until_task_is(person, "requested").await;
        tasks.push(task.id.parse().unwrap());
    }
    (hub, [tasks[0], tasks[1]])
}

/// Tells the hub of an answer that has just been given.
async fn say(hub: &Hub, token: &str, task: Uuid, kind: &str) -> Answer {
    let event = json!({
        "id": Uuid::now_v7().to_string(), "task": ulid(task), "version": 1, "type": kind,
        "at": clock::now().to_string(),
    });
    let told = asked(hub, token, "POST /v1/task-events", &event.to_string()).await;
    assert_eq!(told.json()["effect"], "applied", "{kind}");
    told
}

on_each_store! {
    async fn a_tasks_own_contacts_close_its_content_to_nobody_who_works_on_it(database) {
        let (hub, [ada, ben]) = couple(database, 2).await;
        let token = token(&hub, SCOPES).await;
        let first = asked(&hub, &token, &content_of(ada), "").await.json();
        assert_eq!(first["limits"]["caps"][0], json!({"atMost": 2, "within": "local-day"}));
        assert!(first["limits"].get("nextContact").is_none(), "{first:#}");
        say(&hub, &token, ada, "accepted").await;
        say(&hub, &token, ada, "attempted").await;
        say(&hub, &token, ada, "reached").await;
        // Two calls were the day's; she is on the line, and her task can be read.
        let content = asked(&hub, &token, &content_of(ada), "").await;
        assert_eq!(content.status, 200, "{}", content.body);
        let next = content.json()["limits"]["nextContact"].as_str().unwrap().to_owned();
        assert!(next.parse::<jiff::Timestamp>().unwrap() > clock::now(), "not called again before tomorrow");
        // Whether she may be contacted *now* is the other question, and its answer is no.
        let decision = content.json()["consent"]["decisionId"].as_str().unwrap().to_owned();
        let recheck = asked(&hub, &token, &format!("GET /v1/consent-decisions/{decision}"), "").await.json();
        assert_eq!((&recheck["holds"], &recheck["now"]["decision"]), (&false.into(), &"defer".into()));
        assert_eq!(recheck["now"]["codes"][1], "T01_FREQ_CAP", "{recheck:#}");
        assert_eq!(recheck["now"]["nextAllowed"], next.as_str());
        // To the other task of the same number those calls are somebody else's.
        let other = asked(&hub, &token, &content_of(ben), "").await;
        assert_eq!(other.problem(), (409, "not-yet".to_owned()));
        assert_eq!(other.json()["reasonCodes"][0], "T01_FREQ_CAP");
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn own_contacts_are_set_aside_and_those_of_others_still_close_a_task(database) {
        let (hub, [ada, ben]) = couple(database, 2).await;
        let token = token(&hub, SCOPES).await;
        say(&hub, &token, ada, "attempted").await;
        assert_eq!(asked(&hub, &token, &content_of(ada), "").await.status, 200);
        say(&hub, &token, ben, "attempted").await;
        say(&hub, &token, ben, "left-message").await;
        let closed = asked(&hub, &token, &content_of(ada), "").await;
        assert_eq!(closed.problem(), (409, "not-yet".to_owned()), "two of the day's calls were for another task");
        assert_eq!(asked(&hub, &token, &content_of(ben), "").await.status, 200, "one was");
        hub.daemon.stop().await;
    }
}
