//! The one door: reads MSH, stores durably, and gives for each message its receipt and answer.
//!
//! Any bytes are accepted: a frame may hold several messages, with batch envelope or without, each
//! stored and answered for in order. Lines of no message are held; envelopes and comments ignored.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::failure::Code;
use crate::hl7::{self, Header, ack};
use crate::intake::asker::Asker;
use crate::intake::commit::{BATCH_MESSAGES, Committer, Delivery, QUEUE};
use crate::intake::{Answer, Feed, Readiness, Unstored};
use crate::store::{Arrival, Numbered, Receipt, Store, Taken, TenantId};

/// Messages in one frame; one with more is stored whole and held.
const MOST_MESSAGES: usize = 10_000;
/// How long counting a refusal may take; the peer waits for it.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Why a message is refused that is not the next one of its source.
const OUT_OF_SEQUENCE: &str = "out-of-sequence";
/// Characters kept as columns: of MSH-10, the message type, MSH-11. The body has all of them.
const CONTROL_ID: usize = 199;
pub(super) const MESSAGE_TYPE: usize = 40;
const PROCESSING_ID: usize = 8;

/// The door. Cheap to clone; all clones share the committers.
#[derive(Clone)]
pub struct Door {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    readiness: Readiness,
    committers: Mutex<HashMap<TenantId, mpsc::Sender<Delivery>>>,
    tracker: TaskTracker,
    closing: CancellationToken,
}

/// What became of one message.
pub struct Handled {
    /// The proof that it is stored, or why it is not.
    pub receipt: Result<Receipt, Unstored>,
    /// What the sender gets to read; `None` where it wants no answer, or the piece is no message.
    pub answer: Option<Answer>,
}

impl Door {
    /// A door to `store`; a failing store shows in `readiness`.
    pub fn new(store: Store, readiness: Readiness) -> Self {
        let inner = Inner {
            store,
            readiness,
            committers: Mutex::default(),
            tracker: TaskTracker::new(),
            closing: CancellationToken::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Stores every message in `bytes`, in order, and returns what became of each.
    ///
    /// When one cannot be stored, those after it are not tried: they must not overtake it.
    pub async fn receive(&self, feed: &Feed, bytes: &[u8]) -> Vec<Handled> {
        let pieces = pieces(bytes);
        self.take(feed, &pieces, |piece| piece.read(bytes, feed, clock::now()))
            .await
    }

    /// Stores pieces of what arrived in their order, so many at once.
    pub(super) async fn take<P>(
        &self,
        feed: &Feed,
        pieces: &[P],
        read: impl Fn(&P) -> Read,
    ) -> Vec<Handled> {
        let mut handled = Vec::with_capacity(pieces.len());
        let mut failed = None;
        for chunk in pieces.chunks(BATCH_MESSAGES) {
            let read = chunk.iter().map(&read);
            let (askers, arrivals) = read.map(|r| (r.asker, r.arrival)).unzip();
            let stored = match failed {
                None => self.store(feed, arrivals).await,
                Some(unstored) => Err(unstored),
            };
            failed = stored.as_ref().err().copied();
            settle(feed, askers, stored, &mut handled);
        }
        handled
    }

    /// Counts a refused frame or connection where it lasts, and in the feed's counters.
    pub async fn refuse(&self, feed: &Feed, reason: &'static str) {
        feed.counters.refused.add(reason);
        let store = &self.inner.store;
        let count = store.count_refused(feed.tenant, &feed.source, reason, clock::now());
        let error = match timeout(REFUSAL_TIMEOUT, count).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => "expected a commit within 5 s, found none".to_owned(),
        };
        let (tenant, source) = (&feed.tenant_name, &feed.source);
        tracing::error!(
            tenant,
            source,
            reason,
            error,
            "a refusal is not counted in the store"
        );
    }

    /// Why intake is not ready, shared with the listeners.
    pub fn readiness(&self) -> &Readiness {
        &self.inner.readiness
    }

    /// Stores what is queued, then stops the committers. Nothing is taken after that.
    pub async fn close(&self) {
        self.inner.closing.cancel();
        self.inner.tracker.close();
        self.inner.tracker.wait().await;
    }

    async fn store(&self, feed: &Feed, arrivals: Vec<Arrival>) -> Result<Vec<Taken>, Unstored> {
        if self.inner.closing.is_cancelled() {
            return Err(Unstored::Stopping);
        }
        let (reply, receipts) = oneshot::channel();
        let queue = self.queue(feed);
        let delivery = Delivery { arrivals, reply };
        if queue.send(delivery).await.is_err() {
            return Err(Unstored::Stopping);
        }
        receipts.await.unwrap_or(Err(Unstored::Failed))
    }

    /// The queue of the feed's tenant; its committers are started when they are first needed.
    fn queue(&self, feed: &Feed) -> mpsc::Sender<Delivery> {
        let mut committers = self
            .inner
            .committers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = committers
            .get(&feed.tenant)
            .filter(|queue| !queue.is_closed())
        {
            return queue.clone();
        }
        let (sender, queue) = mpsc::channel(QUEUE);
        let committer = Committer {
            store: self.inner.store.clone(),
            tenant: feed.tenant,
            tenant_name: feed.tenant_name.clone(),
            readiness: self.inner.readiness.clone(),
            queue: Arc::new(tokio::sync::Mutex::new(queue)),
        };
        for member in committer.team() {
            let closing = self.inner.closing.clone();
            self.inner.tracker.spawn(member.run(closing));
        }
        committers.insert(feed.tenant, sender.clone());
        sender
    }
}

/// Builds the answers of one chunk and counts it.
fn settle(
    feed: &Feed,
    askers: Vec<Asker>,
    stored: Result<Vec<Taken>, Unstored>,
    handled: &mut Vec<Handled>,
) {
    let now = clock::now().to_zoned(feed.zone.clone());
    let taken = match stored {
        Ok(taken) => {
            feed.arrived.notify_one();
            taken.into_iter().map(Ok).collect()
        }
        Err(unstored) => askers.iter().map(|_| Err(unstored)).collect::<Vec<_>>(),
    };
    for (asker, taken) in askers.into_iter().zip(taken) {
        handled.push(match taken {
            Ok(Taken::Stored(receipt)) => asker.taken(feed, receipt, &now),
            Ok(Taken::OutOfSequence { expected }) => {
                feed.counters.refused.add(OUT_OF_SEQUENCE);
                asker.refused(Unstored::OutOfSequence { expected }, &now)
            }
            Err(unstored) => {
                feed.counters.not_stored.add(1);
                asker.refused(unstored, &now)
            }
        });
    }
}

/// What is stored of a piece, and who is to be answered.
pub(super) struct Read {
    pub(super) asker: Asker,
    pub(super) arrival: Arrival,
}

/// A part of a frame that is stored as one message.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    range: Range<usize>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    Stray,
    TooMany,
}

