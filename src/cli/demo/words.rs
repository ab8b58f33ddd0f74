//! What a message was understood as, and instants, in words for a table.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::hl7::Message;
use crate::mapping::{Bundle, Context};

/// The changes that a message implies, such as `person; appointment (booked)`. Names, dates
/// and numbers are left out: those stand in the record.
pub(super) fn understood(bundle: &Bundle, zone: &TimeZone, bytes: &[u8]) -> String {
    let Ok(message) = Message::read(bytes, None) else {
        return String::new();
    };
    let hash = |_parts: &[&str]| String::new();
    let context = Context {
        zone,
        hash: &hash,
        endpoint: "",
    };
    let mapped = bundle.apply(&message, message.header(), &context);
    let words: Vec<String> = mapped
        .changes
        .iter()
        .map(|change| entity(change.entity, change.values.open()))
        .collect();
    words.join("; ")
}

fn entity(name: &str, values: &Map<String, Value>) -> String {
    let text = |key: &str| values.get(key).and_then(Value::as_str).unwrap_or("?");
    match name {
        "Patient" if values.contains_key("restrictions") => {
            "person, with a restriction that nobody has read yet".to_owned()
        }
        "Patient" => "person".to_owned(),
        "Appointment" => format!("appointment ({})", text("status")),
        "Referral" => format!("referral ({}, {})", text("priority"), text("stage")),
        "Order" => format!("order ({})", text("status")),
        "Pointer" => format!("pointer {} ({})", text("concept"), text("status")),
        "Merge" => "merge of two records".to_owned(),
        other => other.to_lowercase(),
    }
}

/// A day and a time in a zone, such as `22 Nov 08:00`.
pub(super) fn clock(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone())
        .strftime("%-d %b %H:%M")
        .to_string()
}

/// From and to, the day once where both are on it, and below them the zone.
pub(super) fn window(from: Timestamp, to: Timestamp, zone: &str) -> Option<String> {
    let known = TimeZone::get(zone).ok()?;
    let (first, last) = (
        from.to_zoned(known.clone()).date(),
        to.to_zoned(known.clone()),
    );
    let until = if first == last.date() {
        last.strftime("%H:%M").to_string()
    } else {
        clock(to, &known)
    };
    Some(format!("{} to {until}\n{zone}", clock(from, &known)))
}

#[cfg(test)]
mod tests {
    use super::window;

    #[test]
    fn a_window_names_its_zone_and_a_day_once() {
        let at = |text: &str| text.parse().unwrap();
        let (from, to) = (at("2026-11-22T13:00:00Z"), at("2026-11-23T02:00:00Z"));
        assert_eq!(
            window(from, to, "America/New_York").as_deref(),
            Some("22 Nov 08:00 to 21:00\nAmerica/New_York")
        );
        assert_eq!(
            window(from, to, "UTC").as_deref(),
            Some("22 Nov 13:00 to 23 Nov 02:00\nUTC")
        );
        assert_eq!(window(from, to, "Nowhere/Nowhere"), None);
    }
}
