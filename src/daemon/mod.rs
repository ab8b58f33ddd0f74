//! Starts the stations, and stops them in the order in which data flows.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::alert::Webhook;
use crate::care::Rules;
use crate::clock;
use crate::config::{self, Config};
use crate::consent::Policy;
use crate::intake::mllp::{Bound, Station};
use crate::intake::{self, Door, Readiness};
use crate::mapping::{Bundle, Layer};
use crate::site::{Feed, Site};
use crate::store::{RootKeys, Store};
use crate::telemetry::{Flush, Metrics, Otlp};
use crate::trace::Tracer;

mod gauges;
mod stations;
mod watch;

use gauges::{Gauges, Refresh};
use stations::{Around, Doors, publisher, serve_http, start_outbox, start_pipeline};
use watch::Watch;

/// More than any contact policy needs.
const POLICY_BYTES: u64 = 1024 * 1024;

/// How long what has nothing left to do may take to end.
const BRIEFLY: Duration = Duration::from_secs(2);

/// A running hub.
pub struct Daemon {
    /// Where each source listens.
    pub bound: Vec<Bound>,
    /// Where health and metrics are served.
    pub http: Option<SocketAddr>,
    /// The store.
    pub store: Store,
    config: Config,
    station: Station,
    door: Door,
    pipeline: Floor,
    outbox: Floor,
    broker: Floor,
    doors: Floor,
    sites: Vec<Arc<Site>>,
    telemetry: (Metrics, Option<Flush>),
}

