//! Care gaps: evidence of one concept within a span, for people of an age with another concept.

use jiff::civil::Date;
use jiff::{Timestamp, Zoned};

use crate::consent::birthday;
use crate::crm::{Chart, Moment, Pointer};

use super::calendar::day_start;
use super::evaluate::{Evaluation, GapStatus, History, ReasonCode};
use super::reason;
use super::rule::{Evidence, Gap, Rule, place};

/// What the rule looks at, at once.
struct Case<'a> {
    rule: &'a Rule,
    gap: &'a Gap,
    chart: &'a Chart,
    now: &'a Zoned,
    today: Date,
    /// The latest evidence that counts.
    last: Option<(Date, &'a Pointer)>,
}

/// The verdict on the person.
pub(super) fn evaluate(
    rule: &Rule,
    gap: &Gap,
    chart: &Chart,
    history: &dyn History,
    now: &Zoned,
) -> Evaluation {
    let today = now.date();
    let last = gap
        .satisfied
        .counted(chart, now)
        .max_by_key(|(day, pointer)| (*day, pointer.source.as_str(), pointer.reference.as_str()));
    let case = Case {
        rule,
        gap,
        chart,
        now,
        today,
        last,
    };
    let Some((entered, ages_out)) = case.population() else {
        return case.outside(None);
    };
    if today < entered {
        return case.outside(Some(entered));
    }
    if ages_out.is_some_and(|date| date <= today) {
        return case.outside(None);
    }
    let mut verdict = match case.last.and_then(|(day, _)| gap.falls_due(day)) {
        Some(due) if today < due => case.satisfied(due),
        fallen_due => case.unsatisfied(fallen_due, entered, history),
    };
    let parks = case.park(&mut verdict);
    let later = [ages_out, case.next_evidence()];
    let later = later
        .into_iter()
        .flatten()
        .filter_map(|date| case.instant(date));
    let known = verdict.next_check.into_iter().chain(parks);
    verdict.next_check = known.chain(later).min();
    verdict
}

impl<'a> Case<'a> {
    /// From when the person belongs to the population, and from when no longer; `None` for
    /// someone who does not at all.
    fn population(&self) -> Option<(Date, Option<Date>)> {
        if self.chart.deceased {
            return None;
        }
        let onset = self
            .gap
            .population
            .counted(self.chart, self.now)
            .map(|(day, _)| day)
            .min()?;
        // A birth date known to the year or month counts as its last possible day.
        let birth = self.chart.birth_date?.latest();
        let of_age = birthday(birth, self.gap.age_from)?;
        let ages_out = birthday(birth, self.gap.age_through.checked_add(1)?);
        // A partial onset can end after today and has begun all the same.
        Some((of_age.max(onset.min(self.today)), ages_out))
    }

    /// Lets a finding rest where the rule says so; gives when that can change by time alone.
    fn park(&self, verdict: &mut Evaluation) -> Option<Timestamp> {
        let foreseen = [GapStatus::OpenGap, GapStatus::ProspectiveGap];
        let parked = self.gap.parked.as_ref();
        let rest = parked
            .filter(|_| foreseen.contains(&verdict.status))?
            .rest(self.chart, self.now);
        if rest.day.is_some() {
            let dates = [("appointment", rest.day), ("due", verdict.due)];
            verdict.parked = true;
            verdict.reason = reason::fill(self.rule, "parked", &dates);
        }
        rest.next_check
    }

    fn satisfied(&self, due: Date) -> Evaluation {
        let foreseen = self.gap.prospective.before(due).unwrap_or(due);
        let (status, key, next) = if self.today < foreseen {
            (GapStatus::ClosedGap, "closed", foreseen)
        } else {
            (GapStatus::ProspectiveGap, "prospective", due)
        };
        Evaluation {
            due: Some(due),
            next_check: self.instant(next),
            ..self.verdict(status, ReasonCode::DateInRange, key, Some(due))
        }
    }

    fn unsatisfied(
        &self,
        fallen_due: Option<Date>,
        entered: Date,
        history: &dyn History,
    ) -> Evaluation {
        let mut provable: Option<Date> = None;
        for concept in &self.rule.absence {
            let since = history
                .covered_since(concept)
                .and_then(|since| since.yesterday().ok());
            let from = since.and_then(|since| self.gap.falls_due(since));
            if from.is_none_or(|from| self.today < from) {
                let unknown = GapStatus::InsufficientHistory;
                return Evaluation {
                    next_check: from.and_then(|from| self.instant(from)),
                    ..self.verdict(unknown, ReasonCode::Missing, "history", None)
                };
            }
            provable = provable.max(from);
        }
        let due = fallen_due.unwrap_or_else(|| provable.unwrap_or(entered).max(entered));
        let late = self
            .gap
            .grace
            .after(due)
            .and_then(|end| end.tomorrow().ok());
        let (code, key) = if fallen_due.is_some() {
            (ReasonCode::DateOutOfRange, "open")
        } else {
            (ReasonCode::NotFound, "never")
        };
        Evaluation {
            due: Some(due),
            overdue: late.is_some_and(|late| late <= self.today),
            next_check: late.and_then(|late| self.instant(late)),
            ..self.verdict(GapStatus::OpenGap, code, key, Some(due))
        }
    }

