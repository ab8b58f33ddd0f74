//! The run's clock: the wall clock of the hub and of everybody who speaks with it, running fast.

use std::time::Duration;

use careloop::clock;
use jiff::{SignedDuration, Timestamp};

/// One instant of the machine, one of the week, and how many times faster the week goes.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// When the week begins.
    pub(crate) base: Timestamp,
    origin: Timestamp,
    rate: i64,
}

impl Pace {
    /// A week that begins now.
    pub(crate) fn new(base: Timestamp, rate: i64) -> Self {
        Self {
            base,
            origin: clock::now(),
            rate,
        }
    }

    /// How many times faster than the machine.
    pub(crate) const fn rate(&self) -> i64 {
        self.rate
    }

    /// The instant of the week.
    pub(crate) fn now(&self) -> Timestamp {
        let real = clock::now().duration_since(self.origin).as_micros();
        let fake = real.saturating_mul(i128::from(self.rate));
        let fake = i64::try_from(fake).unwrap_or(i64::MAX);
        self.base + SignedDuration::from_micros(fake)
    }

    /// How long something of the week takes on the machine.
    pub(crate) fn real(&self, span: SignedDuration) -> Duration {
        let micros = span.as_micros().max(0) / i128::from(self.rate);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// What `seconds` of the machine are in the week.
    pub(crate) const fn of_real(&self, seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds * self.rate)
    }

    /// Waits until an instant of the week has come.
    pub(crate) async fn until(&self, at: Timestamp) {
        tokio::time::sleep(self.real(at.duration_since(self.now()))).await;
    }

    /// What the preloaded clock (`clock.c`) reads.
    pub(crate) fn environment(&self, library: &str) -> [(&'static str, String); 4] {
        [
            ("LD_PRELOAD", library.to_owned()),
            ("CARELOOP_WEEK_BASE", self.base.as_nanosecond().to_string()),
            (
                "CARELOOP_WEEK_ORIGIN",
                self.origin.as_nanosecond().to_string(),
            ),
            ("CARELOOP_WEEK_RATE", self.rate.to_string()),
        ]
    }
}

/// An instant as HL7 v2 writes it.
pub(crate) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y%m%d%H%M%S+0000").to_string()
}

/// A small generator of numbers that a seed repeats (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    /// Numbers of a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    /// True in `percent` of a hundred cases.
    pub(crate) fn is(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A span of minutes in a range.
    pub(crate) fn minutes(&mut self, from: u64, to: u64) -> SignedDuration {
        let minutes = from + self.below(to - from);
        SignedDuration::from_mins(i64::try_from(minutes).unwrap_or(0))
    }
}