/// Tasks that stop together.
#[derive(Clone)]
struct Floor {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Floor {
    fn new() -> Self {
        Self {
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    async fn stop(&self, name: &str, grace: Duration) {
        self.stop.cancel();
        self.tracker.close();
        if timeout(grace, self.tracker.wait()).await.is_err() {
            tracing::warn!(
                station = name,
                left = self.tracker.len(),
                "grace is over; what is left is done after the next start"
            );
        }
    }
}

/// The root key that the configuration names.
///
/// # Errors
/// When it cannot be read or is not a key, with what to do.
pub fn root_key(config: &Config) -> anyhow::Result<RootKeys> {
    RootKeys::read(&config.root_key)
        .context("the root key cannot be read; make one with `careloop keys init`")
}

/// One tenant with everything compiled, or every problem.
///
/// # Errors
/// With every diagnostic of mappings, rules and policy.
pub async fn site(store: &Store, tenant: &config::Tenant) -> anyhow::Result<Site> {
    let number = store.tenant(&tenant.name).await?;
    let rules = Rules::embedded().map_err(listed)?;
    for rule in tenant.named_rules() {
        if rules.get(rule).is_none() {
            bail!(
                "tenant {}: rules, rests: expected the id of a rule, found {rule}; see `careloop check`",
                tenant.name
            );
        }
    }
    let policy = policy(tenant)?;
    let mut feeds = HashMap::new();
    for source in &tenant.sources {
        let bundle = Bundle::embedded(&layers(&source.layers)).map_err(listed)?;
        feeds.insert(source.name.clone(), Feed::new(source, Arc::new(bundle)));
    }
    Ok(Site {
        tenant: number,
        config: tenant.clone(),
        rules: Arc::new(rules),
        policy,
        feeds,
        is_stopped: AtomicBool::new(store.outreach_stop(number).await?.is_some()),
    })
}

/// The contact policy of a tenant: its own file, or the one that ships.
///
/// # Errors
/// With every problem of the file.
pub fn policy(tenant: &config::Tenant) -> anyhow::Result<Policy> {
    let policy = match &tenant.contact_policy {
        None => Policy::embedded(),
        Some(path) => {
            let text = config::read(path, POLICY_BYTES)
                .map_err(|problem| anyhow::anyhow!("{problem}"))
                .with_context(|| format!("tenant {}: contact_policy", tenant.name))?;
            Policy::compile(&path.display().to_string(), &String::from_utf8_lossy(&text))
        }
    };
    Ok(policy
        .map_err(listed)?
        .with_implied_treatment_contact(tenant.implied_treatment_contact))
}

/// The mapping layers of a source, as its configuration lists them.
pub fn layers(names: &[String]) -> Vec<Layer> {
    names
        .iter()
        .map(|name| match name.split_once(':') {
            Some(("file", path)) => Layer::File(path.into()),
            Some((_, name)) => Layer::Named(name.to_owned()),
            None => Layer::Named(name.clone()),
        })
        .collect()
}

/// Metrics, and who is told of spans; with a collector, what is to be flushed at the end.
fn telemetry(config: &Config) -> anyhow::Result<(Metrics, Tracer, Option<Flush>)> {
    let otlp = Otlp::start(&config.telemetry)?;
    let tracer = otlp.as_ref().map(Otlp::tracer).unwrap_or_default();
    let flush = otlp.as_ref().map(Otlp::flush);
    Ok((Metrics::sent_to(otlp)?, tracer, flush))
}

fn listed<D: std::fmt::Display>(diagnostics: Vec<D>) -> anyhow::Error {
    let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    anyhow::anyhow!(lines.join("\n"))
}

impl Daemon {
    /// Opens the store, compiles every tenant, and starts outbox, pipeline and intake, in that
    /// order: what comes in finds everything ready.
    ///
    /// # Errors
    /// When anything of it is not possible, with what to do; nothing is left running then.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let store = Store::open(&config.store, root_key(&config)?).await?;
        if let Some(note) = store.check_root().await? {
            tracing::warn!("{note}");
        }
        let mut sites = Vec::new();
        for tenant in &config.tenants {
            let number = store.ensure_tenant(&tenant.name, clock::now()).await?;
            store.release_all_claims(number).await?;
            if store.note_place(number, clock::now()).await? {
                tracing::warn!(tenant = %tenant.name, "this database was restored or moved: outreach is stopped; look at it, then `careloop outreach resume`");
            }
            store.look_at_observed(number, clock::now()).await?;
            sites.push(Arc::new(site(&store, tenant).await?));
        }
        let floors = [Floor::new(), Floor::new(), Floor::new(), Floor::new()];
        let started = Self::start_stations(config, store, sites, &floors).await;
        if started.is_err() {
            for floor in &floors {
                floor.stop.cancel();
            }
        }
        started
    }

    async fn start_stations(
        config: Config,
        store: Store,
        sites: Vec<Arc<Site>>,
        [pipeline, outbox, broker, doors]: &[Floor; 4],
    ) -> anyhow::Result<Self> {
        let (metrics, tracer, flush) = telemetry(&config)?;
        let publisher = Arc::new(publisher(&config, broker).await?);
        let readiness = Readiness::default();
        let door = Door::new(store.clone(), readiness.clone());
        let around = Around {
            config: &config,
            store: &store,
            metrics: &metrics,
            tracer: &tracer,
        };
        let mut from = Doors::default();
        for site in &sites {
            let queued = Arc::new(Notify::new());
            start_outbox(around, site, (&publisher, &queued), outbox);
            start_pipeline(around, site, (&queued, &mut from), pipeline)?;
        }
        let Doors {
            feeds,
            endpoints,
            notifiers,
        } = from;
        let station = Station::start(&door, endpoints, &config.mllp).map_err(listed)?;
        start_gauges(around, &sites, (&feeds, &readiness), doors);
        let watch = Watch {
            store: store.clone(),
            sites: sites.clone(),
            feeds,
            readiness: readiness.clone(),
            publisher: Arc::clone(&publisher),
            limits: config.alerts.clone(),
            webhook: Webhook::of(&config.alerts)?,
            metrics: metrics.clone(),
            started_at: clock::now(),
        };
        doors.tracker.spawn(watch.run(doors.stop.clone()));
        let http = serve_http(around, (&door, publisher), (&sites, notifiers), doors).await?;
        Ok(Self {
            bound: station.bound().to_vec(),
            http,
            station,
            door,
            pipeline: pipeline.clone(),
            outbox: outbox.clone(),
            broker: broker.clone(),
            doors: doors.clone(),
            store,
            config,
            sites,
            telemetry: (metrics, flush),
        })
    }

    /// Stops intake, then the pipeline, then the outbox, each within its grace, and says what is
    /// left for the next start.
    pub async fn stop(self) {
        let grace = &self.config.grace;
        let cut = self.station.stop(grace.intake).await;
        if cut > 0 {
            tracing::warn!(connections = cut, "grace is over; their senders send again");
        }
        if timeout(grace.intake, self.door.close()).await.is_err() {
            tracing::warn!("grace is over; what was not stored was not acknowledged");
        }
        self.pipeline.stop("pipeline", grace.pipeline).await;
        self.outbox.stop("outbox", grace.outbox).await;
        self.broker.stop("broker", BRIEFLY).await;
        for site in &self.sites {
            let waiting = self
                .store
                .backlog(site.tenant)
                .await
                .map(|(waiting, _)| waiting);
            let outbox = self.store.outbox_counts(site.tenant).await;
            if let (Ok(waiting), Ok(outbox)) = (waiting, outbox) {
                tracing::info!(
                    tenant = %site.config.name,
                    messages = waiting,
                    envelopes = outbox.waiting + outbox.publishing,
                    "stopped; this is left for the next start"
                );
            }
        }
        self.doors.stop("doors", BRIEFLY).await;
        let (metrics, flush) = self.telemetry;
        let closing = tokio::task::spawn_blocking(move || {
            if let Some(flush) = flush {
                flush.close();
                metrics.close();
            }
        });
        if timeout(BRIEFLY, closing).await.is_err() {
            tracing::debug!("the last spans were not sent: the collector takes too long");
        }
        if timeout(BRIEFLY, self.store.close()).await.is_err() {
            tracing::debug!("the store's connections end with the process");
        }
    }
}

/// Shows levels in the metrics, refreshed in the background.
fn start_gauges(
    around: Around<'_>,
    sites: &[Arc<Site>],
    (feeds, readiness): (&[Arc<intake::Feed>], &Readiness),
    floor: &Floor,
) {
    let gauges = Gauges::default();
    gauges::observe(around.metrics, &gauges, readiness);
    let refresh = Refresh {
        store: around.store.clone(),
        sites: sites.to_vec(),
        gauges,
        feeds: feeds.to_vec(),
    };
    let running = refresh.run(around.metrics.clone(), floor.stop.clone());
    floor.tracker.spawn(running);
}
