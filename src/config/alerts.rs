//! What counts as trouble, and whom to tell.

use std::time::Duration;

use super::Secret;
use super::file;
use super::load::{Check, Place};

/// What counts as trouble, and whom to tell.
#[derive(Clone)]
pub struct AlertsConfig {
    /// The address that is told; may hold a secret.
    pub webhook: Option<Secret>,
    /// A bearer token for it.
    pub token: Option<Secret>,
    /// How long a source may say nothing, where it does not say itself.
    pub silent_after: Duration,
    /// How long a message may wait.
    pub waiting: Duration,
    /// How long nothing may be published.
    pub broker_down: Duration,
    /// How long a task may wait in a queue that nobody reads.
    pub no_consumer: Duration,
    /// How long a published task may be without an answer.
    pub unanswered: Duration,
}

/// A minute to a year, in milliseconds.
const ANY: std::ops::RangeInclusive<u64> = 1_000..=366 * 24 * 3_600_000;

/// `[alerts]`
pub(super) fn alerts(check: &mut Check<'_>, written: &file::Alerts) -> AlertsConfig {
    let mut address = |key: &str, value: &file::Maybe<String>| {
        let value = value.as_ref()?;
        let at = format!("alerts.{key}");
        let text = check.address(&at, value)?;
        if key == "webhook" && !is_https(&text) {
            check.report(
                &Place::of(&at, value),
                "expected an https address (http on loopback only), found another",
                "write https://…, or where it is found: \"file:PATH\", \"env:NAME\"",
            );
            return None;
        }
        Some(Secret::new(text))
    };
    let webhook = address("webhook", &written.webhook);
    let token = address("token", &written.token);
    let mut lasting = |key: &str, value: &file::Maybe<super::words::Lasting>| {
        check.lasting(&format!("alerts.{key}"), value.as_ref(), ANY)
    };
    AlertsConfig {
        webhook,
        token,
        silent_after: lasting("silent_after", &written.silent_after),
        waiting: lasting("waiting", &written.waiting),
        broker_down: lasting("broker_down", &written.broker_down),
        no_consumer: lasting("no_consumer", &written.no_consumer),
        unanswered: lasting("unanswered", &written.unanswered),
    }
}

/// Whether nobody between can read what is sent there.
pub(super) fn is_https(text: &str) -> bool {
    let loopback = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    text.starts_with("https://") || loopback.iter().any(|start| text.starts_with(start))
}
