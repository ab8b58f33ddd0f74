//! `careloop mapping survey`: how much of whole folders of messages or resources is mapped, ignored or held, and
//! why. It shows counts and places, never a value.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::samples::{How, Reader, Sample};
use super::{DATA, output};
use crate::failure::Code;
use crate::mapping::Outcome;

/// How the messages of one folder ended.
#[derive(Clone, Copy, Default)]
struct Tally {
    files: usize,
    mapped: usize,
    ignored: usize,
    held: usize,
}

/// Why messages were ignored or held: how often, and at which places how often.
#[derive(Default)]
struct Reason {
    count: usize,
    places: BTreeMap<String, usize>,
}

/// Everything that is found in the folders.
#[derive(Default)]
struct Survey {
    folders: BTreeMap<PathBuf, Tally>,
    reasons: BTreeMap<(&'static str, Code), Reason>,
    unreadable: usize,
}

/// Maps every message of every file below `folders` and prints what became of them.
pub(super) fn run(how: How, folders: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let reader = match Reader::new(how) {
        Ok(reader) => reader,
        Err(code) => return Ok(ExitCode::from(code)),
    };
    let mut survey = Survey::default();
    for folder in folders {
        survey.folder(folder, &reader);
    }
    survey.print()?;
    Ok(if survey.unreadable > 0 {
        ExitCode::from(DATA)
    } else {
        ExitCode::SUCCESS
    })
}

impl Survey {
    /// Every file of a folder, then every folder in it.
    fn folder(&mut self, folder: &Path, reader: &Reader) {
        let mut entries = match list(folder) {
            Ok(entries) => entries,
            Err(error) => return self.fail(folder, &error),
        };
        entries.sort();
        for entry in &entries {
            if entry.is_dir() {
                self.folder(entry, reader);
                continue;
            }
            match std::fs::read(entry) {
                Ok(bytes) => self.file(folder, &bytes, reader),
                Err(error) => self.fail(entry, &error),
            }
        }
    }

    fn fail(&mut self, path: &Path, error: &io::Error) {
        self.unreadable += 1;
        output::error(&format!(
            "{}: cannot be read ({})",
            path.display(),
            error.kind()
        ));
    }

    /// Every message of a file, and its lines that belong to none: a daemon holds those. Or every resource.
    fn file(&mut self, folder: &Path, bytes: &[u8], reader: &Reader) {
        let tally = self.folders.entry(folder.to_owned()).or_default();
        tally.files += 1;
        let reasons = &mut self.reasons;
        let Ok(()) = reader.each(bytes, |sample| {
            tally.note(sample, reasons);
            Ok::<(), std::convert::Infallible>(())
        });
    }

    fn print(&self) -> io::Result<()> {
        let mut all = Tally::default();
        let mut rows = Vec::with_capacity(self.folders.len() + 1);
        for (folder, tally) in &self.folders {
            rows.push(tally.row(folder.display().to_string()));
            all.add(tally);
        }
        rows.push(all.row("all".to_owned()));
        let headers = ["folder", "files", "messages", "mapped", "ignored", "held"];
        output::table(&headers, rows)?;
        let mut reasons: Vec<(&(&'static str, Code), &Reason)> = self.reasons.iter().collect();
        reasons.sort_by_key(|((outcome, _), reason)| {
            (std::cmp::Reverse(*outcome), std::cmp::Reverse(reason.count))
        });
        let rows = reasons.into_iter().map(|((outcome, code), reason)| {
            vec![
                (*outcome).to_owned(),
                code.name().to_owned(),
                reason.count.to_string(),
                reason.most_often(),
                code.meaning().to_owned(),
            ]
        });
        let headers = ["outcome", "reason", "count", "most often", "meaning"];
        output::table(&headers, rows)
    }
}

impl Tally {
    fn note(&mut self, sample: Sample, reasons: &mut BTreeMap<(&'static str, Code), Reason>) {
        let outcome = sample.mapped.outcome;
        let name = outcome.name();
        let (code, place) = match outcome {
            Outcome::Mapped => {
                self.mapped += 1;
                return;
            }
            Outcome::Ignored { code, place } => {
                self.ignored += 1;
                // What no pack takes is told by its type.
                let is_resource = code == Code::NoMapping && place == "resourceType";
                (code, if is_resource { sample.kind } else { place })
            }
            Outcome::Held { code, place } => {
                self.held += 1;
                (code, place)
            }
        };
        let reason = reasons.entry((name, code)).or_default();
        reason.count += 1;
        *reason.places.entry(place).or_default() += 1;
    }

    const fn messages(&self) -> usize {
        self.mapped + self.ignored + self.held
    }

    fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.mapped += other.mapped;
        self.ignored += other.ignored;
        self.held += other.held;
    }

    fn row(&self, folder: String) -> Vec<String> {
        let share = |count: usize| {
            // In tenths of a percent, rounded to the nearest.
            let tenths = (count * 1_000 + self.messages() / 2) / self.messages().max(1);
            format!("{count} ({}.{} %)", tenths / 10, tenths % 10)
        };
        vec![
            folder,
            self.files.to_string(),
            self.messages().to_string(),
            share(self.mapped),
            share(self.ignored),
            share(self.held),
        ]
    }
}

impl Reason {
    /// The most frequent place and how often it was it.
    fn most_often(&self) -> String {
        let most = self.places.iter().max_by_key(|(_, count)| **count);
        most.map_or_else(String::new, |(place, count)| format!("{place} ({count})"))
    }
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect()
}
