//! Compiling a block: the entity that it emits, its loop, and its rules.

use std::sync::Arc;

use crate::crm::{Entity, FieldType, entity};

use super::super::layers::target as without_mark;
use super::super::plan::{Block, Body, Case, Each, OnBad, OnNull, Rule};
use super::super::tree::{Entry, Kind, Node, Place, Table};
use super::fhir::Outside;
use super::valuer::Target;
use super::{Compiler, target};

/// The names that `emit` may take, for "did you mean".
pub(super) const ENTITIES: &[&str] = &[
    "Patient",
    "Appointment",
    "Referral",
    "Order",
    "Answer",
    "Pointer",
    "Consent",
    "Merge",
    "Move",
    "IdentifierChange",
    "Link",
];
/// Keys of a rule that do not say where its value comes from.
pub(super) const RULE_KEYS: &[&str] = &["when", "required", "gate", "sealed", "add", "release"];

impl Compiler<'_, '_> {
    /// Compiles a block; `None`, with the reason noted, when it emits nothing known.
    pub(super) fn block(&mut self, entry: &Entry) -> Option<Block> {
        let table = self.problems.as_table(&entry.key, &entry.node)?;
        self.problems
            .known_keys(table, &["emit", "when", "each", "set", "release"]);
        if !self.counts(table) {
            return None;
        }
        let emit = self.problems.needed_text(table, entry.at, "emit")?;
        let Some(entity) = entity(emit) else {
            let at = table.get("emit").map_or(entry.at, |node| node.at);
            self.problems
                .unknown("entity", at, emit, ENTITIES.iter().copied());
            return None;
        };
        let each = table.get("each").and_then(|node| self.each(node));
        let when = match self.problems.text_entry(table, "when") {
            Some((text, at)) => self.condition(text, at, false),
            None => None,
        };
        let mut rules = Vec::new();
        for rule in self
            .problems
            .table(table, "set")
            .into_iter()
            .flat_map(|set| &set.entries)
        {
            rules.extend(self.rule(&entry.key, entity, rule));
        }
        self.complete(entry, entity, table);
        self.focus = None;
        // Gates first: a block that is left out must not leave issues behind.
        rules.sort_by_key(|rule| !rule.gate);
        Some(Block {
            name: entry.key.clone(),
            entity: entity.name,
            when,
            each,
            rules,
        })
    }

    /// The model's required fields need a rule, and no target may have two.
    fn complete(&mut self, entry: &Entry, entity: &Entity, table: &Table) {
        let set = table.get("set").and_then(Node::table);
        let rules = || set.into_iter().flat_map(|set| &set.entries);
        for required in entity.required {
            let mut given = rules().filter(|rule| field_name(&rule.key) == *required);
            if !given.any(|rule| rule.node.table().is_none_or(|table| self.counts(table))) {
                let message = format!("{} needs a rule for `{required}`", entity.name);
                let expected = format!("`[{}.set.{required}]`", entry.key);
                self.problems.report(entry.at, message, expected, "none");
            }
        }
        for (place, rule) in rules().enumerate() {
            let same = |other: &&Entry| without_mark(&other.key) == without_mark(&rule.key);
            if rules().take(place).any(|other| same(&other)) {
                let message = format!("`{}` has two rules", without_mark(&rule.key));
                self.problems.report(
                    rule.at,
                    message,
                    "one rule, or a tag such as `names[other]`",
                    "a second one",
                );
            }
        }
    }

    fn each(&mut self, node: &Node) -> Option<Each> {
        if !self.is_hl7() {
            let text = self.problems.as_text("each", node)?;
            let (term, scope) = self.fhir_each(text, node.at)?;
            self.focus = Some(scope);
            return Some(Each::Elements(term));
        }
        if let Kind::Text(name) = &node.kind {
            return self
                .segment(name, node.at)
                .then(|| Each::Segment(name.clone()));
        }
        let Some(table) = node.table() else {
            self.problems
                .wrong("each", node, "a segment's name or `{ group = [\"ORC\"] }`");
            return None;
        };
        self.problems
            .known_keys(table, &["group", "stop", "inside"]);
        let anchors = self.segments(table, "group");
        let stop = self.segments(table, "stop");
        let inside = match self.problems.text_entry(table, "inside") {
            Some((name, at)) => self.segment(name, at).then(|| name.to_owned()),
            None => None,
        };
        if anchors.is_empty() {
            self.problems.report(
                node.at,
                "a group without anchor",
                "`group = [\"ORC\"]`",
                "none",
            );
        }
        Some(Each::Group {
            anchors,
            stop,
            inside,
        })
    }

