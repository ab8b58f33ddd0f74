//! What the configuration accepts, refuses, and says about it.

use super::{Config, DEFAULTS, Environment, Problem};
use crate::config::KeySource;
use std::time::Duration;

#[path = "parties_tests.rs"]
mod parties;

const CLINIC: &str = r#"
[[tenant]]
name = "riverside"
locations = ["main", { name = "north", mode = "live" }]
rules = { "hba1c-due" = "live" }

[[agreement]]
tenant = "riverside"
party = "Riverside Clinic"
signed = 2026-03-01
until = 2029-03-01
covers = ["epic-adt", "careloop.tasks"]

[[source]]
tenant = "riverside"
name = "epic-adt"
kind = "mllp"
listen = "127.0.0.1:2575"
zone = "America/New_York"
location = "main"
mappings = ["hl7v2", "overlay:epic", "file:site.toml"]
identifiers = [{ assigner = "EPI" }, { type = "MR", assigner = "RVS" }]
history_since = { "*" = 2024-01-01, hba1c-result = 2023-01-01 }

[[team]]
tenant = "riverside"
name = "team-7"
location = "main"
"#;

fn load(text: &str) -> Result<Config, Vec<Problem>> {
    Config::from_texts(Some(("clinic/careloop.toml", text)), &Environment::new())
}

fn load_with(text: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
    let pairs = environment
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    Config::from_texts(Some(("clinic/careloop.toml", text)), &pairs.collect())
}

