//! One tenant with everything compiled: its configuration, mappings, rules and contact policy.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::care::{History, RestReason, Rule, Rules};
use crate::config::{Mode, Source, Tenant};
use crate::consent::Policy;
use crate::crm::{Assertion, RESOURCE_ID, Trust, TrustedIdentifier, View};
use crate::hl7::Charset;
use crate::mapping::Bundle;
use crate::store::{Record, TaskRow, TenantId};

/// Marks the assertions of messages that their sender calls test or debugging (MSH-11 `T`, `D`):
/// whoever they concern is only ever observed.
const TEST_MARK: &str = "#test";

/// A tenant, ready to process its messages.
pub struct Site {
    /// Its number in the store.
    pub tenant: TenantId,
    /// Its configuration.
    pub config: Tenant,
    /// Its rules.
    pub rules: Arc<Rules>,
    /// Its contact policy.
    pub policy: Policy,
    /// What is known of each source, by name.
    pub feeds: HashMap<String, Feed>,
    /// Whether all outreach is stopped: everything is computed, and nothing leaves. The store says
    /// so; this is what it last said.
    pub is_stopped: AtomicBool,
}

/// One source, ready to be read.
pub struct Feed {
    /// Its configuration.
    pub source: Source,
    /// Its mappings.
    pub bundle: Arc<Bundle>,
    /// Which of its identifiers may link.
    pub trust: Trust,
    /// The character set of messages that name none.
    pub charset: Option<Charset>,
}

impl Feed {
    /// Compiles what the configuration says of a source.
    pub fn new(source: &Source, bundle: Arc<Bundle>) -> Self {
        // What an endpoint calls its own resources, it knows best.
        let own = source.endpoint().map(|endpoint| TrustedIdentifier {
            assigner: Some(endpoint.base.clone()),
            kind: Some(RESOURCE_ID.to_owned()),
        });
        let named = source.identifiers.iter();
        let named = named.map(|(assigner, kind)| TrustedIdentifier {
            assigner: assigner.clone(),
            kind: kind.clone(),
        });
        let accept = named.chain(own).collect();
        Self {
            trust: Trust {
                accept,
                default_assigner: source.default_assigner.clone(),
                default_type: source.default_type.clone(),
            },
            charset: source.charset.as_deref().and_then(Charset::parse),
            source: source.clone(),
            bundle,
        }
    }

    /// The name under which assertions of a message are kept. Only `P` (production) and an empty
    /// MSH-11 are the real thing (HL7 table 0103).
    pub fn label(&self, processing_id: &str) -> String {
        match processing_id.trim().chars().next() {
            None | Some('P' | 'p') => self.source.name.clone(),
            Some(_) => format!("{}{TEST_MARK}", self.source.name),
        }
    }
}

impl Site {
    /// The view of a person. What test messages said counts only for people of whom nothing else
    /// is known: a test must not change, or end, what is live.
    pub fn view(&self, assertions: &[Assertion]) -> View {
        let rank = &self.config.source_rank;
        let count = real(assertions).count();
        if count == 0 || count == assertions.len() {
            return View::of(assertions, rank);
        }
        let real: Vec<Assertion> = real(assertions).cloned().collect();
        View::of(&real, rank)
    }

    /// Whether a rule runs here: some do only where the configuration names them.
    pub fn runs(&self, rule: &Rule) -> bool {
        !rule.only_listed || self.config.rule_modes.contains_key(&rule.id)
    }

