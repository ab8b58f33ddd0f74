//! The committers of a tenant: each stores what is queued in one transaction, and hands out receipts.
//!
//! There is no timer: while commits are under way, the next batch gathers by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::intake::{Readiness, Unready};
use crate::store::{Arrival, Store, Taken, TenantId};

/// Committers where the store writes side by side. A single one lets a message wait for the commit under
/// way and then for its own; the database joins the flushes of several.
const SIDE_BY_SIDE: usize = 2;
/// Messages after which a batch is full.
pub(super) const BATCH_MESSAGES: usize = 256;
/// Bytes after which a batch is full: a transaction must not block the writer for long.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Deliveries that may wait; then senders wait, as does all that they still have to send.
pub(super) const QUEUE: usize = 256;
/// How long a commit may take before senders are told to send again. Many give up after 10 s, and
/// an answer after that is taken for the answer to something else.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(8);
/// After a failure so many deliveries are stored one by one, so that one which can never be stored
/// fails alone when its sender repeats it.
const SINGLY: usize = 256;
/// How long to wait after a failure: senders that repeat at once must not make it worse.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a failing store is tried when nobody sends, so that readiness comes back by itself.
const PROBE: Duration = Duration::from_secs(5);

/// The message is not stored: the sender has to send it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unstored {
    /// The store is away, full, too slow or failed otherwise.
    #[error("store: expected a commit, found a failure")]
    Failed,
    /// It is not the message that the sequence number protocol expects.
    #[error("MSH-13: expected the next number of the sequence, found another or none")]
    OutOfSequence {
        /// The number that was expected; `None` where any may begin.
        expected: Option<i64>,
    },
    /// careloop is stopping.
    #[error("store: expected an open queue, found careloop stopping")]
    Stopping,
}

/// Messages of one frame, and where their receipts go.
pub(super) struct Delivery {
    pub(super) arrivals: Vec<Arrival>,
    pub(super) reply: oneshot::Sender<Result<Vec<Taken>, Unstored>>,
}

/// Stores messages of one tenant; its clones share the queue. Who waits for an answer sends nothing
/// more meanwhile, so that no order is lost between them.
#[derive(Clone)]
pub(super) struct Committer {
    pub(super) store: Store,
    pub(super) tenant: TenantId,
    pub(super) tenant_name: String,
    pub(super) readiness: Readiness,
    pub(super) queue: Arc<Mutex<mpsc::Receiver<Delivery>>>,
}

impl Committer {
    /// As many as the store has use for.
    pub(super) fn team(self) -> impl Iterator<Item = Self> {
        let side_by_side = self.store.writes_side_by_side();
        let size = if side_by_side { SIDE_BY_SIDE } else { 1 };
        std::iter::repeat_n(self, size)
    }

    /// Runs until `closing` and then until the queue is empty.
    pub(super) async fn run(self, closing: CancellationToken) {
        let (mut singly, mut failing, mut closed) = (0_usize, false, false);
        loop {
            let batch = tokio::select! {
                biased;
                batch = self.next(singly > 0) => batch,
                () = closing.cancelled(), if !closed => {
                    self.queue.lock().await.close();
                    closed = true;
                    continue;
                }
                () = sleep(PROBE), if failing => {
                    failing = !self.commit(Vec::new()).await;
                    continue;
                }
            };
            let Some(batch) = batch else { return };
            singly = singly.saturating_sub(1);
            failing = !self.commit(batch).await;
            if failing {
                singly = SINGLY;
                sleep(PAUSE).await;
            }
        }
    }

    /// The next delivery alone, or with whatever else is queued, until the batch is full. Dropped
    /// while it waits it took nothing.
    async fn next(&self, alone: bool) -> Option<Vec<Delivery>> {
        let mut queue = self.queue.lock().await;
        let first = queue.recv().await?;
        let size = |delivery: &Delivery| -> usize {
            delivery
                .arrivals
                .iter()
                .map(|arrival| arrival.body.len())
                .sum()
        };
        let (mut messages, mut bytes) = (first.arrivals.len(), size(&first));
        let mut batch = vec![first];
        while !alone && messages < BATCH_MESSAGES && bytes < BATCH_BYTES {
            let Ok(next) = queue.try_recv() else {
                break;
            };
            messages += next.arrivals.len();
            bytes += size(&next);
            batch.push(next);
        }
        Some(batch)
    }

    /// Stores a batch and answers everyone who waits for it; whether it was stored.
    async fn commit(&self, batch: Vec<Delivery>) -> bool {
        let mut arrivals = Vec::new();
        let mut waiting = Vec::with_capacity(batch.len());
        for delivery in batch {
            waiting.push((delivery.arrivals.len(), delivery.reply));
            arrivals.extend(delivery.arrivals);
        }
        let expected = arrivals.len();
        let error = match timeout(COMMIT_TIMEOUT, self.store.receive(self.tenant, arrivals)).await {
            Ok(Ok(taken)) if taken.len() == expected => {
                self.succeeded();
                hand_out(taken, waiting);
                return true;
            }
            Ok(Ok(_)) => "expected a receipt for each message, found another number".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => "expected a commit within 8 s, found none".to_owned(),
        };
        self.failed(expected, &error);
        for (_, reply) in waiting {
            send(reply, Err(Unstored::Failed));
        }
        false
    }

    fn succeeded(&self) {
        if self.readiness.recover(&self.reason()) {
            tracing::info!(tenant = self.tenant_name, "messages are stored again");
        }
    }

    fn failed(&self, messages: usize, error: &str) {
        let tenant = &self.tenant_name;
        if self.readiness.fail(self.reason()) {
            tracing::error!(
                tenant,
                messages,
                error,
                "messages could not be stored; their senders are told to send them again"
            );
        } else {
            tracing::warn!(tenant, messages, error, "messages still cannot be stored");
        }
    }

    fn reason(&self) -> Unready {
        Unready::NotStoring {
            tenant: self.tenant_name.clone(),
        }
    }
}

type Waiting = (usize, oneshot::Sender<Result<Vec<Taken>, Unstored>>);

fn hand_out(taken: Vec<Taken>, waiting: Vec<Waiting>) {
    let mut taken = taken.into_iter();
    for (count, reply) in waiting {
        send(reply, Ok(taken.by_ref().take(count).collect()));
    }
}

fn send(
    reply: oneshot::Sender<Result<Vec<Taken>, Unstored>>,
    result: Result<Vec<Taken>, Unstored>,
) {
    // The connection may be gone: what it sent is stored all the same, and will come again.
    if reply.send(result).is_err() {
        tracing::debug!("nobody waits for this receipt any more");
    }
}
