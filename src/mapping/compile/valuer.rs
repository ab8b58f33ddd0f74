//! Compiling one value: where it is read, what is done with it, and whether it fits its target.

use serde_json::{Value, json};

use crate::crm::FieldType;

use super::super::plan::{Convert, Lookup, OnBad, OnNull, Shape, Source, Term, Unmapped, Valuer};
use super::super::tree::{Entry, Kind, Node, Place, Table};
use super::{Compiler, target};

/// What `fn` may name.
const FUNCTIONS: &[(&str, Function)] = &[
    ("date", Function::Text(Convert::Date)),
    ("instant", Function::Text(Convert::Instant)),
    ("phone", Function::Text(Convert::Phone)),
    ("email", Function::Text(Convert::Email)),
    ("flag", Function::Text(Convert::Flag)),
    ("trim", Function::Text(Convert::AsIs)),
    ("upper", Function::Text(Convert::Upper)),
    ("lower", Function::Text(Convert::Lower)),
    ("minutes_after", Function::MinutesAfter),
    ("reference", Function::Reference),
    ("concept", Function::Concept),
];
const ON_BAD: &[(&str, OnBad)] = &[("hold", OnBad::Hold), ("ignore", OnBad::Ignore)];
const ON_NULL: &[(&str, OnNull)] = &[("clear", OnNull::Clear), ("ignore", OnNull::Ignore)];
const UNMAPPED: &[(&str, Unmapped)] = &[
    ("hold", Unmapped::Hold),
    ("pass", Unmapped::Pass),
    ("null", Unmapped::Null),
    ("ignore", Unmapped::Ignore),
    ("default", Unmapped::Default),
];
/// Keys that say where a value comes from, with the keys that may go with each.
const KINDS: &[(&str, &[&str])] = &[
    ("value", &[]),
    (
        "from",
        &[
            "fn", "table", "unmapped", "default", "on_null", "on_bad", "split",
        ],
    ),
    ("list", &["split", "on_null"]),
    (
        "join",
        &[
            "with", "fn", "table", "unmapped", "default", "on_null", "on_bad",
        ],
    ),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Function {
    Text(Convert),
    MinutesAfter,
    Reference,
    Concept,
}

/// What a value is for.
pub(super) struct Target<'t> {
    /// Its name in diagnostics.
    pub(super) name: &'t str,
    pub(super) kind: FieldType,
    /// Whether relative paths have something to be relative to.
    pub(super) relative: bool,
    /// Keys of the surroundings that stand in the same table, such as `when`.
    pub(super) others: &'t [&'t str],
    pub(super) on_null: OnNull,
    pub(super) on_bad: OnBad,
}

impl Compiler<'_, '_> {
    /// Compiles a value; `None`, with the reason noted, when it cannot be.
    pub(super) fn valuer(&mut self, table: &Table, at: Place, to: &Target<'_>) -> Option<Valuer> {
        let function = self.problems.word(table, "fn", FUNCTIONS);
        let misnamed = function.is_none() && table.get("fn").is_some();
        let on_null = self.on_null(table, to.on_null);
        let on_bad = self.on_bad(table, to.on_bad);
        let points = function == Some(Function::Reference) && table.get("from").is_some();
        let convert = match function {
            Some(Function::Text(convert)) => self.of_language(convert),
            Some(Function::Reference) if points && !self.is_hl7() => Convert::FhirReference,
            _ => Convert::AsIs,
        };
        // What else is wrong with the value is told together with the function's name.
        let plain = KINDS.iter().any(|(key, _)| table.get(key).is_some());
        let found = match function {
            Some(Function::MinutesAfter) => self.minutes_after(table, at, to),
            Some(Function::Reference) if convert == Convert::AsIs => self.reference(table, at, to),
            Some(Function::Concept) => self.concept(table, at, to),
            _ if misnamed && !plain => None,
            _ => self.plain_source(table, at, (to, convert)),
        };
        let lookup = self.lookup(table, to);
        let (source, deciding) = found.filter(|_| !misnamed)?;
        let default = self.default(table, at, to, lookup);
        self.fits(&source, convert, lookup, (to, deciding));
        let shape = match to.kind {
            FieldType::Flag => Shape::Flag,
            FieldType::Texts if !matches!(source, Source::Constant(_)) => Shape::Texts,
            _ => Shape::Text,
        };
        let line = self.line(deciding);
        Some(Valuer {
            source,
            convert,
            lookup,
            default,
            on_null,
            on_bad,
            shape,
            line,
        })
    }

