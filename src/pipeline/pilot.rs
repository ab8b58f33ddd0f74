//! The pilot's daily cap.

use jiff::Timestamp;

use super::Error;
use crate::config::Mode;
use crate::site::Site;
use crate::store::{self, Store, Tx};

/// How many tasks pilot mode may still release today.
pub(super) async fn pilot_left(store: &Store, site: &Site, now: Timestamp) -> Result<u32, Error> {
    let cap = site.config.pilot_daily_cap;
    let anyone = site
        .config
        .rule_modes
        .values()
        .any(|mode| *mode == Mode::Pilot);
    let piloting = anyone
        || site
            .config
            .sources
            .iter()
            .any(|source| source.mode == Mode::Pilot)
        || site
            .config
            .locations
            .iter()
            .any(|place| place.mode == Mode::Pilot);
    if cap == 0 || !piloting {
        return Ok(0);
    }
    let mut tx = store.read(site.tenant).await?;
    Ok(cap.saturating_sub(tx.pilot_released(start_of_day(site, now)).await?))
}

fn start_of_day(site: &Site, now: Timestamp) -> Timestamp {
    let day = now.to_zoned(site.config.zone.clone()).start_of_day();
    day.map_or(now, |day| day.timestamp())
}

/// The day's cap of the pilot holds over all who release: over it, plan again with what is left.
pub(super) async fn check_cap(
    tx: &mut Tx,
    site: &Site,
    now: Timestamp,
) -> Result<(), store::Error> {
    let released = tx.pilot_released(start_of_day(site, now)).await?;
    if released > site.config.pilot_daily_cap {
        return Err(store::Error::Conflict);
    }
    Ok(())
}
