//! House rules that the compiler does not check: who may import whom, what stays where, what every
//! file says of itself.
//!
//! Every rule fails with the file, the line and what to do instead. To change a rule, change the
//! table below and the matching paragraph of ARCHITECTURE.md in the same commit.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a rule that cannot be checked should fail its test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use careloop::care::{
    Answer, Beyond, FindingEvent, FindingState, RestReason, TaskEvent, TaskState,
};
use careloop::failure::Code;
use careloop::message;

const MAX_LINES: usize = 400;

/// Every top-level module and the modules it may import. What is not listed is forbidden.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    // Pure: values in, values out.
    ("instant", &[]),
    ("nearest", &[]),
    ("hl7", &["instant"]),
    ("fhir", &["instant", "nearest"]),
    ("phi", &[]),
    ("failure", &[]),
    ("crm", &[]),
    ("message", &["failure"]),
    ("trace", &[]),
    (
        "mapping",
        &["crm", "failure", "fhir", "hl7", "instant", "nearest", "phi"],
    ),
    ("consent", &["crm"]),
    ("care", &["consent", "crm"]),
    // The world.
    ("clock", &[]),
    ("config", &["fhir"]),
    ("tls", &["config"]),
    ("vault", &[]),
    ("retry", &[]),
    ("guard", &[]),
    ("step", &[]),
    ("slots", &[]),
    ("ehr", &["clock", "config", "fhir", "retry"]),
    ("telemetry", &["config", "trace"]),
    (
        "store",
        &[
            "care", "clock", "config", "consent", "crm", "failure", "message", "phi", "vault",
        ],
    ),
    // One tenant, compiled.
    (
        "site",
        &[
            "care", "config", "consent", "crm", "hl7", "mapping", "store",
        ],
    ),
    ("outreach", &["care", "config", "consent", "crm", "store"]),
    // Stations: intake knows no mapping; pipeline and outbox meet in a table.
    (
        "intake",
        &[
            "clock", "config", "failure", "fhir", "guard", "hl7", "retry", "slots", "store", "tls",
            "trace",
        ],
    ),
    (
        "pipeline",
        &[
            "care", "clock", "config", "consent", "crm", "guard", "failure", "fhir", "hl7",
            "mapping", "message", "outreach", "phi", "site", "step", "store", "trace",
        ],
    ),
    (
        "outbox",
        &[
            "care", "clock", "config", "consent", "crm", "guard", "outreach", "retry", "site",
            "step", "store", "trace",
        ],
    ),
    ("alert", &["config", "store"]),
    (
        "access",
        &[
            "care", "clock", "config", "consent", "crm", "outbox", "outreach", "phi", "site",
            "store",
        ],
    ),
    // Doors and assembly.
    (
        "web",
        &[
            "access",
            "config",
            "intake",
            "outbox",
            "phi",
            "slots",
            "store",
            "telemetry",
            "tls",
        ],
    ),
    (
        "daemon",
        &[
            "alert",
            "access",
            "care",
            "clock",
            "config",
            "consent",
            "intake",
            "mapping",
            "outbox",
            "pipeline",
            "site",
            "store",
            "telemetry",
            "tls",
            "vault",
            "web",
            "trace",
        ],
    ),
    (
        "cli",
        &[
            "alert",
            "access",
            "care",
            "clock",
            "config",
            "consent",
            "crm",
            "daemon",
            "failure",
            "fhir",
            "hl7",
            "mapping",
            "message",
            "outbox",
            "outreach",
            "outbox",
            "phi",
            "pipeline",
            "store",
            "telemetry",
            "tls",
            "vault",
        ],
    ),
];

/// What stays where: outside crates, the clock, the environment, files, sockets, the standard output.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("sqlx::", &["src/store/", "src/telemetry/"]),
    ("lapin::", &["src/outbox/rabbit/", "src/telemetry/"]),
    ("axum::", &["src/web/"]),
    // A route that is not in a list would not be held against the API's description.
    (".route(", &["src/web/route.rs"]),
    ("clap::", &["src/cli/"]),
    ("reqwest::", &["src/alert/", "src/ehr/"]),
    ("hl7_parser::", &["src/hl7/parsed.rs"]),
    ("fhirbolt_element::", &["src/fhir/model/"]),
    ("fhirbolt_shared::", &["src/fhir/model/"]),
    ("backoff::", &["src/retry.rs"]),
    ("opentelemetry::", &["src/telemetry/"]),
    ("opentelemetry_otlp::", &["src/telemetry/"]),
    ("prometheus::", &["src/telemetry/"]),
    (
        "toml::",
        &["src/mapping/", "src/care/", "src/consent/", "src/config/"],
    ),
    ("anyhow::", &["src/cli/", "src/daemon/"]),
    (
        "tokio::net",
        &[
            "src/intake/mllp/",
            "src/web/",
            "src/daemon/",
            "src/cli/demo/",
            "src/cli/http.rs",
        ],
    ),
    ("std::env", &["src/config/", "src/main.rs"]),
    (
        "std::fs",
        &[
            "src/config/",
            "src/mapping/load.rs",
            "src/care/embedded.rs",
            "src/care/tests.rs",
            "src/cli/",
            "src/tls.rs",
            "src/outbox/spool.rs",
            "src/outbox/envelope_tests.rs",
            "src/store/",
        ],
    ),
    ("Timestamp::now()", &["src/clock.rs"]),
    ("println!", &[]),
];

