//! Numbers compared as they were sent, digit by digit: `0.10` is `0.1`, and nothing is rounded.

use std::cmp::Ordering;

/// A number of JSON as sign, digits without zeros at either end, and the power of ten of the first.
struct Parts {
    negative: bool,
    power: i64,
    digits: String,
}

/// Which of two numbers of JSON is smaller.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (parts(a), parts(b));
    let magnitude = |a: &Parts, b: &Parts| match (a.digits.is_empty(), b.digits.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.power.cmp(&b.power).then_with(|| a.digits.cmp(&b.digits)),
    };
    let sign = |one: &Parts| {
        if one.digits.is_empty() {
            0
        } else {
            1 - 2 * i8::from(one.negative)
        }
    };
    sign(&a).cmp(&sign(&b)).then_with(|| match a.negative {
        true => magnitude(&b, &a),
        false => magnitude(&a, &b),
    })
}

/// Whether a text is a number, as far as comparing it asks.
pub(super) fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|first: char| first.is_ascii_digit())
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
}

fn parts(text: &str) -> Parts {
    let negative = text.starts_with('-');
    let unsigned = text.trim_start_matches(['-', '+']);
    let (number, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    let zeros = all.len() - digits.len();
    let place = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    let power = exponent_of(exponent)
        .saturating_add(place(whole.len()))
        .saturating_sub(place(zeros));
    Parts {
        negative,
        power,
        digits: digits.trim_end_matches('0').to_owned(),
    }
}

/// An exponent, or the furthest there is where it has more digits than can be counted.
fn exponent_of(text: &str) -> i64 {
    let furthest = if text.starts_with('-') {
        i64::MIN / 2
    } else {
        i64::MAX / 2
    };
    text.parse().unwrap_or(furthest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_compared_by_what_they_are_worth() {
        let ascending = [
            "-1e999999999999999999999",
            "-10",
            "-9.99",
            "-0.1",
            "0",
            "1e-400",
            "0.1",
            "1",
            "1.0001",
            "9",
            "10",
            "1e400",
        ];
        for (place, a) in ascending.iter().enumerate() {
            for (other, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), place.cmp(&other), "{a} {b}");
            }
        }
        for (a, b) in [
            ("0.10", "0.1"),
            ("1e2", "100.00"),
            ("-0", "0.000"),
            ("0e9", "0"),
            ("12E-1", "1.2"),
        ] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_are_compared_as_the_machine_does(a in any::<i64>(), b in any::<i64>(), zeros in 0_usize..4) {
            let zeros = "0".repeat(zeros);
            prop_assert_eq!(compare(&format!("{a}.0{zeros}"), &b.to_string()), a.cmp(&b));
        }

        #[test]
        fn numbers_of_the_same_digits_are_compared_by_their_place(digits in 1_i64..100_000, a in -8_i32..8, b in -8_i32..8) {
            prop_assert_eq!(compare(&format!("{digits}e{a}"), &format!("{digits}e{b}")), a.cmp(&b));
        }
    }
}
