//! When: permitted hours where the person is, and frequency caps.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::code::Code;
use super::decision::Window;
use super::facts::{Facts, Sent};
use super::policy::{Cap, Hours, Period, Policy};
use super::words::Channel;

/// Where the person may be: every zone and every state whose rules bind.
pub(super) struct Place<'a> {
    policy: &'a Policy,
    pub(super) zones: Vec<TimeZone>,
    hours: Vec<&'a Hours>,
}

impl<'a> Place<'a> {
    /// The place of a person; what is not known widens it, so that the strictest rule binds.
    pub(super) fn of(facts: &Facts<'_>, policy: &'a Policy) -> Self {
        let mut states: Vec<String> = Vec::new();
        let mut unknown = facts.states.is_empty();
        for state in facts.states {
            let state = state.trim().to_ascii_uppercase();
            unknown |= !policy.zones.contains_key(&state);
            states.push(state);
        }
        let zones = Self::zones_of(facts.zone.as_ref(), &states, policy);
        if unknown {
            states = policy.zones.keys().cloned().collect();
            if facts.zone.is_some() {
                // The zone is sure, so only states in it can be meant.
                states.retain(|state| shares(policy.zones.get(state), &zones));
            }
        }
        let hours = policy
            .hours
            .iter()
            .filter(|h| h.states.is_empty() || h.states.iter().any(|s| states.contains(s)))
            .collect();
        Self {
            policy,
            zones,
            hours,
        }
    }

    fn zones_of(zone: Option<&TimeZone>, states: &[String], policy: &Policy) -> Vec<TimeZone> {
        let mut zones: Vec<TimeZone> = zone.cloned().into_iter().collect();
        for state in states {
            let Some(own) = policy.zones.get(state) else {
                if zone.is_none() {
                    zones.extend(policy.everywhere.iter().cloned());
                }
                continue;
            };
            // A known zone settles which of its state's zones it is; another state adds its own.
            if !zone.is_some_and(|zone| own.contains(zone)) {
                zones.extend(own.iter().cloned());
            }
        }
        if zones.is_empty() {
            zones.extend(policy.everywhere.iter().cloned());
        }
        zones.sort_by(|a, b| a.iana_name().cmp(&b.iana_name()));
        zones.dedup();
        zones
    }

    /// The earliest instant from `at` on at which `channel` may be used, with the reasons for
    /// waiting; the caps `more` bind besides the policy's. `None` where the search horizon holds none.
    pub(super) fn next_allowed(
        &self,
        channel: Channel,
        sent: &[Sent],
        at: Timestamp,
        more: &[Cap],
    ) -> Option<(Timestamp, Vec<Code>)> {
        let days = i64::from(self.policy.horizon_days);
        let horizon = at.checked_add(SignedDuration::from_hours(24 * days)).ok()?;
        let windows = self.windows(channel, at);
        let mut next = at;
        let mut codes = Vec::new();
        loop {
            let free = self.free((channel, more), sent, next)?;
            let open = match &windows {
                Some(windows) => opening(windows, free)?,
                None => free,
            };
            for (moved, code) in [
                (free > next, Code::FrequencyCap),
                (open > free, Code::QuietHours),
            ] {
                if moved && !codes.contains(&code) {
                    codes.push(code);
                }
            }
            if open > horizon {
                return None;
            }
            if open == next {
                return Some((next, codes));
            }
            next = open;
        }
    }

    /// The window around `at`, which must be permitted; up to `end` where the channel has no hours.
    pub(super) fn window(&self, channel: Channel, at: Timestamp, end: Timestamp) -> Window {
        let zone = match self.zones.as_slice() {
            [zone] => zone.iana_name().unwrap_or("UTC").to_owned(),
            _ => "UTC".to_owned(),
        };
        let around = self.windows(channel, at).and_then(|windows| {
            windows
                .into_iter()
                .find(|(from, to)| *from <= at && at < *to)
        });
        let (from, to) = around.unwrap_or((at, end));
        Window { from, to, zone }
    }

    /// The first date that it can be anywhere at `at`.
    pub(super) fn earliest_date(&self, at: Timestamp) -> Option<Date> {
        self.zones
            .iter()
            .map(|zone| at.to_zoned(zone.clone()).date())
            .min()
    }