    /// Dates are written otherwise in FHIR.
    const fn of_language(&self, convert: Convert) -> Convert {
        match convert {
            Convert::Date if !self.is_hl7() => Convert::FhirDate,
            Convert::Instant if !self.is_hl7() => Convert::FhirInstant,
            other => other,
        }
    }

    pub(super) fn on_null(&mut self, table: &Table, otherwise: OnNull) -> OnNull {
        self.problems
            .word(table, "on_null", ON_NULL)
            .unwrap_or(otherwise)
    }

    pub(super) fn on_bad(&mut self, table: &Table, otherwise: OnBad) -> OnBad {
        self.problems
            .word(table, "on_bad", ON_BAD)
            .unwrap_or(otherwise)
    }

    /// `value`, `from`, `list` or `join`.
    fn plain_source(
        &mut self,
        table: &Table,
        at: Place,
        (to, convert): (&Target<'_>, Convert),
    ) -> Option<(Source, Place)> {
        let kinds = KINDS.iter().filter(|(key, _)| table.get(key).is_some());
        let found: Vec<&(&str, &[&str])> = kinds.collect();
        let [(key, keys)] = found.as_slice() else {
            let expected = "one of value, from, list, join, or a function's arguments";
            let names: Vec<&str> = found.iter().map(|(key, _)| *key).collect();
            let found = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(" and ")
            };
            let message = format!("{}: where does the value come from?", to.name);
            self.problems.report(at, message, expected, found);
            self.only(table, &["value", "from", "list", "join", "fn"], to);
            return None;
        };
        self.only(table, &[&[*key], *keys].concat(), to);
        let entry = table.entry(key)?;
        let source = self.source(key, table, (entry, to, convert))?;
        Some((source, entry.at))
    }

