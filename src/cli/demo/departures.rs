//! The tasks that left, read back from where they left to.

use std::fs;
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::Value;

use super::report::Person;
use super::words;
use crate::cli::output;
use crate::outbox::envelope::{from_ulid, ulid};
use crate::store::TaskListing;

/// Prints what the CRM would have got, in the order in which it left.
pub(super) fn print(spool: &Path, people: &[Person], tasks: &[TaskListing]) -> anyhow::Result<()> {
    output::line(
        "\n4. Which tasks left\n   \
         A task holds ids, a channel and hours. The name stands in this table only.\n",
    )?;
    let text = if spool.exists() {
        fs::read_to_string(spool).with_context(|| format!("{} cannot be read", spool.display()))?
    } else {
        String::new()
    };
    let mut lines = Vec::new();
    for line in text.lines() {
        lines.push(row(&serde_json::from_str(line)?, people, tasks));
    }
    output::page(
        &["person", "task", "allowed hours", "goes to", "reasons"],
        lines,
    )?;
    Ok(())
}

fn row(envelope: &Value, people: &[Person], tasks: &[TaskListing]) -> Vec<String> {
    let text = |place: &str| envelope.pointer(place).and_then(Value::as_str);
    let shown = |place: &str| text(place).unwrap_or_default().to_owned();
    let whose = text("/data/for").and_then(|whose| whose.split('/').nth(1));
    let person = people
        .iter()
        .find(|person| person.members().any(|id| whose == Some(ulid(id).as_str())));
    let name = person.map_or("?", |person| person.name.as_str()).to_owned();
    let task = text("/data/task/id")
        .and_then(from_ulid)
        .map(|id| id.to_string());
    let goes_to = tasks
        .iter()
        .find(|listed| task.as_deref() == Some(listed.id.as_str()))
        .map(|listed| listed.routing_key.clone());
    let code = shown("/data/task/code");
    let (task, reasons) = match text("/data/task/statusReason") {
        Some(reason) => (format!("{code}\nis taken back"), reason.to_owned()),
        None => (
            format!("{code}\nby {}", shown("/data/contact/channel")),
            reasons(envelope),
        ),
    };
    let instant = |place: &str| text(place).and_then(|at| at.parse::<Timestamp>().ok());
    let hours = instant("/data/consent/window/from")
        .zip(instant("/data/consent/window/to"))
        .zip(text("/data/consent/window/tz"))
        .and_then(|((from, to), zone)| words::window(from, to, zone))
        .unwrap_or_default();
    vec![name, task, hours, goes_to.unwrap_or_default(), reasons]
}

fn reasons(envelope: &Value) -> String {
    let codes = envelope
        .pointer("/data/consent/reasonCodes")
        .and_then(Value::as_array);
    let codes: Vec<&str> = codes
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    codes.join("\n")
}
