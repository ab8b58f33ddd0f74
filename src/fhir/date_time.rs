//! Dates, dateTimes and instants (FHIR R4, 2.24.0.1) with the precision and the offset that were sent.

use std::cmp::Ordering;

use jiff::civil::{Date, DateTime as Local, Time};
use jiff::tz::{Offset, TimeZone};

use crate::instant::{self, Resolved};

/// How far a time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// `YYYY`
    Year,
    /// `YYYY-MM`
    Month,
    /// `YYYY-MM-DD`
    Day,
    /// `YYYY-MM-DDThh:mm`
    Minute,
    /// `YYYY-MM-DDThh:mm:ss`
    Second,
    /// `YYYY-MM-DDThh:mm:ss.s`, kept to nanoseconds.
    Fraction,
}

/// Which of the three types a text is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `date`: a year, a month or a day.
    Date,
    /// `dateTime`: a date, or a time of a day. FHIR asks for seconds and an offset; senders leave
    /// both out, and so may the text.
    DateTime,
    /// `instant`: a time to the second with its offset.
    Instant,
}

/// Why a text is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DateTimeError {
    /// It has not the form of one.
    #[error("expected {}, found {found} characters", expected(*.form))]
    Form {
        /// What it was to be.
        form: Form,
        /// How many characters it has.
        found: usize,
    },
    /// It has the form, but there is no such day or time.
    #[error("expected {}, found an impossible {part}", expected(*.form))]
    Impossible {
        /// What it was to be.
        form: Form,
        /// What of it is impossible.
        part: &'static str,
    },
}

fn expected(form: Form) -> &'static str {
    match form {
        Form::Date => "a date (YYYY[-MM[-DD]])",
        Form::DateTime => "a dateTime (YYYY[-MM[-DD[Thh:mm[:ss[.s]][Z|+hh:mm]]]])",
        Form::Instant => "an instant (YYYY-MM-DDThh:mm:ss[.s](Z|+hh:mm))",
    }
}

/// A point in time as it was sent: of some precision, and local unless it has an offset.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DateTime<'t> {
    text: &'t str,
    /// Parts beyond the precision are the lowest possible.
    local: Local,
    precision: Precision,
    offset: Option<Offset>,
}

impl<'t> DateTime<'t> {
    /// Reads a time, trimmed of blanks.
    ///
    /// A leap second (`:60`) is read as the second before it.
    ///
    /// # Errors
    /// [`DateTimeError`]; a text is never cut or completed to make it fit.
    pub fn parse(text: &'t str, form: Form) -> Result<DateTime<'t>, DateTimeError> {
        let text = text.trim();
        let wrong = || DateTimeError::Form {
            form,
            found: text.chars().count(),
        };
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let (date, mut precision) = read_date(date, form, &wrong)?;
        let mut read = (Time::midnight(), None);
        if let Some(time) = time {
            if precision != Precision::Day || form == Form::Date {
                return Err(wrong());
            }
            let (clock, offset) = split_offset(time);
            let offset = offset
                .map(|text| read_offset(text, form, &wrong))
                .transpose()?;
            let (time, reached) = read_time(clock, form, &wrong)?;
            precision = reached;
            read = (time, offset);
        }
        let (time, offset) = read;
        if form == Form::Instant && (offset.is_none() || precision < Precision::Second) {
            return Err(wrong());
        }
        Ok(DateTime {
            text,
            local: date.to_datetime(time),
            precision,
            offset,
        })
    }

    /// The text as it was sent.
    #[must_use]
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// How far it goes.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The offset that was sent with it.
    #[must_use]
    pub fn offset(&self) -> Option<Offset> {
        self.offset
    }

    /// The day, as the sender's calendar shows it; `None` below day precision.
    #[must_use]
    pub fn date(&self) -> Option<Date> {
        (self.precision >= Precision::Day).then(|| self.local.date())
    }

    /// The date with the precision it has, without any time: `1980`, `1980-01` or `1980-01-02`.
    #[must_use]
    pub fn date_text(&self) -> &'t str {
        self.text
            .split_once('T')
            .map_or(self.text, |(date, _)| date)
    }

    /// The instant, with its own offset or else in `zone`; `None` where it has no time of day or is
    /// outside of the years that can be counted. Missing seconds are 0.
    #[must_use]
    pub fn to_instant(&self, zone: &TimeZone) -> Option<Resolved> {
        if self.precision < Precision::Minute {
            return None;
        }
        instant::of(self.local, self.offset, zone)
    }

    /// Which of two is earlier, as FHIRPath says it (N1, 6.2): `None` where that depends on what was
    /// not sent, a finer part or an offset. A date is compared with what the other's calendar shows.
    #[must_use]
    pub fn compare(&self, other: &DateTime<'_>) -> Option<Ordering> {
        let timed = |one: &DateTime<'_>| one.precision >= Precision::Minute;
        let both = timed(self) && timed(other);
        if both && self.offset.is_some() != other.offset.is_some() {
            return None;
        }
        let shift = both && self.offset != other.offset;
        let (mine, theirs) = (self.parts(shift)?, other.parts(shift)?);
        let (here, there) = (self.depth(), other.depth());
        let shared = here.min(there);
        match mine
            .iter()
            .zip(&theirs)
            .take(shared)
            .map(|(a, b)| a.cmp(b))
            .find(|o| o.is_ne())
        {
            Some(decided) => Some(decided),
            None => (here == there).then_some(Ordering::Equal),
        }
    }

