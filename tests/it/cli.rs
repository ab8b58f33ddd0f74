//! The real binary as an operator meets it: exit codes, refusals in plain words, fixed shapes.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::behind::Behind;
use crate::support::clinic::diagnosed;
use crate::support::database::Database;
use crate::support::hub::Setup;
use crate::support::on_each_store;
use crate::support::operator::ASKER;
use crate::support::peer::lines;
use crate::support::serving::{Serving, bare, install};
use crate::support::wait::until;

fn careloop(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_careloop"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json_lines(output: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(output).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

#[test]
fn the_printed_defaults_are_a_configuration_that_passes_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let printed = careloop(folder.path(), &["config", "default"]);
    assert!(printed.status.success());
    std::fs::write(folder.path().join("careloop.toml"), &printed.stdout).unwrap();
    assert!(careloop(folder.path(), &["keys", "init"]).status.success());
    let checked = careloop(folder.path(), &["check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", errors(&checked));
}

#[test]
fn a_wrong_configuration_is_refused_with_every_problem_and_code_78() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[store]\nurll = \"sqlite:x.db\"\n[pace]\nbatch = \"many\"\n";
    std::fs::write(folder.path().join("careloop.toml"), text).unwrap();
    for command in [&["check"][..], &["serve"], &["message", "count"]] {
        let refused = careloop(folder.path(), command);
        assert_eq!(refused.status.code(), Some(78), "{command:?}");
        let told = errors(&refused);
        for part in [
            "careloop.toml:2: store.urll",
            "a key that careloop does not know",
            "careloop.toml:4: pace.batch",
        ] {
            assert!(told.contains(part), "{command:?} lacks {part:?}: {told}");
        }
    }
}

#[test]
fn a_contact_policy_of_the_site_is_checked_with_file_and_line() {
    let database = Database::sqlite();
    install(&database, &Setup::default(), "info");
    assert!(
        bare(&database, "", &["check"])
            .output()
            .unwrap()
            .status
            .success()
    );
    let file = database.folder.path().join("contact-policy.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("adult_age = 18", "adult_age = \"old\"")).unwrap();
    let refused = bare(&database, "", &["check"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(78));
    let told = errors(&refused);
    assert!(
        told.contains("contact-policy.toml:7") && told.contains("adult_age"),
        "{told}"
    );
}

#[test]
fn a_wrong_command_line_ends_with_64_and_shows_protected_data_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let id = "01890000-0000-7000-8000-000000000000";
    for command in [
        &["frobnicate"][..],
        &["message", "show", id],
        &["message", "show", id, "--operator", "Test Operator"],
        &[
            "person",
            "show",
            id,
            "--operator",
            "Test Operator",
            "--purpose",
            "curiosity",
        ],
        &["message", "list", "--state", "lost"],
    ] {
        assert_eq!(
            careloop(folder.path(), command).status.code(),
            Some(64),
            "{command:?}"
        );
    }
}

#[test]
fn a_root_key_is_made_for_its_owner_alone_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    assert!(careloop(folder.path(), &["keys", "init"]).status.success());
    let file = folder.path().join("careloop.key");
    let made = std::fs::read(&file).unwrap();
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o400
    );
    let again = careloop(folder.path(), &["keys", "init"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(errors(&again).contains("an existing key is never replaced"));
    assert_eq!(std::fs::read(&file).unwrap(), made);
}

/// A folder with a file of three messages: one that maps, one that is ignored, one that is held.
fn three_messages() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let head = r"MSH|^~\&|EPIC|RVS|CARELOOP|HUB|20250301120000||";
    let person = "PID|1||TEST-1^^^RVS^MR||Example^Ada||1970|F|||||\"\"";
    let file = lines(&format!(
        "{head}ADT^A08|T-1|P|2.5.1\nEVN||20250301\n{person}\n\
         {head}ZZZ^Z99|T-2|P|2.5.1\n{person}\n\
         {head}ADT^A08|T-3|P|2.5.1||||||TEST 999-2000\n{person}"
    ));
    std::fs::write(folder.path().join("a.hl7"), file).unwrap();
    folder
}