    fn outside(&self, from: Option<Date>) -> Evaluation {
        let code = ReasonCode::InvalidAttribute;
        Evaluation {
            next_check: from.and_then(|from| self.instant(from)),
            ..self.verdict(GapStatus::NotApplicable, code, "outside", None)
        }
    }

    fn verdict(
        &self,
        status: GapStatus,
        reason_code: ReasonCode,
        sentence: &str,
        due: Option<Date>,
    ) -> Evaluation {
        let last = self.last.map(|(day, _)| day);
        let priority = self.rule.priority(None);
        Evaluation {
            cycle: self.cycle(),
            status,
            due: None,
            overdue: false,
            parked: false,
            priority,
            task_due: self.rule.task_due(status, priority, self.now),
            next_check: None,
            reason: reason::fill(self.rule, sentence, &[("last", last), ("due", due)]),
            reason_code,
            evidence: self
                .last
                .map(|(_, pointer)| place(pointer))
                .into_iter()
                .collect(),
        }
    }

    /// The due date that the last evidence sets, or `initial`; each retraction since then begins
    /// a cycle of its own, so that a task may be made again after evidence was taken back.
    fn cycle(&self) -> String {
        let last = self.last.map(|(day, _)| day);
        let base = last
            .and_then(|day| self.gap.falls_due(day))
            .map_or_else(|| "initial".to_owned(), |due| due.to_string());
        let retracted = self
            .gap
            .satisfied
            .retracted_in(self.chart)
            .filter(|pointer| {
                let day = pointer
                    .date
                    .as_ref()
                    .map(|date| date.day(self.now.time_zone()));
                last.is_none_or(|last| day.is_none_or(|day| day > last))
            })
            .count();
        if retracted == 0 {
            base
        } else {
            format!("{base}+{retracted}")
        }
    }

    /// The first day after today on which evidence dated ahead begins to count.
    fn next_evidence(&self) -> Option<Date> {
        let zone = self.now.time_zone();
        let wanted = [&self.gap.satisfied, &self.gap.population];
        wanted
            .into_iter()
            .flat_map(|evidence| evidence.of_status(self.chart))
            .filter_map(|pointer| Some(earliest(pointer.date.as_ref()?, zone)))
            .filter(|day| *day > self.today)
            .min()
    }

    fn instant(&self, date: Date) -> Option<Timestamp> {
        day_start(date, self.now.time_zone()).filter(|at| *at > self.now.timestamp())
    }
}

impl Evidence {
    fn of_status<'c>(&self, chart: &'c Chart) -> impl Iterator<Item = &'c Pointer> {
        chart.pointers.iter().filter(|pointer| {
            pointer.concept == self.concept
                && pointer
                    .status
                    .as_ref()
                    .is_some_and(|status| self.status.contains(status))
        })
    }

    /// Pointers that count by `now`, with their clinical day: the last possible one of a partial
    /// date, and the day of the event where the sender gave no date.
    fn counted<'c>(
        &self,
        chart: &'c Chart,
        now: &Zoned,
    ) -> impl Iterator<Item = (Date, &'c Pointer)> {
        let (today, zone) = (now.date(), now.time_zone().clone());
        self.of_status(chart).filter_map(move |pointer| {
            let (first, last) = match &pointer.date {
                Some(date) => (earliest(date, &zone), date.day(&zone)),
                None => {
                    let day = pointer.changed_at.to_zoned(zone.clone()).date();
                    (day, day)
                }
            };
            (first <= today).then_some((last, pointer))
        })
    }

    /// Pointers that were taken back.
    pub(super) fn retracted_in<'c>(&self, chart: &'c Chart) -> impl Iterator<Item = &'c Pointer> {
        chart.pointers.iter().filter(|pointer| {
            pointer.concept == self.concept
                && pointer
                    .status
                    .as_ref()
                    .is_some_and(|status| self.retracted.contains(status))
        })
    }
}

fn earliest(moment: &Moment, zone: &jiff::tz::TimeZone) -> Date {
    match moment {
        Moment::Date(date) => date.earliest(),
        Moment::Instant { .. } => moment.day(zone),
    }
}
