//! One round: everything once, one thing after the other.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::process::Command;
use tokio::time::sleep;

use crate::Kind;
use crate::hub::{Hub, Program, Services};
use crate::load::{self, Seen, Shared};
use crate::messages::{Author, TASK_EVERY};
use crate::report::Figures;
use crate::{flush, glue, limits};

/// Connections, and messages sent over them in a full round.
const LOADS: [(usize, usize); 3] = [(1, 1_000), (8, 4_000), (64, 8_000)];
/// Connections where the load is one of time, not of messages.
const MANY: usize = 64;
/// Messages before the measuring begins: the first ones prepare statements and fill caches.
const WARM_UP: usize = 200;
/// What the broker keeps unconfirmed at once, as in `[broker] window`.
const WINDOW: usize = 256;
/// Connections that say nothing while memory is looked at.
const IDLE: usize = 1_000;
/// How long the open loop lasts in a full round, and the load with the broker there.
const LASTING: Duration = Duration::from_secs(12);

/// What is measured, and where.
pub(crate) struct Round<'a> {
    pub(crate) kind: Kind,
    pub(crate) services: &'a Services,
    pub(crate) name: String,
    /// Messages and times are divided by this.
    pub(crate) scale: usize,
    /// How long the broker is away.
    pub(crate) away: Duration,
}

