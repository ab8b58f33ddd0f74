//! What a file of samples holds, message by message or resource by resource, and what a bundle of
//! mappings makes of each: for `careloop mapping try` and `survey`.

use clap::Args;
use jiff::tz::TimeZone;

use super::mapping::{compile, zone_of};
use super::{CONFIGURATION, USAGE};
use crate::failure::Code;
use crate::fhir::{Body, Document, Node, Release};
use crate::hl7::{self, CharsetError, Header, Message, ReadError};
use crate::mapping::{Bundle, Context, Issue, Mapped, Outcome, Severity};
use crate::vault::{IndexKey, Key};

/// How samples are read.
#[derive(Args)]
pub(super) struct How {
    /// A layer over the base packs: a name, or a file ending in .toml. Repeatable, in order.
    #[arg(long = "overlay", value_name = "NAME|FILE")]
    overlays: Vec<String>,
    /// The zone of times without an offset (IANA).
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// The release of FHIR resources: R4, R4B or R5.
    #[arg(long, default_value = "R4", value_parser = release_of)]
    release: Release,
    /// The base address of the endpoint that FHIR resources come from.
    #[arg(long, value_name = "URL", default_value = "https://ehr.example/fhir")]
    endpoint: String,
}

fn release_of(name: &str) -> Result<Release, String> {
    let known = name.parse();
    known.map_err(|()| "expected R4, R4B or R5".to_owned())
}

/// Reads samples.
pub(super) struct Reader {
    bundle: Bundle,
    zone: TimeZone,
    release: Release,
    endpoint: String,
}

/// One message or resource.
pub(super) struct Sample {
    /// MSH-9, or the resource's type; empty where that cannot be read.
    pub(super) kind: String,
    /// MSH-10, or the resource's id.
    pub(super) id: String,
    pub(super) mapped: Mapped,
}

impl Reader {
    /// A reader; what is wrong was told, and the exit code is the error.
    pub(super) fn new(how: How) -> Result<Self, u8> {
        let bundle = compile(&how.overlays).ok_or(CONFIGURATION)?;
        let zone = zone_of(&how.zone).ok_or(USAGE)?;
        Ok(Self {
            bundle,
            zone,
            release: how.release,
            endpoint: how.endpoint.trim_end_matches('/').to_owned(),
        })
    }

    /// Maps every message of a file, or every resource: of a Bundle each entry, of NDJSON each line.
    pub(super) fn each<E>(
        &self,
        bytes: &[u8],
        mut take: impl FnMut(Sample) -> Result<(), E>,
    ) -> Result<(), E> {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return self.messages(bytes, take);
        }
        let lines = || bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let mut filled = lines().filter(|line| !line.is_empty());
        let first = filled.next().unwrap_or_default();
        // A line that is a whole resource, with another line behind it, is of NDJSON.
        if filled.next().is_none() || Document::read(first).is_err() {
            return self.body(bytes, &mut take);
        }
        lines()
            .filter(|line| !line.is_empty())
            .try_for_each(|line| self.body(line, &mut take))
    }

    fn messages<E>(
        &self,
        bytes: &[u8],
        take: impl FnMut(Sample) -> Result<(), E>,
    ) -> Result<(), E> {
        let split = hl7::split(bytes);
        // Lines that belong to no message are part of the account, as they are in the daemon.
        let pieces = split.messages.iter().chain(&split.stray);
        let pieces = pieces.map(|range| bytes.get(range.clone()).unwrap_or_default());
        pieces.map(|piece| self.message(piece)).try_for_each(take)
    }

    fn message(&self, piece: &[u8]) -> Sample {
        let header = Header::read(piece).ok();
        let kind = header.as_ref().map(Header::message_type);
        Sample {
            kind: kind.unwrap_or_default(),
            id: header.map(|header| header.control_id).unwrap_or_default(),
            mapped: match Message::read(piece, None) {
                Ok(message) => self.of_message(&message),
                Err(error) => unreadable(&error),
            },
        }
    }

    fn of_message(&self, message: &Message) -> Mapped {
        let mut mapped =
            self.with_context(|context| self.bundle.apply(message, message.header(), context));
        for anomaly in message.anomalies() {
            let at = format!("segment {} ({})", anomaly.segment, anomaly.kind.code());
            mapped
                .issues
                .push(issue_of_text(Code::Unparseable, at, Severity::Warning));
        }
        mapped
    }

    fn body<E>(
        &self,
        bytes: &[u8],
        take: &mut impl FnMut(Sample) -> Result<(), E>,
    ) -> Result<(), E> {
        match Body::read(bytes) {
            Err(error) => take(unreadable_body(error.to_string())),
            Ok(Body::Resource(document)) => take(self.resource(document.root())),
            // An entry without a resource, such as a deletion, says nothing to a mapping.
            Ok(Body::Bundle(bundle)) => bundle.entries().try_for_each(|entry| match entry {
                Err(error) => take(unreadable_body(error.to_string())),
                Ok(entry) => entry
                    .resource()
                    .map_or(Ok(()), |resource| take(self.resource(resource))),
            }),
        }
    }

    fn resource(&self, node: Node<'_>) -> Sample {
        let text = |text: Option<std::borrow::Cow<'_, str>>| text.unwrap_or_default().into_owned();
        Sample {
            kind: text(node.resource_type()),
            id: text(node.id()),
            mapped: self
                .with_context(|context| self.bundle.apply_resource(node, self.release, context)),
        }
    }

    /// References are hashed with the tenant's key; without one, a fixed key shows their form.
    fn with_context(&self, read: impl FnOnce(&Context<'_>) -> Mapped) -> Mapped {
        let key = Key::from_root_text(&[0_u8; 32]).map(|key| IndexKey::new(&key));
        let hash = |parts: &[&str]| {
            key.as_ref()
                .map_or_else(|_no_key| String::new(), |key| key.reference(parts))
        };
        read(&Context {
            zone: &self.zone,
            hash: &hash,
            endpoint: &self.endpoint,
        })
    }
}

/// An issue of the text itself, before any rule.
fn issue_of_text(code: Code, at: String, severity: Severity) -> Issue {
    Issue {
        code,
        at,
        rule: String::new(),
        file: String::new(),
        line: 0,
        severity,
    }
}

fn unreadable(error: &ReadError) -> Mapped {
    let code = match error {
        ReadError::Header(_) => Code::NoHeader,
        ReadError::Charset(CharsetError::Unsupported { .. }) => Code::CharsetUnsupported,
        ReadError::Charset(CharsetError::Undecodable { .. }) => Code::CharsetUndecodable,
        ReadError::Parse(_) => Code::Unparseable,
    };
    held(code, error.to_string(), "MSH".to_owned())
}

/// A body, a line or an entry that is no resource.
fn unreadable_body(error: String) -> Sample {
    Sample {
        kind: String::new(),
        id: String::new(),
        mapped: held(Code::Unparseable, error.clone(), error),
    }
}

fn held(code: Code, place: String, at: String) -> Mapped {
    Mapped {
        outcome: Outcome::Held { code, place },
        changes: Vec::new(),
        issues: vec![issue_of_text(code, at, Severity::Error)],
        trace: Vec::new(),
    }
}
