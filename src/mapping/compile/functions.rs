//! Compiling the functions that take more than one place.

use super::super::plan::{MinutesAfter, Source, Term, Unit};
use super::super::tree::{Place, Table};
use super::Compiler;
use super::valuer::Target;

const UNITS: &[(&str, Unit)] = &[
    ("s", Unit::Seconds),
    ("min", Unit::Minutes),
    ("h", Unit::Hours),
    ("d", Unit::Days),
];
const MINUTES_AFTER: &[&str] = &["fn", "start", "amount", "unit", "on_bad"];
const REFERENCE: &[&str] = &["fn", "parts", "assigner", "hashed"];
const CONCEPT: &[&str] = &["fn", "from", "system", "concepts", "default"];

impl Compiler<'_, '_> {
    /// An end from a start and a length.
    pub(super) fn minutes_after(
        &mut self,
        table: &Table,
        at: Place,
        to: &Target<'_>,
    ) -> Option<(Source, Place)> {
        self.only(table, MINUTES_AFTER, to);
        if !self.is_hl7() {
            let message = "`minutes_after` is of HL7 v2";
            self.problems
                .report(at, message, "another function", "it")
                .hint("resources say an end; where they do not, leave it out");
            return None;
        }
        let start = self.needed_terms(table, at, "start", to)?;
        let amount = self.needed_terms(table, at, "amount", to)?;
        let unit_at = table.get("unit").map_or(at, |node| node.at);
        let Some(unit) = self.problems.table(table, "unit") else {
            let expected = "`unit = { from = \"SCH-10.1\", missing = \"min\" }`";
            self.problems
                .report(unit_at, "the unit must be stated", expected, "none");
            return None;
        };
        self.problems.known_keys(unit, &["from", "missing"]);
        let terms = match self.problems.text_entry(unit, "from") {
            Some((text, at)) => self.terms(text, at, to.relative),
            None => Vec::new(),
        };
        self.problems.needed_text(unit, unit_at, "missing");
        let unit_missing = self.problems.word(unit, "missing", UNITS)?;
        let after = MinutesAfter {
            start,
            amount,
            unit: terms,
            unit_missing,
        };
        let deciding = table.entry("start").map_or(at, |entry| entry.at);
        Some((Source::MinutesAfter(Box::new(after)), deciding))
    }

    fn needed_terms(
        &mut self,
        table: &Table,
        at: Place,
        key: &str,
        to: &Target<'_>,
    ) -> Option<Vec<Term>> {
        self.problems.needed_text(table, at, key)?;
        let (text, at) = self.problems.text_entry(table, key)?;
        Some(self.terms(text, at, to.relative))
    }

    /// A reference without any code: something that is no code, or a keyed hash, or both.
    pub(super) fn reference(
        &mut self,
        table: &Table,
        at: Place,
        to: &Target<'_>,
    ) -> Option<(Source, Place)> {
        self.only(table, REFERENCE, to);
        let parts = self.texts_of(table, "parts", to);
        let hashed = self.texts_of(table, "hashed", to);
        let assigner = match self.problems.text_entry(table, "assigner") {
            Some((text, at)) => self.terms(text, at, to.relative),
            None => Vec::new(),
        };
        if parts.is_empty() && hashed.is_empty() {
            let message = "a reference needs something to point with";
            let expected = "`parts = [\"OBR-3.1\"]`, or what is `hashed`";
            self.problems.report(at, message, expected, "none");
        }
        let deciding = table.entry("parts").or_else(|| table.entry("hashed"));
        let deciding = deciding.map_or(at, |entry| entry.at);
        let source = Source::Reference {
            parts,
            assigner,
            hashed,
        };
        Some((source, deciding))
    }

    fn texts_of(&mut self, table: &Table, key: &str, to: &Target<'_>) -> Vec<Vec<Term>> {
        let items = self.items(table, key, to);
        if let Some(node) = table.get(key) {
            for terms in &items {
                self.one_text(terms, node.at);
            }
        }
        items
    }

    /// A concept that a coded field belongs to.
    pub(super) fn concept(
        &mut self,
        table: &Table,
        at: Place,
        to: &Target<'_>,
    ) -> Option<(Source, Place)> {
        self.only(table, CONCEPT, to);
        let terms = self.needed_terms(table, at, "from", to)?;
        let entry_at = table.entry("from").map_or(at, |entry| entry.at);
        self.coded(&terms, entry_at);
        let system = match self.problems.text_entry(table, "system") {
            Some((text, at)) => self.terms(text, at, to.relative),
            None => Vec::new(),
        };
        if let Some((name, at)) = self.problems.text_entry(table, "default") {
            self.concept_id(name, at);
        }
        let names = self.problems.texts(table, "concepts");
        let among = names
            .into_iter()
            .filter_map(|(name, at)| self.concept_id(name, at))
            .collect();
        Some((
            Source::Concept {
                coded: terms,
                system,
                among,
            },
            entry_at,
        ))
    }
}
