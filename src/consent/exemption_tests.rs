//! Tests of row 8c: confirmations and reminders of appointments without a recorded consent.

use super::*;

/// A reminder by text message to somebody of whom no consent is known, where the policy permits it.
fn reminder() -> Case {
    Case {
        appointment: true,
        exempt: true,
        ..Case::new(Channel::Sms)
    }
}

fn sent(at_text: &str) -> Sent {
    Sent {
        at: at(at_text),
        channel: Channel::Sms,
        contact: None,
        shared: false,
    }
}

#[test]
fn a_reminder_may_be_sent_without_a_consent_where_the_policy_permits_it_and_only_then() {
    assert_eq!(reminder().codes(), ["P03_TCPA_EXEMPT", "P00_ALLOWED"]);
    let decision = reminder().decide(at(NOON));
    for duty in [
        Obligation::IdentifySender,
        Obligation::OfferOptOut,
        Obligation::MaxLength,
    ] {
        assert!(decision.obligations.contains(&duty));
    }
    let off = Case {
        exempt: false,
        ..reminder()
    };
    assert_eq!(off.codes(), ["D13_NO_CONSENT"], "off as shipped");
    let other = Case {
        appointment: false,
        ..reminder()
    };
    assert_eq!(other.codes(), ["D13_NO_CONSENT"], "no other matter");
    let email = Case {
        channels: vec![Channel::Email],
        points: vec![point(8, ContactSystem::Email, None)],
        ..reminder()
    };
    assert_eq!(email.codes(), ["D13_NO_CONSENT"], "no other channel");
}

#[test]
fn the_exemption_never_outdoes_a_denial_an_end_or_a_stop_and_tells_no_more_than_logistics() {
    let with = |entry| Case {
        entries: vec![entry],
        ..reminder()
    };
    assert_eq!(with(entry(None, false)).codes(), ["D14_CONSENT_DENIED"]);
    let mut over = entry(Some(Channel::Sms), true);
    over.until = Some(at("2026-02-01T00:00:00Z"));
    assert_eq!(with(over.clone()).codes(), ["D15_CONSENT_EXPIRED"]);
    over.revoked_at = over.until;
    assert_eq!(with(over).codes(), ["D16_CONSENT_REVOKED"]);
    let stopped = Case {
        opt_outs: vec![OptOut {
            contact: None,
            channel: None,
            at: at("2026-01-01T00:00:00Z"),
        }],
        ..reminder()
    };
    assert_eq!(stopped.codes(), ["D17_OPTED_OUT"]);
    for (content, purpose) in [
        (ContentClass::C2, Purpose::Treat),
        (ContentClass::C1, Purpose::Hoperat),
    ] {
        let case = Case {
            content,
            purpose,
            ..reminder()
        };
        assert_eq!(case.codes(), ["D13_NO_CONSENT"]);
    }
}

#[test]
fn one_a_day_and_three_a_week_bind_the_exemption_even_where_the_policy_has_no_caps() {
    let shipped = include_str!("../../mappings/care/contact-policy.toml");
    let (before, rest) = shipped.split_once("[[cap]]").unwrap();
    let (_caps, after) = rest.split_once("# 47 CFR 64.1200(c)(1)").unwrap();
    let text = format!("{before}#{after}").replace(
        "[appointment_exemption]\npermitted = false",
        "[appointment_exemption]\npermitted = true",
    );
    let policy = Policy::compile("policy", &text).unwrap_or_else(|list| panic!("{list:#?}"));
    let decided = |case: &Case| decide(&case.ask(), &case.facts(), &policy, at(NOON));
    let today = Case {
        sent: vec![sent("2026-03-02T15:00:00Z")],
        ..reminder()
    };
    let decision = decided(&today);
    assert_eq!(decision.result, Outcome::Defer);
    assert!(decision.codes.contains(&Code::FrequencyCap));
    let week = Case {
        sent: vec![
            sent("2026-02-25T15:00:00Z"),
            sent("2026-02-26T15:00:00Z"),
            sent("2026-02-27T15:00:00Z"),
        ],
        ..reminder()
    };
    assert_eq!(
        decided(&week).next_allowed_at,
        Some(at("2026-03-04T15:00:00Z"))
    );
    let consented = Case {
        entries: vec![entry(None, true)],
        ..today
    };
    assert!(
        decided(&consented).result.is_allowed(),
        "only the exemption is bound"
    );
}

#[test]
fn its_caps_cannot_be_widened_nor_its_content() {
    let shipped = include_str!("../../mappings/care/contact-policy.toml");
    for (from, to) in [
        ("at_most_a_day = 1", "at_most_a_day = 2"),
        ("at_most_a_week = 3", "at_most_a_week = 4"),
        (
            "content = \"C1\"\nat_most_a_day",
            "content = \"C2\"\nat_most_a_day",
        ),
    ] {
        assert!(shipped.contains(from), "{from}");
        let text = shipped.replace(from, to);
        assert_eq!(
            Policy::compile("policy", &text)
                .err()
                .map(|list| list.len()),
            Some(1)
        );
    }
}
