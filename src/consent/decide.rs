//! The one function that decides. The rows of the decision table are asked in their order.

use jiff::Timestamp;

use super::age::birthday;
use super::code::Code;
use super::decision::{Decision, Outcome};
use super::facts::{Ask, Facts, Sent};
use super::policy::Policy;
use super::route::{Pass, Refusal, Route};
use super::window::Place;
use super::words::{Channel, ContentClass, Hold, Purpose};

/// What came out for one channel.
enum Verdict {
    Now(Pass),
    Later {
        at: Timestamp,
        pass: Pass,
        codes: Vec<Code>,
    },
    No {
        refusal: Refusal,
        look_again: Option<Timestamp>,
    },
}

/// May `ask` go out at `now`? The default is no.
///
/// The first channel, in the order of preference, that may be used now is taken; if there is none,
/// the one that may be used first. The answer of a deferral names an instant at which the same
/// facts give an allowance.
pub fn decide(ask: &Ask<'_>, facts: &Facts<'_>, policy: &Policy, now: Timestamp) -> Decision {
    let place = Place::of(facts, policy);
    if ask.cancellation {
        return answer(ask, policy, Outcome::Allow, vec![Code::Cancellation]);
    }
    if let Some(code) = barred(ask, facts, policy, &place, now) {
        return answer(ask, policy, Outcome::Deny, vec![code]);
    }
    let mut later: Option<(Timestamp, Channel, Pass, Vec<Code>)> = None;
    let mut refused: Vec<(Channel, Refusal)> = Vec::new();
    let mut look_again: Option<Timestamp> = None;
    for channel in ask.channels.iter().copied() {
        let route = Route {
            ask,
            facts,
            policy,
            channel,
        };
        match verdict(route, &place, now) {
            Verdict::Now(pass) => return allowed(route, &place, now, pass),
            Verdict::Later { at, pass, codes } => {
                if later.as_ref().is_none_or(|(first, ..)| at < *first) {
                    later = Some((at, channel, pass, codes));
                }
            }
            Verdict::No {
                refusal,
                look_again: again,
            } => {
                look_again = look_again.into_iter().chain(again).min();
                refused.push((channel, refusal));
            }
        }
    }
    if let Some((at, channel, pass, codes)) = later {
        let route = Route {
            ask,
            facts,
            policy,
            channel,
        };
        return deferred(route, &place, at, pass, codes);
    }
    Decision {
        look_again_at: look_again,
        ..denied(ask, policy, &refused)
    }
}

/// Rows 0 to 5, which no channel can change.
fn barred(
    ask: &Ask<'_>,
    facts: &Facts<'_>,
    policy: &Policy,
    place: &Place<'_>,
    now: Timestamp,
) -> Option<Code> {
    let emergency = ask.purpose == Purpose::Etreat;
    let reason = ask
        .emergency_reason
        .is_some_and(|reason| !reason.trim().is_empty());
    if ask.channels.is_empty() || (emergency && !reason) {
        return Some(Code::InputInvalid);
    }
    if place.zones.is_empty() {
        return Some(Code::PolicyUnavailable);
    }
    if facts.deceased {
        return Some(Code::Deceased);
    }
    if facts.merged_away {
        return Some(Code::Merged);
    }
    if !ask.still_needed || ask.task_due <= now {
        return Some(Code::Stale);
    }
    if ask.content == ContentClass::C3 && is_minor(facts, policy, place, now) {
        return Some(Code::MinorConfidential);
    }
    let mut holds = facts.holds.iter();
    holds.next()?;
    let unsafe_only = facts.holds.iter().all(|hold| *hold == Hold::UnsafeContact);
    Some(if unsafe_only {
        Code::UnsafeContact
    } else {
        Code::NoContact
    })
}

/// Row 4, as far as it goes without proxies: of age at midnight where the person is, the latest
/// such midnight that is possible.
fn is_minor(facts: &Facts<'_>, policy: &Policy, place: &Place<'_>, now: Timestamp) -> bool {
    let of_age = facts
        .birth_date
        .and_then(|birth| birthday(birth.latest(), policy.adult_age));
    of_age
        .zip(place.earliest_date(now))
        .is_some_and(|(of_age, today)| today < of_age)
}

