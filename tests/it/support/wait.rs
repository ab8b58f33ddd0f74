//! Waits for a condition with a deadline, never for a length of time.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long a condition may take before the test fails.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until `condition` gives a value; `what` is named when it does not.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(started.elapsed() < DEADLINE, "gave up waiting until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
