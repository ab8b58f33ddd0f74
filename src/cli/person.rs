//! `careloop person`: one person with everything that points to them, for a named operator.

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Value, json};
use uuid::Uuid;

use super::context::Desk;
use super::{Asker, Global, holds, output};
use crate::clock;
use crate::consent::Entry;
use crate::crm::View;
use crate::store::{PersonDocument, Record};

/// Commands about people.
#[derive(Subcommand)]
pub(super) enum PersonCommand {
    /// List people by id; shows no protected data.
    List {
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show a person; leaves an audit entry.
    Show {
        /// The person's id; a merged one shows its survivor.
        id: Uuid,
        #[command(flatten)]
        asker: Asker,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// List people whom nobody may contact until somebody has looked, such as after a report of
    /// death that the EHR does not know of; shows no protected data.
    Holds {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Lift a hold that a mistaken report left.
    Release {
        /// The person's id.
        id: Uuid,
        #[command(flatten)]
        asker: Asker,
    },
    /// Include a person in pilot mode, or take them out again.
    Pilot {
        /// The person's id.
        id: Uuid,
        #[command(flatten)]
        asker: Asker,
        /// Take the person out.
        #[arg(long)]
        remove: bool,
    },
}

/// Runs a command about people.
pub(super) async fn run(global: &Global, command: PersonCommand) -> anyhow::Result<()> {
    let desk = global.open().await?;
    match command {
        PersonCommand::Holds { json } => holds::list(&desk, json).await?,
        PersonCommand::Release { id, asker } => holds::release(&desk, id, &asker).await?,
        PersonCommand::List { limit } => {
            for id in desk.store.person_ids(desk.id, limit).await? {
                output::line(&id.to_string())?;
            }
        }
        PersonCommand::Show { id, asker, json } => {
            let entry = asker.entry("person.show", ("person", Some(id)));
            let found = desk.store.person(desk.id, id, &entry, clock::now()).await?;
            let person =
                found.with_context(|| format!("no person {id}; see `careloop person list`"))?;
            let document = document(&desk, &person);
            if json {
                output::json_line(&document)?;
            } else {
                output::line(&serde_json::to_string_pretty(&document)?)?;
            }
        }
        PersonCommand::Pilot { id, asker, remove } => {
            let mut tx = desk.store.read(desk.id).await?;
            let known = tx.load(id, clock::now()).await?;
            drop(tx);
            known.with_context(|| format!("no person {id}; see `careloop person list`"))?;
            let action = if remove {
                "person.pilot.remove"
            } else {
                "person.pilot.add"
            };
            let entry = asker.entry(action, ("person", Some(id)));
            desk.store.set_pilot(desk.id, id, !remove, &entry).await?;
            output::line(if remove {
                "taken out of the pilot"
            } else {
                "included in the pilot"
            })?;
        }
    }
    Ok(())
}

/// The fixed shape of `person show --json`, described in `mappings/README.md`.
fn document(desk: &Desk, person: &PersonDocument) -> Value {
    let record = person.record.open();
    let view = View::of(&record.assertions, &desk.tenant.source_rank);
    let demographics = &view.demographics;
    json!({
        "id": person.id.to_string(),
        "merged": record.members.iter().skip(1).map(|m| m.person.to_string()).collect::<Vec<_>>(),
        "identifiers": person.identifiers.open(),
        "names": demographics.names,
        "birth_date": demographics.birth_date,
        "sex": demographics.sex,
        "contacts": demographics.contacts,
        "addresses": demographics.addresses,
        "language": demographics.language,
        "deceased": demographics.deceased,
        "restrictions": demographics.restrictions,
        "appointments": view.chart.appointments,
        "requests": view.chart.requests,
        "pointers": view.chart.pointers,
        "findings": findings(record),
        "consents": record.entries.iter().map(consent).collect::<Vec<_>>(),
        "opt_outs": record.opt_outs.len(),
        "holds": record.holds,
        "pilot": record.is_pilot,
    })
}

fn findings(record: &Record) -> Vec<Value> {
    record
        .findings
        .iter()
        .map(|finding| {
            json!({
                "id": finding.id.to_string(),
                "rule": finding.detail.rule,
                "state": finding.state,
                "status": finding.detail.status,
                "due": finding.detail.due,
                "reason": finding.detail.reason,
                "reason_code": finding.detail.reason_code,
                "opened_at": finding.opened_at.to_string(),
            })
        })
        .collect()
}

/// An entry of consent, as every command shows it.
pub(super) fn consent(entry: &Entry) -> Value {
    json!({
        "id": entry.id.to_string(),
        "channel": entry.channel,
        "purpose": entry.purpose,
        "content": entry.content,
        "permit": entry.permit,
        "from": entry.from.to_string(),
        "until": entry.until.map(|at| at.to_string()),
        "revoked_at": entry.revoked_at.map(|at| at.to_string()),
        "method": entry.method,
        "source": entry.source,
    })
}
