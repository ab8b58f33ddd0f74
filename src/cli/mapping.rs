//! `careloop mapping`: check, test and try mappings without a database.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Map, Value};

use super::samples::{How, Reader};
use super::{CONFIGURATION, DATA, output, survey};
use crate::mapping::{Bundle, Layer, Mapped, Outcome, examples};

/// Commands about mappings.
#[derive(Subcommand)]
pub(super) enum MappingCommand {
    /// Map files and show what comes out: one JSON object a message or resource.
    Try {
        #[command(flatten)]
        how: How,
        /// JSON is the only form; the option says so.
        #[arg(long)]
        json: bool,
        /// Files with one or more HL7 v2 messages, or with a FHIR resource, a Bundle or NDJSON.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Map whole folders and show the shares of mapped, ignored and held messages or resources, with reasons.
    Survey {
        #[command(flatten)]
        how: How,
        /// Folders; those in them are read too.
        #[arg(required = true)]
        folders: Vec<PathBuf>,
    },
    /// Run every example beside the mappings in a folder.
    Test {
        /// The folder with the packs.
        #[arg(default_value = "mappings")]
        folder: PathBuf,
    },
    /// Compile the packs with layers and list every rule with the file and line that set it.
    Check {
        /// A layer over the base packs: a name, or a file ending in .toml. Repeatable, in order.
        #[arg(long = "overlay", value_name = "NAME|FILE")]
        overlays: Vec<String>,
    },
}

/// Runs a command about mappings.
pub(super) fn run(command: MappingCommand) -> anyhow::Result<ExitCode> {
    match command {
        MappingCommand::Try {
            how,
            json: _,
            files,
        } => attempt(how, &files),
        MappingCommand::Survey { how, folders } => survey::run(how, &folders),
        MappingCommand::Test { folder } => {
            let report = examples::run_folder(&folder);
            output::line(&report.to_string())?;
            if report.cases == 0 {
                output::error(
                    "no example was found; name the folder that holds hl7v2/, tables/ and concepts/",
                );
            }
            Ok(if report.is_ok() && report.cases > 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(CONFIGURATION)
            })
        }
        MappingCommand::Check { overlays } => {
            let Some(bundle) = compile(&overlays) else {
                return Ok(ExitCode::from(CONFIGURATION));
            };
            let rows = bundle.rules().map(|rule| {
                vec![
                    rule.address.clone(),
                    format!("{}:{}", rule.file, rule.line),
                    rule.layer.clone().unwrap_or_default(),
                ]
            });
            output::table(&["rule", "set at", "layer"], rows)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

pub(super) fn compile(overlays: &[String]) -> Option<Bundle> {
    let layers: Vec<Layer> = overlays
        .iter()
        .map(|name| Layer::from_argument(name))
        .collect();
    match Bundle::embedded(&layers) {
        Ok(bundle) => Some(bundle),
        Err(diagnostics) => {
            for diagnostic in diagnostics {
                output::error(&diagnostic.to_string());
            }
            None
        }
    }
}

/// The zone of this name, or an error for who asked.
pub(super) fn zone_of(name: &str) -> Option<TimeZone> {
    let zone = TimeZone::get(name).ok();
    if zone.is_none() {
        output::error(
            "--zone: expected an IANA zone such as America/New_York; see `timedatectl list-timezones`",
        );
    }
    zone
}

/// One line of `careloop mapping try --json`.
#[derive(Serialize)]
struct Line<'a> {
    file: String,
    index: usize,
    #[serde(rename = "type")]
    message_type: String,
    control_id: String,
    outcome: &'static str,
    changes: Vec<LineChange<'a>>,
    issues: Vec<LineIssue>,
}

#[derive(Serialize)]
struct LineChange<'a> {
    entity: &'a str,
    values: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct LineIssue {
    code: &'static str,
    at: String,
    rule: String,
    file: String,
    line: u32,
    severity: &'static str,
}

fn attempt(how: How, files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let reader = match Reader::new(how) {
        Ok(reader) => reader,
        Err(code) => return Ok(ExitCode::from(code)),
    };
    let mut unreadable = false;
    for file in files {
        match std::fs::read(file) {
            Ok(bytes) => samples(&reader, &file.display().to_string(), &bytes)?,
            Err(error) => {
                unreadable = true;
                output::error(&format!(
                    "{}: cannot be read ({})",
                    file.display(),
                    error.kind()
                ));
            }
        }
    }
    Ok(if unreadable {
        ExitCode::from(DATA)
    } else {
        ExitCode::SUCCESS
    })
}

fn samples(reader: &Reader, file: &str, bytes: &[u8]) -> std::io::Result<()> {
    let mut index = 0;
    reader.each(bytes, |sample| {
        let changes = sample.mapped.changes.iter().map(|change| LineChange {
            entity: change.entity,
            values: change.values.open(),
        });
        let told = output::json_line(&Line {
            file: file.to_owned(),
            index,
            message_type: sample.kind,
            control_id: sample.id,
            outcome: sample.mapped.outcome.name(),
            changes: changes.collect(),
            issues: issues(&sample.mapped),
        });
        index += 1;
        told
    })
}

fn issues(mapped: &Mapped) -> Vec<LineIssue> {
    let mut issues: Vec<LineIssue> = mapped
        .issues
        .iter()
        .map(|issue| LineIssue {
            code: issue.code.name(),
            at: issue.at.clone(),
            rule: issue.rule.clone(),
            file: issue.file.clone(),
            line: issue.line,
            severity: issue.severity.name(),
        })
        .collect();
    if let Outcome::Ignored { code, place } = &mapped.outcome {
        issues.push(LineIssue {
            code: code.name(),
            at: place.clone(),
            rule: String::new(),
            file: String::new(),
            line: 0,
            severity: "warning",
        });
    }
    issues
}
