//! Reading one value and turning it into what its target takes.

use serde_json::{Value, json};

use crate::failure::Code;

use super::super::outcome::{Origin, Severity};
use super::super::plan::{
    Convert, Line, MinutesAfter, OnBad, OnNull, Rule, Shape, Source, Term, Unmapped, Valuer,
};
use super::convert::{self, Converted};
use super::here::{Here, Read};
use super::list::list;
use super::{Draft, Run};

/// What a rule says.
pub(super) enum Got {
    Absent,
    Clear,
    Value(Value),
}

/// What a rule says and where it has it from.
pub(super) struct Found {
    pub(super) got: Got,
    pub(super) origin: Origin,
    pub(super) table_row: bool,
    pub(super) line: Line,
}

/// A value of the wrong form, with its place.
pub(super) struct Bad(pub(super) String);

impl Run<'_> {
    /// The value that a rule, a case or a field gives here.
    pub(super) fn value(
        &self,
        valuer: &Valuer,
        here: &Here<'_>,
        rule: &Rule,
        draft: &mut Draft,
    ) -> Found {
        let read = match &valuer.source {
            Source::Constant(value) => {
                return valuer.found(Got::Value(value.clone()), Origin::Constant, false);
            }
            Source::Paths(terms) => {
                let read = here.read(terms);
                let at = here.tell(terms, read.place);
                return self.text((valuer, read, at), rule, draft);
            }
            Source::Join { items, with } => {
                let reads: Vec<Read> = items.iter().map(|terms| here.read(terms)).collect();
                let texts: Vec<String> = reads.into_iter().filter_map(|read| read.text).collect();
                let text = (!texts.is_empty()).then(|| texts.join(with));
                let at = items
                    .first()
                    .map(|terms| here.tell(terms, 0))
                    .unwrap_or_default();
                return self.text(
                    (
                        valuer,
                        Read {
                            text,
                            ..Read::default()
                        },
                        at,
                    ),
                    rule,
                    draft,
                );
            }
            Source::List { items, split } => list(items, split.as_deref(), here).map(|found| {
                let (texts, at) = found?;
                Ok((self.mapped((valuer, &at), texts, rule, draft), at))
            }),
            Source::MinutesAfter(after) => self.minutes_after(after, here, (valuer, rule, draft)),
            Source::Reference {
                parts,
                assigner,
                hashed,
            } => self.reference(parts, (assigner, hashed), here),
            Source::Concept {
                coded,
                system,
                among,
            } => coded.iter().enumerate().find_map(|(place, term)| {
                let concept = self.concept(term, system, here, among)?;
                Some(Ok((json!(concept), here.tell(coded, place))))
            }),
        };
        match read {
            None => valuer.or_default(),
            Some(Ok((value, at))) => valuer.found(Got::Value(value), Origin::Path(at), false),
            Some(Err(Bad(at))) => {
                valuer.bad(&at, rule, draft);
                valuer.found(Got::Absent, Origin::Path(at), false)
            }
        }
    }

    /// A text through `on_null`, `fn`, `table` and `default`.
    fn text(
        &self,
        (valuer, read, at): (&Valuer, Read, String),
        rule: &Rule,
        draft: &mut Draft,
    ) -> Found {
        let Some(text) = read.text else {
            if read.wrong {
                valuer.bad(&at, rule, draft);
                return valuer.found(Got::Absent, Origin::Path(at), false);
            }
            if read.null && valuer.on_null == OnNull::Clear && rule.clearable {
                return valuer.found(Got::Clear, Origin::Path(at), false);
            }
            return valuer.or_default();
        };
        let converted = match convert::convert(&text, valuer.convert, self.context) {
            Converted::Done(value) => value,
            Converted::Doubtful(value) => {
                draft.issue((Code::BadValue, Severity::Warning), &at, rule, &valuer.line);
                value
            }
            Converted::Bad => {
                valuer.bad(&at, rule, draft);
                return valuer.found(Got::Absent, Origin::Path(at), false);
            }
        };
        let Some(lookup) = valuer.lookup else {
            return valuer.found(Got::Value(converted), Origin::Path(at), false);
        };
        let code = converted.as_str().unwrap_or_default();
        let row = self
            .plan
            .knowledge
            .table(lookup.table)
            .and_then(|table| table.get(code));
        if let Some(word) = row {
            return valuer.found(Got::Value(json!(word)), Origin::Path(at), true);
        }
        let severity = match lookup.unmapped {
            Unmapped::Pass => {
                return valuer.found(Got::Value(converted), Origin::Path(at), false);
            }
            Unmapped::Null => return valuer.found(Got::Clear, Origin::Path(at), false),
            Unmapped::Hold => Severity::Error,
            Unmapped::Ignore | Unmapped::Default => Severity::Warning,
        };
        draft.issue((Code::Unmapped, severity), &at, rule, &valuer.line);
        if lookup.unmapped == Unmapped::Default {
            return valuer.or_default();
        }
        valuer.found(Got::Absent, Origin::Path(at), false)
    }

    /// The concept of a coded place: of its first code that belongs to one.
    pub(super) fn concept(
        &self,
        coded: &Term,
        system: &[Term],
        here: &Here<'_>,
        among: &[usize],
    ) -> Option<&str> {
        let knowledge = &self.plan.knowledge;
        here.codings(coded).into_iter().find_map(|(code, named)| {
            let named = named.or_else(|| here.read(system).text);
            let id = knowledge.concept_of(&code, &named.unwrap_or_default(), among)?;
            knowledge.concept(id)
        })
    }

    /// `parts` joined by dots, the assigner, and the keyed hash of `hashed`.
    fn reference(
        &self,
        parts: &[Vec<Term>],
        (assigner, hashed): (&[Term], &[Vec<Term>]),
        here: &Here<'_>,
    ) -> Option<Result<(Value, String), Bad>> {
        let reads: Option<Vec<String>> = parts.iter().map(|terms| here.read(terms).text).collect();
        let mut texts = reads?;
        let first = parts.first().or_else(|| hashed.first())?;
        let at = here.tell(first, here.read(first).place);
        texts.extend(here.read(assigner).text);
        if !hashed.is_empty() {
            let mut secret: Vec<String> = hashed
                .iter()
                .map(|terms| here.read(terms).text.unwrap_or_default())
                .collect();
            while secret.last().is_some_and(String::is_empty) {
                secret.pop();
            }
            if secret.is_empty() {
                return None;
            }
            let secret: Vec<&str> = secret.iter().map(String::as_str).collect();
            texts.push(format!("h{}", (self.context.hash)(&secret)));
        }
        Some(Ok((json!(texts.join(".")), at)))
    }

    /// The end of something from its start and its length.
    fn minutes_after(
        &self,
        after: &MinutesAfter,
        here: &Here<'_>,
        (valuer, rule, draft): (&Valuer, &Rule, &mut Draft),
    ) -> Option<Result<(Value, String), Bad>> {
        let start = here.read(&after.start);
        let start_at = here.tell(&after.start, start.place);
        let start = start.text?;
        let amount = here.read(&after.amount);
        let amount_at = here.tell(&after.amount, amount.place);
        let amount = amount.text?;
        let unit = here.read(&after.unit);
        let unit_at = here.tell(&after.unit, unit.place);
        let unit = match unit.text {
            None => after.unit_missing,
            Some(text) => match convert::unit(&text) {
                Some(unit) => unit,
                None => return Some(Err(Bad(unit_at))),
            },
        };
        let Some(seconds) = convert::seconds(&amount, unit) else {
            return Some(Err(Bad(amount_at)));
        };
        match convert::later(&start, seconds, self.context.zone) {
            // A start that is known to the day has no end that could be told.
            None => None,
            Some(Converted::Bad) => Some(Err(Bad(start_at))),
            Some(Converted::Done(value)) => Some(Ok((value, start_at))),
            Some(Converted::Doubtful(value)) => {
                draft.issue(
                    (Code::BadValue, Severity::Warning),
                    &start_at,
                    rule,
                    &valuer.line,
                );
                Some(Ok((value, start_at)))
            }
        }
    }
}

impl Valuer {
    fn found(&self, got: Got, origin: Origin, table_row: bool) -> Found {
        let got = match (got, self.convert, self.shape) {
            (Got::Value(Value::String(text)), Convert::AsIs, Shape::Texts) => {
                Got::Value(json!([text]))
            }
            (got, _, _) => got,
        };
        Found {
            got,
            origin,
            table_row,
            line: self.line.clone(),
        }
    }

    fn or_default(&self) -> Found {
        match &self.default {
            Some(value) => self.found(Got::Value(value.clone()), Origin::Default, false),
            None => self.found(Got::Absent, Origin::Default, false),
        }
    }

    fn bad(&self, at: &str, rule: &Rule, draft: &mut Draft) {
        let severity = match self.on_bad {
            OnBad::Hold => Severity::Error,
            OnBad::Ignore => Severity::Warning,
        };
        draft.issue((Code::BadValue, severity), at, rule, &self.line);
    }
}
