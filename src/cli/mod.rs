//! The commands: their names, arguments and help. Every error ends with what to do next.

mod backup;
mod check;
mod consent;
mod context;
mod crm;
mod demo;
mod directives;
mod holds;
mod http;
mod identity;
mod import;
mod keys;
mod mapping;
mod message;
mod outreach;
pub mod output;
mod person;
mod rotate;
mod samples;
mod serve;
mod status;
mod story;
mod survey;
mod task;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config;
use crate::outbox::events::TASK_EVENT_SCHEMA;
use crate::outbox::schema::OUTREACH_TASK_TEXT;
use context::said;

/// Exit code for a wrong command line (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;
/// Exit code for input that cannot be read (`EX_DATAERR`).
const DATA: u8 = 65;
/// Exit code for a wrong configuration, mapping or rule (`EX_CONFIG`).
const CONFIGURATION: u8 = 78;

/// An EHR integration hub: HL7 v2 in, consent-checked outreach tasks out, nothing lost.
#[derive(Parser)]
#[command(name = "careloop", version, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Clone)]
pub(super) struct Global {
    /// The configuration file; without it `careloop.toml` is read where there is one.
    #[arg(long, short, global = true)]
    config: Option<PathBuf>,
    /// The tenant, where the configuration has several.
    #[arg(long, global = true)]
    tenant: Option<String>,
}

/// Who asks and why; reading protected data leaves an audit entry with both.
#[derive(Args, Clone)]
pub(super) struct Asker {
    /// The name of the person who asks.
    #[arg(long, value_parser = said)]
    operator: String,
    /// Why: treatment, operations, support.
    #[arg(long, value_parser = ["treatment", "operations", "support"])]
    purpose: String,
}

/// Who decides something that cannot be told from data, and why.
#[derive(Args)]
pub(super) struct Why {
    /// The name of the person who decides.
    #[arg(long, value_parser = said)]
    operator: String,
    /// What was found and why it decides; it is kept sealed.
    #[arg(long, value_parser = said)]
    reason: String,
}

#[derive(Subcommand)]
enum Command {
    /// See the whole hub at work on this machine, with invented people.
    Demo(demo::DemoArgs),
    /// Run the hub until SIGTERM or Ctrl-C.
    Serve,
    /// How sources, teams and agreements stand, and what is in trouble, with its first step.
    Status(status::StatusArgs),
    /// Find everything that can be wrong before starting, all at once.
    Check,
    /// Show the configuration's manual.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make the root key, rotate keys, or show what each one protects.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Copy an embedded (SQLite) store to a file while it is in use.
    Backup(backup::BackupArgs),
    /// Create or upgrade a PostgreSQL schema as its owner (`store.owner_url`).
    Migrate,
    /// Try and test mappings; needs no database.
    #[command(subcommand)]
    Mapping(mapping::MappingCommand),
    /// Count, list, show and replay messages.
    #[command(subcommand)]
    Message(message::MessageCommand),
    /// List people, show one with everything that points to them, include them in the pilot.
    #[command(subcommand)]
    Person(person::PersonCommand),
    /// Decide who is who: doubtful messages, proposed links, merges undone.
    #[command(subcommand)]
    Identity(identity::IdentityCommand),
    /// List tasks, and why some did not leave.
    #[command(subcommand)]
    Task(task::TaskCommand),
    /// Stop and resume all outreach; preview what would leave.
    #[command(subcommand)]
    Outreach(outreach::OutreachCommand),
    /// Make, list and revoke the service tokens with which a CRM reads tasks and answers.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Try the way of a task and of its answer with the CRM.
    #[command(subcommand)]
    Crm(crm::CrmCommand),
    /// Record, import, show and withdraw consent, and lift restrictions that were read.
    #[command(subcommand)]
    Consent(consent::ConsentCommand),
    /// Print the JSON Schema of what is exchanged with a CRM.
    Schema {
        /// Which message.
        #[arg(value_parser = ["outreach-task", "task-event"])]
        message: String,
    },
    /// Print the version.
    Version,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print the defaults with their meaning; a configuration starts as a copy of it.
    Default,
}

/// Runs one command line and says how it ended.
pub async fn run(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> ExitCode {
    let arguments: Vec<std::ffi::OsString> = arguments.into_iter().collect();
    let program = arguments.first().map(|name| name.to_string_lossy());
    let program = program.map_or_else(|| "careloop".to_owned(), std::borrow::Cow::into_owned);
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let is_help = !error.use_stderr();
            if error.print().is_err() || is_help {
                return ExitCode::SUCCESS;
            }
            return ExitCode::from(USAGE);
        }
    };
    match dispatch(cli, &program).await {
        Ok(code) => code,
        Err(error) => {
            output::error(&format!("careloop: {error:#}"));
            ExitCode::from(code_of(&error))
        }
    }
}

