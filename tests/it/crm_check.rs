//! `careloop crm check` against a running hub on a real RabbitMQ, and `careloop task story`.

use crate::support::behind::Behind;
use crate::support::broker;
use crate::support::crm::{answer, published, say};
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;

on_each_store! {
    async fn a_check_with_the_crm_tries_every_step_and_leaves_nothing_behind(database) {
        let Some(broker) = broker::share().await else { return };
        let setup = Setup { broker: Some(broker.url()), ..Setup::default() };
        let hub = Hub::start(database, setup).await;
        let behind = Behind::open(&hub.database).await;
        let told = hub.run(&["crm", "check"]).await;
        for step in ["ok        broker", "ok        test task", "ok        answer", "left out  content"] {
            assert!(told.contains(step), "{told}");
        }
        let token = hub
            .run(&["token", "create", "--name", "crm-check", "--scope", "task:content",
                "--purpose", "TREAT", "--operator", "Test Operator"])
            .await;
        let file = hub.folder().join("token");
        std::fs::write(&file, token).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        std::fs::set_permissions(&file, mode).unwrap();
        let address = format!("http://{}", hub.daemon.http.unwrap());
        let file = file.display().to_string();
        let told = hub.run(&["crm", "check", "--token-file", &file, "--hub", &address]).await;
        assert!(told.contains("ok        content"), "{told}");
        assert_eq!(behind.number("SELECT count(*) FROM task_event").await, 0);
        assert_eq!(behind.number("SELECT count(*) FROM person").await, 0);
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
        assert!(!told.contains("Example") && !told.contains("555"), "{told}");
        hub.daemon.stop().await;
    }
}
