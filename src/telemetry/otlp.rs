//! Spans and metrics to an OpenTelemetry collector, over OTLP with HTTP and protobuf.
//!
//! Sending is done by threads of their own, in batches; a collector that is away costs nothing but
//! the spans that it misses.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{
    MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::PeriodicReader;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanProcessor};

use super::Error;
use crate::config::TelemetryConfig;
use crate::trace::{Span, Tracer};

/// How long the collector may take for one batch.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where spans and metrics go.
pub struct Otlp {
    spans: Arc<BatchSpanProcessor>,
    share: f64,
    pub(super) metrics: PeriodicReader<MetricExporter>,
    pub(super) resource: Resource,
}

/// What ends with the process: whatever waits is sent then.
#[derive(Clone)]
pub struct Flush(Arc<BatchSpanProcessor>);

impl Flush {
    /// Sends what waits and stops. It blocks.
    pub fn close(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(TIMEOUT) {
            tracing::debug!(%error, "the last spans were not sent");
        }
    }
}

impl Otlp {
    /// Starts sending to the collector that `telemetry.otlp` names; `None` without one.
    ///
    /// # Errors
    /// When its address or headers cannot be used.
    pub fn start(config: &TelemetryConfig) -> Result<Option<Self>, Error> {
        let Some(collector) = &config.otlp else {
            return Ok(None);
        };
        let at = |path: &str| format!("{}/v1/{path}", collector.trim_end_matches('/'));
        let unusable = |error: opentelemetry_otlp::ExporterBuildError| Error::Collector {
            reason: error.to_string(),
        };
        let headers = headers(config)?;
        let spans = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(at("traces"))
            .with_headers(headers.clone())
            .with_timeout(TIMEOUT)
            .build()
            .map_err(unusable)?;
        let metrics = MetricExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(at("metrics"))
            .with_headers(headers)
            .with_timeout(TIMEOUT)
            .build()
            .map_err(unusable)?;
        let own = config.attributes.iter();
        let resource = Resource::builder()
            .with_service_name("careloop")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attributes(own.map(|(key, value)| KeyValue::new(key.clone(), value.clone())))
            .build();
        let mut spans = BatchSpanProcessor::builder(spans).build();
        spans.set_resource(&resource);
        Ok(Some(Self {
            spans: Arc::new(spans),
            share: config.share,
            metrics: PeriodicReader::builder(metrics)
                .with_interval(config.interval)
                .build(),
            resource,
        }))
    }

    /// What stations tell their spans to.
    pub fn tracer(&self) -> Tracer {
        let (spans, scope) = (
            Arc::clone(&self.spans),
            InstrumentationScope::builder("careloop").build(),
        );
        Tracer::new(self.share, move |span| {
            spans.on_end(data(&span, scope.clone()));
        })
    }

    /// What is to be closed at the end.
    pub fn flush(&self) -> Flush {
        Flush(Arc::clone(&self.spans))
    }
}

/// `name=value` pairs with commas between, as collectors document them.
fn headers(config: &TelemetryConfig) -> Result<HashMap<String, String>, Error> {
    let text = config.headers.as_ref().map_or("", |headers| headers.open());
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or(Error::Headers)?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}

fn data(span: &Span, scope: InstrumentationScope) -> SpanData {
    let mut attributes = vec![
        KeyValue::new("careloop.subject", span.subject.to_string()),
        KeyValue::new("careloop.outcome", span.outcome),
    ];
    for (name, value) in &span.names {
        attributes.push(KeyValue::new(*name, value.clone()));
    }
    let context = SpanContext::new(
        TraceId::from_bytes(span.trace.into_bytes()),
        SpanId::from_bytes(span.id()),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    SpanData {
        span_context: context,
        parent_span_id: span.parent().map_or(SpanId::INVALID, SpanId::from_bytes),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: span.step.name().into(),
        start_time: SystemTime::from(span.from),
        // Clocks of ids have milliseconds only.
        end_time: SystemTime::from(span.to.max(span.from)),
        attributes,
        dropped_attributes_count: 0,
        events: opentelemetry_sdk::trace::SpanEvents::default(),
        links: opentelemetry_sdk::trace::SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: scope,
    }
}