/// The exit code of a failure: whose fault it is.
fn code_of(error: &anyhow::Error) -> u8 {
    let set_up = matches!(
        error.downcast_ref::<crate::store::Error>(),
        Some(
            crate::store::Error::Setup(_)
                | crate::store::Error::NoTenant(_)
                | crate::store::Error::RootKey(_)
        )
    );
    if set_up || error.is::<context::Misconfigured>() {
        CONFIGURATION
    } else if error.is::<context::Misused>() {
        USAGE
    } else if error.is::<context::Unreadable>() {
        DATA
    } else {
        1
    }
}

async fn dispatch(cli: Cli, program: &str) -> anyhow::Result<ExitCode> {
    let global = cli.global;
    match cli.command {
        Command::Demo(args) => demo::run(args, program).await?,
        Command::Serve => serve::serve(&global).await?,
        Command::Status(args) => status::run(&global, args).await?,
        Command::Outreach(command) => outreach::run(&global, command).await?,
        Command::Check => return check::check(&global).await,
        Command::Config(ConfigCommand::Default) => output::line(config::DEFAULTS)?,
        Command::Keys(command) => keys::run(&global, command).await?,
        Command::Backup(args) => backup::run(&global, args).await?,
        Command::Migrate => keys::migrate(&global).await?,
        Command::Mapping(command) => return mapping::run(command),
        Command::Message(command) => message::run(&global, command).await?,
        Command::Person(command) => person::run(&global, command).await?,
        Command::Crm(command) => return crm::run(&global, command).await,
        Command::Identity(command) => identity::run(&global, command).await?,
        Command::Task(command) => task::run(&global, command).await?,
        Command::Token(command) => token::run(&global, command).await?,
        Command::Consent(command) => consent::run(&global, command).await?,
        Command::Schema { message } => output::line(match message.as_str() {
            "task-event" => TASK_EVENT_SCHEMA,
            _ => OUTREACH_TASK_TEXT,
        })?,
        Command::Version => output::line(concat!("careloop ", env!("CARGO_PKG_VERSION")))?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
#[path = "documents_tests.rs"]
mod documents;

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn flags(command: &clap::Command, all: &mut Vec<(String, String)>) {
        for flag in command
            .get_arguments()
            .filter_map(clap::Arg::get_long_and_visible_aliases)
        {
            let names = flag.into_iter().map(str::to_owned);
            all.extend(names.map(|flag| (command.get_name().to_owned(), flag)));
        }
        command
            .get_subcommands()
            .for_each(|inner| flags(inner, all));
    }

    #[test]
    fn who_acts_is_named_by_operator_everywhere() {
        let mut all = Vec::new();
        flags(&Cli::command(), &mut all);
        let has = |command: &str, flag: &str| all.iter().any(|(c, f)| c == command && f == flag);
        for (command, flag) in &all {
            assert!(
                !["by", "user", "actor", "who"].contains(&flag.as_str()),
                "{command} --{flag}"
            );
            let asks = ["reason", "purpose"].contains(&flag.as_str());
            assert!(!asks || has(command, "operator"), "{command} --{flag}");
        }
        for command in ["lift", "link", "keep-apart", "unmerge"] {
            assert!(
                has(command, "operator") && has(command, "reason"),
                "{command}"
            );
        }
    }

    #[test]
    fn a_name_of_blanks_is_no_name() {
        let id = "01981a2b-0000-7000-8000-000000000001";
        for command in [
            format!("consent revoke {id}"),
            format!("token revoke {id}"),
            "token create --name crm --scope task:content --purpose TREAT".to_owned(),
            "keys rotate tenant".to_owned(),
            "keys rotate root".to_owned(),
            format!("message replay --id {id}"),
            format!("identity unmerge {id} --reason why"),
            "outreach stop --purpose operations".to_owned(),
        ] {
            let words = |name| {
                let command = std::iter::once("careloop").chain(command.split(' '));
                let command: Vec<&str> = command.chain(["--operator", name]).collect();
                Cli::try_parse_from(command)
            };
            assert!(words("Test Officer").is_ok(), "{command}");
            let error = words(" ").err().unwrap().to_string();
            let says = error.contains("--operator") && error.contains("found nothing");
            assert!(says, "{command}: {error}");
        }
    }
}
