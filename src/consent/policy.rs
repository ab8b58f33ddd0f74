//! The site's contact policy: hours, caps, obligations and zones, compiled from TOML.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

use crate::crm::ContactSystem;

use super::document::{Diagnostic, Document, Table};
use super::exemption::{self, Exemption};
use super::words::{Channel, ContentClass, Obligation};

const EMBEDDED: (&str, &str) = (
    "contact-policy.toml",
    include_str!("../../mappings/care/contact-policy.toml"),
);

/// What a policy means that does not say how far apart findings may lie that share a task.
const SHARE_WITHIN_DAYS: u32 = 14;

/// A compiled contact policy.
#[derive(Clone)]
pub struct Policy {
    version: String,
    pub(super) horizon_days: u32,
    share_within_days: u32,
    pub(super) adult_age: i16,
    pub(super) marketing_methods: Vec<String>,
    pub(super) implied: Implied,
    pub(super) exemption: Option<Exemption>,
    pub(super) channels: BTreeMap<Channel, ChannelRule>,
    pub(super) caps: Vec<Cap>,
    /// Whether what went to a contact point for somebody else counts, too.
    pub(super) caps_per_contact_point: bool,
    pub(super) quiet_channels: Vec<Channel>,
    pub(super) hours: Vec<Hours>,
    pub(super) everywhere: Vec<TimeZone>,
    pub(super) zones: BTreeMap<String, Vec<TimeZone>>,
}

/// Contact about treatment without a recorded consent.
#[derive(Clone)]
pub(super) struct Implied {
    pub(super) permitted: bool,
    pub(super) channels: Vec<Channel>,
    pub(super) content: ContentClass,
    pub(super) generic_on: Vec<Channel>,
    pub(super) generic_content: ContentClass,
}

/// What a channel takes and may carry.
#[derive(Clone)]
pub(super) struct ChannelRule {
    pub(super) contact: Option<ContactSystem>,
    pub(super) uses: Option<Vec<String>>,
    pub(super) content: ContentClass,
    pub(super) human: bool,
    pub(super) written: bool,
    pub(super) obligations: Vec<Obligation>,
}

/// How often.
#[derive(Clone)]
pub(super) struct Cap {
    pub(super) channels: Vec<Channel>,
    pub(super) per: Period,
    pub(super) at_most: u32,
}

/// A frequency cap, to be told.
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limit {
    /// So many contacts.
    pub at_most: u32,
    /// Within an ISO 8601 duration, rolling; or `local-day`, a calendar day where the person is.
    pub within: String,
}

/// The time over which a cap counts.
#[derive(Clone, Copy)]
pub(super) enum Period {
    /// A calendar day where the person is.
    LocalDay,
    /// That many times 24 hours, rolling.
    Days(u32),
}

/// Permitted hours; several apply together.
#[derive(Clone)]
pub(super) struct Hours {
    /// The states concerned; empty is everywhere.
    pub(super) states: Vec<String>,
    /// The weekdays concerned; empty is every day.
    pub(super) days: Vec<Weekday>,
    /// The first local date on which they apply.
    pub(super) since: Option<Date>,
    pub(super) from: Time,
    pub(super) to: Time,
}

impl Policy {
    /// The policy that ships with careloop.
    pub fn embedded() -> Result<Self, Vec<Diagnostic>> {
        Self::compile(EMBEDDED.0, EMBEDDED.1)
    }

    /// Compiles a policy file, or gives every problem in it.
    pub fn compile(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let document = Document::new(file, text);
        let policy = document.parse().and_then(|parsed| {
            let root = document.root(&parsed);
            let policy = read(&root);
            root.finish();
            policy
        });
        let problems = document.into_problems();
        policy.filter(|_| problems.is_empty()).ok_or(problems)
    }

    /// The same policy with implied treatment contact switched on or off by the site.
    #[must_use]
    pub fn with_implied_treatment_contact(mut self, permitted: bool) -> Self {
        self.implied.permitted = permitted;
        self
    }

