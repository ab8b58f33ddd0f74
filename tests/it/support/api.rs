//! A CRM that asks the hub: requests on a real socket. Every answer is held against the description
//! that the hub serves of itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::LazyLock;

use careloop::outbox::envelope::ulid;
use careloop::outbox::events::TASK_EVENT_SCHEMA;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use super::behind::Behind;
use super::clinic::diagnosed;
use super::hub::Hub;

/// The number of everybody who is published here.
pub(crate) const PHONE: &str = "(518)555-0101";
/// Everything that a token can permit.
pub(crate) const SCOPES: &str = "task:content,decision:read,person:register,task-event:write";
/// The request id that tests send, so that answers differ in nothing by chance.
const REQUEST_ID: &str = "00000000-0000-7000-8000-000000000000";

static DESCRIPTION: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../src/web/openapi.json")).unwrap());

/// One answer, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The operation of the description, such as `GET /v1/tasks/{id}/content`.
    pub(crate) operation: String,
    /// The status.
    pub(crate) status: u16,
    /// The headers, the date aside.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body as sent.
    pub(crate) body: String,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The status with the problem's code.
    pub(crate) fn problem(&self) -> (u16, String) {
        (self.status, code(&self.body))
    }
}

/// The code of a problem.
pub(crate) fn code(body: &str) -> String {
    let problem: Value = serde_json::from_str(body).unwrap();
    problem["code"].as_str().unwrap().to_owned()
}

/// Sends a request whose line is `METHOD PATH` and gives the answer, which has to be one that the
/// description knows.
pub(crate) async fn request(
    at: SocketAddr,
    line: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let stream = TcpStream::connect(at).await.unwrap();
    over(stream, line, headers, body).await
}

/// The same over a connection that is there already.
pub(crate) async fn over(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    line: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut text = format!(
        "{line} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\nx-request-id: {REQUEST_ID}\r\n"
    );
    let said = |name: &str| headers.iter().any(|(own, _)| *own == name);
    if !body.is_empty() && !said("content-type") {
        text.push_str("content-type: application/json\r\n");
    }
    if !body.is_empty() && !said("content-length") {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let answer = taken_apart(line, &answer);
    described(&answer);
    answer
}

fn taken_apart(line: &str, answer: &str) -> Answer {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split_whitespace().nth(1).unwrap();
    let headers = lines
        .map(|line| line.split_once(": ").unwrap())
        .filter(|(name, _)| *name != "date")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Answer {
        operation: operation(line).unwrap_or_default(),
        status: status.parse().unwrap(),
        headers,
        body: body.to_owned(),
    }
}

/// The operation that a request line asks for.
fn operation(line: &str) -> Option<String> {
    let (method, target) = line.split_once(' ').unwrap();
    let path = target.split('?').next().unwrap();
    let same = |template: &&String| {
        let mut parts = path.split('/');
        let fits = template.split('/').all(|own| {
            parts
                .next()
                .is_some_and(|part| own == part || own == "{id}")
        });
        fits && parts.next().is_none()
    };
    let paths = DESCRIPTION["paths"].as_object().unwrap();
    let template = paths.keys().find(same)?;
    paths[template].get(method.to_lowercase())?;
    Some(format!("{method} {template}"))
}

/// Every operation with the statuses that the description gives it.
pub(crate) fn documented() -> BTreeMap<String, Vec<u16>> {
    let mut found = BTreeMap::new();
    for (path, methods) in DESCRIPTION["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let answers = operation["responses"].as_object().unwrap();
            let statuses = answers.keys().map(|status| status.parse().unwrap());
            found.insert(
                format!("{} {path}", method.to_uppercase()),
                statuses.collect(),
            );
        }
    }
    found
}

