//! Service tokens as rows: the secret's SHA-256, what it permits, until when.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::dialect::{row, rows, run};
use super::record::at;
use super::{AuditEntry, Error, Store, TenantId, Tx};

/// How exact the time of the last use is: a row is not written for every request.
const USE_NOTED_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// A service token as stored.
#[derive(Clone)]
pub struct TokenRow {
    /// Its id, which stands in the token.
    pub id: Uuid,
    /// What it is for, as its maker named it.
    pub name: String,
    /// SHA-256 of the secret.
    pub digest: Vec<u8>,
    /// What it permits: words of the access module.
    pub scopes: Vec<String>,
    /// The purposes that may be stated with it.
    pub purposes: Vec<String>,
    /// Who made it.
    pub operator: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: Uuid,
    name: String,
    digest: Vec<u8>,
    scopes: String,
    purposes: String,
    operator: String,
    created_at: i64,
    expires_at: i64,
    last_used_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl Stored {
    fn open(self) -> TokenRow {
        let words = |joined: String| joined.split(' ').map(ToOwned::to_owned).collect();
        TokenRow {
            id: self.id,
            name: self.name,
            digest: self.digest,
            scopes: words(self.scopes),
            purposes: words(self.purposes),
            operator: self.operator,
            created_at: at(self.created_at),
            expires_at: at(self.expires_at),
            last_used_at: self.last_used_at.map(at),
            revoked_at: self.revoked_at.map(at),
        }
    }
}

impl Store {
    /// Keeps a new token, with the audit entry of who made it.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn add_token(
        &self,
        tenant: TenantId,
        token: &TokenRow,
        entry: &AuditEntry,
    ) -> Result<(), Error> {
        let mut tx = self.write(tenant).await?;
        run!(
            tx,
            "INSERT INTO service_token (tenant, id, name, digest, scopes, purposes, operator, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            token.id,
            token.name.as_str(),
            token.digest.as_slice(),
            token.scopes.join(" "),
            token.purposes.join(" "),
            token.operator.as_str(),
            token.created_at.as_microsecond(),
            token.expires_at.as_microsecond()
        )?;
        tx.audit(entry).await?;
        tx.commit().await
    }

    /// Ends a token at once; `false` where there is none of this id, or none that is in force.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn revoke_token(
        &self,
        tenant: TenantId,
        id: Uuid,
        entry: &AuditEntry,
    ) -> Result<bool, Error> {
        let mut tx = self.write(tenant).await?;
        let touched = run!(
            tx,
            "UPDATE service_token SET revoked_at = $3 WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL",
            id,
            entry.at.as_microsecond()
        )?;
        if touched == 1 {
            tx.audit(entry).await?;
            tx.commit().await?;
        }
        Ok(touched == 1)
    }

    /// All tokens of a tenant, the oldest first.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn tokens(&self, tenant: TenantId) -> Result<Vec<TokenRow>, Error> {
        let mut tx = self.read(tenant).await?;
        let found = rows!(
            tx,
            Stored,
            "SELECT id, name, digest, scopes, purposes, operator, created_at, expires_at, last_used_at, revoked_at \
             FROM service_token WHERE tenant = $1 ORDER BY created_at, id"
        )?;
        Ok(found.into_iter().map(Stored::open).collect())
    }

    /// The token of this id.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn token(&self, tenant: TenantId, id: Uuid) -> Result<Option<TokenRow>, Error> {
        let mut tx = self.read(tenant).await?;
        let found = row!(
            tx,
            Stored,
            "SELECT id, name, digest, scopes, purposes, operator, created_at, expires_at, last_used_at, revoked_at \
             FROM service_token WHERE tenant = $1 AND id = $2",
            id
        )?;
        Ok(found.map(Stored::open))
    }

    /// Notes that a token was used, where the last note is older than a minute.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn note_use(
        &self,
        tenant: TenantId,
        token: &TokenRow,
        now: Timestamp,
    ) -> Result<(), Error> {
        let noted = token
            .last_used_at
            .is_some_and(|at| now < at + USE_NOTED_EVERY);
        if noted {
            return Ok(());
        }
        let mut tx = self.write(tenant).await?;
        run!(
            tx,
            "UPDATE service_token SET last_used_at = $3 WHERE tenant = $1 AND id = $2",
            token.id,
            now.as_microsecond()
        )?;
        tx.commit().await
    }
}

impl Tx {
    /// Whether a token is still in force, asked again in the transaction of what it permits.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn is_in_force(&mut self, token: Uuid, now: Timestamp) -> Result<bool, Error> {
        let found = row!(
            self,
            (i64,),
            "SELECT expires_at FROM service_token WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL AND expires_at > $3",
            token,
            now.as_microsecond()
        )?;
        Ok(found.is_some())
    }
}