/// Modules that stay free of runtimes, clocks, logs and sockets.
const PURE: &[&str] = &[
    "instant", "nearest", "hl7", "fhir", "phi", "failure", "message", "trace", "crm", "mapping",
    "care", "consent",
];
const IMPURE_WORDS: &[&str] = &["tokio::", "async fn", "std::net", "std::time", "tracing::"];

/// Names under which everything and nothing can be found.
const NO_NAMES: &[&str] = &[
    "util", "utils", "helper", "helpers", "common", "manager", "misc",
];

#[test]
fn modules_import_only_what_the_table_allows() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        let Some(module) = top_module(&file) else {
            continue;
        };
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            broken.push(format!(
                "{}: `{module}` is not in MAY_IMPORT",
                file.display()
            ));
            continue;
        };
        for (number, line) in code_lines(&text) {
            for target in crate_paths(line) {
                if target != module && !allowed.contains(&target) {
                    broken.push(format!(
                        "{}:{number}: `{module}` may not import `{target}`",
                        file.display()
                    ));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn outside_crates_and_the_world_stay_in_their_place() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        let path = file.to_string_lossy();
        if path.ends_with("tests.rs") {
            continue;
        }
        for (number, line) in code_lines(&text) {
            for (word, homes) in ONLY_IN {
                if names(line, word) && !homes.iter().any(|home| path.starts_with(home)) {
                    broken.push(format!(
                        "{path}:{number}: `{word}` belongs in {}",
                        homes.join(", ")
                    ));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn pure_modules_stay_pure() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        let Some(module) = top_module(&file) else {
            continue;
        };
        if !PURE.contains(&module.as_str()) {
            continue;
        }
        for (number, line) in code_lines(&text) {
            for word in IMPURE_WORDS.iter().filter(|word| line.contains(**word)) {
                broken.push(format!(
                    "{}:{number}: `{module}` is pure; no `{word}`",
                    file.display()
                ));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        let lines = text.lines().count();
        if lines > MAX_LINES {
            broken.push(format!(
                "{}: {lines} lines, at most {MAX_LINES}",
                file.display()
            ));
        }
        if !text.starts_with("//! ") {
            broken.push(format!(
                "{}: open with a `//!` line that says its role",
                file.display()
            ));
        }
        for part in file.iter().map(|part| part.to_string_lossy()) {
            let stem = part.trim_end_matches(".rs");
            if NO_NAMES.contains(&stem) {
                broken.push(format!(
                    "{}: `{stem}` says nothing; name the subject",
                    file.display()
                ));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn nothing_is_left_for_later_and_no_test_is_switched_off() {
    let mut broken = Vec::new();
    let mut all = sources();
    collect(Path::new("tests"), &mut all);
    for (file, text) in all {
        if file.ends_with("tidy.rs") {
            continue;
        }
        for (number, line) in code_lines(&text) {
            for word in ["#[ignore", "#[should_panic", "todo!(", "unimplemented!("] {
                if line.contains(word) {
                    broken.push(format!("{}:{number}: `{word}`", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// `tests/fuzz` has a lock file of its own, which no build of the project reads.
#[test]
fn the_fuzz_targets_are_locked_to_what_careloop_needs() {
    let needs = |file: &str| -> BTreeSet<String> {
        let lock: toml::Table = fs::read_to_string(file).unwrap().parse().unwrap();
        let packages = lock["package"].as_array().unwrap();
        let mut own = packages
            .iter()
            .filter(|one| one["name"].as_str() == Some("careloop"));
        let own = own.next().unwrap()["dependencies"].as_array().unwrap();
        own.iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect()
    };
    let manifest: toml::Table = fs::read_to_string("Cargo.toml").unwrap().parse().unwrap();
    let locked = needs("tests/fuzz/Cargo.lock");
    for name in manifest["dependencies"].as_table().unwrap().keys() {
        let is_locked = locked.iter().any(|one| one.split(' ').next() == Some(name));
        assert!(
            is_locked,
            "{name} is not in tests/fuzz/Cargo.lock; run `cargo update -w` there"
        );
    }
    let known = needs("Cargo.lock");
    let gone: Vec<&String> = locked.difference(&known).collect();
    assert!(
        gone.is_empty(),
        "tests/fuzz/Cargo.lock still names {gone:?}; run `cargo update -w` there"
    );
}

/// `$1` of every statement is the tenant, so a statement that does not compare or set it would
/// reach every tenant's rows.
#[test]
fn every_statement_is_scoped_to_a_tenant() {
    let mut broken = Vec::new();
    let mut statements = 0;
    for (file, text) in sources() {
        if !file.starts_with("src/store")
            || ["open.rs", "tx.rs", "whole.rs"]
                .iter()
                .any(|whole| file.ends_with(whole))
        {
            continue;
        }
        for literal in literals(&text) {
            let first = literal.split_whitespace().next().unwrap_or_default();
            if !["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(&first) {
                continue;
            }
            statements += 1;
            if !literal.contains("tenant = $1") && !literal.contains("VALUES ($1") {
                broken.push(format!("{}: not scoped: {literal}", file.display()));
            }
        }
    }
    assert!(
        statements > 50,
        "found only {statements} statements; has the reader gone blind?"
    );
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn both_stores_have_the_same_migrations() {
    let list = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(Path::new("migrations").join(folder)).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    };
    assert_eq!(list("sqlite"), list("postgres"));
    for file in list("sqlite")
        .iter()
        .filter(|name| !name.contains("row_security"))
    {
        let read =
            |folder: &str| fs::read_to_string(format!("migrations/{folder}/{file}")).unwrap();
        let words = |text: String| -> Vec<String> {
            // How PostgreSQL lays out a table's pages is nothing that SQLite knows of.
            let lines = text
                .lines()
                .filter_map(|line| line.split(") WITH (").next());
            let text: String = lines.map(|line| format!("{line}\n")).collect();
            text.split(|c: char| !c.is_alphanumeric() && c != '_')
                .filter(|word| word.starts_with(|c: char| c.is_lowercase()))
                .filter(|word| !word.is_empty())
                .map(ToOwned::to_owned)
                .collect()
        };
        assert_eq!(words(read("sqlite")), words(read("postgres")), "{file}");
    }
}

#[test]
fn every_failure_code_is_in_the_handbook() {
    let handbook = fs::read_to_string("mappings/README.md").unwrap();
    for code in Code::ALL {
        assert!(
            handbook.contains(&format!("`{}`", code.name())),
            "mappings/README.md: add a row for `{code}`"
        );
    }
}

#[test]
fn every_mapping_and_rule_has_examples() {
    let mut files = Vec::new();
    for folder in ["mappings/hl7v2", "mappings/fhir", "mappings/care"] {
        collect_ending(Path::new(folder), "toml", &mut files);
    }
    let mut bare = Vec::new();
    for file in files {
        let path = file.to_string_lossy();
        let is_subject = !path.contains(".examples/")
            && !path.contains("/fragments/")
            && !path.ends_with("contact-policy.toml");
        if is_subject && !file.with_extension("examples").is_dir() {
            bare.push(path.into_owned());
        }
    }
    assert!(bare.is_empty(), "no examples beside {bare:?}");
}

#[test]
fn documents_say_whom_they_are_for() {
    let mut files = vec![
        PathBuf::from("README.md"),
        PathBuf::from("ARCHITECTURE.md"),
        PathBuf::from("CONTRIBUTING.md"),
        PathBuf::from("CHANGELOG.md"),
    ];
    for folder in ["mappings", "tests", "migrations"] {
        collect_ending(Path::new(folder), "md", &mut files);
    }
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.starts_with("<!-- audience: "),
            "{}: open with <!-- audience: …; kind: … -->",
            file.display()
        );
    }
}

/// A promise names the test that keeps it; a name without a test is a promise that nothing keeps.
#[test]
fn every_test_that_the_documents_name_exists() {
    let mut all = sources();
    collect(Path::new("tests"), &mut all);
    let mut missing = Vec::new();
    let mut named = 0;
    for document in ["README.md", "ARCHITECTURE.md"] {
        let text = fs::read_to_string(document).unwrap();
        for name in text.split('`').skip(1).step_by(2) {
            let is_test = name.matches('_').count() >= 4
                && name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit());
            if !is_test {
                continue;
            }
            named += 1;
            let definition = format!("fn {name}(");
            if !all.iter().any(|(_, source)| source.contains(&definition)) {
                missing.push(format!("{document}: no test is called `{name}`"));
            }
        }
    }
    assert!(named > 10, "found only {named} names of tests");
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}

/// The state tables of ARCHITECTURE.md are printed from the code.
#[test]
fn the_state_tables_are_in_the_architecture() {
    let architecture = fs::read_to_string("ARCHITECTURE.md").unwrap();
    let message = table(
        message::State::ALL
            .iter()
            .map(|state| (state.name(), *state)),
        message::Event::ALL
            .iter()
            .map(|event| (format!("{event:?}").to_lowercase(), *event)),
        |state, event| state.after(event).map(message::State::name),
    );
    let finding = table(
        FindingState::ALL.iter().map(|state| (state.name(), *state)),
        FindingEvent::ALL
            .iter()
            .map(|event| (event.name().to_owned(), *event)),
        |state, event| state.after(event).map(FindingState::name),
    );
    let task = table(
        TaskState::ALL.iter().map(|state| (state.name(), *state)),
        TaskEvent::ALL
            .iter()
            .map(|event| (event.name().to_owned(), *event)),
        |state, event| state.after(event).map(TaskState::name),
    );
    for (name, table) in [("message", message), ("finding", finding), ("task", task)] {
        assert!(
            architecture.contains(&table),
            "ARCHITECTURE.md: the table of {name} states should read\n\n{table}"
        );
    }
}

/// What an answer does, as the chapter for those who write one prints it.
#[test]
fn the_table_of_answers_is_in_the_readme() {
    let readme = fs::read_to_string("README.md").unwrap();
    for answer in Answer::ALL {
        let effect = answer.effect();
        let task = TaskState::Requested.after(effect.task).map(TaskState::name);
        let besides = match effect.beyond {
            Beyond::Nothing => "·",
            Beyond::ContactEnds => "the contact point ends",
            Beyond::OptOut => "an opt-out",
            Beyond::Hold => "a hold on the person",
        };
        let line = format!(
            "| `{}` | {} | {} | {besides} | {} | {} |",
            answer.name(),
            task.unwrap_or("·"),
            effect.rest.map_or("·", RestReason::name),
            if effect.is_contact { "counts" } else { "·" },
            if effect.counts_late { "yes" } else { "·" },
        );
        assert!(
            readme.contains(&line),
            "README.md: the table of answers should have\n{line}"
        );
    }
}

/// One line an event: where each state goes, `·` where the event is recorded but not applied.
fn table<S: Copy, E: Copy>(
    states: impl Iterator<Item = (&'static str, S)>,
    events: impl Iterator<Item = (String, E)>,
    after: impl Fn(S, E) -> Option<&'static str>,
) -> String {
    let states: Vec<(&str, S)> = states.collect();
    let mut text = String::from("| event |");
    for (name, _) in &states {
        text.push_str(&format!(" {name} |"));
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(states.len()));
    for (name, event) in events {
        text.push_str(&format!("\n| {name} |"));
        for (_, state) in &states {
            text.push_str(&format!(" {} |", after(*state, event).unwrap_or("·")));
        }
    }
    text
}

/// String literals of a source, with escaped line ends joined.
fn literals(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('"') {
        rest = &rest[start + 1..];
        let mut end = 0;
        let bytes = rest.as_bytes();
        while end < bytes.len() && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let literal = rest.get(..end).unwrap_or_default();
        found.push(
            literal
                .replace("\\\n", " ")
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
        );
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    found
}

/// Whether a line uses `word` as a path of its own, not as the tail of another.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        word.starts_with('.')
            || !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            || word.starts_with("Timestamp::now") && line[..at].ends_with("jiff::")
    })
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    collect(Path::new("src"), &mut found);
    found.sort();
    assert!(
        found.len() > 10,
        "found only {} sources; run in the package root",
        found.len()
    );
    found
}

fn collect(dir: &Path, found: &mut Vec<(PathBuf, String)>) {
    let mut files = Vec::new();
    collect_ending(dir, "rs", &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        found.push((file, text));
    }
}

fn collect_ending(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_ending(&path, ending, found);
        } else if path.extension().is_some_and(|found| found == ending) {
            found.push(path);
        }
    }
}

/// `src/intake/mllp/frame.rs` belongs to `intake`; `src/lib.rs` and `src/main.rs` to no module, and
/// `src/telemetry_tests.rs` to `telemetry`.
fn top_module(file: &Path) -> Option<String> {
    let first = file
        .strip_prefix("src")
        .ok()?
        .components()
        .next()?
        .as_os_str()
        .to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    let name = name.strip_suffix("_tests").unwrap_or(name);
    (name != "lib" && name != "main").then(|| name.to_owned())
}

fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_start()))
        .filter(|(_, line)| !line.starts_with("//"))
}

/// The top-level modules that a line names as `crate::name`; `crate::{a, b}` yields `{`, which no
/// table allows, so each module is imported on a line of its own and the rule stays readable.
fn crate_paths(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(|rest| {
        if rest.starts_with('{') {
            return "{";
        }
        rest.split(|c: char| !c.is_alphanumeric() && c != '_')
            .next()
            .unwrap_or(rest)
    })
}
