//! A CRM that consumes the teams' queues, reads content, works tasks and answers; sometimes never.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::history::{Answered, Envelope, Released};
use crate::plan::SOURCES;
use crate::time::{Dice, Pace};

/// What the CRM answers, and how often in a hundred; the rest is never answered.
const OUTCOMES: &[(&str, u64)] = &[
    ("completed", 22),
    ("scheduled", 12),
    ("declined", 10),
    ("left-message", 10),
    ("opted-out", 12),
    ("wrong-number", 5),
    ("call-back-at", 6),
    ("unreachable", 5),
    ("done-elsewhere", 4),
    ("reached", 4),
    ("reported-deceased", 2),
];

/// Answers after which nothing of the task is left to do.
pub(crate) const ENDING: &[&str] = &[
    "completed",
    "scheduled",
    "declined",
    "opted-out",
    "done-elsewhere",
    "unreachable",
    "reported-deceased",
];

/// What the CRM remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// Every delivery, repeats as well.
    pub(crate) received: Vec<Envelope>,
    /// Every content that was given.
    pub(crate) released: Vec<Released>,
    /// How often content was refused, by status and reason.
    pub(crate) refused: BTreeMap<String, usize>,
    /// Every answer.
    pub(crate) answered: Vec<Answered>,
}

/// The CRM.
pub(crate) struct Crm {
    pub(crate) broker: String,
    pub(crate) http: SocketAddr,
    pub(crate) token: String,
    pub(crate) pace: Pace,
    pub(crate) dice: Dice,
    pub(crate) memory: Memory,
    ids: HashSet<String>,
    versions: HashMap<String, u64>,
    work: Vec<(Timestamp, String)>,
    open: HashMap<String, Envelope>,
    client: reqwest::Client,
}

impl Crm {
    /// A CRM with nothing to do yet.
    pub(crate) fn new(
        broker: String,
        http: SocketAddr,
        token: String,
        (pace, seed): (Pace, u64),
    ) -> Self {
        Self {
            broker,
            http,
            token,
            pace,
            dice: Dice::new(seed ^ 0xc0ffee),
            memory: Memory::default(),
            ids: HashSet::new(),
            versions: HashMap::new(),
            work: Vec::new(),
            open: HashMap::new(),
            client: reqwest::Client::new(),
        }
    }

    /// Works until told to stop, over every outage of the broker.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Memory {
        let mut told = String::new();
        while !stop.is_cancelled() {
            if let Err(error) = self.shift(&stop).await {
                let says = format!("the CRM connects again: {error:#}");
                if says != told {
                    eprintln!("{says}");
                }
                told = says;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
        self.memory
    }

    async fn shift(&mut self, stop: &CancellationToken) -> anyhow::Result<()> {
        let connection = Connection::connect(&self.broker, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.basic_qos(32, BasicQosOptions::default()).await?;
        let mut consumers = Vec::new();
        for (_, location) in SOURCES {
            let queue = format!("careloop.tasks.riverside.{location}.coordination");
            let consumer = channel
                .basic_consume(
                    queue.as_str().into(),
                    "".into(),
                    BasicConsumeOptions::default(),
                    FieldTable::default(),
                )
                .await?;
            consumers.push(consumer);
        }
        let mut all = futures_util::stream::select_all(consumers);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                delivery = all.next() => {
                    let delivery = delivery.context("the queues are gone")??;
                    let body: Value = serde_json::from_slice(&delivery.data)?;
                    self.take(&body);
                    delivery.ack(BasicAckOptions::default()).await?;
                }
                () = tokio::time::sleep(Duration::from_millis(50)) => self.work(&channel).await?,
            }
        }
    }

    /// Takes a message: repeats and old versions change nothing.
    fn take(&mut self, body: &Value) {
        let envelope = Envelope::of(body, self.pace.now());
        self.memory.received.push(envelope.clone());
        let seen = self.versions.get(&envelope.task).copied().unwrap_or(0);
        if !self.ids.insert(envelope.id.clone()) || envelope.version <= seen {
            return;
        }
        self.versions
            .insert(envelope.task.clone(), envelope.version);
        if envelope.is_cancelled() {
            self.open.remove(&envelope.task);
            return;
        }
        let is_new = self
            .open
            .insert(envelope.task.clone(), envelope.clone())
            .is_none();
        if is_new {
            let at = self.pace.now() + self.dice.minutes(20, 600);
            self.work.push((at, envelope.task));
        }
    }

