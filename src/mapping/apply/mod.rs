//! Applying a plan to a message: pack, groups, blocks, rules.

mod condition;
mod convert;
mod list;
mod objects;
mod value;

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::failure::Code;
use crate::hl7::{Header, Message, Repetition, Scope};
use crate::phi::Phi;

use super::outcome::{Context, Issue, Mapped, MappedChange, Origin, Outcome, Severity, TraceEntry};
use super::plan::{Block, Body, Each, Line, Pack, Plan, Route, Rule};
use value::{Found, Got};

/// The entity that everything else in a group is about.
const PERSON: &str = "Patient";

/// Reads a message by the plan.
pub(super) fn apply(
    plan: &Plan,
    message: &Message,
    header: &Header,
    context: &Context<'_>,
) -> Mapped {
    if header.message_code.is_empty() {
        return Mapped::untyped();
    }
    let route = plan.routes.get(&header.message_type());
    match route.or_else(|| plan.routes.get(&header.message_code)) {
        None => Mapped::ignored(Code::NoMapping, "MSH-9"),
        Some(Route::Ignore(reason)) => Mapped::ignored(Code::IgnoredByMapping, reason),
        Some(Route::Pack(number)) => match plan.packs.get(*number) {
            None => Mapped::ignored(Code::NoMapping, "MSH-9"),
            Some(pack) => {
                let mut run = Run::new(plan, context);
                run.pack(pack, &message.scope());
                run.finish(&pack.name)
            }
        },
    }
}

/// Where a rule reads: a part of the message, and in it an element of a list.
#[derive(Clone)]
pub(super) struct Here<'m> {
    scope: Scope<'m>,
    /// The repetition that relative paths mean, with the text of its field.
    element: Option<(Repetition<'m>, String)>,
    /// Whether this is a part of the message, so that telling a place needs the segment's number.
    grouped: bool,
}

/// One message being read.
struct Run<'a> {
    plan: &'a Plan,
    context: &'a Context<'a>,
    changes: Vec<MappedChange>,
    issues: Vec<Issue>,
    trace: Vec<TraceEntry>,
}

/// The entity that a block is making.
struct Draft {
    values: Map<String, Value>,
    trace: Vec<TraceEntry>,
    issues: Vec<Issue>,
    /// Rules whose `when` held, by number.
    applied: Vec<usize>,
    /// Lists for which a rule said "delete".
    cleared: Vec<&'static str>,
    change: usize,
}

impl<'a> Run<'a> {
    const fn new(plan: &'a Plan, context: &'a Context<'a>) -> Self {
        Self {
            plan,
            context,
            changes: Vec::new(),
            issues: Vec::new(),
            trace: Vec::new(),
        }
    }

    fn finish(self, pack: &str) -> Mapped {
        let error = self
            .issues
            .iter()
            .find(|issue| issue.severity == Severity::Error);
        let outcome = match error {
            Some(issue) => Outcome::Held {
                code: issue.code,
                place: issue.at.clone(),
            },
            None if self.changes.is_empty() => Outcome::Ignored {
                code: Code::NothingToDo,
                place: pack.to_owned(),
            },
            None => Outcome::Mapped,
        };
        let Self {
            changes,
            issues,
            trace,
            ..
        } = self;
        Mapped {
            outcome,
            changes,
            issues,
            trace,
        }
    }

    fn pack(&mut self, pack: &Pack, whole: &Scope<'_>) {
        let groups = match &pack.per {
            Some(anchor) => whole.groups(&[anchor], &[]),
            None => Vec::new(),
        };
        let grouped = groups.len() > 1;
        // Without an anchor there is still a message, and its rules say what is missing.
        let groups = if groups.is_empty() {
            vec![whole.clone()]
        } else {
            groups
        };
        for scope in &groups {
            let before = (self.changes.len(), self.issues.len());
            for block in &pack.blocks {
                self.block(block, scope, grouped);
            }
            self.nobody(pack, before);
        }
    }

    /// What is about nobody cannot be kept: the issue stands where the person should have been.
    fn nobody(&mut self, pack: &Pack, (changes, issues): (usize, usize)) {
        let Some(person) = pack.blocks.iter().find(|block| block.entity == PERSON) else {
            return;
        };
        let Some(rule) = person.rules.iter().find(|rule| rule.needed) else {
            return;
        };
        let mut new = self.changes.iter().skip(changes).peekable();
        let about_nobody = new.peek().is_some() && new.all(|change| change.entity != PERSON);
        let told = self
            .issues
            .iter()
            .skip(issues)
            .any(|issue| issue.severity == Severity::Error);
        if about_nobody && !told {
            self.issues.push(Issue {
                code: Code::RequiredMissing,
                at: rule.place.clone(),
                rule: rule.address.to_string(),
                file: rule.line.file.to_string(),
                line: rule.line.line,
                severity: Severity::Error,
            });
        }
    }

    fn block(&mut self, block: &Block, scope: &Scope<'_>, grouped: bool) {
        let scopes = match &block.each {
            None => vec![scope.clone()],
            Some(Each::Segment(name)) => scope.each_segment(name),
            Some(Each::Group {
                anchors,
                stop,
                inside,
            }) => {
                let anchors: Vec<&str> = anchors.iter().map(String::as_str).collect();
                let stop: Vec<&str> = stop.iter().map(String::as_str).collect();
                let groups = scope.groups(&anchors, &stop);
                match inside {
                    None => groups,
                    Some(name) => groups
                        .iter()
                        .flat_map(|group| group.each_segment(name))
                        .collect(),
                }
            }
        };
        let grouped = grouped || block.each.is_some();
        for scope in scopes {
            let here = Here {
                scope,
                element: None,
                grouped,
            };
            if block
                .when
                .as_ref()
                .is_none_or(|when| self.holds(when, &here))
            {
                self.entity(block, &here);
            }
        }
    }

