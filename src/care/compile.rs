//! Compiles rule files, or gives every problem in all of them at once.

use std::collections::{BTreeMap, BTreeSet};

use crate::consent::{Channel, ContentClass, Diagnostic, Document, Purpose, Table};
use crate::crm::{AppointmentStatus, Priority, RequestKind};

use super::calendar::{Calendar, Span};
use super::evaluate::GapStatus;
use super::parked::Parked;
use super::reason;
use super::rule::{
    Deadline, Due, Evidence, Gap, Kind, Loop, Missed, PerformerRole, PriorityFrom, Referral, Rule,
    TaskCode, Template, TopicKind,
};
use super::upcoming;

/// The rules of `files`, by id.
pub(super) fn compile(files: &[(&str, &str)]) -> Result<BTreeMap<String, Rule>, Vec<Diagnostic>> {
    let mut rules = BTreeMap::new();
    let mut problems = Vec::new();
    for (file, text) in files {
        let document = Document::new(file, text);
        let rule = document.parse().and_then(|parsed| {
            let root = document.root(&parsed);
            let rule = read(&root);
            if rule
                .as_ref()
                .is_some_and(|rule| rules.contains_key(&rule.id))
            {
                root.problem("id", "an id of its own", "the id of another rule");
            }
            root.finish();
            rule
        });
        problems.extend(document.into_problems());
        if let Some(rule) = rule {
            rules.insert(rule.id.clone(), rule);
        }
    }
    for rule in rules.values() {
        let known = |other: &str| other != rule.id && rules.contains_key(other);
        if let Some(other) = rule.unless_done().filter(|other| !known(other)) {
            problems.push(Diagnostic {
                file: rule.id.clone(),
                line: 1,
                at: "upcoming.unless_done".to_owned(),
                expected: "the id of another rule".to_owned(),
                found: format!("`{other}`"),
            });
        }
    }
    if problems.is_empty() {
        Ok(rules)
    } else {
        Err(problems)
    }
}

fn read(root: &Table<'_, '_>) -> Option<Rule> {
    let id = root.need_parsed("id", "a name of small letters, digits and hyphens", name);
    let title = root.need_text("title");
    let source = root.need_text("source");
    let reads = root.need_list(
        "reads",
        "`person`, `appointment`, `referral` or a concept",
        name,
    );
    let absence = root.list("absence", "a concept", name).unwrap_or_default();
    let holidays = root.list("holidays", "a date (YYYY-MM-DD)", |text| text.parse().ok());
    let only_listed = root.flag("only_listed");
    let (sentences, kind) = kind(root)?;
    let parks = matches!(&kind, Some(Kind::Gap(gap)) if gap.parked.is_some());
    let reasons = root
        .need_table("reason")
        .map(|table| reason::read(table, sentences, parks));
    let task = root.need_table("task").and_then(|table| task(table, &kind));
    let reads: BTreeSet<String> = reads?.into_iter().collect();
    let (things, concepts): (BTreeSet<String>, BTreeSet<String>) = reads
        .into_iter()
        .partition(|word| THINGS.contains(&word.as_str()));
    let mut used = kind.as_ref().map(Kind::concepts).unwrap_or_default();
    used.extend(absence.iter().map(String::as_str));
    for concept in used {
        if !concepts.contains(concept) {
            root.problem(
                "reads",
                &format!("every concept that is used, so also `{concept}`"),
                "a list without it",
            );
        }
    }
    Some(Rule {
        id: id?,
        title: title?.to_owned(),
        source: source?.to_owned(),
        concepts,
        reads_person: things.contains("person"),
        reads_appointments: things.contains("appointment"),
        reads_requests: things.contains("referral") || things.contains("order"),
        absence,
        only_listed: only_listed.unwrap_or(false),
        task: task?,
        calendar: Calendar {
            holidays: holidays.unwrap_or_default().into_iter().collect(),
        },
        reasons: reasons?,
        kind: kind?,
    })
}

/// What `reads` may name besides concepts.
const THINGS: [&str; 4] = ["person", "appointment", "referral", "order"];

impl Kind {
    fn concepts(&self) -> Vec<&str> {
        match self {
            Self::Gap(gap) => vec![&gap.population.concept, &gap.satisfied.concept],
            Self::Referral(referral) => vec![&referral.report.concept],
            Self::Missed(_) | Self::Upcoming(_) => Vec::new(),
        }
    }
}

type Sentences = &'static [(&'static str, &'static [&'static str])];

