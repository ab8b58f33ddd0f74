//! The instant of a time that somebody sent: local and to be read in a zone, or with its own offset.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// How the instant of a local time was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// The zone has exactly one such instant.
    Exact,
    /// The timestamp carried its own offset; the zone was not used.
    OffsetGiven,
    /// Clocks skipped this local time; it was moved forward by as much as they skipped.
    Gap,
    /// Clocks showed this local time twice; the first one was taken.
    Overlap,
}

/// An instant with the offset in force, and how it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The instant.
    pub instant: Timestamp,
    /// The offset from UTC at that instant.
    pub offset: Offset,
    /// How it was found.
    pub flag: Flag,
}

impl Resolved {
    /// RFC 3339 with the offset, such as `2026-01-02T03:04:05+01:00`.
    ///
    /// Offsets of local mean time (before about 1900) have seconds, which the form cannot write:
    /// they are shown in whole minutes, and the local time with them, so that the instant stays.
    #[must_use]
    pub fn to_rfc3339(&self) -> String {
        let seconds = self.offset.seconds();
        let whole = Offset::from_seconds(seconds - seconds % 60).unwrap_or(Offset::UTC);
        self.instant.display_with_offset(whole).to_string()
    }
}

/// The instant of a local time: by its own offset, else in `zone`. `None` where that is beyond what can
/// be counted.
pub fn of(local: DateTime, offset: Option<Offset>, zone: &TimeZone) -> Option<Resolved> {
    let (offset, flag) = match offset {
        Some(offset) => (offset, Flag::OffsetGiven),
        None => match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => (offset, Flag::Exact),
            // Read with the offset before the change, a skipped time lands as far behind it.
            AmbiguousOffset::Gap { before, .. } => (before, Flag::Gap),
            AmbiguousOffset::Fold { before, .. } => (before, Flag::Overlap),
        },
    };
    let instant = offset.to_timestamp(local).ok()?;
    let offset = if flag == Flag::Gap {
        zone.to_offset(instant)
    } else {
        offset
    };
    Some(Resolved {
        instant,
        offset,
        flag,
    })
}
