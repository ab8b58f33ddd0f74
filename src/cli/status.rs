//! `careloop status`: how sources, teams and agreements stand, and what is in trouble.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::context::Desk;
use super::{Global, output};
use crate::alert::Kind;
use crate::clock;
use crate::config::Tenant;
use crate::store::{
    Counts, FeedStanding, GONE_AFTER, OutboxCounts, OutreachStop, QueueStanding, TroubleRow,
};

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(2);

/// What the command takes.
#[derive(Args)]
pub(super) struct StatusArgs {
    /// One JSON object.
    #[arg(long)]
    json: bool,
    /// Look again every two seconds, until Ctrl-C.
    #[arg(long, conflicts_with = "check")]
    watch: bool,
    /// Print nothing but why the hub does not run, and end with 1 then: for supervisors.
    #[arg(long)]
    check: bool,
}

/// How a tenant stands: names, counts and instants; nothing of a person.
#[derive(Serialize)]
struct Status {
    at: Timestamp,
    tenant: String,
    /// Whether a hub wrote how it stands within the last half minute.
    running: bool,
    stop: Option<OutreachStop>,
    messages: Counts,
    sources: Vec<FeedStanding>,
    teams: Vec<QueueStanding>,
    outbox: OutboxCounts,
    agreements: Vec<AgreementStanding>,
    troubles: Vec<Trouble>,
}

#[derive(Serialize)]
struct AgreementStanding {
    party: String,
    until: String,
    days_left: i32,
    covers: Vec<String>,
    document: String,
    breach_notice_days: u8,
}

#[derive(Serialize)]
struct Trouble {
    #[serde(flatten)]
    row: TroubleRow,
    meaning: &'static str,
    first_step: &'static str,
}

