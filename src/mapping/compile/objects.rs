//! Compiling a list of objects: what it goes over, and the fields of each object.

use crate::crm::{Entity, FieldType};
use crate::hl7::Path;

use super::super::layers::target as without_mark;
use super::super::plan::{Case, Elements, ObjectField, Objects, OnBad, OnNull};
use super::super::tree::{Entry, Kind, Place, Table};
use super::block::{RULE_KEYS, field_name};
use super::valuer::Target;
use super::{Compiler, target};

/// The fields of an object in the model.
type Fields = &'static [(&'static str, FieldType)];

impl Compiler<'_, '_> {
    /// Compiles a rule with `each` and `fields`.
    pub(super) fn objects(
        &mut self,
        table: &Table,
        at: Place,
        (entity, address, known): (&Entity, &str, Fields),
    ) -> Option<Objects> {
        let keys = [
            &["each", "fields", "skip_if_blank", "where", "on_null"],
            RULE_KEYS,
        ]
        .concat();
        self.problems.known_keys(table, &keys);
        self.problems.needed_text(table, at, "each")?;
        let (text, each_at) = self.problems.text_entry(table, "each")?;
        let around = self.focus.clone();
        let each = if self.is_hl7() {
            self.elements(text, each_at)?
        } else {
            let (term, scope) = self.fhir_each(text, each_at)?;
            self.focus = Some(scope);
            Elements::Parts(term)
        };
        let found = self.each_object(table, at, (entity, address, known), each);
        self.focus = around;
        found
    }

    fn each_object(
        &mut self,
        table: &Table,
        at: Place,
        (entity, address, known): (&Entity, &str, Fields),
        each: Elements,
    ) -> Option<Objects> {
        let relative = matches!(each, Elements::Repetitions(_));
        let filter = match self.problems.text_entry(table, "where") {
            Some((text, at)) => self.condition(text, at, relative),
            None => None,
        };
        let Some(wanted) = self.problems.table(table, "fields") else {
            let message = format!("{address}: a list of objects needs `fields`");
            self.problems
                .report(at, message, "`fields = { value = \".1\" }`", "none");
            return None;
        };
        let field = field_name(without_mark(address.rsplit('.').next().unwrap_or_default()));
        let needed = target::needed(entity, field, known);
        for name in needed.iter().filter(|name| wanted.get(name).is_none()) {
            let message = format!("{address}: the model needs `{name}` in each object");
            let at = table.entry("fields").map_or(at, |entry| entry.at);
            self.problems
                .report(at, message, format!("`{name} = …` in `fields`"), "none");
        }
        let mut fields = Vec::new();
        let mut numbered = 0;
        for entry in &wanted.entries {
            let Some((name, kind)) = known.iter().find(|(name, _)| *name == entry.key) else {
                let names = known.iter().map(|(name, _)| *name);
                self.problems
                    .unknown(&format!("field of {address}"), entry.at, &entry.key, names);
                continue;
            };
            let cases = self.object_field(entry, (address, *kind, relative));
            let listed = entry.node.table().and_then(|table| table.get("cases"));
            let first_case = listed.map(|_| numbered);
            numbered += match listed.map(|node| &node.kind) {
                Some(Kind::List(items)) => items.len(),
                _ => 0,
            };
            fields.push(ObjectField {
                name,
                cases,
                first_case,
            });
        }
        let skip_if_blank = self.skipped(table, known);
        let on_null = self.on_null(table, OnNull::Clear);
        Some(Objects {
            each,
            filter,
            fields,
            skip_if_blank,
            needed,
            on_null,
        })
    }

    fn skipped(&mut self, table: &Table, known: Fields) -> Vec<&'static str> {
        let mut found = Vec::new();
        for (wanted, at) in self.problems.texts(table, "skip_if_blank") {
            match known.iter().find(|(name, _)| *name == wanted) {
                Some((name, _)) => found.push(*name),
                None => {
                    self.problems
                        .unknown("field", at, wanted, known.iter().map(|(name, _)| *name));
                }
            }
        }
        found
    }

    fn object_field(
        &mut self,
        entry: &Entry,
        (address, kind, relative): (&str, FieldType, bool),
    ) -> Vec<Case> {
        let name = format!("{address}.{}", entry.key);
        let mut to = Target {
            name: &name,
            kind,
            relative,
            others: &[],
            on_null: OnNull::Ignore,
            on_bad: OnBad::Hold,
        };
        let short;
        let table = match &entry.node.kind {
            Kind::Table(table) => table,
            // `family = ".1"` is short for `family = { from = ".1" }`.
            Kind::Text(_) => {
                let from = Entry {
                    key: "from".to_owned(),
                    at: entry.at,
                    node: entry.node.clone(),
                };
                short = Table {
                    entries: vec![from],
                };
                &short
            }
            _ => {
                self.problems.wrong(&name, &entry.node, "a path or a table");
                return Vec::new();
            }
        };
        if table.get("cases").is_some() {
            self.problems
                .known_keys(table, &["cases", "on_null", "on_bad"]);
            to.on_null = self.on_null(table, to.on_null);
            to.on_bad = self.on_bad(table, to.on_bad);
            return self.cases(table, "cases", &to);
        }
        let value = self.valuer(table, entry.at, &to);
        value
            .into_iter()
            .map(|value| Case {
                number: 0,
                when: None,
                value,
            })
            .collect()
    }

    fn elements(&mut self, text: &str, at: Place) -> Option<Elements> {
        if text.len() == 3 && !text.contains('-') {
            return self
                .segment(text, at)
                .then(|| Elements::Segment(text.to_owned()));
        }
        let mut sum = Vec::new();
        for part in text.split('+') {
            let paths: Vec<Path> = part
                .split('|')
                .filter_map(|path| self.path(path.trim(), at))
                .collect();
            if let Some(path) = paths
                .iter()
                .find(|path| path.relative().component().is_some())
            {
                let message = "`each` goes over the repetitions of a whole field";
                let expected = format!("{}-{}", path.segment(), path.field());
                self.problems
                    .report(at, message, expected, format!("{path}"));
            }
            sum.push(paths);
        }
        Some(Elements::Repetitions(sum))
    }
}
