//! Tables of local codes, and concepts: names of our own vocabulary for lists of codes.

use std::collections::HashMap;

use super::diagnostic::Problems;
use super::tree::{Entry, Place, Table};

/// The table that gives a code system's canonical name for the spellings of HL7 v2.
const CODE_SYSTEMS: &str = "code_systems";
/// Matches every code system, and none.
const ANY_SYSTEM: &str = "*";

/// Every table and concept of a bundle.
#[derive(Default)]
pub(super) struct Knowledge {
    tables: Vec<CodeTable>,
    concepts: Vec<String>,
    codes: HashMap<String, Vec<Membership>>,
    prefixes: Vec<(String, Membership)>,
}

/// One table: local code to our word.
pub(super) struct CodeTable {
    pub(super) name: String,
    fold_case: bool,
    rows: HashMap<String, Row>,
}

/// A row of a table.
pub(super) struct Row {
    pub(super) value: String,
    pub(super) at: Place,
}

/// That a code of a system belongs to a concept.
struct Membership {
    system: String,
    concept: usize,
}

impl CodeTable {
    /// Our word for a local code.
    pub(super) fn get(&self, code: &str) -> Option<&str> {
        self.rows.get(&self.key(code)).map(|row| row.value.as_str())
    }

    /// Every row.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    fn key(&self, code: &str) -> String {
        if self.fold_case {
            code.trim().to_lowercase()
        } else {
            code.trim().to_owned()
        }
    }

    /// Adds rows; a row that is already there is replaced by a layer and refused otherwise.
    fn add(&mut self, rows: &Table, replace: bool, problems: &mut Problems<'_>) {
        for entry in &rows.entries {
            let Some(value) = problems.as_text(&entry.key, &entry.node) else {
                continue;
            };
            let row = Row {
                value: value.to_owned(),
                at: entry.node.at,
            };
            let key = self.key(&entry.key);
            if self.rows.insert(key, row).is_some() && !replace {
                let found = format!("`{}` again", entry.key);
                let message = format!("table `{}` has this code twice", self.name);
                problems.report(
                    entry.at,
                    message,
                    "each code once (compare `fold_case`)",
                    found,
                );
            }
        }
    }
}

impl Knowledge {
    /// The number of a table.
    pub(super) fn table_id(&self, name: &str) -> Option<usize> {
        self.tables.iter().position(|table| table.name == name)
    }

    /// The table of a number.
    pub(super) fn table(&self, id: usize) -> Option<&CodeTable> {
        self.tables.get(id)
    }

    /// Every table's name.
    pub(super) fn table_names(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().map(|table| table.name.as_str())
    }

    /// The number of a concept.
    pub(super) fn concept_id(&self, name: &str) -> Option<usize> {
        self.concepts.iter().position(|concept| concept == name)
    }

    /// The key of a concept.
    pub(super) fn concept(&self, id: usize) -> Option<&str> {
        self.concepts.get(id).map(String::as_str)
    }

    /// Every concept's key.
    pub(super) fn concept_names(&self) -> impl Iterator<Item = &str> {
        self.concepts.iter().map(String::as_str)
    }

    /// The first concept `among` these (all, when empty) that a code belongs to.
    pub(super) fn concept_of(&self, code: &str, system: &str, among: &[usize]) -> Option<usize> {
        let code = normal_code(code);
        let system = self.canonical(system);
        let exact = self.codes.get(&code).into_iter().flatten();
        let starts = self
            .prefixes
            .iter()
            .filter(|(prefix, _)| code.starts_with(prefix.as_str()));
        let mut found: Vec<usize> = exact
            .chain(starts.map(|(_, membership)| membership))
            .filter(|one| one.system == system || one.system == ANY_SYSTEM)
            .map(|one| one.concept)
            .collect();
        found.sort_unstable();
        if among.is_empty() {
            return found.first().copied();
        }
        among.iter().find(|id| found.contains(id)).copied()
    }

    /// A code system's own name; another spelling stays as it is, in lower case.
    fn canonical(&self, system: &str) -> String {
        let table = self.table_id(CODE_SYSTEMS).and_then(|id| self.table(id));
        let known = table.and_then(|table| table.get(system));
        known.unwrap_or_else(|| system.trim()).to_lowercase()
    }

