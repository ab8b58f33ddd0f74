//! What the relay needs from a destination, and the names under which tasks travel.
//!
//! A destination answers for each message on its own. Only [`Published::Confirmed`] takes a
//! message off the outbox; every other answer leaves it there, and says what may be assumed.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::config::{DEFAULT_TEAM, Tenant};
use crate::outbox::rabbit;
use crate::outbox::spool;
use crate::store::QueueLevel;

/// The exchange of outgoing tasks, and the first part of their queues' names.
pub const TASKS: &str = "careloop.tasks";
/// Where expired, refused and undeliverable messages go, as exchange; and the queue of the answers
/// among them, where a person looks. Tasks among them go to [`returned_queue`].
pub const DEAD: &str = "careloop.tasks.dead";
/// The exchange on which the CRM answers, and the first part of the answer queues' names.
pub const TASK_EVENTS: &str = "careloop.task-events";
/// An exchange without queues: what is published there is confirmed and gone.
pub const PROBE: &str = "careloop.probe";

/// A message on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The envelope's id (ULID text), by which consumers drop repeats.
    pub message_id: String,
    /// `<tenant>.<location>.<team>.<priority>`, as [`routing_key`] writes it.
    pub routing_key: String,
    /// The envelope.
    pub body: Vec<u8>,
    /// How long the message is worth delivering; `None` for ever.
    pub expiration: Option<Duration>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Published {
    /// The destination has it, durably.
    Confirmed,
    /// The broker has no queue for its routing key and gave it back.
    Unroutable,
    /// The destination said no: a full queue, a queue that is not available.
    Refused,
    /// No answer in time: it may or may not have arrived, and is sent again under the same id.
    Unknown,
    /// It was not handed over at all.
    NotSent,
}

/// How a destination is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublisherState {
    /// Messages are taken.
    Up,
    /// Nothing can be published; it recovers by itself unless the reason asks for a person.
    Down {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: DownReason,
    },
    /// The broker is there and takes nothing until its alarm is over.
    Blocked {
        /// Since when.
        since: Timestamp,
        /// What it ran short of.
        alarm: Alarm,
    },
}

/// What a broker ran short of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alarm {
    /// Memory.
    Memory,
    /// Disk.
    Disk,
    /// Something else.
    Other,
}

/// Why nothing can be published. The text of each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DownReason {
    /// The first connection is still being made.
    Starting,
    /// Nobody answers at the address.
    Unreachable,
    /// The certificate was not accepted, or TLS is not spoken there.
    Tls,
    /// User, password, virtual host or permissions were refused.
    AccessRefused,
    /// An exchange or queue exists with other properties; holds its name.
    TopologyMismatch(String),
    /// An exchange or queue that was declared is gone or not available; holds its name.
    Missing(String),
    /// The broker accepts connections and does not answer.
    Silent,
    /// The connection was lost.
    Lost,
    /// The broker closed the channel over something that was published.
    ChannelClosed,
    /// The spool file cannot be written.
    Spool,
    /// The hub is stopping.
    Stopped,
}

impl DownReason {
    /// Whether waiting is no help: someone must change the configuration or the broker.
    pub const fn needs_a_person(&self) -> bool {
        match self {
            Self::Tls | Self::AccessRefused | Self::TopologyMismatch(_) | Self::Missing(_) => true,
            Self::Starting
            | Self::Unreachable
            | Self::Silent
            | Self::Lost
            | Self::ChannelClosed
            | Self::Spool
            | Self::Stopped => false,
        }
    }
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("the first connection is being made"),
            Self::Unreachable => {
                f.write_str("broker: nobody answers; check broker.url and that it runs")
            }
            Self::Tls => f.write_str(
                "broker: TLS failed; check that the port speaks TLS and that broker.ca signed its certificate",
            ),
            Self::AccessRefused => f.write_str(
                "broker: access refused; check user, password, virtual host and permissions on ^careloop\\.",
            ),
            Self::TopologyMismatch(name) => write!(
                f,
                "broker: {name} exists with other properties than careloop declares; empty it, \
                 remove it by hand and restart careloop (on a quorum queue prefer a new team name: \
                 a name that is used again can stay broken), or remove the policy that differs"
            ),
            Self::Missing(name) => write!(
                f,
                "broker: {name} is missing or not available; restart careloop to declare it, or \
                 repair the queue's node"
            ),
            Self::Silent => f.write_str("broker: it accepts connections and does not answer"),
            Self::Lost => f.write_str("broker: the connection was lost"),
            Self::ChannelClosed => f.write_str("broker: it closed the channel; see its log"),
            Self::Spool => f.write_str("spool: the file cannot be written; check space and owner"),
            Self::Stopped => f.write_str("careloop is stopping"),
        }
    }
}

/// A destination of tasks.
pub enum Publisher {
    /// A RabbitMQ broker.
    Rabbit(rabbit::Rabbit),
    /// Files, the embedded default.
    Spool(spool::Spool),
}

impl Publisher {
    /// Publishes a batch and answers for each message, in order. It takes no longer than `limit`
    /// and the destination's confirm timeout, and nothing is handed over to a broker after that.
    pub async fn publish_within(&self, batch: Vec<Outgoing>, limit: Duration) -> Vec<Published> {
        match self {
            Self::Rabbit(rabbit) => rabbit.publish_within(batch, limit).await,
            Self::Spool(spool) => spool.publish_all(batch).await,
        }
    }