    /// How far apart the due dates of findings may lie that share one task; `None` where each finding
    /// has a task of its own.
    pub fn share_within(&self) -> Option<SignedDuration> {
        let days = i64::from(self.share_within_days);
        (days > 0).then(|| SignedDuration::from_hours(24 * days))
    }

    /// How often a channel may be used for one person.
    pub fn limits(&self, channel: Channel) -> Vec<Limit> {
        let caps = self.caps.iter();
        caps.filter(|cap| cap.channels.contains(&channel))
            .map(|cap| Limit {
                at_most: cap.at_most,
                within: match cap.per {
                    Period::LocalDay => "local-day".to_owned(),
                    Period::Days(days) => format!("P{days}D"),
                },
            })
            .collect()
    }

    /// The version, `YYYY-MM-DD.N`.
    pub fn version(&self) -> &str {
        &self.version
    }
}

fn read(root: &Table<'_, '_>) -> Option<Policy> {
    let version = root.need_parsed("version", "a version such as `2026-11-01.1`", version);
    let horizon = root.required(
        "horizon_days",
        "a number of days",
        root.count("horizon_days"),
    );
    let share = root.count("share_within_days");
    let adult = root.required("adult_age", "an age in years", root.count("adult_age"));
    let methods = root.need_list("marketing_methods", "a method", owned);
    let implied = root.need_table("implied_treatment").and_then(implied);
    let exemption = root
        .table("appointment_exemption")
        .and_then(exemption::read);
    let channels = root.need_table("channels").map(channels);
    let caps = root.tables("cap").into_iter().filter_map(cap).collect();
    let caps_per_contact_point = root.flag("caps_per_contact_point").unwrap_or(true);
    let quiet = root.need_table("quiet_hours").and_then(quiet);
    let zones = root.need_table("zones").and_then(zones);
    let (quiet_channels, hours) = quiet?;
    let (everywhere, zones) = zones?;
    Some(Policy {
        version: version?,
        horizon_days: horizon?,
        share_within_days: share.unwrap_or(SHARE_WITHIN_DAYS),
        adult_age: i16::try_from(adult?).ok()?,
        marketing_methods: methods?,
        implied: implied?,
        exemption,
        channels: channels?,
        caps,
        caps_per_contact_point,
        quiet_channels,
        hours,
        everywhere,
        zones,
    })
}

fn version(text: &str) -> Option<String> {
    let (date, number) = text.split_once('.')?;
    let fits = date.parse::<Date>().is_ok() && number.parse::<u32>().is_ok();
    fits.then(|| text.to_owned())
}

