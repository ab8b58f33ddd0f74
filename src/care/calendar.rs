//! Spans of time as rules mean them: hours, days, months, business days.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};
use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};

/// A span of time. Hours are exact; the others are calendar days in the person's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Elapsed hours.
    Hours(i32),
    /// Calendar days.
    Days(i32),
    /// Business days.
    BusinessDays(i32),
    /// Calendar months.
    Months(i32),
}

/// Longest span of any unit that a rule may name.
const MOST: i32 = 5_000;

impl Span {
    /// What [`Span::parse`] reads, for diagnostics.
    pub(crate) const FORM: &'static str =
        "a span such as `4 hours`, `14 days`, `3 business days` or `6 months`";

    /// Reads `4 hours`, `14 days`, `3 business days`, `6 months`.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_once(' ')?;
        let number: i32 = number.parse().ok().filter(|n| (0..=MOST).contains(n))?;
        match unit {
            "hour" | "hours" => Some(Self::Hours(number)),
            "day" | "days" => Some(Self::Days(number)),
            "business day" | "business days" => Some(Self::BusinessDays(number)),
            "month" | "months" => Some(Self::Months(number)),
            _ => None,
        }
    }

    /// `date` less this span, at day precision; hours count as the days they fill.
    pub(super) fn before(self, date: Date) -> Option<Date> {
        match self {
            Self::Hours(n) => date.checked_sub((n / 24).days()).ok(),
            Self::Days(n) | Self::BusinessDays(n) => date.checked_sub(n.days()).ok(),
            Self::Months(n) => date.checked_sub(n.months()).ok(),
        }
    }

    /// `date` and this span, at day precision; a month's end stays inside its month.
    pub(super) fn after(self, date: Date) -> Option<Date> {
        match self {
            Self::Hours(n) => date.checked_add((n / 24).days()).ok(),
            Self::Days(n) | Self::BusinessDays(n) => date.checked_add(n.days()).ok(),
            Self::Months(n) => date.checked_add(n.months()).ok(),
        }
    }

    /// The first day `d` for which `day` is not in `(d - span, d]`.
    ///
    /// Adding the span is not enough: 31 August and six months is 28 February, whose window
    /// begins after 28 August and so still holds 31 August. The first day outside is 1 March.
    pub(super) fn first_day_beyond(self, day: Date) -> Option<Date> {
        let mut candidate = self.after(day)?;
        while self.before(candidate)? < day {
            candidate = candidate.tomorrow().ok()?;
        }
        Some(candidate)
    }
}

/// Which days are working days.
#[derive(Clone, Debug, Default)]
pub(super) struct Calendar {
    pub(super) holidays: BTreeSet<Date>,
}

impl Calendar {
    fn is_business_day(&self, date: Date) -> bool {
        !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
            && !self.holidays.contains(&date)
    }

    /// The instant at which `span` after `start` is over: exact for hours, else the end of the
    /// last day in `zone`.
    pub(super) fn deadline(
        &self,
        start: Timestamp,
        span: Span,
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        if let Span::Hours(hours) = span {
            return start
                .checked_add(SignedDuration::from_hours(i64::from(hours)))
                .ok();
        }
        let first = start.to_zoned(zone.clone()).date();
        let last = match span {
            Span::BusinessDays(days) => self.add_business_days(first, days)?,
            _ => span.after(first)?,
        };
        day_start(last.tomorrow().ok()?, zone)
    }

    fn add_business_days(&self, start: Date, days: i32) -> Option<Date> {
        let mut date = start;
        let mut left = days;
        while left > 0 || !self.is_business_day(date) {
            date = date.tomorrow().ok()?;
            if self.is_business_day(date) {
                left -= 1;
            }
        }
        Some(date)
    }
}

/// The first instant of `date` in `zone`: midnight, or what follows it where clocks skip it.
pub(super) fn day_start(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    Some(date.to_zoned(zone.clone()).ok()?.timestamp())
}