    /// Works what is due.
    async fn work(&mut self, channel: &Channel) -> anyhow::Result<()> {
        let now = self.pace.now();
        let Some(place) = self.work.iter().position(|(at, _)| *at <= now) else {
            return Ok(());
        };
        let (_, task) = self.work[place].clone();
        if let Some(envelope) = self.open.get(&task).cloned() {
            match self.content(&envelope).await {
                Some(200) => {
                    let gone = self.answer(channel, &envelope).await?;
                    if gone {
                        self.open.remove(&task);
                    }
                }
                // It is withdrawn; the cancellation is under way.
                Some(404 | 410) => {}
                // Not now: again later. A hub that is away is asked again, too.
                _ => {
                    self.work[place].0 = now + self.dice.minutes(60, 180);
                    return Ok(());
                }
            }
        }
        self.work.swap_remove(place);
        Ok(())
    }

    /// Asks for the content of a task; the status, `None` when nobody answered.
    async fn content(&mut self, envelope: &Envelope) -> Option<u16> {
        let url = format!(
            "http://{}/v1/tasks/{}/content?purpose={}",
            self.http, envelope.task, envelope.purpose
        );
        let request = self
            .client
            .get(url)
            .bearer_auth(&self.token)
            .timeout(Duration::from_secs(10));
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.ok()?;
        if status == 200 {
            self.memory
                .released
                .push(Released::of(&body, &envelope.task));
        } else {
            let reason = format!(
                "{status} {}",
                body["code"]
                    .as_str()
                    .or(body["type"].as_str())
                    .unwrap_or_default()
            );
            *self.memory.refused.entry(reason).or_default() += 1;
        }
        Some(status)
    }

    /// Answers; true when the task is over for the CRM.
    async fn answer(&mut self, channel: &Channel, envelope: &Envelope) -> anyhow::Result<bool> {
        let mut pick = self.dice.below(100);
        let outcome = OUTCOMES.iter().find(|(_, share)| {
            let found = pick < *share;
            pick = pick.saturating_sub(*share);
            found
        });
        let Some((outcome, _)) = outcome else {
            return Ok(false); // never
        };
        self.say(channel, envelope, "accepted").await?;
        if matches!(
            *outcome,
            "completed" | "scheduled" | "declined" | "opted-out"
        ) {
            self.say(channel, envelope, "reached").await?;
        }
        self.say(channel, envelope, outcome).await?;
        Ok(ENDING.contains(outcome))
    }

    async fn say(
        &mut self,
        channel: &Channel,
        envelope: &Envelope,
        outcome: &str,
    ) -> anyhow::Result<()> {
        let id = format!("crm-{}", self.memory.answered.len());
        let now = self.pace.now();
        let mut event = json!({
            "id": id, "task": envelope.task, "version": envelope.version, "type": outcome, "at": now.to_string(),
        });
        let scope =
            ["all", "channel", "contact-point"][usize::try_from(self.dice.below(3)).unwrap_or(0)];
        if outcome == "opted-out" {
            event["scope"] = json!(scope);
        }
        if outcome == "call-back-at" {
            event["callBackAt"] = json!((now + SignedDuration::from_hours(20)).to_string());
        }
        let times = if self.dice.is(5) { 2 } else { 1 };
        for _ in 0..times {
            let properties = BasicProperties::default().with_delivery_mode(2);
            channel
                .basic_publish(
                    "careloop.task-events".into(),
                    "riverside".into(),
                    BasicPublishOptions::default(),
                    event.to_string().as_bytes(),
                    properties,
                )
                .await?
                .await?;
        }
        self.memory.answered.push(Answered {
            id,
            task: envelope.task.clone(),
            version: envelope.version,
            outcome: outcome.to_owned(),
            scope: event["scope"].as_str().map(ToOwned::to_owned),
            at: now,
        });
        Ok(())
    }
}