    /// The mode of a rule's tasks for a person: the strictest of the rule and of every source, with
    /// its location, that told what the rule looks at; *observe* for people of tests, and for all
    /// while outreach is stopped.
    pub fn mode(&self, rule: &Rule, assertions: &[Assertion]) -> Mode {
        if self.is_stopped.load(Ordering::Relaxed) {
            return Mode::Observe;
        }
        let mut labels: Vec<&str> = real(assertions)
            .filter(|assertion| rule.looks_at(&assertion.payload))
            .map(|assertion| assertion.source.as_str())
            .collect();
        if labels.is_empty() {
            labels = real(assertions)
                .map(|assertion| assertion.source.as_str())
                .collect();
        }
        let told = labels.into_iter().map(|label| self.mode_of(label)).min();
        let own = self
            .config
            .rule_modes
            .get(&rule.id)
            .copied()
            .unwrap_or(Mode::Observe);
        told.unwrap_or(Mode::Observe).min(own)
    }

    /// The mode of a person's findings of a rule, by its name; a rule that is gone observes.
    pub fn mode_of_rule(&self, rule: &str, record: &Record) -> Mode {
        let rule = self.rules.get(rule);
        rule.map_or(Mode::Observe, |rule| self.mode(rule, &record.assertions))
    }

    /// The mode that a task has now: that of its leading reason.
    pub fn mode_of_task(&self, task: &TaskRow, record: &Record) -> Mode {
        task.leading().map_or(Mode::Observe, |topic| {
            self.mode_of_rule(&topic.rule, record)
        })
    }

    fn mode_of(&self, source: &str) -> Mode {
        let Some(source) = self.config.source(source) else {
            return Mode::Observe;
        };
        let location = self
            .config
            .locations
            .iter()
            .find(|place| place.name == source.location);
        location
            .map_or(Mode::Observe, |place| place.mode)
            .min(source.mode)
    }

    /// Until when a finding of a rule rests for a reason.
    pub fn rests_until(&self, rule: &str, reason: RestReason, now: Timestamp) -> Timestamp {
        let feedback = &self.config.feedback;
        let own = feedback.rests.get(rule).copied().unwrap_or_default();
        let days = |days: i32| SignedDuration::from_hours(i64::from(days) * 24);
        let lasting = |configured| SignedDuration::try_from(configured).unwrap_or(days(30));
        let rest = match reason {
            RestReason::Scheduled => days(14),
            RestReason::Completed => {
                lasting(own.evidence_within.unwrap_or(feedback.evidence_within))
            }
            RestReason::Declined => lasting(own.decline_rest.unwrap_or(feedback.decline_rest)),
            RestReason::Unreachable => {
                lasting(own.unreachable_rest.unwrap_or(feedback.unreachable_rest))
            }
            RestReason::DoneElsewhere => days(60),
            RestReason::CallBack | RestReason::Expired | RestReason::DeadLettered => days(0),
        };
        now.checked_add(rest).unwrap_or(now)
    }

    /// `<tenant>.<location>.<team>.<priority>`, by the source that last told of the person; no
    /// clinical word is in it.
    pub fn routing_key(&self, assertions: &[Assertion], priority: &str) -> String {
        let latest = real(assertions).max_by_key(|assertion| assertion.event_time);
        let location = latest
            .and_then(|assertion| self.config.source(&assertion.source))
            .map(|source| source.location.as_str())
            .or_else(|| {
                self.config
                    .locations
                    .first()
                    .map(|place| place.name.as_str())
            })
            .unwrap_or("main");
        let team = self.config.team_of(location);
        format!("{}.{location}.{team}.{priority}", self.config.name)
    }
}

/// The assertions that no test message made.
fn real(assertions: &[Assertion]) -> impl Iterator<Item = &Assertion> {
    assertions
        .iter()
        .filter(|assertion| !assertion.source.ends_with(TEST_MARK))
}

impl History for Site {
    /// The earliest day that a feed declares for the concept. A feed that declares nothing has no
    /// past, however long it has been running: nobody said that it carries the concept at all.
    fn covered_since(&self, concept: &str) -> Option<Date> {
        self.feeds
            .values()
            .filter_map(|feed| {
                let declared = &feed.source.history_since;
                declared.get(concept).or_else(|| declared.get("*")).copied()
            })
            .min()
    }
}
