//! `careloop consent import`: entries from a CSV file, every row checked before the first is written.

use std::path::Path;

use anyhow::Context;
use csv::StringRecord;
use serde::Deserialize;
use uuid::Uuid;

use super::consent::{METHODS, channel, content, purpose, write};
use super::context::{Desk, Unreadable, instant};
use super::output;
use crate::consent::Entry;
use crate::crm::Identifier;
use crate::phi::Phi;
use crate::store::TenantKeys;

/// A row of an import file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    assigner: String,
    #[serde(rename = "type")]
    kind: String,
    identifier: String,
    channel: String,
    purpose: String,
    content: String,
    decision: String,
    from: String,
    until: String,
    time: String,
    method: String,
    source: String,
}

impl Row {
    fn entry(&self, id: Uuid, operator: &str) -> Result<Entry, String> {
        let at = |name: &str, text: &str| match text.trim() {
            "" => Ok(None),
            text => instant(text)
                .map(Some)
                .map_err(|error| format!("{name}: {error}")),
        };
        let recorded_at =
            at("time", &self.time)?.ok_or("time: expected when it was given, found nothing")?;
        let permit = match self.decision.trim() {
            "permit" => true,
            "deny" => false,
            _ => return Err("decision: expected permit or deny".to_owned()),
        };
        if !METHODS.contains(&self.method.trim()) {
            return Err(format!("method: expected one of {}", METHODS.join(", ")));
        }
        if self.source.trim().is_empty() {
            return Err("source: expected where it is written, found nothing".to_owned());
        }
        let from = at("from", &self.from)?.unwrap_or(recorded_at);
        let until = at("until", &self.until)?;
        if until.is_some_and(|until| until <= from) {
            return Err("until: expected an instant after from".to_owned());
        }
        Ok(Entry {
            id,
            channel: any(&self.channel)
                .map(channel)
                .transpose()
                .map_err(|e| format!("channel: {e}"))?,
            purpose: any(&self.purpose)
                .map(purpose)
                .transpose()
                .map_err(|e| format!("purpose: {e}"))?,
            content: any(&self.content)
                .map(content)
                .transpose()
                .map_err(|e| format!("content: {e}"))?,
            permit,
            from,
            until,
            recorded_at,
            revoked_at: None,
            method: self.method.trim().to_owned(),
            source: operator.to_owned(),
        })
    }

    /// The same row has the same id, so that a file imported twice, or once more after it broke off,
    /// adds nothing twice.
    fn id(&self, keys: &TenantKeys) -> Uuid {
        let parts = [
            &self.assigner,
            &self.kind,
            &self.identifier,
            &self.channel,
            &self.purpose,
            &self.content,
            &self.decision,
            &self.from,
            &self.until,
            &self.time,
            &self.method,
            &self.source,
        ];
        let index = keys
            .index
            .index("consent_import", &parts.map(String::as_str));
        Uuid::from_slice(&index).unwrap_or_else(|_length| Uuid::now_v7())
    }

    fn identifier(&self) -> Identifier {
        Identifier {
            value: self.identifier.trim().to_owned(),
            assigner: any(&self.assigner).map(ToOwned::to_owned),
            kind: any(&self.kind).map(ToOwned::to_owned),
        }
    }
}

fn any(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// Reads, checks and writes an import file.
pub(super) async fn import(desk: &Desk, file: &Path, operator: &str) -> anyhow::Result<()> {
    let text = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_slice());
    let columns = reader.headers()?.clone();
    let mut ready = Vec::new();
    let mut problems = Vec::new();
    for row in reader.records() {
        let at = row
            .as_ref()
            .map_or_else(csv::Error::position, StringRecord::position);
        let byte = at.map_or(0, csv::Position::byte);
        let row = match row.and_then(|row| row.deserialize::<Row>(Some(&columns))) {
            Ok(row) => row,
            Err(_form) => {
                problems.push(format!(
                    "line {}: expected the 12 columns of `careloop consent import --help`",
                    line_of(&text, byte)
                ));
                continue;
            }
        };
        let mut tx = desk.store.read(desk.id).await?;
        let people = tx.find_people(&[row.identifier()]).await?;
        let id = row.id(&tx.shared_keys());
        match (row.entry(id, operator), people.as_slice()) {
            (Ok(entry), [person]) => ready.push((*person, entry, row.source)),
            (Err(problem), _) => {
                problems.push(format!("line {}: {problem}", line_of(&text, byte)));
            }
            (_, _) => problems.push(format!(
                "line {}: identifier: expected a known person, found none",
                line_of(&text, byte)
            )),
        }
    }
    if !problems.is_empty() {
        return Err(Unreadable(format!("nothing was imported:\n{}", problems.join("\n"))).into());
    }
    let total = ready.len();
    for (done, (person, entry, source)) in (1_usize..).zip(ready) {
        write(desk, person, &entry, &Phi::new(source)).await?;
        if done.is_multiple_of(500) {
            output::error(&format!("{done} of {total}"));
        }
    }
    output::line(&format!(
        "{total} entries imported; waiting tasks are asked again"
    ))?;
    Ok(())
}

/// The line of the row at or after a byte: cells may hold line ends, and empty lines are no rows.
fn line_of(text: &[u8], byte: u64) -> usize {
    let from = usize::try_from(byte).unwrap_or(usize::MAX);
    let after = text.iter().skip(from);
    let empty = after
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count();
    let before = text.iter().take(from.saturating_add(empty));
    before.filter(|byte| **byte == b'\n').count() + 1
}
