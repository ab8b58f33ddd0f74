//! `careloop mapping`: check, test and try mappings without a database.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{CONFIGURATION, DATA, output, survey};
use crate::failure::Code;
use crate::hl7::{self, CharsetError, Header, Message, ReadError};
use crate::mapping::{Bundle, Context, Issue, Layer, Mapped, Outcome, Severity, examples};
use crate::vault::{IndexKey, Key};

/// Commands about mappings.
#[derive(Subcommand)]
pub(super) enum MappingCommand {
    /// Map files and show what comes out: one JSON object a message.
    Try {
        /// A layer over the base packs: a name, or a file ending in .toml. Repeatable, in order.
        #[arg(long = "overlay", value_name = "NAME|FILE")]
        overlays: Vec<String>,
        /// The zone of times without an offset (IANA).
        #[arg(long, default_value = "UTC")]
        zone: String,
        /// JSON is the only form; the option says so.
        #[arg(long)]
        json: bool,
        /// Files with one or more HL7 v2 messages.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Map whole folders and show the shares of mapped, ignored and held messages, with reasons.
    Survey {
        /// A layer over the base packs: a name, or a file ending in .toml. Repeatable, in order.
        #[arg(long = "overlay", value_name = "NAME|FILE")]
        overlays: Vec<String>,
        /// The zone of times without an offset (IANA).
        #[arg(long, default_value = "UTC")]
        zone: String,
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
            overlays,
            zone,
            json: _,
            files,
        } => attempt(&overlays, &zone, &files),
        MappingCommand::Survey {
            overlays,
            zone,
            folders,
        } => survey::run(&overlays, &zone, &folders),
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

fn attempt(overlays: &[String], zone: &str, files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let Some(bundle) = compile(overlays) else {
        return Ok(ExitCode::from(CONFIGURATION));
    };
    let Some(zone) = zone_of(zone) else {
        return Ok(ExitCode::from(super::USAGE));
    };
    let mut unreadable = false;
    for file in files {
        match std::fs::read(file) {
            Ok(bytes) => messages(&bundle, &zone, &file.display().to_string(), &bytes)?,
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

fn messages(bundle: &Bundle, zone: &TimeZone, file: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let split = hl7::split(bytes);
    // Lines that belong to no message are part of the account, as they are in the daemon.
    let pieces = split.messages.iter().chain(&split.stray);
    for (index, range) in pieces.enumerate() {
        let piece = bytes.get(range.clone()).unwrap_or_default();
        let mapped = map(bundle, zone, piece);
        let header = Header::read(piece).ok();
        output::json_line(&Line {
            file: file.to_owned(),
            index,
            message_type: header
                .as_ref()
                .map(Header::message_type)
                .unwrap_or_default(),
            control_id: header.map(|header| header.control_id).unwrap_or_default(),
            outcome: mapped.outcome.name(),
            changes: mapped
                .changes
                .iter()
                .map(|change| LineChange {
                    entity: change.entity,
                    values: change.values.open(),
                })
                .collect(),
            issues: issues(&mapped),
        })?;
    }
    Ok(())
}

pub(super) fn map(bundle: &Bundle, zone: &TimeZone, piece: &[u8]) -> Mapped {
    let message = match Message::read(piece, None) {
        Ok(message) => message,
        Err(error) => return unreadable(&error),
    };
    // References are hashed with the tenant's key; without one, a fixed key shows their form.
    let key = Key::from_root_text(&[0_u8; 32]).map(|key| IndexKey::new(&key));
    let hash = |parts: &[&str]| {
        key.as_ref()
            .map_or_else(|_no_key| String::new(), |key| key.reference(parts))
    };
    let mut mapped = bundle.apply(
        &message,
        message.header(),
        &Context {
            zone,
            hash: &hash,
            endpoint: "",
        },
    );
    for anomaly in message.anomalies() {
        let at = format!("segment {} ({})", anomaly.segment, anomaly.kind.code());
        mapped
            .issues
            .push(issue_of_text(Code::Unparseable, at, Severity::Warning));
    }
    mapped
}

/// An issue of the text itself, before any rule.
fn issue_of_text(code: Code, at: String, severity: Severity) -> Issue {
    Issue {
        code,
        at,
        rule: String::new(),
        file: String::new(),
        line: 0,
        severity,
    }
}

fn unreadable(error: &ReadError) -> Mapped {
    let code = match error {
        ReadError::Header(_) => Code::NoHeader,
        ReadError::Charset(CharsetError::Unsupported { .. }) => Code::CharsetUnsupported,
        ReadError::Charset(CharsetError::Undecodable { .. }) => Code::CharsetUndecodable,
        ReadError::Parse(_) => Code::Unparseable,
    };
    Mapped {
        outcome: Outcome::Held {
            code,
            place: error.to_string(),
        },
        changes: Vec::new(),
        issues: vec![issue_of_text(code, "MSH".to_owned(), Severity::Error)],
        trace: Vec::new(),
    }
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
