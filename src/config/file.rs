//! The configuration as it is written: every key that a file may hold, nothing checked across keys.
//!
//! Everything is optional here, because defaults, file and environment are laid over each other
//! before this is read, and because a key that does not fit is taken out and reported, so that the
//! keys behind it are still looked at.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Unexpected, Visitor};
use toml::Spanned;

use super::feedback::{Written as EscalateAfter, WrittenRests};
use super::words::{Day, Door, Lasting, Listen, Name, Peer, Size, Zone};
use super::{AddressRange, KeySource, Mode};

/// A key that may be left out, with its place.
pub(super) type Maybe<T> = Option<Spanned<T>>;

macro_rules! written {
    ($($(#[$doc:meta])+ $table:ident { $($key:ident: $kind:ty,)+ })+) => {
        $($(#[$doc])+
        #[derive(Clone, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $table { $(pub(super) $key: $kind,)+ })+
    };
}

written! {
    /// The whole file.
    File {
        public_url: Maybe<String>,
        store: Store,
        keys: Keys,
        broker: Broker,
        spool: Spool,
        http: Http,
        mllp: Mllp,
        pace: Pace,
        log: Log,
        telemetry: Telemetry,
        retention: Retention,
        grace: Grace,
        alerts: Alerts,
        tenant: Vec<Spanned<Tenant>>,
        agreement: Vec<Spanned<Agreement>>,
        source: Vec<Spanned<Source>>,
        team: Vec<Spanned<Team>>,
    }

    /// `[store]`
    Store { url: Maybe<String>, owner_url: Maybe<String>, connections: Maybe<u32>, }

    /// `[keys]`
    Keys { root: Maybe<KeySource>, }

    /// `[broker]`
    Broker {
        url: Maybe<String>,
        ca: Maybe<String>,
        window: Maybe<u32>,
        confirm_timeout: Maybe<Lasting>,
    }

    /// `[spool]`
    Spool { folder: Maybe<String>, }

    /// `[http]`
    Http {
        listen: Maybe<Door>,
        tls: Maybe<Tls>,
        plaintext_beyond_loopback: Maybe<bool>,
        connections: Maybe<u32>,
        connections_per_peer: Maybe<u32>,
        requests_per_minute: Maybe<u32>,
        body: Maybe<Size>,
        head_timeout: Maybe<Lasting>,
        request_timeout: Maybe<Lasting>,
    }

    /// `[mllp]`
    Mllp {
        frame: Maybe<Size>,
        junk: Maybe<Size>,
        frame_timeout: Maybe<Lasting>,
        idle_timeout: Maybe<Lasting>,
        handshake_timeout: Maybe<Lasting>,
        write_timeout: Maybe<Lasting>,
        connections_per_peer: Maybe<u32>,
        connections: Maybe<u32>,
    }

    /// `[pace]`
    Pace {
        batch: Maybe<u32>,
        gather: Maybe<Lasting>,
        idle: Maybe<Lasting>,
        lease: Maybe<Lasting>,
        publishing: Maybe<Lasting>,
        sweep: Maybe<Lasting>,
    }

    /// `[log]`
    Log { filter: Maybe<String>, json: Maybe<bool>, }

    /// `[telemetry]`
    Telemetry {
        otlp: Maybe<String>,
        headers: Maybe<String>,
        share: Maybe<f64>,
        interval: Maybe<Lasting>,
        attributes: BTreeMap<String, String>,
    }

    /// `[retention]`
    Retention { raw_messages: Maybe<Lasting>, }

    /// `[grace]`
    Grace { intake: Maybe<Lasting>, pipeline: Maybe<Lasting>, outbox: Maybe<Lasting>, }

    /// `[alerts]`
    Alerts {
        webhook: Maybe<String>,
        token: Maybe<String>,
        silent_after: Maybe<Lasting>,
        waiting: Maybe<Lasting>,
        broker_down: Maybe<Lasting>,
        no_consumer: Maybe<Lasting>,
        unanswered: Maybe<Lasting>,
    }

    /// `[[tenant]]`
    Tenant {
        name: Maybe<Name>,
        zone: Maybe<Zone>,
        locations: Vec<Spanned<Location>>,
        rules: BTreeMap<Name, Mode>,
        source_rank: Vec<Spanned<Name>>,
        implied_treatment_contact: Option<bool>,
        languages: Vec<Spanned<Name>>,
        contact_policy: Maybe<String>,
        pilot_daily_cap: Option<u32>,
        feedback: Option<bool>,
        evidence_within: Maybe<Lasting>,
        decline_rest: Maybe<Lasting>,
        unreachable_rest: Maybe<Lasting>,
        attempts: Maybe<u32>,
        rests: BTreeMap<Name, WrittenRests>,
    }

    /// `[[agreement]]`
    Agreement {
        tenant: Maybe<Name>,
        party: Maybe<String>,
        document: Option<String>,
        signed: Maybe<Day>,
        from: Maybe<Day>,
        until: Maybe<Day>,
        breach_notice_days: Maybe<u8>,
        covers: Vec<Spanned<String>>,
    }

    /// `[[source]]`
    Source {
        tenant: Maybe<Name>,
        name: Maybe<Name>,
        kind: Maybe<String>,
        listen: Maybe<Listen>,
        base: Maybe<String>,
        release: Maybe<String>,
        notifications: Maybe<KeySource>,
        zone: Maybe<Zone>,
        mode: Option<Mode>,
        location: Maybe<Name>,
        mappings: Maybe<Vec<Spanned<String>>>,
        identifiers: Maybe<Vec<Spanned<Identifier>>>,
        default_assigner: Option<String>,
        default_type: Option<String>,
        charset: Option<String>,
        history_since: BTreeMap<String, Spanned<Day>>,
        consents_verified: Option<bool>,
        tls: Maybe<Tls>,
        allow: Vec<AddressRange>,
        plaintext_beyond_loopback: Maybe<bool>,
        silent_after: Option<Lasting>,
        sequence_numbers: Option<bool>,
        application_ack: Maybe<ApplicationAck>,
    }

    /// The long form of `application_ack` of a source.
    ReplyTo {
        to: Maybe<Peer>,
        tls: Maybe<ClientTls>,
        plaintext_beyond_loopback: Option<bool>,
    }

    /// `tls` of `application_ack`.
    ClientTls { ca: Maybe<String>, certificate: Maybe<String>, key: Maybe<String>, }

    /// An element of `identifiers`.
    Identifier { assigner: Option<String>, r#type: Option<String>, }

    /// `tls` of a source.
    Tls { certificate: Maybe<String>, key: Maybe<String>, client_ca: Maybe<String>, }

    /// `[[team]]`
    Team {
        tenant: Maybe<Name>,
        name: Maybe<Name>,
        location: Maybe<Name>,
        escalate_after: Maybe<EscalateAfter>,
        escalate_to: Maybe<Name>,
    }

    /// The long form of a location.
    LongLocation { name: Maybe<Name>, mode: Option<Mode>, }
}

/// A location: its name, or `{ name, mode }`.
#[derive(Clone)]
pub(super) struct Location {
    /// Its name, unless that was left out.
    pub(super) name: Option<Name>,
    /// Its mode.
    pub(super) mode: Option<Mode>,
}

/// `application_ack` of a source: `"same-connection"`, or `{ to, tls }`.
#[derive(Clone)]
pub(super) enum ApplicationAck {
    /// Over the connection on which the message came.
    SameConnection,
    /// Over one of careloop's own.
    To(Box<ReplyTo>),
}

impl<'de> Deserialize<'de> for ApplicationAck {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = ApplicationAck;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"same-connection\" or { to = \"HOST:PORT\", tls = { … } }")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ApplicationAck, E> {
                match text {
                    "same-connection" => Ok(ApplicationAck::SameConnection),
                    _ => Err(E::invalid_value(Unexpected::Other("another text"), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ApplicationAck, A::Error> {
                let long = ReplyTo::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ApplicationAck::To(Box::new(long)))
            }
        }

        from.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Location;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name such as \"main\" or { name = \"main\", mode = \"live\" }")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Location, E> {
                let name = Name::deserialize(serde::de::value::StrDeserializer::new(text))?;
                Ok(Location {
                    name: Some(name),
                    mode: None,
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Location, A::Error> {
                let long = LongLocation::deserialize(MapAccessDeserializer::new(map))?;
                let name = long.name.map(Spanned::into_inner);
                Ok(Location {
                    name,
                    mode: long.mode,
                })
            }
        }

        from.deserialize_any(Reader)
    }
}
