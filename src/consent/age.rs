//! Birthdays, for rules and minors alike.

use jiff::ToSpan;
use jiff::civil::Date;

/// The day on which someone born on `birth` turns `years`; 29 February becomes 1 March in a year
/// without one, as HL7 CQL counts ages. `None` only outside the calendar's range.
pub(crate) fn birthday(birth: Date, years: i16) -> Option<Date> {
    let same = birth.checked_add(i32::from(years).years()).ok()?;
    if same.day() == birth.day() {
        Some(same)
    } else {
        same.tomorrow().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_day_child_turns_eighteen_on_the_first_of_march() {
        let birth = jiff::civil::date(2008, 2, 29);
        assert_eq!(birthday(birth, 18), Some(jiff::civil::date(2026, 3, 1)));
        assert_eq!(birthday(birth, 20), Some(jiff::civil::date(2028, 2, 29)));
    }
}
