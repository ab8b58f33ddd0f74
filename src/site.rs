//! One tenant with everything compiled: its configuration, mappings, rules and contact policy.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::care::{History, Rules};
use crate::config::{Mode, Source, Tenant};
use crate::consent::Policy;
use crate::crm::{Trust, TrustedIdentifier};
use crate::hl7::Charset;
use crate::mapping::Bundle;
use crate::store::TenantId;

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
    /// The day of its first message; before it the feed has no past.
    pub first_day: Option<Date>,
}

impl Feed {
    /// Compiles what the configuration says of a source.
    pub fn new(source: &Source, bundle: Arc<Bundle>, first: Option<Timestamp>) -> Self {
        let accept = source
            .identifiers
            .iter()
            .map(|(assigner, kind)| TrustedIdentifier {
                assigner: assigner.clone(),
                kind: kind.clone(),
            })
            .collect();
        Self {
            trust: Trust {
                accept,
                default_assigner: source.default_assigner.clone(),
                default_type: source.default_type.clone(),
            },
            charset: source.charset.as_deref().and_then(Charset::parse),
            first_day: first.map(|at| at.to_zoned(source.zone.clone()).date()),
            source: source.clone(),
            bundle,
        }
    }

    /// The name under which assertions of a message are kept.
    pub fn label(&self, processing_id: &str) -> String {
        if matches!(processing_id.chars().next(), Some('T' | 'D')) {
            format!("{}{TEST_MARK}", self.source.name)
        } else {
            self.source.name.clone()
        }
    }
}

impl Site {
    /// The mode of a rule's tasks for a person last heard of by `labels`: the strictest of source,
    /// location and rule, and *observe* where any label is a test's.
    pub fn mode(&self, rule: &str, label: &str, is_test: bool) -> Mode {
        let Some(source) = self.config.source(label) else {
            return Mode::Observe;
        };
        if is_test {
            return Mode::Observe;
        }
        let location = self
            .config
            .locations
            .iter()
            .find(|place| place.name == source.location);
        let location = location.map_or(Mode::Observe, |place| place.mode);
        let rule = self
            .config
            .rule_modes
            .get(rule)
            .copied()
            .unwrap_or(Mode::Observe);
        source.mode.min(location).min(rule)
    }

    /// Whether an assertion's label is a test message's.
    pub fn is_test(label: &str) -> bool {
        label.ends_with(TEST_MARK)
    }

    /// `<tenant>.<location>.<team>.<priority>`; no clinical word is in it.
    pub fn routing_key(&self, label: &str, priority: &str) -> String {
        let location = self
            .config
            .source(label)
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

impl History for Site {
    /// The earliest day that any feed declares for the concept, else the day of its first message.
    fn covered_since(&self, concept: &str) -> Option<Date> {
        self.feeds
            .values()
            .filter_map(|feed| {
                let declared = &feed.source.history_since;
                declared
                    .get(concept)
                    .or_else(|| declared.get("*"))
                    .copied()
                    .or(feed.first_day)
            })
            .min()
    }
}
