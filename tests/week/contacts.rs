//! The part of the checker that speaks of contacts: consent, hours and caps, each computed anew.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::check::Finder;
use crate::hours::Policy;

impl Finder<'_> {
    /// Nobody is contacted against consent or at night.
    pub(crate) fn contacts(&mut self, policy: &Policy) {
        let history = self.history;
        let received = history
            .crm
            .received
            .iter()
            .filter(|one| !one.is_cancelled())
            .map(|one| {
                (
                    one.task.as_str(),
                    one.person.as_str(),
                    one.channel.as_str(),
                    one.contact_point.as_str(),
                    one.decided,
                )
            });
        let released = history.crm.released.iter().map(|one| {
            (
                one.task.as_str(),
                one.person.as_str(),
                one.channel.as_str(),
                one.contact_point.as_str(),
                Some(one.at),
            )
        });
        for (task, person, channel, point, at) in received.chain(released) {
            let Some((number, at)) = history.number(person).zip(at) else {
                self.say(
                    "unknown-person",
                    task,
                    "is about nobody who was sent, or names no decision",
                );
                continue;
            };
            let group = history.group(number, at);
            for stop in &history.stops {
                let hits = group.contains(&stop.person)
                    && stop.channel.as_ref().is_none_or(|one| one == channel)
                    && stop.contact_point.as_ref().is_none_or(|one| one == point);
                if hits && at.duration_since(stop.at) > history.slack {
                    self.say(
                        "against-consent",
                        task,
                        format!(
                            "person {number} at {at} by {point}; {} at {}",
                            stop.why, stop.at
                        ),
                    );
                }
            }
            if !policy.is_open(channel, history.states[number], at) {
                self.say(
                    "quiet-hours",
                    task,
                    format!(
                        "person {number} in {} by {channel} at {at}",
                        history.states[number]
                    ),
                );
            }
        }
    }

    /// Caps hold for each person and for each number, over rolling windows.
    pub(crate) fn caps(&mut self, policy: &Policy) {
        let history = self.history;
        let mut contacts: BTreeMap<String, (usize, Vec<(String, Timestamp)>)> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for one in &history.crm.received {
            let Some((number, at)) = history.number(&one.person).zip(one.decided) else {
                continue;
            };
            // At a wrong number nobody was reached who could be asked too often.
            let is_wrong = history.crm.answered.iter().any(|answer| {
                (answer.task.as_str(), answer.version) == (one.task.as_str(), one.version)
                    && answer.outcome == "wrong-number"
            });
            if one.kind != "requested" || is_wrong || !seen.insert(one.id.as_str()) {
                continue;
            }
            let keys = [
                format!("person {number}"),
                format!("phone of {}", history.phones[number]),
            ];
            for key in keys {
                contacts
                    .entry(key)
                    .or_insert((number, Vec::new()))
                    .1
                    .push((one.channel.clone(), at));
            }
        }
        for (key, (number, mut all)) in contacts {
            all.sort_by_key(|(_, at)| *at);
            for (cap, at) in policy.exceeded(history.states[number], &all) {
                self.say("cap", &key, format!("more than {cap} at {at}"));
            }
        }
    }
}