fn problems(text: &str) -> Vec<String> {
    let found = load(text).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

/// Asserts exactly one problem, whose text holds every part.
fn one(text: &str, parts: &[&str]) {
    let found = problems(text);
    assert_eq!(found.len(), 1, "{found:#?}");
    for part in parts {
        assert!(found[0].contains(part), "{:?} lacks {part:?}", found[0]);
    }
}

#[test]
fn the_defaults_alone_are_a_configuration() {
    let config = Config::from_texts(None, &Environment::new())
        .map_err(|p| format!("{p:?}"))
        .unwrap();
    assert_eq!(config.store.url.open(), "sqlite:careloop.db");
    assert!(config.broker.is_none());
    assert!(config.tenants.is_empty());
    assert_eq!((config.mllp.frame, config.mllp.junk), (4 << 20, 1 << 10));
    assert_eq!(config.mllp.idle_timeout, Duration::from_secs(600));
    assert_eq!(
        (config.mllp.connections_per_peer, config.mllp.connections),
        (64, 1024)
    );
    assert_eq!(config.http.listen, Some("127.0.0.1:8080".parse().unwrap()));
    assert_eq!(
        (config.pace.batch, config.pace.idle),
        (256, Duration::from_millis(200))
    );
    assert_eq!(config.pace.publishing, Duration::from_secs(10));
    assert_eq!(config.raw_messages, Duration::from_secs(7 * 86_400));
    assert_eq!(config.grace.outbox, Duration::from_secs(10));
}

#[test]
fn the_examples_in_the_manual_are_valid() {
    let shown = |line: &str| {
        let example = line
            .strip_prefix('#')
            .filter(|rest| !rest.starts_with(' '))?;
        (!example.is_empty()).then(|| example.to_owned())
    };
    let lines: Vec<String> = DEFAULTS
        .lines()
        .map(|line| shown(line).unwrap_or_else(|| line.to_owned()))
        .collect();
    let postgres = ("CARELOOP__STORE__URL", "postgres://app@localhost/careloop");
    let owner = ("CARELOOP_OWNER_URL", "postgres://owner@localhost/careloop");
    let broker = (
        "CARELOOP_BROKER_URL",
        "amqps://app:secret@broker.example.org",
    );
    let headers = ("CARELOOP_OTLP_HEADERS", "authorization=Bearer test");
    let webhook = ("CARELOOP_ALERTS_WEBHOOK", "https://alerts.example.org");
    let token = ("CARELOOP_ALERTS_TOKEN", "test");
    let environment = [postgres, owner, broker, headers, webhook, token];
    let config = load_with(&lines.join("\n"), &environment);
    let config = config.map_err(|found| format!("{found:#?}")).unwrap();
    assert_eq!(config.tenants[0].sources[0].allow.len(), 2);
    assert_eq!(
        config.broker.unwrap().url.open(),
        "amqps://app:secret@broker.example.org"
    );
}

#[test]
fn the_configuration_in_the_readme_is_valid() {
    let readme = include_str!("../../README.md");
    let shown = readme.split("```toml\n").nth(1).unwrap();
    let config = load(shown.split("```").next().unwrap());
    let config = config.map_err(|found| format!("{found:#?}")).unwrap();
    assert_eq!(config.tenants[0].sources[0].name, "ehr");
}

#[test]
fn the_environment_goes_over_the_file_and_the_file_over_the_defaults() {
    let environment = [
        ("CARELOOP__HTTP__LISTEN", "off"),
        ("CARELOOP__PACE__BATCH", "8"),
        ("CARELOOP__MLLP__FRAME", "1 MiB"),
        ("CARELOOP__LOG__JSON", "true"),
        ("CARELOOP__PUBLIC_URL", "https://hub.example.org/"),
        ("CARELOOP_OTHER", "ignored"),
    ];
    let config = load_with("[pace]\nbatch = 9\nidle = \"1s\"", &environment);
    let config = config.map_err(|found| format!("{found:#?}")).unwrap();
    assert_eq!(config.http.listen, None);
    assert_eq!(
        (config.pace.batch, config.pace.idle),
        (8, Duration::from_secs(1))
    );
    assert_eq!(config.mllp.frame, 1 << 20);
    assert!(config.log.json);
    assert_eq!(config.public_url, "https://hub.example.org");
}

#[test]
fn all_problems_are_reported_at_once_with_file_and_line() {
    let text = "[mllp]\nframe = true\nfrmae = 1\n[pace]\nlease = \"1 week\"\nbatch = 0\n\
                [nothing]\n[[source]]\nzone = \"Mars/Olympus\"\nlisten = 7\n";
    let found = load(text).err().unwrap();
    let lines: Vec<String> = found
        .iter()
        .map(|p| format!("{} {}", p.line.unwrap(), p.at))
        .collect();
    assert_eq!(
        lines[..6],
        [
            "2 mllp.frame",
            "3 mllp.frmae",
            "5 pace.lease",
            "6 pace.batch",
            "7 nothing",
            "8 source[0].kind"
        ]
    );
    assert!(lines.contains(&"9 source[0].zone".into()), "{lines:#?}");
    assert!(lines.contains(&"10 source[0].listen".into()), "{lines:#?}");
    assert!(
        found
            .iter()
            .all(|problem| problem.file == "clinic/careloop.toml")
    );
    assert_eq!(
        found[0].to_string(),
        "clinic/careloop.toml:2: mllp.frame: expected a size such as \"4 MiB\", \"512 KiB\" or a \
         number of bytes, found true or false; correct the value; `careloop config default` \
         explains the key"
    );
}

#[test]
fn broken_syntax_is_reported_with_its_line() {
    one("[store]\nurl = sqlite", &["clinic/careloop.toml:2"]);
}

#[test]
fn a_problem_in_the_environment_names_the_variable() {
    let found = load_with("", &[("CARELOOP__PACE__BATCH", "many")])
        .err()
        .unwrap();
    assert_eq!(
        (found[0].file.as_str(), found[0].line),
        ("CARELOOP__PACE__BATCH", None)
    );
    assert!(
        found[0].says.contains("expected a whole number"),
        "{}",
        found[0]
    );
    let found = load_with("", &[("CARELOOP__PACE__BATHC", "7")])
        .err()
        .unwrap();
    assert!(found[0].says.contains("does not know"), "{}", found[0]);
}

#[test]
fn a_password_in_the_file_is_refused_and_never_repeated() {
    let places = [
        "[broker]\nurl = \"amqps://app:hunter2@broker.example.org\"",
        "[broker]\nurl = \"amqp://guest:hunter2@127.0.0.1\"",
        "[broker]\nurl = \"amqps://app:hun/hunter2@broker.example.org\"",
        "[store]\nurl = \"postgres://app:hunter2@localhost/careloop\"",
        "[store]\nurl = \"postgres://localhost/careloop?user=a&password=hunter2\"",
    ];
    for text in places {
        one(
            text,
            &[
                "expected an address without a password",
                "env:NAME",
                "CARELOOP__",
            ],
        );
    }
    let elsewhere = [
        "[store]\nconnections = \"hunter2\"",
        "[keys]\nroot = \"hunter2\"",
        "[mllp]\nframe = \"hunter2\"",
        "[log]\nfilter = \"careloop=hunter2\"",
        "[http]\nlisten = [\"hunter2\"]",
        "public_url = \"https://me:hunter2@hub.example.org\"",
        "public_url = hunter2",
    ];
    for text in places.iter().chain(&elsewhere) {
        let found = problems(text);
        assert!(!found.is_empty(), "{text}");
        assert!(!found.concat().contains("hunter2"), "{found:#?}");
    }
}

#[test]
fn a_password_may_come_from_the_environment_or_a_file() {
    let url = "amqps://app:hunter2@broker.example.org";
    let direct = load_with("", &[("CARELOOP__BROKER__URL", url)]);
    let named = load_with("[broker]\nurl = \"env:RABBIT\"", &[("RABBIT", url)]);
    for config in [direct, named] {
        assert_eq!(config.ok().unwrap().broker.unwrap().url.open(), url);
    }
    one(
        "[broker]\nurl = \"env:RABBIT\"",
        &["RABBIT: expected a value, found none"],
    );
    one(
        "[broker]\nurl = \"file:/nonexistent/url\"",
        &["expected a readable file"],
    );
}

#[test]
fn windows_that_contradict_each_other_are_refused() {
    one(
        "[pace]\nidle = \"30s\"\nlease = \"20s\"",
        &["pace.idle", "less than pace.lease"],
    );
    one(
        "[broker]\nconfirm_timeout = \"20s\"",
        &["at most pace.publishing"],
    );
    one(
        "[mllp]\nconnections = 10",
        &["mllp.connections_per_peer", "at most mllp.connections"],
    );
    one("[mllp]\nframe = \"1 GiB\"", &["mllp.frame"]);
    one(
        "[store]\nurl = \"sqlite::memory:\"",
        &["found a store that ends with the process"],
    );
    one("[store]\nurl = \"mysql://x\"", &["expected sqlite:PATH"]);
    one(
        "public_url = \"http://hub.example.org\"",
        &["expected https://"],
    );
}

#[test]
fn paths_start_at_the_folder_of_the_file_that_names_them() {
    let config = load("[store]\nurl = \"sqlite:here.db\"\n[keys]\nroot = \"file:root.key\"");
    let config = config.ok().unwrap();
    assert_eq!(config.store.url.open(), "sqlite:clinic/here.db");
    assert_eq!(config.root_key, KeySource::File("clinic/root.key".into()));
    assert_eq!(config.spool, std::path::PathBuf::from("spool"));
}

#[test]
fn a_file_is_loaded_from_disk_and_its_absence_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("careloop.toml");
    let missing = Config::load(Some(&path)).err().unwrap();
    assert!(
        missing[0].says.contains("expected a readable file"),
        "{}",
        missing[0]
    );
    std::fs::write(&path, CLINIC).unwrap();
    let config = Config::load(Some(&path))
        .map_err(|found| format!("{found:#?}"))
        .unwrap();
    let site = format!("file:{}", folder.path().join("site.toml").display());
    assert_eq!(config.tenants[0].sources[0].layers[1], site);
    std::fs::write(&path, b"\xff\xfe").unwrap();
    assert!(
        Config::load(Some(&path)).err().unwrap()[0]
            .says
            .contains("UTF-8")
    );
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z\\[\\]=\"{}.,#0-9:\n -]{0,200}") {
        drop(load(&text));
        drop(load(&format!("{CLINIC}{text}")));
    }
}

#[test]
fn beyond_loopback_the_http_door_wants_tls_or_serves_no_api() {
    let open = "[http]\nlisten = \"0.0.0.0:8443\"\n";
    let problems = Config::from_texts(Some(("careloop.toml", open)), &Environment::new());
    let problems = problems.err().unwrap();
    let found = problems.iter().find(|problem| problem.at == "http.listen");
    assert!(found.unwrap().says.contains("expected TLS"));
    let plain = format!("{open}plaintext_beyond_loopback = true\n");
    let config = Config::from_texts(Some(("careloop.toml", &plain)), &Environment::new());
    assert!(!config.ok().unwrap().http.serves_api());
    let tls = format!("{open}tls = {{ certificate = \"a.pem\", key = \"a.key\" }}\n");
    let config = Config::from_texts(Some(("careloop.toml", &tls)), &Environment::new());
    assert!(config.ok().unwrap().http.serves_api());
}
