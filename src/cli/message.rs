//! `careloop message`: count, list, show and replay.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::context::{Desk, Misused, instant, said};
use super::{Asker, Global, output};
use crate::clock;
use crate::failure::Code;
use crate::message::State;
use crate::store::{MessageRow, MessageSelection};

/// Commands about messages.
#[derive(Subcommand)]
pub(super) enum MessageCommand {
    /// Prove that every message is accounted for: received = waiting + processed + ignored + held.
    Count {
        /// One JSON object.
        #[arg(long)]
        json: bool,
        /// Also the reasons why messages are ignored or held.
        #[arg(long)]
        reasons: bool,
    },
    /// List messages, the newest first; shows no protected data.
    List {
        #[command(flatten)]
        which: Which,
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show one message with its text; leaves an audit entry.
    Show {
        /// Its id.
        id: Uuid,
        #[command(flatten)]
        asker: Asker,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Set messages back to waiting, as after a mapping was mended. Effects are never doubled.
    Replay {
        #[command(flatten)]
        which: Which,
        /// The name of the person who asks.
        #[arg(long, value_parser = said)]
        operator: String,
    },
}

/// Which messages.
#[derive(Args)]
pub(super) struct Which {
    /// One message.
    #[arg(long)]
    id: Option<Uuid>,
    /// In this state: waiting, processed, ignored, held.
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// With this failure code; `careloop message count --reasons` lists them.
    #[arg(long, value_parser = code)]
    code: Option<Code>,
    /// Received at or after this instant or day.
    #[arg(long, value_parser = instant)]
    since: Option<Timestamp>,
}

fn state(name: &str) -> Result<State, String> {
    State::from_name(name).ok_or_else(|| "expected waiting, processed, ignored or held".to_owned())
}

fn code(name: &str) -> Result<Code, String> {
    Code::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        format!("expected one of {}", known.join(", "))
    })
}

impl Which {
    fn selection(&self) -> MessageSelection {
        MessageSelection {
            id: self.id,
            state: self.state,
            code: self.code,
            since: self.since,
        }
    }
}

/// Runs a command about messages.
pub(super) async fn run(global: &Global, command: MessageCommand) -> anyhow::Result<()> {
    let desk = global.open().await?;
    match command {
        MessageCommand::Count { json, reasons } => count(&desk, json, reasons).await,
        MessageCommand::List { which, limit, json } => list(&desk, &which, limit, json).await,
        MessageCommand::Show { id, asker, json } => show(&desk, id, &asker, json).await,
        MessageCommand::Replay { which, operator } => {
            let selection = which.selection();
            if selection.id.is_none() && selection.code.is_none() && selection.state.is_none() {
                return Err(Misused("name what to replay: --id ID, --code CODE or --state held, with or without --since".to_owned()).into());
            }
            let actor = format!("operator:{operator}");
            let touched = desk
                .store
                .replay(desk.id, &selection, &actor, clock::now())
                .await?;
            output::line(&format!(
                "{touched} messages wait again; a running daemon takes them at once"
            ))?;
            Ok(())
        }
    }
}

async fn count(desk: &Desk, json: bool, reasons: bool) -> anyhow::Result<()> {
    let counts = desk.store.counts(desk.id).await?;
    let sum = counts.waiting + counts.processed + counts.ignored + counts.held;
    if json {
        output::json_line(&counts)?;
    } else {
        let rows = [
            ("received", counts.received, "distinct stored messages"),
            ("waiting", counts.waiting, "not finished"),
            (
                "processed",
                counts.processed,
                "everything they imply is stored",
            ),
            ("ignored", counts.ignored, "need nothing; see --reasons"),
            ("held", counts.held, "a person must act"),
            (
                "duplicate",
                counts.duplicate,
                "re-deliveries of stored messages",
            ),
            ("refused", counts.refused, "frames that were not taken"),
        ];
        let rows = rows.map(|(name, count, meaning)| {
            vec![name.to_owned(), count.to_string(), meaning.to_owned()]
        });
        output::table(&["what", "count", "meaning"], rows)?;
    }
    if reasons {
        let found = desk.store.reasons(desk.id).await?;
        if json {
            for reason in &found {
                output::json_line(reason)?;
            }
        } else {
            let rows = found.into_iter().map(|reason| {
                let code = Code::from_name(&reason.code);
                let (meaning, action) =
                    code.map_or(("", ""), |code| (code.meaning(), code.action()));
                vec![
                    reason.state,
                    reason.code,
                    reason.count.to_string(),
                    meaning.to_owned(),
                    action.to_owned(),
                ]
            });
            output::table(&["state", "code", "count", "meaning", "what to do"], rows)?;
        }
    }
    if sum != counts.received {
        bail!(
            "the counts do not add up: {} received, {sum} accounted for; report this",
            counts.received
        );
    }
    Ok(())
}

async fn list(desk: &Desk, which: &Which, limit: u32, json: bool) -> anyhow::Result<()> {
    let found = desk
        .store
        .messages(desk.id, &which.selection(), limit)
        .await?;
    if json {
        for row in &found {
            output::json_line(row)?;
        }
        return Ok(());
    }
    let rows = found.into_iter().map(|row| {
        let reason = [row.code, row.place]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(": ");
        vec![
            row.id,
            row.received_at,
            row.source,
            row.message_type,
            row.state,
            reason,
        ]
    });
    output::table(
        &["id", "received", "source", "type", "state", "reason"],
        rows,
    )?;
    Ok(())
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    row: &'a MessageRow,
    text: Option<String>,
    unreadable: Option<&'static str>,
}

async fn show(desk: &Desk, id: Uuid, asker: &Asker, json: bool) -> anyhow::Result<()> {
    let entry = asker.entry("message.show", ("message", Some(id)));
    let detail = desk.store.message(desk.id, id, &entry).await?;
    let detail = detail.with_context(|| format!("no message {id}; see `careloop message list`"))?;
    let text = detail
        .body
        .as_ref()
        .ok()
        .map(|body| String::from_utf8_lossy(body.open()).into_owned());
    let unreadable = detail.body.as_ref().err().map(|code| code.name());
    if json {
        output::json_line(&Shown {
            row: &detail.row,
            text,
            unreadable,
        })?;
        return Ok(());
    }
    let row = detail.row;
    output::line(&format!(
        "{} {} from {}: {}",
        row.id, row.message_type, row.source, row.state
    ))?;
    if let Some(code) = row.code.as_deref().and_then(Code::from_name) {
        let place = row.place.as_deref().unwrap_or("");
        output::line(&format!(
            "{code} ({place})\n{}\n{}",
            code.meaning(),
            code.action()
        ))?;
    }
    match text {
        Some(text) => output::line(&text.replace('\r', "\n"))?,
        None => {
            output::line("The text was purged after its time, or cannot be opened with this key.")?;
        }
    }
    Ok(())
}
