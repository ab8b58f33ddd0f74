//! One peer: its frames in order, one at a time, each answered before the next one is looked at.
//!
//! Accepted: pipelined frames, which wait in the socket until it is their turn; a peer that closes
//! its sending side. Ignored: line ends between frames. Refused, by closing the connection: what
//! the framing refuses, a frame that takes too long, an end inside a frame, junk and then silence.
//! A peer that says nothing or does not read its answers is closed too; nothing is lost by that.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_util::codec::Decoder;
use tokio_util::sync::CancellationToken;

use crate::config::MllpLimits;
use crate::intake::mllp::Refusal;
use crate::intake::mllp::frame::{FrameDecoder, FrameError, put_frame};
use crate::intake::replies::Parcel;
use crate::intake::{Answer, Counters, Replies};

/// A frame that outgrows this needs a permit: the memory of all connections together is bounded.
const LARGE: usize = 64 * 1024;
/// Large frames in memory at once, per station; the others wait in their sockets.
pub(super) const LARGE_AT_ONCE: usize = 32;
/// How much is read at once.
const READ: usize = 16 * 1024;
/// How long a closed connection is still read, so that the last answer is not lost to a reset.
const LINGER: Duration = Duration::from_millis(500);

/// What a frame leads to.
pub(super) struct Reply {
    /// The answers, in order.
    pub(super) answers: Vec<Answer>,
    /// Whether the connection goes on.
    pub(super) then: Then,
}

/// Whether the connection goes on after a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The next frame may come.
    GoOn,
    /// Something was not stored and the sender wants no answer: only closing tells it.
    Close,
    /// The frame is not taken at all.
    Refuse(Refusal),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The peer closed it between frames.
    PeerClosed,
    /// careloop stops, or the agreement has lapsed.
    Stopped,
    /// The peer said nothing for too long.
    Idle,
    /// The peer did not read its answers in time.
    AnswersNotRead,
    /// A message was not stored, and the peer wants to read no answer.
    Unanswerable,
    /// The socket failed between frames.
    Lost(io::ErrorKind),
    /// Refused.
    Refused(Refusal),
}

/// What the connections of a listener share.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) limits: &'a MllpLimits,
    pub(super) counters: &'a Counters,
    pub(super) large: &'a Semaphore,
    pub(super) stop: &'a CancellationToken,
    /// Where it carries messages of careloop's own, too.
    pub(super) replies: Option<&'a Replies>,
}

/// Reads frames from `stream`, gives each to `handle`, and writes what it answers, until the end.
///
/// Gives the stream back, so that the caller can count a refusal before it parts from the peer.
pub(super) async fn converse<S, H, F>(stream: S, terms: Terms<'_>, handle: H) -> (Ending, S)
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Bytes) -> F,
    F: Future<Output = Reply>,
{
    let mut connection = Connection::new(stream, terms);
    let ending = connection.run(handle).await;
    (connection.judge(ending), connection.stream)
}

/// Says goodbye, then reads on for a moment: closing with bytes unread resets the connection, and a
/// reset can overtake the last answer.
pub(super) async fn part<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let goodbye = async {
        stream.shutdown().await?;
        let mut rest = BytesMut::with_capacity(READ);
        while stream.read_buf(&mut rest).await? > 0 {
            rest.clear();
        }
        Ok::<(), io::Error>(())
    };
    if !matches!(timeout(LINGER, goodbye).await, Ok(Ok(()))) {
        tracing::debug!("the peer did not close its side");
    }
}

