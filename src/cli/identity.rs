//! `careloop identity`: who is who, decided by named people: doubtful messages, proposed links,
//! merges undone.

use std::sync::Arc;

use anyhow::Context;
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::context::{Desk, Misused};
use super::{Asker, Global, Why, output};
use crate::clock;
use crate::daemon;
use crate::failure::Code;
use crate::message::State;
use crate::pipeline::{Decided, Decider, Identities, Known, Refused};
use crate::store::{MessageSelection, ProposalRow};

/// Commands about identities.
#[derive(Subcommand)]
pub(super) enum IdentityCommand {
    /// What a person must decide: held messages and proposed links; shows no protected data.
    List {
        /// Only these: held, proposed, kept-apart or merged (the last two are decided already).
        #[arg(long, value_parser = ["held", "proposed", "kept-apart", "merged"])]
        what: Option<String>,
        /// At most this many of each.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Show a proposal's two people, or a held message and whom it reaches, side by side; leaves an
    /// audit entry.
    Show {
        /// The id of a proposal or a held message, as `identity list` shows it.
        id: Uuid,
        #[command(flatten)]
        asker: Asker,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Say that two records are one person, or whom a held message means.
    Link {
        /// The id of a proposal, a person, or a held message.
        id: Uuid,
        /// The person who stays, or whom the message means; of a proposal, one of the two.
        #[arg(long)]
        to: Option<Uuid>,
        #[command(flatten)]
        why: Why,
    },
    /// Say that two records are two people, or that the numbers of a held message are somebody
    /// else's: those of `--to`, or of a new person.
    KeepApart {
        /// The id of a proposal, a person, or a held message.
        id: Uuid,
        /// Of a person: the other one.
        #[arg(long)]
        from: Option<Uuid>,
        /// Of a message: whose its numbers are.
        #[arg(long, conflicts_with = "from")]
        to: Option<Uuid>,
        #[command(flatten)]
        why: Why,
    },
    /// Undo a merge: by a message or by an operator. What followed from it is put right.
    Unmerge {
        /// The person who went: one of `merged` in `person show`, or `identity list --what merged`.
        person: Uuid,
        #[command(flatten)]
        why: Why,
    },
}

/// What an id stands for.
enum Named {
    Proposal(ProposalRow),
    Message,
    Person,
}

/// Runs a command about identities.
pub(super) async fn run(global: &Global, command: IdentityCommand) -> anyhow::Result<()> {
    let desk = global.open().await?;
    match command {
        IdentityCommand::List { what, limit, json } => {
            list(&desk, what.as_deref(), limit, json).await
        }
        IdentityCommand::Show { id, asker, json } => show(&desk, id, &asker, json).await,
        IdentityCommand::Link { id, to, why } => link(&desk, id, to, &why.decider()).await,
        IdentityCommand::KeepApart { id, from, to, why } => {
            keep_apart(&desk, id, (from, to), &why.decider()).await
        }
        IdentityCommand::Unmerge { person, why } => {
            let identities = identities(&desk).await?;
            let decided = identities.unmerge(person, &why.decider()).await?;
            told(
                decided,
                "apart again",
                "the person is not merged into anybody",
            )
        }
    }
}

async fn identities(desk: &Desk) -> anyhow::Result<Identities> {
    let site = daemon::site(&desk.store, &desk.tenant).await?;
    Ok(Identities::new(desk.store.clone(), Arc::new(site)))
}

async fn named(desk: &Desk, id: Uuid) -> anyhow::Result<Named> {
    let mut tx = desk.store.read(desk.id).await?;
    if let Some(row) = tx.proposal(id).await? {
        return Ok(Named::Proposal(row));
    }
    if tx.load(id, clock::now()).await?.is_some() {
        return Ok(Named::Person);
    }
    drop(tx);
    let selection = MessageSelection {
        id: Some(id),
        ..MessageSelection::default()
    };
    let found = desk.store.messages(desk.id, &selection, 1).await?;
    let found = found.first();
    found.with_context(|| {
        format!("no proposal, message or person {id}; see `careloop identity list`")
    })?;
    Ok(Named::Message)
}

async fn link(desk: &Desk, id: Uuid, to: Option<Uuid>, decider: &Decider) -> anyhow::Result<()> {
    let missing = || Misused("--to: expected the id of a person, found nothing".to_owned());
    let identities = identities(desk).await?;
    let decided = match named(desk, id).await? {
        Named::Proposal(row) => {
            // The older record stays unless the operator says otherwise.
            let keep = to.unwrap_or(row.low);
            if keep != row.low && keep != row.high {
                let says = "--to: expected one of the two people of the proposal, found another";
                return Err(Misused(says.to_owned()).into());
            }
            identities.link(row.other(keep), keep, decider).await?
        }
        Named::Person => {
            let keep = to.ok_or_else(missing)?;
            identities.link(id, keep, decider).await?
        }
        Named::Message => {
            let person = to.ok_or_else(missing)?;
            identities.means(id, person, decider).await?
        }
    };
    told(decided, "linked", "that stood already")
}

async fn keep_apart(
    desk: &Desk,
    id: Uuid,
    (from, to): (Option<Uuid>, Option<Uuid>),
    decider: &Decider,
) -> anyhow::Result<()> {
    let identities = identities(desk).await?;
    let decided = match named(desk, id).await? {
        Named::Proposal(row) => identities.keep_apart((row.low, row.high), decider).await?,
        Named::Person => {
            let missing = "--from: expected the id of the other person, found nothing";
            let other = from.ok_or_else(|| Misused(missing.to_owned()))?;
            identities.keep_apart((id, other), decider).await?
        }
        Named::Message => identities.assign(id, to, decider).await?,
    };
    told(decided, "kept apart", "that stood already")
}

fn told(decided: Decided, done: &str, nothing: &str) -> anyhow::Result<()> {
    if !decided.changed && decided.again == 0 {
        output::line(&format!("{nothing}; nothing changed"))?;
        return Ok(());
    }
    output::line(&format!(
        "{done}; {} messages run again, each source's in its order",
        decided.again
    ))?;
    if decided.purged > 0 {
        output::line(&format!(
            "{} messages named numbers of both and cannot run again, because their text was purged; what they said stays where it is: have the sender send it again",
            decided.purged
        ))?;
    }
    Ok(())
}

/// A line of the work list.
#[derive(Serialize)]
struct Listed {
    kind: &'static str,
    id: String,
    people: Vec<String>,
    reason: String,
    age_hours: i64,
    decided_by: Option<String>,
}

async fn list(desk: &Desk, what: Option<&str>, limit: u32, json: bool) -> anyhow::Result<()> {
    let now = clock::now();
    let asked = |kind: &str| what.map_or(matches!(kind, "held" | "proposed"), |one| one == kind);
    let mut lines = Vec::new();
    if asked("held") {
        lines.extend(held(desk, limit, now).await?);
    }
    let mut tx = desk.store.read(desk.id).await?;
    for (kind, state) in [("proposed", "open"), ("kept-apart", "kept-apart")] {
        if asked(kind) {
            let found = tx.proposals(state, limit).await?;
            lines.extend(found.into_iter().map(|row| proposal(kind, &row, now)));
        }
    }
    if asked("merged") {
        for link in tx.links(limit).await? {
            let by = link.made_by.as_ref().map(|name| format!("operator:{name}"));
            let message = link.message.map(|id| format!("message {id}"));
            lines.push(Listed {
                kind: "merged",
                id: link.retired.to_string(),
                people: vec![link.retired.to_string(), link.survivor.to_string()],
                reason: message.unwrap_or_else(|| "by an operator".to_owned()),
                age_hours: hours(link.since_at, now),
                decided_by: by,
            });
        }
    }
    if json {
        for line in &lines {
            output::json_line(line)?;
        }
        return Ok(());
    }
    let rows = lines.into_iter().map(|line| {
        let age = format!("{} h", line.age_hours);
        let who = line.people.join(" ");
        vec![line.kind.to_owned(), line.id, who, line.reason, age]
    });
    output::table(&["what", "id", "people", "why", "age"], rows)?;
    Ok(())
}

/// Messages that are held because nobody could tell whom they mean.
async fn held(desk: &Desk, limit: u32, now: Timestamp) -> anyhow::Result<Vec<Listed>> {
    let codes = [
        Code::IdentityAmbiguous,
        Code::IdentityConflict,
        Code::NoIdentifier,
        Code::MergeUnknown,
        Code::ChangeUnresolved,
        Code::MoveUnresolved,
        Code::LinkUnresolved,
    ];
    let mut lines = Vec::new();
    for code in codes {
        let selection = MessageSelection {
            state: Some(State::Held),
            code: Some(code),
            ..MessageSelection::default()
        };
        for row in desk.store.messages(desk.id, &selection, limit).await? {
            let received = row.received_at.parse().unwrap_or(now);
            lines.push(Listed {
                kind: "held",
                id: row.id,
                people: Vec::new(),
                reason: format!(
                    "{} {}: {}",
                    row.message_type,
                    code.name(),
                    row.place.unwrap_or_default()
                ),
                age_hours: hours(received, now),
                decided_by: None,
            });
        }
    }
    Ok(lines)
}

fn proposal(kind: &'static str, row: &ProposalRow, now: Timestamp) -> Listed {
    let (agree, differ) = (row.agree().count(), words(&row.differ));
    let told = if row.is_told() {
        "the EHR links them (A24); "
    } else {
        ""
    };
    Listed {
        kind,
        id: row.id.to_string(),
        people: vec![row.low.to_string(), row.high.to_string()],
        reason: format!("{told}score {}: {agree} agree, {differ} differ", row.score),
        age_hours: hours(row.proposed_at(), now),
        decided_by: row.decided_by.clone(),
    }
}

fn words(list: &str) -> usize {
    list.split_whitespace().count()
}

fn hours(since: Timestamp, now: Timestamp) -> i64 {
    now.duration_since(since).as_hours()
}

async fn show(desk: &Desk, id: Uuid, asker: &Asker, json: bool) -> anyhow::Result<()> {
    let identities = identities(desk).await?;
    let document = match named(desk, id).await? {
        Named::Proposal(row) => {
            let entry = asker.entry("identity.show", ("proposal", Some(id)));
            let people = identities.beside(&[row.low, row.high], &entry).await?;
            json!({
                "proposal": row.id.to_string(),
                "state": row.state,
                "score": row.score,
                "told": row.is_told(),
                "agree": row.agree().collect::<Vec<_>>(),
                "differ": row.differ.split_whitespace().collect::<Vec<_>>(),
                "decided_by": row.decided_by,
                "people": people.iter().map(known).collect::<Vec<_>>(),
            })
        }
        Named::Message => {
            let entry = asker.entry("identity.show", ("message", Some(id)));
            let doubts = identities.doubt(id, &entry).await?;
            let says = doubts.iter().map(|doubt| {
                let patient = doubt.patient.open();
                json!({
                    "says": {
                        "identifiers": patient.identifiers,
                        "names": patient.names.value(),
                        "birth_date": patient.birth_date.value(),
                        "sex": patient.sex.value(),
                        "contacts": patient.contacts.value(),
                        "addresses": patient.addresses.value(),
                    },
                    "reaches": doubt.reached.iter().map(known).collect::<Vec<_>>(),
                })
            });
            json!({ "message": id.to_string(), "people": says.collect::<Vec<_>>() })
        }
        Named::Person => {
            let fit = "a person is shown by `careloop person show`";
            return Err(Refused::Unfit(fit).into());
        }
    };
    if json {
        output::json_line(&document)?;
    } else {
        output::line(&serde_json::to_string_pretty(&document)?)?;
    }
    Ok(())
}

fn known(known: &Known) -> Value {
    let demographics = known.demographics.open();
    json!({
        "id": known.person.to_string(),
        "identifiers": known.identifiers.open(),
        "names": demographics.names,
        "birth_date": demographics.birth_date,
        "sex": demographics.sex,
        "contacts": demographics.contacts,
        "addresses": demographics.addresses,
    })
}
