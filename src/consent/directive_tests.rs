//! Tests of what directives told by messages amount to.

use super::*;
use crate::crm::{
    About, ConsentChange, ConsentMode, ConsentStatus, Consenter, Directive, DirectiveKind, Limits,
    Moment, Reach, Ruling,
};

const SOURCE: &str = "adt";

/// An active, fully understood consent of an adult to text messages.
fn texts() -> ConsentChange {
    ConsentChange {
        kind: DirectiveKind::Document,
        reference: Some("h1".to_owned()),
        status: ConsentStatus::Active,
        about: Some(About::Contact),
        decision: Some(Ruling::Permit),
        reach: Some(Reach::Sms),
        purpose: None,
        content: Some(ContentClass::C1),
        mode: Some(ConsentMode::Written),
        consenter: Some(Consenter::Own),
        competent: Some(true),
        limits: None,
        from: Moment::parse("2026-01-01"),
        until: Moment::parse("2026-03-20"),
        decided_at: Moment::parse("2026-01-01"),
    }
}

fn publicity(reach: Reach) -> ConsentChange {
    ConsentChange {
        kind: DirectiveKind::Publicity,
        decision: Some(Ruling::Deny),
        reach: Some(reach),
        content: None,
        mode: None,
        consenter: None,
        competent: None,
        from: None,
        until: None,
        decided_at: None,
        ..texts()
    }
}

fn told(said: ConsentChange) -> Directive {
    Directive {
        person: Uuid::from_u128(1),
        source: SOURCE.to_owned(),
        message: Uuid::from_u128(42),
        told_at: at("2026-02-01T00:00:00Z"),
        said,
    }
}

fn read_as(directives: &[Directive], verified: bool, born: Option<&str>) -> Vec<Reading> {
    let policy = Policy::embedded().unwrap_or_else(|problems| panic!("{problems:#?}"));
    let zone = TimeZone::get("America/New_York").unwrap();
    let reader = Reader {
        zone: &zone,
        policy: &policy,
        birth_date: born.and_then(PartialDate::parse),
    };
    directives
        .iter()
        .map(|directive| reader.read(directive, verified))
        .collect()
}

fn standing(said: ConsentChange) -> Standing {
    read_as(&[told(said)], true, Some("1980-01-02"))[0].standing
}

/// The decision about a text message at `now` with nothing but these directives.
fn codes(directives: &[Directive], channel: Channel, now: &str) -> Vec<&'static str> {
    let readings = read_as(directives, true, Some("1980-01-02"));
    let case = Case {
        entries: readings
            .into_iter()
            .flat_map(|reading| reading.entries)
            .collect(),
        ..Case::new(channel)
    };
    case.decide(at(now)).reason_codes()
}

#[test]
fn an_active_and_fully_understood_consent_permits_what_it_names_within_its_period() {
    assert_eq!(standing(texts()), Standing::Permits);
    let given = [told(texts())];
    assert_eq!(
        codes(&given, Channel::Sms, NOON),
        ["P00_ALLOWED", "P01_EXPLICIT_CONSENT"]
    );
    assert_eq!(codes(&given, Channel::PhoneLive, NOON), ["D13_NO_CONSENT"]);
    assert_eq!(
        codes(&given, Channel::Sms, "2025-12-31T18:00:00Z"),
        ["D13_NO_CONSENT"]
    );
    // The day that is its end is not part of it.
    assert_eq!(
        codes(&given, Channel::Sms, "2026-03-20T17:00:00Z"),
        ["D15_CONSENT_EXPIRED"]
    );
}

/// What falls short of a permission, each with how it is read.
fn less() -> Vec<(ConsentChange, Standing)> {
    let mut all = not_in_force();
    all.extend(not_understood());
    all
}