    fn segments(&mut self, table: &Table, key: &str) -> Vec<String> {
        let names = self.problems.texts(table, key);
        names
            .into_iter()
            .filter(|(name, at)| self.segment(name, *at))
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    fn rule(&mut self, block: &str, entity: &Entity, entry: &Entry) -> Option<Rule> {
        let table = self.problems.as_table(&entry.key, &entry.node)?;
        if !self.counts(table) {
            return None;
        }
        let address = format!("{block}.{}", without_mark(&entry.key));
        let name = field_name(&entry.key);
        let known = entity.fields.iter().map(|(field, _)| *field);
        let Some((field, kind)) = entity.fields.iter().find(|(field, _)| *field == name) else {
            let what = format!("field of {}", entity.name);
            self.problems.unknown(&what, entry.at, name, known);
            return None;
        };
        let is_list = matches!(kind, FieldType::Texts | FieldType::Objects(_));
        if !is_list && entry.key.contains('[') {
            let expected = format!("`{field}`, without brackets");
            self.problems.report(
                entry.at,
                "this field is no list",
                expected,
                format!("`{}`", entry.key),
            );
        }
        let when = match self.problems.text_entry(table, "when") {
            Some((text, at)) => self.condition(text, at, false),
            None => None,
        };
        let gate = self.problems.flag(table, "gate").unwrap_or(false);
        let required = self.problems.flag(table, "required").unwrap_or(false);
        self.problems.flag(table, "sealed");
        let clearable = target::clearable(entity, field);
        let body = self.body(table, entry.at, (entity, &address, *kind))?;
        // A code that belongs to no concept is nothing that is kept, and no fault.
        let of_concept = matches!(table.get("fn").and_then(Node::text), Some("concept"));
        let gate = gate || (of_concept && table.get("default").is_none());
        let id = self.register(&address, entry);
        let (place, deciding) = asked(table, entry);
        Some(Rule {
            id,
            address: Arc::from(address),
            field,
            when,
            required: required && !gate,
            needed: entity.required.contains(field) && !gate,
            gate,
            clearable,
            place,
            line: self.line(deciding),
            body,
        })
    }

    fn body(
        &mut self,
        table: &Table,
        at: Place,
        (entity, address, kind): (&Entity, &str, FieldType),
    ) -> Option<Body> {
        let cases = [&["cases", "on_null", "on_bad"], RULE_KEYS].concat();
        let all = [&["all"], RULE_KEYS].concat();
        let mut to = Target {
            name: address,
            kind,
            relative: false,
            others: RULE_KEYS,
            on_null: OnNull::Clear,
            on_bad: OnBad::Hold,
        };
        if let FieldType::Objects(fields) = kind {
            let objects = self.objects(table, at, (entity, address, fields))?;
            return Some(Body::Objects(objects));
        }
        if table.get("cases").is_some() {
            self.problems.known_keys(table, &cases);
            to.on_null = self.on_null(table, to.on_null);
            to.on_bad = self.on_bad(table, to.on_bad);
            return Some(Body::Cases(self.cases(table, "cases", &to)));
        }
        if kind == FieldType::Texts && table.get("all").is_some() {
            self.problems.known_keys(table, &all);
            return Some(Body::All(self.cases(table, "all", &to)));
        }
        Some(Body::One(self.valuer(table, at, &to)?))
    }

    /// The items of `cases` or `all`.
    pub(super) fn cases(&mut self, table: &Table, key: &str, to: &Target<'_>) -> Vec<Case> {
        let items = self.problems.list(table, key);
        let mut cases = Vec::new();
        for (place, node) in items.iter().enumerate() {
            let Some(case) = self.problems.as_table(key, node) else {
                continue;
            };
            if !self.counts(case) {
                continue;
            }
            let when = self.problems.text_entry(case, "when");
            let is_bare = when.is_none() && case.get("release").is_none();
            if is_bare && key == "cases" && place + 1 < items.len() {
                let message = "a case without `when` that is not the last hides those after it";
                self.problems
                    .report(node.at, message, "`when = \"…\"`", "none");
            }
            let when = when.and_then(|(text, at)| self.condition(text, at, to.relative));
            let inner = Target {
                others: &["when", "release"],
                ..*to
            };
            if let Some(value) = self.valuer(case, node.at, &inner) {
                cases.push(Case {
                    number: place,
                    when,
                    value,
                });
            }
        }
        cases
    }
}

/// `names` of `names[alias]`.
pub(super) fn field_name(key: &str) -> &str {
    key.split('[').next().unwrap_or(key)
}

/// The place that a rule asks first, for an issue about nothing found, and the line that says so.
fn asked(table: &Table, entry: &Entry) -> (String, Place) {
    let keys = ["from", "each", "start"];
    let direct = keys.iter().find_map(|key| table.entry(key));
    let found = direct.and_then(|found| Some((found.node.text()?, found.at)));
    let in_cases = || {
        let Kind::List(cases) = &table.get("cases").or_else(|| table.get("parts"))?.kind else {
            return None;
        };
        cases.iter().find_map(|case| match &case.kind {
            Kind::Text(text) => Some((text.as_str(), case.at)),
            _ => Some((case.table()?.get("from")?.text()?, case.at)),
        })
    };
    match found.or_else(in_cases) {
        Some((text, at)) => {
            let first = first_place(text);
            (first.to_owned(), at)
        }
        None => (without_mark(&entry.key).to_owned(), entry.at),
    }
}

/// The first of several places: `|` and `+` in brackets part nothing.
fn first_place(text: &str) -> &str {
    let mut outside = Outside::default();
    let end = text.find(|c| outside.is_at(c) && matches!(c, '|' | '+'));
    end.and_then(|end| text.get(..end)).unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_emit_offers_is_an_entity() {
        assert!(ENTITIES.iter().all(|name| entity(name).is_some()));
    }
}
