//! The entity that a block is making: what its rules gave, and what is missing when all have spoken.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::failure::Code;

use super::super::outcome::{Issue, Origin, Severity, TraceEntry};
use super::super::plan::{Block, Body, Line, Rule, Shape};
use super::value::{Found, Got};

/// The entity that a block is making.
pub(super) struct Draft {
    pub(super) values: Map<String, Value>,
    pub(super) trace: Vec<TraceEntry>,
    pub(super) issues: Vec<Issue>,
    /// Rules whose `when` held, by number.
    pub(super) applied: Vec<usize>,
    /// Lists for which a rule said "delete".
    pub(super) cleared: Vec<&'static str>,
    pub(super) change: usize,
}

impl Draft {
    /// Nothing yet of the change with this number.
    pub(super) fn new(change: usize) -> Self {
        Self {
            values: Map::new(),
            trace: Vec::new(),
            issues: Vec::new(),
            applied: Vec::new(),
            cleared: Vec::new(),
            change,
        }
    }

    /// Puts a value where it belongs; whether there was one.
    pub(super) fn take(
        &mut self,
        block: &Block,
        rule: &Rule,
        found: Found,
        case: Option<usize>,
    ) -> bool {
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
    pub(super) fn extend(&mut self, field: &str, mut items: Vec<Value>) {
        let list = self
            .values
            .entry(field)
            .or_insert_with(|| Value::Array(Vec::new()));
        match list {
            Value::Array(list) => list.append(&mut items),
            other => *other = Value::Array(items),
        }
    }

    pub(super) fn note(
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

    pub(super) fn issue(
        &mut self,
        (code, severity): (Code, Severity),
        at: &str,
        rule: &Rule,
        line: &Line,
    ) {
        self.issues.push(Issue {
            code,
            at: at.to_owned(),
            rule: rule.address.to_string(),
            file: line.file.to_string(),
            line: line.line,
            severity,
        });
    }

    /// Takes away what a whole resource does not say; what it says in a form that cannot be read
    /// stays as it is.
    pub(super) fn clear_unsaid(&mut self, block: &Block) {
        let unsaid = |rule: &&Rule| rule.clearable && !rule.needed;
        for rule in block.rules.iter().filter(unsaid) {
            let doubted = self.issues.iter().any(|issue| issue.rule == *rule.address);
            if doubted || self.values.contains_key(rule.field) {
                continue;
            }
            self.values.insert(rule.field.to_owned(), Value::Null);
            let target = format!("{}.{}", block.name, rule.field);
            let origin = Origin::Path(rule.place.clone());
            self.note(target, rule, (origin, false, &rule.line), None);
        }
    }

    /// When all rules have spoken: lists that are to be deleted, and what is required.
    pub(super) fn settle(&mut self, block: &Block) {
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
        Body::One(valuer) => matches!(valuer.shape, Shape::Texts),
        Body::Cases(_) => false,
    }
}