/// Fails where the description does not know the answer: its status, its kind, its shape.
fn described(answer: &Answer) {
    let headers = &answer.headers;
    assert_eq!(headers["cache-control"], "no-store", "{answer:?}");
    assert_eq!(headers["x-content-type-options"], "nosniff", "{answer:?}");
    let Some((method, path)) = answer.operation.split_once(' ') else {
        return;
    };
    let operation = &DESCRIPTION["paths"][path][method.to_lowercase()];
    let told = operation["responses"].get(answer.status.to_string());
    let place = format!("{} {}", answer.operation, answer.status);
    let told = told.unwrap_or_else(|| panic!("{place} is not described"));
    let place_of = told["$ref"].as_str().and_then(|to| to.strip_prefix('#'));
    let told = place_of.map_or(told, |pointer| DESCRIPTION.pointer(pointer).unwrap());
    let kind = headers["content-type"].split(';').next().unwrap();
    let content = told["content"].get(kind);
    let content = content.unwrap_or_else(|| panic!("{place}: {kind} is not described"));
    for header in told.get("headers").into_iter().flat_map(Value::as_object) {
        for name in header.keys() {
            assert!(
                headers.contains_key(&name.to_lowercase()),
                "{place}: no {name}"
            );
        }
    }
    if !kind.ends_with("json") {
        return;
    }
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let errors = errors(&content["schema"], &body);
    assert!(errors.is_empty(), "{place}: {errors:#?}\n{body:#}");
    if body.get("title").is_some() && answer.status >= 400 {
        assert_eq!(body["status"], answer.status, "{place}");
    }
}

/// What of a body does not fit a schema of the description.
pub(crate) fn errors(schema: &Value, body: &Value) -> Vec<String> {
    let mut alone = schema.clone();
    if schema["$ref"] == "/schemas/task-event/v1" {
        alone = serde_json::from_str(TASK_EVENT_SCHEMA).unwrap();
    } else {
        alone["components"] = DESCRIPTION["components"].clone();
    }
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&alone)
        .unwrap();
    validator
        .iter_errors(body)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// Asks with a token; the status and the body.
pub(crate) async fn ask(hub: &Hub, token: &str, line: &str, body: &str) -> (u16, String) {
    let answer = asked(hub, token, line, body).await;
    (answer.status, answer.body)
}

/// Asks with a token; the whole answer.
pub(crate) async fn asked(hub: &Hub, token: &str, line: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    request(hub.daemon.http.unwrap(), line, &headers, body).await
}

/// Makes a token for TREAT.
pub(crate) async fn token(hub: &Hub, scopes: &str) -> String {
    token_of(hub, "riverside", scopes, "TREAT").await
}

/// Makes a token of a tenant for purposes.
pub(crate) async fn token_of(hub: &Hub, tenant: &str, scopes: &str, purposes: &str) -> String {
    let what = ["--scope", scopes, "--purpose", purposes];
    let who = ["--tenant", tenant, "--operator", "Test Operator"];
    let made = hub
        .run(&[&["token", "create", "--name", "crm"], &what[..], &who[..]].concat())
        .await;
    made.trim().to_owned()
}

/// The path of a task's content.
pub(crate) fn content_of(task: Uuid) -> String {
    format!("GET /v1/tasks/{}/content?purpose=TREAT", ulid(task))
}

/// A hub's one published task, its person, and the path of its content.
pub(crate) async fn published(hub: &Hub) -> (Uuid, Uuid, String) {
    let mut peer = hub.peer("adt").await;
    peer.send_bytes(diagnosed("TEST-1", PHONE).as_bytes()).await;
    hub.processed().await;
    let person = hub.person("TEST-1").await;
    let task = hub.until_task_is(person, "requested").await;
    let task: Uuid = task.id.parse().unwrap();
    (person, task, content_of(task))
}

/// Disclosures, and refusals that are on record with the codes.
pub(crate) async fn told_and_refused(behind: &Behind) -> (i64, Vec<String>) {
    let told = behind.number("SELECT count(*) FROM disclosure").await;
    let refused = behind
        .texts("SELECT detail FROM audit WHERE action = 'task.disclose' AND outcome = 'denied' ORDER BY id")
        .await;
    (told, refused)
}
