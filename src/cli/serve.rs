//! `careloop serve`: runs the daemon until a signal.

use tokio::signal::unix::{SignalKind, signal};

use super::Global;
use crate::daemon::Daemon;
use crate::telemetry;

/// Runs until SIGTERM or SIGINT, then stops in order.
pub(super) async fn serve(global: &Global) -> anyhow::Result<()> {
    let config = global.load()?;
    telemetry::init(&config.log)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let daemon = Daemon::start(config).await?;
    for bound in &daemon.bound {
        tracing::info!(
            tenant = %bound.tenant,
            source = %bound.source,
            address = %bound.address,
            open = bound.open,
            "listening for MLLP; without an agreement in force a listener stays closed"
        );
    }
    if let Some(address) = daemon.http {
        tracing::info!(%address, "health and metrics");
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: intake, pipeline, outbox");
    daemon.stop().await;
    Ok(())
}
