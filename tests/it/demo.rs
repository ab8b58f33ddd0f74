//! `careloop demo` as a newcomer runs it: the real binary, twice in one folder, and with `--stay`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

fn demo(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_careloop"));
    command.current_dir(home).arg("demo");
    // What configures a hub on this machine is not the demo's.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARELOOP__") {
            command.env_remove(name);
        }
    }
    command
}

/// What is the same at any hour of any day: who may be called changes with the hour, who may be
/// reached through the portal does not.
#[test]
fn the_demo_shows_every_kind_of_outcome_and_runs_again_in_its_folder() {
    let home = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let run = demo(home.path()).output().unwrap();
        let text = String::from_utf8(run.stdout).unwrap();
        let errors = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{text}\n{errors}");
        for shown in [
            "27 received = 0 waiting + 25 processed + 1 ignored + 1 held; it adds up",
            "1 delivered once more",
            "known already",
            "the state of a bed; it names no person",
            "TEST-1001 + TEST-1099",
            "Referral outstanding",
            "Missed appointment",
            "closed",
            "An HbA1c result of",
            "by portal",
            "gap-closed",
            "The person said no",
            "No consent is on record",
            "only observed",
        ] {
            assert!(text.contains(shown), "{shown} is missing in:\n{text}");
        }
        // Where people may be called at this hour, Ada's first task has left before her records are
        // merged, and an urgent reason waits for no other; else both wait, and share one contact.
        let (_, tasks) = text.split_once("4. Which tasks left").unwrap();
        let (left, stayed) = tasks.split_once("5. Which tasks stayed").unwrap();
        let hers = left
            .lines()
            .filter(|line| line.contains("Ada Example"))
            .count();
        let shared = stayed.contains("one contact for both");
        assert!(
            matches!((hers, shared), (2, false) | (0, true)),
            "Ada's tasks:\n{text}"
        );
        assert!(!text.contains(" ? "), "somebody is not known:\n{text}");
    }
}

#[test]
fn a_demo_that_stays_answers_until_it_is_interrupted_and_then_stops_in_order() {
    let home = tempfile::tempdir().unwrap();
    let mut stays = demo(home.path())
        .arg("--stay")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(stays.stdout.take().unwrap()).lines();
    assert!(
        lines.any(|line| line.unwrap().contains("/metrics")),
        "it says where it listens"
    );
    let second = demo(home.path()).output().unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("a hub is running in this folder"));
    let interrupt = Command::new("kill")
        .args(["-INT", &stays.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupt.success());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(
        rest.iter().any(|line| line.contains("stopping")),
        "{rest:?}"
    );
    assert!(stays.wait().unwrap().success());
}
