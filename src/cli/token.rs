//! `careloop token`: service tokens of the CRM, made, listed and revoked by named people.

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use super::consent::purpose;
use super::context::{Desk, Misused, said};
use super::{Global, output};
use crate::access::{LONGEST_DAYS, Scope, mint};
use crate::clock;
use crate::consent::Purpose;
use crate::store::{AuditEntry, TokenRow};

/// Days before its end from which a token is shown as ending.
const SOON_DAYS: i64 = 7;

/// Commands about service tokens.
#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it, once: only a hash of it is kept.
    Create(CreateArgs),
    /// List tokens, with what they permit, when they were last used and when they end.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// End a token at once, in running hubs as well.
    Revoke {
        /// The token's id, as `careloop token list` shows it.
        id: Uuid,
        /// The name of the person who revokes it.
        #[arg(long, value_parser = said)]
        operator: String,
    },
}

/// What a new token permits.
#[derive(Args)]
pub(super) struct CreateArgs {
    /// What it is for: 2 to 40 lower-case letters, digits and `-`, such as `crm-north`.
    #[arg(long, value_parser = name)]
    name: String,
    /// What it permits: task:content, decision:read, person:register, task-event:write.
    #[arg(long, value_parser = scope, value_delimiter = ',', required = true)]
    scope: Vec<Scope>,
    /// The purposes that may be stated with it: TREAT, HOPERAT, HMARKT, ETREAT.
    #[arg(long, value_parser = purpose, value_delimiter = ',', required = true)]
    purpose: Vec<Purpose>,
    /// After how many days it ends.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=i64::from(LONGEST_DAYS)))]
    days: u16,
    /// The name of the person who makes it.
    #[arg(long, value_parser = said)]
    operator: String,
}

fn scope(word: &str) -> Result<Scope, String> {
    Scope::from_name(word).ok_or_else(|| format!("expected one of {}", Scope::WORDS.join(", ")))
}

/// A name such as those of the configuration: no person's name can stand in it by habit.
fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = (2..=40).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(fits);
    is_name.then(|| text.to_owned()).ok_or_else(|| {
        "expected 2 to 40 lower-case letters, digits and `-`, beginning with a letter".to_owned()
    })
}

/// Runs a command about service tokens.
pub(super) async fn run(global: &Global, command: TokenCommand) -> anyhow::Result<()> {
    let desk = global.open().await?;
    match command {
        TokenCommand::Create(args) => create(&desk, args).await,
        TokenCommand::List { json } => list(&desk, json).await,
        TokenCommand::Revoke { id, operator } => revoke(&desk, id, &operator).await,
    }
}

async fn create(desk: &Desk, mut args: CreateArgs) -> anyhow::Result<()> {
    args.scope.sort_unstable();
    args.scope.dedup();
    args.purpose.sort_unstable();
    args.purpose.dedup();
    let now = clock::now();
    let who = (
        desk.tenant.name.as_str(),
        args.name.as_str(),
        args.operator.as_str(),
    );
    let (row, text) = mint(who, &args.scope, &args.purpose, (now, args.days))
        .map_err(|refusal| anyhow::anyhow!("no token was made: {}", refusal.code()))?;
    let entry = entry("token.create", &args.operator, row.id, now);
    desk.store.add_token(desk.id, &row, &entry).await?;
    output::error(&format!(
        "token {} ends at {}; it is shown this once, keep it where the CRM keeps its secrets",
        row.id, row.expires_at
    ));
    output::line(text.open())?;
    Ok(())
}

async fn revoke(desk: &Desk, id: Uuid, operator: &str) -> anyhow::Result<()> {
    let entry = entry("token.revoke", operator, id, clock::now());
    if !desk.store.revoke_token(desk.id, id, &entry).await? {
        let says = format!("token {id}: none in force; see `careloop token list`");
        return Err(Misused(says).into());
    }
    output::line(&format!("token {id} is revoked"))?;
    Ok(())
}

fn entry(action: &'static str, operator: &str, id: Uuid, at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        actor: format!("operator:{operator}"),
        action,
        outcome: "done",
        purpose: None,
        entity: ("token", Some(id)),
        message: None,
        detail: None,
    }
}

/// A token in a list.
#[derive(Serialize)]
struct Listed<'a> {
    id: String,
    name: &'a str,
    state: &'static str,
    scopes: &'a [String],
    purposes: &'a [String],
    operator: &'a str,
    created_at: Timestamp,
    age_days: i64,
    expires_at: Timestamp,
    last_used_at: Option<Timestamp>,
}

impl<'a> Listed<'a> {
    fn of(row: &'a TokenRow, now: Timestamp) -> Self {
        let soon = row.expires_at - SignedDuration::from_hours(SOON_DAYS * 24);
        Self {
            id: row.id.to_string(),
            name: &row.name,
            state: match row.revoked_at {
                Some(_) => "revoked",
                None if row.expires_at <= now => "expired",
                None if soon <= now => "ends soon",
                None => "in force",
            },
            scopes: &row.scopes,
            purposes: &row.purposes,
            operator: &row.operator,
            created_at: row.created_at,
            age_days: now.duration_since(row.created_at).as_hours() / 24,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

async fn list(desk: &Desk, json: bool) -> anyhow::Result<()> {
    let (tokens, now) = (desk.store.tokens(desk.id).await?, clock::now());
    let listed: Vec<Listed<'_>> = tokens.iter().map(|row| Listed::of(row, now)).collect();
    if json {
        listed.iter().try_for_each(output::json_line)?;
        return Ok(());
    }
    let rows = listed.iter().map(|token| {
        let used = token.last_used_at.map(|at| at.to_string());
        vec![
            token.id.clone(),
            token.name.to_owned(),
            token.state.to_owned(),
            token.scopes.join(" "),
            token.purposes.join(" "),
            token.age_days.to_string(),
            token.expires_at.to_string(),
            used.unwrap_or_else(|| "never".to_owned()),
        ]
    });
    let head = [
        "id",
        "name",
        "state",
        "scopes",
        "purposes",
        "days old",
        "ends",
        "last used",
    ];
    output::table(&head, rows)?;
    let ending = listed.iter().filter(|token| token.state == "ends soon");
    for token in ending {
        output::error(&format!(
            "token {} ({}) ends at {}; make its successor with `careloop token create`, then revoke it",
            token.id, token.name, token.expires_at
        ));
    }
    Ok(())
}
