//! Starts the stations, and stops them in the order in which data flows.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::care::Rules;
use crate::clock;
use crate::config::{self, Config};
use crate::consent::Policy;
use crate::intake::mllp::{Bound, Endpoint, Station};
use crate::intake::{self, Door, Readiness};
use crate::mapping::{Bundle, Layer};
use crate::outbox::rabbit::Rabbit;
use crate::outbox::spool::Spool;
use crate::outbox::{Answers, Publisher, PublisherState, Relay, Topology};
use crate::pipeline::{Pipeline, Sweep, Worker};
use crate::site::{Feed, Site};
use crate::store::Store;
use crate::telemetry::{Levels, Metrics};
use crate::vault::Key;
use crate::web;

/// How often the gauges are read from the store.
const GAUGES: Duration = Duration::from_secs(2);

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
    doors: Floor,
    sites: Vec<Arc<Site>>,
}

/// Tasks that stop together.
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
pub fn root_key(config: &Config) -> anyhow::Result<Key> {
    let text = config::secret(&config.root_key)
        .map_err(|problem| anyhow::anyhow!("{problem}"))
        .context("the root key cannot be read; make one with `careloop keys init`")?;
    Ok(Key::from_root_text(&text)?)
}

/// One tenant with everything compiled, or every problem.
///
/// # Errors
/// With every diagnostic of mappings, rules and policy.
pub async fn site(store: &Store, tenant: &config::Tenant) -> anyhow::Result<Site> {
    let number = store.tenant(&tenant.name).await?;
    let rules = Rules::embedded().map_err(listed)?;
    for rule in tenant.rule_modes.keys() {
        if rules.get(rule).is_none() {
            bail!(
                "tenant {}: rules: expected the id of a rule, found {rule}; see `careloop check`",
                tenant.name
            );
        }
    }
    let policy = Policy::embedded()
        .map_err(listed)?
        .with_implied_treatment_contact(tenant.implied_treatment_contact);
    let mut feeds = HashMap::new();
    for source in &tenant.sources {
        let bundle = Bundle::embedded(&layers(&source.layers)).map_err(listed)?;
        let first = store.first_message_at(number, &source.name).await?;
        feeds.insert(
            source.name.clone(),
            Feed::new(source, Arc::new(bundle), first),
        );
    }
    Ok(Site {
        tenant: number,
        config: tenant.clone(),
        rules: Arc::new(rules),
        policy,
        feeds,
    })
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
        let metrics = Metrics::new()?;
        let mut sites = Vec::new();
        for tenant in &config.tenants {
            let number = store.ensure_tenant(&tenant.name, clock::now()).await?;
            store.release_all_claims(number).await?;
            sites.push(Arc::new(site(&store, tenant).await?));
        }
        let (pipeline, outbox, doors) = (Floor::new(), Floor::new(), Floor::new());
        let publisher = Arc::new(publisher(&config, &outbox).await?);
        let readiness = Readiness::default();
        let door = Door::new(store.clone(), readiness.clone());
        let mut endpoints = Vec::new();
        for site in &sites {
            let queued = Arc::new(Notify::new());
            start_outbox(
                &config,
                &store,
                site,
                (&publisher, &metrics, &queued),
                &outbox,
            );
            endpoints.extend(start_pipeline(&config, &store, site, &queued, &pipeline));
        }
        let counters: Vec<Arc<intake::Feed>> = endpoints
            .iter()
            .map(|endpoint| Arc::clone(&endpoint.feed))
            .collect();
        let station = match Station::start(&door, endpoints, &config.mllp) {
            Ok(station) => station,
            Err(errors) => return Err(listed(errors)),
        };
        let gauges = Gauges::default();
        let watch = Watch {
            store: store.clone(),
            sites: sites.clone(),
            gauges: gauges.clone(),
            feeds: counters,
        };
        observe(&metrics, &gauges, &readiness);
        doors
            .tracker
            .spawn(watch.run(metrics.clone(), doors.stop.clone()));
        let http = serve_http(
            &config,
            (metrics, readiness, Arc::clone(&publisher)),
            &sites,
            &doors,
        )
        .await?;
        let bound = station.bound().to_vec();
        Ok(Self {
            bound,
            http,
            store,
            config,
            station,
            door,
            pipeline,
            outbox,
            doors,
            sites,
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
        self.door.close().await;
        self.pipeline.stop("pipeline", grace.pipeline).await;
        self.outbox.stop("outbox", grace.outbox).await;
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
        self.doors.stop("doors", Duration::from_secs(2)).await;
        self.store.close().await;
    }
}

async fn publisher(config: &Config, floor: &Floor) -> anyhow::Result<Publisher> {
    let Some(broker) = &config.broker else {
        let spool = Spool::open(&config.spool).await;
        let spool = spool.with_context(|| {
            format!(
                "spool.folder: {} cannot be written; give careloop a folder of its own",
                config.spool.display()
            )
        })?;
        return Ok(Publisher::Spool(spool));
    };
    let mut topology = Topology::of(&config.tenants)?;
    for tenant in &config.tenants {
        for location in &tenant.locations {
            if !tenant
                .teams
                .iter()
                .any(|team| team.location == location.name)
            {
                topology =
                    topology.with_team(&tenant.name, &location.name, config::DEFAULT_TEAM)?;
            }
        }
    }
    let rabbit = Rabbit::start(broker, topology, &floor.tracker, floor.stop.clone()).await?;
    Ok(Publisher::Rabbit(rabbit))
}

fn start_outbox(
    config: &Config,
    store: &Store,
    site: &Arc<Site>,
    (publisher, metrics, queued): (&Arc<Publisher>, &Metrics, &Arc<Notify>),
    floor: &Floor,
) {
    let metrics = metrics.clone();
    let relay = Relay::new(
        (store.clone(), Arc::clone(site)),
        Arc::clone(publisher),
        config.pace.clone(),
        config.public_url.clone(),
        Box::new(move |outcome| metrics.published(outcome)),
    );
    floor
        .tracker
        .spawn(relay.run(Arc::clone(queued), floor.stop.clone()));
    if let Publisher::Rabbit(rabbit) = publisher.as_ref() {
        let answers = Answers::new(store.clone(), site.tenant);
        let queue = rabbit.task_events(&site.config.name);
        floor.tracker.spawn(answers.run(queue, floor.stop.clone()));
    }
}

fn start_pipeline(
    config: &Config,
    store: &Store,
    site: &Arc<Site>,
    queued: &Arc<Notify>,
    floor: &Floor,
) -> Vec<Endpoint> {
    let pipeline = Pipeline {
        store: store.clone(),
        site: Arc::clone(site),
        queued: Arc::clone(queued),
    };
    let mut endpoints = Vec::new();
    for source in &site.config.sources {
        let feed = intake::Feed::new(
            site.tenant,
            site.config.name.clone(),
            source.name.clone(),
            source.zone.clone(),
        );
        let worker = Worker::new(pipeline.clone(), &source.name, config.pace.clone());
        floor
            .tracker
            .spawn(worker.run(Arc::clone(&feed.arrived), floor.stop.clone()));
        let (tenant, name) = (site.config.clone(), source.name.clone());
        endpoints.push(Endpoint {
            feed: Arc::new(feed),
            source: source.clone(),
            covered: Arc::new(move |today| tenant.is_covered(&name, today)),
        });
    }
    let sweep = Sweep::new(pipeline, config.pace.clone(), config.raw_messages);
    floor.tracker.spawn(sweep.run(floor.stop.clone()));
    endpoints
}

async fn serve_http(
    config: &Config,
    (metrics, readiness, publisher): (Metrics, Readiness, Arc<Publisher>),
    sites: &[Arc<Site>],
    floor: &Floor,
) -> anyhow::Result<Option<SocketAddr>> {
    let Some(address) = config.http.listen else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("http.listen: {address} cannot be opened; choose a free port or \"off\"")
    })?;
    let bound = listener.local_addr()?;
    let sites = sites.to_vec();
    let reasons = move || {
        let mut reasons: Vec<String> = readiness
            .reasons()
            .iter()
            .map(ToString::to_string)
            .collect();
        match publisher.state() {
            PublisherState::Up => {}
            PublisherState::Down { reason, .. } => reasons.push(format!("tasks wait: {reason}")),
            PublisherState::Blocked { .. } => {
                reasons.push(
                    "tasks wait: the broker takes nothing until its alarm is over".to_owned(),
                );
            }
        }
        let now = clock::now();
        for site in &sites {
            let today = now.to_zoned(site.config.zone.clone()).date();
            if !site.config.is_covered(config::TASKS_DESTINATION, today) {
                reasons.push(format!(
                    "tenant {}: tasks wait: no agreement in force covers {}",
                    site.config.name,
                    config::TASKS_DESTINATION
                ));
            }
        }
        reasons
    };
    let state = web::State {
        metrics,
        reasons: Arc::new(reasons),
    };
    let router = web::router(state, &config.http);
    floor.tracker.spawn(web::serve(
        listener,
        router,
        config.http.clone(),
        floor.stop.clone(),
    ));
    Ok(Some(bound))
}

/// What the gauges show, refreshed in the background so that a scrape never waits for the store.
#[derive(Clone, Default)]
struct Gauges(Arc<[AtomicI64; 3]>);

fn observe(metrics: &Metrics, gauges: &Gauges, readiness: &Readiness) {
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

struct Watch {
    store: Store,
    sites: Vec<Arc<Site>>,
    gauges: Gauges,
    feeds: Vec<Arc<intake::Feed>>,
}

impl Watch {
    async fn run(self, metrics: Metrics, stop: CancellationToken) {
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
                self.store.outbox_counts(site.tenant).await,
            ) {
                (Ok((waiting, _)), Ok(counts)) => {
                    inbox += waiting;
                    outbox += counts.waiting + counts.publishing;
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
            for _ in told.refused..now.refused {
                metrics.refused(&feed.source, "frame");
            }
            *told = now;
        }
    }
}
