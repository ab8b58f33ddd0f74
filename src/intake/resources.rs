//! FHIR resources at the door: a body is a resource or a Bundle of them, and each is stored as a message.

use std::ops::Range;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Feed;
use super::asker::Asker;
use super::receive::{Door, Handled, MESSAGE_TYPE, Read, column, sha256};
use crate::clock;
use crate::failure::Code;
use crate::fhir::{Body, Bundle, DateTime, Form, Node};
use crate::store::Arrival;

/// The mark of resources that concern nobody real (v3 `ActReason`, `HTEST`).
const TEST: &str = "HTEST";
/// How the store calls what concerns nobody real (HL7 v2 table 0103).
const TRAINING: &str = "T";
/// What tells of a notification itself, and is no change.
const STATUS: &[&str] = &["SubscriptionStatus", "Parameters", "OperationOutcome"];

/// What a body holds.
pub struct Resources {
    pieces: Vec<Piece>,
    /// Entries that name a resource without holding it.
    named: usize,
}

/// A part of a body that is stored as one message.
struct Piece {
    range: Range<usize>,
    kind: String,
    changed: Option<Timestamp>,
    is_test: bool,
    wrong: Option<(Code, String)>,
}

impl Resources {
    /// Finds the resources of a body. What cannot be read is a piece, too: it will be held.
    pub fn of(bytes: &[u8]) -> Self {
        match Body::read(bytes) {
            Ok(Body::Resource(document)) => Self {
                pieces: vec![Piece::of(document.root())],
                named: 0,
            },
            Ok(Body::Bundle(bundle)) => Self::of_bundle(&bundle),
            Err(error) => Self {
                pieces: vec![Piece::broken(0..bytes.len(), error.to_string())],
                named: 0,
            },
        }
    }

    fn of_bundle(bundle: &Bundle<'_>) -> Self {
        let mut pieces = Vec::new();
        let mut named = 0;
        for (number, entry) in bundle.entries().enumerate() {
            match entry.map(|entry| entry.resource()) {
                Ok(Some(resource)) if is_status(&resource) => {}
                Ok(Some(resource)) => pieces.push(Piece::of(resource)),
                Ok(None) => named += 1,
                Err(error) => {
                    let range = bundle.span(number).unwrap_or_default();
                    pieces.push(Piece::broken(range, error.to_string()));
                }
            }
        }
        Self { pieces, named }
    }

    /// Whether it only names resources: they would have to be asked for.
    pub fn is_names_only(&self) -> bool {
        self.pieces.is_empty() && self.named > 0
    }

    /// Whether the one resource is the one that an address names.
    pub fn is_at(&self, bytes: &[u8], kind: &str, id: &str) -> bool {
        let [piece] = self.pieces.as_slice() else {
            return false;
        };
        let body = bytes.get(piece.range.clone()).unwrap_or_default();
        let is_same = |body: &Body<'_>| match body {
            Body::Resource(document) => document.root().id().as_deref() == Some(id),
            Body::Bundle(_) => false,
        };
        // What cannot be read is stored and held, whatever it is.
        piece.wrong.is_some()
            || (piece.kind == kind && Body::read(body).is_ok_and(|body| is_same(&body)))
    }
}

fn is_status(resource: &Node<'_>) -> bool {
    let kind = resource.resource_type();
    kind.is_some_and(|kind| STATUS.contains(&&*kind))
}

impl Piece {
    fn of(resource: Node<'_>) -> Self {
        let meta = resource.member("meta");
        let changed = meta.and_then(|meta| meta.text_of("lastUpdated"));
        let is_test = meta.is_some_and(|meta| {
            let mut marks = meta.members("security").chain(meta.members("tag"));
            marks.any(|mark| mark.text_of("code").as_deref() == Some(TEST))
        });
        Self {
            range: resource.span(),
            kind: resource.resource_type().unwrap_or_default().into_owned(),
            changed: changed.and_then(|changed| instant(&changed)),
            is_test,
            wrong: None,
        }
    }

    fn broken(range: Range<usize>, place: String) -> Self {
        Self {
            range,
            kind: String::new(),
            changed: None,
            is_test: false,
            wrong: Some((Code::Unparseable, place)),
        }
    }

