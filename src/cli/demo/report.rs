//! What became of the feed, as tables that a newcomer can read.

use std::collections::HashMap;

use anyhow::Context;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::{Delivery, OPERATOR, Stage, departures, words};
use crate::care::{FindingState, Rules, TaskState, TopicEnd};
use crate::cli::output;
use crate::clock;
use crate::config::{Config, Source};
use crate::crm::{Identifier, RequestKind, View};
use crate::daemon;
use crate::failure::Code;
use crate::mapping::Bundle;
use crate::store::{
    AuditEntry, MessageRow, MessageSelection, PersonDocument, TaskListing, TaskRow,
};

/// More people, messages or tasks than the feed holds.
const ALL: u32 = 500;

/// A person of the feed with everything that points to them.
pub(super) struct Person {
    /// The invented name.
    pub(super) name: String,
    id: Uuid,
    document: PersonDocument,
}

impl Person {
    /// Every task that was made for the person.
    pub(super) fn tasks(&self) -> &[TaskRow] {
        &self.document.record.open().tasks
    }
}

/// Prints every table.
pub(super) async fn print(
    stage: &Stage<'_>,
    config: &Config,
    deliveries: &[Delivery],
) -> anyhow::Result<()> {
    let tenant = config
        .tenants
        .first()
        .context("the demo has lost its tenant")?;
    let source = tenant
        .sources
        .first()
        .context("the demo has lost its source")?;
    let rows = messages(stage, source, deliveries).await?;
    let people = people(stage, &tenant.source_rank).await?;
    show_people(&people, &tenant.source_rank)?;
    findings(&people)?;
    let store = &stage.daemon.store;
    let tasks = store.task_list(stage.tenant, None, None, ALL).await?;
    departures::print(&stage.folder.spool(), &people)?;
    stayed(&people, &tasks, &tenant.zone)?;
    accounts(stage).await?;
    further(stage, &rows, &people)
}

async fn messages(
    stage: &Stage<'_>,
    source: &Source,
    deliveries: &[Delivery],
) -> anyhow::Result<Vec<MessageRow>> {
    let bundle = Bundle::embedded(&daemon::layers(&source.layers));
    let bundle = bundle
        .ok()
        .context("the demo's mapping layer does not compile")?;
    let selection = MessageSelection::default();
    let store = &stage.daemon.store;
    let rows = store.messages(stage.tenant, &selection, ALL).await?;
    output::line(
        "\n1. What arrived over MLLP, and what it was understood as\n   \
         The answer AA is given once a message is stored durably: the sender may forget it then.\n",
    )?;
    let lines = deliveries.iter().map(|sent| {
        let text = String::from_utf8_lossy(&sent.bytes);
        let control_id = text.split('|').nth(9).unwrap_or_default();
        let row = rows.iter().find(|row| row.control_id == control_id);
        let kind = row.map_or("", |row| row.message_type.as_str());
        let (state, meaning) = match row {
            Some(row) if sent.is_repeat => (
                "known already".to_owned(),
                format!(
                    "seen {} times, stored once: nothing happens twice",
                    row.times_seen
                ),
            ),
            Some(row) => (row.state.clone(), meaning(row, &bundle, source, sent)),
            None => ("?".to_owned(), String::new()),
        };
        vec![
            sent.title.clone(),
            kind.to_owned(),
            sent.answer.clone(),
            state,
            meaning,
        ]
    });
    output::page(
        &["message", "type", "answer", "state", "understood as"],
        lines,
    )?;
    Ok(rows)
}

fn meaning(row: &MessageRow, bundle: &Bundle, source: &Source, sent: &Delivery) -> String {
    let place = row.place.as_deref().unwrap_or_default();
    match row.code.as_deref().and_then(Code::from_name) {
        Some(Code::IgnoredByMapping) => place.to_owned(),
        Some(code) => format!("{place}. {}", code.action()),
        None => words::understood(bundle, &source.zone, &sent.bytes),
    }
}

