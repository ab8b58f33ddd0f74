//! Service tokens: `careloop_<tenant>_<id>_<secret>`, of which only the secret's SHA-256 is kept.
//!
//! A token permits scopes and purposes until it ends, at most 90 days after it was made. It is
//! looked up at every request, so that a revoked one ends at once, in every process.

use std::fmt::Write as _;
use std::sync::Arc;

use aws_lc_rs::{constant_time, digest, rand};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Desk, Refusal};
use crate::clock;
use crate::consent::Purpose;
use crate::crm::vocabulary;
use crate::outbox::envelope::{from_ulid, ulid};
use crate::phi::Phi;
use crate::site::Site;
use crate::store::TokenRow;

/// The longest a token may last.
pub const LONGEST_DAYS: u16 = 90;

const PREFIX: &str = "careloop";

/// Bytes of a secret.
const SECRET: usize = 32;

vocabulary! {
    /// What a token permits.
    Scope {
        /// Read what a task is about, person included.
        TaskContent = "task:content",
        /// Ask whether a decision still holds; nothing protected is told.
        DecisionRead = "decision:read",
        /// Register and read the CRM's own id of a person.
        PersonRegister = "person:register",
        /// Answer about tasks.
        TaskEventWrite = "task-event:write",
    }
}

/// A token that was found in force.
pub struct Pass {
    pub(super) site: Arc<Site>,
    pub(super) row: TokenRow,
}

impl Pass {
    /// The token's id, by which its holder is counted.
    pub const fn id(&self) -> Uuid {
        self.row.id
    }

    /// Whether the token permits `scope`.
    pub(super) fn permits(&self, scope: Scope) -> Result<(), Refusal> {
        let permitted = self.row.scopes.iter().any(|word| word == scope.name());
        permitted.then_some(()).ok_or(Refusal::Scope)
    }

    /// The stated purpose, where the token permits it.
    pub(super) fn states(&self, purpose: Option<&str>) -> Result<Purpose, Refusal> {
        let word = purpose.ok_or(Refusal::PurposeMissing)?;
        let purpose = Purpose::from_name(word).ok_or(Refusal::PurposeUnknown)?;
        let permitted = self.is_for(purpose);
        permitted
            .then_some(purpose)
            .ok_or(Refusal::PurposeNotAllowed)
    }

    /// Whether something that is there for `purpose` is there for the token at all: to one that may
    /// never state that purpose, it looks like nothing.
    pub(super) fn may_read(&self, purpose: Purpose) -> Result<(), Refusal> {
        self.is_for(purpose).then_some(()).ok_or(Refusal::NotFound)
    }

    fn is_for(&self, purpose: Purpose) -> bool {
        let mut permitted = self.row.purposes.iter();
        permitted.any(|word| word == purpose.name())
    }
}

/// A token's text as it is shown, taken apart.
struct Shown<'a> {
    tenant: &'a str,
    id: Uuid,
    secret: &'a str,
}

impl<'a> Shown<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split('_');
        if parts.next()? != PREFIX {
            return None;
        }
        let shown = Self {
            tenant: parts.next()?,
            id: from_ulid(parts.next()?)?,
            secret: parts.next()?,
        };
        parts.next().is_none().then_some(shown)
    }
}

fn digest_of(secret: &str) -> Vec<u8> {
    let hash = digest::digest(&digest::SHA256, secret.as_bytes());
    hash.as_ref().to_vec()
}

/// Makes a token: the row to keep, and the text to show once.
///
/// # Errors
/// [`Refusal::Unavailable`] when the system gives no random bytes.
pub fn mint(
    (tenant, name, operator): (&str, &str, &str),
    scopes: &[Scope],
    purposes: &[Purpose],
    (now, days): (Timestamp, u16),
) -> Result<(TokenRow, Phi<String>), Refusal> {
    let mut bytes = [0_u8; SECRET];
    rand::fill(&mut bytes).map_err(|_no_randomness| Refusal::Unavailable)?;
    let mut secret = String::with_capacity(SECRET * 2);
    for byte in bytes {
        write!(secret, "{byte:02x}").map_err(|_full| Refusal::Unavailable)?;
    }
    let id = Uuid::now_v7();
    let lasts = SignedDuration::from_hours(i64::from(days.min(LONGEST_DAYS)) * 24);
    let row = TokenRow {
        id,
        name: name.to_owned(),
        digest: digest_of(&secret),
        scopes: words(scopes, Scope::name),
        purposes: words(purposes, Purpose::name),
        operator: operator.to_owned(),
        created_at: now,
        expires_at: now + lasts,
        last_used_at: None,
        revoked_at: None,
    };
    let text = format!("{PREFIX}_{tenant}_{}_{secret}", ulid(id));
    Ok((row, Phi::new(text)))
}

fn words<T: Copy>(list: &[T], name: fn(T) -> &'static str) -> Vec<String> {
    list.iter().map(|word| name(*word).to_owned()).collect()
}

impl Desk {
    /// The token in force behind a text. Whatever is wrong with the text, as much is looked up and
    /// compared, and only who knows the secret is told that the token has ended by time.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`], [`Refusal::Expired`], or the store's failure.
    pub async fn admit(&self, text: Option<&str>) -> Result<Pass, Refusal> {
        let shown = text.and_then(Shown::read);
        let (tenant, id, secret) = shown.map_or(("", Uuid::nil(), ""), |shown| {
            (shown.tenant, shown.id, shown.secret)
        });
        let own = self.sites.get(tenant);
        let site = own.or_else(|| self.sites.values().next());
        let site = site.ok_or(Refusal::Unauthenticated)?;
        let row = self.store.token(site.tenant, id).await?;
        let none = [0_u8; 32];
        let kept = row.as_ref().map_or(&none[..], |row| row.digest.as_slice());
        let same = constant_time::verify_slices_are_equal(kept, &digest_of(secret)).is_ok();
        let row = row.filter(|row| same && own.is_some() && row.revoked_at.is_none());
        let row = row.ok_or(Refusal::Unauthenticated)?;
        let now = clock::now();
        if row.expires_at <= now {
            return Err(Refusal::Expired);
        }
        self.store.note_use(site.tenant, &row, now).await?;
        Ok(Pass {
            site: Arc::clone(site),
            row,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_made_and_keeps_no_secret() {
        let who = ("riverside", "crm", "Test Operator");
        let now = Timestamp::UNIX_EPOCH;
        let made = mint(who, &[Scope::TaskContent], &[Purpose::Treat], (now, 365));
        let (row, text) = made.unwrap();
        let shown = Shown::read(text.open()).unwrap();
        assert_eq!((shown.tenant, shown.id), ("riverside", row.id));
        assert_eq!(digest_of(shown.secret), row.digest);
        assert_eq!(shown.secret.len(), 64);
        let days = row.expires_at.duration_since(now).as_hours() / 24;
        assert_eq!(days, 90, "the longest, whatever was asked");
    }

    #[test]
    fn other_texts_are_no_tokens() {
        let id = ulid(Uuid::now_v7());
        let long = format!("careloop_riverside_{id}_secret_more");
        let other = format!("Careloop_riverside_{id}_secret");
        for text in ["", "careloop", "careloop_riverside_1_secret", &long, &other] {
            assert!(Shown::read(text).is_none(), "{text}");
        }
    }
}