fn not_in_force() -> Vec<(ConsentChange, Standing)> {
    vec![
        (
            ConsentChange {
                status: ConsentStatus::Bypassed,
                ..texts()
            },
            Standing::NotInForce,
        ),
        (
            ConsentChange {
                status: ConsentStatus::Pending,
                ..texts()
            },
            Standing::NotInForce,
        ),
        (
            ConsentChange {
                status: ConsentStatus::Limited,
                ..texts()
            },
            Standing::LimitsUnread,
        ),
        (
            ConsentChange {
                limits: Some(Limits::Unread),
                ..texts()
            },
            Standing::LimitsUnread,
        ),
        (
            ConsentChange {
                competent: Some(false),
                ..texts()
            },
            Standing::NotCompetent,
        ),
        (
            ConsentChange {
                consenter: Some(Consenter::Other),
                ..texts()
            },
            Standing::NoAuthority,
        ),
    ]
}

fn not_understood() -> Vec<(ConsentChange, Standing)> {
    vec![
        (
            ConsentChange {
                consenter: Some(Consenter::Representative),
                ..texts()
            },
            Standing::NoAuthority,
        ),
        (
            ConsentChange {
                about: None,
                ..texts()
            },
            Standing::Unread,
        ),
        (
            ConsentChange {
                decision: None,
                ..texts()
            },
            Standing::Unread,
        ),
        (
            ConsentChange {
                status: ConsentStatus::Unknown,
                ..texts()
            },
            Standing::Unread,
        ),
        (
            ConsentChange {
                about: Some(About::Other),
                ..texts()
            },
            Standing::OtherMatter,
        ),
        (
            ConsentChange {
                about: Some(About::Sharing),
                ..texts()
            },
            Standing::OtherMatter,
        ),
        (
            ConsentChange {
                status: ConsentStatus::Deleted,
                ..texts()
            },
            Standing::Deleted,
        ),
    ]
}

#[test]
fn nothing_less_than_active_and_understood_permits() {
    for (said, expected) in less() {
        let directive = told(said);
        let reading = &read_as(&[directive], true, Some("1980-01-02"))[0];
        assert_eq!(reading.standing, expected);
        assert!(
            reading.entries.iter().all(|entry| !entry.permit),
            "{expected:?}"
        );
    }
    let unverified = &read_as(&[told(texts())], false, None)[0];
    assert_eq!(unverified.standing, Standing::NotVerified);
    assert!(unverified.entries.is_empty());
}

#[test]
fn limits_that_a_table_knows_permit_what_they_leave() {
    let said = ConsentChange {
        status: ConsentStatus::Limited,
        limits: Some(Limits::Read),
        reach: Some(Reach::Voice),
        ..texts()
    };
    assert_eq!(standing(said.clone()), Standing::Permits);
    let given = [told(said)];
    assert_eq!(codes(&given, Channel::Sms, NOON), ["D13_NO_CONSENT"]);
    assert_eq!(
        codes(&given, Channel::PhoneLive, NOON),
        ["P00_ALLOWED", "P01_EXPLICIT_CONSENT"]
    );
}

#[test]
fn refused_and_taken_back_deny_also_where_the_mapping_is_not_verified() {
    for (status, code) in [
        (ConsentStatus::Refused, "D14_CONSENT_DENIED"),
        (ConsentStatus::Rescinded, "D16_CONSENT_REVOKED"),
    ] {
        let said = ConsentChange {
            status,
            until: None,
            ..texts()
        };
        assert_eq!(codes(&[told(said.clone())], Channel::Sms, NOON), [code]);
        let unverified = read_as(&[told(said)], false, None);
        assert_eq!(unverified[0].entries.len(), 1);
    }
}

#[test]
fn a_denial_of_one_kind_is_not_outdone_by_a_newer_permission_of_another() {
    let mut permit = told(ConsentChange {
        reach: None,
        content: None,
        ..texts()
    });
    permit.told_at = at("2026-02-20T00:00:00Z");
    let none = told(publicity(Reach::Any));
    assert_eq!(
        codes(&[permit, none], Channel::Sms, NOON),
        ["D14_CONSENT_DENIED"]
    );
}