/// Everybody, merged records once. Reading leaves an audit entry, as for any operator.
async fn people(stage: &Stage<'_>, rank: &[String]) -> anyhow::Result<Vec<Person>> {
    let store = &stage.daemon.store;
    let mut people: Vec<Person> = Vec::new();
    for id in store.person_ids(stage.tenant, ALL).await? {
        let entry = AuditEntry {
            at: clock::now(),
            actor: format!("operator:{OPERATOR}"),
            action: "person.show",
            outcome: "done",
            purpose: Some("operations".to_owned()),
            entity: ("person", Some(id)),
            message: None,
            detail: None,
        };
        let found = store.person(stage.tenant, id, &entry, clock::now()).await?;
        let document = found.context("a person has no record")?;
        if people.iter().any(|person| person.id == document.id) {
            continue;
        }
        let view = View::of(&document.record.open().assertions, rank);
        let name = view.demographics.names.first().map_or_else(
            || "?".to_owned(),
            |name| {
                let family = name.family.iter().cloned();
                let parts: Vec<String> = name.given.iter().cloned().chain(family).collect();
                parts.join(" ")
            },
        );
        people.push(Person {
            name,
            id: document.id,
            document,
        });
    }
    people.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(people)
}

fn show_people(people: &[Person], rank: &[String]) -> anyhow::Result<()> {
    output::line(
        "\n2. Whom it knows now (names are shown because they are invented; each look is audited)\n   \
         Clinical data stays in the EHR: a pointer says that there is a diagnosis or a result, never its code, value or text.\n",
    )?;
    let lines = people.iter().map(|person| {
        let record = person.document.record.open();
        let view = View::of(&record.assertions, rank);
        let numbers: Vec<&str> = person
            .document
            .identifiers
            .open()
            .iter()
            .map(|identifier: &Identifier| identifier.value.as_str())
            .collect();
        let states = view.demographics.addresses.iter();
        let states: Vec<&str> = states
            .filter_map(|address| address.state.as_deref())
            .collect();
        let requests = &view.chart.requests;
        let referrals = requests
            .iter()
            .filter(|request| request.kind == RequestKind::Referral)
            .count();
        vec![
            person.name.clone(),
            numbers.join(" + "),
            states.join(" "),
            view.chart.appointments.len().to_string(),
            referrals.to_string(),
            (requests.len() - referrals).to_string(),
            view.chart.pointers.len().to_string(),
            consent(record),
        ]
    });
    output::page(
        &[
            "person",
            "numbers",
            "state",
            "appointments",
            "referrals",
            "orders",
            "pointers",
            "consent",
        ],
        lines,
    )?;
    Ok(())
}

fn consent(record: &crate::store::Record) -> String {
    if record.entries.is_empty() {
        return "nothing".to_owned();
    }
    let entries = record.entries.iter().map(|entry| {
        let decision = if entry.permit { "yes" } else { "no" };
        let channel = entry
            .channel
            .map_or("in any way", |channel| channel.plain());
        format!("{decision}: {channel}")
    });
    entries.collect::<Vec<_>>().join(", ")
}

fn findings(people: &[Person]) -> anyhow::Result<()> {
    let rules = Rules::embedded()
        .ok()
        .context("the shipped rules do not compile")?;
    output::line("\n3. What it found: care gaps, outstanding referrals, missed appointments\n")?;
    let mut lines = Vec::new();
    for person in people {
        for finding in &person.document.record.open().findings {
            let detail = &finding.detail;
            let title = rules
                .get(&detail.rule)
                .map_or("", |rule| rule.title.as_str());
            let state = match finding.state {
                FindingState::Prospective => "falls due soon",
                state => state.name(),
            };
            let due = detail.due.map(|due| due.to_string()).unwrap_or_default();
            lines.push(vec![
                person.name.clone(),
                title.to_owned(),
                state.to_owned(),
                due,
                detail.reason.clone(),
            ]);
        }
    }
    output::page(&["person", "finding", "state", "due", "why"], lines)?;
    Ok(())
}

