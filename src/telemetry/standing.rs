//! Labelled gauges of how sources, teams and agreements stand.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Gauge, Meter};

/// What a labelled gauge shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standpoint {
    /// When a source last sent something, in seconds since 1970.
    LastReceived,
    /// Whether a source's listener is open.
    Listening,
    /// For how long the oldest message of a source waits, in seconds.
    OldestWaiting,
    /// Held messages of a source.
    Held,
    /// Messages in a team's queue.
    QueueMessages,
    /// Consumers of a team's queue.
    QueueConsumers,
    /// For how long the oldest published task of a team is without an answer, in seconds.
    OldestUnanswered,
    /// Published tasks of a team that nobody took, after every escalation.
    NotTaken,
    /// Days until an agreement ends; below zero when it is over.
    AgreementDays,
    /// Whether a trouble stands; `subject` is its kind and what it is about.
    Trouble,
}

/// Every gauge: name, label, meaning. Their order is that of [`Standpoint`].
const GAUGES: [(&str, &str, &str); 10] = [
    (
        "careloop_source_last_received_timestamp_seconds",
        "source",
        "when the source last sent something",
    ),
    (
        "careloop_source_listening",
        "source",
        "1 if the source's listener is open",
    ),
    (
        "careloop_source_oldest_waiting_seconds",
        "source",
        "for how long its oldest message waits",
    ),
    ("careloop_source_held", "source", "its held messages"),
    (
        "careloop_queue_messages",
        "team",
        "messages in the team's queue",
    ),
    (
        "careloop_queue_consumers",
        "team",
        "consumers of the team's queue",
    ),
    (
        "careloop_tasks_oldest_unanswered_seconds",
        "team",
        "for how long its oldest task is without an answer",
    ),
    (
        "careloop_tasks_not_taken",
        "team",
        "its tasks that nobody took, after every escalation",
    ),
    (
        "careloop_agreement_days",
        "party",
        "days until the agreement ends",
    ),
    ("careloop_trouble", "trouble", "1 while the trouble stands"),
];

/// The gauges.
pub(super) struct Standing(Vec<(Gauge<f64>, &'static str)>);

impl Standing {
    pub(super) fn new(meter: &Meter) -> Self {
        let gauges = GAUGES.iter().map(|(name, label, what)| {
            let gauge = meter.f64_gauge(*name).with_description(*what).build();
            (gauge, *label)
        });
        Self(gauges.collect())
    }

    pub(super) fn show(&self, point: Standpoint, (tenant, subject): (&str, &str), value: f64) {
        if let Some((gauge, label)) = self.0.get(point as usize) {
            let labels = [
                KeyValue::new("tenant", tenant.to_owned()),
                KeyValue::new(*label, subject.to_owned()),
            ];
            gauge.record(value, &labels);
        }
    }
}
