//! Writes how the hub stands, finds troubles, and tells them: each once, and its end once.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::alert::{self, Kind, Scene, Webhook};
use crate::clock;
use crate::config::AlertsConfig;
use crate::intake::{self, Readiness, Unready};
use crate::outbox::{Publisher, PublisherState};
use crate::site::Site;
use crate::store::{self, FeedLevel, FeedStanding, QueueStanding, Store, TenantId, TroubleRow};
use crate::telemetry::{Metrics, Standpoint};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(5);

/// The watch over all tenants.
pub(super) struct Watch {
    pub(super) store: Store,
    pub(super) sites: Vec<Arc<Site>>,
    pub(super) feeds: Vec<Arc<intake::Feed>>,
    pub(super) readiness: Readiness,
    pub(super) publisher: Arc<Publisher>,
    pub(super) limits: AlertsConfig,
    pub(super) webhook: Option<Webhook>,
    pub(super) metrics: Metrics,
    pub(super) started_at: Timestamp,
}

/// What is remembered from one look to the next.
#[derive(Default)]
struct Seen {
    /// Messages that each feed had received, with when that last grew.
    received: Vec<(u64, Option<Timestamp>)>,
    /// Troubles that the metrics show as standing.
    shown: HashSet<(String, String)>,
    /// Sources that the metrics show, each with its tenant.
    sources: HashSet<(String, String)>,
    /// Teams that the metrics show, each with its tenant.
    teams: HashSet<(String, String)>,
    /// Tenants whose stop was lifted at the last look.
    lifted: HashSet<TenantId>,
    /// Troubles, and ends of troubles, that the log has and the webhook has not.
    logged: HashSet<(Uuid, bool)>,
}