/// What a frame holds, in the order of its bytes.
fn pieces(bytes: &[u8]) -> Vec<Piece> {
    let split = hl7::split(bytes);
    if split.messages.len() + split.stray.len() > MOST_MESSAGES {
        return vec![Piece {
            range: 0..bytes.len(),
            kind: Kind::TooMany,
        }];
    }
    let messages = split.messages.into_iter().map(|range| Piece {
        range,
        kind: Kind::Message,
    });
    let stray = split.stray.into_iter().map(|range| Piece {
        range,
        kind: Kind::Stray,
    });
    let mut pieces: Vec<Piece> = messages.chain(stray).collect();
    pieces.sort_by_key(|piece| piece.range.start);
    pieces
}

impl Piece {
    /// Reads what the store keeps beside the body: MSH, and nothing else.
    fn read(&self, bytes: &[u8], feed: &Feed, received_at: Timestamp) -> Read {
        let body = bytes.get(self.range.clone()).unwrap_or_default();
        let (header, held) = match (Header::read(body), self.kind) {
            (Ok(header), Kind::Message) => (Some(header), None),
            (Err(error), Kind::Message) => (None, Some((Code::NoHeader, error.to_string()))),
            (header, Kind::TooMany) => {
                let place = format!("frame: expected at most {MOST_MESSAGES} messages, found more");
                (header.ok(), Some((Code::TooLarge, place)))
            }
            (_, Kind::Stray) => {
                let place = "frame: expected segments after MSH, found lines of no message";
                (None, Some((Code::NoHeader, place.to_owned())))
            }
        };
        let column = |text: Option<String>, most| column(text.as_deref().unwrap_or_default(), most);
        let known = header.as_ref();
        let arrival = Arrival {
            source: feed.source.clone(),
            control_id: column(known.map(|h| h.control_id.clone()), CONTROL_ID),
            digest: sha256(body),
            message_type: column(known.map(Header::message_type), MESSAGE_TYPE),
            processing_id: column(known.map(|h| h.processing_id.clone()), PROCESSING_ID),
            event_time: known.and_then(|header| event_time(header, feed)),
            received_at,
            body: body.to_vec(),
            held,
            application_ack: known
                .filter(|_| feed.application_acks)
                .and_then(ack::application_condition),
            numbered: self.numbered(known, feed),
        };
        let held = arrival.held.is_some();
        let known = header.as_ref().filter(|header| header.is_acknowledgement());
        let acknowledges =
            known.map(|header| ack::said(body, header).map_or("other", |(code, _)| code.code()));
        let asker = Asker {
            acknowledges,
            received_at,
            header,
            wants: self.kind != Kind::Stray,
            held,
        };
        Read { asker, arrival }
    }

    /// What MSH-13 says, where the source is to number its messages.
    fn numbered(&self, header: Option<&Header>, feed: &Feed) -> Option<Numbered> {
        let counts = feed.sequence_numbers && self.kind != Kind::Stray;
        counts.then(|| {
            header
                .and_then(Header::sequence_number)
                .map_or(Numbered::Not, Numbered::As)
        })
    }
}

/// When it happened, as MSH-7 says; `None` where that names no instant.
fn event_time(header: &Header, feed: &Feed) -> Option<Timestamp> {
    let time = hl7::Timestamp::parse(&header.time).ok()?;
    Some(time.to_instant(&feed.zone)?.instant)
}

/// A text that fits into a column: no control characters (PostgreSQL takes no NUL), `most` long.
pub(super) fn column(text: &str, most: usize) -> String {
    let printable = text.chars().filter(|character| !character.is_control());
    printable.take(most).collect()
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    let computed = digest::digest(&digest::SHA256, bytes);
    for (to, from) in digest.iter_mut().zip(computed.as_ref()) {
        *to = *from;
    }
    digest
}

#[cfg(test)]
#[path = "receive_tests.rs"]
mod tests;
