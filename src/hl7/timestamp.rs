//! HL7 timestamps (DTM, HL7 v2.5.1 2.A.22) with the precision and the offset that were sent.

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

use crate::instant::{self, Resolved};

/// How far a timestamp goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// `YYYY`
    Year,
    /// `YYYYMM`
    Month,
    /// `YYYYMMDD`
    Day,
    /// `YYYYMMDDHH`
    Hour,
    /// `YYYYMMDDHHMM`
    Minute,
    /// `YYYYMMDDHHMMSS`
    Second,
    /// `YYYYMMDDHHMMSS.S`, kept to microseconds.
    Fraction,
}

/// Why a text is no timestamp.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// It has not the form of one.
    #[error("expected a timestamp (YYYY[MM[DD[HH[MM[SS[.S]]]]]][+ZZZZ]), found {found} characters")]
    Form {
        /// How many characters it has.
        found: usize,
    },
    /// It has the form, but there is no such day or time.
    #[error("expected a timestamp (YYYY[MM[DD[HH[MM[SS[.S]]]]]][+ZZZZ]), found an impossible {0}")]
    Impossible(&'static str),
}

/// A point in time as a sender wrote it: local unless it has an offset, and of some precision.
#[derive(Clone, PartialEq, Eq)]
pub struct Timestamp {
    /// Parts beyond the precision are the lowest possible.
    local: DateTime,
    precision: Precision,
    offset: Option<Offset>,
}

impl Timestamp {
    /// Reads a timestamp, trimmed of blanks.
    ///
    /// Fraction digits may follow the seconds without a dot (`2026010203040500`), as some senders
    /// write them, up to six. Years before 1000 are taken for padding, not for dates.
    ///
    /// # Errors
    /// [`TimestampError`]; a text is never cut or rounded to make it fit.
    pub fn parse(text: &str) -> Result<Timestamp, TimestampError> {
        let text = text.trim();
        let form = || TimestampError::Form {
            found: text.chars().count(),
        };
        let (body, offset) = match text
            .find(['+', '-'])
            .and_then(|at| text.split_at_checked(at))
        {
            Some((body, offset)) => (body, Some(read_offset(offset).ok_or_else(form)?)),
            None => (text, None),
        };
        let offset = offset.map(|found| found.ok_or(TimestampError::Impossible("offset")));
        let (digits, fraction) = match body.split_once('.') {
            Some((digits, fraction)) if digits.len() == 14 => (digits, fraction),
            Some(_) => return Err(form()),
            None => body.split_at_checked(14).unwrap_or((body, "")),
        };
        let dotless = body.len() == digits.len() + fraction.len();
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let fits = all_digits(digits) && all_digits(fraction);
        if !fits || (dotless && fraction.len() > 6) || (!dotless && fraction.is_empty()) {
            return Err(form());
        }
        let precision = match (digits.len(), fraction.is_empty()) {
            (4, _) => Precision::Year,
            (6, _) => Precision::Month,
            (8, _) => Precision::Day,
            (10, _) => Precision::Hour,
            (12, _) => Precision::Minute,
            (14, true) => Precision::Second,
            (14, false) => Precision::Fraction,
            _ => return Err(form()),
        };
        let local = read_local(digits, fraction)?;
        Ok(Timestamp {
            local,
            precision,
            offset: offset.transpose()?,
        })
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

    /// The date with the precision it has: `1980`, `1980-01` or `1980-01-02`, without any time.
    #[must_use]
    pub fn to_date_string(&self) -> String {
        let date = self.local.date();
        match self.precision {
            Precision::Year => format!("{:04}", date.year()),
            Precision::Month => format!("{:04}-{:02}", date.year(), date.month()),
            _ => format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()),
        }
    }

    /// The instant, with the sender's own offset or else in the sender's `zone`; `None` below hour
    /// precision or outside of the years that can be counted. Missing minutes and seconds are 0.
    #[must_use]
    pub fn to_instant(&self, zone: &TimeZone) -> Option<Resolved> {
        if self.precision < Precision::Hour {
            return None;
        }
        instant::of(self.local, self.offset, zone)
    }
}

impl std::fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Timestamp({:?})", self.precision)
    }
}

/// `+HHMM`, `-HHMM`, also with a colon. The outer `None`: not that form; the inner: no such offset.
fn read_offset(text: &str) -> Option<Option<Offset>> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.get(1..)?;
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = minutes.strip_prefix(':').unwrap_or(minutes);
    let all_digits = hours
        .bytes()
        .chain(minutes.bytes())
        .all(|b| b.is_ascii_digit());
    if !all_digits || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    // No place on earth is further from UTC than 14 hours.
    let real = hours <= 14 && minutes <= 59;
    Some(
        Offset::from_seconds(sign * (hours * 3_600 + minutes * 60))
            .ok()
            .filter(|_| real),
    )
}

