//! Dates that keep their precision, and instants that keep their offset.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A date known to the year, the month or the day (`1980`, `1980-01`, `1980-01-02`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartialDate {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
}

impl PartialDate {
    /// Reads the ISO 8601 form; `None` for anything else or for a day that does not exist.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let year = part(parts.next()?, 4)?;
        let month = parts
            .next()
            .map(|p| part(p, 2))
            .map_or(Some(None), |p| p.map(Some))?;
        let day = parts
            .next()
            .map(|p| part(p, 2))
            .map_or(Some(None), |p| p.map(Some))?;
        if parts.next().is_some() {
            return None;
        }
        let month = month
            .map(|m| i8::try_from(m).ok())
            .map_or(Some(None), |m| m.map(Some))?;
        let day = day
            .map(|d| i8::try_from(d).ok())
            .map_or(Some(None), |d| d.map(Some))?;
        Date::new(year, month.unwrap_or(1), day.unwrap_or(1)).ok()?;
        Some(Self { year, month, day })
    }

    /// The first day this can mean.
    pub fn earliest(self) -> Date {
        Date::new(self.year, self.month.unwrap_or(1), self.day.unwrap_or(1)).unwrap_or(Date::MIN)
    }

    /// The last day this can mean.
    pub fn latest(self) -> Date {
        if self.day.is_some() {
            return self.earliest();
        }
        Date::new(self.year, self.month.unwrap_or(12), 1).map_or(Date::MAX, Date::last_of_month)
    }

    /// Whether both can mean the same day.
    pub fn agrees_with(self, other: Self) -> bool {
        self.earliest() <= other.latest() && other.earliest() <= self.latest()
    }
}

fn part(text: &str, digits: usize) -> Option<i16> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

impl fmt::Display for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        if let Some(month) = self.month {
            write!(f, "-{month:02}")?;
        }
        if let Some(day) = self.day {
            write!(f, "-{day:02}")?;
        }
        Ok(())
    }
}

/// A clinical time: a date with its precision, or an instant with the offset it was given in.
#[derive(Clone, PartialEq, Eq)]
pub enum Moment {
    /// Known to the day at best.
    Date(PartialDate),
    /// An instant; the text is RFC 3339 with the offset that was sent or resolved.
    Instant {
        /// The instant.
        at: Timestamp,
        /// RFC 3339, as shown.
        text: String,
    },
}

impl Moment {
    /// Reads an ISO 8601 partial date or an RFC 3339 instant.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(date) = PartialDate::parse(text) {
            return Some(Self::Date(date));
        }
        let at = text.parse::<Timestamp>().ok()?;
        Some(Self::Instant {
            at,
            text: text.to_owned(),
        })
    }

    /// The calendar day in `zone`; the last possible one for a partial date.
    pub fn day(&self, zone: &TimeZone) -> Date {
        match self {
            Self::Date(date) => date.latest(),
            Self::Instant { at, .. } => at.to_zoned(zone.clone()).date(),
        }
    }

    /// The instant, where one was given.
    pub const fn instant(&self) -> Option<Timestamp> {
        match self {
            Self::Date(_) => None,
            Self::Instant { at, .. } => Some(*at),
        }
    }

    /// The earliest instant this can mean in `zone`.
    pub fn start(&self, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Instant { at, .. } => Some(*at),
            Self::Date(date) => Some(date.earliest().to_zoned(zone.clone()).ok()?.timestamp()),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date(date) => date.fmt(f),
            Self::Instant { text, .. } => f.write_str(text),
        }
    }
}

macro_rules! as_text {
    ($type:ty, $what:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                Self::parse(&text).ok_or_else(|| {
                    serde::de::Error::custom(format_args!(
                        concat!("expected ", $what, ", found {} characters"),
                        text.chars().count()
                    ))
                })
            }
        }
    };
}
as_text!(PartialDate, "a date (YYYY, YYYY-MM or YYYY-MM-DD)");
as_text!(Moment, "a date or an RFC 3339 instant");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_date_keeps_its_precision() {
        for text in ["1980", "1980-02", "1980-02-29"] {
            assert_eq!(PartialDate::parse(text).unwrap().to_string(), text);
        }
        for text in ["80", "1980-13", "1981-02-29", "1980-02-29-01", "", "1980-2"] {
            assert!(PartialDate::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_year_agrees_with_every_day_in_it() {
        let year = PartialDate::parse("1980").unwrap();
        assert!(year.agrees_with(PartialDate::parse("1980-12-31").unwrap()));
        assert!(!year.agrees_with(PartialDate::parse("1981-01-01").unwrap()));
    }

    #[test]
    fn an_instant_keeps_its_offset() {
        let text = "2026-03-02T08:00:00-05:00";
        assert_eq!(Moment::parse(text).unwrap().to_string(), text);
    }
}
