//! Traces: what joins the spans of one message, from its frame to the broker's confirm.
//!
//! A trace has the id of the message that began it, and a span an id that follows from what it is
//! about. Message and envelope keep these ids already, so one trace goes on over queues, restarts
//! and processes, and whoever has a message's id has its trace. Spans hold ids, names of the
//! configuration and words of the code, never a value.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

/// A part of a message's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// From a frame's last byte to the durable answer.
    Receive,
    /// From the claim to the commit of everything that the message implies.
    Process,
    /// From the outbox row to its first claim.
    Queue,
    /// From the claim of an envelope to its settlement.
    Publish,
    /// From the write to the broker to its answer.
    Confirm,
}

impl Step {
    /// The span's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Process => "process",
            Self::Queue => "queue",
            Self::Publish => "publish",
            Self::Confirm => "confirm",
        }
    }
}

/// A span that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The message, or what began the trace where there was none.
    pub trace: Uuid,
    /// Which part of the way.
    pub step: Step,
    /// The message or envelope that it is about.
    pub subject: Uuid,
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
    /// How it ended, in a word of the code.
    pub outcome: &'static str,
    /// The tenant's and the source's name, where they are known.
    pub names: Vec<(&'static str, String)>,
}

impl Span {
    /// Its own id.
    pub fn id(&self) -> [u8; 8] {
        match self.step {
            Step::Receive | Step::Queue => span_id(self.step, self.subject, None),
            _ => span_id(self.step, self.subject, Some(self.from)),
        }
    }

    /// The id of the span that it belongs to; `None` for the first of a trace.
    pub fn parent(&self) -> Option<[u8; 8]> {
        match self.step {
            Step::Receive => None,
            Step::Process | Step::Queue => Some(span_id(Step::Receive, self.trace, None)),
            Step::Publish | Step::Confirm => Some(span_id(Step::Queue, self.subject, None)),
        }
    }
}

/// FNV-1a over what the span is about: not a secret, but the same at every look.
fn span_id(step: Step, subject: Uuid, from: Option<Timestamp>) -> [u8; 8] {
    let from = from.map_or(0, Timestamp::as_microsecond).to_be_bytes();
    let parts = [step.name().as_bytes(), subject.as_bytes(), &from];
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.into_iter().flatten() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash.max(1).to_be_bytes()
}

type Sink = Arc<dyn Fn(Span) + Send + Sync>;

/// Who is told of spans, and of which traces.
#[derive(Clone, Default)]
pub struct Tracer(Option<(f64, Sink)>);

impl Tracer {
    /// Tells `sink` of a share of all traces: from 0, none, to 1, all.
    pub fn new(share: f64, sink: impl Fn(Span) + Send + Sync + 'static) -> Self {
        Self(Some((share, Arc::new(sink))))
    }

    /// Records a span, if its trace is one of those that are told.
    pub fn record(&self, trace: Uuid, span: impl FnOnce() -> Span) {
        if let Some((share, sink)) = &self.0
            && is_sampled(trace, *share)
        {
            sink(span());
        }
    }

    /// The W3C trace context of an envelope, for whoever goes on with it.
    pub fn parent_of(&self, trace: Uuid, envelope: Uuid) -> Option<String> {
        let (share, _) = self.0.as_ref()?;
        let span = u64::from_be_bytes(span_id(Step::Queue, envelope, None));
        let flags = u8::from(is_sampled(trace, *share));
        Some(format!("00-{}-{span:016x}-{flags:02x}", trace.simple()))
    }
}

/// Decided by the last six bytes, which are random in a message's id: every station decides alike.
fn is_sampled(trace: Uuid, share: f64) -> bool {
    let (_, random) = trace.as_bytes().split_at(10);
    let number = random
        .iter()
        .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    // Both fit exactly: 48 bits into a mantissa of 52.
    let place =
        f64::from(u32::try_from(number & 0xffff_ffff).unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    place < share || share >= 1.0
}

/// When a version 7 id was made.
pub fn made_at(id: Uuid) -> Option<Timestamp> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    let seconds = i64::try_from(seconds).ok()?;
    Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(step: Step, trace: Uuid, subject: Uuid) -> Span {
        Span {
            trace,
            step,
            subject,
            from: Timestamp::UNIX_EPOCH,
            to: Timestamp::UNIX_EPOCH,
            outcome: "done",
            names: Vec::new(),
        }
    }

    #[test]
    fn every_span_of_a_message_leads_back_to_its_frame() {
        let (message, envelope) = (Uuid::now_v7(), Uuid::now_v7());
        let root = span(Step::Receive, message, message);
        let queue = span(Step::Queue, message, envelope);
        assert_eq!(root.parent(), None);
        assert_eq!(
            span(Step::Process, message, message).parent(),
            Some(root.id())
        );
        assert_eq!(queue.parent(), Some(root.id()));
        assert_eq!(
            span(Step::Publish, message, envelope).parent(),
            Some(queue.id())
        );
        assert_eq!(
            span(Step::Confirm, message, envelope).parent(),
            Some(queue.id())
        );
    }

    #[test]
    fn a_share_of_traces_is_told_and_all_or_none_at_the_ends() {
        let ids: Vec<Uuid> = (0..2000).map(|_| Uuid::now_v7()).collect();
        let told = |share| ids.iter().filter(|id| is_sampled(**id, share)).count();
        assert_eq!((told(0.0), told(1.0)), (0, 2000));
        assert!((800..1200).contains(&told(0.5)), "{}", told(0.5));
    }

    #[test]
    fn the_context_has_the_form_of_w3c() {
        let (message, envelope) = (Uuid::now_v7(), Uuid::now_v7());
        assert_eq!(Tracer::default().parent_of(message, envelope), None);
        let context = Tracer::new(1.0, drop).parent_of(message, envelope).unwrap();
        let parts: Vec<&str> = context.split('-').collect();
        assert_eq!(
            (parts[0], parts[1], parts[3]),
            ("00", message.simple().to_string().as_str(), "01")
        );
        assert_eq!(parts[2].len(), 16);
    }
}