impl Watch {
    /// Looks until told to stop.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut seen = Seen::default();
        seen.received.resize(self.feeds.len(), (0, None));
        loop {
            self.note_received(&mut seen);
            for site in &self.sites {
                if let Err(error) = self.look(site, &mut seen).await {
                    self.metrics.store_error();
                    tracing::warn!(%error, tenant = %site.config.name, "how the hub stands cannot be written");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    fn note_received(&self, seen: &mut Seen) {
        let now = clock::now();
        for (feed, (before, last)) in self.feeds.iter().zip(&mut seen.received) {
            let received = feed.counters.read().received;
            if received > *before {
                (*before, *last) = (received, Some(now));
            }
        }
    }

    async fn look(&self, site: &Site, seen: &mut Seen) -> Result<(), store::Error> {
        let (store, tenant, now) = (&self.store, site.tenant, clock::now());
        let is_stopped = store.outreach_stop(tenant).await?.is_some();
        let was_stopped = site.is_stopped.swap(is_stopped, Ordering::Relaxed);
        if seen.lifted.remove(&tenant) || (was_stopped && !is_stopped) {
            // Whatever was still planned under the stop is asked anew: now, and after what was
            // under way at this moment has been committed.
            store.look_at_observed(tenant, now).await?;
            if was_stopped {
                seen.lifted.insert(tenant);
            }
        }
        let queues: Vec<_> = self.publisher.levels();
        let own = format!("{}.", site.config.name);
        let queues: Vec<_> = queues
            .into_iter()
            .filter(|queue| queue.queue.starts_with(&own))
            .collect();
        store
            .write_levels(tenant, (&self.levels(site, seen), &queues), now)
            .await?;
        let feeds = store.feed_standings(tenant, now).await?;
        let queues = store.queue_standings(tenant).await?;
        let scene = Scene {
            tenant: &site.config,
            feeds: &feeds,
            queues: &queues,
            broker_down_since: self.down_since(),
            is_stopped,
            started_at: self.started_at,
            now,
        };
        let troubles = alert::troubles(&scene, &self.limits);
        self.show(&scene, &troubles, seen);
        let named: Vec<(&'static str, String)> = troubles
            .into_iter()
            .map(|(kind, subject)| (kind.name(), subject))
            .collect();
        store.note_troubles(tenant, &named, now).await?;
        self.tell(site, seen, now).await
    }

    fn levels(&self, site: &Site, seen: &Seen) -> Vec<FeedLevel> {
        let today = clock::now().to_zoned(site.config.zone.clone()).date();
        let unready = self.readiness.reasons();
        self.feeds
            .iter()
            .zip(&seen.received)
            .filter(|(feed, _)| feed.tenant == site.tenant)
            .map(|(feed, (_, last))| {
                let is_shut = unready.iter().any(|reason| {
                    matches!(reason, Unready::NotListening { tenant, source }
                        if *tenant == feed.tenant_name && *source == feed.source)
                });
                FeedLevel {
                    source: feed.source.clone(),
                    listening: !is_shut && site.config.is_covered(&feed.source, today),
                    connections: feed.counters.read().open,
                    last_received_at: *last,
                }
            })
            .collect()
    }

    fn down_since(&self) -> Option<Timestamp> {
        match self.publisher.state() {
            PublisherState::Up => None,
            PublisherState::Down { since, .. } | PublisherState::Blocked { since, .. } => {
                Some(since)
            }
        }
    }

    /// Tells what nobody was told yet: the log once, and the webhook until it takes it.
    async fn tell(&self, site: &Site, seen: &mut Seen, now: Timestamp) -> Result<(), store::Error> {
        for trouble in self.store.untold_troubles(site.tenant).await? {
            let part = (trouble.id, trouble.resolved_at.is_some());
            if seen.logged.insert(part) {
                log(&site.config.name, &trouble);
            }
            if let Some(webhook) = &self.webhook
                && let Err(error) = webhook.tell(&site.config.name, &trouble).await
            {
                tracing::warn!(%error, "an alert was not taken; it is told again");
                return Ok(());
            }
            self.store.trouble_told(site.tenant, &trouble, now).await?;
            seen.logged.remove(&part);
        }
        Ok(())
    }

    fn show(&self, scene: &Scene<'_>, troubles: &[(Kind, String)], seen: &mut Seen) {
        let tenant = scene.tenant.name.as_str();
        for feed in scene.feeds {
            self.show_feed(tenant, feed, scene.now);
        }
        let sources = scene.feeds.iter().map(|feed| feed.source.clone());
        for source in gone(&mut seen.sources, tenant, sources) {
            let feed = FeedStanding {
                source,
                ..FeedStanding::default()
            };
            self.show_feed(tenant, &feed, scene.now);
        }
        for queue in scene.queues {
            self.show_queue(tenant, queue, scene.now);
        }
        let teams = scene.queues.iter().map(|queue| queue.team.clone());
        for team in gone(&mut seen.teams, tenant, teams) {
            let queue = QueueStanding {
                team,
                ..QueueStanding::default()
            };
            self.show_queue(tenant, &queue, scene.now);
        }
        let today = scene.now.to_zoned(scene.tenant.zone.clone()).date();
        for agreement in &scene.tenant.agreements {
            let left = f64::from(agreement.days_left(today));
            let named = (tenant, agreement.party.as_str());
            self.metrics.stands(Standpoint::AgreementDays, named, left);
        }
        let standing: Vec<String> = troubles
            .iter()
            .map(|(kind, subject)| named(*kind, subject))
            .collect();
        for trouble in &standing {
            self.metrics
                .stands(Standpoint::Trouble, (tenant, trouble), 1.0);
        }
        for trouble in gone(&mut seen.shown, tenant, standing.into_iter()) {
            self.metrics
                .stands(Standpoint::Trouble, (tenant, &trouble), 0.0);
        }
    }

    fn show_feed(&self, tenant: &str, feed: &FeedStanding, now: Timestamp) {
        let named = (tenant, feed.source.as_str());
        let show = |point, value| self.metrics.stands(point, named, value);
        if let Some(last) = feed.last_received_at {
            show(Standpoint::LastReceived, seconds(last.as_millisecond()));
        }
        show(Standpoint::Listening, f64::from(u8::from(feed.listening)));
        show(Standpoint::OldestWaiting, age(feed.oldest_waiting_at, now));
        let held: i64 = feed.held.iter().map(|held| held.count).sum();
        show(Standpoint::Held, number(held));
    }

    fn show_queue(&self, tenant: &str, queue: &QueueStanding, now: Timestamp) {
        let named = (tenant, queue.team.as_str());
        let show = |point, value| self.metrics.stands(point, named, value);
        show(Standpoint::QueueMessages, number(queue.messages));
        show(Standpoint::QueueConsumers, number(queue.consumers));
        show(
            Standpoint::OldestUnanswered,
            age(queue.oldest_unanswered_at, now),
        );
        show(Standpoint::NotTaken, number(queue.not_taken));
    }
}

/// A trouble, or its end, as a line of the log.
fn log(tenant: &str, trouble: &TroubleRow) {
    let (kind, subject) = (&trouble.kind, &trouble.subject);
    if trouble.resolved_at.is_some() {
        tracing::info!(tenant, trouble = %kind, %subject, "resolved");
    } else {
        let (meaning, first_step) = Kind::explain(kind);
        tracing::warn!(tenant, trouble = %kind, %subject, first_step, "{meaning}");
    }
}

/// Remembers what the metrics show of a tenant, and gives what they showed until now and would go
/// on showing: a gauge keeps its last value until it is given another.
fn gone(
    shown: &mut HashSet<(String, String)>,
    tenant: &str,
    now: impl Iterator<Item = String>,
) -> Vec<String> {
    let now: HashSet<(String, String)> = now.map(|name| (tenant.to_owned(), name)).collect();
    let (of, others): (HashSet<_>, HashSet<_>) =
        shown.drain().partition(|(of, _)| of.as_str() == tenant);
    let gone = of.difference(&now).map(|(_, name)| name.clone()).collect();
    shown.extend(others);
    shown.extend(now);
    gone
}

/// A trouble in a metric's label.
fn named(kind: Kind, subject: &str) -> String {
    if subject.is_empty() {
        kind.name().to_owned()
    } else {
        format!("{}: {subject}", kind.name())
    }
}

fn age(since: Option<Timestamp>, now: Timestamp) -> f64 {
    since.map_or(0.0, |since| {
        now.duration_since(since).as_secs_f64().max(0.0)
    })
}

fn seconds(millis: i64) -> f64 {
    number(millis / 1000)
}

/// Counts and instants are far below 2^32 seconds or thousands of millions of messages.
fn number(count: i64) -> f64 {
    f64::from(u32::try_from(count.max(0)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_longer_seen_is_shown_once_more_and_other_tenants_are_left_alone() {
        let mut shown = HashSet::new();
        let named = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let mut look = |tenant, now: &[&str]| gone(&mut shown, tenant, named(now).into_iter());
        assert!(look("riverside", &["a", "b"]).is_empty());
        assert!(look("harbor", &["b"]).is_empty());
        assert_eq!(look("riverside", &["a"]), ["b"]);
        assert!(look("riverside", &["a"]).is_empty());
        assert_eq!(look("harbor", &[]), ["b"]);
    }
}
