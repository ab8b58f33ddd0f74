//! Decisions of named people about identities: link, keep apart, undo a merge. Each passes the gate
//! and is written with everything that follows from it in one transaction.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::Error;
use super::compare::Compared;
use super::gate::Gates;
use super::pilot::{check_cap, pilot_left};
use super::plan::{Cause, Desk};
use crate::clock;
use crate::phi::Phi;
use crate::site::Site;
use crate::store::{self, AuditEntry, IdentityDecision, LinkRow, Record, Store, TenantKeys, Tx};

/// Who decides, and why.
#[derive(Clone)]
pub struct Decider {
    /// The name of the person.
    pub operator: String,
    /// Why; it may name people, so it is sealed.
    pub reason: Phi<String>,
}

/// What a decision came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// Whether anything changed; a decision that stood already changes nothing.
    pub changed: bool,
    /// Held or wrongly placed messages that run again.
    pub again: u64,
    /// Messages that should run again and cannot, because their text was purged.
    pub purged: u64,
}

/// Why a decision cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// No such person, message or proposal.
    #[error("no {0}; see `careloop identity list`")]
    Unknown(String),
    /// What was asked makes no sense for what it was asked of.
    #[error("{0}")]
    Unfit(&'static str),
    /// The store, or careloop itself.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<store::Error> for Refused {
    fn from(error: store::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Identities of one tenant, as named people decide about them.
#[derive(Clone)]
pub struct Identities {
    pub(super) store: Store,
    pub(super) site: Arc<Site>,
}

/// How often a decision is tried while somebody else changes the same people.
const TRIES: u32 = 8;

impl Identities {
    /// The identities of a tenant.
    pub const fn new(store: Store, site: Arc<Site>) -> Self {
        Self { store, site }
    }

    /// Makes `gone` the same person as `keep`, who stays.
    ///
    /// # Errors
    /// When one of them does not exist, or the store is away.
    pub async fn link(
        &self,
        gone: Uuid,
        keep: Uuid,
        decider: &Decider,
    ) -> Result<Decided, Refused> {
        for _ in 0..TRIES {
            let (gone, keep) = (self.root(gone).await?, self.root(keep).await?);
            if gone == keep {
                return Ok(Decided::default());
            }
            let mut people = [gone, keep];
            people.sort_unstable();
            let gates = Gates::close(&self.store, self.site.tenant, &people).await?;
            match self.link_gated((gone, keep), decider, &gates).await {
                Ok(()) => return self.follow(&people, Vec::new(), decider).await,
                Err(error) => self.gave_up(&gates, error).await?,
            }
        }
        Err(store::Error::Conflict.into())
    }

    async fn link_gated(
        &self,
        (gone, keep): (Uuid, Uuid),
        decider: &Decider,
        gates: &Gates,
    ) -> Result<(), Error> {
        let now = clock::now();
        let left = pilot_left(&self.store, &self.site, now).await?;
        let mut tx = self.store.write(self.site.tenant).await?;
        let (keep, gone) = (
            self.locked(&mut tx, keep, now).await?,
            self.locked(&mut tx, gone, now).await?,
        );
        let pair = (keep.person, gone.person);
        let keys = tx.shared_keys();
        let known = tx.proposals_of(gone.person).await?;
        let effects = self
            .desk(&keys, now, left)
            .join(keep, gone, &decider.operator);
        tx.apply(&[&effects], now).await?;
        for row in known.iter().filter(|row| row.state == "open") {
            let other = tx.survivor(row.other(pair.1)).await?;
            if other != pair.0 && row.is_told() {
                // What an EHR says of one of them and a third is judged anew under the new id.
                continue;
            }
            let state = if other == pair.0 { "linked" } else { "lapsed" };
            let by = (state, Some(decider.operator.as_str()));
            tx.end_proposal(row.id, by, now).await?;
        }
        self.wrote(&mut tx, ("link", pair.0, Some(pair.1), None), decider, now)
            .await?;
        if effects.piloted() > 0 {
            check_cap(&mut tx, &self.site, now).await?;
        }
        gates.open(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Undoes the merge by which `person` went: by a message or by an operator.
    ///
    /// # Errors
    /// When there is no such person, or the store is away.
    pub async fn unmerge(&self, person: Uuid, decider: &Decider) -> Result<Decided, Refused> {
        for _ in 0..TRIES {
            let root = self.root(person).await?;
            let mut tx = self.store.read(self.site.tenant).await?;
            let link = tx.link_of(person).await?;
            drop(tx);
            let Some(link) = link else {
                return Ok(Decided::default());
            };
            let gates = Gates::close(&self.store, self.site.tenant, &[root]).await?;
            match self.unmerge_gated(&link, root, decider, &gates).await {
                Ok(strays) => return self.follow(&[root, person], strays, decider).await,
                Err(error) => self.gave_up(&gates, error).await?,
            }
        }
        Err(store::Error::Conflict.into())
    }

    /// Ends the link and looks at each record by itself; gives the messages that spoke under
    /// numbers of both, or of which it is not known.
    async fn unmerge_gated(
        &self,
        link: &LinkRow,
        root: Uuid,
        decider: &Decider,
        gates: &Gates,
    ) -> Result<Vec<Uuid>, Error> {
        let now = clock::now();
        let left = pilot_left(&self.store, &self.site, now).await?;
        let mut tx = self.store.write(self.site.tenant).await?;
        self.locked(&mut tx, root, now).await?;
        if !tx.end_link(link.id, &decider.operator, now).await? {
            return Err(store::Error::Conflict.into());
        }
        let keys = tx.shared_keys();
        let desk = self.desk(&keys, now, left);
        let (stays, goes) = (
            self.locked(&mut tx, root, now).await?,
            self.locked(&mut tx, link.retired, now).await?,
        );
        tx.copy_denials((&stays, &goes), link.since_at).await?;
        tx.copy_denials((&goes, &stays), link.since_at).await?;
        let mut strays = Vec::new();
        for (one, other) in [(&stays, &goes), (&goes, &stays)] {
            let numbers = tx.identifiers_in(other).await?;
            strays.extend(desk.strays(one, &numbers, link.since_at));
        }
        let pair = Compared::of(&stays, &self.site).pair(&Compared::of(&goes, &self.site), &keys);
        tx.put_proposal(&pair, ("kept-apart", Some(decider.operator.as_str())), now)
            .await?;
        // Loaded anew: each carries what was denied while they were one.
        let (stays, goes) = (
            self.locked(&mut tx, root, now).await?,
            self.locked(&mut tx, link.retired, now).await?,
        );
        let effects = [desk.apart(stays), desk.apart(goes)];
        tx.apply(&effects.iter().collect::<Vec<_>>(), now).await?;
        self.wrote(
            &mut tx,
            ("unmerge", root, Some(link.retired), link.message),
            decider,
            now,
        )
        .await?;
        if effects.iter().any(|effects| effects.piloted() > 0) {
            check_cap(&mut tx, &self.site, now).await?;
        }
        gates.open(&mut tx).await?;
        tx.commit().await?;
        strays.sort_unstable();
        strays.dedup();
        Ok(strays)
    }

    /// Keeps two people apart: they are not proposed again until what tells them apart changes.
    ///
    /// # Errors
    /// When one of them does not exist, or the store is away.
    pub async fn keep_apart(
        &self,
        (one, other): (Uuid, Uuid),
        decider: &Decider,
    ) -> Result<Decided, Refused> {
        let (one, other) = (self.root(one).await?, self.root(other).await?);
        if one == other {
            let fit = "the two are one person already: `careloop identity unmerge` undoes that";
            return Err(Refused::Unfit(fit));
        }
        let now = clock::now();
        let mut tx = self.store.write(self.site.tenant).await?;
        let changed = self.kept_apart(&mut tx, (one, other), decider, now).await?;
        tx.commit().await?;
        Ok(Decided {
            changed,
            ..Decided::default()
        })
    }

    /// Writes down that two people are two; `false` where that stood already.
    pub(super) async fn kept_apart(
        &self,
        tx: &mut Tx,
        (one, other): (Uuid, Uuid),
        decider: &Decider,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let by = ("kept-apart", Some(decider.operator.as_str()));
        // Sorted, before each with all who were merged into them: two deciders never wait in a circle.
        tx.lock_in_order(vec![one, other]).await?;
        let (ours, theirs) = (
            self.locked(tx, one, now).await?,
            self.locked(tx, other, now).await?,
        );
        let keys = tx.shared_keys();
        let pair = Compared::of(&ours, &self.site).pair(&Compared::of(&theirs, &self.site), &keys);
        let known = tx.proposals_of(one).await?;
        let known = known.iter().filter(|row| row.other(one) == other);
        let known: Vec<_> = known.collect();
        let stands = |row: &&&store::ProposalRow| {
            row.state == "kept-apart" && row.fingerprint == pair.fingerprint
        };
        if let Some(open) = known.iter().find(|row| row.state == "open") {
            tx.end_proposal(open.id, by, now).await?;
        } else if known.iter().any(|row| stands(&row)) {
            return Ok(false);
        } else {
            tx.put_proposal(&pair, by, now).await?;
        }
        self.wrote(tx, ("keep-apart", one, Some(other), None), decider, now)
            .await?;
        Ok(true)
    }

    /// The person that somebody is now.
    pub(super) async fn root(&self, person: Uuid) -> Result<Uuid, Refused> {
        let mut tx = self.store.read(self.site.tenant).await?;
        let root = tx.survivor(person).await?;
        if tx.load(root, clock::now()).await?.is_none() {
            return Err(Refused::Unknown(format!("person {person}")));
        }
        Ok(root)
    }

    /// A person's record, its rows locked in order first.
    pub(super) async fn locked(
        &self,
        tx: &mut Tx,
        person: Uuid,
        now: Timestamp,
    ) -> Result<Record, Error> {
        let missing = || store::Error::Conflict;
        let record = tx.load(person, now).await?.ok_or_else(missing)?;
        if record.person != person {
            // Somebody merged them meanwhile.
            return Err(missing().into());
        }
        let members = record.members.iter().map(|member| member.person);
        tx.lock_in_order(members.collect()).await?;
        Ok(tx.load(person, now).await?.ok_or_else(missing)?)
    }

    /// The decision with its reason, and the audit of it.
    pub(super) async fn wrote(
        &self,
        tx: &mut Tx,
        (kind, person, other, message): (&'static str, Uuid, Option<Uuid>, Option<Uuid>),
        decider: &Decider,
        now: Timestamp,
    ) -> Result<(), Error> {
        let record = tx.load(person, now).await?;
        let members = record.iter().flat_map(|record| &record.members);
        let member = members.into_iter().find(|member| member.person == person);
        let member = member.ok_or(store::Error::Conflict)?;
        let decision = IdentityDecision {
            kind,
            other,
            message,
            at: now,
            operator: decider.operator.clone(),
            reason: decider.reason.clone(),
        };
        tx.record_decision(member, &decision).await?;
        let action = match kind {
            "link" => "person.link",
            "unmerge" => "person.unmerge",
            "keep-apart" => "person.keep-apart",
            "means" => "message.means",
            _ => "identifier.assign",
        };
        for entity in std::iter::once(person).chain(other) {
            tx.audit(&AuditEntry {
                at: now,
                actor: format!("operator:{}", decider.operator),
                action,
                outcome: "done",
                purpose: Some("operations".to_owned()),
                entity: ("person", Some(entity)),
                message,
                detail: None,
            })
            .await?;
        }
        Ok(())
    }

    fn desk<'a>(&'a self, keys: &'a TenantKeys, now: Timestamp, pilot_left: u32) -> Desk<'a> {
        Desk {
            site: &self.site,
            keys,
            cause: Cause {
                message: None,
                label: "",
                event_time: now,
                now,
                pilot_left,
            },
        }
    }

    /// Takes the holds down; an error that time heals is no reason to give up.
    async fn gave_up(&self, gates: &Gates, error: Error) -> Result<(), Refused> {
        gates.abandon(&self.store, self.site.tenant).await?;
        match error {
            Error::Store(store::Error::Conflict | store::Error::Taken) => Ok(()),
            other => Err(other.into()),
        }
    }
}