    /// Adds the tables of a file `tables/*.toml`.
    pub(super) fn add_tables(&mut self, file: &Table, problems: &mut Problems<'_>) {
        for (entry, table) in problems.tables(file) {
            problems.known_keys(table, &["fold_case", "source", "map"]);
            problems.text(table, "source");
            let fold_case = problems.flag(table, "fold_case").unwrap_or(false);
            if table.get("map").is_none() {
                let message = format!("table `{}` has no rows", entry.key);
                problems.report(entry.at, message, format!("`[{}.map]`", entry.key), "none");
            }
            if self.table_id(&entry.key).is_some() {
                let message = format!("table `{}` is defined twice", entry.key);
                problems.report(entry.at, message, "one table of this name", "a second one");
                continue;
            }
            let name = entry.key.clone();
            let mut new = CodeTable {
                name,
                fold_case,
                rows: HashMap::new(),
            };
            if let Some(rows) = problems.table(table, "map") {
                new.add(rows, false, problems);
            }
            self.tables.push(new);
        }
    }

    /// Adds a file `concepts/*.toml`. All tables must be there already.
    pub(super) fn add_concept(&mut self, file: &Table, at: Place, problems: &mut Problems<'_>) {
        problems.known_keys(file, &["concept", "title", "source", "codes"]);
        for key in ["title", "source"] {
            problems.needed_text(file, at, key);
        }
        let Some(key) = problems.needed_text(file, at, "concept") else {
            return;
        };
        if self.concept_id(key).is_some() {
            let message = format!("concept `{key}` is defined twice");
            problems.report(at, message, "one concept of this name", "a second one");
        }
        self.concepts.push(key.to_owned());
        self.add_codes(self.concepts.len() - 1, file, at, problems);
    }

    fn add_codes(&mut self, concept: usize, table: &Table, at: Place, problems: &mut Problems<'_>) {
        let lists = problems.list(table, "codes");
        if table.get("codes").is_none() {
            let expected = "`[[codes]]`, or `codes = []` where no code tells it";
            problems.report(at, "a concept without codes", expected, "none");
        }
        for node in lists {
            let Some(list) = problems.as_table("codes", node) else {
                continue;
            };
            problems.known_keys(list, &["system", "codes", "prefixes"]);
            let Some(system) = problems.needed_text(list, node.at, "system") else {
                continue;
            };
            let system = self.canonical(system);
            let member = || Membership {
                system: system.clone(),
                concept,
            };
            let codes = problems.texts(list, "codes");
            let prefixes = problems.texts(list, "prefixes");
            if codes.is_empty() && prefixes.is_empty() {
                problems.report(
                    node.at,
                    "a list without codes",
                    "`codes` or `prefixes`",
                    "none",
                );
            }
            for (code, _) in codes {
                self.codes
                    .entry(normal_code(code))
                    .or_default()
                    .push(member());
            }
            for (prefix, place) in prefixes {
                let normal = normal_code(prefix);
                if normal.is_empty() {
                    problems.report(place, "a prefix of nothing", "a part of a code", "a blank");
                    continue;
                }
                self.prefixes.push((normal, member()));
            }
        }
    }

    /// Adds what `[tables.NAME]` of a pack (`layer` false: new tables too) or a layer says.
    pub(super) fn extend_tables(&mut self, more: &Table, layer: bool, problems: &mut Problems<'_>) {
        for (entry, rows) in problems.tables(more) {
            match self.tables.iter_mut().find(|table| table.name == entry.key) {
                Some(table) => table.add(rows, layer, problems),
                None if layer => {
                    let known: Vec<&str> = self.table_names().collect();
                    problems.unknown("table", entry.at, &entry.key, known.into_iter());
                }
                None => {
                    let name = entry.key.clone();
                    let mut table = CodeTable {
                        name,
                        fold_case: false,
                        rows: HashMap::new(),
                    };
                    table.add(rows, false, problems);
                    self.tables.push(table);
                }
            }
        }
    }

    /// Adds what `[[concepts.NAME.codes]]` of a layer says.
    pub(super) fn extend_concepts(&mut self, more: &Table, problems: &mut Problems<'_>) {
        for (entry, table) in problems.tables(more) {
            problems.known_keys(table, &["codes"]);
            match self.concept_id(&entry.key) {
                Some(concept) => self.add_codes(concept, table, entry.at, problems),
                None => self.unknown_concept(entry, problems),
            }
        }
    }

    fn unknown_concept(&self, entry: &Entry, problems: &mut Problems<'_>) {
        problems.unknown("concept", entry.at, &entry.key, self.concept_names());
    }
}

/// A code as it is compared: senders leave out the dot of `E11.9` and mix the case.
fn normal_code(code: &str) -> String {
    code.trim()
        .chars()
        .filter(|c| *c != '.')
        .flat_map(char::to_uppercase)
        .collect()
}
