//! What is asserted of orders and referrals: by whoever asks, and by whoever answers.

use super::assertion::{Assertion, Origin, Payload, add_identifiers, key_of, set};
use super::change::{AnswerChange, Identifier, RequestChange};
use super::record::{Request, RequestKind, share_identifier};
use super::status::{Priority, RequestStatus, Stage};

impl Origin<'_> {
    /// An order or a referral as its sender tells it.
    pub(super) fn request(
        self,
        kind: RequestKind,
        change: &RequestChange,
        known: &[Assertion],
    ) -> Vec<Assertion> {
        let before = self.request_known(&change.identifiers, known);
        let late = !self.may_replace(before.map(|(assertion, _)| assertion));
        let answered = before.filter(|(_, old)| late && old.kind == RequestKind::Answer);
        if late && answered.is_none() {
            return Vec::new();
        }
        let mut next = before.map_or_else(|| self.fresh_request(kind), |(_, old)| old.clone());
        next.kind = next.kind.max(kind);
        next.status = change.status;
        next.changed_at = self.event_time;
        add_identifiers(&mut next.identifiers, &change.identifiers);
        if let Some(stage) = change.stage.value()
            && *stage != next.stage
        {
            next.stage = *stage;
            next.stage_at = self.event_time;
        }
        if let Some(priority) = change.priority.value() {
            next.priority = *priority;
        }
        set(&mut next.authored_at, &change.authored_at);
        set(&mut next.wanted_by, &change.wanted_by);
        set(&mut next.expires_at, &change.expires_at);
        let mut assertion = self.told(before, next);
        // The answer overtook what it answers: the question is filled in, the answer stands.
        if let (Some((overtaking, answer)), Payload::Request(next)) =
            (answered, &mut assertion.payload)
        {
            next.answered((answer.status, answer.stage), answer.changed_at);
            next.stage_at = answer.stage_at;
            assertion.event_time = overtaking.event_time;
            assertion.message = overtaking.message;
        }
        vec![assertion]
    }

    /// The answer to an order or a referral, whichever of the two it is.
    pub(super) fn answer(self, change: &AnswerChange, known: &[Assertion]) -> Vec<Assertion> {
        let before = self.request_known(&change.identifiers, known);
        if !self.may_replace(before.map(|(assertion, _)| assertion)) {
            return Vec::new();
        }
        let fresh = || self.fresh_request(RequestKind::Answer);
        let mut next = before.map_or_else(fresh, |(_, old)| old.clone());
        add_identifiers(&mut next.identifiers, &change.identifiers);
        let stage = change.stage.value().copied().unwrap_or(next.stage);
        next.answered((change.status, stage), self.event_time);
        vec![self.told(before, next)]
    }

    fn told(&self, before: Option<(&Assertion, &Request)>, next: Request) -> Assertion {
        let key = key_of(&next.identifiers);
        let payload = Payload::Request(next);
        match before {
            Some((assertion, _)) => self.again(assertion, payload),
            None => self.assertion(key, payload),
        }
    }

    /// What this source told before of the request with one of these identifiers.
    fn request_known<'k>(
        &self,
        identifiers: &[Identifier],
        known: &'k [Assertion],
    ) -> Option<(&'k Assertion, &'k Request)> {
        known.iter().find_map(|assertion| match &assertion.payload {
            Payload::Request(request)
                if assertion.source == self.source
                    && share_identifier(&request.identifiers, identifiers) =>
            {
                Some((assertion, request))
            }
            _ => None,
        })
    }

    const fn fresh_request(self, kind: RequestKind) -> Request {
        Request {
            kind,
            identifiers: Vec::new(),
            status: RequestStatus::Active,
            stage: Stage::Requested,
            priority: Priority::Routine,
            authored_at: None,
            wanted_by: None,
            expires_at: None,
            stage_at: self.event_time,
            changed_at: self.event_time,
        }
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
