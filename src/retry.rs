//! How long to wait before trying again: exponential, with jitter, behind one small type.
//!
//! The `backoff` crate is used nowhere else. It is no longer maintained (see deny.toml); replacing
//! it is a change of this file alone.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::ExponentialBackoffBuilder;
use backoff::backoff::Backoff as _;

/// How a series of waits grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The first wait, before jitter.
    pub first: Duration,
    /// The longest wait, before jitter.
    pub longest: Duration,
}

impl Policy {
    /// For connections to a neighbour that may be restarting: quick at first, then every ten
    /// seconds, so that a broker that comes back is used within half a minute.
    pub const CONNECTION: Self = Self {
        first: Duration::from_millis(200),
        longest: Duration::from_secs(10),
    };
}

/// A series of growing waits.
#[derive(Debug)]
pub struct Backoff {
    waits: ExponentialBackoff,
    longest: Duration,
}

impl Backoff {
    /// Starts a series.
    pub fn new(policy: Policy) -> Self {
        let waits = ExponentialBackoffBuilder::new()
            .with_initial_interval(policy.first)
            .with_max_interval(policy.longest)
            .with_multiplier(2.0)
            // Half below to half above: hubs that lost the same broker do not return in step.
            .with_randomization_factor(0.5)
            // A broker that is away for a week is tried again for a week.
            .with_max_elapsed_time(None)
            .build();
        Self {
            waits,
            longest: policy.longest,
        }
    }

    /// The next wait of the series.
    pub fn next_wait(&mut self) -> Duration {
        self.waits.next_backoff().unwrap_or(self.longest)
    }

    /// Begins the series again, after a success.
    pub fn reset(&mut self) {
        self.waits.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_never_end() {
        let policy = Policy {
            first: Duration::from_millis(100),
            longest: Duration::from_millis(400),
        };
        let mut backoff = Backoff::new(policy);
        let first = backoff.next_wait();
        assert!(first >= Duration::from_millis(50) && first <= Duration::from_millis(151));
        for _ in 0..1000 {
            assert!(backoff.next_wait() <= Duration::from_millis(601));
        }
    }

    #[test]
    fn a_success_begins_the_series_again() {
        let mut backoff = Backoff::new(Policy::CONNECTION);
        for _ in 0..20 {
            backoff.next_wait();
        }
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_millis(301));
    }
}
