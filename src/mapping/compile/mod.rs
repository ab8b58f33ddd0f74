//! From merged trees to a plan: every name resolved, every path and type checked.

mod block;
mod condition;
mod files;
mod functions;
mod objects;
mod segments;
mod target;
mod terms;
mod valuer;

use std::collections::HashMap;
use std::sync::Arc;

use crate::hl7::Path;

use super::diagnostic::Problems;
use super::knowledge::Knowledge;
use super::layers::{PACK_KEYS, is_block};
use super::plan::{Body, Line, Pack, RuleInfo, RuleKey, Term};
use super::tree::{Entry, Place, Table};

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
}

impl Compiler<'_, '_> {
    /// Compiles a merged pack.
    fn pack(&mut self, table: &Table) -> Pack {
        self.variables(table);
        let per = match self.problems.text_entry(table, "per") {
            Some((name, at)) => self.segment(name, at).then(|| name.to_owned()),
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
            self.problems.known_keys(var, &["from"]);
            self.problems.needed_text(var, entry.at, "from");
            if let Some((text, at)) = self.problems.text_entry(var, "from") {
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

    /// The coded fields among the terms.
    fn coded(&mut self, terms: &[Term], at: Place) -> Vec<Path> {
        let mut paths = Vec::new();
        for term in terms {
            match term {
                Term::Path(path) if path.relative().component().is_none() => {
                    paths.push(path.clone());
                }
                Term::Path(path) => {
                    let message = "a concept is looked up by a whole coded field";
                    let expected = format!("{}-{}", path.segment(), path.field());
                    self.problems
                        .report(at, message, expected, path.to_string());
                }
                Term::Relative(path) => {
                    let message = "a concept is looked up by a whole coded field";
                    self.problems
                        .report(at, message, "such as OBX-3", path.to_string());
                }
            }
        }
        paths
    }

    /// Notes a rule for lists and coverage; the answer is its number.
    fn register(&mut self, address: &str, entry: &Entry, body: &Body) -> usize {
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
            cases: case_names(body),
        });
        self.rules.len() - 1
    }
}

/// What the cases of a rule are called in lists of untouched ones; in the order of their numbers.
fn case_names(body: &Body) -> Vec<String> {
    match body {
        Body::One(_) => Vec::new(),
        Body::Cases(cases) | Body::All(cases) => (1..=cases.len())
            .map(|number| format!("case {number}"))
            .collect(),
        Body::Objects(objects) => {
            let with_cases = objects
                .fields
                .iter()
                .filter(|field| field.first_case.is_some());
            with_cases
                .flat_map(|field| {
                    (1..=field.cases.len()).map(|number| format!("{} case {number}", field.name))
                })
                .collect()
        }
    }
}
