//! The week itself: everybody starts, things break and are mended, everybody stops.

use std::time::Duration;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Arguments;
use crate::crm::Crm;
use crate::gather::{self, Database};
use crate::history::{History, Link, Outage, Stop};
use crate::hub::{Place, free, services};
use crate::own;
use crate::plan::{self, Meaning, Order, Plan, SILENT, SOURCES, What};
use crate::sender::{self, Sent};
use crate::time::Pace;
use crate::webhook;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Plays the week and gives what everybody remembers.
pub(crate) async fn week(arguments: &Arguments) -> anyhow::Result<History> {
    // Sunday afternoon in New York; the week that follows has the night without an hour in it.
    let base: Timestamp = "2026-03-01T19:00:00Z".parse()?;
    let webhook = TcpListener::bind(("127.0.0.1", 0)).await?;
    let amqp = std::env::var("CARELOOP_TEST_AMQP")
        .context("CARELOOP_TEST_AMQP; tests/week/run sets it")?;
    let mut place = Place {
        folder: arguments.folder.clone(),
        program: arguments.program.clone(),
        clock: arguments.clock.clone(),
        pace: Pace::new(base, 7 * 24 * 60 / arguments.minutes),
        broker: amqp.replace("%2f", &format!("week_{}", std::process::id())),
        listen: SOURCES
            .iter()
            .map(|_| free())
            .collect::<anyhow::Result<_>>()?,
        http: free()?,
        database: String::new(),
    };
    place
        .furnish(&arguments.store, webhook.local_addr()?)
        .await?;
    // The week begins when the hub is there: starting takes as long as the machine likes.
    place.pace = Pace::new(base, place.pace.rate());
    let child = place.serve().await?;
    let token = place
        .cli(&[
            "token",
            "create",
            "--name",
            "crm-week",
            "--scope",
            "task:content,decision:read",
            "--purpose",
            "TREAT",
            "--days",
            "30",
            "--operator",
            "Test Operator",
        ])
        .await?;
    play(arguments, place, (child, token.trim().to_owned()), webhook).await
}

async fn play(
    arguments: &Arguments,
    place: Place,
    (child, token): (Child, String),
    listener: TcpListener,
) -> anyhow::Result<History> {
    let pace = place.pace;
    let people = arguments
        .people
        .unwrap_or(usize::try_from(arguments.minutes * 40)?.min(1_200));
    let gap = (pace.base + HOUR * 60, pace.base + HOUR * 86);
    let plan = plan::draw(arguments.seed, pace.base, people, gap);
    println!(
        "{people} people, {} messages, {} commands; {} times faster",
        plan.events.len(),
        plan.orders.len(),
        pace.rate()
    );
    let mut history = History {
        states: plan.people.iter().map(|person| person.state).collect(),
        phones: plan
            .people
            .iter()
            .map(|person| person.phone.clone())
            .collect(),
        limits: place.limits(),
        slack: pace.of_real(1),
        ..History::default()
    };
    let (told, mut notices) = tokio::sync::mpsc::channel(10_000);
    let hook = tokio::task::spawn(webhook::listen(listener, told, pace));
    let stop = CancellationToken::new();
    let crm = Crm::new(
        place.broker.clone(),
        place.http,
        token,
        (pace, arguments.seed),
    );
    let crm = tokio::task::spawn(crm.run(stop.clone()));
    let (senders, orders, merges) = start(plan, &place);
    let orders = tokio::task::spawn(obey(place.clone(), orders, merges));
    let mut child = trouble(arguments, &place, child, &mut history).await?;
    for sender in senders {
        history.sent.append(&mut sender.await?);
    }
    println!("{}  the senders are done", pace.now().strftime("%a %H:%M"));
    let (mut stops, links) = orders.await??;
    history.stops.append(&mut stops);
    history.links = links;
    pace.until(pace.base + WEEK).await;
    settle(&place, &mut history).await?;
    stop.cancel();
    history.crm = crm.await?;
    history.ended = pace.now();
    own::stop(&mut child).await?;
    hook.abort();
    while let Ok(notice) = notices.try_recv() {
        history.notices.push(notice);
    }
    let database = Database::open(&place).await?;
    gather::gather(&place, &database, &mut history).await?;
    Ok(history)
}

type Senders = Vec<tokio::task::JoinHandle<Vec<Sent>>>;

/// Starts a sender for each source; gives the commands, and who is in a merge.
fn start(plan: Plan, place: &Place) -> (Senders, Vec<Order>, Vec<usize>) {
    let mut by_source: Vec<Vec<plan::Event>> = SOURCES.iter().map(|_| Vec::new()).collect();
    let mut merged = Vec::new();
    for event in plan.events {
        if let Meaning::Merge {
            survivor, retired, ..
        } = event.meaning
        {
            merged.extend([survivor, retired]);
        }
        by_source[event.source].push(event);
    }
    let senders = by_source
        .into_iter()
        .zip(&place.listen)
        .map(|(events, listen)| tokio::task::spawn(sender::send(*listen, events, place.pace)))
        .collect();
    (senders, plan.orders, merged)
}

