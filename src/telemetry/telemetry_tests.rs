//! What the log lets through and what the metrics are called.

use super::{Levels, Metrics, on_panic, subscriber};
use crate::config::LogConfig;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn captured(filter: &str, json: bool, work: impl FnOnce()) -> String {
    let out = Captured::default();
    let log = LogConfig {
        filter: filter.into(),
        json,
    };
    let writer = out.clone();
    let subscriber = subscriber(&log, move || writer.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = out.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn libraries_stay_quiet_whatever_the_filter_asks() {
    let log = captured("trace,sqlx::query=trace,lapin=trace", false, || {
        tracing::debug!(target: "careloop::intake", "ours");
        tracing::warn!(target: "sqlx::query", "statement");
        tracing::info!(target: "sqlx_core::pool", "pool");
        tracing::info!(target: "lapin::channel", "frame");
        tracing::debug!(target: "hyper_util::client", "head");
        tracing::debug!(target: "rustls::conn", "handshake");
        tracing::warn!(target: "lapin::returned_messages", "body");
        tracing::error!(target: "lapin::channel", "closing");
        tracing::error!(target: "lapin::io_loop", "reset");
    });
    assert!(log.contains("ours") && log.contains("closing"), "{log}");
    for word in [
        "statement",
        "pool",
        "frame",
        "head",
        "handshake",
        "body",
        "reset",
    ] {
        assert!(!log.contains(word), "{word}: {log}");
    }
}

#[test]
fn json_lines_are_json() {
    let log = captured("info", true, || {
        tracing::info!(source = "epic-adt", "opened");
    });
    let line: serde_json::Value = serde_json::from_str(log.trim()).unwrap();
    assert_eq!(line["source"], "epic-adt");
    assert_eq!(line["message"], "opened");
}

#[test]
fn a_filter_that_cannot_be_read_is_an_error() {
    let log = LogConfig {
        filter: "careloop=loud".into(),
        json: false,
    };
    assert!(subscriber(&log, io::sink).is_err());
}

#[test]
fn a_panic_is_logged_by_its_place_only() {
    let log = captured("info", false, || {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(on_panic));
        let outcome = std::panic::catch_unwind(|| panic!("Ada Example"));
        std::panic::set_hook(before);
        assert!(outcome.is_err());
    });
    assert!(log.contains("telemetry_tests.rs"), "{log}");
    assert!(!log.contains("Ada"), "{log}");
}

/// Metrics that were all told of something, those of how things stand aside.
fn told() -> Metrics {
    let metrics = Metrics::new().unwrap();
    assert!(
        !metrics.render().contains("careloop_ready"),
        "no gauge before it is observed"
    );
    metrics.observe(|| Levels {
        inbox_waiting: 3,
        ready: true,
        ..Levels::default()
    });
    metrics.clone().received("epic-adt", 1);
    metrics.received("epic-adt", 1);
    metrics.repeated("epic-adt", 1);
    metrics.acknowledgement("epic-adt", "AE", 1);
    metrics.refused("epic-adt", "frame-too-large", 1);
    metrics.replied("epic-adt", "sent", 1);
    metrics.processed("held", 2);
    metrics.published("sent");
    metrics.store_error();
    metrics.acknowledged(Duration::from_millis(3));
    metrics
}

#[test]
fn metrics_have_the_documented_names_and_labels() {
    let text = told().render();
    let lines = [
        "careloop_messages_received_total{source=\"epic-adt\"} 2",
        "careloop_messages_repeated_total{source=\"epic-adt\"} 1",
        "careloop_acknowledgements_received_total{code=\"AE\",source=\"epic-adt\"} 1",
        "careloop_messages_refused_total{reason=\"frame-too-large\",source=\"epic-adt\"} 1",
        "careloop_messages_processed_total{state=\"held\"} 2",
        "careloop_tasks_published_total{outcome=\"sent\"} 1",
        "careloop_store_errors_total 1",
        "careloop_ack_latency_seconds_bucket{le=\"0.005\"} 1",
        "careloop_ack_latency_seconds_bucket{le=\"0.0025\"} 0",
        "careloop_inbox_waiting 3",
        "careloop_outbox_waiting 0",
        "careloop_open_connections 0",
        "careloop_ready 1",
    ];
    for line in lines {
        assert!(
            text.lines().any(|other| other == line),
            "{line} is not in\n{text}"
        );
    }
    let documented = include_str!("mod.rs");
    for name in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = name.split(' ').next().unwrap();
        assert!(
            documented.contains(&format!("//! | `{name}` |")),
            "{name} is not documented"
        );
    }
    assert!(!text.contains("otel_scope"), "{text}");
}

#[test]
fn tasks_that_nobody_took_are_a_gauge_of_their_team() {
    let metrics = Metrics::new().unwrap();
    let team = ("riverside", "riverside.main.coordination");
    metrics.stands(crate::telemetry::Standpoint::NotTaken, team, 2.0);
    let gauge =
        "careloop_tasks_not_taken{team=\"riverside.main.coordination\",tenant=\"riverside\"} 2";
    let text = metrics.render();
    assert!(text.lines().any(|line| line == gauge), "{text}");
}

#[test]
fn the_rules_for_prometheus_ask_for_metrics_and_labels_that_are_exported() {
    let metrics = told();
    let named = ("riverside", "riverside.main.coordination");
    metrics.stands(crate::telemetry::Standpoint::NotTaken, named, 1.0);
    metrics.stands(crate::telemetry::Standpoint::Trouble, named, 1.0);
    let text = metrics.render();
    let rules = include_str!("../../docker/prometheus/careloop.rules.yml");
    let asked = rules.lines().filter(|line| line.contains("expr:"));
    let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
    let mut found = 0;
    for name in asked.flat_map(|line| line.split(|c| !is_word(c))) {
        if name.starts_with("careloop_") {
            let starts = |line: &str| {
                line.strip_prefix(name)
                    .is_some_and(|rest| !rest.starts_with(is_word))
            };
            assert!(text.lines().any(starts), "{name} is not in\n{text}");
            found += 1;
        }
    }
    assert!(found > 5, "only {found}");
    for label in rules.split("$labels.").skip(1) {
        let label = label.split(|c| !is_word(c)).next().unwrap();
        assert!(
            text.contains(&format!("{label}=\"")),
            "{label} is not in\n{text}"
        );
    }
}
