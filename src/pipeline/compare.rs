//! Compares people whose demographics changed with those who look alike, and proposes links.
//! Nothing is ever linked here.

use jiff::Timestamp;
use uuid::Uuid;

use super::Error;
use super::process::Pipeline;
use crate::crm::{Comparison, Trait, Traits, View};
use crate::site::Site;
use crate::store::{NewProposal, ProposalRow, Record, TenantKeys, Tx};

/// People compared in one step.
const BATCH: u32 = 16;

/// Bits of a short hash: several of a hundred thousand people share one, so it tells nobody's name
/// and birth date.
const TRAIT_MASK: u8 = 0x3f;

/// One person as they are compared, with what they are compared by.
pub(super) struct Compared {
    pub(super) person: Uuid,
    pub(super) members: Vec<Uuid>,
    view: View,
    contacts: Vec<Vec<u8>>,
}

impl Compared {
    pub(super) fn of(record: &Record, site: &Site) -> Self {
        let current = record.contacts.iter().filter(|row| row.ended_at.is_none());
        Self {
            person: record.person,
            members: record.members.iter().map(|member| member.person).collect(),
            view: site.view(&record.assertions),
            contacts: current.map(|row| row.value_index.clone()).collect(),
        }
    }

    fn traits(&self) -> Traits<'_> {
        Traits {
            demographics: &self.view.demographics,
            contacts: &self.contacts,
        }
    }

    pub(super) fn with(&self, other: &Self) -> Comparison {
        self.traits().compare(&other.traits())
    }

    /// The pair as it is written down.
    pub(super) fn pair(&self, other: &Self, keys: &TenantKeys) -> NewProposal {
        let found = self.with(other);
        let (low, high) = if self.person < other.person {
            (self, other)
        } else {
            (other, self)
        };
        let mut material = low.traits().material();
        material.push(String::from("|"));
        material.extend(high.traits().material());
        let parts: Vec<&str> = material.iter().map(String::as_str).collect();
        NewProposal {
            pair: (low.person, high.person),
            score: found.score(),
            agree: names(&found.agree),
            differ: names(&found.differ),
            fingerprint: keys.index.index("identity_proposal", &parts),
        }
    }

    fn short_hashes(&self, keys: &TenantKeys) -> Vec<Vec<u8>> {
        let compounds = self.traits().compounds().into_iter();
        let mut hashes: Vec<Vec<u8>> = compounds
            .map(|[family, born]| {
                let hash = keys.index.hash("person_trait", &[&family, &born]);
                let mut short: Vec<u8> = hash.into_iter().take(2).collect();
                if let Some(first) = short.first_mut() {
                    *first &= TRAIT_MASK;
                }
                short
            })
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }
}

fn names(traits: &[Trait]) -> String {
    let names: Vec<&str> = traits.iter().map(|one| one.name()).collect();
    names.join(" ")
}

/// What becomes of one pair.
enum Verdict {
    Propose(NewProposal),
    End(Uuid, &'static str),
}

impl Pipeline {
    /// Compares some people who wait for it; gives how many.
    pub(super) async fn compare_some(&self, now: Timestamp) -> Result<usize, Error> {
        let mut tx = self.store.read(self.site.tenant).await?;
        let waiting = tx.to_be_compared(BATCH).await?;
        drop(tx);
        for (person, since) in &waiting {
            self.compare_one(*person, *since, now).await?;
        }
        Ok(waiting.len())
    }

    async fn compare_one(
        &self,
        person: Uuid,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.store.read(self.site.tenant).await?;
        let keys = tx.shared_keys();
        let mut hashes = Vec::new();
        let mut verdicts = Vec::new();
        let survivor = tx.survivor(person).await?;
        if let Some(record) = tx.load(survivor, now).await? {
            let ours = Compared::of(&record, &self.site);
            hashes = ours.short_hashes(&keys);
            verdicts = self.verdicts(&mut tx, (&ours, &hashes), &keys, now).await?;
        }
        drop(tx);
        let mut tx = self.store.write(self.site.tenant).await?;
        tx.put_traits(survivor, &hashes).await?;
        if survivor != person {
            tx.put_traits(person, &[]).await?;
        }
        for verdict in &verdicts {
            match verdict {
                Verdict::Propose(new) => tx.put_proposal(new, ("open", None), now).await?,
                Verdict::End(id, state) => {
                    tx.end_proposal(*id, (state, None), now).await?;
                }
            }
        }
        tx.was_compared(person, since).await?;
        Ok(tx.commit().await?)
    }

    async fn verdicts(
        &self,
        tx: &mut Tx,
        (ours, hashes): (&Compared, &[Vec<u8>]),
        keys: &TenantKeys,
        now: Timestamp,
    ) -> Result<Vec<Verdict>, Error> {
        let mut known: Vec<ProposalRow> = Vec::new();
        for member in &ours.members {
            known.extend(tx.proposals_of(*member).await?);
        }
        let mut verdicts = Vec::new();
        let mut people = tx.lookalikes(&ours.members, hashes).await?;
        let mut told: Vec<Uuid> = Vec::new();
        for row in known.iter().filter(|row| row.state == "open") {
            let (low, high) = (tx.survivor(row.low).await?, tx.survivor(row.high).await?);
            if low == high {
                verdicts.push(Verdict::End(row.id, "linked"));
            } else if (low, high) != (row.low, row.high) {
                // One of them goes by another id now; the pair is judged anew under it.
                verdicts.push(Verdict::End(row.id, "lapsed"));
                let other = if low == ours.person { high } else { low };
                if row.is_told() {
                    told.push(other);
                }
                if !people.contains(&other) {
                    people.push(other);
                }
            } else if !people.contains(&row.other(ours.person)) {
                people.push(row.other(ours.person));
            }
        }
        for person in people {
            let Some(record) = tx.load(person, now).await? else {
                continue;
            };
            let theirs = Compared::of(&record, &self.site);
            let pair = ours.pair(&theirs, keys);
            let between = known.iter().filter(|row| {
                let ends = [row.low, row.high];
                ends.iter().any(|end| ours.members.contains(end))
                    && ends.iter().any(|end| theirs.members.contains(end))
            });
            let between: Vec<&ProposalRow> = between.collect();
            // What has just ended because of its ids is none of these any more.
            let current =
                |row: &&&ProposalRow| row.state == "open" && (row.low, row.high) == pair.pair;
            let open = between.iter().find(current);
            let proposes = ours.with(&theirs).proposes();
            match open {
                None if told.contains(&person) => verdicts.push(Verdict::Propose(pair.told())),
                Some(open) if !proposes && !open.is_told() => {
                    verdicts.push(Verdict::End(open.id, "lapsed"));
                }
                None if proposes && !is_kept_apart(&between, &pair) => {
                    verdicts.push(Verdict::Propose(pair));
                }
                _ => {}
            }
        }
        Ok(verdicts)
    }
}

/// Kept apart by a named person, and nothing that tells the two apart has changed since. Where one
/// of them goes by another id now, the decision stands.
fn is_kept_apart(between: &[&ProposalRow], pair: &NewProposal) -> bool {
    between
        .iter()
        .filter(|row| row.state == "kept-apart")
        .any(|row| (row.low, row.high) != pair.pair || row.fingerprint == pair.fingerprint)
}
