//! The CRM's own id of a person: registered once, sealed, and never in a queue.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{Desk, Pass, Refusal, Scope, covered};
use crate::clock;
use crate::consent::Purpose;
use crate::outbox::envelope::{from_ulid, ulid};
use crate::phi::Phi;

/// The longest id that a CRM may register, in bytes.
const LONGEST: usize = 128;

/// A person's id in the CRM.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CrmId {
    person: String,
    crm_id: String,
    registered_at: Timestamp,
}

impl Desk {
    /// Registers the CRM's own id of a person, in place of an earlier one.
    ///
    /// # Errors
    /// A refusal, which is on record; nothing was registered then.
    pub async fn register(
        &self,
        pass: &Pass,
        person: &str,
        id: &Phi<String>,
    ) -> Result<Phi<CrmId>, Refusal> {
        let person = from_ulid(person);
        let made = self.try_register(pass, person, id).await;
        if let Err(refusal) = &made
            && !matches!(refusal, Refusal::Store(_) | Refusal::Form(_))
        {
            let what = ("person.register", ("person", person), None);
            self.note_refusal(pass, what, refusal).await?;
        }
        made
    }

    async fn try_register(
        &self,
        pass: &Pass,
        person: Option<Uuid>,
        id: &Phi<String>,
    ) -> Result<Phi<CrmId>, Refusal> {
        pass.permits(Scope::PersonRegister)?;
        covered(&pass.site, clock::now())?;
        let text = id.open().as_bytes();
        if text.is_empty() || text.len() > LONGEST || !text.iter().all(u8::is_ascii_graphic) {
            let says = format!("crmId: expected 1 to {LONGEST} visible ASCII characters");
            return Err(Refusal::Form(says));
        }
        let person = person.ok_or(Refusal::NotFound)?;
        let mut tx = self.store.write(pass.site.tenant).await?;
        let survivor = tx.survivor(person).await?;
        tx.lock_person(survivor).await?;
        let now = clock::now();
        let record = tx.load(person, now).await?.ok_or(Refusal::NotFound)?;
        if !tx.set_crm_id(&record, id, (pass.row.id, now)).await? {
            return Err(Refusal::CrmIdTaken);
        }
        let entry = pass.entry("person.register", ("person", Some(record.person)), now);
        tx.audit(&entry).await?;
        tx.commit().await?;
        Ok(crm_id(record.person, id.open().clone(), now))
    }

    /// The CRM's own id of a person.
    ///
    /// # Errors
    /// A refusal, which is on record; [`Refusal::NotFound`] also where none was registered.
    pub async fn registered(
        &self,
        pass: &Pass,
        person: &str,
        purpose: Option<&str>,
    ) -> Result<Phi<CrmId>, Refusal> {
        let id = from_ulid(person);
        let found = self.try_registered(pass, id, purpose).await;
        if let Err(refusal) = &found
            && !matches!(refusal, Refusal::Store(_))
        {
            let purpose = purpose.and_then(Purpose::from_name).map(Purpose::name);
            let what = ("person.crm-id", ("person", id), purpose);
            self.note_refusal(pass, what, refusal).await?;
        }
        found
    }

    async fn try_registered(
        &self,
        pass: &Pass,
        person: Option<Uuid>,
        purpose: Option<&str>,
    ) -> Result<Phi<CrmId>, Refusal> {
        pass.permits(Scope::PersonRegister)?;
        let purpose = pass.states(purpose)?;
        covered(&pass.site, clock::now())?;
        let person = person.ok_or(Refusal::NotFound)?;
        let now = clock::now();
        let mut tx = self.store.write(pass.site.tenant).await?;
        let record = tx.load(person, now).await?.ok_or(Refusal::NotFound)?;
        let (id, registered) = tx.crm_id(&record).await?.ok_or(Refusal::NotFound)?;
        let mut entry = pass.entry("person.crm-id", ("person", Some(record.person)), now);
        entry.purpose = Some(purpose.name().to_owned());
        tx.audit(&entry).await?;
        tx.commit().await?;
        Ok(crm_id(record.person, id.into_inner(), registered))
    }
}

fn crm_id(person: Uuid, crm_id: String, registered_at: Timestamp) -> Phi<CrmId> {
    Phi::new(CrmId {
        person: format!("Patient/{}", ulid(person)),
        crm_id,
        registered_at,
    })
}