#[test]
fn the_newest_form_of_a_source_stands_in_its_cell() {
    let refusal = |day: &str, reference: &str| {
        let mut directive = told(ConsentChange {
            status: ConsentStatus::Refused,
            reference: Some(reference.to_owned()),
            decided_at: Moment::parse(day),
            from: None,
            until: None,
            ..texts()
        });
        directive.told_at = at("2026-03-01T00:00:00Z");
        directive
    };
    let mut permit = refusal("2026-02-10", "h2");
    permit.said.status = ConsentStatus::Active;
    let allowed = ["P00_ALLOWED", "P01_EXPLICIT_CONSENT"];
    assert_eq!(
        codes(
            &[refusal("2026-02-01", "h1"), permit.clone()],
            Channel::Sms,
            NOON
        ),
        allowed
    );
    assert_eq!(
        codes(&[refusal("2026-02-20", "h3"), permit], Channel::Sms, NOON),
        ["D14_CONSENT_DENIED"]
    );
}

#[test]
fn no_calls_leaves_letters_and_any_method_forbids_nothing() {
    let no_calls = [told(publicity(Reach::Phone))];
    assert_eq!(codes(&no_calls, Channel::Sms, NOON), ["D14_CONSENT_DENIED"]);
    assert_eq!(
        codes(&no_calls, Channel::PhoneLive, NOON),
        ["D14_CONSENT_DENIED"]
    );
    assert_eq!(codes(&no_calls, Channel::Postal, NOON), ["D13_NO_CONSENT"]);
    assert_eq!(standing(publicity(Reach::None)), Standing::NothingDenied);
    let taken_back = ConsentChange {
        status: ConsentStatus::Rescinded,
        ..publicity(Reach::Any)
    };
    assert_eq!(standing(taken_back), Standing::Lifted);
}

#[test]
fn no_sharing_stops_machines_and_leaves_people() {
    let protected = ConsentChange {
        kind: DirectiveKind::Protection,
        about: Some(About::Sharing),
        ..publicity(Reach::Any)
    };
    let readings = read_as(&[told(protected)], true, None);
    assert_eq!(readings[0].standing, Standing::Shields);
    let mut case = Case::permitted(Channel::Sms);
    case.entries
        .extend(readings.into_iter().flat_map(|reading| reading.entries));
    assert_eq!(case.codes(), ["D14_CONSENT_DENIED"]);
    case.channels = vec![Channel::PhoneLive];
    assert!(case.decide(at(NOON)).result.is_allowed());
}

#[test]
fn what_a_parent_permits_ends_when_the_child_comes_of_age() {
    let said = ConsentChange {
        consenter: Some(Consenter::Representative),
        until: None,
        ..texts()
    };
    let reading = &read_as(&[told(said.clone())], true, Some("2008-06-01"))[0];
    assert_eq!(reading.standing, Standing::Permits);
    // Midnight in New York on the eighteenth birthday.
    assert_eq!(reading.entries[0].until, Some(at("2026-06-01T04:00:00Z")));
    let own = &read_as(&[told(texts())], true, Some("2008-06-01"))[0];
    assert_eq!(own.standing, Standing::NoAuthority);
    let guardian = ConsentChange {
        competent: Some(false),
        ..said
    };
    assert_eq!(standing(guardian), Standing::Permits);
}

#[test]
fn a_denial_that_begins_later_waits_and_one_that_ends_on_a_day_holds_that_day() {
    let said = ConsentChange {
        from: Moment::parse("2026-03-05"),
        until: Moment::parse("2026-03-06"),
        ..publicity(Reach::Any)
    };
    let entry = &read_as(&[told(said)], true, None)[0].entries[0];
    assert_eq!(entry.from, at("2026-03-05T05:00:00Z"));
    assert_eq!(entry.until, Some(at("2026-03-07T05:00:00Z")));
}