#[test]
fn mapping_try_gives_one_line_a_message_in_a_fixed_shape() {
    let folder = three_messages();
    let tried = careloop(folder.path(), &["mapping", "try", "--json", "a.hl7"]);
    assert_eq!(tried.status.code(), Some(0), "{}", errors(&tried));
    let told = json_lines(&tried.stdout);
    let shape = [
        "changes",
        "control_id",
        "file",
        "index",
        "issues",
        "outcome",
        "type",
    ];
    assert!(told.iter().all(|line| keys(line) == shape));
    let end = |line: &Value| {
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        (
            text("control_id"),
            text("outcome"),
            line["index"].as_u64().unwrap(),
        )
    };
    let ends: Vec<(String, String, u64)> = told.iter().map(end).collect();
    let wanted = [
        ("T-1", "mapped", 0),
        ("T-2", "ignored", 1),
        ("T-3", "held", 2),
    ];
    assert_eq!(
        ends,
        wanted.map(|(id, end, at)| (id.to_owned(), end.to_owned(), at))
    );
    let values = &told[0]["changes"][0]["values"];
    assert_eq!(told[0]["changes"][0]["entity"], "Patient");
    assert_eq!(values["birth_date"], "1970", "a date keeps its precision");
    assert_eq!(values.get("contacts"), Some(&Value::Null), "a null clears");
    assert!(
        values.get("deceased").is_none(),
        "what is absent is left out"
    );
    let issue = &told[2]["issues"][0];
    assert_eq!(
        keys(issue),
        ["at", "code", "file", "line", "rule", "severity"]
    );
}

#[test]
fn mapping_try_ends_with_65_for_a_lost_file_and_78_for_a_broken_mapping() {
    let folder = three_messages();
    let missing = ["mapping", "try", "--json", "gone.hl7", "a.hl7"];
    let missing = careloop(folder.path(), &missing);
    assert_eq!(missing.status.code(), Some(65));
    assert_eq!(
        json_lines(&missing.stdout).len(),
        3,
        "the others are read all the same"
    );
    std::fs::write(
        folder.path().join("site.toml"),
        "[messages]\nnonsense = 1\n",
    )
    .unwrap();
    let broken = [
        "mapping",
        "try",
        "--overlay",
        "site.toml",
        "--json",
        "a.hl7",
    ];
    let broken = careloop(folder.path(), &broken);
    assert_eq!(
        (broken.status.code(), broken.stdout.is_empty()),
        (Some(78), true)
    );
    assert!(
        errors(&broken).contains("site.toml:"),
        "{}",
        errors(&broken)
    );
}

#[test]
fn mapping_try_reads_a_resource_a_bundle_and_lines_of_resources() {
    let folder = tempfile::tempdir().unwrap();
    let patient = r#"{"resourceType":"Patient","id":"t1","gender":"female"}"#;
    let other = r#"{"resourceType":"Basic","id":"t2"}"#;
    let bundle = format!(
        "{{\"resourceType\":\"Bundle\",\"type\":\"searchset\",\"entry\":[\n{{\"resource\":{patient}}},\n\
         {{\"resource\":{{\"resourceType\":7}}}},{{\"request\":{{\"method\":\"DELETE\"}}}},{{\"resource\":{other}}}]}}"
    );
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("one.json", patient);
    write("bundle.json", &bundle);
    write("lines.ndjson", &format!("{patient}\n\n{other}\r\n{{\n"));
    let told = |file: &str| {
        let tried = careloop(folder.path(), &["mapping", "try", "--json", file]);
        assert_eq!(tried.status.code(), Some(0), "{}", errors(&tried));
        let lines = json_lines(&tried.stdout).into_iter();
        let text = |line: &Value, key: &str| line[key].as_str().unwrap().to_owned();
        let lines = lines.map(|line| {
            let name = format!("{}/{}", text(&line, "type"), text(&line, "control_id"));
            (name, text(&line, "outcome"))
        });
        lines.collect::<Vec<_>>()
    };
    let (mapped, ignored, held) = (
        ("Patient/t1".to_owned(), "mapped".to_owned()),
        ("Basic/t2".to_owned(), "ignored".to_owned()),
        ("/".to_owned(), "held".to_owned()),
    );
    assert_eq!(told("one.json"), std::slice::from_ref(&mapped));
    let in_turn = [mapped.clone(), held.clone(), ignored.clone()];
    assert_eq!(told("bundle.json"), in_turn);
    assert_eq!(told("lines.ndjson"), [mapped, ignored, held]);
    let released = ["mapping", "try", "--release", "R9", "--json", "one.json"];
    let released = careloop(folder.path(), &released);
    assert_eq!(released.status.code(), Some(64), "{}", errors(&released));
    assert!(errors(&released).contains("expected R4, R4B or R5"));
}

