//! Sends the application acknowledgements that a source is owed, each as a message of its own.
//!
//! One at a time and in order. What the sender asked for in MSH-15 is what it is asked for here: its
//! commit acknowledgement is awaited, or the end of a connection that was used for this one alone.
//! Whatever fails is tried again, under the same control id, until the sender takes or rejects it.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::{ApplicationAck, Pace};
use crate::guard::{Panicked, guarded};
use crate::hl7::{AckCode, Header};
use crate::intake::Feed;
use crate::intake::acknowledge::{report, short_id};
use crate::intake::mllp::line::Line;
use crate::intake::replies::Parcel;
use crate::retry::{Backoff, Policy};
use crate::store::{Error, Lease, OwedAck, Settlement, Store};
use crate::tls::TlsError;

/// How many are read at once.
const AT_ONCE: u32 = 32;
/// How long the sender's acknowledgement may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Why an attempt did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Undelivered {
    #[error("expected a connection, found none; check `application_ack.to` and who listens there")]
    NoConnection,
    #[error("expected a TLS handshake, found a failure; check `application_ack.tls`")]
    Handshake,
    #[error("expected a commit acknowledgement, found the connection's end or silence")]
    NoAnswer,
    #[error("expected CA, found an answer that asks to send again")]
    SendAgain,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Store(#[from] Error),
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

/// Sends what one source is owed.
pub struct Replier {
    store: Store,
    feed: Arc<Feed>,
    pace: Pace,
    lease: Lease,
    held_until: Timestamp,
    line: Option<Line>,
    waits: Backoff,
    silent: bool,
}

impl Replier {
    /// A station for what `feed` is owed; without `Line`, over the feed's own connections.
    ///
    /// # Errors
    /// When the client's side of TLS is not usable.
    pub fn new(
        store: Store,
        feed: Arc<Feed>,
        to: &ApplicationAck,
        pace: Pace,
    ) -> Result<Self, TlsError> {
        let line = match to {
            ApplicationAck::SameConnection => None,
            ApplicationAck::To(to) => Some(Line::new(to)?),
        };
        Ok(Self {
            lease: Lease::new(format!("application-ack:{}", feed.source)),
            held_until: Timestamp::MIN,
            waits: Backoff::new(Policy::CONNECTION),
            silent: false,
            store,
            feed,
            pace,
            line,
        })
    }

    /// Sends until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let pause = match guarded(self.run_once(&stop)).await {
                Ok(true) => {
                    self.waits.reset();
                    self.pace.idle
                }
                Ok(false) => self.waits.next_wait(),
                Err(error) => {
                    tracing::warn!(source = self.feed.source, %error, "application acknowledgements pause");
                    Duration::from_secs(1)
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        let given = self.store.let_go(self.feed.tenant, &self.lease).await;
        if let Err(error) = given {
            tracing::debug!(source = self.feed.source, %error, "the lease ends by itself");
        }
    }

    /// Sends what is owed now; `false` when the sender could not be reached.
    async fn run_once(&mut self, stop: &CancellationToken) -> Result<bool, Fault> {
        loop {
            if !self.holds().await? {
                return Ok(true);
            }
            let (tenant, source) = (self.feed.tenant, self.feed.source.as_str());
            let owed = self.store.owed_acks(tenant, source, AT_ONCE).await?;
            if owed.is_empty() {
                return Ok(true);
            }
            for owed in owed {
                if stop.is_cancelled() {
                    return Ok(true);
                }
                let settlement = self.send(&owed).await;
                let now = clock::now();
                self.store
                    .settle_ack(tenant, owed.id, settlement, now)
                    .await?;
                if settlement == Settlement::Again {
                    return Ok(false);
                }
            }
        }
    }

    async fn send(&mut self, owed: &OwedAck) -> Settlement {
        let header = match &owed.body {
            Ok(body) => Header::read(body.open()).ok(),
            Err(_unreadable) => None,
        };
        let Some(header) = header else {
            self.tell(owed, "dropped", "its message cannot be read any more");
            return Settlement::Dropped;
        };
        let now = clock::now().to_zoned(self.feed.zone.clone());
        let bytes = report(&header, owed, &now);
        let awaited = !matches!(header.accept_ack.as_str(), "" | "NE" | "ER");
        let control_id = short_id(owed.id);
        let sent = match &mut self.line {
            Some(line) => line.send(&bytes, awaited.then_some(&control_id)).await,
            None => over(&self.feed, bytes, awaited.then_some(control_id)).await,
        };
        match sent {
            Ok(None | Some(AckCode::CA | AckCode::AA)) => {
                self.feed.counters.replied.add("sent");
                self.silent = false;
                Settlement::Sent
            }
            Ok(Some(AckCode::CR | AckCode::AR)) => {
                self.tell(owed, "rejected", "the sender rejects it");
                Settlement::Rejected
            }
            Ok(Some(AckCode::CE | AckCode::AE)) => self.again(owed, Undelivered::SendAgain),
            Err(error) => self.again(owed, error),
        }
    }

    fn again(&mut self, owed: &OwedAck, error: Undelivered) -> Settlement {
        self.feed.counters.replied.add("retried");
        let (tenant, source) = (&self.feed.tenant_name, &self.feed.source);
        // Said once a trouble: the metrics go on counting.
        if !std::mem::replace(&mut self.silent, true) {
            tracing::warn!(tenant, source, trace_id = %owed.message.simple(), %error, "an application acknowledgement waits; it is sent again");
        }
        Settlement::Again
    }

    fn tell(&self, owed: &OwedAck, outcome: &'static str, reason: &'static str) {
        self.feed.counters.replied.add(outcome);
        let (tenant, source) = (&self.feed.tenant_name, &self.feed.source);
        tracing::warn!(tenant, source, trace_id = %owed.message.simple(), reason, "an application acknowledgement is not sent");
    }

    /// Whether this process sends for the source; the lease is renewed when half of it is over.
    async fn holds(&mut self) -> Result<bool, Error> {
        let now = clock::now();
        let lease =
            SignedDuration::try_from(self.pace.lease).unwrap_or(SignedDuration::from_secs(60));
        if self.held_until > now + lease / 2 {
            return Ok(true);
        }
        let until = now + lease;
        let held = self
            .store
            .hold(self.feed.tenant, &self.lease, now, until)
            .await?;
        self.held_until = if held { until } else { Timestamp::MIN };
        Ok(held)
    }
}

/// Writes a message over the newest of the feed's own connections, and waits for its answer.
async fn over(
    feed: &Feed,
    bytes: Vec<u8>,
    awaited: Option<String>,
) -> Result<Option<AckCode>, Undelivered> {
    let connection = feed.replies.newest().ok_or(Undelivered::NoConnection)?;
    let answer = awaited.map(|control_id| feed.replies.expect(control_id));
    let (written, is_written) = oneshot::channel();
    let sending = async {
        let parcel = Parcel { bytes, written };
        connection.send(parcel).await.ok()?;
        is_written.await.ok()?;
        match answer {
            Some(answer) => answer.await.ok().map(Some),
            None => Some(None),
        }
    };
    timeout(ANSWER, sending)
        .await
        .ok()
        .flatten()
        .ok_or(Undelivered::NoAnswer)
}
