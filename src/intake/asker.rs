//! Who waits for an answer to a message: what is counted, told and written once its fate is known.

use jiff::{Timestamp, Zoned};
use uuid::Uuid;

use crate::hl7::Header;
use crate::intake::receive::Handled;
use crate::intake::{Feed, Unstored, acknowledge, refuse};
use crate::store::Receipt;
use crate::trace::{Span, Step};

/// Who is to be answered.
pub(super) struct Asker {
    pub(super) header: Option<Header>,
    /// Lines between messages are stored, but nobody waits for an answer to them.
    pub(super) wants: bool,
    pub(super) held: bool,
    pub(super) received_at: Timestamp,
    /// MSA-1 where the message is itself an acknowledgement, as when an engine forwards one.
    pub(super) acknowledges: Option<&'static str>,
}

impl Asker {
    pub(super) fn taken(self, feed: &Feed, receipt: Receipt, now: &Zoned) -> Handled {
        let again = usize::from(receipt.is_duplicate());
        feed.counters.received.add(1 - again);
        feed.counters.repeated.add(again);
        feed.counters.held.add(usize::from(self.held && again == 0));
        if let Some(code) = self.acknowledges.filter(|_| again == 0) {
            feed.counters.acknowledgements.add(code);
        }
        flag_reuse(feed, &receipt);
        if again == 0 {
            self.trace(feed, receipt.id(), now.timestamp());
        }
        let header = self.header.as_ref();
        let answer = self
            .wants
            .then(|| acknowledge(header, &receipt, now, feed.application_acks))
            .flatten();
        Handled {
            receipt: Ok(receipt),
            answer,
        }
    }

    fn trace(&self, feed: &Feed, message: Uuid, to: Timestamp) {
        feed.tracer.record(message, || Span {
            trace: message,
            step: Step::Receive,
            subject: message,
            from: self.received_at,
            to,
            outcome: if self.held { "held" } else { "stored" },
            names: vec![
                ("careloop.tenant", feed.tenant_name.clone()),
                ("careloop.source", feed.source.clone()),
            ],
        });
    }

    pub(super) fn refused(self, unstored: Unstored, now: &Zoned) -> Handled {
        let answer = self
            .wants
            .then(|| refuse(self.header.as_ref(), unstored, now))
            .flatten();
        Handled {
            receipt: Err(unstored),
            answer,
        }
    }
}

/// Says where an operator sees it that a sender used a control id twice: nothing is lost by it, but
/// its next repeat could be taken for a new message by others.
fn flag_reuse(feed: &Feed, receipt: &Receipt) {
    if receipt.control_id_reused() && !receipt.is_duplicate() {
        feed.counters.control_ids_reused.add(1);
        tracing::warn!(
            tenant = feed.tenant_name,
            source = feed.source,
            trace_id = %receipt.id().simple(),
            "a control id came again with another body; both messages are stored"
        );
    }
}
