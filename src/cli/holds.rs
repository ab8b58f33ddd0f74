//! `careloop person holds` and `release`: people whom nobody may contact until somebody has looked.

use uuid::Uuid;

use super::context::{Desk, Misused};
use super::{Asker, output};
use crate::clock;
use crate::consent::Hold;

/// Lists standing holds: work for a person. Ids, reasons and dates only.
pub(super) async fn list(desk: &Desk, json: bool) -> anyhow::Result<()> {
    let holds = desk.store.standing_holds(desk.id).await?;
    if json {
        for hold in &holds {
            output::json_line(&serde_json::json!({
                "person": hold.person.to_string(),
                "reason": hold.reason,
                "since": hold.since.to_string(),
            }))?;
        }
        return Ok(());
    }
    let next = |reason: &str| match Hold::from_name(reason) {
        Some(Hold::ReportedDeceased) => {
            "ask the clinic; it ends when the EHR says so, or with `careloop person release`"
        }
        _ => "see who set it",
    };
    let rows = holds.iter().map(|hold| {
        vec![
            hold.person.to_string(),
            hold.reason.clone(),
            hold.since.to_string(),
            next(&hold.reason).to_owned(),
        ]
    });
    output::table(&["person", "held for", "since", "what to do"], rows)?;
    Ok(())
}

/// Lifts the hold for a reported death that was a mistake, in the name of a person.
pub(super) async fn release(desk: &Desk, person: Uuid, asker: &Asker) -> anyhow::Result<()> {
    let now = clock::now();
    let mut tx = desk.store.write(desk.id).await?;
    let survivor = tx.survivor(person).await?;
    tx.lock_person(survivor).await?;
    let mut lifted = tx.lift_holds(survivor, Hold::ReportedDeceased).await?;
    if survivor != person {
        lifted += tx.lift_holds(person, Hold::ReportedDeceased).await?;
    }
    if lifted == 0 {
        let says = format!("person {person}: no hold to lift; see `careloop person holds`");
        return Err(Misused(says).into());
    }
    tx.ask_again(survivor, now).await?;
    tx.audit(&asker.entry("person.release", ("person", Some(survivor))))
        .await?;
    tx.commit().await?;
    output::line("released: the person may be contacted again where consent allows it")?;
    Ok(())
}
