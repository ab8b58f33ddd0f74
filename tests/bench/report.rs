//! Figures of all rounds, and the table that they end in.

use std::collections::BTreeMap;

/// Figures by name; one of each per round.
#[derive(Default)]
pub(crate) struct Figures {
    names: Vec<String>,
    values: BTreeMap<String, Vec<f64>>,
}

impl Figures {
    /// Adds one round's figure.
    pub(crate) fn add(&mut self, name: &str, value: f64) {
        if !self.values.contains_key(name) {
            self.names.push(name.to_owned());
        }
        self.values.entry(name.to_owned()).or_default().push(value);
    }

    /// This round's figure.
    pub(crate) fn latest(&self, name: &str) -> Option<f64> {
        self.values.get(name)?.last().copied()
    }

    /// The median over all rounds.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        let mut values = self.values.get(name)?.clone();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let upper = *values.get(middle)?;
        let lower = if values.len().is_multiple_of(2) {
            *values.get(middle.checked_sub(1)?)?
        } else {
            upper
        };
        Some(f64::midpoint(lower, upper))
    }

    /// The table: median, range, and the share of a limit where `of` names one.
    pub(crate) fn table(&self, of: &[(&str, &str)]) -> String {
        let mut text =
            String::from("| figure | median | min..max | of its limit |\n|---|---|---|---|\n");
        for name in &self.names {
            let (Some(median), Some(values)) = (self.median(name), self.values.get(name)) else {
                continue;
            };
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(0.0, f64::max);
            let limit = of.iter().find(|(figure, _)| figure == name);
            let ratio = limit.and_then(|(_, limit)| Some((median / self.median(limit)?, limit)));
            let ratio = ratio.map_or_else(String::new, |(ratio, limit)| {
                format!("{ratio:.2} of {limit}")
            });
            text.push_str(&format!(
                "| {name} | {} | {}..{} | {ratio} |\n",
                shown(median),
                shown(least),
                shown(most)
            ));
        }
        text
    }
}

fn shown(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}

/// What it was measured on: processor, cores, memory, kernel, load and date.
pub(crate) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: String, key: &str| -> String {
        let line = text
            .lines()
            .find(|line| line.starts_with(key))
            .map(ToOwned::to_owned);
        let value = line.and_then(|line| {
            line.split_once(':')
                .map(|(_, value)| value.trim().to_owned())
        });
        value.unwrap_or_else(|| "unknown".to_owned())
    };
    format!(
        "{} on {} ({} cores, memory {}), Linux {}, load {}",
        careloop::clock::now().strftime("%Y-%m-%d %H:%M UTC"),
        after(read("/proc/cpuinfo"), "model name"),
        std::thread::available_parallelism().map_or(0, usize::from),
        after(read("/proc/meminfo"), "MemTotal"),
        read("/proc/sys/kernel/osrelease").trim(),
        read("/proc/loadavg").split(' ').next().unwrap_or_default()
    )
}
