//! A CRM in one file: it takes tasks, reads what it may about them, and answers. Ten minutes to read.
//!
//! ```text
//! cargo run --example crm -- amqp://… careloop.tasks.riverside.main.coordination riverside \
//!     http://127.0.0.1:8080 token.txt accepted,reached,completed
//! ```
//!
//! 1. Take a task from the team's queue. It holds ids, a channel, hours and a reason class: no name.
//! 2. Drop repeats (same `id`) and versions that are not newer than the last one seen of the task.
//! 3. A cancellation ends the task: take it off the worklist, do not contact anybody.
//! 4. Ask the hub for the content, with the service token and a purpose. Consent is asked again.
//! 5. Work it, and answer on `careloop.task-events`: what happened, when, under an id of your own.
//! 6. Acknowledge the task only after it is in *your* database: the broker then forgets it.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "an example that is read: what fails ends it, and it says what it does"
)]

use std::collections::{HashMap, HashSet};

use futures_util::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, BasicRejectOptions,
    ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What the CRM must remember. A real one keeps this in its database, in the transaction in which
/// it stores the task.
#[derive(Default)]
struct Seen {
    /// Messages that were taken.
    ids: HashSet<String>,
    /// The newest version of each task.
    versions: HashMap<String, u64>,
}

impl Seen {
    /// Whether a message says something new.
    fn is_new(&mut self, id: &str, task: &str, version: u64) -> bool {
        let fresh = self.ids.insert(id.to_owned());
        let newest = self.versions.entry(task.to_owned()).or_default();
        let newer = version > *newest;
        *newest = version.max(*newest);
        fresh && newer
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [broker, queue, tenant, hub, token, script] = arguments.as_slice() else {
        println!(
            "expected: BROKER QUEUE TENANT HUB TOKEN-FILE ANSWERS (accepted,reached,completed)"
        );
        std::process::exit(64);
    };
    let token = std::fs::read_to_string(token).unwrap();
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(broker, properties).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    // Confirms: an answer counts as given when the broker has it.
    let confirms = ConfirmSelectOptions::default();
    channel.confirm_select(confirms).await.unwrap();
    let qos = BasicQosOptions::default();
    channel.basic_qos(8, qos).await.unwrap();
    let (consume, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let name = queue.as_str().into();
    let mut tasks = channel
        .basic_consume(name, "".into(), consume, arguments)
        .await
        .unwrap();
    println!("waiting for tasks on {queue}");
    let mut seen = Seen::default();
    while let Some(Ok(message)) = tasks.next().await {
        let Ok(envelope) = serde_json::from_slice::<Value>(&message.data) else {
            // What cannot be read goes back; the hub raises the task again and tells its operator.
            let never = BasicRejectOptions { requeue: false };
            message.acker.reject(never).await.unwrap();
            continue;
        };
        let (id, task) = (&envelope["id"], &envelope["data"]["task"]);
        let (task_id, version) = (
            task["id"].as_str().unwrap(),
            task["version"].as_u64().unwrap(),
        );
        if !seen.is_new(id.as_str().unwrap(), task_id, version) {
            println!("task {task_id} version {version}: a repeat, or older than what is known");
        } else if task["status"] == "cancelled" {
            println!("task {task_id}: withdrawn ({})", task["statusReason"]);
        } else {
            // Ids, classes and codes only: what is printed may end in a log.
            println!(
                "task {task_id} version {version}: {} {}",
                task["code"], task["priority"]
            );
            if has_content(hub, token.trim(), task_id).await {
                answer_all(&channel, tenant, (task_id, version), script).await;
            }
        }
        message.acker.ack(BasicAckOptions::default()).await.unwrap();
    }
}

/// Asks for the content of a task, and tells whether the person may be contacted. 403 and 410 mean
/// no: consent, the agreement or the task itself has changed since the message left. 409 means not
/// now; a real CRM keeps the task and asks again when `nextAllowed` or `Retry-After` says.
async fn has_content(hub: &str, token: &str, task: &str) -> bool {
    let host = hub.strip_prefix("http://").unwrap(); // behind TLS: any HTTP client
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!(
        "GET /v1/tasks/{task}/content?purpose=TREAT HTTP/1.1\r\nHost: {host}\r\n\
         Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let status = response.split(' ').nth(1).unwrap_or_default();
    // The body holds the name and the number: it goes to the coordinator's screen, never to a log.
    println!("task {task}: content {status}, {} bytes", response.len());
    status == "200"
}

/// Plays the script: one answer after the other.
async fn answer_all(channel: &Channel, tenant: &str, about: (&str, u64), script: &str) {
    for (step, kind) in script.split(',').enumerate() {
        answer(channel, tenant, about, (step, kind)).await;
    }
}

/// Says what happened. `id` is the CRM's own and the same when it is sent again: the hub counts it
/// once, however often it comes.
async fn answer(channel: &Channel, tenant: &str, about: (&str, u64), what: (usize, &str)) {
    let ((task, version), (step, kind)) = (about, what);
    let now = jiff::Timestamp::now();
    let mut event = json!({
        "id": format!("crm-{task}-{version}-{step}"),
        "task": task,
        "version": version,
        "type": kind,
        "at": now.to_string(),
    });
    match kind {
        "opted-out" => event["scope"] = json!("channel"),
        "call-back-at" => {
            let tomorrow = now + jiff::SignedDuration::from_hours(24);
            event["callBackAt"] = json!(tomorrow.to_string());
        }
        _ => {}
    }
    let body = event.to_string();
    let properties = BasicProperties::default().with_delivery_mode(2);
    let (exchange, key) = ("careloop.task-events".into(), tenant.into());
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish(exchange, key, options, body.as_bytes(), properties);
    sent.await.unwrap().await.unwrap();
    println!("task {task}: answered {kind}");
}
