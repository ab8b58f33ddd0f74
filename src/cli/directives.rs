//! `careloop consent show` and `lift`: what stands for and against contact with a person, why each of it
//! counts or does not, and the lifting of restrictions that somebody has read.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::context::{Desk, Misused};
use super::person::consent;
use super::{Asker, Why, output};
use crate::clock;
use crate::consent::{Entry, Policy, Standing};
use crate::crm::View;
use crate::daemon;
use crate::outreach::{self, Terms};
use crate::store::{AuditEntry, Lift, LiftDetail, Record, TenantKeys};

/// What to show.
#[derive(Args)]
pub(super) struct ShowArgs {
    /// The person's id; a merged one shows its survivor.
    person: Uuid,
    #[command(flatten)]
    asker: Asker,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// What to lift.
#[derive(Args)]
pub(super) struct LiftArgs {
    /// The person's id.
    person: Uuid,
    /// The restriction, as `careloop consent show` names it; left out where there is only one.
    #[arg(long)]
    restriction: Option<String>,
    #[command(flatten)]
    why: Why,
}

/// A restriction that keeps everybody from the person until somebody has read it.
struct Restriction {
    id: String,
    words: String,
    what: String,
    lifted: bool,
}

/// What is known of one person's consent.
struct Page<'a> {
    record: &'a Record,
    view: View,
    terms: Terms<'a>,
    keys: Arc<TenantKeys>,
}

impl Page<'_> {
    fn restrictions(&self) -> Vec<Restriction> {
        let one = |words: String, what: String| Restriction {
            id: self.id_of(&words),
            lifted: outreach::is_lifted(self.record, &words),
            words,
            what,
        };
        let fields = &self.view.demographics.restrictions;
        let mut all: Vec<Restriction> = fields
            .iter()
            .map(|field| one(outreach::words_of_field(field), field.clone()))
            .collect();
        for (directive, reading) in self.terms.readings(&self.view) {
            if reading.standing == Standing::Unread {
                let what = format!("{} of {}", directive.said.kind.name(), directive.source);
                all.push(one(outreach::words_of(directive), what));
            }
        }
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all.dedup_by(|a, b| a.id == b.id);
        all
    }

    /// A short name that stays the same for as long as exactly this is told.
    fn id_of(&self, words: &str) -> String {
        let hash = self.keys.index.reference(&["restriction", words]);
        hash.chars().take(12).collect()
    }

    /// The fixed shape of `consent show --json`, described in `mappings/README.md`.
    fn document(&self, now: Timestamp) -> Value {
        let record = self.record;
        let told: Vec<Value> = self
            .terms
            .readings(&self.view)
            .into_iter()
            .map(|(directive, reading)| {
                let mut value = json!(directive.said);
                if let Some(fields) = value.as_object_mut() {
                    fields.insert("source".to_owned(), json!(directive.source));
                    fields.insert("message".to_owned(), json!(directive.message.to_string()));
                    fields.insert("told_at".to_owned(), json!(directive.told_at.to_string()));
                    fields.insert("counts".to_owned(), json!(reading.standing.counts()));
                    fields.insert("why".to_owned(), json!(reading.standing.sentence()));
                }
                value
            })
            .collect();
        let restrictions = self.restrictions();
        json!({
            "person": record.person.to_string(),
            "recorded": record.entries.iter().map(|entry| recorded(entry, now)).collect::<Vec<_>>(),
            "told": told,
            "restrictions": restrictions.iter().map(|one| json!({
                "id": one.id, "what": one.what, "lifted": one.lifted,
            })).collect::<Vec<_>>(),
            "lifts": record.lifts.iter().map(|lift| json!({
                "at": lift.at.to_string(), "by": lift.operator, "reason": lift.detail.reason,
                "restriction": self.id_of(&lift.detail.restriction),
            })).collect::<Vec<_>>(),
            "opt_outs": record.opt_outs.iter().map(|out| json!({
                "at": out.at.to_string(), "channel": out.channel, "one_contact_point": out.contact.is_some(),
            })).collect::<Vec<_>>(),
            "holds": record.holds,
        })
    }
}