fn read_local(digits: &str, fraction: &str) -> Result<DateTime, TimestampError> {
    let part = |at: usize, length: usize, missing: i8| -> i8 {
        digits
            .get(at..at + length)
            .and_then(|part| part.parse().ok())
            .unwrap_or(missing)
    };
    let year: i16 = digits
        .get(..4)
        .and_then(|part| part.parse().ok())
        .unwrap_or(0);
    if year < 1000 {
        return Err(TimestampError::Impossible("year"));
    }
    let date = Date::new(year, part(4, 2, 1), part(6, 2, 1));
    let date = date.map_err(|_cause| TimestampError::Impossible("day"))?;
    let micros = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    let nanos = micros.fold(0_i32, |sum, digit| sum * 10 + i32::from(digit - b'0')) * 1_000;
    let time = jiff::civil::Time::new(part(8, 2, 0), part(10, 2, 0), part(12, 2, 0), nanos);
    let time = time.map_err(|_cause| TimestampError::Impossible("time"))?;
    Ok(date.to_datetime(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instant::Flag;

    fn instant(text: &str) -> (String, Flag) {
        // New York's rule since 2007, spelt out so that no zone database is needed.
        let zone = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap();
        let found = Timestamp::parse(text).unwrap().to_instant(&zone).unwrap();
        (found.to_rfc3339(), found.flag)
    }

    #[test]
    fn keeps_the_precision() {
        for (text, precision, date) in [
            ("1980", Precision::Year, "1980"),
            ("198001", Precision::Month, "1980-01"),
            ("19800102", Precision::Day, "1980-01-02"),
            ("19800102+0100", Precision::Day, "1980-01-02"),
            ("1980010203", Precision::Hour, "1980-01-02"),
            ("198001020304", Precision::Minute, "1980-01-02"),
            (" 19800102030405 ", Precision::Second, "1980-01-02"),
            ("19800102030405.6", Precision::Fraction, "1980-01-02"),
        ] {
            let read = Timestamp::parse(text).unwrap();
            assert_eq!(
                (read.precision(), read.to_date_string().as_str()),
                (precision, date)
            );
        }
    }

    #[test]
    fn resolves_in_the_zone_or_by_its_own_offset() {
        let day = "2026-01-02T03:04";
        assert_eq!(
            instant("2026010203"),
            ("2026-01-02T03:00:00-05:00".into(), Flag::Exact)
        );
        assert_eq!(
            instant("202601020304"),
            (format!("{day}:00-05:00"), Flag::Exact)
        );
        assert_eq!(instant("20260702030405").0, "2026-07-02T03:04:05-04:00");
        let (text, flag) = instant("20260102030405.123456789+0215");
        assert_eq!(
            (text, flag),
            (format!("{day}:05.123456+02:15"), Flag::OffsetGiven)
        );
        assert_eq!(instant("20260102030405.1").0, format!("{day}:05.1-05:00"));
        assert_eq!(instant("2026010203040512").0, format!("{day}:05.12-05:00"));
        assert_eq!(
            instant("20260102030405123").0,
            format!("{day}:05.123-05:00")
        );
        assert_eq!(instant("20260102030405-05:00").1, Flag::OffsetGiven);
        assert!(
            Timestamp::parse("20260102")
                .unwrap()
                .to_instant(&TimeZone::UTC)
                .is_none()
        );
    }

    #[test]
    fn flags_skipped_and_doubled_times() {
        let skipped = ("2026-03-08T03:30:00-04:00".to_owned(), Flag::Gap);
        assert_eq!(instant("202603080230"), skipped);
        let doubled = ("2026-11-01T01:30:00-04:00".to_owned(), Flag::Overlap);
        assert_eq!(instant("202611010130"), doubled);
    }

    #[test]
    fn an_offset_with_seconds_is_shown_without_moving_the_instant() {
        let zone = TimeZone::get("America/New_York").unwrap(); // 4:56:02 behind before 1883
        let resolved = Timestamp::parse("18000102030405")
            .unwrap()
            .to_instant(&zone)
            .unwrap();
        let shown: jiff::Timestamp = resolved.to_rfc3339().parse().unwrap();
        assert_eq!(shown, resolved.instant);
    }

    #[test]
    fn rejects_what_is_no_timestamp() {
        for text in [
            "",
            "63",
            "DOB",
            "199",
            "19801",
            "196203520",
            "19800102T0304",
            "1980-01-02",
            "+0100",
            "19800102030405.",
            "1980010203.5",
            "198001020304051234567",
            "19800102+1",
            "19800102+01",
            "１９８０",
        ] {
            let error = Timestamp::parse(text).unwrap_err();
            assert!(
                matches!(error, TimestampError::Form { .. }),
                "{text}: {error}"
            );
        }
        for text in [
            "0000",
            "00000000",
            "00010101",
            "19800001",
            "19800100",
            "19620352",
            "196203520000",
            "20260229",
            "1980010224",
            "198001020360",
            "19800102030460",
            "19800102+1500",
            "19800102+0160",
        ] {
            let error = Timestamp::parse(text).unwrap_err();
            assert!(
                matches!(error, TimestampError::Impossible(_)),
                "{text}: {error}"
            );
        }
    }
}