impl Round<'_> {
    /// Measures everything once.
    pub(crate) async fn run(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        self.limits(folder.path(), figures).await?;
        self.yardstick(figures).await?;
        self.door(&folder.path().join("door"), figures).await?;
        let place = folder.path().join("hub");
        let hub = self.start(&place, Program::Whole, &self.name).await?;
        eprintln!("the hub is process {}", hub.pid()?);
        idle(&hub, figures).await?;
        if let Some(address) = &hub.broker {
            let rate = limits::rabbit(address, WINDOW, 8_000 / self.scale).await?;
            figures.add("limit: confirms/s, window 256", rate);
        }
        let author = Shared::new(Author::new(&self.name.replace('_', "-")));
        self.pipeline(&hub, &author, figures).await?;
        self.open_loop(&hub, &author, figures).await?;
        let measured = self.broker_away(&hub, &author, figures).await;
        if let (Err(_), Some(ctl)) = (&measured, &self.services.ctl) {
            // Whoever uses this broker next finds it there.
            Command::new(ctl).arg("start_app").status().await?;
        }
        measured?;
        lost(&hub, &author, figures).await?;
        figures.add("memory after the load, MB", hub.memory("VmRSS")?);
        figures.add("most memory, MB", hub.memory("VmHWM")?);
        hub.stop(self.services).await
    }

    async fn start(&self, folder: &Path, program: Program, name: &str) -> anyhow::Result<Hub> {
        Hub::start(folder, self.kind.name(), self.services, (program, name)).await
    }

    /// The superuser's address, where the hub's store is PostgreSQL.
    fn superuser(&self) -> Option<&str> {
        let postgres = self.services.postgres.as_deref();
        postgres.filter(|_| self.kind == Kind::Postgres)
    }

    /// The closed loop with the pipeline at work, until the last confirm.
    async fn pipeline(
        &self,
        hub: &Hub,
        author: &Shared,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        load::send(hub.address, 8, author.several(WARM_UP)).await?;
        hub.settled(author.tasks()).await?;
        hub.analyze().await?;
        for (connections, count) in LOADS {
            let count = count / self.scale;
            let messages = author.several(count);
            let before = hub.cpu()?;
            let seen = load::send(hub.address, connections, messages).await?;
            hub.settled(author.tasks()).await?;
            let took = seen.began.elapsed();
            let used = hub.cpu()?.saturating_sub(before);
            let mut add =
                |what: &str, value| figures.add(&format!("{what}, {}", noun(connections)), value);
            add("acknowledged/s, pipeline at work", seen.rate());
            add(
                "acknowledged p50 ms, pipeline at work",
                seen.wait((50, 100)),
            );
            add(
                "acknowledged p99 ms, pipeline at work",
                seen.wait((99, 100)),
            );
            add("whole pipeline/s", load::per_second(count, took));
            add(
                "tasks confirmed/s",
                load::per_second(count / TASK_EVERY, took),
            );
            add(
                "processor us a message",
                1e6 / load::per_second(count, used),
            );
        }
        author.task_every(1);
        let count = 4_000 / self.scale;
        let seen = load::send(hub.address, MANY, author.several(count)).await?;
        author.task_every(TASK_EVERY);
        hub.settled(author.tasks()).await?;
        let rate = load::per_second(count, seen.began.elapsed());
        figures.add("tasks confirmed/s, one from every message", rate);
        Ok(())
    }

    /// Even arrivals at half of what the whole pipeline does at most.
    async fn open_loop(
        &self,
        hub: &Hub,
        author: &Shared,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let most = figures.latest(&format!("whole pipeline/s, {}", noun(MANY)));
        let rows = figures.latest("limit: rows/s, 1 a commit");
        let (most, rows) = (most.context("a rate")?, rows.context("a limit")?);
        let lasting = LASTING / u32::try_from(self.scale)?;
        let seen = load::send_at(hub.address, (MANY, most / 2.0), author, lasting).await?;
        hub.settled(author.tasks()).await?;
        figures.add("open loop: messages/s", seen.rate());
        figures.add("open loop p50 ms", seen.wait((50, 100)));
        figures.add("open loop p99 ms", seen.wait((99, 100)));
        figures.add("open loop: 2 flushes + 5 ms", 2e3 / rows + 5.0);
        Ok(())
    }

    /// The closed loop with the broker there, and then away; messages come while it goes and while
    /// it comes back, too.
    async fn broker_away(
        &self,
        hub: &Hub,
        author: &Shared,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let (Some(ctl), false) = (&self.services.ctl, self.away.is_zero()) else {
            return Ok(());
        };
        let scale = u32::try_from(self.scale)?;
        for (name, lasting) in [("there", LASTING / scale), ("away", self.away / scale)] {
            let is_away = name == "away";
            if is_away {
                command_under_load(ctl, "stop_app", (hub.address, author)).await?;
            }
            let seen = load::send_for(hub.address, MANY, author, lasting).await?;
            figures.add(&format!("broker {name}: acknowledged/s"), seen.rate());
            let wait = seen.wait((99, 100));
            figures.add(&format!("broker {name}: acknowledged p99 ms"), wait);
            if is_away {
                figures.add(
                    "broker away: messages taken",
                    f64::from(u32::try_from(seen.waits.len())?),
                );
                command_under_load(ctl, "start_app", (hub.address, author)).await?;
            }
            let began = Instant::now();
            hub.settled(author.tasks()).await?;
            let after = format!("broker {name}: seconds until all was confirmed");
            figures.add(&after, began.elapsed().as_secs_f64());
        }
        Ok(())
    }

    /// Taking messages alone, with the flush of the disk and with one of 2 ms.
    async fn door(&self, folder: &Path, figures: &mut Figures) -> anyhow::Result<()> {
        let name = format!("{}_door", self.name);
        let hub = self.start(folder, Program::DoorAlone, &name).await?;
        let author = Shared::new(Author::new(&name.replace('_', "-")));
        load::send(hub.address, 8, author.several(WARM_UP)).await?;
        hub.analyze().await?;
        self.loads((hub.address, "accepted alone"), &author, figures)
            .await?;
        if let Some(superuser) = self.superuser() {
            flush::slow(superuser).await?;
            let measured = self.slow_flush(superuser, (&hub, &author), figures).await;
            flush::normal(superuser).await?;
            measured?;
        }
        let (counts, sent) = (hub.counts().await?, i64::try_from(author.written())?);
        ensure!(
            counts.received == sent && counts.waiting == sent,
            "the door alone: expected {sent} messages that wait, found {counts:?}"
        );
        hub.stop(self.services).await
    }

    async fn slow_flush(
        &self,
        superuser: &str,
        (hub, author): (&Hub, &Shared),
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let rate = limits::postgres(superuser, (1, 1), 400 / self.scale).await?;
        figures.add("flush 2 ms: limit: rows/s, 1 a commit", rate);
        let glue = glue::start(superuser, None).await?;
        let others = Shared::new(Author::new("glue-slow"));
        load::send(glue.address, 8, others.several(WARM_UP)).await?;
        let yardstick = (glue.address, "flush 2 ms: glue persist");
        self.loads(yardstick, &others, figures).await?;
        let door = (hub.address, "flush 2 ms: accepted alone");
        self.loads(door, author, figures).await
    }

    /// The glue beside it, where there is a PostgreSQL and a broker.
    async fn yardstick(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let (Some(postgres), Some(amqp)) = (&self.services.postgres, &self.services.amqp) else {
            return Ok(());
        };
        for (name, broker) in [
            ("glue persist", None),
            ("glue persist+publish", Some(amqp.as_str())),
        ] {
            let glue = glue::start(postgres, broker).await?;
            let author = Shared::new(Author::new(&format!("glue-{}", broker.is_some())));
            load::send(glue.address, 8, author.several(WARM_UP)).await?;
            self.loads((glue.address, name), &author, figures).await?;
            if broker.is_some() {
                // What the machine leaves of such a goal to somebody who does less.
                let most = figures.latest(&format!("{name}/s, {}", noun(MANY)));
                let most = most.context("a rate")?;
                let lasting = LASTING / u32::try_from(self.scale)?;
                let seen =
                    load::send_at(glue.address, (MANY, most / 2.0), &author, lasting).await?;
                figures.add("glue, open loop p50 ms", seen.wait((50, 100)));
                figures.add("glue, open loop p99 ms", seen.wait((99, 100)));
            }
        }
        Ok(())
    }

    /// The closed loop over 1, 8 and 64 connections to something that does no more than answer.
    async fn loads(
        &self,
        (to, what): (SocketAddr, &str),
        author: &Shared,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        for (connections, count) in LOADS {
            let messages = author.several(count / self.scale);
            let seen: Seen = load::send(to, connections, messages).await?;
            let noun = noun(connections);
            figures.add(&format!("{what}/s, {noun}"), seen.rate());
            figures.add(&format!("{what} p50 ms, {noun}"), seen.wait((50, 100)));
            figures.add(&format!("{what} p99 ms, {noun}"), seen.wait((99, 100)));
        }
        Ok(())
    }

    async fn limits(&self, folder: &Path, figures: &mut Figures) -> anyhow::Result<()> {
        let (one, many) = (1_000 / self.scale, 200 / self.scale);
        let Some(address) = self.superuser() else {
            for (name, rows, commits) in [
                ("limit: rows/s, 1 a commit", 1, one),
                ("limit: rows/s, 64 a commit", 64, many),
            ] {
                figures.add(name, limits::sqlite(folder, rows, commits).await?);
            }
            return Ok(());
        };
        for (name, shape, commits) in [
            ("limit: rows/s, 1 a commit", (1, 1), one),
            ("limit: rows/s, 1 a commit, 8 connections", (8, 1), one),
            ("limit: rows/s, 64 a commit", (1, 64), many),
            (
                "limit: rows/s, 256 a commit, 2 connections",
                (2, 256),
                many / 2,
            ),
        ] {
            figures.add(name, limits::postgres(address, shape, commits).await?);
        }
        Ok(())
    }
}