fn recorded(entry: &Entry, now: Timestamp) -> Value {
    let (counts, why) = match entry {
        _ if entry.from > now => (false, "it has not begun"),
        _ if entry.revoked_at.is_some_and(|at| at <= now) => (
            entry.permit,
            "it was withdrawn; a permission that was withdrawn denies",
        ),
        _ if entry.until.is_some_and(|until| until <= now) => (false, "it has run out"),
        _ if entry.permit => (true, "it permits"),
        _ => (true, "it denies"),
    };
    let mut shown = consent(entry);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("counts".to_owned(), counts.into());
        shown.insert("why".to_owned(), why.into());
    }
    shown
}

/// Shows everything that stands for and against contact; leaves an audit entry.
pub(super) async fn show(desk: &Desk, args: ShowArgs) -> anyhow::Result<()> {
    let policy = daemon::policy(&desk.tenant)?;
    let now = clock::now();
    let entry = args
        .asker
        .entry("consent.show", ("person", Some(args.person)));
    let found = desk.store.person(desk.id, args.person, &entry, now).await?;
    let person =
        found.with_context(|| format!("no person {}; see `careloop person list`", args.person))?;
    let page = page(desk, &policy, person.record.open()).await?;
    let document = page.document(now);
    if args.json {
        output::json_line(&document)?;
    } else {
        output::line(&serde_json::to_string_pretty(&document)?)?;
    }
    Ok(())
}

async fn page<'a>(
    desk: &'a Desk,
    policy: &'a Policy,
    record: &'a Record,
) -> anyhow::Result<Page<'a>> {
    Ok(Page {
        record,
        view: View::of(&record.assertions, &desk.tenant.source_rank),
        terms: Terms {
            tenant: &desk.tenant,
            policy,
        },
        keys: desk.store.read(desk.id).await?.shared_keys(),
    })
}

/// Lifts a restriction: it stays on record, and no longer keeps anybody from the person.
pub(super) async fn lift(desk: &Desk, args: LiftArgs) -> anyhow::Result<()> {
    let policy = daemon::policy(&desk.tenant)?;
    let now = clock::now();
    let mut tx = desk.store.read(desk.id).await?;
    let record = tx.load(args.person, now).await?;
    drop(tx);
    let record =
        record.with_context(|| format!("no person {}; see `careloop person list`", args.person))?;
    let page = page(desk, &policy, &record).await?;
    let open: Vec<Restriction> = page
        .restrictions()
        .into_iter()
        .filter(|one| !one.lifted)
        .collect();
    let chosen = chosen(args.restriction.as_deref(), &open)?;
    let lifted = Lift {
        id: Uuid::now_v7(),
        at: now,
        operator: args.why.operator.clone(),
        detail: LiftDetail {
            restriction: chosen.words.clone(),
            reason: args.why.reason.clone(),
        },
    };
    let member = record.members.first().context("the person has no record")?;
    let mut tx = desk.store.write(desk.id).await?;
    tx.record_lift(member, &lifted).await?;
    tx.ask_again(record.person, now).await?;
    tx.audit(&AuditEntry {
        at: now,
        actor: format!("operator:{}", args.why.operator),
        action: "consent.lift",
        outcome: "done",
        purpose: None,
        entity: ("person", Some(record.person)),
        message: None,
        detail: Some(chosen.id.clone()),
    })
    .await?;
    tx.commit().await?;
    output::line(
        "lifted; it stays on record, and waiting tasks are asked again. Told differently, it restricts anew",
    )?;
    Ok(())
}

/// The restriction that is named, or the only one.
fn chosen<'r>(named: Option<&str>, open: &'r [Restriction]) -> Result<&'r Restriction, Misused> {
    let found = match (named, open) {
        (Some(id), all) => all.iter().find(|one| one.id == id),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    found.ok_or_else(|| {
        let listed: Vec<&str> = open.iter().map(|one| one.id.as_str()).collect();
        Misused(if listed.is_empty() {
            "expected a restriction that stands, found none; see `careloop consent show`".to_owned()
        } else {
            format!("--restriction: expected one of {}", listed.join(", "))
        })
    })
}