/// Tasks that did not leave, or not yet, with the reason.
fn stayed(people: &[Person], listed: &[TaskListing], zone: &TimeZone) -> anyhow::Result<()> {
    let by_id: HashMap<&str, &TaskListing> =
        listed.iter().map(|task| (task.id.as_str(), task)).collect();
    output::line("\n5. Which tasks stayed here, and why\n")?;
    let mut lines = Vec::new();
    for person in people {
        for task in person.tasks() {
            let id = task.id.to_string();
            let Some(listing) = by_id.get(id.as_str()) else {
                continue;
            };
            if let Some((state, why)) = staying(task, listing) {
                let code = task.detail.code.name();
                let again = listing.next_allowed_at.as_deref();
                let again = again.filter(|_| !task.state.is_terminal());
                let again = again.and_then(|at| at.parse().ok()).map(|at| {
                    let zone_name = zone.iana_name().unwrap_or("UTC");
                    format!(" Asked again {} ({zone_name}).", words::clock(at, zone))
                });
                lines.push(vec![
                    person.name.clone(),
                    code.to_owned(),
                    state.to_owned(),
                    why + &again.unwrap_or_default(),
                ]);
            }
        }
    }
    output::page(&["person", "task", "state", "why"], lines)?;
    Ok(())
}

fn staying(task: &TaskRow, listing: &TaskListing) -> Option<(&'static str, String)> {
    let why = listing.reason.clone().unwrap_or_default();
    match task.state {
        TaskState::Withheld => Some(("withheld", why)),
        TaskState::Deferred => Some(("waits", why)),
        TaskState::Observed => Some((
            "only observed",
            format!(
                "Only tests spoke of this person, or the rule, place or source only observes. Without that: {why}"
            ),
        )),
        TaskState::Cancelled if task.released_at.is_none() => {
            let mut ends = task.detail.topics.iter().filter_map(|topic| topic.ended);
            let shared = ends.any(|(_, why)| why == TopicEnd::Moved);
            Some(if shared {
                (
                    "shared",
                    "It is a reason of another task now: one contact for both.".to_owned(),
                )
            } else {
                ("ended", "What it was for is settled.".to_owned())
            })
        }
        TaskState::Expired => Some(("too late", "Its due date has passed.".to_owned())),
        _ => None,
    }
}

async fn accounts(stage: &Stage<'_>) -> anyhow::Result<()> {
    let counts = stage.daemon.store.counts(stage.tenant).await?;
    let sum = counts.waiting + counts.processed + counts.ignored + counts.held;
    let verdict = if sum == counts.received {
        "it adds up: nothing that was acknowledged is lost"
    } else {
        "IT DOES NOT ADD UP: this is a bug"
    };
    output::line(&format!(
        "\n6. The account of every message\n   {} received = {} waiting + {} processed + {} ignored + {} held; {verdict}.\n   \
         Besides: {} delivered once more, {} frames refused.",
        counts.received,
        counts.waiting,
        counts.processed,
        counts.ignored,
        counts.held,
        counts.duplicate,
        counts.refused
    ))?;
    Ok(())
}

/// Commands that work as they are printed.
fn further(stage: &Stage<'_>, rows: &[MessageRow], people: &[Person]) -> anyhow::Result<()> {
    let program = stage.program;
    let config = stage.folder.config();
    let careloop = format!("{program} --config {}", config.display());
    let asker = "--operator you --purpose support";
    let held = rows.iter().find(|row| row.state == "held");
    let held = held.map_or("ID", |row| row.id.as_str());
    let person = people
        .first()
        .map_or_else(|| "ID".to_owned(), |p| p.id.to_string());
    output::line(&format!(
        "\n7. Look further\n   \
         {careloop} message list --state held\n   \
         {careloop} message show {held} {asker}\n   \
         {careloop} person show {person} {asker}\n   \
         {careloop} task list\n   \
         {program} mapping try --overlay {layer} --zone America/New_York --json {feed}\n   \
         {spool}   the tasks as your CRM would get them: no name, no number, no diagnosis\n   \
         {config}   a configuration to start from; {log}   the log",
        layer = stage.folder.root.join("site.toml").display(),
        feed = stage.folder.feed().display(),
        spool = stage.folder.spool().display(),
        config = config.display(),
        log = stage.folder.log().display(),
    ))?;
    Ok(())
}
