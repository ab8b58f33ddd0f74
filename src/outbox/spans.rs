//! What the relay tells of the way of an envelope: its time in the outbox, its publish, the confirm.

use jiff::Timestamp;

use super::relay::{Cleared, Relay};
use crate::clock;
use crate::store::{ClaimedEnvelope, PublishOutcome};
use crate::trace::{self, Span};

impl Relay {
    /// The time of envelopes in the outbox, up to the first claim.
    pub(super) fn trace_queue<'a>(
        &self,
        claimed: impl Iterator<Item = &'a ClaimedEnvelope>,
        now: Timestamp,
    ) {
        for envelope in claimed.filter(|envelope| envelope.attempts == 0) {
            self.tracer.record(envelope.trace(), || Span {
                trace: envelope.trace(),
                step: trace::Step::Queue,
                subject: envelope.id,
                from: trace::made_at(envelope.id).unwrap_or(now),
                to: now,
                outcome: "claimed",
                names: vec![("careloop.tenant", self.site.config.name.clone())],
            });
        }
    }

    /// The publish of an envelope, and in it the wait for the broker's answer.
    pub(super) fn trace(
        &self,
        one: &Cleared,
        (from, to): (Timestamp, Timestamp),
        outcome: PublishOutcome,
    ) {
        let span = |step, from, to| Span {
            trace: one.trace,
            step,
            subject: one.id,
            from,
            to,
            outcome: outcome.name(),
            names: vec![("careloop.tenant", self.site.config.name.clone())],
        };
        let confirm = || span(trace::Step::Confirm, from, to);
        self.tracer.record(one.trace, confirm);
        let publish = || span(trace::Step::Publish, one.claimed_at, clock::now());
        self.tracer.record(one.trace, publish);
    }
}
