//! `careloop consent`: entries recorded, imported and withdrawn by named people.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use uuid::Uuid;

use super::context::{Desk, Misused, instant, said};
use super::{Global, directives, import, output};
use crate::clock;
use crate::consent::{Channel, ContentClass, Entry, Purpose};
use crate::phi::Phi;
use crate::store::{AuditEntry, NewOptOut};

/// Commands about consent.
#[derive(Subcommand)]
pub(super) enum ConsentCommand {
    /// Record that a person permits or denies contact.
    Record(Box<RecordArgs>),
    /// Import entries from a CSV file with the columns
    /// assigner,type,identifier,channel,purpose,content,decision,from,until,time,method,source.
    /// Every row is checked before the first is written.
    Import {
        /// The file; empty cells of channel, purpose and content mean "any".
        file: PathBuf,
        /// The name of the person who imports.
        #[arg(long, value_parser = said)]
        operator: String,
    },
    /// Show everything that stands for and against contact with a person, and why each of it counts
    /// or does not; leaves an audit entry.
    Show(directives::ShowArgs),
    /// Lift a restriction that a message told and no table explains, once somebody has read it.
    Lift(directives::LiftArgs),
    /// Withdraw an entry at once: nothing that rests on it leaves after this returns.
    Revoke {
        /// The entry's id, as `careloop person show` lists it.
        id: Uuid,
        /// The name of the person who withdraws it.
        #[arg(long, value_parser = said)]
        operator: String,
    },
    /// Record that a person wants no contact, at once.
    OptOut {
        /// The person's id.
        person: Uuid,
        /// One channel only.
        #[arg(long, value_parser = channel)]
        channel: Option<Channel>,
        /// One contact point only, by its id.
        #[arg(long)]
        contact_point: Option<Uuid>,
        /// The name of the person who records it.
        #[arg(long, value_parser = said)]
        operator: String,
    },
}

/// How consent can be given; a closed list, because the column is not sealed.
pub(super) const METHODS: [&str; 6] = [
    "verbal",
    "written",
    "written-authorization",
    "portal",
    "message",
    "implied",
];

/// One entry.
#[derive(Args)]
pub(super) struct RecordArgs {
    /// The person's id.
    person: Uuid,
    /// permit or deny.
    #[arg(long, value_parser = ["permit", "deny"])]
    decision: String,
    /// The channel; left out it means any.
    #[arg(long, value_parser = channel)]
    channel: Option<Channel>,
    /// The purpose: TREAT, HOPERAT, HMARKT, ETREAT; left out it means any.
    #[arg(long, value_parser = purpose)]
    purpose: Option<Purpose>,
    /// The content class: C0, C1, C2, C3; left out it means any.
    #[arg(long, value_parser = content)]
    content: Option<ContentClass>,
    /// From when it holds; left out it means now.
    #[arg(long, value_parser = instant)]
    from: Option<Timestamp>,
    /// Until when it holds.
    #[arg(long, value_parser = instant)]
    until: Option<Timestamp>,
    /// How it was given.
    #[arg(long, value_parser = METHODS)]
    method: String,
    /// Where the evidence is, such as a form's number.
    #[arg(long)]
    source: String,
    /// The name of the person who records it.
    #[arg(long, value_parser = said)]
    operator: String,
}

fn word<T: Copy>(name: &str, find: fn(&str) -> Option<T>, words: &[&str]) -> Result<T, String> {
    find(name).ok_or_else(|| format!("expected one of {}", words.join(", ")))
}

pub(super) fn channel(name: &str) -> Result<Channel, String> {
    word(name, Channel::from_name, Channel::WORDS)
}

pub(super) fn purpose(name: &str) -> Result<Purpose, String> {
    word(name, Purpose::from_name, Purpose::WORDS)
}

pub(super) fn content(name: &str) -> Result<ContentClass, String> {
    word(name, ContentClass::from_name, ContentClass::WORDS)
}

/// Runs a command about consent.
pub(super) async fn run(global: &Global, command: ConsentCommand) -> anyhow::Result<()> {
    let desk = global.open().await?;
    match command {
        ConsentCommand::Record(args) => record(&desk, *args).await,
        ConsentCommand::Import { file, operator } => import::import(&desk, &file, &operator).await,
        ConsentCommand::Show(args) => directives::show(&desk, args).await,
        ConsentCommand::Lift(args) => directives::lift(&desk, args).await,
        ConsentCommand::Revoke { id, operator } => revoke(&desk, id, &operator).await,
        ConsentCommand::OptOut {
            person,
            channel,
            contact_point,
            operator,
        } => opt_out(&desk, person, (channel, contact_point), &operator).await,
    }
}

