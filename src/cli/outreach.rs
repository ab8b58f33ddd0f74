//! `careloop outreach`: stop everything that leaves, let it leave again, and see before a change of
//! mode what would leave.

use std::collections::BTreeMap;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::context::Desk;
use super::{Asker, Global, output};
use crate::care::Rules;
use crate::store::Preview;

/// Commands about all outreach of a tenant.
#[derive(Subcommand)]
pub(super) enum OutreachCommand {
    /// Whether outreach is stopped, since when, by whom.
    Show {
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Stop all outreach at once: what is queued is taken back, what is found is only observed.
    Stop {
        #[command(flatten)]
        asker: Asker,
    },
    /// Let outreach leave again; what was observed meanwhile is asked anew.
    Resume {
        #[command(flatten)]
        asker: Asker,
    },
    /// What would leave if what only observes now did not: counts by rule and team, nothing changes.
    Preview {
        /// The mode that is being thought of.
        #[arg(long = "as", value_enum, default_value_t = Next::Pilot)]
        next: Next,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

/// A mode in which tasks leave.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Next {
    /// Up to the daily cap.
    Pilot,
    /// All.
    Live,
}

/// Runs a command about outreach.
pub(super) async fn run(global: &Global, command: OutreachCommand) -> anyhow::Result<()> {
    let desk = global.open().await?;
    match command {
        OutreachCommand::Show { json } => show(&desk, json).await,
        OutreachCommand::Stop { asker } => {
            let entry = asker.entry("outreach.stop", ("tenant", None));
            let stop = ("operator", asker.operator.as_str());
            let fresh = desk.store.stop_outreach(desk.id, stop, &entry).await?;
            output::line(if fresh {
                "outreach is stopped: what is queued is taken back within seconds; tasks that have left are not called back"
            } else {
                "outreach was stopped already; `careloop outreach show` says since when"
            })?;
            Ok(())
        }
        OutreachCommand::Resume { asker } => {
            let entry = asker.entry("outreach.resume", ("tenant", None));
            let lifted = desk
                .store
                .resume_outreach(desk.id, &asker.operator, &entry)
                .await?;
            output::line(if lifted {
                "outreach leaves again: consent is asked anew for everything that was observed"
            } else {
                "outreach was not stopped; nothing changed"
            })?;
            Ok(())
        }
        OutreachCommand::Preview { next, json } => preview(&desk, next, json).await,
    }
}

async fn show(desk: &Desk, json: bool) -> anyhow::Result<()> {
    let stop = desk.store.outreach_stop(desk.id).await?;
    if json {
        output::json_line(&stop)?;
        return Ok(());
    }
    let text = stop.map_or_else(
        || "outreach is not stopped".to_owned(),
        |stop| {
            format!(
                "outreach is stopped since {} by {} ({}); `careloop outreach resume` lifts it",
                stop.since_at, stop.operator, stop.reason
            )
        },
    );
    output::line(&text)?;
    Ok(())
}

/// What would become of the observed tasks of a rule and a team.
#[derive(Default, Serialize)]
struct Forecast {
    rule: String,
    team: String,
    observed: i64,
    /// Consent allows them now.
    would_leave: i64,
    /// Consent allows them at another hour.
    would_wait: i64,
    /// Consent denies them, by reason.
    withheld: BTreeMap<String, i64>,
}

async fn preview(desk: &Desk, next: Next, json: bool) -> anyhow::Result<()> {
    let forecasts = forecasts(desk).await?;
    let leaving: i64 = forecasts.iter().map(|forecast| forecast.would_leave).sum();
    if json {
        for forecast in &forecasts {
            output::json_line(forecast)?;
        }
        return Ok(());
    }
    output::table(
        &[
            "rule",
            "team",
            "observed",
            "would leave now",
            "would wait",
            "withheld",
        ],
        forecasts.into_iter().map(|forecast| {
            let withheld = forecast
                .withheld
                .iter()
                .map(|(code, count)| format!("{count} {code}"));
            vec![
                forecast.rule,
                forecast.team,
                forecast.observed.to_string(),
                forecast.would_leave.to_string(),
                forecast.would_wait.to_string(),
                withheld.collect::<Vec<_>>().join(", "),
            ]
        }),
    )?;
    let cap = i64::from(desk.tenant.pilot_daily_cap);
    let text = match next {
        Next::Pilot if cap == 0 => {
            "pilot_daily_cap is 0: only people included by name get tasks".to_owned()
        }
        Next::Pilot => format!(
            "as pilot: at most {cap} a day leave (pilot_daily_cap), so that {leaving} take {} days",
            (leaving + cap - 1) / cap
        ),
        Next::Live => format!(
            "as live: {leaving} leave at once; `pilot` with a daily cap is the gentler step"
        ),
    };
    output::line(&format!(
        "{text}. Set the mode of source, location and rule in the configuration and restart; the strictest of the three counts."
    ))?;
    Ok(())
}

async fn forecasts(desk: &Desk) -> anyhow::Result<Vec<Forecast>> {
    let tx = desk.store.read(desk.id).await?;
    let keys = tx.shared_keys();
    let rules = Rules::embedded().map_err(|list| {
        let lines: Vec<String> = list.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(lines.join("\n"))
    })?;
    // The store knows a rule by its keyed hash only: its name tells a diagnosis.
    let names: BTreeMap<Vec<u8>, String> = rules
        .iter()
        .map(|rule| (keys.index.index("rule", &[&rule.id]), rule.id.clone()))
        .collect();
    drop(tx);
    let mut found: BTreeMap<(String, String), Forecast> = BTreeMap::new();
    for row in desk.store.preview(desk.id).await? {
        let rule = names.get(&row.rule_index).cloned();
        let rule = rule.unwrap_or_else(|| "(a rule that is gone)".to_owned());
        let team = row.routing_key.rsplit_once('.');
        let team = team
            .map_or(row.routing_key.as_str(), |(team, _)| team)
            .to_owned();
        let forecast = found
            .entry((rule.clone(), team.clone()))
            .or_insert_with(|| Forecast {
                rule,
                team,
                ..Forecast::default()
            });
        count(forecast, &row);
    }
    Ok(found.into_values().collect())
}

fn count(forecast: &mut Forecast, row: &Preview) {
    forecast.observed += row.count;
    match row.result.as_deref() {
        Some("allow" | "allow-with-obligations") => forecast.would_leave += row.count,
        Some("defer") => forecast.would_wait += row.count,
        _ => {
            let codes = row.reason_codes.as_deref().unwrap_or("not asked yet");
            *forecast.withheld.entry(codes.to_owned()).or_default() += row.count;
        }
    }
}
