//! `[telemetry]`: the OpenTelemetry collector.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Secret;
use super::file;
use super::load::{Check, Place};
use super::words;

/// The OpenTelemetry collector.
#[derive(Clone)]
pub struct TelemetryConfig {
    /// Its address, without a path; without one nothing is sent.
    pub otlp: Option<String>,
    /// `name=value` pairs with commas between.
    pub headers: Option<Secret>,
    /// Which share of all traces is sent, from 0 to 1.
    pub share: f64,
    /// How often metrics are sent.
    pub interval: Duration,
    /// What the collector is told of this hub.
    pub attributes: BTreeMap<String, String>,
}

/// Reads the section.
pub(super) fn telemetry(check: &mut Check<'_>, written: &file::Telemetry) -> TelemetryConfig {
    if let Some(otlp) = &written.otlp
        && !super::alerts::is_https(otlp.get_ref())
    {
        check.report(
            &Place::of("telemetry.otlp", otlp),
            "expected an https address (http on loopback only), found another",
            "write https://HOST:4318, or send to a collector on this machine",
        );
    }
    let headers = written.headers.as_ref().and_then(|headers| {
        if words::key_source(headers.get_ref()).is_none() {
            check.report(
                &Place::of("telemetry.headers", headers),
                "expected where the headers are found, found another text",
                "write \"file:PATH\" or \"env:NAME\"; headers hold tokens",
            );
            return None;
        }
        check.address("telemetry.headers", headers).map(Secret::new)
    });
    let share = written.share.as_ref().map_or(1.0, |share| *share.get_ref());
    if let Some(written) = &written.share
        && !(0.0..=1.0).contains(&share)
    {
        check.report(
            &Place::of("telemetry.share", written),
            "expected a number from 0 to 1, found another",
            "1.0 sends every trace, 0.1 each tenth",
        );
    }
    let interval = written.interval.as_ref();
    TelemetryConfig {
        otlp: written.otlp.as_ref().map(|otlp| otlp.get_ref().clone()),
        headers,
        share,
        interval: check.lasting("telemetry.interval", interval, 1_000..=3_600_000),
        attributes: written.attributes.clone(),
    }
}