/// Memory before anything came, and with connections that say nothing.
async fn idle(hub: &Hub, figures: &mut Figures) -> anyhow::Result<()> {
    sleep(Duration::from_secs(2)).await;
    let (before, files) = (hub.memory("VmRSS")?, hub.open()?);
    figures.add("memory idle, MB", before);
    let silent = load::idle(hub.address, IDLE).await?;
    files_open(hub, |open| open >= files + IDLE).await?;
    sleep(Duration::from_secs(1)).await;
    let more = hub.memory("VmRSS")? - before;
    figures.add("memory of 1,000 idle connections, MB", more);
    drop(silent);
    files_open(hub, |open| open < files + IDLE / 10).await
}

async fn files_open(hub: &Hub, enough: impl Fn(usize) -> bool) -> anyhow::Result<()> {
    for _ in 0..600 {
        if enough(hub.open()?) {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the hub has {} files open after 30 s", hub.open()?)
}

/// Runs one word of `rabbitmqctl` while messages come.
async fn command_under_load(
    ctl: &Path,
    word: &str,
    (to, author): (SocketAddr, &Shared),
) -> anyhow::Result<()> {
    let mut running = Command::new(ctl).args(["--quiet", word]).spawn()?;
    let status = loop {
        load::send_for(to, MANY, author, Duration::from_millis(250)).await?;
        if let Some(status) = running.try_wait()? {
            break status;
        }
    };
    ensure!(status.success(), "rabbitmqctl {word} failed");
    Ok(())
}

/// Counts what was acknowledged against what there is, in the store and in the broker's queue.
async fn lost(hub: &Hub, author: &Shared, figures: &mut Figures) -> anyhow::Result<()> {
    let counts = hub.counts().await?;
    let sent = u32::try_from(author.written())?;
    let done = u32::try_from(counts.processed)?;
    figures.add("messages acknowledged", f64::from(sent));
    figures.add(
        "acknowledged messages lost",
        f64::from(sent) - f64::from(done),
    );
    if hub.broker.is_some() {
        let found = u32::try_from(hub.tasks_at_broker().await?)?;
        let expected = u32::try_from(author.tasks())?;
        figures.add("tasks in the broker's queue", f64::from(found));
        figures.add("tasks lost", f64::from(expected) - f64::from(found));
    }
    Ok(())
}

fn noun(connections: usize) -> String {
    let plural = if connections == 1 { "" } else { "s" };
    format!("{connections} connection{plural}")
}
