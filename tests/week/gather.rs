//! Reads at the end what the checker needs: the commands' JSON and the database's rows.

use std::collections::BTreeMap;

use anyhow::Context;
use careloop::outbox::envelope::ulid;
use jiff::{SignedDuration, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, PgPool, SqlitePool};
use uuid::Uuid;

use crate::history::{History, Link, Stop, Stored};
use crate::hub::Place;
use crate::plan::{Meaning, SOURCES};

/// The database, beside the hub.
pub(crate) enum Database {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Database {
    /// Opens the run's database.
    pub(crate) async fn open(place: &Place) -> anyhow::Result<Self> {
        Ok(if place.database.starts_with("sqlite") {
            Self::Sqlite(SqlitePool::connect(&place.database).await?)
        } else {
            Self::Postgres(PgPool::connect(&place.database).await?)
        })
    }

    /// The rows of a question.
    pub(crate) async fn rows<T>(&self, text: &'static str) -> anyhow::Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        Ok(match self {
            Self::Sqlite(pool) => sqlx::query_as(text).fetch_all(pool).await?,
            Self::Postgres(pool) => sqlx::query_as(text).fetch_all(pool).await?,
        })
    }
}

fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or_default()
}

/// Envelopes that are due at `now`, or about to be tried again, although they were written before `since`.
pub(crate) async fn overdue(
    database: &Database,
    (since, now): (Timestamp, Timestamp),
) -> anyhow::Result<Vec<String>> {
    let rows: Vec<(Uuid, i64, i64)> = database
        .rows(
            "SELECT task, created_at, due_at FROM outbox WHERE state IN ('waiting', 'publishing')",
        )
        .await?;
    // The relay leaves what it could not send alone for at most half a minute.
    let soon = now + SignedDuration::from_secs(60);
    let late = rows
        .into_iter()
        .filter(|(_, written, due)| instant(*due) < soon && instant(*written) < since);
    Ok(late
        .map(|(task, _, due)| format!("{} due {}", ulid(task), instant(due)))
        .collect())
}

/// Fills in what the hub and its store say.
pub(crate) async fn gather(
    place: &Place,
    database: &Database,
    history: &mut History,
) -> anyhow::Result<()> {
    let counts = place.lines(&["message", "count", "--json"]).await?;
    history.counts = counts.first().cloned().context("message count")?;
    history.tasks = place
        .lines(&["task", "list", "--json", "--limit", "1000000"])
        .await?;
    for task in &mut history.tasks {
        let shown = show(place, task["id"].as_str().unwrap_or_default()).await?;
        history
            .shown
            .insert(shown["ulid"].as_str().unwrap_or_default().to_owned(), shown);
        let id: Option<Uuid> = task["id"].as_str().and_then(|id| id.parse().ok());
        if let Some(id) = id {
            task["id"] = ulid(id).into();
        }
    }
    let stored: Vec<(String, String, String, i64, Option<i64>)> = database
        .rows("SELECT source, control_id, state, received_at, finished_at FROM message")
        .await?;
    history.stored = stored
        .into_iter()
        .map(|(source, control, state, received, finished)| Stored {
            source,
            control,
            state,
            received: instant(received),
            finished: finished.map(instant),
        })
        .collect();
    // Messages are about the person whose number is in their control id: so ids become numbers.
    let people: Vec<(Uuid, String)> = database
        .rows("SELECT assertion.person, message.control_id FROM assertion JOIN message ON message.tenant = assertion.tenant AND message.id = assertion.message")
        .await?;
    for (person, control) in people {
        if let Some(number) = number(&control) {
            history.people.insert(ulid(person), number);
        }
    }
    told(history);
    answered(database, history).await
}

async fn show(place: &Place, task: &str) -> anyhow::Result<serde_json::Value> {
    let asked = [
        "--operator",
        "Test Operator",
        "--purpose",
        "operations",
        "--json",
    ];
    let shown = place
        .lines(&[&["task", "show", task], &asked[..]].concat())
        .await?;
    shown.into_iter().next().context("task show")
}

fn number(control: &str) -> Option<usize> {
    control.strip_prefix('W')?.split('-').next()?.parse().ok()
}

/// Stops and merges that came in messages, from the moment the hub had finished them.
fn told(history: &mut History) {
    let finished: BTreeMap<(&str, &str), Timestamp> = history
        .stored
        .iter()
        .filter(|one| one.state == "processed")
        .filter_map(|one| Some(((one.source.as_str(), one.control.as_str()), one.finished?)))
        .collect();
    let (mut stops, mut links) = (Vec::new(), Vec::new());
    for sent in &history.sent {
        let Some(at) = finished
            .get(&(SOURCES[sent.source].0, sent.control.as_str()))
            .copied()
        else {
            continue;
        };
        match sent.meaning {
            Meaning::Stop(person) => stops.push(Stop {
                person,
                at,
                channel: None,
                contact_point: None,
                why: format!("message {}", sent.control),
            }),
            Meaning::Merge {
                survivor, retired, ..
            } => {
                links.push(Link {
                    survivor,
                    retired,
                    from: at,
                    until: None,
                });
            }
            Meaning::Plain | Meaning::Malformed => {}
        }
    }
    history.stops.append(&mut stops);
    for link in &mut links {
        // A merge that somebody undid meanwhile is in the list already, with its end only.
        let undone = history.links.iter().find(|one| one.retired == link.retired);
        link.until = undone.and_then(|one| one.until);
    }
    history.links = links;
}

/// Stops that the CRM told, from the moment the hub had them.
async fn answered(database: &Database, history: &mut History) -> anyhow::Result<()> {
    let rows: Vec<(String, i64)> = database
        .rows("SELECT id, received_at FROM task_event")
        .await?;
    let had: BTreeMap<String, i64> = rows.into_iter().collect();
    let mut stops = Vec::new();
    let stopping = ["opted-out", "reported-deceased", "wrong-number"];
    for answer in history.crm.answered.iter() {
        if !stopping.contains(&answer.outcome.as_str()) {
            continue;
        }
        let at = had.get(&answer.id).copied().map(instant);
        // The version that was answered: a later one may name another number.
        let about = history.crm.received.iter().find(|one| {
            one.task == answer.task && one.version == answer.version && !one.is_cancelled()
        });
        let (Some(at), Some(about)) = (at, about) else {
            continue;
        };
        let Some(person) = history.number(&about.person) else {
            continue;
        };
        let scope = match answer.outcome.as_str() {
            "wrong-number" => Some("contact-point"),
            _ => answer.scope.as_deref(),
        };
        stops.push(Stop {
            person,
            at,
            channel: (scope == Some("channel")).then(|| about.channel.clone()),
            contact_point: (scope == Some("contact-point")).then(|| about.contact_point.clone()),
            why: format!("answer {} {}", answer.id, answer.outcome),
        });
    }
    history.stops.append(&mut stops);
    Ok(())
}
