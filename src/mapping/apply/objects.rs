//! Lists of objects: one for each repetition or segment.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::failure::Code;

use super::super::outcome::{Origin, Severity};
use super::super::plan::{Block, Line, Objects, OnNull, Rule};
use super::value::Got;
use super::{Draft, Here, Run};

/// Where a value came from, kept until its object is known to stay.
struct Note {
    name: &'static str,
    origin: Origin,
    table_row: bool,
    line: Line,
    case: Option<usize>,
}

impl Run<'_> {
    /// Adds the objects of a rule; whether there were any.
    pub(super) fn objects(
        &self,
        block: &Block,
        (rule, objects): (&Rule, &Objects),
        here: &Here<'_>,
        draft: &mut Draft,
    ) -> bool {
        let (elements, null) = here.elements(&objects.each);
        let mut any = false;
        let before = draft.values.get(rule.field).and_then(Value::as_array);
        let mut known: HashSet<String> =
            before.into_iter().flatten().map(Value::to_string).collect();
        for element in &elements {
            let wanted = objects.filter.as_ref();
            if wanted.is_some_and(|filter| !self.holds(filter, element)) {
                continue;
            }
            let Some((object, notes)) = self.object(rule, objects, element, draft) else {
                continue;
            };
            let object = Value::Object(object);
            if !known.insert(object.to_string()) {
                continue;
            }
            let list = draft.values.get(rule.field).and_then(Value::as_array);
            let place = list.map_or(0, Vec::len);
            draft.extend(rule.field, vec![object]);
            any = true;
            for note in notes {
                let target = format!("{}.{}[{place}].{}", block.name, rule.field, note.name);
                draft.note(
                    target,
                    rule,
                    (note.origin, note.table_row, &note.line),
                    note.case,
                );
            }
        }
        if elements.is_empty() && null && rule.clearable && objects.on_null == OnNull::Clear {
            draft.cleared.push(rule.field);
            let origin = Origin::Path(rule.place.clone());
            let target = format!("{}.{}", block.name, rule.field);
            draft.note(target, rule, (origin, false, &rule.line), None);
        }
        any
    }

    fn object(
        &self,
        rule: &Rule,
        objects: &Objects,
        element: &Here<'_>,
        draft: &mut Draft,
    ) -> Option<(Map<String, Value>, Vec<Note>)> {
        let mut object = Map::new();
        let mut notes = Vec::new();
        let before = draft.issues.len();
        for field in &objects.fields {
            let mut cases = field.cases.iter();
            let Some(case) = cases.find(|case| self.applies(case, element)) else {
                continue;
            };
            let found = self.value(&case.value, element, rule, draft);
            // Inside a list that is replaced as a whole, "delete" is the same as left out.
            let Got::Value(value) = found.got else {
                continue;
            };
            object.insert(field.name.to_owned(), value);
            notes.push(Note {
                name: field.name,
                origin: found.origin,
                table_row: found.table_row,
                line: found.line,
                case: field.first_case.map(|first| first + case.number),
            });
        }
        let blank = |name: &&'static str| !object.contains_key(*name);
        if !objects.skip_if_blank.is_empty() && objects.skip_if_blank.iter().all(blank) {
            // Doubts about an object that is not kept are of no interest; faults are.
            keep_errors(draft, before);
            return None;
        }
        if objects.needed.iter().any(blank) {
            let said_something = notes
                .iter()
                .any(|note| matches!(note.origin, Origin::Path(_)));
            let base = element.base().unwrap_or(&rule.place);
            if said_something && draft.issues.len() == before {
                let line = rule.line.clone();
                draft.issue(
                    (Code::RequiredMissing, Severity::Warning),
                    base,
                    rule,
                    &line,
                );
            }
            return None;
        }
        (!object.is_empty()).then_some((object, notes))
    }
}

fn keep_errors(draft: &mut Draft, before: usize) {
    let mut place = 0;
    draft.issues.retain(|issue| {
        place += 1;
        place <= before || issue.severity == Severity::Error
    });
}
