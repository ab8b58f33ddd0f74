//! Hours and caps of the policy file, computed anew: nothing here is the hub's code.

use std::collections::BTreeMap;

use anyhow::Context;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Hours that bind where `states` is empty or names the person's.
struct Hours {
    states: Vec<String>,
    days: Vec<String>,
    from: Time,
    to: Time,
}

/// At most so many in a period.
pub(crate) struct Cap {
    /// The channels that count together.
    pub(crate) channels: Vec<String>,
    /// `None`: the person's day.
    pub(crate) days: Option<i64>,
    /// How many.
    pub(crate) at_most: usize,
}

/// What the checker reads of a policy.
pub(crate) struct Policy {
    quiet: Vec<String>,
    hours: Vec<Hours>,
    zones: BTreeMap<String, Vec<TimeZone>>,
    /// The caps.
    pub(crate) caps: Vec<Cap>,
}

fn words(value: Option<&toml::Value>) -> Vec<String> {
    let all = value
        .and_then(toml::Value::as_array)
        .cloned()
        .unwrap_or_default();
    all.iter()
        .filter_map(|word| word.as_str().map(ToOwned::to_owned))
        .collect()
}

fn time(value: Option<&toml::Value>) -> anyhow::Result<Time> {
    Ok(value
        .and_then(toml::Value::as_str)
        .context("a time")?
        .parse()?)
}

fn hours(table: &toml::Value) -> anyhow::Result<Hours> {
    Ok(Hours {
        states: words(table.get("states")),
        days: words(table.get("days")),
        from: time(table.get("from"))?,
        to: time(table.get("to"))?,
    })
}

impl Policy {
    /// Reads the text of a policy.
    pub(crate) fn read(text: &str) -> anyhow::Result<Self> {
        let all: toml::Table = toml::from_str(text)?;
        let quiet = all.get("quiet_hours").context("quiet_hours")?;
        let mut bound = vec![hours(quiet)?];
        for state in quiet
            .get("state")
            .and_then(toml::Value::as_array)
            .context("states")?
        {
            bound.push(hours(state)?);
        }
        let mut zones = BTreeMap::new();
        let by_state = all
            .get("zones")
            .and_then(|zones| zones.get("state"))
            .context("zones")?;
        for (state, names) in by_state.as_table().context("zones")? {
            let names = words(Some(names));
            let found: Result<Vec<TimeZone>, jiff::Error> =
                names.iter().map(|name| TimeZone::get(name)).collect();
            zones.insert(state.clone(), found?);
        }
        let mut caps = Vec::new();
        for cap in all
            .get("cap")
            .and_then(toml::Value::as_array)
            .context("caps")?
        {
            let per = cap
                .get("per")
                .and_then(toml::Value::as_str)
                .context("per")?;
            let at_most = cap
                .get("at_most")
                .and_then(toml::Value::as_integer)
                .context("at_most")?;
            caps.push(Cap {
                channels: words(cap.get("channels")),
                days: per.strip_suffix(" days").map(str::parse).transpose()?,
                at_most: usize::try_from(at_most)?,
            });
        }
        Ok(Self {
            quiet: words(quiet.get("channels")),
            hours: bound,
            zones,
            caps,
        })
    }

    /// The zones in which somebody of a state may be.
    pub(crate) fn zones(&self, state: &str) -> &[TimeZone] {
        self.zones.get(state).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether somebody of a state may be contacted on a channel at an instant, in all of the state's zones.
    pub(crate) fn is_open(&self, channel: &str, state: &str, at: Timestamp) -> bool {
        if !self.quiet.iter().any(|quiet| quiet == channel) {
            return true;
        }
        self.zones(state).iter().all(|zone| {
            let local = at.to_zoned(zone.clone());
            let (time, day) = (local.time(), name(local.weekday()));
            self.hours.iter().all(|hours| {
                let binds = (hours.states.is_empty()
                    || hours.states.iter().any(|one| one == state))
                    && (hours.days.is_empty() || hours.days.iter().any(|one| one == day));
                !binds || (time >= hours.from && time < hours.to)
            })
        })
    }

    /// The caps that a list of contacts (channel and instant, sorted) exceeds, each with the instant.
    pub(crate) fn exceeded(
        &self,
        state: &str,
        contacts: &[(String, Timestamp)],
    ) -> Vec<(String, Timestamp)> {
        let mut found = Vec::new();
        for cap in &self.caps {
            let counted: Vec<Timestamp> = contacts
                .iter()
                .filter(|(channel, _)| cap.channels.contains(channel))
                .map(|(_, at)| *at)
                .collect();
            for (place, at) in counted.iter().enumerate() {
                let within = |earlier: &&Timestamp| match cap.days {
                    Some(days) => {
                        at.duration_since(**earlier) < SignedDuration::from_hours(24 * days)
                    }
                    None => self.zones(state).iter().any(|zone| {
                        earlier.to_zoned(zone.clone()).date() == at.to_zoned(zone.clone()).date()
                    }),
                };
                if counted[..=place].iter().filter(within).count() > cap.at_most {
                    found.push((
                        format!("{} in {:?} days", cap.at_most, cap.days.unwrap_or(1)),
                        *at,
                    ));
                }
            }
        }
        found
    }
}

const fn name(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "monday",
        Weekday::Tuesday => "tuesday",
        Weekday::Wednesday => "wednesday",
        Weekday::Thursday => "thursday",
        Weekday::Friday => "friday",
        Weekday::Saturday => "saturday",
        Weekday::Sunday => "sunday",
    }
}
