//! Builds each station from the configuration and starts it on its floor.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use super::Floor;
use crate::access::Desk;
use crate::clock;
use crate::config::{self, Config, Source, SourceKind};
use crate::intake::mllp::{Endpoint, Replier};
use crate::intake::{self, Coverage, Door, Notified, Notifier, Readiness};
use crate::outbox::rabbit::Rabbit;
use crate::outbox::spool::Spool;
use crate::outbox::{Answers, Publisher, PublisherState, Relay, Returns, Topology};
use crate::pipeline::{Pipeline, Sweep, Worker};
use crate::site::Site;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::tls;
use crate::trace::Tracer;
use crate::web;

/// What every station needs.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) config: &'a Config,
    pub(super) store: &'a Store,
    pub(super) metrics: &'a Metrics,
    pub(super) tracer: &'a Tracer,
}

/// The destination of tasks: the broker, or spool files without one.
pub(super) async fn publisher(config: &Config, floor: &Floor) -> anyhow::Result<Publisher> {
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

/// Starts the relay of a tenant, and the consumer of its answers where there is a broker.
pub(super) fn start_outbox(
    around: Around<'_>,
    site: &Arc<Site>,
    (publisher, queued): (&Arc<Publisher>, &Arc<Notify>),
    floor: &Floor,
) {
    let Around {
        config,
        store,
        metrics,
        tracer,
    } = around;
    let metrics = metrics.clone();
    let relay = Relay::new(
        (store.clone(), Arc::clone(site)),
        Arc::clone(publisher),
        config.pace.clone(),
        config.public_url.clone(),
        Box::new(move |outcome| metrics.published(outcome)),
    )
    .traced(tracer.clone());
    floor
        .tracker
        .spawn(relay.run(Arc::clone(queued), floor.stop.clone()));
    if let Publisher::Rabbit(rabbit) = publisher.as_ref() {
        let answers = Answers::new(store.clone(), Arc::clone(site));
        let queue = rabbit.task_events(&site.config.name);
        floor.tracker.spawn(answers.run(queue, floor.stop.clone()));
        let returns = Returns::new(store.clone(), Arc::clone(site));
        let queue = rabbit.returned_tasks(&site.config.name);
        floor.tracker.spawn(returns.run(queue, floor.stop.clone()));
    }
}

/// Where messages come in.
#[derive(Default)]
pub(super) struct Doors {
    /// Every feed, however it comes.
    pub(super) feeds: Vec<Arc<intake::Feed>>,
    /// Listeners to be opened.
    pub(super) endpoints: Vec<Endpoint>,
    /// FHIR endpoints that may send notifications.
    pub(super) notifiers: Vec<Notifier>,
}

impl Doors {
    fn add(
        &mut self,
        feed: Arc<intake::Feed>,
        source: &Source,
        covered: Coverage,
    ) -> anyhow::Result<()> {
        self.feeds.push(Arc::clone(&feed));
        match &source.kind {
            SourceKind::Mllp { listen } => self.endpoints.push(Endpoint {
                feed,
                source: source.clone(),
                listen: *listen,
                covered,
            }),
            SourceKind::Fhir(endpoint) => {
                let Some(secret) = &endpoint.notifications else {
                    return Ok(());
                };
                let secret = config::secret(secret).map_err(|problem| anyhow::anyhow!("{problem}"));
                let secret =
                    secret.with_context(|| format!("source {}: notifications", source.name))?;
                let notifier = Notifier::new(feed, covered, secret.trim_ascii());
                self.notifiers.push(notifier);
            }
        }
        Ok(())
    }
}

/// Starts a worker for each source of a tenant, and its calendar; adds its doors.
pub(super) fn start_pipeline(
    around: Around<'_>,
    site: &Arc<Site>,
    (queued, doors): (&Arc<Notify>, &mut Doors),
    floor: &Floor,
) -> anyhow::Result<()> {
    let Around {
        config,
        store,
        metrics,
        tracer,
    } = around;
    let told = metrics.clone();
    let ended = Arc::new(move |state| told.processed(state, 1));
    let pipeline = Pipeline {
        ended,
        tracer: tracer.clone(),
        store: store.clone(),
        site: Arc::clone(site),
        queued: Arc::clone(queued),
    };
    for source in &site.config.sources {
        let mut feed = intake::Feed::new(
            site.tenant,
            site.config.name.clone(),
            source.name.clone(),
            source.zone.clone(),
        );
        let metrics = metrics.clone();
        feed.answered = Some(Arc::new(move |after| metrics.acknowledged(after)));
        feed.tracer = tracer.clone();
        feed.sequence_numbers = source.sequence_numbers;
        feed.application_acks = source.application_ack.is_some();
        let feed = Arc::new(feed);
        if let Some(to) = &source.application_ack {
            let replier = Replier::new(store.clone(), Arc::clone(&feed), to, config.pace.clone())
                .with_context(|| format!("source {}: application_ack", source.name))?;
            floor.tracker.spawn(replier.run(floor.stop.clone()));
        }
        let worker = Worker::new(pipeline.clone(), &source.name, config.pace.clone());
        floor
            .tracker
            .spawn(worker.run(Arc::clone(&feed.arrived), floor.stop.clone()));
        let (tenant, name) = (site.config.clone(), source.name.clone());
        let covered = Arc::new(move |today| tenant.is_covered(&name, today));
        doors.add(feed, source, covered)?;
    }
    let sweep = Sweep::new(pipeline, config.pace.clone(), config.raw_messages);
    floor.tracker.spawn(sweep.run(floor.stop.clone()));
    Ok(())
}

/// Opens the HTTP door: health, metrics and the CRM's API.
pub(super) async fn serve_http(
    around: Around<'_>,
    (door, publisher): (&Door, Arc<Publisher>),
    (sites, notifiers): (&[Arc<Site>], Vec<Notifier>),
    floor: &Floor,
) -> anyhow::Result<Option<SocketAddr>> {
    let Around {
        config, metrics, ..
    } = around;
    let Some(address) = config.http.listen else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("http.listen: {address} cannot be opened; choose a free port or \"off\"")
    })?;
    let bound = listener.local_addr()?;
    // Beyond loopback and without TLS nothing protected is served.
    let desk = config
        .http
        .serves_api()
        .then(|| Desk::new(around.store.clone(), sites));
    let notified = config
        .http
        .serves_api()
        .then(|| Notified::new(door.clone(), notifiers));
    let (sites, readiness) = (sites.to_vec(), door.readiness().clone());
    let state = web::State {
        metrics: metrics.clone(),
        reasons: Arc::new(move || reasons(&readiness, &publisher, &sites)),
        desk,
        notified,
    };
    let router = web::router(state, &config.http);
    let tls = config.http.tls.as_ref().map(tls::server_config);
    let tls = tls.transpose().context("http")?.map(TlsAcceptor::from);
    let listening = web::Listening {
        socket: listener,
        tls,
        limits: config.http.clone(),
    };
    floor
        .tracker
        .spawn(web::serve(listening, router, floor.stop.clone()));
    Ok(Some(bound))
}

/// Why the hub is not ready, in plain words.
fn reasons(readiness: &Readiness, publisher: &Publisher, sites: &[Arc<Site>]) -> Vec<String> {
    let unready = readiness.reasons();
    let mut reasons: Vec<String> = unready.iter().map(ToString::to_string).collect();
    match publisher.state() {
        PublisherState::Up => {}
        PublisherState::Down { reason, .. } => reasons.push(format!("tasks wait: {reason}")),
        PublisherState::Blocked { .. } => {
            reasons.push("tasks wait: the broker takes nothing until its alarm is over".to_owned());
        }
    }
    let now = clock::now();
    for site in sites {
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
}