    /// The permitted hours from the day before `at` to the horizon, in order; `None` where the
    /// channel has none.
    fn windows(&self, channel: Channel, at: Timestamp) -> Option<Vec<(Timestamp, Timestamp)>> {
        if !self.policy.quiet_channels.contains(&channel) {
            return None;
        }
        let mut all: Option<Vec<(Timestamp, Timestamp)>> = None;
        for zone in &self.zones {
            let own = self.windows_in(zone, at);
            all = Some(all.map_or_else(|| own.clone(), |others| intersect(&others, &own)));
        }
        Some(all.unwrap_or_default())
    }

    fn windows_in(&self, zone: &TimeZone, at: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let today = at.to_zoned(zone.clone()).date();
        let days = i32::try_from(self.policy.horizon_days).unwrap_or(0);
        let dates = (-1..=days + 1).filter_map(|day| today.checked_add(day.days()).ok());
        dates.filter_map(|date| self.hours_of(date, zone)).collect()
    }

    /// The hours of one local day: all rules that apply on it together.
    fn hours_of(&self, date: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let applying = self.hours.iter().filter(|hours| {
            (hours.days.is_empty() || hours.days.contains(&date.weekday()))
                && hours.since.is_none_or(|since| since <= date)
        });
        let (from, to) = applying
            .map(|hours| (hours.from, hours.to))
            .reduce(|(from, to), (later, sooner)| (from.max(later), to.min(sooner)))?;
        let instant = |time| {
            Some(
                date.to_datetime(time)
                    .to_zoned(zone.clone())
                    .ok()?
                    .timestamp(),
            )
        };
        let (from, to) = (instant(from)?, instant(to)?);
        (from < to).then_some((from, to))
    }

    /// The earliest instant from `at` on at which no cap is reached.
    fn free(
        &self,
        (channel, more): (Channel, &[Cap]),
        sent: &[Sent],
        at: Timestamp,
    ) -> Option<Timestamp> {
        let caps = self
            .policy
            .caps
            .iter()
            .chain(more)
            .filter(|cap| cap.channels.contains(&channel));
        let caps: Vec<&Cap> = caps.collect();
        let mut free = at;
        loop {
            let before = free;
            for cap in &caps {
                free = self.free_of(cap, sent, free)?;
            }
            if free == before {
                return Some(free);
            }
        }
    }

    fn free_of(&self, cap: &Cap, sent: &[Sent], at: Timestamp) -> Option<Timestamp> {
        let mut counted: Vec<Timestamp> = sent
            .iter()
            .filter(|sent| cap.channels.contains(&sent.channel))
            .map(|sent| sent.at)
            .collect();
        let most = usize::try_from(cap.at_most).ok()?;
        match cap.per {
            Period::LocalDay => {
                let mut free = at;
                for zone in &self.zones {
                    let today = at.to_zoned(zone.clone()).date();
                    let on_day = |sent: &&Timestamp| sent.to_zoned(zone.clone()).date() == today;
                    if counted.iter().filter(on_day).count() >= most {
                        let tomorrow = today.tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
                        free = free.max(tomorrow.timestamp());
                    }
                }
                Some(free)
            }
            Period::Days(days) => {
                let span = SignedDuration::from_hours(24 * i64::from(days));
                let since = at.checked_sub(span).ok()?;
                counted.retain(|sent| *sent > since);
                counted.sort_unstable_by(|a, b| b.cmp(a));
                match counted.get(most.checked_sub(1)?) {
                    Some(oldest) => oldest.checked_add(span).ok(),
                    None => Some(at),
                }
            }
        }
    }
}

fn shares(zones: Option<&Vec<TimeZone>>, with: &[TimeZone]) -> bool {
    zones.is_some_and(|zones| zones.iter().any(|zone| with.contains(zone)))
}

/// The first instant from `at` on inside a window.
fn opening(windows: &[(Timestamp, Timestamp)], at: Timestamp) -> Option<Timestamp> {
    windows
        .iter()
        .find(|(_, to)| at < *to)
        .map(|(from, _)| at.max(*from))
}

/// What lies in a window of both lists.
fn intersect(
    left: &[(Timestamp, Timestamp)],
    right: &[(Timestamp, Timestamp)],
) -> Vec<(Timestamp, Timestamp)> {
    let mut both = Vec::new();
    for (from, to) in left {
        for (other_from, other_to) in right {
            let (from, to) = ((*from).max(*other_from), (*to).min(*other_to));
            if from < to {
                both.push((from, to));
            }
        }
    }
    both.sort_unstable();
    both
}
