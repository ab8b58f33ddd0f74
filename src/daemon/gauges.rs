//! Gauges: levels read from the store in the background, so that a scrape never waits for it.

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
pub(super) struct Watch {
    pub(super) store: Store,
    pub(super) sites: Vec<Arc<Site>>,
    pub(super) gauges: Gauges,
    pub(super) feeds: Vec<Arc<intake::Feed>>,
}

impl Watch {
    /// Reads until told to stop.
    pub(super) async fn run(self, metrics: Metrics, stop: CancellationToken) {
        let mut told: Vec<intake::Counts> = vec![intake::Counts::default(); self.feeds.len()];
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
    fn read_feeds(&self, metrics: &Metrics, told: &mut [intake::Counts]) {
        for (feed, told) in self.feeds.iter().zip(told) {
            let now = feed.counters.read();
            for _ in told.received..now.received {
                metrics.received(&feed.source);
            }
            for _ in told.duplicates..now.duplicates {
                metrics.duplicate(&feed.source);
            }
            metrics.processed("held", now.held.saturating_sub(told.held));
            for _ in told.refused..now.refused {
                metrics.refused(&feed.source, "frame");
            }
            *told = now;
        }
    }
}
