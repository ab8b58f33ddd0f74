//! Tests of the hours, the zones and the caps.

use super::*;

#[test]
fn case_23_new_york_number_and_arizona_address_take_the_strictest_hours() {
    let mut case = Case::permitted(Channel::PhoneLive);
    case.zone = Some(TimeZone::get("America/Phoenix").unwrap());
    case.states = vec!["AZ".to_owned(), "NY".to_owned()];
    // In July Arizona is three hours behind New York: 8:00 there, and 21:00 here.
    case.due = at("2026-08-30T00:00:00Z");
    let decision = case.decide(at("2026-07-01T12:00:00Z"));
    assert_eq!(decision.next_allowed_at, Some(at("2026-07-01T15:00:00Z")));
    let window = decision.window.unwrap();
    assert_eq!(window.to, at("2026-07-02T01:00:00Z"));
    assert_eq!(window.zone, "UTC");
}

#[test]
fn case_24_eight_o_clock_is_allowed_and_nine_in_the_evening_is_not() {
    let case = Case::permitted(Channel::Sms);
    assert_eq!(
        case.decide(at("2026-03-02T12:59:59.999999Z")).result,
        Outcome::Defer
    );
    assert!(case.decide(at("2026-03-02T13:00:00Z")).result.is_allowed());
    assert!(
        case.decide(at("2026-03-03T01:59:59.999999Z"))
            .result
            .is_allowed()
    );
    let late = case.decide(at("2026-03-03T02:00:00Z"));
    assert_eq!(late.result, Outcome::Defer);
    assert_eq!(late.reason_codes(), ["T02_QUIET_HOURS"]);
    assert_eq!(late.next_allowed_at, Some(at("2026-03-03T13:00:00Z")));
}

#[test]
fn case_24_the_hours_follow_the_clock_through_its_changes() {
    let mut case = Case::permitted(Channel::Sms);
    case.due = at("2026-12-30T00:00:00Z");
    // Clocks go forward on 8 March and back on 1 November.
    for (asked, next) in [
        ("2026-03-08T06:30:00Z", "2026-03-08T12:00:00Z"),
        ("2026-11-01T05:30:00Z", "2026-11-01T13:00:00Z"),
    ] {
        assert_eq!(
            case.decide(at(asked)).next_allowed_at,
            Some(at(next)),
            "{asked}"
        );
    }
}

#[test]
fn case_25_an_unknown_zone_takes_what_is_permitted_everywhere() {
    let mut case = Case::permitted(Channel::PhoneLive);
    case.zone = None;
    case.states = Vec::new();
    // 9:00 in the Aleutians and Hawaii at the latest, 18:00 in Rhode Island at the earliest.
    let decision = case.decide(at("2026-03-02T17:00:00Z"));
    assert_eq!(decision.next_allowed_at, Some(at("2026-03-02T19:00:00Z")));
    assert_eq!(decision.window.unwrap().to, at("2026-03-02T23:00:00Z"));
}

#[test]
fn a_state_with_two_zones_takes_both_until_the_zone_is_known() {
    let mut case = Case::permitted(Channel::Sms);
    case.states = vec!["fl".to_owned()];
    case.zone = None;
    let both = case.decide(at(NOON)).window.unwrap();
    assert_eq!(
        (both.from, both.to),
        (at("2026-03-02T14:00:00Z"), at("2026-03-03T01:00:00Z"))
    );
    case.zone = Some(TimeZone::get("America/New_York").unwrap());
    let one = case.decide(at(NOON)).window.unwrap();
    assert_eq!(
        (one.from, one.to),
        (at("2026-03-02T13:00:00Z"), at("2026-03-03T01:00:00Z"))
    );
}

#[test]
fn on_a_sunday_in_texas_nobody_is_contacted_before_noon() {
    let mut case = Case::permitted(Channel::Sms);
    case.states = vec!["TX".to_owned()];
    case.zone = Some(TimeZone::get("America/Chicago").unwrap());
    let decision = case.decide(at("2026-03-01T15:00:00Z"));
    assert_eq!(decision.next_allowed_at, Some(at("2026-03-01T18:00:00Z")));
}

#[test]
fn case_26_one_a_day_and_three_in_seven_days_over_all_automated_channels() {
    let sent = |time: &str, channel| Sent {
        at: at(time),
        channel,
        contact: None,
        shared: false,
    };
    let mut case = Case::permitted(Channel::Sms);
    case.sent = vec![sent("2026-03-02T14:00:00Z", Channel::Email)];
    let day = case.decide(at(NOON));
    assert_eq!(day.reason_codes(), ["T01_FREQ_CAP", "T02_QUIET_HOURS"]);
    assert_eq!(day.next_allowed_at, Some(at("2026-03-03T13:00:00Z")));
    case.sent = vec![
        sent("2026-02-24T20:00:00Z", Channel::Sms),
        sent("2026-02-26T20:00:00Z", Channel::PhoneAuto),
        sent("2026-02-28T20:00:00Z", Channel::Sms),
    ];
    let week = case.decide(at(NOON));
    assert_eq!(week.reason_codes(), ["T01_FREQ_CAP"]);
    assert_eq!(week.next_allowed_at, Some(at("2026-03-03T20:00:00Z")));
    case.channels = vec![Channel::Sms, Channel::PhoneLive];
    assert_eq!(case.decide(at(NOON)).channel, Some(Channel::PhoneLive));
}

#[test]
fn a_task_past_its_due_date_or_due_before_the_window_is_stale() {
    let mut case = Case::permitted(Channel::Sms);
    case.due = at("2026-03-02T12:30:00Z");
    let night = case.decide(at("2026-03-02T11:00:00Z"));
    assert_eq!(night.reason_codes(), ["D04_STALE"]);
    assert_eq!(case.codes(), ["D04_STALE"]);
}

#[test]
fn an_entry_holds_from_its_first_instant_to_before_its_last() {
    let mut case = Case::permitted(Channel::InPerson);
    case.entries[0].until = Some(at(NOON));
    let before = at(NOON)
        .checked_sub(SignedDuration::from_micros(1))
        .unwrap();
    assert!(case.decide(before).result.is_allowed());
    assert_eq!(case.codes(), ["D15_CONSENT_EXPIRED"]);
}