fn owned(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(super) fn channel_list(table: &Table<'_, '_>, key: &str) -> Option<Vec<Channel>> {
    table.need_list(
        key,
        &format!("one of {}", Channel::WORDS.join(", ")),
        Channel::from_name,
    )
}

fn content(table: &Table<'_, '_>, key: &str) -> Option<ContentClass> {
    table.need_parsed(key, "one of C0, C1, C2", |text| {
        ContentClass::from_name(text).filter(|class| *class < ContentClass::C3)
    })
}

fn implied(table: Table<'_, '_>) -> Option<Implied> {
    let permitted = table.required("permitted", "true or false", table.flag("permitted"));
    let channels = channel_list(&table, "channels");
    let most = content(&table, "content");
    let generic_on = channel_list(&table, "generic_on");
    let generic_content = content(&table, "generic_content");
    for key in ["channels", "generic_on"] {
        let list = table
            .list(key, "a channel", Channel::from_name)
            .unwrap_or_default();
        if list.iter().any(|channel| channel.is_automated()) {
            table.problem(key, "channels without automation", "an automated one");
        }
    }
    table.finish();
    Some(Implied {
        permitted: permitted?,
        channels: channels?,
        content: most?,
        generic_on: generic_on?,
        generic_content: generic_content?,
    })
}

fn channels(table: Table<'_, '_>) -> BTreeMap<Channel, ChannelRule> {
    let mut rules = BTreeMap::new();
    for key in table.keys() {
        let Some(channel) = Channel::from_name(key) else {
            continue; // `finish` names it as unknown
        };
        if let Some(rule) = table.table(key).and_then(channel_rule) {
            rules.insert(channel, rule);
        }
    }
    table.finish();
    rules
}

fn channel_rule(table: Table<'_, '_>) -> Option<ChannelRule> {
    let systems = format!("one of {}", ContactSystem::WORDS.join(", "));
    let contact = table.parsed("contact", &systems, ContactSystem::from_name);
    let uses = table.list("uses", "a use", owned);
    let most = content(&table, "content");
    let human = table.flag("human").unwrap_or(false);
    let written = table.flag("written").unwrap_or(false);
    let duties = format!("one of {}", Obligation::WORDS.join(", "));
    let obligations = table.need_list("obligations", &duties, Obligation::from_name);
    table.finish();
    Some(ChannelRule {
        contact,
        uses,
        content: most?,
        human,
        written,
        obligations: obligations?,
    })
}

fn cap(table: Table<'_, '_>) -> Option<Cap> {
    let channels = channel_list(&table, "channels");
    let per = table.need_parsed(
        "per",
        "`local-day` or a number of days such as `7 days`",
        period,
    );
    let at_most = table.required("at_most", "a number", table.count("at_most"));
    if at_most == Some(0) {
        table.problem("at_most", "at least 1", "0");
    }
    table.finish();
    Some(Cap {
        channels: channels?,
        per: per?,
        at_most: at_most?,
    })
}

fn period(text: &str) -> Option<Period> {
    if text == "local-day" {
        return Some(Period::LocalDay);
    }
    let days = text.strip_suffix(" days")?.parse().ok()?;
    (1..=31).contains(&days).then_some(Period::Days(days))
}

fn quiet(table: Table<'_, '_>) -> Option<(Vec<Channel>, Vec<Hours>)> {
    let channels = channel_list(&table, "channels");
    let (from, to) = span(&table);
    let mut hours = Vec::new();
    if let Some((from, to)) = from.zip(to) {
        hours.push(Hours {
            states: Vec::new(),
            days: Vec::new(),
            since: None,
            from,
            to,
        });
    }
    hours.extend(table.tables("state").into_iter().filter_map(state_hours));
    table.finish();
    Some((channels?, hours))
}

fn state_hours(table: Table<'_, '_>) -> Option<Hours> {
    let states = table.need_list("states", "a state's two capital letters", state);
    let days = table
        .list("days", "a weekday such as `monday`", weekday)
        .unwrap_or_default();
    let since = table.parsed("since", "a date (YYYY-MM-DD)", |text| text.parse().ok());
    let (from, to) = span(&table);
    if states.as_ref().is_some_and(Vec::is_empty) {
        table.problem("states", "at least one state", "none");
    }
    table.finish();
    Some(Hours {
        states: states?,
        days,
        since,
        from: from?,
        to: to?,
    })
}

fn span(table: &Table<'_, '_>) -> (Option<Time>, Option<Time>) {
    let time = |key| table.need_parsed(key, "a time (HH:MM)", |text| text.parse::<Time>().ok());
    let (from, to) = (time("from"), time("to"));
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        table.problem("to", "a time after `from`", "one that is not");
    }
    (from, to)
}

fn state(text: &str) -> Option<String> {
    let fits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    fits.then(|| text.to_owned())
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    })
}

type Zones = (Vec<TimeZone>, BTreeMap<String, Vec<TimeZone>>);

fn zones(table: Table<'_, '_>) -> Option<Zones> {
    let expected = "an IANA zone such as `America/New_York`";
    let zone = |text: &str| TimeZone::get(text).ok();
    let everywhere = table.need_list("everywhere", expected, zone);
    if everywhere.as_ref().is_some_and(Vec::is_empty) {
        table.problem("everywhere", "at least one zone", "none");
    }
    let states = table.need_table("state").map(|states| {
        let mut zones = BTreeMap::new();
        for key in states.keys() {
            if state(key).is_none() {
                continue; // `finish` names it as unknown
            }
            match states.list(key, expected, zone) {
                Some(list) if !list.is_empty() => {
                    zones.insert(key.to_owned(), list);
                }
                _ => states.problem(key, "at least one zone", "none"),
            }
        }
        states.finish();
        zones
    });
    table.finish();
    Some((everywhere?, states?))
}