    fn read(&self, bytes: &[u8], feed: &Feed) -> Read {
        let body = bytes.get(self.range.clone()).unwrap_or_default();
        let received_at = clock::now();
        let arrival = Arrival {
            source: feed.source.clone(),
            // An id of a resource can be one of a person, and this column is not sealed.
            control_id: String::new(),
            digest: sha256(body),
            message_type: column(&self.kind, MESSAGE_TYPE),
            processing_id: if self.is_test { TRAINING } else { "" }.to_owned(),
            event_time: self.changed,
            received_at,
            body: body.to_vec(),
            held: self.wrong.clone(),
            application_ack: None,
            numbered: None,
        };
        let asker = Asker {
            header: None,
            wants: false,
            held: arrival.held.is_some(),
            received_at,
            acknowledges: None,
        };
        Read { asker, arrival }
    }
}

/// `meta.lastUpdated`, which has an offset.
fn instant(text: &str) -> Option<Timestamp> {
    let read = DateTime::parse(text, Form::Instant).ok()?;
    Some(read.to_instant(&TimeZone::UTC)?.instant)
}

impl Door {
    /// Stores every resource of a body, in order, and says what became of each.
    ///
    /// When one cannot be stored, those after it are not tried: they must not overtake it.
    pub async fn receive_resources(
        &self,
        feed: &Feed,
        bytes: &[u8],
        resources: &Resources,
    ) -> Vec<Handled> {
        self.take(feed, &resources.pieces, |piece| piece.read(bytes, feed))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(body: &str) -> Vec<String> {
        let found = Resources::of(body.as_bytes());
        let told = found.pieces.iter().map(|piece| match &piece.wrong {
            None => piece.kind.clone(),
            Some((code, _)) => code.name().to_owned(),
        });
        told.collect()
    }

    #[test]
    fn a_body_is_a_resource_or_a_bundle_of_them() {
        assert_eq!(
            kinds(r#"{"resourceType":"Patient","id":"t1"}"#),
            ["Patient"]
        );
        let bundle = r#"{"resourceType":"Bundle","type":"history","entry":[
            {"resource":{"resourceType":"Parameters"}},
            {"fullUrl":"https://ehr.example/fhir/Patient/t1","resource":{"resourceType":"Patient","id":"t1"}},
            {"resource":{"resourceType":7}},
            {"resource":{"resourceType":"Appointment","id":"t2"}}]}"#;
        assert_eq!(
            kinds(bundle),
            ["Patient", Code::Unparseable.name(), "Appointment"]
        );
    }

    #[test]
    fn what_cannot_be_read_is_kept_whole() {
        for body in ["", "{", "[]", "{}", "\u{feff}x"] {
            let found = Resources::of(body.as_bytes());
            assert_eq!(found.pieces.len(), 1, "{body}");
            assert_eq!(found.pieces[0].range, 0..body.len());
            assert!(found.pieces[0].wrong.is_some(), "{body}");
        }
    }

    #[test]
    fn a_notification_of_ids_holds_nothing() {
        let ids = r#"{"resourceType":"Bundle","type":"history","entry":[
            {"resource":{"resourceType":"Parameters"}},
            {"fullUrl":"https://ehr.example/fhir/Patient/t1","request":{"method":"PUT","url":"Patient/t1"}}]}"#;
        assert!(Resources::of(ids.as_bytes()).is_names_only());
        let handshake = r#"{"resourceType":"Bundle","type":"history","entry":[{"resource":{"resourceType":"Parameters"}}]}"#;
        let handshake = Resources::of(handshake.as_bytes());
        assert!(!handshake.is_names_only() && handshake.pieces.is_empty());
    }

    #[test]
    fn a_resource_is_at_the_address_that_it_says() {
        let body = br#"{"resourceType":"Patient","id":"t1"}"#;
        let found = Resources::of(body);
        assert!(found.is_at(body, "Patient", "t1"));
        assert!(!found.is_at(body, "Patient", "t2"));
        assert!(!found.is_at(body, "Group", "t1"));
        assert!(Resources::of(b"{").is_at(b"{", "Patient", "t1"));
    }
}