/// The part that differs by kind; `None` where the kind itself is wrong.
fn kind(root: &Table<'_, '_>) -> Option<(Sentences, Option<Kind>)> {
    let kinds = "`gap`, `referral`, `missed-appointment` or `upcoming-appointment`";
    root.need_parsed("kind", kinds, |text| match text {
        "gap" => Some((reason::GAP, gap(root).map(Kind::Gap))),
        "referral" => Some((reason::REFERRAL, referral(root).map(Kind::Referral))),
        "missed-appointment" => {
            let missed = root.need_table("missed").and_then(missed);
            Some((reason::MISSED, missed.map(Kind::Missed)))
        }
        "upcoming-appointment" => {
            let spec = root.need_table("upcoming").and_then(upcoming::read);
            Some((reason::UPCOMING, spec.map(Kind::Upcoming)))
        }
        _ => None,
    })
}

pub(super) fn name(text: &str) -> Option<String> {
    let fits = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    fits.then(|| text.to_owned())
}

pub(super) fn span(table: &Table<'_, '_>, key: &str) -> Option<Span> {
    table.need_parsed(key, Span::FORM, Span::parse)
}

fn gap(root: &Table<'_, '_>) -> Option<Gap> {
    let population = root.need_table("population").and_then(|table| {
        let age = table.need_table("age").and_then(age);
        let evidence = evidence(&table);
        table.finish();
        Some((evidence?, age?))
    });
    let satisfied = root.need_table("satisfied").and_then(|table| {
        let within = span(&table, "within");
        let evidence = evidence(&table);
        table.finish();
        Some((evidence?, within?))
    });
    let timing = root.need_table("timing").and_then(|table| {
        let (prospective, grace) = (span(&table, "prospective"), span(&table, "grace"));
        table.finish();
        Some((prospective?, grace?))
    });
    let parked = root.table("parked").map(Parked::read);
    let (population, (age_from, age_through)) = population?;
    let parked = match parked {
        Some(None) => return None,
        Some(read) => read,
        None => None,
    };
    let (satisfied, within) = satisfied?;
    let (prospective, grace) = timing?;
    Some(Gap {
        population,
        age_from,
        age_through,
        satisfied,
        within,
        prospective,
        grace,
        parked,
    })
}

fn age(table: Table<'_, '_>) -> Option<(i16, i16)> {
    let years = |key| {
        let years = table.required(key, "an age in whole years", table.count(key))?;
        let years = i16::try_from(years).ok().filter(|years| *years <= 150);
        if years.is_none() {
            table.problem(key, "an age in whole years", "more than 150");
        }
        years
    };
    let (from, through) = (years("from"), years("through"));
    if from
        .zip(through)
        .is_some_and(|(from, through)| from > through)
    {
        table.problem("through", "an age not below `from`", "a lower one");
    }
    table.finish();
    from.zip(through)
}

fn evidence(table: &Table<'_, '_>) -> Option<Evidence> {
    let concept = table.need_parsed("concept", "a concept", name);
    let status = table.need_list("status", "a status", name);
    let retracted = table
        .list("retracted", "a status", name)
        .unwrap_or_default();
    if let Some(both) = status
        .iter()
        .flatten()
        .find(|status| retracted.contains(status))
    {
        table.problem(
            "retracted",
            "a status that is not in `status`",
            &format!("`{both}`"),
        );
    }
    Some(Evidence {
        concept: concept?,
        status: status?,
        retracted,
    })
}

fn referral(root: &Table<'_, '_>) -> Option<Referral> {
    let main = root.need_table("loop").and_then(|table| {
        let request = table.need_parsed("request", "`referral` or `order`", |text| match text {
            "referral" => Some(RequestKind::Referral),
            "order" => Some(RequestKind::Order),
            _ => None,
        });
        let report = table.need_table("report").and_then(|table| {
            let report = evidence(&table);
            table.finish();
            report
        });
        table.finish();
        Some((request?, report?))
    });
    let deadlines = root.need_table("deadlines").map(|table| {
        let mut deadlines = BTreeMap::new();
        for stage in Loop::ALL {
            if let Some(found) = table.need_table(stage.name()).and_then(deadline) {
                deadlines.insert(stage, found);
            }
        }
        table.finish();
        deadlines
    });
    let (request, report) = main?;
    Some(Referral {
        request,
        report,
        deadlines: deadlines?,
    })
}

