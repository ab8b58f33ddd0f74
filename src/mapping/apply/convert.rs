//! The functions of the language: closed, total, each text to a value or to "wrong form".

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::crm::{Moment, PartialDate};
use crate::fhir::{self, DateTime, Form, Reference};
use crate::hl7::timestamp::{Precision, Timestamp};
use crate::instant::{Flag, Resolved};

use super::super::outcome::Context;
use super::super::plan::{Convert, Unit};

/// What came of a text.
pub(super) enum Converted {
    Done(Value),
    /// Readable, by a rule of thumb: a local time that the clocks skipped or showed twice.
    Doubtful(Value),
    Bad,
}

/// Does what `fn` says.
pub(super) fn convert(text: &str, how: Convert, context: &Context<'_>) -> Converted {
    let value = match how {
        Convert::AsIs => Some(json!(text)),
        Convert::Upper => Some(json!(text.to_uppercase())),
        Convert::Lower => Some(json!(text.to_lowercase())),
        Convert::Phone => phone(text),
        Convert::Email => email(text),
        Convert::Flag => flag(text),
        Convert::Date => date(text),
        Convert::Instant => return instant(text, context.zone),
        Convert::FhirDate => fhir_date(text),
        Convert::FhirInstant => return fhir_instant(text, context.zone),
        Convert::FhirReference => fhir_reference(text, context.endpoint),
    };
    value.map_or(Converted::Bad, Converted::Done)
}

/// A phone number as sent, if it has a digit.
fn phone(text: &str) -> Option<Value> {
    let number = text.split_whitespace().collect::<Vec<_>>().join(" ");
    number
        .chars()
        .any(|c| c.is_ascii_digit())
        .then(|| json!(number))
}

/// An e-mail address: something, `@`, something, no blanks.
fn email(text: &str) -> Option<Value> {
    let text = text
        .get(..7)
        .filter(|start| start.eq_ignore_ascii_case("mailto:"))
        .map_or(text, |_| text.get(7..).unwrap_or_default());
    let (name, host) = text.rsplit_once('@')?;
    let fits = !name.is_empty() && !host.is_empty() && !text.contains(char::is_whitespace);
    fits.then(|| json!(text))
}

/// HL7 table 0136 and what senders use in its place.
fn flag(text: &str) -> Option<Value> {
    match text.to_lowercase().as_str() {
        "y" | "yes" | "1" | "true" | "t" => Some(json!(true)),
        "n" | "no" | "0" | "false" | "f" => Some(json!(false)),
        _ => None,
    }
}

/// HL7 DT or DTM to a date that keeps its precision.
fn date(text: &str) -> Option<Value> {
    let read = Timestamp::parse(text).ok()?;
    let date = read.to_date_string();
    PartialDate::parse(&date).map(|_| json!(date))
}

/// HL7 DTM to an instant; to a date where that is all that was sent.
fn instant(text: &str, zone: &TimeZone) -> Converted {
    let Ok(read) = Timestamp::parse(text) else {
        return Converted::Bad;
    };
    if read.precision() < Precision::Hour {
        let date = read.to_date_string();
        return match PartialDate::parse(&date) {
            Some(_) => Converted::Done(json!(date)),
            None => Converted::Bad,
        };
    }
    match read.to_instant(zone) {
        Some(resolved) => told(&resolved),
        None => Converted::Bad,
    }
}

/// FHIR `date` or `dateTime` to a date that keeps its precision.
fn fhir_date(text: &str) -> Option<Value> {
    let read = DateTime::parse(text, Form::DateTime).ok()?;
    PartialDate::parse(read.date_text()).map(|_| json!(read.date_text()))
}

/// FHIR `dateTime` or `instant` to an instant; to a date where that is all that was sent.
fn fhir_instant(text: &str, zone: &TimeZone) -> Converted {
    let Ok(read) = DateTime::parse(text, Form::DateTime) else {
        return Converted::Bad;
    };
    if read.precision() <= fhir::Precision::Day {
        return fhir_date(text).map_or(Converted::Bad, Converted::Done);
    }
    match read.to_instant(zone) {
        Some(resolved) => told(&resolved),
        None => Converted::Bad,
    }
}

/// A base address as it is compared: a proxy in front of the endpoint changes the scheme, and servers
/// write their host and port in several ways.
fn bare(base: &str) -> String {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host.trim_end_matches(":443").trim_end_matches(":80");
    format!(
        "{}/{}",
        host.to_ascii_lowercase(),
        path.trim_end_matches('/')
    )
}

/// `Type/id` of what the endpoint itself holds, without its version; the whole address of what
/// another server holds. What is inside of the resource or of a Bundle points at nothing that stays.
fn fhir_reference(text: &str, endpoint: &str) -> Option<Value> {
    let Reference::Resource { base, kind, id, .. } = Reference::parse(text)? else {
        return None;
    };
    let own = |base: &String| bare(base) == bare(endpoint);
    let base = base.filter(|base| !own(base));
    Some(json!(match base {
        None => format!("{kind}/{id}"),
        Some(base) => format!("{base}/{kind}/{id}"),
    }))
}

fn told(resolved: &Resolved) -> Converted {
    let text = resolved.to_rfc3339();
    if Moment::parse(&text).is_none() {
        return Converted::Bad;
    }
    match resolved.flag {
        Flag::Exact | Flag::OffsetGiven => Converted::Done(json!(text)),
        Flag::Gap | Flag::Overlap => Converted::Doubtful(json!(text)),
    }
}

/// A unit as senders spell it (SCH-10, AIS-8).
pub(super) fn unit(text: &str) -> Option<Unit> {
    match text.to_lowercase().trim_end_matches('.') {
        "s" | "sec" | "secs" | "second" | "seconds" => Some(Unit::Seconds),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(Unit::Minutes),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some(Unit::Hours),
        "d" | "day" | "days" => Some(Unit::Days),
        _ => None,
    }
}

/// A length in seconds: `60`, `3600.000`.
pub(super) fn seconds(amount: &str, unit: Unit) -> Option<i64> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let zeros = fraction.bytes().all(|byte| byte == b'0');
    let digits = !whole.is_empty() && whole.len() <= 9 && whole.bytes().all(|b| b.is_ascii_digit());
    let number: i64 = whole.parse().ok().filter(|_| digits && zeros)?;
    let each = match unit {
        Unit::Seconds => 1,
        Unit::Minutes => 60,
        Unit::Hours => 3_600,
        Unit::Days => 86_400,
    };
    number.checked_mul(each)
}

/// An instant so many seconds after an HL7 time; `None` when only a day is known.
pub(super) fn later(start: &str, seconds: i64, zone: &TimeZone) -> Option<Converted> {
    let Ok(read) = Timestamp::parse(start) else {
        return Some(Converted::Bad);
    };
    if read.precision() < Precision::Hour {
        return None;
    }
    let Some(resolved) = read.to_instant(zone) else {
        return Some(Converted::Bad);
    };
    let end = resolved
        .instant
        .checked_add(SignedDuration::from_secs(seconds));
    let Ok(end) = end else {
        return Some(Converted::Bad);
    };
    // A given offset stays; a local time follows the zone, also across a change of the clocks.
    let offset = match resolved.flag {
        Flag::OffsetGiven => resolved.offset,
        Flag::Exact | Flag::Gap | Flag::Overlap => zone.to_offset(end),
    };
    Some(told(&Resolved {
        instant: end,
        offset,
        flag: resolved.flag,
    }))
}
