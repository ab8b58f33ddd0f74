//! The words of the configuration: durations, sizes, names, zones, addresses, days.
//!
//! Each says what it expects; none repeats what it was given, which may be a secret put in the
//! wrong place.

use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use super::{AddressRange, KeySource, Mode};

/// A value that is written as text, or as a plain whole number where that has a meaning.
trait Word: Sized {
    /// How the value is written.
    const EXPECTED: &'static str;

    /// Reads the text.
    fn read(text: &str) -> Option<Self>;

    /// Reads a plain whole number.
    fn count(_number: i64) -> Option<Self> {
        None
    }
}

struct Reader<W>(PhantomData<W>);

impl<W: Word> Visitor<'_> for Reader<W> {
    type Value = W;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(W::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<W, E> {
        W::read(text).ok_or_else(|| E::invalid_value(Unexpected::Other("text"), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<W, E> {
        W::count(number).ok_or_else(|| E::invalid_type(Unexpected::Other("number"), &self))
    }
}

macro_rules! words {
    ($($word:ty),+) => {
        $(impl<'de> Deserialize<'de> for $word {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any(Reader(PhantomData))
            }
        })+
    };
}

words!(
    Lasting,
    Size,
    Name,
    Zone,
    Listen,
    Peer,
    Door,
    AddressRange,
    Mode,
    KeySource
);

/// A duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lasting(pub(super) Duration);

impl Word for Lasting {
    const EXPECTED: &'static str =
        "a duration such as \"500ms\", \"30s\", \"10m\", \"2h\" or \"7d\"";

    fn read(text: &str) -> Option<Self> {
        let (number, unit) = split_number(text)?;
        let scale = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        number
            .checked_mul(scale)
            .map(|milliseconds| Self(Duration::from_millis(milliseconds)))
    }
}

/// Where a peer listens: a name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// The name or address, without brackets.
    pub(super) host: String,
    /// The port.
    pub(super) port: u16,
}

/// Whether a host, by name or address, is this machine: no byte leaves it.
pub fn is_loopback(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|ip| ip.to_canonical().is_loopback())
}

impl Word for Peer {
    const EXPECTED: &'static str = "a host and port such as \"engine.example.org:2576\"";

    fn read(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let host = match bare {
            Some(address) => address.parse::<IpAddr>().is_ok().then_some(address)?,
            None => (!host.is_empty() && host.chars().all(fits)).then_some(host)?,
        };
        let port = port.parse().ok().filter(|port| *port != 0)?;
        Some(Self {
            host: host.to_owned(),
            port,
        })
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) usize);

impl Word for Size {
    const EXPECTED: &'static str = "a size such as \"4 MiB\", \"512 KiB\" or a number of bytes";

    fn read(text: &str) -> Option<Self> {
        let (number, unit) = split_number(text)?;
        let scale: u64 = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            _ => return None,
        };
        usize::try_from(number.checked_mul(scale)?).ok().map(Self)
    }

    fn count(number: i64) -> Option<Self> {
        usize::try_from(number).ok().map(Self)
    }
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let (digits, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
    Some((digits.parse().ok()?, unit.trim_start()))
}

/// A name that becomes part of routing keys, labels and commands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(pub(super) String);

impl Word for Name {
    const EXPECTED: &'static str =
        "a name of 2 to 40 characters: a lower-case letter, then lower-case letters, digits or `-`";

    fn read(text: &str) -> Option<Self> {
        let mut bytes = text.bytes();
        let fits = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase())
            && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && (2..=40).contains(&text.len());
        fits.then(|| Self(text.to_owned()))
    }
}

/// Whether a text has the form of a name.
pub(super) fn is_name(text: &str) -> bool {
    Name::read(text).is_some()
}

/// A time zone with its name.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    /// The IANA name.
    pub(super) name: String,
    /// The zone.
    pub(super) zone: TimeZone,
}

impl Word for Zone {
    const EXPECTED: &'static str =
        "an IANA time zone such as \"America/New_York\" that this machine's zone database knows";

    fn read(text: &str) -> Option<Self> {
        let zone = TimeZone::get(text).ok()?;
        let name = zone.iana_name().unwrap_or(text).to_owned();
        Some(Self { name, zone })
    }
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listen(pub(super) SocketAddr);

impl Word for Listen {
    const EXPECTED: &'static str =
        "an address and port such as \"127.0.0.1:2575\" or \"[::1]:2575\"";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

/// An address to listen on, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Door(pub(super) Option<SocketAddr>);

impl Word for Door {
    const EXPECTED: &'static str = "an address and port such as \"127.0.0.1:8080\", or \"off\"";

    fn read(text: &str) -> Option<Self> {
        if text == "off" {
            return Some(Self(None));
        }
        text.parse().ok().map(|address| Self(Some(address)))
    }
}

impl Word for AddressRange {
    const EXPECTED: &'static str = "an address or a network such as \"10.1.2.3\" or \"10.0.0.0/8\"";

    fn read(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(width);
        (prefix <= width).then_some(Self { address, prefix })
    }
}

impl Word for Mode {
    const EXPECTED: &'static str = "\"observe\", \"pilot\" or \"live\"";

    fn read(text: &str) -> Option<Self> {
        match text {
            "observe" => Some(Self::Observe),
            "pilot" => Some(Self::Pilot),
            "live" => Some(Self::Live),
            _ => None,
        }
    }
}

impl Word for KeySource {
    const EXPECTED: &'static str = "\"file:PATH\", \"env:NAME\" or \"systemd-credential:NAME\"";

    fn read(text: &str) -> Option<Self> {
        key_source(text)
    }
}

/// Reads where a secret comes from.
pub(super) fn key_source(text: &str) -> Option<KeySource> {
    let (kind, rest) = text.split_once(':')?;
    match kind {
        _ if rest.trim().is_empty() => None,
        "file" => Some(KeySource::File(PathBuf::from(rest))),
        "env" => Some(KeySource::Env(rest.to_owned())),
        // A credential is a file name in one folder; a path would leave that folder.
        "systemd-credential" if !rest.contains(['/', '\\']) && rest != ".." => {
            Some(KeySource::SystemdCredential(rest.to_owned()))
        }
        _ => None,
    }
}

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day(pub(super) Date);

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "a date without quotes such as 2026-03-01";
        let written = toml::value::Datetime::deserialize(from)
            .map_err(|_other| D::Error::custom(format!("expected {EXPECTED}")))?;
        match (written.date, written.time) {
            (Some(date), None) => civil(date),
            _ => None,
        }
        .map(Self)
        .ok_or_else(|| D::Error::invalid_value(Unexpected::Other("date"), &EXPECTED))
    }
}

fn civil(date: toml::value::Date) -> Option<Date> {
    let (year, month, day) = (
        i16::try_from(date.year),
        i8::try_from(date.month),
        i8::try_from(date.day),
    );
    Date::new(year.ok()?, month.ok()?, day.ok()?).ok()
}
