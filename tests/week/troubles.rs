//! Troubles of the week: each that was there is told once and once resolved, and none is made up.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::check::Finder;
use crate::history::Stored;
use crate::webhook::Notice;

impl Finder<'_> {
    /// Everything that was told is true, and told once until it is resolved; everything that was taken away
    /// is told.
    pub(crate) fn troubles(&mut self) {
        let mut by_subject: BTreeMap<(&str, &str), Vec<&Notice>> = BTreeMap::new();
        for notice in &self.history.notices {
            let named = (notice.kind.as_str(), notice.subject.as_str());
            by_subject.entry(named).or_default().push(notice);
        }
        for (named, notices) in &by_subject {
            self.in_turn(*named, notices);
            for notice in notices.iter().filter(|notice| notice.is_firing()) {
                self.is_true(notice);
            }
        }
        self.outages();
        self.held(&by_subject);
    }

    /// A trouble is told, resolved, and only then told again.
    fn in_turn(&mut self, (kind, subject): (&str, &str), notices: &[&Notice]) {
        for (place, notice) in notices.iter().enumerate() {
            if notice.is_firing() != (place % 2 == 0) {
                let told = format!("{subject:?} {} out of turn", notice.state);
                self.say("trouble", kind, told);
            }
        }
    }

    /// What was taken away is told once and once resolved.
    fn outages(&mut self) {
        let history = self.history;
        for outage in &history.outages {
            let told = |is_firing: bool| {
                let all = history.notices.iter();
                all.filter(|one| {
                    one.kind == outage.kind
                        && one.subject == outage.subject
                        && one.is_firing() == is_firing
                })
                .count()
            };
            let (firing, resolved) = (told(true), told(false));
            if (firing, resolved) != (1, 1) {
                self.say(
                    "trouble",
                    outage.kind,
                    format!(
                        "{:?} told {firing} times, resolved {resolved} times",
                        outage.subject
                    ),
                );
            }
        }
    }

    /// Whether what was told was so.
    fn is_true(&mut self, notice: &Notice) {
        let history = self.history;
        let so = match notice.kind.as_str() {
            // That a message was held once cannot be read afterwards, only that the source had one.
            "messages-held" => history
                .stored
                .iter()
                .any(|one| one.source == notice.subject && one.received <= notice.at),
            "inbox-lag" => history.stored.iter().any(|one| self.waited(one, notice)),
            "unanswered" => self.went_unanswered(notice),
            _ => history
                .outages
                .iter()
                .any(|one| one.kind == notice.kind && one.subject == notice.subject),
        };
        if !so {
            let told = format!("{:?} told although it was not so", notice.subject);
            self.say("trouble", &notice.kind, told);
        }
    }

    /// Whether a message had waited for too long when it was told so, or had until just before.
    fn waited(&self, one: &Stored, notice: &Notice) -> bool {
        let history = self.history;
        let since = one.received + history.limits.waiting;
        one.source == notice.subject
            && since <= notice.at + history.slack
            && one.finished.is_none_or(|end| end >= self.before(notice.at))
    }

    /// Whether a task of the team had had no answer for too long.
    fn went_unanswered(&self, notice: &Notice) -> bool {
        let history = self.history;
        let teams: BTreeMap<&str, &str> = history
            .tasks
            .iter()
            .filter_map(|task| Some((task["id"].as_str()?, task["routing_key"].as_str()?)))
            .collect();
        let before = self.before(notice.at);
        let mut received = history.crm.received.iter();
        received.any(|one| {
            let ends = |other: &crate::history::Envelope| {
                other.task == one.task && other.is_cancelled() && other.at < before
            };
            let answers = |answer: &crate::history::Answered| {
                answer.task == one.task && answer.version == one.version && answer.at < before
            };
            !one.is_cancelled()
                && one.at + history.limits.unanswered <= notice.at + self.looks()
                && teams.get(one.task.as_str()).is_some_and(|key| {
                    key.rsplit_once('.').map(|(team, _)| team) == Some(notice.subject.as_str())
                })
                && !history.crm.received.iter().any(ends)
                && !history.crm.answered.iter().any(answers)
        })
    }

    /// What is held when the week ends is told and not resolved; what is not held is.
    fn held(&mut self, told: &BTreeMap<(&str, &str), Vec<&Notice>>) {
        let history = self.history;
        let late = self.before(history.ended);
        let mut sources: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
        for one in &history.stored {
            let (is_held, is_fresh) = sources.entry(&one.source).or_default();
            *is_held |= one.state == "held";
            *is_fresh |= one.finished.is_none_or(|end| end > late);
        }
        for (source, (is_held, is_fresh)) in sources {
            let last = told
                .get(&("messages-held", source))
                .and_then(|all| all.last());
            let is_told = last.is_some_and(|notice| notice.is_firing());
            // Nobody has looked yet at what happened last.
            if is_told != is_held && !is_fresh {
                let told = if is_held {
                    "holds messages and nobody is told"
                } else {
                    "holds nothing any more and that is not told"
                };
                self.say("trouble", "messages-held", format!("{source:?} {told}"));
            }
        }
    }

    /// How long the hub may take to notice something and to tell it: it looks every five seconds of the
    /// machine, and a busy one gets six looks. The slack is one second.
    fn looks(&self) -> SignedDuration {
        self.history.slack * 30
    }

    fn before(&self, at: Timestamp) -> Timestamp {
        at - self.looks()
    }
}