fn deadline(table: Table<'_, '_>) -> Option<Deadline> {
    let from_request = table.need_parsed("from", "`request` or `stage`", |text| match text {
        "request" => Some(true),
        "stage" => Some(false),
        _ => None,
    });
    let wanted_by = table.flag("wanted_by").unwrap_or(false);
    let at_once = table.flag("at_once").unwrap_or(false);
    let spans = table.need_table("within").and_then(by_priority);
    table.finish();
    Some(Deadline {
        from_request: from_request?,
        wanted_by,
        at_once,
        spans: spans?,
    })
}

fn by_priority(table: Table<'_, '_>) -> Option<Due> {
    let mut spans = Due::new();
    for priority in Priority::ALL {
        if let Some(span) = span(&table, priority.name()) {
            spans.insert(*priority, span);
        }
    }
    table.finish();
    (spans.len() == Priority::ALL.len()).then_some(spans)
}

fn missed(table: Table<'_, '_>) -> Option<Missed> {
    let words = format!("one of {}", AppointmentStatus::WORDS.join(", "));
    let status = table.need_list("status", &words, AppointmentStatus::from_name);
    let rebooked = table.need_list("rebooked", &words, AppointmentStatus::from_name);
    let due_after = span(&table, "due_after");
    let forget_after = span(&table, "forget_after");
    if let Some(both) = status
        .iter()
        .flatten()
        .find(|s| rebooked.iter().flatten().any(|r| r == *s))
    {
        let found = format!("`{}`", both.name());
        table.problem("rebooked", "a status that is not in `status`", &found);
    }
    table.finish();
    Some(Missed {
        status: status?,
        rebooked: rebooked?,
        due_after: due_after?,
        forget_after: forget_after?,
    })
}

type Performers = (PerformerRole, BTreeMap<Channel, PerformerRole>);

/// One role, or one for each channel of the task; the first channel's stands for the task.
fn performer(table: &Table<'_, '_>, channels: Option<&[Channel]>) -> Option<Performers> {
    let roles = format!("one of {}", PerformerRole::WORDS.join(", "));
    if table.text_at("performer") {
        let role = table.need_parsed("performer", &roles, PerformerRole::from_name)?;
        return Some((role, BTreeMap::new()));
    }
    let each = table.need_table("performer")?;
    let mut performers = BTreeMap::new();
    for channel in channels.unwrap_or_default() {
        let role = each.need_parsed(channel.name(), &roles, PerformerRole::from_name);
        performers.extend(role.map(|role| (*channel, role)));
    }
    each.finish();
    let first = channels?.first()?;
    Some((*performers.get(first)?, performers))
}

fn task(table: Table<'_, '_>, kind: &Option<Kind>) -> Option<Template> {
    let word = |words: &[&str]| format!("one of {}", words.join(", "));
    let code = table.need_parsed("code", &word(TaskCode::WORDS), TaskCode::from_name);
    let topic = table.need_parsed("topic", &word(TopicKind::WORDS), TopicKind::from_name);
    let content = table.need_parsed("content", "C0, C1 or C2: C3 never leaves", |text| {
        ContentClass::from_name(text).filter(|class| *class < ContentClass::C3)
    });
    let purpose = table.need_parsed("purpose", "TREAT, HOPERAT or HMARKT", |text| {
        Purpose::from_name(text).filter(|purpose| *purpose != Purpose::Etreat)
    });
    let channels = table.need_list("channels", &word(Channel::WORDS), Channel::from_name);
    if channels.as_ref().is_some_and(Vec::is_empty) {
        table.problem("channels", "at least one channel", "none");
    }
    let priority = table.need_parsed("priority", &word(Priority::WORDS), |text| match text {
        "request" if matches!(kind, Some(Kind::Referral(_))) => Some(PriorityFrom::Request),
        _ => Priority::from_name(text).map(PriorityFrom::Fixed),
    });
    let performer = performer(&table, channels.as_deref());
    let on = table.need_list("on", "open-gap or prospective-gap", |text| {
        GapStatus::from_name(text)
            .filter(|on| matches!(on, GapStatus::OpenGap | GapStatus::ProspectiveGap))
    });
    let due_after = if matches!(kind, Some(Kind::Upcoming(_))) {
        Some(Due::new()) // the appointment says when
    } else if table.text_at("due_after") {
        span(&table, "due_after").map(|span| Priority::ALL.iter().map(|p| (*p, span)).collect())
    } else {
        table.need_table("due_after").and_then(by_priority)
    };
    table.finish();
    let (performer, performers) = performer?;
    Some(Template {
        code: code?,
        topic: topic?,
        content: content?,
        purpose: purpose?,
        channels: channels?,
        priority: priority?,
        performer,
        performers,
        on: on?,
        due_after: due_after?,
    })
}
