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
/// What tells of a notification itself, and is no change (R4 and R5).
const STATUS: &[&str] = &["SubscriptionStatus", "Parameters"];
/// Notifications that need tell of nothing.
const CALLS: &[&str] = &["handshake", "heartbeat"];

/// What a body holds.
pub struct Resources {
    pieces: Vec<Piece>,
    /// Whether something is only named, or told without being named: it would have to be asked for.
    lacks: bool,
}

/// A part of a body that is stored as one message.
struct Piece {
    range: Range<usize>,
    kind: String,
    id: String,
    /// Whether it says which version it is. What does not can come again with the same bytes and be news.
    is_dated: bool,
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
                lacks: false,
            },
            Ok(Body::Bundle(bundle)) => Self::of_bundle(&bundle),
            Err(error) => Self {
                pieces: vec![Piece::broken(0..bytes.len(), error.to_string())],
                lacks: false,
            },
        }
    }

    fn of_bundle(bundle: &Bundle<'_>) -> Self {
        let mut pieces = Vec::new();
        let mut lacks = false;
        let mut is_call = false;
        for (number, entry) in bundle.entries().enumerate() {
            match entry.map(|entry| entry.resource()) {
                Ok(Some(resource)) if number == 0 && is_status(&resource) => {
                    is_call = CALLS.contains(&&*type_of(&resource));
                }
                Ok(Some(resource)) => pieces.push(Piece::of(resource)),
                Ok(None) => lacks = true,
                Err(error) => {
                    let range = bundle.span(number).unwrap_or_default();
                    pieces.push(Piece::broken(range, error.to_string()));
                }
            }
        }
        lacks |= pieces.is_empty() && !is_call;
        Self { pieces, lacks }
    }

    /// Whether it holds less than it tells of: ids, a deletion, or that something happened.
    pub const fn lacks(&self) -> bool {
        self.lacks
    }

    /// Whether the one resource is the one that an address names. What cannot be read is stored and
    /// held, whatever it is.
    pub fn is_at(&self, kind: &str, id: &str) -> bool {
        match self.pieces.as_slice() {
            [piece] => piece.wrong.is_some() || (piece.kind == kind && piece.id == id),
            _ => false,
        }
    }
}

/// The type of a notification: of its `SubscriptionStatus`, or of the `Parameters` that stand for it in R4.
fn type_of(status: &Node<'_>) -> String {
    let mut parameters = status.members("parameter");
    let named = parameters.find(|one| one.text_of("name").as_deref() == Some("type"));
    let told = match named {
        Some(parameter) => parameter.text_of("valueCode"),
        None => status.text_of("type"),
    };
    told.unwrap_or_default().into_owned()
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
        let kind = resource.resource_type().unwrap_or_default().into_owned();
        let version = meta.and_then(|meta| meta.text_of("versionId"));
        let nested = (kind == "Bundle").then(|| {
            let place = "resourceType: expected a resource, found a Bundle inside of a Bundle";
            (Code::Unparseable, place.to_owned())
        });
        Self {
            range: resource.span(),
            kind,
            id: resource.id().unwrap_or_default().into_owned(),
            is_dated: version.is_some() || changed.is_some(),
            changed: changed.and_then(|changed| instant(&changed)),
            is_test,
            wrong: nested,
        }
    }

    fn broken(range: Range<usize>, place: String) -> Self {
        Self {
            range,
            kind: String::new(),
            id: String::new(),
            is_dated: true,
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
            // An id of a resource can be one of a person, and this column is not sealed. A version is
            // one message however often it comes; without one, each delivery is.
            control_id: match self.is_dated {
                true => String::new(),
                false => received_at.as_microsecond().to_string(),
            },
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
    fn what_only_names_or_only_happened_lacks_something() {
        let bundle = |entries: &str| {
            let body =
                format!(r#"{{"resourceType":"Bundle","type":"history","entry":[{entries}]}}"#);
            Resources::of(body.as_bytes())
        };
        let status = |kind: &str| {
            format!(
                r#"{{"resource":{{"resourceType":"Parameters","parameter":[{{"name":"type","valueCode":"{kind}"}}]}}}}"#
            )
        };
        let patient = r#"{"resource":{"resourceType":"Patient","id":"t1"}}"#;
        let deleted = r#"{"fullUrl":"https://ehr.example/fhir/Patient/t1","request":{"method":"DELETE","url":"Patient/t1"}}"#;
        let (event, call) = (status("event-notification"), status("handshake"));
        for (entries, lacks) in [
            (call.clone(), false),
            (event.clone(), true),
            (String::new(), true),
            (format!("{event},{patient}"), false),
            (format!("{event},{deleted}"), true),
            (format!("{event},{patient},{deleted}"), true),
        ] {
            assert_eq!(bundle(&entries).lacks(), lacks, "{entries}");
        }
        let status = r#"{"resourceType":"SubscriptionStatus","type":"heartbeat"}"#;
        assert!(!bundle(&format!(r#"{{"resource":{status}}}"#)).lacks());
    }

    #[test]
    fn a_bundle_inside_of_a_bundle_is_held() {
        let inner = r#"{"resourceType":"Bundle","type":"collection"}"#;
        let outer = format!(
            r#"{{"resourceType":"Bundle","type":"history","entry":[{{"resource":{inner}}}]}}"#
        );
        assert_eq!(kinds(&outer), [Code::Unparseable.name()]);
    }

    #[test]
    fn a_resource_is_at_the_address_that_it_says() {
        let found = Resources::of(br#"{"resourceType":"Patient","id":"t1"}"#);
        assert!(found.is_at("Patient", "t1"));
        assert!(!found.is_at("Patient", "t2"));
        assert!(!found.is_at("Group", "t1"));
        assert!(Resources::of(b"{").is_at("Patient", "t1"));
    }
}
