//! How much lies in each queue and who reads it, as the broker says when it is asked.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lapin::Connection;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::time::timeout;

use crate::outbox::publisher::{TASKS, Topology};
use crate::store::QueueLevel;

/// How long all answers may take: publishing goes on meanwhile, the keeper does not.
const WITHIN: Duration = Duration::from_secs(2);

/// The teams' queues with what lay in them when they were last asked.
pub(super) struct Levels {
    queues: Vec<String>,
    found: Mutex<Vec<QueueLevel>>,
}

impl Levels {
    pub(super) fn new(topology: &Topology) -> Self {
        Self {
            queues: topology.task_queues().map(|(name, _)| name).collect(),
            found: Mutex::default(),
        }
    }

    /// What was last found; nothing while the broker is away.
    pub(super) fn found(&self) -> Vec<QueueLevel> {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Forgets what was found, since nobody can say any more.
    pub(super) fn forget(&self) {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Asks the broker.
    pub(super) async fn ask(&self, at: &Connection) {
        let found = read(at, &self.queues).await;
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
}

/// The levels of `queues`, named as teams are. A queue that cannot be asked is left out: the
/// broker closes the channel over one that is missing, so each round has a channel of its own.
async fn read(at: &Connection, queues: &[String]) -> Vec<QueueLevel> {
    let mut levels = Vec::with_capacity(queues.len());
    let asking = async {
        let mut channel = at.create_channel().await?;
        for queue in queues {
            let options = QueueDeclareOptions {
                passive: true, // look, do not make
                ..QueueDeclareOptions::default()
            };
            match channel
                .queue_declare(queue.as_str().into(), options, FieldTable::default())
                .await
            {
                Ok(found) => levels.push(QueueLevel {
                    queue: team_of(queue).to_owned(),
                    messages: found.message_count(),
                    consumers: found.consumer_count(),
                }),
                Err(error) => {
                    tracing::debug!(%error, "broker: a queue could not be asked for its level");
                    channel = at.create_channel().await?;
                }
            }
        }
        channel.close(200, "done".into()).await
    };
    match timeout(WITHIN, asking).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "broker: levels were not read"),
        Err(_elapsed) => tracing::debug!("broker: levels were not answered in time"),
    }
    levels
}

/// `<tenant>.<location>.<team>` of a queue's name.
fn team_of(queue: &str) -> &str {
    queue
        .strip_prefix(TASKS)
        .and_then(|rest| rest.strip_prefix('.'))
        .unwrap_or(queue)
}
