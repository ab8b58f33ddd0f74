//! A publisher under test, on a topology of one team.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::time::Duration;

use careloop::config::BrokerConfig;
use careloop::outbox::publisher::Outgoing;
use careloop::outbox::publisher::Published;
use careloop::outbox::publisher::PublisherState;
use careloop::outbox::publisher::Topology;
use careloop::outbox::rabbit::Rabbit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) const QUEUE: &str = "careloop.tasks.riverside.main.team-7";
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A publisher under test, with what stops it.
pub(crate) struct Under {
    pub(crate) rabbit: Rabbit,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Under {
    pub(crate) async fn start(config: &BrokerConfig) -> Self {
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let rabbit = Rabbit::start(config, topology(), &tracker, stop.clone())
            .await
            .unwrap();
        Self {
            rabbit,
            tracker,
            stop,
        }
    }

    pub(crate) async fn ready(config: &BrokerConfig) -> Self {
        let under = Self::start(config).await;
        under.rabbit.ready(LONG).await.unwrap();
        under
    }

    pub(crate) async fn wait_for(&self, wanted: impl FnMut(&PublisherState) -> bool) {
        let mut states = self.rabbit.watch();
        let found = tokio::time::timeout(LONG, states.wait_for(wanted))
            .await
            .is_ok();
        assert!(found, "the state stayed {:?}", self.rabbit.state());
    }

    /// Publishes until it is confirmed, as the relay does with what is left in the outbox.
    pub(crate) async fn until_confirmed(&self, id: &str) {
        for _ in 0..20 {
            self.wait_for(|state| *state == PublisherState::Up).await;
            if self.rabbit.publish_all(vec![task(id)]).await == [Published::Confirmed] {
                return;
            }
        }
        panic!("never confirmed; the state is {:?}", self.rabbit.state());
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(LONG, self.tracker.wait())
            .await
            .unwrap();
    }
}

pub(crate) fn topology() -> Topology {
    Topology::default()
        .with_tenant("riverside")
        .and_then(|topology| topology.with_team("riverside", "main", "team-7"))
        .unwrap()
}

pub(crate) fn task(id: &str) -> Outgoing {
    Outgoing {
        message_id: id.to_owned(),
        routing_key: "riverside.main.team-7.routine".to_owned(),
        body: format!("{{\"id\":\"{id}\"}}").into_bytes(),
        expiration: Some(Duration::from_secs(3600)),
    }
}

pub(crate) fn is_down(state: &PublisherState) -> bool {
    matches!(state, PublisherState::Down { .. })
}
