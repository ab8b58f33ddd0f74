//! The only place that reads the clock. Everything else takes `now` as an argument.

use jiff::Timestamp;

/// The current instant, cut to microseconds, which is what both databases keep.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