/// Shows how the hub stands.
pub(super) async fn run(global: &Global, args: StatusArgs) -> anyhow::Result<()> {
    let desk = global.open().await?;
    if args.check {
        return is_running(&desk).await;
    }
    loop {
        let status = read(&desk).await?;
        if args.watch && !args.json {
            output::clear()?;
        }
        if args.json {
            output::json_line(&status)?;
        } else {
            show(&status)?;
        }
        if !args.watch {
            return Ok(());
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn is_running(desk: &Desk) -> anyhow::Result<()> {
    let sources = desk.store.feed_standings(desk.id, clock::now()).await?;
    if runs(&sources, clock::now()) {
        return Ok(());
    }
    bail!(
        "no hub has written to this store for {} seconds; look at the log of `careloop serve`",
        GONE_AFTER.as_secs()
    )
}

fn runs(sources: &[FeedStanding], now: Timestamp) -> bool {
    sources.iter().any(|source| is_current(source.at, now))
}

/// Whether what was written then still stands.
fn is_current(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_some_and(|at| now.duration_since(at) < GONE_AFTER)
}

async fn read(desk: &Desk) -> anyhow::Result<Status> {
    let (store, now) = (&desk.store, clock::now());
    let mut sources = store.feed_standings(desk.id, now).await?;
    for source in &desk.tenant.sources {
        if !sources.iter().any(|known| known.source == source.name) {
            sources.push(FeedStanding {
                source: source.name.clone(),
                ..FeedStanding::default()
            });
        }
    }
    let running = runs(&sources, now);
    let troubles = store.open_troubles(desk.id).await?.into_iter().map(|row| {
        let (meaning, first_step) = Kind::explain(&row.kind);
        Trouble {
            row,
            meaning,
            first_step,
        }
    });
    Ok(Status {
        at: now,
        tenant: desk.tenant.name.clone(),
        running,
        stop: store.outreach_stop(desk.id).await?,
        messages: store.counts(desk.id).await?,
        sources,
        teams: store.queue_standings(desk.id).await?,
        outbox: store.outbox_counts(desk.id).await?,
        agreements: agreements(&desk.tenant, now),
        troubles: troubles.collect(),
    })
}

fn agreements(tenant: &Tenant, now: Timestamp) -> Vec<AgreementStanding> {
    let today = now.to_zoned(tenant.zone.clone()).date();
    let standing = |agreement: &crate::config::Agreement| AgreementStanding {
        party: agreement.party.clone(),
        until: agreement.until.to_string(),
        days_left: agreement.days_left(today),
        covers: agreement.covers.clone(),
        document: agreement.document.clone(),
        breach_notice_days: agreement.breach_notice_days,
    };
    tenant.agreements.iter().map(standing).collect()
}

fn show(status: &Status) -> anyhow::Result<()> {
    let running = if status.running {
        "running"
    } else {
        "not running (nothing was written for half a minute)"
    };
    output::line(&format!("{} at {}: {running}", status.tenant, status.at))?;
    if let Some(stop) = &status.stop {
        output::line(&format!(
            "OUTREACH IS STOPPED since {} by {} ({}); `careloop outreach resume` lifts it",
            stop.since_at, stop.operator, stop.reason
        ))?;
    }
    sources(status)?;
    teams(status)?;
    agreed(status)?;
    let messages = &status.messages;
    output::line(&format!(
        "messages: {} received = {} waiting + {} processed + {} ignored + {} held; outbox: {} waiting, {} sent",
        messages.received,
        messages.waiting,
        messages.processed,
        messages.ignored,
        messages.held,
        status.outbox.waiting + status.outbox.publishing,
        status.outbox.sent
    ))?;
    if status.troubles.is_empty() {
        output::line("no trouble")?;
        return Ok(());
    }
    troubles(status)?;
    Ok(())
}

/// Each source on a line.
fn sources(status: &Status) -> std::io::Result<()> {
    output::table(
        &[
            "source",
            "listens",
            "connections",
            "last message",
            "a minute",
            "an hour",
            "waiting",
            "oldest",
            "held",
        ],
        status.sources.iter().map(|source| {
            let held = source
                .held
                .iter()
                .map(|held| format!("{} {}", held.count, held.code));
            vec![
                source.source.clone(),
                yes(source.listening && status.running).to_owned(),
                source.connections.to_string(),
                ago(source.last_received_at, status.at),
                source.last_minute.to_string(),
                source.last_hour.to_string(),
                source.waiting.to_string(),
                ago(source.oldest_waiting_at, status.at),
                held.collect::<Vec<_>>().join(", "),
            ]
        }),
    )
}

/// Each team on a line.
fn teams(status: &Status) -> std::io::Result<()> {
    output::table(
        &[
            "team",
            "in queue",
            "consumers",
            "unanswered",
            "oldest",
            "not taken",
        ],
        status.teams.iter().map(|team| {
            let asked = |count: i64| {
                if is_current(team.at, status.at) {
                    count.to_string()
                } else {
                    "-".to_owned()
                }
            };
            vec![
                team.team.clone(),
                asked(team.messages),
                asked(team.consumers),
                team.unanswered.to_string(),
                ago(team.oldest_unanswered_at, status.at),
                team.not_taken.to_string(),
            ]
        }),
    )
}

/// Each agreement on a line.
fn agreed(status: &Status) -> std::io::Result<()> {
    output::table(
        &[
            "agreement",
            "until",
            "days left",
            "covers",
            "breach notice",
            "document",
        ],
        status.agreements.iter().map(|agreement| {
            vec![
                agreement.party.clone(),
                agreement.until.clone(),
                agreement.days_left.to_string(),
                agreement.covers.join(", "),
                format!("{} days", agreement.breach_notice_days),
                agreement.document.clone(),
            ]
        }),
    )
}

/// Each trouble on a line, with its first step.
fn troubles(status: &Status) -> std::io::Result<()> {
    output::table(
        &[
            "trouble",
            "of",
            "since",
            "what it means",
            "what to do first",
        ],
        status.troubles.iter().map(|trouble| {
            vec![
                trouble.row.kind.clone(),
                trouble.row.subject.clone(),
                ago(Some(trouble.row.since_at), status.at),
                trouble.meaning.to_owned(),
                trouble.first_step.to_owned(),
            ]
        }),
    )
}

const fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// `3 min ago`, with the coarsest unit that says enough.
fn ago(at: Option<Timestamp>, now: Timestamp) -> String {
    let Some(at) = at else {
        return "-".to_owned();
    };
    let seconds = now.duration_since(at).as_secs().max(0);
    match seconds {
        0..=119 => format!("{seconds} s ago"),
        120..=7_199 => format!("{} min ago", seconds / 60),
        7_200..=172_799 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn what_nobody_wrote_again_for_half_a_minute_is_not_current() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let seconds_ago = |seconds| Some(now - SignedDuration::from_secs(seconds));
        assert!(is_current(seconds_ago(29), now));
        assert!(!is_current(seconds_ago(30), now) && !is_current(None, now));
    }

    #[test]
    fn an_age_is_told_in_the_coarsest_unit_that_says_enough() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for (seconds, told) in [
            (5, "5 s ago"),
            (600, "10 min ago"),
            (36_000, "10 h ago"),
            (259_200, "3 d ago"),
        ] {
            let at = now - SignedDuration::from_secs(seconds);
            assert_eq!(ago(Some(at), now), told);
        }
        assert_eq!(ago(None, now), "-");
    }
}
