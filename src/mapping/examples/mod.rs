//! Runs the examples that lie beside the mappings: messages with what must come out.
//!
//! An example asserts values and, with `via`, where a value came from: a test that passes for the
//! wrong reason (an empty field and a default) is worth nothing. What no example touches is
//! counted and listed. Examples are invented people, so failures may show values.

mod check;
mod file;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::Path;

use super::Bundle;
use super::diagnostic::{Diagnostic, Problems};
use super::load::{Files, Layer};
use super::tree::{self, Sources};
use file::Case;

/// What the examples showed.
pub struct Report {
    /// How many were run.
    pub cases: usize,
    /// Mistakes in the mappings or in the example files themselves.
    pub diagnostics: Vec<Diagnostic>,
    /// What came out otherwise than expected.
    pub failures: Vec<Failure>,
    /// What was touched, by file.
    pub coverage: Vec<Coverage>,
}

/// Something that came out otherwise than expected.
pub struct Failure {
    /// The example's file.
    pub file: String,
    /// The line of the expectation.
    pub line: u32,
    /// The example's name.
    pub case: String,
    /// What was looked at, such as `appointment.status`.
    pub target: String,
    /// What the example says.
    pub expected: String,
    /// What came out.
    pub found: String,
}

/// How much of a file the examples touch.
pub struct Coverage {
    /// The file of the rules: a mapping or a fragment.
    pub file: String,
    /// How many rules and cases it has.
    pub parts: usize,
    /// Those that gave no value in any example.
    pub untouched: Vec<String>,
}

impl Report {
    /// Whether everything came out as expected.
    pub const fn is_ok(&self) -> bool {
        self.diagnostics.is_empty() && self.failures.is_empty()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}:{}: {}: {}",
            self.file, self.line, self.case, self.target
        )?;
        writeln!(f, "  expected {}", self.expected)?;
        write!(f, "  found    {}", self.found)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.diagnostics {
            writeln!(f, "{diagnostic}\n")?;
        }
        for failure in &self.failures {
            writeln!(f, "{failure}\n")?;
        }
        for coverage in &self.coverage {
            let touched = coverage.parts - coverage.untouched.len();
            writeln!(
                f,
                "{}: {touched} of {} rules and cases touched",
                coverage.file, coverage.parts
            )?;
            for part in &coverage.untouched {
                writeln!(f, "  untouched: {part}")?;
            }
        }
        let wrong = self.failures.len();
        write!(f, "{} examples, {wrong} failures", self.cases)
    }
}

/// Runs every example below a folder of mappings.
pub fn run_folder(dir: &Path) -> Report {
    match Files::read(dir) {
        Ok(files) => run(&files),
        Err(diagnostics) => Report {
            cases: 0,
            diagnostics,
            failures: Vec::new(),
            coverage: Vec::new(),
        },
    }
}

/// Runs every example among the files: those in folders named `*.examples`.
pub fn run(files: &Files) -> Report {
    let mut runner = Runner {
        report: Report {
            cases: 0,
            diagnostics: Vec::new(),
            failures: Vec::new(),
            coverage: Vec::new(),
        },
        parts: BTreeMap::new(),
        exercised: BTreeSet::new(),
    };
    let cases = runner.read(files);
    let base = match Bundle::compile(files, &[]) {
        Ok(base) => base,
        Err(diagnostics) => {
            runner.report.diagnostics.extend(diagnostics);
            return runner.report;
        }
    };
    for rule in base.rules() {
        let parts = runner.parts.entry(rule.file.clone()).or_default();
        parts.entry(rule.address.clone()).or_insert(false);
        for case in &rule.cases {
            parts
                .entry(format!("{} {case}", rule.address))
                .or_insert(false);
        }
    }
    // Layers of the same name may lie in several folders.
    let mut layered: HashMap<(&str, &[String]), Option<Bundle>> = HashMap::new();
    for case in &cases {
        if case.layers.is_empty() {
            runner.case(&base, case);
            continue;
        }
        let key = (folder_of(&case.file), case.layers.as_slice());
        let bundle = layered.entry(key).or_insert_with(|| {
            let layers = case
                .layers
                .iter()
                .map(|layer| named_layer(layer, &case.file, files));
            match Bundle::compile(files, &layers.collect::<Vec<_>>()) {
                Ok(bundle) => Some(bundle),
                Err(diagnostics) => {
                    runner.report.diagnostics.extend(diagnostics);
                    None
                }
            }
        });
        if let Some(bundle) = bundle {
            runner.case(bundle, case);
        }
    }
    runner.finish(&base)
}

/// A layer of an example: by name, or a file in the example's folder.
fn named_layer(name: &str, example: &str, files: &Files) -> Layer {
    let beside = format!("{}/{name}", folder_of(example));
    match files.get(&beside) {
        Some(text) => Layer::Text {
            name: beside,
            text: text.to_owned(),
        },
        None => Layer::from_argument(name),
    }
}

fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

struct Runner {
    report: Report,
    /// Whether a rule or case was touched, by file and name.
    parts: BTreeMap<String, BTreeMap<String, bool>>,
    /// Mappings that an example ran.
    exercised: BTreeSet<String>,
}

impl Runner {
    fn read(&mut self, files: &Files) -> Vec<Case> {
        let mut sources = Sources::default();
        for (name, text) in files.iter().filter(|(name, _)| is_example(name)) {
            sources.add(name, text);
        }
        let mut problems = Problems::new(&sources);
        let mut cases = Vec::new();
        for (number, name) in sources.names() {
            if let Some(table) = tree::parse(number, &mut problems)
                // A layer that an example names lies in the same folder.
                && table.get("extends").is_none() && table.get("layer").is_none()
            {
                cases.extend(file::read(&table, name, number, &mut problems));
            }
        }
        self.report.diagnostics.extend(problems.into_list());
        cases
    }

    fn case(&mut self, bundle: &Bundle, case: &Case) {
        self.report.cases += 1;
        self.exercised.insert(case.mapping.clone());
        let (failures, trace) = check::check(bundle, case);
        self.report.failures.extend(failures);
        for entry in trace {
            let Some(rule) = bundle.plan.rules.get(entry.rule_id) else {
                continue;
            };
            let Some(parts) = self.parts.get_mut(&rule.file) else {
                continue;
            };
            let name = entry.case.and_then(|case| rule.cases.get(case));
            let name = name.map(|name| format!("{} {name}", rule.address));
            for part in [Some(rule.address.clone()), name].into_iter().flatten() {
                parts.entry(part).and_modify(|touched| *touched = true);
            }
        }
    }

    fn finish(mut self, base: &Bundle) -> Report {
        for mapping in base
            .mappings()
            .filter(|name| !self.exercised.contains(*name))
        {
            self.report.failures.push(Failure {
                file: "examples".to_owned(),
                line: 0,
                case: mapping.to_owned(),
                target: "the mapping".to_owned(),
                expected: "at least one example".to_owned(),
                found: "none".to_owned(),
            });
        }
        for (file, parts) in self.parts {
            let untouched = parts.iter().filter(|(_, touched)| !**touched);
            let untouched = untouched.map(|(name, _)| name.clone()).collect();
            self.report.coverage.push(Coverage {
                file,
                parts: parts.len(),
                untouched,
            });
        }
        self.report
    }
}

fn is_example(name: &str) -> bool {
    let folders = ["hl7v2/", "fhir/"];
    folders.iter().any(|folder| name.starts_with(folder)) && name.contains(".examples/")
}