    /// How the destination is, for readiness and for the relay's pace.
    pub fn state(&self) -> PublisherState {
        match self {
            Self::Rabbit(rabbit) => rabbit.state(),
            Self::Spool(spool) => spool.state(),
        }
    }

    /// What lies in the teams' queues, where a broker can say so.
    pub fn levels(&self) -> Vec<QueueLevel> {
        match self {
            Self::Rabbit(rabbit) => rabbit.levels(),
            Self::Spool(_) => Vec::new(),
        }
    }

    /// The state, to be woken by its changes.
    pub fn watch(&self) -> watch::Receiver<PublisherState> {
        match self {
            Self::Rabbit(rabbit) => rabbit.watch(),
            Self::Spool(spool) => spool.watch(),
        }
    }
}

/// A name that cannot be part of a routing key; holds where it stands, never the name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}: expected 2 to 40 characters a-z, 0-9 and -, the first a letter")]
pub struct BadName(pub &'static str);

/// Whether a text may be a part of a routing key. It holds no `.`, `*` or `#`, which would let
/// one tenant's key match another tenant's queue, and no `/`, since it also names spool files.
pub fn is_name(text: &str) -> bool {
    (2..=40).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Which queues there are.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Topology {
    teams: Vec<[String; 3]>,
    tenants: Vec<String>,
}

impl Topology {
    /// The queues of the configured tenants and teams.
    pub fn of(tenants: &[Tenant]) -> Result<Self, BadName> {
        let mut topology = Self::default();
        for tenant in tenants {
            topology = topology.with_tenant(&tenant.name)?;
            for team in &tenant.teams {
                topology = topology.with_team(&tenant.name, &team.location, &team.name)?;
            }
            for location in tenant.implied_wider() {
                topology = topology.with_team(&tenant.name, location, DEFAULT_TEAM)?;
            }
        }
        Ok(topology)
    }

    /// Adds a tenant's answer queue.
    pub fn with_tenant(mut self, tenant: &str) -> Result<Self, BadName> {
        checked("tenant.name", tenant)?;
        self.tenants.push(tenant.to_owned());
        Ok(self)
    }

    /// Adds a team's queue.
    pub fn with_team(mut self, tenant: &str, place: &str, team: &str) -> Result<Self, BadName> {
        checked("tenant.name", tenant)?;
        checked("team.location", place)?;
        checked("team.name", team)?;
        self.teams.push([tenant, place, team].map(str::to_owned));
        Ok(self)
    }

    /// Each team's queue and the routing keys it takes: its own, in every priority.
    pub fn task_queues(&self) -> impl Iterator<Item = (String, String)> {
        self.teams.iter().map(|team| {
            let key = team.join(".");
            (format!("{TASKS}.{key}"), format!("{key}.*"))
        })
    }

    /// Each tenant's queue of tasks that no consumer could take, and the routing keys of its tasks.
    pub fn returned_queues(&self) -> impl Iterator<Item = (String, String)> {
        self.tenants
            .iter()
            .map(|tenant| (returned_queue(tenant), format!("{tenant}.*.*.*")))
    }

    /// Each tenant's answer queue and the routing key it takes.
    pub fn event_queues(&self) -> impl Iterator<Item = (String, String)> {
        self.tenants
            .iter()
            .map(|tenant| (event_queue(tenant), tenant.clone()))
    }
}

/// The queue of a tenant's task events.
pub fn event_queue(tenant: &str) -> String {
    format!("{TASK_EVENTS}.{tenant}")
}

/// The queue of a tenant's tasks that expired or that no consumer could take.
pub fn returned_queue(tenant: &str) -> String {
    format!("{TASKS}.returned.{tenant}")
}

/// The routing key of a task.
pub fn routing_key(tenant: &str, place: &str, team: &str, priority: &str) -> String {
    format!("{tenant}.{place}.{team}.{priority}")
}

fn checked(at: &'static str, name: &str) -> Result<(), BadName> {
    if is_name(name) {
        Ok(())
    } else {
        Err(BadName(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_has_a_queue_that_takes_its_own_keys_in_every_priority() {
        let topology = Topology::default()
            .with_tenant("riverside")
            .and_then(|t| t.with_team("riverside", "main", "team-7"))
            .expect("good names");
        assert_eq!(
            topology.task_queues().collect::<Vec<_>>(),
            [(
                "careloop.tasks.riverside.main.team-7".into(),
                "riverside.main.team-7.*".into()
            )]
        );
        assert_eq!(
            topology.event_queues().collect::<Vec<_>>(),
            [("careloop.task-events.riverside".into(), "riverside".into())]
        );
        assert_eq!(
            routing_key("riverside", "main", "team-7", "routine"),
            "riverside.main.team-7.routine"
        );
    }

    #[test]
    fn a_name_that_would_match_another_tenants_keys_is_refused() {
        for name in [
            "a.b",
            "*",
            "#",
            "a",
            "",
            "A1",
            "1a",
            "../up",
            "a/b",
            &"a".repeat(41),
        ] {
            assert_eq!(
                Topology::default().with_tenant(name),
                Err(BadName("tenant.name")),
                "{name}"
            );
        }
    }
}
