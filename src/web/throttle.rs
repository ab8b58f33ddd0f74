//! How often a token may ask, and how often an address may ask in vain: a bucket each, filled at a
//! steady rate.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// Buckets kept before full ones, which say nothing, are thrown away.
const KEPT: usize = 10_000;

/// Buckets by key.
#[derive(Clone)]
pub(super) struct Throttle<K> {
    a_minute: f64,
    buckets: Arc<Mutex<HashMap<K, Bucket>>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl<K: Eq + Hash> Throttle<K> {
    /// So many a minute for each key, and as many at once after a minute of silence.
    pub(super) fn new(a_minute: u32) -> Self {
        Self {
            a_minute: f64::from(a_minute),
            buckets: Arc::default(),
        }
    }

    /// Takes one from the key's bucket, or gives the seconds until there is one again.
    pub(super) fn take(&self, key: K, now: Instant) -> Result<(), u32> {
        self.change(key, 1.0, now)
    }

    /// Whether there is one in the key's bucket, or the seconds until then.
    pub(super) fn look(&self, key: K, now: Instant) -> Result<(), u32> {
        self.change(key, 0.0, now)
    }

    fn change(&self, key: K, by: f64, now: Instant) -> Result<(), u32> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full = self.a_minute;
        let level = |bucket: &Bucket| {
            let minutes = now.duration_since(bucket.at).as_secs_f64() / 60.0;
            (bucket.left + minutes * full).min(full)
        };
        if buckets.len() > KEPT {
            buckets.retain(|_, bucket| level(bucket) < full);
        }
        let left = buckets.get(&key).map_or(full, level);
        if left < 1.0 {
            return Err(wait((1.0 - left) / full * 60.0));
        }
        if by > 0.0 {
            let left = left - by;
            buckets.insert(key, Bucket { left, at: now });
        }
        Ok(())
    }
}

/// Whole seconds, rounded up; more than a minute is never needed.
fn wait(seconds: f64) -> u32 {
    (1..60_u32)
        .find(|whole| f64::from(*whole) >= seconds)
        .unwrap_or(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let (throttle, now) = (Throttle::new(2), Instant::now());
        assert!(throttle.take("a", now).is_ok() && throttle.take("a", now).is_ok());
        assert_eq!(throttle.take("a", now), Err(30));
        assert_eq!(throttle.look("a", now), Err(30));
        assert!(throttle.take("b", now).is_ok(), "another key has its own");
        let later = now + std::time::Duration::from_secs(30);
        assert!(throttle.look("a", later).is_ok() && throttle.take("a", later).is_ok());
        assert!(throttle.take("a", later).is_err());
    }
}
