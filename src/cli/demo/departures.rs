//! The tasks that left, read back from where they left to.

use std::fs;
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use serde_json::Value;

use super::report::Person;
use super::words;
use crate::cli::output;

/// Prints what the CRM would have got, in the order in which it left.
pub(super) fn print(spool: &Path, people: &[Person]) -> anyhow::Result<()> {
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
        lines.push(row(&serde_json::from_str(line)?, people));
    }
    output::page(
        &["person", "task", "allowed hours", "goes to", "reasons"],
        lines,
    )?;
    Ok(())
}

fn row(envelope: &Value, people: &[Person]) -> Vec<String> {
    let text = |place: &str| envelope.pointer(place).and_then(Value::as_str);
    let shown = |place: &str| text(place).unwrap_or_default().to_owned();
    let found = text("/data/dedupe/key").and_then(|key| {
        let mut all = people
            .iter()
            .flat_map(|one| one.tasks().iter().map(move |task| (one, task)));
        all.find(|(_, task)| key == hexadecimal(&task.key))
    });
    let name = found
        .map_or("?", |(person, _)| person.name.as_str())
        .to_owned();
    let goes_to = found.map(|(_, task)| task.routing_key.clone());
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

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