fn verdict(route: Route<'_>, place: &Place<'_>, now: Timestamp) -> Verdict {
    let pass = match route.check(now) {
        Ok(pass) => pass,
        Err(refusal) => {
            let asks_consent = matches!(
                refusal.code,
                Code::NoConsent
                    | Code::ConsentDenied
                    | Code::ConsentExpired
                    | Code::ConsentRevoked
                    | Code::SensitiveNoConsent
                    | Code::MarketingNoAuth
            );
            let begins = asks_consent.then(|| route.consent_begins(now)).flatten();
            let look_again = begins.filter(|at| *at < route.ask.task_due);
            return Verdict::No {
                refusal,
                look_again,
            };
        }
    };
    if route.ask.purpose == Purpose::Etreat {
        return Verdict::Now(pass);
    }
    let no = |code| Verdict::No {
        refusal: Refusal {
            code,
            review: false,
            contact: None,
        },
        look_again: None,
    };
    let exemption = route.policy.exemption.as_ref().filter(|_| pass.exempt);
    let caps = exemption.map_or(&[][..], |exemption| exemption.caps.as_slice());
    // What went to others who share a contact point counts where it is that point that is used.
    let counts = |sent: &&Sent| {
        let same = sent.contact.is_some() && sent.contact == pass.contact;
        !sent.shared || (route.policy.caps_per_contact_point && same)
    };
    let sent: Vec<Sent> = route.facts.sent.iter().filter(counts).copied().collect();
    let Some((at, codes)) = place.next_allowed(route.channel, &sent, now, caps) else {
        return no(Code::NoWindow);
    };
    if at == now {
        return Verdict::Now(pass);
    }
    if at >= route.ask.task_due {
        return no(Code::Stale);
    }
    // A consent that ends before contact is permitted is no reason to wait (edge case 7).
    match route.check(at) {
        Ok(pass) => Verdict::Later { at, pass, codes },
        Err(refusal) => Verdict::No {
            refusal,
            look_again: None,
        },
    }
}

fn answer(ask: &Ask<'_>, policy: &Policy, result: Outcome, codes: Vec<Code>) -> Decision {
    let sentences: Vec<&str> = codes.iter().map(|code| code.sentence()).collect();
    Decision {
        result,
        sentence: sentences.join(" "),
        codes,
        channel: None,
        contact_point: None,
        content: ask.content,
        next_allowed_at: None,
        look_again_at: None,
        valid_until: None,
        window: None,
        obligations: Vec::new(),
        consents: Vec::new(),
        policy_version: policy.version().to_owned(),
    }
}

fn allowed(route: Route<'_>, place: &Place<'_>, now: Timestamp, pass: Pass) -> Decision {
    let window = place.window(route.channel, now, route.ask.task_due);
    let result = if pass.obligations.is_empty() {
        Outcome::Allow
    } else {
        Outcome::AllowWithObligations
    };
    // An emergency is not bound by the hours.
    let bound = (route.ask.purpose != Purpose::Etreat).then_some(window.to);
    let valid_until = [bound, pass.until, Some(route.ask.task_due)]
        .into_iter()
        .flatten()
        .min();
    let why = answer(route.ask, route.policy, result, pass.codes);
    let reasons: Vec<&str> = why
        .codes
        .iter()
        .filter(|code| **code != Code::Allowed)
        .map(|code| code.sentence())
        .collect();
    Decision {
        sentence: format!(
            "{} may go out. {}",
            capital(route.channel.plain()),
            reasons.join(" ")
        ),
        channel: Some(route.channel),
        contact_point: pass.contact,
        content: pass.content,
        valid_until,
        window: Some(window),
        obligations: pass.obligations,
        consents: pass.consents,
        ..why
    }
}

fn deferred(
    route: Route<'_>,
    place: &Place<'_>,
    at: Timestamp,
    pass: Pass,
    codes: Vec<Code>,
) -> Decision {
    let why = answer(route.ask, route.policy, Outcome::Defer, codes);
    Decision {
        sentence: format!(
            "{} has to wait. {}",
            capital(route.channel.plain()),
            why.sentence
        ),
        channel: Some(route.channel),
        contact_point: pass.contact,
        content: pass.content,
        next_allowed_at: Some(at),
        window: Some(place.window(route.channel, at, route.ask.task_due)),
        obligations: pass.obligations,
        consents: pass.consents,
        ..why
    }
}

fn denied(ask: &Ask<'_>, policy: &Policy, refused: &[(Channel, Refusal)]) -> Decision {
    let mut codes: Vec<Code> = refused.iter().map(|(_, refusal)| refusal.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let sentences: Vec<String> = codes
        .iter()
        .map(|code| {
            let channels: Vec<&str> = refused
                .iter()
                .filter(|(_, refusal)| refusal.code == *code)
                .map(|(channel, _)| channel.plain())
                .collect();
            format!("{}: {}", capital(&channels.join(", ")), code.sentence())
        })
        .collect();
    let review = refused.iter().find(|(_, refusal)| refusal.review);
    let result = if review.is_some() {
        Outcome::HumanReview
    } else {
        Outcome::Deny
    };
    Decision {
        sentence: sentences.join(" "),
        channel: review.map(|(channel, _)| *channel),
        contact_point: review.and_then(|(_, refusal)| refusal.contact),
        ..answer(ask, policy, result, codes)
    }
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(rest).collect()
    })
}
