//! The door alone: listener, door and store as `careloop serve` makes them, in a process of their
//! own, without any station that works on what is taken. A child of the bench runs it.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use careloop::clock;
use careloop::config::Config;
use careloop::daemon;
use careloop::intake::mllp::{Endpoint, Station};
use careloop::intake::{Door, Feed, Readiness};
use careloop::store::Store;

/// Takes messages until it is killed; says where, as the hub's log does.
pub(crate) async fn serve(file: &Path) -> anyhow::Result<()> {
    let config = Config::load(Some(file)).ok().context("a configuration")?;
    let store = Store::open(&config.store, daemon::root_key(&config)?).await?;
    let tenant = config.tenants.first().context("a tenant")?.clone();
    let source = tenant.sources.first().context("a source")?.clone();
    let number = store.ensure_tenant(&tenant.name, clock::now()).await?;
    let feed = Feed::new(
        number,
        tenant.name.clone(),
        source.name.clone(),
        source.zone.clone(),
    );
    let name = source.name.clone();
    let endpoint = Endpoint {
        feed: Arc::new(feed),
        listen: source.listen().context("a listener")?,
        source,
        covered: Arc::new(move |today| tenant.is_covered(&name, today)),
    };
    let door = Door::new(store, Readiness::default());
    let station = Station::start(&door, vec![endpoint], &config.mllp)
        .ok()
        .context("a free address")?;
    let bound = station.bound().first().context("a listener")?;
    eprintln!(
        "{}",
        serde_json::json!({ "message": "listening for MLLP", "address": bound.address.to_string() })
    );
    std::future::pending().await
}
