//! From merged trees to a plan: every name resolved, every path and type checked.

mod block;
mod condition;
mod fhir;
mod files;
mod functions;
mod objects;
mod routes;
mod segments;
mod target;
mod terms;
mod valuer;

use std::collections::HashMap;
use std::sync::Arc;

use crate::fhir::Scope;

use super::diagnostic::Problems;
use super::knowledge::Knowledge;
use super::layers::{PACK_KEYS, is_block};
use super::plan::{Line, Pack, RuleInfo, RuleKey, Term};
use super::tree::{Entry, Kind, Node, Place, Table};

use fhir::Language;

pub(super) use fhir::releases;
pub(super) use files::compile;

/// What is needed to compile one pack.
struct Compiler<'c, 's> {
    problems: &'c mut Problems<'s>,
    knowledge: &'c Knowledge,
    /// The layer of a file, by the file's number.
    layers: &'c HashMap<usize, String>,
    vars: HashMap<String, Vec<Term>>,
    rules: &'c mut Vec<RuleInfo>,
    mapping: String,
    language: Language,
    /// What relative paths of FHIR start at.
    focus: Option<Scope>,
}

impl Compiler<'_, '_> {
    /// Compiles a merged pack.
    fn pack(&mut self, table: &Table) -> Pack {
        self.variables(table);
        let per = match self.problems.text_entry(table, "per") {
            Some((name, at)) if self.is_hl7() => self.segment(name, at).then(|| name.to_owned()),
            Some((_, at)) => {
                let message = "`per` is of HL7 v2: a resource is about one thing";
                self.problems.report(at, message, "no `per` here", "one");
                None
            }
            None => None,
        };
        let mut blocks = Vec::new();
        for entry in table
            .entries
            .iter()
            .filter(|entry| is_block(entry, PACK_KEYS))
        {
            blocks.extend(self.block(entry));
        }
        // What is said about a thing belongs to the person named before it.
        blocks.sort_by_key(|block| block.entity != "Patient");
        Pack {
            name: self.mapping.clone(),
            per,
            blocks,
        }
    }

    fn variables(&mut self, table: &Table) {
        let Some(vars) = self.problems.table(table, "vars") else {
            return;
        };
        for (entry, var) in self.problems.tables(vars) {
            let chosen = self.of_release(var);
            self.problems.known_keys(chosen, &["from", "release"]);
            self.problems.needed_text(chosen, entry.at, "from");
            if let Some((text, at)) = self.problems.text_entry(chosen, "from") {
                let terms = self.terms(text, at, false);
                self.vars.insert(entry.key.clone(), terms);
            }
        }
    }

    /// The file and line of a place.
    fn line(&self, at: Place) -> Line {
        let sources = self.problems.sources();
        Line {
            file: Arc::from(sources.name(at)),
            line: sources.line(at),
        }
    }

    fn table_id(&mut self, name: &str, at: Place) -> Option<usize> {
        let id = self.knowledge.table_id(name);
        if id.is_none() {
            self.problems
                .unknown("table", at, name, self.knowledge.table_names());
        }
        id
    }

    fn concept_id(&mut self, name: &str, at: Place) -> Option<usize> {
        let id = self.knowledge.concept_id(name);
        if id.is_none() {
            self.problems
                .unknown("concept", at, name, self.knowledge.concept_names());
        }
        id
    }

    const fn is_hl7(&self) -> bool {
        matches!(self.language, Language::Hl7v2)
    }

    /// Refuses terms that are no coded places.
    fn coded(&mut self, terms: &[Term], at: Place) {
        self.only_coded(terms, at);
        for term in terms {
            let (expected, found) = match term {
                Term::Path(path) if path.relative().component().is_some() => {
                    let whole = format!("{}-{}", path.segment(), path.field());
                    (whole, path.to_string())
                }
                Term::Relative(path) => ("such as OBX-3".to_owned(), path.to_string()),
                Term::Own | Term::Endpoint => ("a coded element".to_owned(), "a text".to_owned()),
                Term::Path(_) | Term::Fhir(_) | Term::Part(_) => continue,
            };
            let message = "a concept is looked up by a whole coded field";
            self.problems.report(at, message, expected, found);
        }
    }

    /// Notes a rule for lists and coverage, once for all releases; the answer is its number.
    fn register(&mut self, address: &str, entry: &Entry) -> usize {
        let known = |rule: &RuleInfo| rule.mapping == self.mapping && rule.address == address;
        if let Some(id) = self.rules.iter().position(known) {
            return id;
        }
        let sources = self.problems.sources();
        let table = entry.node.table();
        let mut last = entry.at;
        let mut keys = Vec::new();
        for key in table.into_iter().flat_map(|table| &table.entries) {
            if self.layers.contains_key(&key.node.at.file) {
                last = key.node.at;
            }
            keys.push(RuleKey {
                key: key.key.clone(),
                text: sources.slice(key.node.at).to_owned(),
                file: sources.name(key.node.at).to_owned(),
                line: sources.line(key.node.at),
            });
        }
        self.rules.push(RuleInfo {
            mapping: self.mapping.clone(),
            address: address.to_owned(),
            file: sources.name(entry.at).to_owned(),
            line: sources.line(entry.at),
            layer: self.layers.get(&last.file).cloned(),
            keys,
            cases: table.map(case_names).unwrap_or_default(),
        });
        self.rules.len() - 1
    }
}

/// What the cases of a rule are called in lists of untouched ones; in the order of their numbers,
/// those of its fields included.
fn case_names(rule: &Table) -> Vec<String> {
    let mut names = numbered(rule, "");
    let fields = rule.get("fields").and_then(Node::table);
    for field in fields.into_iter().flat_map(|fields| &fields.entries) {
        let field_table = field.node.table();
        names.extend(
            field_table
                .into_iter()
                .flat_map(|table| numbered(table, &field.key)),
        );
    }
    names
}

fn numbered(table: &Table, field: &str) -> Vec<String> {
    let cases = table.get("cases").or_else(|| table.get("all"));
    let count = match cases.map(|node| &node.kind) {
        Some(Kind::List(items)) => items.len(),
        _ => 0,
    };
    let name = |number: usize| format!("{field} case {number}").trim_start().to_owned();
    (1..=count).map(name).collect()
}
