//! Lets a station outlive a fault of its own: a panic in one step ends that step, not the station.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

/// A step ended in a panic; the log names the place.
#[derive(Debug, thiserror::Error)]
#[error("a fault of careloop's own ended a step; what it worked on is tried again, report this")]
pub struct Panicked;

/// Runs one step; a panic in it becomes an error. What the step had not committed did not happen.
///
/// # Errors
/// The step's own, or [`Panicked`].
pub async fn guarded<T, E: From<Panicked>>(
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    AssertUnwindSafe(step)
        .catch_unwind()
        .await
        .unwrap_or_else(|_panic| Err(Panicked.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_error_of_the_step() {
        let fails = async { Option::<u8>::None.map(Ok::<u8, Panicked>).unwrap() };
        assert!(guarded(fails).await.is_err());
        assert_eq!(guarded(async { Ok::<u8, Panicked>(7) }).await.unwrap(), 7);
    }
}
