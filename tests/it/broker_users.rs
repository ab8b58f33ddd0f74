//! The two users that `docker/prepare` defines for RabbitMQ: what each needs works, and nothing else
//! does.

use std::path::{Path, PathBuf};
use std::process::Command;

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};

use crate::support::broker::{self, Broker};
use crate::support::clinic::{QUEUE, told};
use crate::support::crm::{answer, published, say};
use crate::support::database::Database;
use crate::support::hub::{Hub, Setup};

/// Runs `docker/prepare` in a folder of its own and gives what it made.
fn prepared(folder: &Path) -> PathBuf {
    let own = folder.join("docker");
    std::fs::create_dir(&own).unwrap();
    let script = own.join("prepare");
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/docker/prepare");
    std::fs::copy(shipped, &script).unwrap();
    let made = Command::new(&script).output().unwrap();
    let told = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{told}");
    own.join("secrets")
}

/// A user of the broker.
struct User(Connection);

impl User {
    async fn connect(url: &str) -> Self {
        let properties = ConnectionProperties::default();
        Self(Connection::connect(url, properties).await.unwrap())
    }

    /// A channel; the broker closes the one on which it refuses something.
    async fn channel(&self) -> Channel {
        self.0.create_channel().await.unwrap()
    }

    async fn get(&self, queue: &str) -> Result<Option<Vec<u8>>, String> {
        let options = BasicGetOptions { no_ack: true };
        let got = self.channel().await.basic_get(queue.into(), options).await;
        let got = got.map(|message| message.map(|message| message.delivery.data));
        got.map_err(|error| error.to_string())
    }

    async fn publish(&self, exchange: &str, key: &str) -> Result<(), String> {
        let channel = self.channel().await;
        let options = ConfirmSelectOptions::default();
        channel.confirm_select(options).await.unwrap();
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent = channel.basic_publish(exchange.into(), key.into(), options, b"{}", properties);
        let confirm = sent.await.map_err(|error| error.to_string())?;
        confirm.await.map(drop).map_err(|error| error.to_string())
    }

    async fn declare_queue(&self, name: &str) -> Result<(), String> {
        let options = QueueDeclareOptions::default();
        let channel = self.channel().await;
        let made = channel.queue_declare(name.into(), options, FieldTable::default());
        made.await.map(drop).map_err(|error| error.to_string())
    }

    async fn declare_exchange(&self, name: &str) -> Result<(), String> {
        let (kind, options) = (ExchangeKind::Topic, ExchangeDeclareOptions::default());
        let channel = self.channel().await;
        let made = channel.exchange_declare(name.into(), kind, options, FieldTable::default());
        made.await.map(drop).map_err(|error| error.to_string())
    }
}

fn refused<T: std::fmt::Debug>(what: &str, answer: Result<T, String>) {
    let said = answer.expect_err(what);
    assert!(
        said.contains("ACCESS_REFUSED") || said.contains("ACCESS-REFUSED"),
        "{what}: {said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hub_and_crm_have_the_rights_that_they_need_on_the_broker_and_no_others() {
    let Some(broker) = broker::share().await else {
        return;
    };
    let database = Database::sqlite();
    let secrets = prepared(database.folder.path());
    let read = |name: &str| std::fs::read_to_string(secrets.join(name)).unwrap();
    let definitions = serde_json::from_str(&read("rabbitmq-definitions.json")).unwrap();
    broker.define(definitions, database.folder.path());
    let hub_url = broker.url_of("careloop", &read("rabbitmq-careloop.password"));
    let crm = User::connect(&broker.url_of("crm", &read("rabbitmq-crm.password"))).await;

    // All that the hub does, it does as its own user; the CRM takes the task and answers.
    let setup = Setup {
        broker: Some(hub_url.clone()),
        ..Setup::default()
    };
    let hub = Hub::start(database, setup).await;
    let [(person, task)] = published(&hub, &[("TEST-1", "(518)555-0101")]).await[..] else {
        panic!("one task");
    };
    let taken = crm.get(QUEUE).await.unwrap().unwrap();
    assert_eq!(
        told(&serde_json::from_slice(&taken).unwrap()).0,
        "requested"
    );
    say(&crm.channel().await, &answer("crm-1", task, "accepted", "")).await;
    hub.until_task_is(person, "accepted").await;

    crm_is_refused(&broker, &crm).await;
    hub_is_refused(&User::connect(&hub_url).await).await;
    hub.daemon.stop().await;
}

/// What the CRM does not need; `elsewhere` is there afterwards.
async fn crm_is_refused(broker: &Broker, crm: &User) {
    let (_connection, channel) = broker.channel().await;
    for foreign in ["elsewhere", "careloop.tasks.elsewhere.main.coordination"] {
        let (options, none) = (QueueDeclareOptions::default(), FieldTable::default());
        channel
            .queue_declare(foreign.into(), options, none)
            .await
            .unwrap();
        refused(foreign, crm.get(foreign).await);
    }
    refused("what was given back", crm.get("careloop.tasks.dead").await);
    refused(
        "the answers",
        crm.get("careloop.task-events.riverside").await,
    );
    refused(
        "another tenant's answer",
        crm.publish("careloop.task-events", "elsewhere").await,
    );
    refused(
        "a task",
        crm.publish("careloop.tasks", "riverside.main.coordination.routine")
            .await,
    );
    refused("past the exchanges", crm.publish("", QUEUE).await);
    refused(
        "a queue",
        crm.declare_queue("careloop.tasks.riverside.main.mine")
            .await,
    );
}

/// What the hub does not need; everything of its own name is its.
async fn hub_is_refused(own: &User) {
    refused("a foreign queue", own.get("elsewhere").await);
    refused("a queue of another name", own.declare_queue("mine").await);
    refused(
        "an exchange of another name",
        own.declare_exchange("mine").await,
    );
    refused("past the exchanges", own.publish("", "elsewhere").await);
    own.declare_queue("careloop.mine").await.unwrap();
}
