//! The consent gate as the pipeline passes it: hold, wait for publishes under way, change, drop.

use uuid::Uuid;

use crate::store::{Error, Store, TenantId, Tx};

/// Holds on people whose change is under way.
pub(super) struct Gates(Vec<Uuid>);

impl Gates {
    /// Puts up a hold for each person and waits until nothing of theirs is being published.
    pub(super) async fn close(
        store: &Store,
        tenant: TenantId,
        people: &[Uuid],
    ) -> Result<Self, Error> {
        let mut holds = Vec::with_capacity(people.len());
        for person in people {
            holds.push(store.close_gate(tenant, *person).await?);
        }
        Ok(Self(holds))
    }

    /// Takes the holds down in the transaction of the change.
    pub(super) async fn open(&self, tx: &mut Tx) -> Result<(), Error> {
        for hold in &self.0 {
            tx.open_gate(*hold).await?;
        }
        Ok(())
    }

    /// Takes the holds down without a change, which will be tried again.
    pub(super) async fn abandon(&self, store: &Store, tenant: TenantId) -> Result<(), Error> {
        let mut tx = store.write(tenant).await?;
        self.open(&mut tx).await?;
        tx.commit().await
    }
}