on_each_store! {
    async fn messages_are_counted_listed_shown_and_replayed(database) {
        let mut hub = Serving::start(database, &Setup::default(), "info").await;
        let behind = Behind::open(&hub.database).await;
        let mut peer = hub.peer().await;
        let text = diagnosed("TEST-1", "(518)555-0101");
        peer.send_bytes(text.as_bytes()).await;
        peer.send_bytes(text.as_bytes()).await;
        peer.send_bytes(b"garbled").await;
        let count = || json_lines(hub.told(&["message", "count", "--json"]).as_bytes()).remove(0);
        let counts = until("every message has an outcome", || async {
            let counts = count();
            (counts["waiting"] == 0).then_some(counts)
        })
        .await;
        let wanted = r#"{"received":2,"duplicate":1,"waiting":0,"processed":1,"ignored":0,"held":1,"refused":0}"#;
        assert_eq!(hub.told(&["message", "count", "--json"]).trim(), wanted, "{counts}");
        let listed = json_lines(hub.told(&["message", "list", "--json"]).as_bytes());
        let shape = [
            "code", "control_id", "control_id_reused", "id", "place", "received_at", "source", "state",
            "times_seen", "type",
        ];
        assert_eq!(listed.len(), 2);
        assert!(listed.iter().all(|row| keys(row) == shape), "{:?}", keys(&listed[0]));
        let held = json_lines(hub.told(&["message", "list", "--json", "--state", "held"]).as_bytes());
        let id = held[0]["id"].as_str().unwrap();
        let shown = hub.told(&[&["message", "show", id, "--json"][..], &ASKER[..]].concat());
        assert_eq!(json_lines(shown.as_bytes())[0]["text"], "garbled");
        let audited = behind.pairs("SELECT actor, purpose FROM audit WHERE action = 'message.show'").await;
        assert_eq!(audited, [("operator:Test Operator".to_owned(), "operations".to_owned())]);
        let replayed = hub.told(&["message", "replay", "--id", id, "--operator", "Test Operator"]);
        assert!(replayed.starts_with("1 messages wait again"), "{replayed}");
        until("it is held again", || async { (count()["held"] == 1).then_some(()) }).await;
        let all = hub.command(&["message", "replay", "--operator", "Test Operator"]);
        assert_eq!(all.status.code(), Some(64));
        assert!(errors(&all).contains("name what to replay"));
        assert!(hub.stop().success());
    }
}

on_each_store! {
    async fn a_hub_stops_when_asked_and_says_what_is_left(database) {
        // A broker that is not there: one task is left.
        let broker = Some("amqp://127.0.0.1:1/%2f".to_owned());
        let mut hub = Serving::start(database, &Setup { broker, ..Setup::default() }, "info").await;
        hub.peer().await.send_bytes(diagnosed("TEST-1", "(518)555-0101").as_bytes()).await;
        until("the task waits", || async {
            hub.told(&["task", "outbox", "--json"]).contains(r#""waiting":1"#).then_some(())
        })
        .await;
        let (live, _) = hub.get("/health/live");
        let (ready, reasons) = hub.get("/health/ready");
        assert_eq!((live, ready), (200, 503));
        assert!(reasons.contains("tasks wait"), "{reasons}");
        let (status, metrics) = hub.get("/metrics");
        assert_eq!(status, 200);
        for name in [
            "careloop_inbox_waiting", "careloop_outbox_waiting", "careloop_open_connections",
            "careloop_ready",
        ] {
            assert!(metrics.lines().any(|line| line.starts_with(name)), "{name}: {metrics}");
        }
        until("the message is counted", || async {
            let (_, metrics) = hub.get("/metrics");
            let counted = r#"careloop_messages_received_total{source="adt"} 1"#;
            metrics.contains(counted).then_some(())
        })
        .await;
        assert_eq!(hub.stop().code(), Some(0));
        let log = hub.log();
        assert!(log.contains("this is left for the next start"), "{log}");
        assert!(log.contains("envelopes=1"), "{log}");
    }
}

#[tokio::test]
async fn a_second_hub_on_one_file_is_refused() {
    let mut hub = Serving::start(Database::sqlite(), &Setup::default(), "info").await;
    let second = hub.command(&["serve"]);
    assert_eq!(second.status.code(), Some(78));
    assert!(errors(&second).contains("another careloop owns this store; stop it first"));
    assert!(hub.stop().success());
}

#[tokio::test]
async fn a_superuser_of_the_database_is_refused() {
    let Some(mut database) = Database::postgres().await else {
        return;
    };
    database.url = database.behind.clone().unwrap();
    install(&database, &Setup::default(), "info");
    let refused = bare(&database, "", &["serve"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(78));
    let told = errors(&refused);
    assert!(told.contains("is a superuser"), "{told}");
}
