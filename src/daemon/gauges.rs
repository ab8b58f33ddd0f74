//! Gauges: levels read from the store in the background, so that a scrape never waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::intake::{self, Readiness};
use crate::site::Site;
use crate::store::Store;
use crate::telemetry::{Levels, Metrics};

/// How often the levels are read.
const GAUGES: Duration = Duration::from_secs(2);

/// What the gauges show, refreshed in the background so that a scrape never waits for the store.
#[derive(Clone, Default)]
pub(super) struct Gauges(Arc<[AtomicI64; 3]>);

/// Shows the gauges in the metrics.
pub(super) fn observe(metrics: &Metrics, gauges: &Gauges, readiness: &Readiness) {
    let (gauges, readiness) = (gauges.clone(), readiness.clone());
    let level = move |index: usize| {
        let value = gauges
            .0
            .get(index)
            .map_or(0, |gauge| gauge.load(Ordering::Relaxed));
        u64::try_from(value).unwrap_or(0)
    };
    metrics.observe(move || Levels {
        inbox_waiting: level(0),
        outbox_waiting: level(1),
        open_connections: level(2),
        ready: readiness.is_ready(),
    });
}

/// Reads the levels and turns the feeds' counters into metrics.
pub(super) struct Refresh {
    pub(super) store: Store,
    pub(super) sites: Vec<Arc<Site>>,
    pub(super) gauges: Gauges,
    pub(super) feeds: Vec<Arc<intake::Feed>>,
}

impl Refresh {
    /// Reads until told to stop.
    pub(super) async fn run(self, metrics: Metrics, stop: CancellationToken) {
        let mut told: Vec<Told> = self.feeds.iter().map(|_| Told::default()).collect();
        loop {
            self.read_store(&metrics).await;
            self.read_feeds(&metrics, &mut told);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(GAUGES) => {}
            }
        }
    }

    async fn read_store(&self, metrics: &Metrics) {
        let (mut inbox, mut outbox) = (0, 0);
        for site in &self.sites {
            match (
                self.store.backlog(site.tenant).await,
                self.store.outbox_depth(site.tenant).await,
            ) {
                (Ok((waiting, _)), Ok(depth)) => {
                    inbox += waiting;
                    outbox += depth;
                }
                _ => metrics.store_error(),
            }
        }
        let open: u64 = self
            .feeds
            .iter()
            .map(|feed| feed.counters.read().open)
            .sum();
        let values = [inbox, outbox, i64::try_from(open).unwrap_or(i64::MAX)];
        for (gauge, value) in self.gauges.0.iter().zip(values) {
            gauge.store(value, Ordering::Relaxed);
        }
    }

    /// Turns the feeds' counters into metrics.
    fn read_feeds(&self, metrics: &Metrics, told: &mut [Told]) {
        for (feed, told) in self.feeds.iter().zip(told) {
            let (now, source) = (feed.counters.read(), feed.source.as_str());
            let grown = |now: u64, before: u64| now.saturating_sub(before);
            metrics.received(source, grown(now.received, told.counts.received));
            metrics.repeated(source, grown(now.repeated, told.counts.repeated));
            metrics.processed("held", grown(now.held, told.counts.held));
            for (reason, count) in feed.counters.refused.get() {
                let before = told.refused.insert(reason, count).unwrap_or(0);
                metrics.refused(source, reason, grown(count, before));
            }
            for (code, count) in feed.counters.acknowledgements.get() {
                let before = told.acknowledgements.insert(code, count).unwrap_or(0);
                metrics.acknowledgement(source, code, grown(count, before));
            }
            for (outcome, count) in feed.counters.replied.get() {
                let before = told.replied.insert(outcome, count).unwrap_or(0);
                metrics.replied(source, outcome, grown(count, before));
            }
            told.counts = now;
        }
    }
}

/// What the metrics were told of a feed before.
#[derive(Default)]
struct Told {
    counts: intake::Counts,
    refused: BTreeMap<&'static str, u64>,
    acknowledgements: BTreeMap<&'static str, u64>,
    replied: BTreeMap<&'static str, u64>,
}