struct Connection<'a, S> {
    stream: S,
    terms: Terms<'a>,
    decoder: FrameDecoder,
    buffer: BytesMut,
    permit: Option<SemaphorePermit<'a>>,
    /// Junk since the last frame.
    junk: usize,
    /// Messages of careloop's own, which go out between frames.
    parcels: Option<mpsc::Receiver<Parcel>>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Connection<'a, S> {
    fn new(stream: S, terms: Terms<'a>) -> Self {
        Self {
            stream,
            terms,
            decoder: FrameDecoder::new(terms.limits.frame, terms.limits.junk),
            buffer: BytesMut::new(),
            permit: None,
            junk: 0,
            parcels: terms.replies.map(Replies::join),
        }
    }

    async fn run<H, F>(&mut self, handle: H) -> Ending
    where
        H: Fn(Bytes) -> F,
        F: Future<Output = Reply>,
    {
        loop {
            if self.terms.stop.is_cancelled() && !self.decoder.is_inside() {
                return Ending::Stopped;
            }
            let frame = match self.next_frame().await {
                Ok(frame) => frame,
                Err(ending) => return ending,
            };
            // Boxed, so that a connection that waits for its next frame has no room for it.
            let reply = Box::pin(handle(frame)).await;
            self.shrink();
            self.permit = None;
            if let Err(ending) = self.answer(&reply.answers).await {
                return ending;
            }
            match reply.then {
                Then::GoOn => {}
                Then::Close => return Ending::Unanswerable,
                Then::Refuse(refusal) => return Ending::Refused(refusal),
            }
        }
    }

    /// The next frame: it may be long in coming, but not in coming complete.
    async fn next_frame(&mut self) -> Result<Bytes, Ending> {
        let limits = self.terms.limits;
        while !self.decoder.is_inside() {
            let stop = self.terms.stop;
            let mut parcels = self.parcels.take();
            let waited = tokio::select! {
                biased;
                begun = timeout(limits.idle_timeout, self.read_until(Until::Begun)) => Waited::Read(begun),
                () = stop.cancelled() => return Err(Ending::Stopped),
                parcel = next(&mut parcels) => Waited::Parcel(parcel),
            };
            self.parcels = parcels;
            match waited {
                Waited::Parcel(parcel) => self.deliver(parcel).await?,
                Waited::Read(begun) => {
                    if let Some(frame) = begun.unwrap_or(Err(Ending::Idle))? {
                        return Ok(frame);
                    }
                }
            }
        }
        let refused = Ending::Refused(Refusal::FrameTimeout);
        let complete = timeout(limits.frame_timeout, self.read_until(Until::Complete)).await;
        complete.unwrap_or(Err(refused))?.ok_or(refused)
    }

    /// Reads until a frame is complete or, if that is asked for, has begun.
    async fn read_until(&mut self, until: Until) -> Result<Option<Bytes>, Ending> {
        loop {
            let found = self.decoder.decode(&mut self.buffer);
            self.count_junk();
            if let Some(frame) = found.map_err(|error| self.refused(&error))? {
                self.report_junk();
                return Ok(Some(frame));
            }
            if until == Until::Begun && self.decoder.is_inside() {
                return Ok(None);
            }
            self.ask_for_room().await;
            match self.read_some().await {
                Ok(0) if self.decoder.is_inside() => {
                    return Err(self.refused(&FrameError::Truncated));
                }
                Ok(0) => return Err(Ending::PeerClosed),
                Ok(_) => {}
                Err(error) => return Err(self.refused(&FrameError::Io(error))),
            }
        }
    }

    /// Adds what has come to the buffer. It is read onto the stack first, so that a connection holds
    /// memory for what came and none for what may come.
    async fn read_some(&mut self) -> io::Result<usize> {
        poll_fn(|context| {
            let mut room = [const { MaybeUninit::uninit() }; READ];
            let mut read = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            self.buffer.extend_from_slice(read.filled());
            Poll::Ready(Ok(read.filled().len()))
        })
        .await
    }

    /// Waits for a permit once a frame is large. The time within a frame goes on meanwhile, so that
    /// slow senders of large frames cannot keep the permits.
    async fn ask_for_room(&mut self) {
        if self.buffer.len() > LARGE && self.permit.is_none() {
            // The semaphore is never closed; without a permit the bounds of the frame still hold.
            self.permit = self.terms.large.acquire().await.ok();
        }
    }

    /// Gives back the memory of the frame that is done; what came after it is kept.
    fn shrink(&mut self) {
        self.buffer = BytesMut::from(self.buffer.as_ref());
    }

    fn count_junk(&mut self) {
        let skipped = self.decoder.take_skipped();
        self.junk = self.junk.saturating_add(skipped);
        self.terms.counters.junk_bytes.add(skipped);
    }

    /// Junk within the bound is put up with, but not passed over in silence.
    fn report_junk(&mut self) {
        if self.junk > 0 {
            tracing::warn!(bytes = self.junk, "skipped bytes that belong to no frame");
            self.junk = 0;
        }
    }

    fn refused(&self, error: &FrameError) -> Ending {
        match error {
            FrameError::TooLarge { .. } => Ending::Refused(Refusal::TooLarge),
            FrameError::Junk { .. } => Ending::Refused(Refusal::Junk),
            FrameError::Truncated => Ending::Refused(Refusal::Truncated),
            FrameError::Io(_) if self.decoder.is_inside() => Ending::Refused(Refusal::Truncated),
            FrameError::Io(error) => Ending::Lost(error.kind()),
        }
    }

    /// A peer that sent only junk and then left or fell silent sent something that it believes to
    /// be a message: that counts as refused.
    fn judge(&self, ending: Ending) -> Ending {
        match ending {
            Ending::PeerClosed | Ending::Idle | Ending::Lost(_) if self.junk > 0 => {
                Ending::Refused(Refusal::Junk)
            }
            _ => ending,
        }
    }

    /// Writes a message of careloop's own.
    async fn deliver(&mut self, parcel: Parcel) -> Result<(), Ending> {
        let mut out = BytesMut::new();
        put_frame(&parcel.bytes, &mut out);
        self.write(&out).await?;
        if parcel.written.send(()).is_err() {
            tracing::debug!("nobody waits for this message to be written any more");
        }
        Ok(())
    }

    async fn answer(&mut self, answers: &[Answer]) -> Result<(), Ending> {
        let mut out = BytesMut::new();
        for answer in answers {
            put_frame(answer.bytes(), &mut out);
        }
        if out.is_empty() {
            return Ok(());
        }
        self.write(&out).await
    }

    async fn write(&mut self, out: &[u8]) -> Result<(), Ending> {
        let write = async {
            self.stream.write_all(out).await?;
            self.stream.flush().await
        };
        match timeout(self.terms.limits.write_timeout, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Ending::Lost(error.kind())),
            Err(_elapsed) => Err(Ending::AnswersNotRead),
        }
    }
}

/// What came first.
enum Waited {
    Read(Result<Result<Option<Bytes>, Ending>, Elapsed>),
    Parcel(Parcel),
}

/// The next message of careloop's own; never, where there are none.
async fn next(parcels: &mut Option<mpsc::Receiver<Parcel>>) -> Parcel {
    if let Some(parcels) = parcels
        && let Some(parcel) = parcels.recv().await
    {
        return parcel;
    }
    std::future::pending().await
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Begun,
    Complete,
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
