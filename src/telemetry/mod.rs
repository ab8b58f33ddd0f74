//! Logs and metrics: what careloop says about itself, without a word about anybody else.
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `careloop_messages_received_total` | `source` | messages stored for the first time and acknowledged |
//! | `careloop_messages_repeated_total` | `source` | messages that came again and were acknowledged again |
//! | `careloop_messages_refused_total` | `source`, `reason` | frames that were not taken |
//! | `careloop_acknowledgements_received_total` | `source`, `code` | acknowledgements that came as messages, by MSA-1 |
//! | `careloop_application_acks_total` | `source`, `outcome` | attempts to send an application acknowledgement |
//! | `careloop_messages_processed_total` | `state` | messages that ended, by their end |
//! | `careloop_tasks_published_total` | `outcome` | answers to publishes |
//! | `careloop_store_errors_total` | | failures of the store |
//! | `careloop_ack_latency_seconds` | | from a frame's last byte to its acknowledgement |
//! | `careloop_inbox_waiting` | | messages that wait for the pipeline |
//! | `careloop_outbox_waiting` | | tasks that wait to leave |
//! | `careloop_open_connections` | | MLLP connections |
//! | `careloop_ready` | | 1 if the hub takes messages, else 0 |
//! | `careloop_source_…`, `careloop_queue_…`, `careloop_tasks_…`, `careloop_agreement_days` | `tenant` and a name | how it stands, see `standing` |
//! | `careloop_trouble` | `tenant`, `trouble` | 1 while a trouble stands |
//!
//! Labels are names from the configuration or words of the code (`&'static str`), never data.

mod otlp;
mod standing;

pub use otlp::{Flush, Otlp};

use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider};
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, FilterFn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{EnvFilter, Registry as Spans};

use crate::config::LogConfig;
use standing::Standing;

pub use standing::Standpoint;

/// What keeps telemetry from starting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log filter cannot be read.
    #[error("log.filter: expected a filter such as \"info\" or \"info,careloop=debug\"")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// A log was set up before.
    #[error("the log was set up twice")]
    Twice(#[source] tracing::subscriber::SetGlobalDefaultError),
    /// The collector's address cannot be used.
    #[error("telemetry.otlp: expected a collector's address that can be used, found: {reason}")]
    Collector {
        /// What the exporter says; it names no header.
        reason: String,
    },
    /// The headers have another form.
    #[error("telemetry.headers: expected name=value pairs with commas between, found another form")]
    Headers,
    /// The metrics cannot be registered.
    #[error("the metrics cannot be registered")]
    Metrics(#[source] OTelSdkError),
}

/// Crates that log what passes through them, and the most they may say, whatever the filter asks.
///
/// At finer levels they print frames, addresses and statements, which can hold protected values or
/// passwords. `sqlx::query` is the statement log, whose slow statements come as warnings.
const CAPS: &[(&str, Option<Level>)] = &[
    ("sqlx::query", None),
    ("sqlx", Some(Level::WARN)),
    // How a connection ended, in its own words: RabbitMQ resets it behind its answer to a goodbye, so
    // that every stop would look like a fault. What is lost otherwise `outbox::rabbit` says.
    ("lapin::io_loop", None),
    ("lapin::channels", None),
    // At WARN it prints the bodies that the broker gives back; the relay says what matters of them.
    ("lapin", Some(Level::ERROR)),
    ("amq_protocol", Some(Level::WARN)),
    ("async_rs", Some(Level::WARN)),
    ("hyper", Some(Level::INFO)),
    ("axum", Some(Level::INFO)),
    ("h2", Some(Level::INFO)),
    ("rustls", Some(Level::INFO)),
    ("tokio_rustls", Some(Level::INFO)),
    ("opentelemetry", Some(Level::WARN)),
];

/// Starts the log on standard error and the panic hook.
pub fn init(log: &LogConfig) -> Result<(), Error> {
    let subscriber = subscriber(log, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(Error::Twice)?;
    panic::set_hook(Box::new(on_panic));
    Ok(())
}

/// A log that writes somewhere, as `init` and tests use it.
pub fn subscriber<W>(log: &LogConfig, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, Error>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .parse(&log.filter)
        .map_err(Error::Filter)?;
    let filter = filter.and(FilterFn::new(is_within_caps));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false);
    let lines: Box<dyn Layer<Spans> + Send + Sync> = if log.json {
        lines.json().flatten_event(true).with_filter(filter).boxed()
    } else {
        lines.with_filter(filter).boxed()
    };
    Ok(Box::new(Spans::default().with(lines)))
}

fn is_within_caps(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let cap = CAPS.iter().find(|(name, _)| {
        target.strip_prefix(name).is_some_and(|rest| {
            // `hyper_util` is capped with `hyper`, `h2x` is not capped with `h2`.
            rest.is_empty() || rest.starts_with("::") || rest.starts_with('_')
        })
    });
    match cap {
        Some((_, Some(most))) => metadata.level() <= most,
        Some((_, None)) => false,
        None => true,
    }
}

/// Logs where a panic happened, and not its text, which may quote what was being worked on.
fn on_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location();
    let (file, line) = place.map_or(("unknown", 0), |place| (place.file(), place.line()));
    tracing::error!(target: "careloop::panic", file, line, "a task panicked; this is a bug");
}