async fn record(desk: &Desk, args: RecordArgs) -> anyhow::Result<()> {
    let now = clock::now();
    let entry = Entry {
        id: Uuid::now_v7(),
        channel: args.channel,
        purpose: args.purpose,
        content: args.content,
        permit: args.decision == "permit",
        from: args.from.unwrap_or(now),
        until: args.until,
        recorded_at: now,
        revoked_at: None,
        method: args.method,
        source: args.operator,
    };
    if entry.until.is_some_and(|until| until <= entry.from) {
        return Err(Misused("--until: expected an instant after --from".to_owned()).into());
    }
    let id = entry.id;
    write(desk, args.person, &entry, &Phi::new(args.source)).await?;
    output::line(&format!("recorded as {id}; waiting tasks are asked again"))?;
    Ok(())
}

/// Writes an entry; a denial passes the gate, so that nothing it forbids leaves afterwards.
pub(super) async fn write(
    desk: &Desk,
    person: Uuid,
    entry: &Entry,
    evidence: &Phi<String>,
) -> anyhow::Result<()> {
    let now = clock::now();
    let mut tx = desk.store.read(desk.id).await?;
    let person = tx.survivor(person).await?;
    let record = tx.load(person, now).await?;
    drop(tx);
    let record =
        record.with_context(|| format!("no person {person}; see `careloop person list`"))?;
    let member = record.members.first().context("the person has no record")?;
    let gate = if entry.permit {
        None
    } else {
        Some(desk.store.close_gate(desk.id, person).await?)
    };
    let mut tx = desk.store.write(desk.id).await?;
    tx.record_consent(member, entry, evidence).await?;
    tx.ask_again(person, now).await?;
    tx.audit(&audit("consent.record", entry.id, &entry.source))
        .await?;
    if let Some(gate) = gate {
        tx.open_gate(gate).await?;
    }
    Ok(tx.commit().await?)
}

fn audit(action: &'static str, id: Uuid, operator: &str) -> AuditEntry {
    AuditEntry {
        at: clock::now(),
        actor: format!("operator:{operator}"),
        action,
        outcome: "done",
        purpose: None,
        entity: ("consent", Some(id)),
        message: None,
        detail: None,
    }
}

async fn revoke(desk: &Desk, id: Uuid, operator: &str) -> anyhow::Result<()> {
    let mut tx = desk.store.read(desk.id).await?;
    let person = tx.consent_person(id).await?;
    let person =
        person.with_context(|| format!("no consent entry {id}; see `careloop person show`"))?;
    let person = tx.survivor(person).await?;
    drop(tx);
    let gate = desk.store.close_gate(desk.id, person).await?;
    let now = clock::now();
    let mut tx = desk.store.write(desk.id).await?;
    let touched = tx.revoke_consent(id, now).await?;
    tx.ask_again(person, now).await?;
    tx.audit(&audit("consent.revoke", id, operator)).await?;
    tx.open_gate(gate).await?;
    tx.commit().await?;
    output::line(if touched {
        "withdrawn; nothing that rests on it leaves from now on"
    } else {
        "it was withdrawn before; nothing changed"
    })?;
    Ok(())
}

async fn opt_out(
    desk: &Desk,
    person: Uuid,
    (channel, contact_point): (Option<Channel>, Option<Uuid>),
    operator: &str,
) -> anyhow::Result<()> {
    let now = clock::now();
    let mut tx = desk.store.read(desk.id).await?;
    let record = tx.load(person, now).await?;
    let record =
        record.with_context(|| format!("no person {person}; see `careloop person list`"))?;
    let value_index = match contact_point {
        None => None,
        Some(id) => {
            let found = record.contacts.iter().find(|contact| contact.id == id);
            Some(
                found
                    .with_context(|| format!("the person has no contact point {id}"))?
                    .value_index
                    .clone(),
            )
        }
    };
    let mut people = vec![record.person];
    if let Some(index) = &value_index {
        for sharing in tx.people_sharing(index).await? {
            let survivor = tx.survivor(sharing).await?;
            if !people.contains(&survivor) {
                people.push(survivor);
            }
        }
    }
    people.sort_unstable();
    drop(tx);
    let mut gates = Vec::new();
    for person in &people {
        gates.push(desk.store.close_gate(desk.id, *person).await?);
    }
    let mut tx = desk.store.write(desk.id).await?;
    let opt_out = NewOptOut {
        value_index,
        channel,
        at: now,
        origin: "operator",
    };
    tx.record_opt_out(record.person, &opt_out).await?;
    for person in &people {
        tx.ask_again(*person, now).await?;
    }
    tx.audit(&audit("person.opt-out", record.person, operator))
        .await?;
    for gate in gates {
        tx.open_gate(gate).await?;
    }
    tx.commit().await?;
    output::line("recorded; nothing leaves against it from now on")?;
    Ok(())
}
