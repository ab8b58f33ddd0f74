//! The pace of an endpoint, with times that the tests make up.

use proptest::prelude::*;

use super::*;

fn limits(per_second: u32, failures: u32) -> Limits {
    Limits {
        per_second,
        failures,
        ..Limits::default()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn retry_after_is_read_in_both_forms_and_cut() {
    let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    for (text, expected) in [
        ("0", Some(0)),
        ("120", Some(120)),
        (" 7 ", Some(7)),
        ("18000", Some(300)),
        ("99999999999999999999999999", Some(300)),
        ("Sun, 22 Nov 2026 12:00:30 GMT", Some(30)),
        ("Sun, 22 Nov 2026 18:00:00 GMT", Some(300)),
        ("Sun, 22 Nov 2026 11:00:00 GMT", Some(0)),
        ("soon", None),
        ("-5", None),
        ("", None),
    ] {
        assert_eq!(
            retry_after(text, now),
            expected.map(Duration::from_secs),
            "{text}"
        );
    }
}

#[test]
fn a_wait_is_spread_by_up_to_a_fifth() {
    assert_eq!(spread(SECOND * 10, 0), SECOND * 10);
    assert_eq!(spread(SECOND * 10, 255), SECOND * 12);
    assert_eq!(spread(Duration::ZERO, 255), Duration::ZERO);
}

#[test]
fn an_endpoint_that_fails_in_a_row_is_left_alone_and_then_probed_by_one() {
    let start = Instant::now();
    let mut state = State::of(&limits(100, 3), start);
    for failure in 0..3 {
        assert_eq!(state.ask(start), Ask::Go, "{failure}");
        state.failed(start, start);
    }
    assert!(matches!(state.ask(start), Ask::Down(_)));
    let later = start + SECOND * 10;
    assert_eq!(state.ask(later), Ask::Go);
    assert_eq!(state.ask(later), Ask::Down(SECOND), "one probe is enough");
    // What went before the probe says nothing of it.
    state.failed(start, later);
    assert_eq!(state.ask(later), Ask::Down(SECOND));
    state.failed(later, later);
    assert!(matches!(state.ask(later), Ask::Down(left) if left > SECOND));
    let later = later + SECOND * 450;
    assert_eq!(state.ask(later), Ask::Go);
    state.answered();
    assert_eq!(state.ask(later), Ask::Go);
}

#[test]
fn a_probe_that_nobody_waited_for_is_made_again() {
    let start = Instant::now();
    let mut state = State::of(&limits(100, 1), start);
    assert_eq!(state.ask(start), Ask::Go);
    state.failed(start, start);
    let later = start + SECOND * 10;
    assert_eq!(state.ask(later), Ask::Go);
    state.abandoned(later, later);
    assert_eq!(state.ask(later), Ask::Go);
}

#[test]
fn an_answer_between_failures_begins_the_count_anew() {
    let start = Instant::now();
    let mut state = State::of(&limits(100, 3), start);
    for _ in 0..20 {
        assert_eq!(state.ask(start), Ask::Go);
        state.failed(start, start);
        state.failed(start, start);
        state.answered();
    }
}

#[test]
fn nobody_asks_before_the_endpoint_wants_it() {
    let start = Instant::now();
    let mut state = State::of(&limits(100, 3), start);
    state.pause(start + SECOND * 5);
    state.pause(start + SECOND * 2);
    assert_eq!(state.ask(start), Ask::Later(start + SECOND * 5));
    assert_eq!(state.ask(start + SECOND * 5), Ask::Go);
}

proptest! {
    #[test]
    fn no_stretch_of_time_has_more_requests_than_its_rate_and_one_burst(
        per_second in 1u32..50,
        steps in prop::collection::vec(0u64..3000, 1..200),
    ) {
        let start = Instant::now();
        let mut state = State::of(&limits(per_second, 3), start);
        let mut now = start;
        let mut went: Vec<Instant> = Vec::new();
        for step in steps {
            now += Duration::from_millis(step / 10);
            match state.ask(now) {
                Ask::Go => went.push(now),
                Ask::Later(at) => prop_assert!(at > now && at - now <= SECOND),
                Ask::Down(_) => prop_assert!(false),
            }
        }
        for (first, begin) in went.iter().enumerate() {
            for (last, end) in went.iter().enumerate().skip(first) {
                let most = f64::from(per_second) * (2.0 + (*end - *begin).as_secs_f64());
                let count = u32::try_from(last - first + 1).unwrap();
                prop_assert!(f64::from(count) <= most + 1.0, "{count} of {most}");
            }
        }
    }

    #[test]
    fn a_wait_is_never_beyond_what_is_obeyed(text in "[0-9A-Za-z:, ]{0,30}", random in any::<u8>()) {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        if let Some(wait) = retry_after(&text, now) {
            prop_assert!(spread(wait, random) <= SECOND * 360);
        }
    }
}