/// What the observed gauges show at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Messages that wait for the pipeline.
    pub inbox_waiting: u64,
    /// Tasks that wait to leave.
    pub outbox_waiting: u64,
    /// Open MLLP connections.
    pub open_connections: u64,
    /// Whether the hub takes messages.
    pub ready: bool,
}

type Snapshot = OnceLock<Box<dyn Fn() -> Levels + Send + Sync>>;

/// The metrics. Clones share the same numbers.
#[derive(Clone)]
pub struct Metrics(Arc<Instruments>);

struct Instruments {
    registry: Registry,
    levels: Arc<Snapshot>,
    received: Counter<u64>,
    repeated: Counter<u64>,
    acknowledgements: Counter<u64>,
    replied: Counter<u64>,
    refused: Counter<u64>,
    processed: Counter<u64>,
    published: Counter<u64>,
    store_errors: Counter<u64>,
    ack_latency: Histogram<f64>,
    standing: Standing,
    // Dropped with the instruments: without it they would record nothing.
    provider: SdkMeterProvider,
}

impl Metrics {
    /// Metrics with a registry of their own, so that tests and tenants of a process do not meet.
    pub fn new() -> Result<Self, Error> {
        Self::sent_to(None)
    }

    /// Metrics that a collector gets, too.
    ///
    /// # Errors
    /// When they cannot be registered.
    pub fn sent_to(otlp: Option<Otlp>) -> Result<Self, Error> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()
            .map_err(Error::Metrics)?;
        let mut provider = SdkMeterProvider::builder().with_reader(exporter);
        if let Some(otlp) = otlp {
            provider = provider
                .with_reader(otlp.metrics)
                .with_resource(otlp.resource);
        }
        let provider = provider.build();
        let meter = provider.meter("careloop");
        let levels = Arc::new(Snapshot::new());
        observe(&meter, &levels);
        // The exporter appends `_total` to counters and the unit to histograms.
        let counter = |name: &'static str, what: &'static str| {
            meter.u64_counter(name).with_description(what).build()
        };
        let instruments = Instruments {
            received: counter(
                "careloop_messages_received",
                "messages stored and acknowledged",
            ),
            repeated: counter("careloop_messages_repeated", "messages that came again"),
            acknowledgements: counter(
                "careloop_acknowledgements_received",
                "acknowledgements that came as messages",
            ),
            refused: counter("careloop_messages_refused", "frames that were not taken"),
            replied: counter(
                "careloop_application_acks",
                "application acknowledgements sent",
            ),
            processed: counter("careloop_messages_processed", "messages that ended"),
            published: counter("careloop_tasks_published", "answers to publishes"),
            store_errors: counter("careloop_store_errors", "failures of the store"),
            ack_latency: meter
                .f64_histogram("careloop_ack_latency")
                .with_unit("s")
                .with_description("from a frame's last byte to its acknowledgement")
                .with_boundaries(vec![
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
                ])
                .build(),
            standing: Standing::new(&meter),
            registry,
            levels,
            provider,
        };
        Ok(Self(Arc::new(instruments)))
    }

    /// Sends what waits to the collector and stops. It blocks.
    pub fn close(&self) {
        if let Err(error) = self.0.provider.shutdown() {
            tracing::debug!(%error, "the last metrics were not sent");
        }
    }

    /// Says how the gauges are read. The first call counts; gauges are absent before it.
    ///
    /// It is called at each scrape, on a runtime thread: it reads numbers that are at hand.
    pub fn observe(&self, levels: impl Fn() -> Levels + Send + Sync + 'static) {
        self.0.levels.get_or_init(|| Box::new(levels));
    }

    /// Messages of a source were stored.
    pub fn received(&self, source: &str, count: u64) {
        let labels = [label("source", source)];
        self.0.received.add(count, &labels);
    }

    /// Messages of a source came again.
    pub fn repeated(&self, source: &str, count: u64) {
        self.0.repeated.add(count, &[label("source", source)]);
    }

    /// Frames or connections of a source were refused.
    pub fn refused(&self, source: &str, reason: &'static str, count: u64) {
        let labels = [label("source", source), KeyValue::new("reason", reason)];
        self.0.refused.add(count, &labels);
    }

    /// Acknowledgements came as messages of a source.
    pub fn acknowledgement(&self, source: &str, code: &'static str, count: u64) {
        let labels = [label("source", source), KeyValue::new("code", code)];
        self.0.acknowledgements.add(count, &labels);
    }

    /// Application acknowledgements were sent to a source, or not.
    pub fn replied(&self, source: &str, outcome: &'static str, count: u64) {
        let labels = [label("source", source), KeyValue::new("outcome", outcome)];
        self.0.replied.add(count, &labels);
    }

    /// Messages ended in a state.
    pub fn processed(&self, state: &'static str, count: u64) {
        self.0
            .processed
            .add(count, &[KeyValue::new("state", state)]);
    }

    /// A publish was answered.
    pub fn published(&self, outcome: &'static str) {
        self.0
            .published
            .add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// The store failed.
    pub fn store_error(&self) {
        self.0.store_errors.add(1, &[]);
    }

    /// A message was acknowledged this long after its last byte.
    pub fn acknowledged(&self, after: Duration) {
        self.0.ack_latency.record(after.as_secs_f64(), &[]);
    }

    /// How something with a name stands now.
    pub fn stands(&self, point: Standpoint, named: (&str, &str), value: f64) {
        self.0.standing.show(point, named, value);
    }

    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.0.registry.gather(), &mut text) {
            tracing::warn!(%error, "the metrics could not be written");
        }
        text
    }
}

fn label(key: &'static str, name: &str) -> KeyValue {
    KeyValue::new(key, name.to_owned())
}

fn observe(meter: &Meter, levels: &Arc<Snapshot>) {
    type Read = fn(Levels) -> u64;
    let gauges: [(&'static str, &'static str, Read); 4] = [
        ("careloop_inbox_waiting", "messages that wait", |levels| {
            levels.inbox_waiting
        }),
        (
            "careloop_outbox_waiting",
            "tasks that wait to leave",
            |levels| levels.outbox_waiting,
        ),
        ("careloop_open_connections", "MLLP connections", |levels| {
            levels.open_connections
        }),
        ("careloop_ready", "1 if the hub takes messages", |levels| {
            u64::from(levels.ready)
        }),
    ];
    for (name, what, read) in gauges {
        let levels = Arc::clone(levels);
        // The provider keeps the callback, not this handle.
        let _gauge = meter
            .u64_observable_gauge(name)
            .with_description(what)
            .with_callback(move |gauge| {
                if let Some(levels) = levels.get() {
                    gauge.observe(read(levels()), &[]);
                }
            })
            .build();
    }
}

#[cfg(test)]
#[path = "telemetry_tests.rs"]
mod tests;