/// Breaks things and mends them: the silent source is in the plan, the broker and the store are here.
async fn trouble(
    arguments: &Arguments,
    place: &Place,
    child: Child,
    history: &mut History,
) -> anyhow::Result<Child> {
    let pace = place.pace;
    let at_least = |hours: i64, seconds: u64| {
        pace.real(HOUR * i32::try_from(hours).unwrap_or(1))
            .max(Duration::from_secs(seconds))
    };
    let say = |what: &str| println!("{}  {what}", pace.now().strftime("%a %H:%M"));
    history.outages.push(Outage {
        kind: "feed-silent",
        subject: SOURCES[SILENT].0.to_owned(),
    });
    pace.until(pace.base + HOUR * 110).await;
    say("the broker stops");
    services(&["rabbit-stop"]).await?;
    tokio::time::sleep(at_least(4, 8)).await;
    services(&["rabbit-start"]).await?;
    say("the broker is back");
    history.outages.push(Outage {
        kind: "broker-down",
        subject: String::new(),
    });
    pace.until(pace.base + HOUR * 135).await;
    if arguments.store == "postgres" {
        say("the store stops");
        services(&["postgres-stop"]).await?;
        tokio::time::sleep(at_least(2, 2)).await;
        services(&["postgres-start"]).await?;
        say("the store is back");
        return Ok(child);
    }
    say("the hub is killed");
    let mut child = child;
    child.kill().await?;
    tokio::time::sleep(at_least(1, 1)).await;
    let child = place.serve().await?;
    say("the hub is back");
    Ok(child)
}

/// Waits, with a deadline, until nothing waits that should not; what is left then is told.
async fn settle(place: &Place, history: &mut History) -> anyhow::Result<()> {
    let database = Database::open(place).await?;
    for _ in 0..60 {
        let counts = place.lines(&["message", "count", "--json"]).await?;
        let is_waiting = counts.first().is_none_or(|counts| counts["waiting"] != 0);
        let now = place.pace.now();
        let since = now - place.pace.of_real(5);
        history.left = gather::overdue(&database, (since, now)).await?;
        if !is_waiting && history.left.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// What named people do at the command line, each when it was due; people of a merge are left alone
/// but for its undoing, since a command speaks of whoever they are then.
async fn obey(
    place: Place,
    orders: Vec<Order>,
    merged: Vec<usize>,
) -> anyhow::Result<(Vec<Stop>, Vec<Link>)> {
    let (mut stops, mut links) = (Vec::new(), Vec::new());
    for order in orders {
        place.pace.until(order.at).await;
        if order.what != What::Unmerge && merged.contains(&order.person) {
            continue;
        }
        let Some(person) = whoever(&place, order.person).await? else {
            eprintln!("person {} is not there yet", order.person);
            continue;
        };
        // Somewhere between the two the command took effect: a "no" counts from its end, a separation from
        // its beginning, since whoever is a record of their own may be asked at once.
        let began = place.pace.now();
        let done = command(&place, order.what, &person.to_string()).await;
        if let (Err(error), What::Unmerge) = (&done, order.what) {
            eprintln!("person {} stays merged: {error:#}", order.person); // as where the merge was held
            continue;
        }
        done?;
        let at = place.pace.now();
        match order.what {
            What::Permit => {}
            What::Unmerge => links.push(Link {
                survivor: order.person,
                retired: order.person,
                from: began,
                until: Some(began),
            }),
            What::OptOut | What::Deny => stops.push(Stop {
                person: order.person,
                at,
                channel: None,
                contact_point: None,
                why: format!("{:?} at the command line", order.what),
            }),
        }
    }
    Ok((stops, links))
}

/// Runs the command of an order, again while the store is away.
async fn command(place: &Place, what: What, person: &str) -> anyhow::Result<()> {
    let operator = ["--operator", "Test Operator"];
    let said = ["--method", "verbal", "--source", "FORM-1"];
    let arguments = match what {
        What::Permit => [
            &["consent", "record", person, "--decision", "permit"][..],
            &said,
        ]
        .concat(),
        What::Deny => [
            &["consent", "record", person, "--decision", "deny"][..],
            &said,
        ]
        .concat(),
        What::OptOut => vec!["consent", "opt-out", person],
        What::Unmerge => vec!["identity", "unmerge", person, "--reason", "Two people"],
    };
    let arguments = [&arguments[..], &operator].concat();
    let tries = if what == What::Unmerge { 3 } else { 30 };
    for _ in 1..tries {
        if place.cli(&arguments).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    place.cli(&arguments).await.map(drop)
}

/// The hub's id of a person, by the messages that were about them.
async fn whoever(place: &Place, number: usize) -> anyhow::Result<Option<Uuid>> {
    for _ in 0..30 {
        let Ok(database) = Database::open(place).await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let rows: Vec<(Uuid, String)> = database
            .rows("SELECT assertion.person, message.control_id FROM assertion JOIN message ON message.tenant = assertion.tenant AND message.id = assertion.message")
            .await?;
        let prefix = format!("W{number}-");
        return Ok(rows
            .into_iter()
            .find(|(_, control)| control.starts_with(&prefix))
            .map(|(person, _)| person));
    }
    Ok(None)
}
