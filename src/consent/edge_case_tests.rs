//! The edge cases that the decision must get right, by their numbers in the reference.

use super::*;

#[test]
fn case_1_permit_all_newer_and_deny_sms_older_denies_sms() {
    let mut newer = entry(None, true);
    newer.recorded_at = at("2026-02-01T00:00:00Z");
    let entries = vec![newer, entry(Some(Channel::Sms), false)];
    let case = Case {
        entries,
        ..Case::new(Channel::Sms)
    };
    assert_eq!(case.codes(), ["D14_CONSENT_DENIED"]);
    let live = Case {
        channels: vec![Channel::Sms, Channel::PhoneLive],
        ..case
    };
    assert_eq!(live.decide(at(NOON)).channel, Some(Channel::PhoneLive));
}

#[test]
fn case_2_two_equal_cells_at_the_same_time_one_a_denial_denies() {
    for source in ["desk", "portal"] {
        let mut denial = entry(Some(Channel::Sms), false);
        denial.source = source.to_owned();
        let entries = vec![entry(Some(Channel::Sms), true), denial];
        let case = Case {
            entries,
            ..Case::new(Channel::Sms)
        };
        assert_eq!(case.codes(), ["D14_CONSENT_DENIED"], "{source}");
    }
}

#[test]
fn case_5_a_consent_withdrawn_between_enqueue_and_publish_denies() {
    let mut case = Case::permitted(Channel::Sms);
    case.entries[0].revoked_at = Some(at("2026-03-02T17:05:00Z"));
    let before = case.decide(at("2026-03-02T17:04:59Z"));
    assert!(before.result.is_allowed());
    assert_eq!(before.valid_until, Some(at("2026-03-02T17:05:00Z")));
    let after = case.decide(at("2026-03-02T17:05:00Z"));
    assert_eq!(after.reason_codes(), ["D16_CONSENT_REVOKED"]);
}

#[test]
fn case_7_a_consent_that_ends_before_the_window_opens_denies_and_does_not_defer() {
    let mut case = Case::permitted(Channel::Sms);
    case.entries[0].until = Some(at("2026-03-02T12:00:00Z"));
    let decision = case.decide(at("2026-03-02T11:00:00Z"));
    assert_eq!(decision.result, Outcome::Deny);
    assert_eq!(decision.reason_codes(), ["D15_CONSENT_EXPIRED"]);
}

#[test]
fn case_8_a_consent_that_begins_later_denies_now_and_names_its_beginning() {
    let mut case = Case::permitted(Channel::Sms);
    case.entries[0].from = at("2026-03-05T00:00:00Z");
    let decision = case.decide(at(NOON));
    assert_eq!(decision.reason_codes(), ["D13_NO_CONSENT"]);
    assert_eq!(decision.look_again_at, Some(at("2026-03-05T00:00:00Z")));
    assert!(case.decide(at("2026-03-05T17:00:00Z")).result.is_allowed());
}

#[test]
fn case_11_an_unusable_request_is_denied() {
    let none = Case {
        channels: Vec::new(),
        ..Case::permitted(Channel::Sms)
    };
    assert_eq!(none.codes(), ["D00_INPUT_INVALID"]);
    assert!(Purpose::from_name("TREATMENT").is_none());
    assert!(Hold::from_name("maybe").is_none());
}

#[test]
fn case_12_stop_on_a_shared_number_blocks_that_number_for_both() {
    let stop = OptOut {
        contact: Some(vec![7]),
        channel: None,
        at: at("2026-02-01T00:00:00Z"),
    };
    let case = Case {
        opt_outs: vec![stop],
        ..Case::permitted(Channel::Sms)
    };
    assert_eq!(case.codes(), ["D17_OPTED_OUT"]);
    let mut other = case.clone();
    other
        .points
        .push(point(8, ContactSystem::Phone, Some("mobile")));
    assert_eq!(
        other.decide(at(NOON)).contact_point,
        Some(Uuid::from_u128(8))
    );
}

#[test]
fn case_13_stop_for_text_messages_leaves_calls() {
    let stop = OptOut {
        contact: None,
        channel: Some(Channel::Sms),
        at: at(NOON),
    };
    let case = Case {
        opt_outs: vec![stop],
        ..Case::permitted(Channel::Sms)
    };
    assert_eq!(case.codes(), ["D17_OPTED_OUT"]);
    let call = Case {
        channels: vec![Channel::PhoneLive],
        ..case
    };
    assert!(call.decide(at(NOON)).result.is_allowed());
}

#[test]
fn case_16_death_bars_everything_but_a_cancellation() {
    let case = Case {
        deceased: true,
        ..Case::permitted(Channel::Sms)
    };
    assert_eq!(case.codes(), ["D02_DECEASED"]);
    let policy = Policy::embedded().unwrap_or_else(|problems| panic!("{problems:#?}"));
    let cancel = Ask {
        cancellation: true,
        ..case.ask()
    };
    let decision = decide(&cancel, &case.facts(), &policy, at(NOON));
    assert_eq!(decision.reason_codes(), ["P04_CANCELLATION"]);
    assert_eq!(decision.result, Outcome::Allow);
}