    fn entity(&mut self, block: &Block, here: &Here<'_>) {
        let mut draft = Draft {
            values: Map::new(),
            trace: Vec::new(),
            issues: Vec::new(),
            applied: Vec::new(),
            cleared: Vec::new(),
            change: self.changes.len(),
        };
        for rule in &block.rules {
            let applies = rule.when.as_ref().is_none_or(|when| self.holds(when, here));
            draft.applied.extend(applies.then_some(rule.id));
            let found = applies && self.rule(block, rule, here, &mut draft);
            if rule.gate && !found {
                return;
            }
        }
        draft.settle(block);
        self.issues.append(&mut draft.issues);
        if !draft.values.is_empty() {
            self.trace.append(&mut draft.trace);
            self.changes.push(MappedChange {
                entity: block.entity,
                block: block.name.clone(),
                values: Phi::new(draft.values),
            });
        }
    }

    /// Runs one rule; whether it gave a value.
    fn rule(&self, block: &Block, rule: &Rule, here: &Here<'_>, draft: &mut Draft) -> bool {
        match &rule.body {
            Body::One(valuer) => {
                let found = self.value(valuer, here, rule, draft);
                draft.take(block, rule, found, None)
            }
            Body::Cases(cases) => {
                let matching = cases
                    .iter()
                    .enumerate()
                    .find(|(_, case)| case.when.as_ref().is_none_or(|when| self.holds(when, here)));
                let Some((number, case)) = matching else {
                    return false;
                };
                let found = self.value(&case.value, here, rule, draft);
                draft.take(block, rule, found, Some(number))
            }
            Body::All(cases) => {
                let mut any = false;
                for (number, case) in cases.iter().enumerate() {
                    if case.when.as_ref().is_none_or(|when| self.holds(when, here)) {
                        let found = self.value(&case.value, here, rule, draft);
                        any |= draft.take(block, rule, found, Some(number));
                    }
                }
                any
            }
            Body::Objects(objects) => self.objects(block, (rule, objects), here, draft),
        }
    }
}

impl Draft {
    /// Puts a value where it belongs; whether there was one.
    fn take(&mut self, block: &Block, rule: &Rule, found: Found, case: Option<usize>) -> bool {
        let target = format!("{}.{}", block.name, rule.field);
        match found.got {
            Got::Absent => return false,
            Got::Clear if !rule.clearable => return false,
            Got::Clear => {
                self.values.insert(rule.field.to_owned(), Value::Null);
            }
            Got::Value(value) if is_list(rule) => {
                let added = match value {
                    Value::Array(items) => items,
                    one => vec![one],
                };
                self.extend(rule.field, added);
            }
            Got::Value(value) => {
                self.values.insert(rule.field.to_owned(), value);
            }
        }
        self.note(
            target,
            rule,
            (found.origin, found.table_row, &found.line),
            case,
        );
        true
    }

    /// Adds to a list; answers at which place the first one came to stand.
    fn extend(&mut self, field: &str, mut items: Vec<Value>) {
        let list = self
            .values
            .entry(field)
            .or_insert_with(|| Value::Array(Vec::new()));
        match list {
            Value::Array(list) => list.append(&mut items),
            other => *other = Value::Array(items),
        }
    }

    fn note(
        &mut self,
        target: String,
        rule: &Rule,
        (origin, table_row, line): (Origin, bool, &Line),
        case: Option<usize>,
    ) {
        self.trace.push(TraceEntry {
            change: self.change,
            target,
            rule: Arc::clone(&rule.address),
            file: Arc::clone(&line.file),
            line: line.line,
            origin,
            table_row,
            rule_id: rule.id,
            case,
        });
    }

    fn issue(&mut self, (code, severity): (Code, Severity), at: &str, rule: &Rule, line: &Line) {
        self.issues.push(Issue {
            code,
            at: at.to_owned(),
            rule: rule.address.to_string(),
            file: line.file.to_string(),
            line: line.line,
            severity,
        });
    }

    /// When all rules have spoken: lists that are to be deleted, and what is required.
    fn settle(&mut self, block: &Block) {
        for field in std::mem::take(&mut self.cleared) {
            self.values.entry(field).or_insert(Value::Null);
        }
        let mut asked: Vec<&str> = Vec::new();
        let applied = std::mem::take(&mut self.applied);
        let wanted = |rule: &&Rule| rule.needed || (rule.required && applied.contains(&rule.id));
        for rule in block.rules.iter().filter(wanted) {
            let missing = match self.values.get(rule.field) {
                None | Some(Value::Null) => true,
                Some(Value::Array(items)) => items.is_empty(),
                Some(_) => false,
            };
            // One issue a field: the parts of a list are asked together, and an issue of the rule
            // itself already says why there is nothing.
            let same =
                |issue: &Issue| issue.rule == *rule.address && issue.severity == Severity::Error;
            if missing && !asked.contains(&rule.field) && !self.issues.iter().any(same) {
                asked.push(rule.field);
                let line = rule.line.clone();
                self.issue(
                    (Code::RequiredMissing, Severity::Error),
                    &rule.place,
                    rule,
                    &line,
                );
            }
        }
    }
}

/// Whether several rules may add to the field.
const fn is_list(rule: &Rule) -> bool {
    match &rule.body {
        Body::All(_) | Body::Objects(_) => true,
        Body::One(valuer) => matches!(valuer.shape, super::plan::Shape::Texts),
        Body::Cases(_) => false,
    }
}
