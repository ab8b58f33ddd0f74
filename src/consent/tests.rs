//! Tests of the decision: consent, content and contact; the hours and edge cases lie beside it.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::*;
use crate::crm::{ContactSystem, PartialDate};

#[path = "directive_tests.rs"]
mod directives;
#[path = "edge_case_tests.rs"]
mod edge_cases;
#[path = "exemption_tests.rs"]
mod exemption;
#[path = "property_tests.rs"]
mod properties;
#[path = "window_tests.rs"]
mod windows;

/// A Monday, 12:00 in New York.
const NOON: &str = "2026-03-02T17:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn entry(channel: Option<Channel>, permit: bool) -> Entry {
    Entry {
        id: Uuid::from_u128(1),
        channel,
        purpose: None,
        content: None,
        permit,
        from: at("2026-01-01T00:00:00Z"),
        until: None,
        recorded_at: at("2026-01-01T00:00:00Z"),
        revoked_at: None,
        method: "verbal".to_owned(),
        source: "desk".to_owned(),
    }
}

/// A person in New York with a mobile number, and what varies.
#[derive(Clone)]
struct Case {
    entries: Vec<Entry>,
    opt_outs: Vec<OptOut>,
    points: Vec<ContactPoint>,
    sent: Vec<Sent>,
    holds: Vec<Hold>,
    states: Vec<String>,
    templates: Vec<String>,
    zone: Option<TimeZone>,
    channels: Vec<Channel>,
    purpose: Purpose,
    content: ContentClass,
    due: Timestamp,
    deceased: bool,
    birth: Option<PartialDate>,
    language: Option<String>,
    emergency: Option<String>,
    implied: bool,
    appointment: bool,
    exempt: bool,
}

impl Case {
    fn new(channel: Channel) -> Self {
        Self {
            entries: Vec::new(),
            opt_outs: Vec::new(),
            points: vec![point(7, ContactSystem::Phone, Some("mobile"))],
            sent: Vec::new(),
            holds: Vec::new(),
            states: vec!["NY".to_owned()],
            templates: Vec::new(),
            zone: Some(TimeZone::get("America/New_York").unwrap()),
            channels: vec![channel],
            purpose: Purpose::Treat,
            content: ContentClass::C1,
            due: at("2026-03-30T00:00:00Z"),
            deceased: false,
            birth: None,
            language: None,
            emergency: None,
            implied: false,
            appointment: false,
            exempt: false,
        }
    }

    fn permitted(channel: Channel) -> Self {
        Self {
            entries: vec![entry(None, true)],
            ..Self::new(channel)
        }
    }

    fn ask(&self) -> Ask<'_> {
        Ask {
            channels: &self.channels,
            purpose: self.purpose,
            content: self.content,
            task_due: self.due,
            still_needed: true,
            appointment: self.appointment,
            cancellation: false,
            emergency_reason: self.emergency.as_deref(),
        }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            deceased: self.deceased,
            merged_away: false,
            holds: &self.holds,
            entries: &self.entries,
            opt_outs: &self.opt_outs,
            contact_points: &self.points,
            sent: &self.sent,
            zone: self.zone.clone(),
            states: &self.states,
            birth_date: self.birth,
            language: self.language.as_deref(),
            templates: &self.templates,
        }
    }

    fn decide(&self, now: Timestamp) -> Decision {
        let policy = policy(self.exempt);
        let policy = policy.with_implied_treatment_contact(self.implied);
        decide(&self.ask(), &self.facts(), &policy, now)
    }

    fn codes(&self) -> Vec<&'static str> {
        self.decide(at(NOON)).reason_codes()
    }
}