#[test]
fn case_18_after_a_merge_the_denial_of_the_retired_record_binds() {
    let mut denial = entry(Some(Channel::Sms), false);
    denial.source = "other clinic".to_owned();
    denial.recorded_at = at("2025-01-01T00:00:00Z");
    let entries = vec![entry(Some(Channel::Sms), true), denial];
    let case = Case {
        entries,
        ..Case::new(Channel::Sms)
    };
    assert_eq!(case.codes(), ["D14_CONSENT_DENIED"]);
    let facts = Facts {
        merged_away: true,
        ..case.facts()
    };
    let policy = Policy::embedded().unwrap_or_else(|problems| panic!("{problems:#?}"));
    let decision = decide(&case.ask(), &facts, &policy, at(NOON));
    assert_eq!(decision.reason_codes(), ["D03_MERGED"]);
}

#[test]
fn case_20_a_confidential_topic_of_a_minor_is_denied() {
    let mut named = entry(None, true);
    named.content = Some(ContentClass::C3);
    let mut case = Case {
        entries: vec![named],
        ..Case::new(Channel::PhoneLive)
    };
    case.content = ContentClass::C3;
    case.birth = PartialDate::parse("2010-06-01");
    assert_eq!(case.codes(), ["D06_MINOR_CONFIDENTIAL"]);
}

#[test]
fn case_21_of_age_from_local_midnight_on() {
    let mut named = entry(None, true);
    named.content = Some(ContentClass::C3);
    let mut case = Case {
        entries: vec![named],
        ..Case::new(Channel::InPerson)
    };
    case.content = ContentClass::C3;
    case.birth = PartialDate::parse("2008-03-03");
    let before = case.decide(at("2026-03-03T04:59:59Z"));
    assert_eq!(before.reason_codes(), ["D06_MINOR_CONFIDENTIAL"]);
    let after = case.decide(at("2026-03-03T05:00:00Z"));
    assert!(after.result.is_allowed());
    assert_eq!(after.content, ContentClass::C0);
}

#[test]
fn case_28_a_protected_topic_leaves_only_generic_and_only_with_a_consent_that_names_it() {
    let mut case = Case::permitted(Channel::PhoneLive);
    case.content = ContentClass::C3;
    assert_eq!(case.codes(), ["D10_SENSITIVE_NO_CONSENT"]);
    case.entries[0].content = Some(ContentClass::C3);
    let decision = case.decide(at(NOON));
    assert_eq!(decision.content, ContentClass::C0);
    assert!(decision.obligations.contains(&Obligation::GenericWording));
    case.channels = vec![Channel::Portal];
    case.points = vec![point(9, ContactSystem::Url, None)];
    assert_eq!(case.codes(), ["D10_SENSITIVE_NO_CONSENT"]);
}

#[test]
fn case_29_without_a_text_in_the_language_a_person_finds_another_way() {
    let mut case = Case::permitted(Channel::Sms);
    case.language = Some("ht".to_owned());
    case.templates = vec!["en".to_owned(), "es-US".to_owned()];
    let decision = case.decide(at(NOON));
    assert_eq!(decision.result, Outcome::HumanReview);
    assert_eq!(decision.reason_codes(), ["D21_LANGUAGE_UNAVAILABLE"]);
    case.channels = vec![Channel::Sms, Channel::PhoneLive];
    let call = case.decide(at(NOON));
    assert_eq!(call.channel, Some(Channel::PhoneLive));
    assert!(call.obligations.contains(&Obligation::UseInterpreter));
}

#[test]
fn case_30_in_an_emergency_a_person_may_call_and_a_stopped_machine_may_not() {
    let mut case = Case::new(Channel::Sms);
    case.purpose = Purpose::Etreat;
    assert_eq!(case.codes(), ["D00_INPUT_INVALID"]);
    case.emergency = Some("found unconscious at home".to_owned());
    case.opt_outs = vec![OptOut {
        contact: Some(vec![7]),
        channel: None,
        at: at(NOON),
    }];
    assert_eq!(case.codes(), ["D17_OPTED_OUT"]);
    case.channels = vec![Channel::Sms, Channel::PhoneLive];
    let night = case.decide(at("2026-03-02T08:00:00Z"));
    assert_eq!(
        night.reason_codes(),
        ["P90_EMERGENCY_OVERRIDE", "P00_ALLOWED"]
    );
    assert_eq!(night.channel, Some(Channel::PhoneLive));
    case.deceased = true;
    assert_eq!(case.codes(), ["D02_DECEASED"]);
}