    /// How many of its parts were sent.
    fn depth(&self) -> usize {
        match self.precision {
            Precision::Year => 1,
            Precision::Month => 2,
            Precision::Day => 3,
            Precision::Minute => 5,
            Precision::Second | Precision::Fraction => 6,
        }
    }

    /// Year, month, day, hour, minute and nanoseconds of the minute; in UTC where `shift`.
    fn parts(&self, shift: bool) -> Option<[i64; 6]> {
        let local = match self.offset.filter(|_| shift) {
            Some(offset) => Offset::UTC.to_datetime(offset.to_timestamp(self.local).ok()?),
            None => self.local,
        };
        let nanos =
            i64::from(local.second()) * 1_000_000_000 + i64::from(local.subsec_nanosecond());
        Some([
            i64::from(local.year()),
            i64::from(local.month()),
            i64::from(local.day()),
            i64::from(local.hour()),
            i64::from(local.minute()),
            nanos,
        ])
    }
}

impl std::fmt::Debug for DateTime<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DateTime({:?})", self.precision)
    }
}

type Wrong<'w> = &'w dyn Fn() -> DateTimeError;

fn read_date(text: &str, form: Form, wrong: Wrong<'_>) -> Result<(Date, Precision), DateTimeError> {
    let mut parts = text.split('-');
    let mut next = |length| {
        parts
            .next()
            .map(|part| digits(part, length).ok_or_else(wrong))
            .transpose()
    };
    let (year, month, day) = (next(4)?, next(2)?, next(2)?);
    if parts.next().is_some() {
        return Err(wrong());
    }
    let year = year.ok_or_else(wrong)?;
    let precision = match (month, day) {
        (None, _) => Precision::Year,
        (Some(_), None) => Precision::Month,
        (Some(_), Some(_)) => Precision::Day,
    };
    let impossible = |part| DateTimeError::Impossible { form, part };
    if year == 0 {
        return Err(impossible("year"));
    }
    let narrow = |part: Option<i16>| i8::try_from(part.unwrap_or(1)).unwrap_or_default();
    let date = Date::new(year, narrow(month), narrow(day)).map_err(|_cause| impossible("day"))?;
    Ok((date, precision))
}

fn read_time(text: &str, form: Form, wrong: Wrong<'_>) -> Result<(Time, Precision), DateTimeError> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let mut parts = clock.split(':');
    let mut next = || {
        parts
            .next()
            .map(|part| digits(part, 2).ok_or_else(wrong))
            .transpose()
    };
    let (hour, minute, second) = (next()?, next()?, next()?);
    if parts.next().is_some() || (second.is_none() && fraction.is_some()) {
        return Err(wrong());
    }
    let (hour, minute) = (hour.ok_or_else(wrong)?, minute.ok_or_else(wrong)?);
    let nanos = match fraction {
        None => 0,
        Some("") => return Err(wrong()),
        Some(fraction) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => {
            let nine = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
            nine.fold(0_i32, |sum, digit| sum * 10 + i32::from(digit - b'0'))
        }
        Some(_) => return Err(wrong()),
    };
    let precision = match (second, fraction) {
        (None, _) => Precision::Minute,
        (Some(_), None) => Precision::Second,
        (Some(_), Some(_)) => Precision::Fraction,
    };
    let narrow = |part: i16| i8::try_from(part).unwrap_or(i8::MAX);
    let second = match second.unwrap_or(0) {
        60 => 59,
        other => narrow(other),
    };
    let time = Time::new(narrow(hour), narrow(minute), second, nanos);
    Ok((
        time.map_err(|_cause| DateTimeError::Impossible { form, part: "time" })?,
        precision,
    ))
}

fn split_offset(text: &str) -> (&str, Option<&str>) {
    let at = text.find(['Z', '+', '-']);
    match at.and_then(|at| text.split_at_checked(at)) {
        Some((clock, offset)) => (clock, Some(offset)),
        None => (text, None),
    }
}

fn read_offset(text: &str, form: Form, wrong: Wrong<'_>) -> Result<Offset, DateTimeError> {
    if text == "Z" {
        return Ok(Offset::UTC);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text
        .get(1..)
        .and_then(|rest| rest.split_once(':'))
        .ok_or_else(wrong)?;
    let hours = i32::from(digits(hours, 2).ok_or_else(wrong)?);
    let minutes = i32::from(digits(minutes, 2).ok_or_else(wrong)?);
    // No place on earth is further from UTC than 14 hours.
    let real = hours <= 14 && minutes <= 59;
    let offset = Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok();
    let impossible = DateTimeError::Impossible {
        form,
        part: "offset",
    };
    offset.filter(|_| real).ok_or(impossible)
}

/// A number of exactly `length` digits.
fn digits(text: &str, length: usize) -> Option<i16> {
    let fits = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok())?
}

#[cfg(test)]
#[path = "date_time_tests.rs"]
mod tests;
