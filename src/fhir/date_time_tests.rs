//! Times: what is read, what is refused, which is earlier.

use super::*;
use crate::instant::Flag;

fn read(text: &str) -> DateTime<'_> {
    DateTime::parse(text, Form::DateTime).unwrap()
}

#[test]
fn the_text_its_precision_and_its_offset_are_kept() {
    for (text, precision, date, offset) in [
        ("1980", Precision::Year, "1980", None),
        ("1980-02", Precision::Month, "1980-02", None),
        ("1980-02-29", Precision::Day, "1980-02-29", None),
        (
            "1980-02-29T03:04Z",
            Precision::Minute,
            "1980-02-29",
            Some(0),
        ),
        ("1980-02-29T03:04:05", Precision::Second, "1980-02-29", None),
        (
            "1980-02-29T03:04:60Z",
            Precision::Second,
            "1980-02-29",
            Some(0),
        ),
        (
            "1980-02-29T03:04:05+05:30",
            Precision::Second,
            "1980-02-29",
            Some(19_800),
        ),
        (
            "1980-02-29T03:04:05.6-14:00",
            Precision::Fraction,
            "1980-02-29",
            Some(-50_400),
        ),
        (
            "0385-07-25T07:06:40.000000+00:00",
            Precision::Fraction,
            "0385-07-25",
            Some(0),
        ),
    ] {
        let found = read(text);
        assert_eq!(
            (found.text(), found.precision(), found.date_text()),
            (text, precision, date)
        );
        assert_eq!(found.offset().map(Offset::seconds), offset, "{text}");
        assert_eq!(
            found.date().is_some(),
            precision >= Precision::Day,
            "{text}"
        );
        assert_eq!(format!("{found:?}"), format!("DateTime({precision:?})"));
    }
    assert_eq!(read(" 1980 ").text(), "1980");
}

#[test]
fn what_has_not_the_form_or_does_not_exist_is_refused() {
    for text in [
        "",
        "80",
        "1980-2",
        "1980-02-3",
        "19800229",
        "1980/02/29",
        "1980-02-29T",
        "1980-02-29T03",
        "1980-02-29T3:04",
        "1980-02-29 03:04:05",
        "1980-02-29T03:04:05.",
        "1980-02-29T03:04:05.x",
        "1980-02-29T03:04:05+5:30",
        "1980-02-29T03:04:05+0530",
        "1980-02T03:04:05Z",
        "1980T03:04Z",
        "1980-02-29T03:04.5Z",
        "1980-02-29T03:04:05ZZ",
        "１９８０",
        "-1980",
        "1980-",
        "1980-02-29-01",
        "1980-02-29T03:04:05:06Z",
        "1980-02-29t03:04:05z",
    ] {
        let error = DateTime::parse(text, Form::DateTime).unwrap_err();
        assert!(
            matches!(error, DateTimeError::Form { .. }),
            "{text}: {error}"
        );
    }
    for (text, part) in [
        ("0000", "year"),
        ("1980-13", "day"),
        ("1980-00-01", "day"),
        ("1981-02-29", "day"),
        ("1980-02-29T24:00:00Z", "time"),
        ("1980-02-29T03:60:00Z", "time"),
        ("1980-02-29T03:04:61Z", "time"),
        ("1980-02-29T03:04:05+15:00", "offset"),
        ("1980-02-29T03:04:05-01:60", "offset"),
    ] {
        let error = DateTime::parse(text, Form::DateTime).unwrap_err();
        assert_eq!(
            error,
            DateTimeError::Impossible {
                form: Form::DateTime,
                part
            },
            "{text}"
        );
    }
}

#[test]
fn a_date_has_no_time_and_an_instant_has_all_of_it() {
    for (text, date, instant) in [
        ("1980", true, false),
        ("1980-02-29", true, false),
        ("1980-02-29T03:04:05", false, false),
        ("1980-02-29T03:04Z", false, false),
        ("1980-02-29T03:04:05Z", false, true),
        ("1980-02-29T03:04:05.123+01:00", false, true),
    ] {
        assert_eq!(DateTime::parse(text, Form::Date).is_ok(), date, "{text}");
        assert_eq!(
            DateTime::parse(text, Form::Instant).is_ok(),
            instant,
            "{text}"
        );
    }
    let error = DateTime::parse("DOB", Form::Date).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected a date (YYYY[-MM[-DD]]), found 3 characters"
    );
}

#[test]
fn a_time_resolves_by_its_own_offset_or_in_the_zone() {
    // New York's rule since 2007, spelt out so that no zone database is needed.
    let zone = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap();
    for (text, instant, flag) in [
        (
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05Z",
            Flag::OffsetGiven,
        ),
        (
            "2026-01-02T03:04:05-08:00",
            "2026-01-02T11:04:05Z",
            Flag::OffsetGiven,
        ),
        ("2026-01-02T03:04", "2026-01-02T08:04:00Z", Flag::Exact),
        (
            "2026-01-02T03:04:05.1234567891",
            "2026-01-02T08:04:05.123456789Z",
            Flag::Exact,
        ),
        ("2026-03-08T02:30:00", "2026-03-08T07:30:00Z", Flag::Gap),
        ("2026-11-01T01:30:00", "2026-11-01T05:30:00Z", Flag::Overlap),
    ] {
        let found = read(text).to_instant(&zone).unwrap();
        assert_eq!(
            (found.instant.to_string().as_str(), found.flag),
            (instant, flag),
            "{text}"
        );
    }
    assert!(read("2026-01-02").to_instant(&zone).is_none());
    assert!(
        read("9999-12-31T23:59:59-14:00")
            .to_instant(&zone)
            .is_none()
    );
}

#[test]
fn which_is_earlier_is_known_or_depends_on_what_was_not_sent() {
    use Ordering::{Equal, Greater, Less};
    for (a, b, order) in [
        ("1980", "1981", Some(Less)),
        ("1980", "1980", Some(Equal)),
        ("1980", "1980-01", None),
        ("1980-02", "1980-01-31", Some(Greater)),
        ("1980-01-01", "1980-01-01T00:00:00Z", None),
        ("1980-01-02", "1980-01-01T23:59:59-05:00", Some(Greater)),
        (
            "1980-01-01T10:00:00Z",
            "1980-01-01T05:00:00-05:00",
            Some(Equal),
        ),
        (
            "1980-01-01T10:00:00Z",
            "1980-01-01T10:00:00-05:00",
            Some(Less),
        ),
        ("1980-01-01T10:00:00", "1980-01-01T10:00:00Z", None),
        (
            "1980-01-01T10:00:00",
            "1980-01-01T10:00:00.000",
            Some(Equal),
        ),
        ("1980-01-01T10:00", "1980-01-01T10:00:00", None),
        ("1980-01-01T10:00", "1980-01-01T10:01:00", Some(Less)),
        (
            "1980-01-01T10:00:00.1",
            "1980-01-01T10:00:00.12",
            Some(Less),
        ),
    ] {
        assert_eq!(read(a).compare(&read(b)), order, "{a} {b}");
        assert_eq!(
            read(b).compare(&read(a)),
            order.map(Ordering::reverse),
            "{b} {a}"
        );
    }
}