    /// What one of the keys of [`KINDS`] says.
    fn source(
        &mut self,
        key: &str,
        table: &Table,
        (entry, to, convert): (&Entry, &Target<'_>, Convert),
    ) -> Option<Source> {
        Some(match key {
            "value" => {
                if to.name.ends_with(".concept")
                    && let Some(name) = entry.node.text()
                {
                    self.concept_id(name, entry.node.at);
                }
                Source::Constant(self.constant(&entry.node, to)?)
            }
            "from" if to.kind == FieldType::Texts => {
                let text = self.problems.as_text(key, &entry.node)?;
                let items = vec![self.terms(text, entry.node.at, to.relative)];
                self.only_texts(items.first()?, entry.node.at);
                Source::List {
                    items,
                    split: self.split(table),
                }
            }
            "from" => {
                let text = self.problems.as_text(key, &entry.node)?;
                let terms = match convert {
                    Convert::FhirReference => self.pointing(text, entry.node.at),
                    _ => self.terms(text, entry.node.at, to.relative),
                };
                self.one_text(&terms, entry.node.at);
                Source::Paths(terms)
            }
            "list" => {
                let items = self.items(table, key, to);
                for terms in &items {
                    self.only_texts(terms, entry.node.at);
                }
                Source::List {
                    items,
                    split: self.split(table),
                }
            }
            _ => {
                let items = self.items(table, key, to);
                for terms in &items {
                    self.one_text(terms, entry.node.at);
                }
                let with = self.problems.text(table, "with").unwrap_or(" ").to_owned();
                Source::Join { items, with }
            }
        })
    }

    fn split(&mut self, table: &Table) -> Option<String> {
        let (text, at) = self.problems.text_entry(table, "split")?;
        if text.is_empty() {
            self.problems.report(
                at,
                "nothing to split at",
                "a text of one or more characters",
                "none",
            );
            return None;
        }
        Some(text.to_owned())
    }

    /// A list of alternatives.
    pub(super) fn items(&mut self, table: &Table, key: &str, to: &Target<'_>) -> Vec<Vec<Term>> {
        let texts = self.problems.texts(table, key);
        texts
            .into_iter()
            .map(|(text, at)| self.terms(text, at, to.relative))
            .collect()
    }

    /// Refuses keys that have no meaning with this kind of source.
    pub(super) fn only(&mut self, table: &Table, keys: &[&str], to: &Target<'_>) {
        self.problems.known_keys(table, &[keys, to.others].concat());
    }

    /// A constant of the target's type.
    pub(super) fn constant(&mut self, node: &Node, to: &Target<'_>) -> Option<Value> {
        let fits = match (&node.kind, to.kind) {
            (Kind::Flag(flag), FieldType::Flag) => Ok(json!(flag)),
            (Kind::Text(text), kind) => target::constant(text, kind),
            (_, kind) => Err(target::describe(kind)),
        };
        match fits {
            Ok(value) => Some(value),
            Err(expected) => {
                let message = format!("{}: a constant that does not fit", to.name);
                let diagnostic = self
                    .problems
                    .report(node.at, message, expected, node.found());
                if let (FieldType::Word(words), Some(text)) = (to.kind, node.text()) {
                    diagnostic.did_you_mean(text, words.iter().copied());
                }
                None
            }
        }
    }

    fn lookup(&mut self, table: &Table, to: &Target<'_>) -> Option<Lookup> {
        let unmapped = self.problems.word(table, "unmapped", UNMAPPED);
        let Some((name, at)) = self.problems.text_entry(table, "table") else {
            if let Some(entry) = table.entry("unmapped") {
                let message = "`unmapped` without a table";
                self.problems
                    .report(entry.at, message, "`table = \"…\"` beside it", "none");
            }
            return None;
        };
        let id = self.table_id(name, at)?;
        let unmapped = unmapped.unwrap_or(Unmapped::Hold);
        if let FieldType::Word(words) = to.kind {
            self.rows_fit(id, words, to);
            if unmapped == Unmapped::Pass {
                let at = table.get("unmapped").map_or(at, |node| node.at);
                let message = format!("{}: only closed words may stand here", to.name);
                let expected = "hold, null, ignore or default";
                self.problems
                    .report(at, message, expected, "`pass`, which lets any text through");
            }
        }
        Some(Lookup {
            table: id,
            unmapped,
        })
    }

    /// Every row must give a word of the target.
    fn rows_fit(&mut self, id: usize, words: &[&str], to: &Target<'_>) {
        let Some(table) = self.knowledge.table(id) else {
            return;
        };
        for row in table
            .rows()
            .filter(|row| !words.contains(&row.value.as_str()))
        {
            let message = format!("table `{}` is used for {}", table.name, to.name);
            let expected = format!("one of {}", words.join(", "));
            let diagnostic =
                self.problems
                    .report(row.at, message, expected, format!("`{}`", row.value));
            diagnostic.did_you_mean(&row.value, words.iter().copied());
        }
    }

    fn default(
        &mut self,
        table: &Table,
        at: Place,
        to: &Target<'_>,
        lookup: Option<Lookup>,
    ) -> Option<Value> {
        let default = table
            .get("default")
            .and_then(|node| self.constant(node, to));
        let wanted = lookup.is_some_and(|lookup| lookup.unmapped == Unmapped::Default);
        if wanted && table.get("default").is_none() {
            let message = "`unmapped = \"default\"` without a default";
            self.problems
                .report(at, message, "`default = \"…\"` beside it", "none");
        }
        default
    }

    /// Whether what comes out can be read by the model.
    fn fits(
        &mut self,
        source: &Source,
        convert: Convert,
        lookup: Option<Lookup>,
        (to, at): (&Target<'_>, Place),
    ) {
        let text = match source {
            Source::Constant(_) => return,
            Source::MinutesAfter(_) => "an instant",
            Source::Reference { .. } | Source::Concept { .. } => "a text",
            Source::List { .. } => "a list of texts",
            Source::Paths(_) | Source::Join { .. } => match convert {
                _ if lookup.is_some() => "a row of a table",
                Convert::Date | Convert::FhirDate => "a date",
                Convert::Instant | Convert::FhirInstant => "an instant",
                Convert::Flag => "true or false",
                Convert::AsIs | Convert::Upper | Convert::Lower | Convert::FhirReference => {
                    "a text"
                }
                Convert::Phone | Convert::Email => "a text",
            },
        };
        let (fits, hint) = match to.kind {
            FieldType::Text => (!matches!(text, "true or false" | "a list of texts"), ""),
            FieldType::Flag => (text == "true or false", "use `fn = \"flag\"`, or `cases`"),
            FieldType::Date => (text == "a date", "use `fn = \"date\"`"),
            FieldType::Moment => (
                matches!(text, "a date" | "an instant"),
                "use `fn = \"instant\"`",
            ),
            FieldType::Word(_) => (text == "a row of a table", "use a `table`, or `cases`"),
            FieldType::Texts => (text == "a list of texts", "use `list = [\"…\"]`"),
            FieldType::Objects(_) => (false, "use `each` and `fields`"),
        };
        if !fits {
            let message = format!("{}: the value does not fit", to.name);
            let diagnostic =
                self.problems
                    .report(at, message, target::describe(to.kind), text.to_owned());
            if !hint.is_empty() {
                diagnostic.hint(hint);
            }
        }
    }
}