/// The shipped policy, with the exemption for appointments switched on where asked.
fn policy(exempt: bool) -> Policy {
    let shipped = include_str!("../../mappings/care/contact-policy.toml");
    let off = "[appointment_exemption]\npermitted = false";
    assert!(shipped.contains(off));
    let text = if exempt {
        shipped.replace(off, "[appointment_exemption]\npermitted = true")
    } else {
        shipped.to_owned()
    };
    Policy::compile("contact-policy.toml", &text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn point(id: u128, system: ContactSystem, usage: Option<&str>) -> ContactPoint {
    ContactPoint {
        id: Uuid::from_u128(id),
        key: vec![u8::try_from(id).unwrap()],
        system,
        usage: usage.map(ToOwned::to_owned),
        rank: 1,
        ended: false,
    }
}

#[test]
fn the_default_is_no() {
    let decision = Case::new(Channel::Sms).decide(at(NOON));
    assert_eq!(decision.result, Outcome::Deny);
    assert_eq!(decision.reason_codes(), ["D13_NO_CONSENT"]);
    let sentence = "A text message: No consent is on record for this way of contact.";
    assert_eq!(decision.sentence, sentence);
}

#[test]
fn a_recorded_consent_allows_with_the_obligations_of_the_channel() {
    let decision = Case::permitted(Channel::Sms).decide(at(NOON));
    assert_eq!(decision.result, Outcome::AllowWithObligations);
    assert_eq!(
        decision.reason_codes(),
        ["P00_ALLOWED", "P01_EXPLICIT_CONSENT"]
    );
    assert_eq!(decision.consents, [Uuid::from_u128(1)]);
    assert_eq!(decision.contact_point, Some(Uuid::from_u128(7)));
    assert!(decision.obligations.contains(&Obligation::OfferOptOut));
    let window = decision.window.unwrap();
    assert_eq!(
        (window.from, window.to),
        (at("2026-03-02T13:00:00Z"), at("2026-03-03T02:00:00Z"))
    );
    assert_eq!(window.zone, "America/New_York");
    assert_eq!(decision.valid_until, Some(at("2026-03-03T02:00:00Z")));
    assert_eq!(decision.policy_version, "2026-11-22.1");
}

#[test]
fn every_code_that_a_message_may_carry_fits_its_schema() {
    for code in Code::ALL {
        let (head, tail) = code.name().split_once('_').unwrap();
        assert!(
            head.len() == 3 && head.bytes().skip(1).all(|b| b.is_ascii_digit()),
            "{head}"
        );
        assert!((3..=40).contains(&tail.len()));
        assert!(
            tail.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'),
            "{tail}"
        );
        assert_eq!(Code::from_name(code.name()), Some(*code));
    }
}

#[test]
fn the_newest_entry_of_a_source_stands_in_its_cell() {
    let mut newer = entry(Some(Channel::Sms), true);
    newer.recorded_at = at("2026-02-01T00:00:00Z");
    let entries = vec![newer, entry(Some(Channel::Sms), false)];
    assert!(
        Case {
            entries,
            ..Case::new(Channel::Sms)
        }
        .decide(at(NOON))
        .result
        .is_allowed()
    );
}

#[test]
fn implied_treatment_contact_is_off_until_the_site_permits_it() {
    let mut case = Case::new(Channel::PhoneLive);
    case.content = ContentClass::C2;
    assert_eq!(case.codes(), ["D13_NO_CONSENT"]);
    case.implied = true;
    let decision = case.decide(at(NOON));
    assert_eq!(
        decision.reason_codes(),
        ["P02_TREATMENT_CONTACT", "P00_ALLOWED"]
    );
    assert_eq!(decision.content, ContentClass::C0);
    assert!(decision.obligations.contains(&Obligation::GenericWording));
    assert!(decision.consents.is_empty());
    case.content = ContentClass::C1;
    assert_eq!(case.decide(at(NOON)).content, ContentClass::C1);
}

#[test]
fn implied_treatment_contact_ends_at_a_denial_a_withdrawal_and_another_purpose() {
    let implied = Case {
        implied: true,
        ..Case::new(Channel::PhoneLive)
    };
    let denied = Case {
        entries: vec![entry(None, false)],
        ..implied.clone()
    };
    assert_eq!(denied.codes(), ["D14_CONSENT_DENIED"]);
    let mut withdrawn = Case {
        entries: vec![entry(None, true)],
        ..implied.clone()
    };
    withdrawn.entries[0].revoked_at = Some(at("2026-02-01T00:00:00Z"));
    assert_eq!(withdrawn.codes(), ["D16_CONSENT_REVOKED"]);
    let operations = Case {
        purpose: Purpose::Hoperat,
        ..implied.clone()
    };
    assert_eq!(operations.codes(), ["D13_NO_CONSENT"]);
    let text = Case {
        channels: vec![Channel::Sms],
        ..implied
    };
    assert_eq!(text.codes(), ["D13_NO_CONSENT"]);
}

#[test]
fn a_text_message_names_no_test_unless_the_person_asked_for_that() {
    let mut case = Case::permitted(Channel::Sms);
    case.content = ContentClass::C2;
    assert_eq!(case.decide(at(NOON)).result, Outcome::HumanReview);
    assert_eq!(case.codes(), ["D19_CHANNEL_INSECURE"]);
    case.entries[0].channel = Some(Channel::Sms);
    case.entries[0].content = Some(ContentClass::C2);
    assert!(case.decide(at(NOON)).result.is_allowed());
}

#[test]
fn marketing_needs_a_written_authorization_that_names_it() {
    let mut case = Case::permitted(Channel::Sms);
    case.purpose = Purpose::Hmarkt;
    assert_eq!(case.codes(), ["D11_MARKETING_NO_AUTH"]);
    case.entries[0].purpose = Some(Purpose::Hmarkt);
    case.entries[0].channel = Some(Channel::Sms);
    assert_eq!(case.codes(), ["D11_MARKETING_NO_AUTH"]);
    case.entries[0].method = "written-authorization".to_owned();
    assert!(case.decide(at(NOON)).result.is_allowed());
}

#[test]
fn a_restriction_that_nobody_has_read_holds_everything_back() {
    let mut case = Case::permitted(Channel::InPerson);
    case.holds = vec![Hold::RestrictionNotRead];
    assert_eq!(case.codes(), ["D08_NO_CONTACT"]);
    case.holds = vec![Hold::UnsafeContact];
    assert_eq!(case.codes(), ["D09_UNSAFE_CONTACT"]);
}

#[test]
fn without_a_usable_number_nothing_goes_out() {
    let mut case = Case::permitted(Channel::Sms);
    case.points = vec![point(7, ContactSystem::Phone, Some("home"))];
    assert_eq!(case.codes(), ["D18_NO_VALID_CONTACT"]);
    case.channels = vec![Channel::PhoneLive];
    assert!(case.decide(at(NOON)).result.is_allowed());
    case.points[0].ended = true;
    assert_eq!(case.codes(), ["D18_NO_VALID_CONTACT"]);
}

#[test]
fn every_reason_is_told_once_in_the_order_of_the_table() {
    let mut case = Case::permitted(Channel::Sms);
    case.entries.push(entry(Some(Channel::PhoneLive), false));
    case.channels = vec![Channel::Email, Channel::PhoneLive, Channel::Sms];
    case.points.clear();
    let decision = case.decide(at(NOON));
    assert_eq!(
        decision.reason_codes(),
        ["D14_CONSENT_DENIED", "D18_NO_VALID_CONTACT"]
    );
    assert!(
        decision
            .sentence
            .contains("An e-mail, a text message: No usable number")
    );
}

#[test]
fn every_problem_of_a_policy_is_told() {
    let text = include_str!("../../mappings/care/contact-policy.toml")
        .replace("from = \"08:00\" # allowed", "from = \"28:00\" # allowed")
        .replace("at_most = 3", "at_most = 0")
        .replace(
            "AL = [\"America/Chicago\"]",
            "AL = [\"America/Birmingham\"]",
        )
        .replace("horizon_days", "horizon");
    let problems = Policy::compile("site.toml", &text).err().unwrap();
    for place in [
        "quiet_hours.from",
        "cap[1].at_most",
        "zones.state.AL",
        "horizon_days",
        "horizon",
    ] {
        assert!(
            problems.iter().any(|problem| problem.at == place),
            "{place}: {problems:#?}"
        );
    }
}

#[test]
fn a_policy_cannot_imply_consent_to_machines() {
    let text = include_str!("../../mappings/care/contact-policy.toml")
        .replace("\"postal\", \"phone-live\", \"in-person\"]", "\"sms\"]");
    assert!(Policy::compile("site.toml", &text).is_err());
}
