//! Bytes to typed changes: charset, parse, mapping. Pure; a message that cannot be understood is an
//! outcome, never an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::crm::Change;
use crate::failure::Code;
use crate::fhir::{Document, Release};
use crate::hl7::{CharsetError, Message, ReadError};
use crate::mapping::{self, Context, Mapped};
use crate::message::Outcome;
use crate::site::Feed;
use crate::store::TenantKeys;

/// What a message says, or why it says nothing.
pub(super) enum Translated {
    /// Typed changes; each group of them begins with its person.
    Changes(Vec<Change>),
    /// It ends here.
    Ended(Outcome),
}

/// Reads the bytes of one message of a feed. A fault of careloop's own on one message is that
/// message's outcome, too: its neighbours must not wait for it.
pub(super) fn translate(bytes: &[u8], feed: &Feed, keys: &TenantKeys) -> Translated {
    let read = AssertUnwindSafe(|| read(bytes, feed, keys));
    catch_unwind(read).unwrap_or_else(|_panic| {
        let place = "careloop failed on it; report this with the message's structure".to_owned();
        Translated::Ended(Outcome::Held {
            code: Code::Unparseable,
            place,
        })
    })
}

fn read(bytes: &[u8], feed: &Feed, keys: &TenantKeys) -> Translated {
    let hash = |parts: &[&str]| keys.index.reference(parts);
    let endpoint = feed.source.endpoint();
    let context = Context {
        zone: &feed.source.zone,
        hash: &hash,
        endpoint: endpoint.map_or("", |endpoint| &endpoint.base),
    };
    let mapped = match endpoint {
        None => message(bytes, feed, &context),
        Some(endpoint) => resource(bytes, feed, endpoint.release, &context),
    };
    let mapped = match mapped {
        Ok(mapped) => mapped,
        Err(outcome) => return Translated::Ended(outcome),
    };
    match mapped.outcome {
        mapping::Outcome::Ignored { code, place } => {
            Translated::Ended(Outcome::Ignored { code, place })
        }
        mapping::Outcome::Held { code, place } => Translated::Ended(Outcome::Held { code, place }),
        mapping::Outcome::Mapped => typed(mapped.changes),
    }
}

fn message(bytes: &[u8], feed: &Feed, context: &Context<'_>) -> Result<Mapped, Outcome> {
    let message = Message::read(bytes, feed.charset).map_err(|error| unreadable(&error))?;
    Ok(feed.bundle.apply(&message, message.header(), context))
}

fn resource(
    bytes: &[u8],
    feed: &Feed,
    release: Release,
    context: &Context<'_>,
) -> Result<Mapped, Outcome> {
    let document = Document::read(bytes).map_err(|error| Outcome::Held {
        code: Code::Unparseable,
        place: error.to_string(),
    })?;
    let resource = document.root();
    Ok(feed.bundle.apply_resource(resource, release, context))
}

fn typed(changes: Vec<mapping::MappedChange>) -> Translated {
    let mut read = Vec::with_capacity(changes.len());
    for change in changes {
        match Change::read(change.entity, change.values.into_inner()) {
            Ok(change) => read.push(change),
            Err(place) => {
                return Translated::Ended(Outcome::Held {
                    code: Code::BadValue,
                    place,
                });
            }
        }
    }
    Translated::Changes(read)
}

fn unreadable(error: &ReadError) -> Outcome {
    let code = match error {
        ReadError::Header(_) => Code::NoHeader,
        ReadError::Charset(CharsetError::Unsupported { .. }) => Code::CharsetUnsupported,
        ReadError::Charset(CharsetError::Undecodable { .. }) => Code::CharsetUndecodable,
        ReadError::Parse(_) => Code::Unparseable,
    };
    Outcome::Held {
        code,
        place: error.to_string(),
    }
}
