//! A feed: the tenant and source that bytes belong to, with what was counted about it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use tokio::sync::Notify;

use crate::clock;
use crate::intake::replies::Replies;
use crate::store::TenantId;
use crate::trace::Tracer;

/// Whose messages arrive through a connection.
pub struct Feed {
    /// The tenant.
    pub tenant: TenantId,
    /// The tenant's configured name, for logs and metrics.
    pub tenant_name: String,
    /// The source's configured name.
    pub source: String,
    /// The zone of times without an offset.
    pub zone: TimeZone,
    /// Whether its messages are numbered (MSH-13).
    pub sequence_numbers: bool,
    /// Whether application acknowledgements follow as messages of their own.
    pub application_acks: bool,
    /// Its open connections, where these carry them.
    pub replies: Replies,
    /// What was counted since the start.
    pub counters: Counters,
    /// Told of the way of each message.
    pub tracer: Tracer,
    /// Told how long each frame took from its last byte to its durable answer.
    pub answered: Option<Arc<dyn Fn(Duration) + Send + Sync>>,
    /// Told of each stored message, so that processing need not wait for its next look.
    pub arrived: Arc<Notify>,
}

impl Feed {
    /// A feed with nothing counted yet.
    pub fn new(tenant: TenantId, tenant_name: String, source: String, zone: TimeZone) -> Self {
        Self {
            tenant,
            tenant_name,
            source,
            zone,
            sequence_numbers: false,
            application_acks: false,
            replies: Replies::default(),
            counters: Counters::default(),
            tracer: Tracer::default(),
            answered: None,
            arrived: Arc::default(),
        }
    }

    /// The day it is where the feed comes from.
    pub fn today(&self) -> Date {
        clock::now().to_zoned(self.zone.clone()).date()
    }
}

/// What was counted about a feed since the process started; telemetry reads it.
#[derive(Debug, Default)]
pub struct Counters {
    /// Messages stored for the first time.
    pub received: Counter,
    /// Messages that were stored before, and are acknowledged again.
    pub repeated: Counter,
    /// Messages stored as held, because nothing in them could be read.
    pub held: Counter,
    /// New messages with a control id that an earlier one of the source had.
    pub control_ids_reused: Counter,
    /// Frames and connections refused, by reason.
    pub refused: ByName,
    /// Application acknowledgements by what became of each attempt to send one.
    pub replied: ByName,
    /// Acknowledgements that came as messages, by MSA-1.
    pub acknowledgements: ByName,
    /// Messages answered `AE` or `CE`, because they could not be stored.
    pub not_stored: Counter,
    /// Bytes between frames that belong to none.
    pub junk_bytes: Counter,
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections that have ended since.
    pub ended: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// Numbers that only grow, by a word of the code.
#[derive(Debug, Default)]
pub struct ByName(Mutex<BTreeMap<&'static str, u64>>);

impl ByName {
    /// Counts one more of `name`.
    pub fn add(&self, name: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(name).or_default();
        *count = count.saturating_add(1);
    }

    /// What was counted.
    pub fn get(&self) -> BTreeMap<&'static str, u64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.clone()
    }
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages stored for the first time.
    pub received: u64,
    /// Messages that were stored before.
    pub repeated: u64,
    /// Messages stored as held by the door.
    pub held: u64,
    /// New messages with a control id used before.
    pub control_ids_reused: u64,
    /// Messages answered `AE` or `CE`.
    pub not_stored: u64,
    /// Bytes between frames.
    pub junk_bytes: u64,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Connections open now.
    pub open: u64,
}

impl Counter {
    /// Counts `more`.
    pub fn add(&self, more: usize) {
        self.0
            .fetch_add(u64::try_from(more).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What was counted.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// The counters now.
    pub fn read(&self) -> Counts {
        // Ended first: a connection that ends in between must not make the difference negative.
        let ended = self.ended.get();
        let accepted = self.accepted.get();
        Counts {
            received: self.received.get(),
            repeated: self.repeated.get(),
            held: self.held.get(),
            control_ids_reused: self.control_ids_reused.get(),
            not_stored: self.not_stored.get(),
            junk_bytes: self.junk_bytes.get(),
            accepted,
            open: accepted.saturating_sub(ended),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_by_name_keeps_its_name() {
        let counters = Counters::default();
        counters.refused.add("junk");
        counters.refused.add("frame-too-large");
        counters.refused.add("junk");
        let told: Vec<_> = counters.refused.get().into_iter().collect();
        assert_eq!(told, [("frame-too-large", 1), ("junk", 2)]);
    }

    #[test]
    fn open_connections_are_those_accepted_and_not_ended() {
        let counters = Counters::default();
        counters.accepted.add(3);
        counters.ended.add(1);
        assert_eq!(counters.read().open, 2);
    }
}
