//! Properties that hold for any facts.

use proptest::option::of as maybe;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Seconds after this instant, within three weeks.
fn instant() -> impl Strategy<Value = Timestamp> {
    let base = at("2026-03-01T00:00:00Z").as_second();
    (0_i64..21 * 86_400).prop_map(move |after| Timestamp::from_second(base + after).unwrap())
}

/// Mostly those with caps, hours and contact points.
fn channel() -> impl Strategy<Value = Channel> {
    prop_oneof![3 => select(&[Channel::PhoneLive, Channel::Sms][..]), 1 => select(Channel::ALL)]
}

fn purpose() -> impl Strategy<Value = Purpose> {
    prop_oneof![4 => Just(Purpose::Treat), 1 => select(Purpose::ALL)]
}

type Dimensions = (Option<Channel>, Option<Purpose>, Option<ContentClass>);
type Times = (Timestamp, Option<Timestamp>, Timestamp, Option<Timestamp>);
/// Only what can be shown may be generated, so an entry is made from its parts.
type Parts = (Dimensions, bool, Times, &'static str, u128);

fn parts() -> impl Strategy<Value = Vec<Parts>> {
    let dimensions = (
        maybe(channel()),
        maybe(purpose()),
        maybe(select(ContentClass::ALL)),
    );
    let rarely = || proptest::option::weighted(0.2, instant());
    let early = prop_oneof![2 => Just(at("2026-01-01T00:00:00Z")), 1 => instant()];
    let times = (early, rarely(), instant(), rarely());
    let permits = proptest::bool::weighted(0.75);
    let source = select(vec!["desk", "portal"]);
    let one = (dimensions, permits, times, source, 1..9_u128);
    prop::collection::vec(one, 0..7)
}

fn built(parts: Vec<Parts>) -> Vec<Entry> {
    let build = |((channel, purpose, content), permit, times, source, id): Parts| Entry {
        id: Uuid::from_u128(id),
        channel,
        purpose,
        content,
        permit,
        from: times.0,
        until: times.1,
        recorded_at: times.2,
        revoked_at: times.3,
        method: "written-authorization".to_owned(),
        source: source.to_owned(),
    };
    parts.into_iter().map(build).collect()
}

fn case() -> impl Strategy<Value = (Case, Timestamp)> {
    let opt_out = (
        maybe(select(vec![vec![7_u8], vec![9]])),
        maybe(select(Channel::ALL)),
    );
    let place = (
        select(vec![
            None,
            Some("America/New_York"),
            Some("America/Phoenix"),
        ]),
        prop::collection::vec(select(vec!["NY", "AZ", "TX", "FL", "??"]), 0..3),
    );
    let ask = (
        prop::collection::vec(channel(), 1..4),
        purpose(),
        prop_oneof![3 => Just(ContentClass::C1), 1 => select(ContentClass::ALL)],
        instant().prop_map(|due| due.checked_add(SignedDuration::from_hours(240)).unwrap()),
        any::<bool>(),
    );
    let lists = (
        parts(),
        prop::collection::vec(opt_out, 0..2),
        prop::collection::vec((instant(), channel()), 0..8),
    );
    (lists, place, ask, instant()).prop_map(|((entries, stops, sent), place, ask, now)| {
        let (channels, purpose, content, due, implied) = ask;
        let stop = |(contact, channel)| OptOut {
            contact,
            channel,
            at: at(NOON),
        };
        let send = |(at, channel)| Sent {
            at,
            channel,
            contact: None,
            shared: false,
        };
        let case = Case {
            entries: built(entries),
            opt_outs: stops.into_iter().map(stop).collect(),
            sent: sent.into_iter().map(send).collect(),
            points: vec![
                point(7, ContactSystem::Phone, Some("mobile")),
                point(8, ContactSystem::Email, None),
                point(9, ContactSystem::Url, None),
            ],
            zone: place.0.map(|name| TimeZone::get(name).unwrap()),
            states: place.1.into_iter().map(ToOwned::to_owned).collect(),
            channels,
            purpose,
            content,
            due,
            implied,
            ..Case::new(Channel::Sms)
        };
        (case, now)
    })
}

/// A failing case is shown with what tells it apart; the people are invented.
impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ask = (
            &self.channels,
            self.purpose,
            self.content,
            self.due,
            self.implied,
        );
        writeln!(
            f,
            "{ask:?} {:?} {:?}",
            self.states,
            self.zone.as_ref().map(TimeZone::iana_name)
        )?;
        for e in &self.entries {
            let times = (e.from, e.until, e.recorded_at, e.revoked_at);
            let cell = (e.channel, e.purpose, e.content);
            writeln!(f, "{} {} {} {cell:?} {times:?}", e.permit, e.source, e.id)?;
        }
        for out in &self.opt_outs {
            writeln!(f, "stop {:?} {:?}", out.contact, out.channel)?;
        }
        self.sent
            .iter()
            .try_for_each(|sent| writeln!(f, "sent {} {:?}", sent.at, sent.channel))
    }
}

fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Allow | Outcome::AllowWithObligations => 2,
        Outcome::Defer => 1,
        Outcome::Deny | Outcome::HumanReview => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_contacted_after_death_or_under_a_hold((case, now) in case()) {
        let dead = Case { deceased: true, ..case.clone() };
        prop_assert!(!dead.decide(now).result.is_allowed());
        let held = Case { holds: vec![Hold::RestrictionNotRead], ..case };
        prop_assert!(!held.decide(now).result.is_allowed());
    }

    #[test]
    fn nobody_is_contacted_without_an_entry_where_the_site_implies_nothing((case, now) in case()) {
        let bare = Case { entries: Vec::new(), implied: false, ..case };
        prop_assert_eq!(bare.decide(now).result, Outcome::Deny);
    }

    #[test]
    fn an_opt_out_of_everything_binds_everything((case, now) in case()) {
        let mut stopped = case;
        stopped.opt_outs.push(OptOut { contact: None, channel: None, at: now });
        prop_assert!(!stopped.decide(now).result.is_allowed());
    }

    #[test]
    fn an_allowance_names_consents_that_permit_now((case, now) in case()) {
        let decision = case.decide(now);
        if decision.result.is_allowed() && !decision.codes.contains(&Code::TreatmentContact) {
            prop_assert_eq!(decision.consents.len(), 1);
            let rests_on = case.entries.iter().any(|entry| {
                decision.consents.contains(&entry.id)
                    && entry.permit
                    && entry.from <= now
                    && entry.until.is_none_or(|until| now < until)
                    && entry.revoked_at.is_none_or(|revoked| now < revoked)
            });
            prop_assert!(rests_on);
        }
    }

    #[test]
    fn a_denial_of_the_same_cell_overrides((case, now) in case(), source in "[a-z]{3}") {
        let decision = case.decide(now);
        let mut denied = case.clone();
        for entry in case.entries.iter().filter(|entry| entry.permit) {
            denied.entries.push(Entry {
                permit: false,
                // A denial reaches up, so that of the lowest class covers what the permission did.
                content: entry.content.map(|_| ContentClass::C0),
                from: Timestamp::MIN,
                until: None,
                revoked_at: None,
                source: source.clone(),
                ..entry.clone()
            });
        }
        if decision.codes.contains(&Code::ExplicitConsent) {
            prop_assert!(!denied.decide(now).codes.contains(&Code::ExplicitConsent));
        }
    }

    #[test]
    fn what_is_deferred_is_allowed_at_the_named_instant_and_not_before(
        (case, now) in case(), share in 0.0..1.0_f64,
    ) {
        let decision = case.decide(now);
        prop_assert_eq!(decision.next_allowed_at.is_some(), decision.result == Outcome::Defer);
        if let Some(next) = decision.next_allowed_at {
            prop_assert!(next > now && next < case.due);
            prop_assert!(case.decide(next).result.is_allowed());
            let codes = &decision.codes;
            prop_assert!(codes.iter().all(|code| code.name().starts_with('T')));
            let single = Case { channels: vec![decision.channel.unwrap()], ..case };
            let between = now.checked_add(next.duration_since(now).mul_f64(share)).unwrap();
            prop_assert!(between >= next || !single.decide(between).result.is_allowed());
        } else {
            prop_assert!(decision.codes.iter().all(|code| !code.name().starts_with('T')));
        }
    }

    #[test]
    fn an_allowance_holds_until_the_instant_it_names((case, now) in case(), share in 0.0..1.0_f64) {
        let decision = case.decide(now);
        if decision.result.is_allowed() {
            let until = decision.valid_until.unwrap();
            prop_assert!(now < until && until <= case.due);
            let window = decision.window.unwrap();
            prop_assert!(window.from <= now && now < window.to);
            let single = Case { channels: vec![decision.channel.unwrap()], sent: Vec::new(), ..case };
            let later = now.checked_add(until.duration_since(now).mul_f64(share)).unwrap();
            if later < until {
                prop_assert!(single.decide(later).result.is_allowed());
            }
        }
    }

    #[test]
    fn more_reasons_against_never_permit_more((case, now) in case(), (extra, _) in case()) {
        let before = rank(case.decide(now).result);
        let mut stricter = case.clone();
        stricter.entries.extend(extra.entries.into_iter().map(|entry| Entry {
            permit: false, until: None, revoked_at: None, ..entry
        }));
        stricter.opt_outs.push(OptOut { contact: Some(vec![7]), channel: None, at: now });
        stricter.sent.push(Sent { at: now, channel: Channel::Sms, contact: None, shared: false });
        prop_assert!(rank(stricter.decide(now).result) <= before);
        let explicit = Case { implied: false, ..case };
        prop_assert!(rank(explicit.decide(now).result) <= before);
    }

    #[test]
    fn the_same_question_gets_the_same_answer_in_any_order((case, now) in case()) {
        let mut turned = case.clone();
        turned.opt_outs.reverse();
        turned.sent.reverse();
        turned.states.reverse();
        turned.points.reverse();
        prop_assert!(turned.decide(now) == case.decide(now));
        // Entries of one id may differ here, so only the answer itself is compared.
        turned.entries.reverse();
        prop_assert_eq!(turned.decide(now).result, case.decide(now).result);
    }
}
