//! Messages that are held because nobody could tell whom they mean: shown with whom they reach,
//! decided by a named person, and run again in their order.

use uuid::Uuid;

use super::Error;
use super::identity::{Decided, Decider, Identities, Refused};
use super::subject::{self, Subject};
use super::translate::{Translated, translate};
use crate::clock;
use crate::crm::{Demographics, Identifier, Match, PatientChange, Trust, resolve};
use crate::failure::Code;
use crate::phi::Phi;
use crate::store::{Assignment, AuditEntry, Effects, Record, TenantKeys, Tx};

/// Held messages looked at in one go.
const PAGE: u32 = 200;

/// One person of a held message, and everybody whom the message's numbers reach.
pub struct Doubt {
    /// What the message says of the person.
    pub patient: Phi<PatientChange>,
    /// The people who are reached.
    pub reached: Vec<Known>,
}

/// Somebody known, for comparison.
pub struct Known {
    /// The id.
    pub person: Uuid,
    /// Who it is.
    pub demographics: Phi<Demographics>,
    /// The numbers.
    pub identifiers: Phi<Vec<Identifier>>,
}

impl Identities {
    /// Two people side by side, for a named operator; the reading is audited before it is given.
    ///
    /// # Errors
    /// When one does not exist, or the store is away.
    pub async fn beside(&self, people: &[Uuid], entry: &AuditEntry) -> Result<Vec<Known>, Refused> {
        let mut tx = self.store.write(self.site.tenant).await?;
        tx.audit(entry).await?;
        let mut known = Vec::new();
        for person in people {
            known.push(self.known(&mut tx, *person).await?);
        }
        tx.commit().await?;
        Ok(known)
    }

    async fn known(&self, tx: &mut Tx, person: Uuid) -> Result<Known, Refused> {
        let record = tx.load(person, clock::now()).await?;
        let record = record.ok_or_else(|| Refused::Unknown(format!("person {person}")))?;
        let view = self.site.view(&record.assertions);
        Ok(Known {
            person: record.person,
            demographics: Phi::new(view.demographics),
            identifiers: Phi::new(tx.identifiers_in(&record).await?),
        })
    }

    /// A held message with whom it reaches, for a named operator; audited before it is given.
    ///
    /// # Errors
    /// When there is no such message, its text was purged, or the store is away.
    pub async fn doubt(&self, message: Uuid, entry: &AuditEntry) -> Result<Vec<Doubt>, Refused> {
        let (subjects, trust) = self.subjects(message, entry).await?;
        let mut tx = self.store.read(self.site.tenant).await?;
        let mut doubts = Vec::new();
        for subject in subjects {
            let numbers: Vec<Identifier> = subject.numbers().cloned().collect();
            let mut reached = Vec::new();
            for person in tx.find_people(&trust.usable(&numbers)).await? {
                reached.push(self.known(&mut tx, person).await?);
            }
            doubts.push(Doubt {
                patient: Phi::new(subject.patient),
                reached,
            });
        }
        Ok(doubts)
    }

    /// Says that a held message means `person`, and runs it again.
    ///
    /// # Errors
    /// When one of them does not exist, or the store is away.
    pub async fn means(
        &self,
        message: Uuid,
        person: Uuid,
        decider: &Decider,
    ) -> Result<Decided, Refused> {
        self.root(person).await?;
        self.subjects(message, &read_by(decider, message)).await?;
        let now = clock::now();
        let mut tx = self.store.write(self.site.tenant).await?;
        let past = tx.past_of(&[message]).await?;
        let changed = past.meant.get(&message) != Some(&person);
        tx.set_meant((message, person), &decider.operator, now)
            .await?;
        let root = tx.survivor(person).await?;
        self.wrote(&mut tx, ("means", root, None, Some(message)), decider, now)
            .await?;
        let (again, purged) = tx.run_again(&[message]).await?;
        tx.commit().await?;
        Ok(Decided {
            changed,
            again,
            purged,
        })
    }

    /// Says that the numbers of a held message are `person`'s, or a new person's, and that whoever
    /// they reached before is somebody else. What was said of those stays with them.
    ///
    /// # Errors
    /// When the message names no trusted number, or the store is away.
    pub async fn assign(
        &self,
        message: Uuid,
        person: Option<Uuid>,
        decider: &Decider,
    ) -> Result<Decided, Refused> {
        let person = match person {
            Some(person) => Some(self.root(person).await?),
            None => None,
        };
        let (subjects, trust) = self.subjects(message, &read_by(decider, message)).await?;
        let now = clock::now();
        let mut tx = self.store.write(self.site.tenant).await?;
        let Some(numbers) = self.doubtful(&mut tx, &subjects, &trust).await? else {
            let fit = "no number of the message reaches anybody: `careloop identity link MESSAGE --to PERSON` says whom it means";
            return Err(Refused::Unfit(fit));
        };
        let reached = tx.find_people(&numbers).await?;
        tx.lock_in_order(reached.iter().copied().chain(person).collect())
            .await?;
        let taker = match person {
            Some(person) => self.locked(&mut tx, person, now).await?,
            None => Record::new(Uuid::now_v7())?,
        };
        let taker_id = taker.person;
        let mut effects = Effects {
            members: taker.members,
            ..Effects::default()
        };
        for identifier in &numbers {
            let owners = tx.find_people(std::slice::from_ref(identifier)).await?;
            if !owners.is_empty() {
                effects.assignments.push(Assignment {
                    person: taker_id,
                    identifier: identifier.clone(),
                    event_time: now,
                    message: Some(message),
                    made_by: decider.operator.clone(),
                });
            }
        }
        for other in reached.iter().filter(|other| **other != taker_id) {
            // Whoever plans on what they had before, plans anew.
            tx.lock_person(*other).await?;
        }
        tx.apply(&[&effects], now).await?;
        self.wrote(
            &mut tx,
            ("assign", taker_id, None, Some(message)),
            decider,
            now,
        )
        .await?;
        if person.is_some() {
            for other in reached.iter().filter(|other| **other != taker_id) {
                self.kept_apart(&mut tx, (taker_id, *other), decider, now)
                    .await?;
            }
        }
        tx.commit().await?;
        let mut people = reached;
        people.push(taker_id);
        self.follow(&people, vec![message], decider).await
    }

    /// The numbers of the first person of a message of whom it cannot be told who it is.
    async fn doubtful(
        &self,
        tx: &mut Tx,
        subjects: &[Subject],
        trust: &Trust,
    ) -> Result<Option<Vec<Identifier>>, Error> {
        for subject in subjects {
            let numbers = trust.usable(&subject.patient.identifiers);
            let mut known: Vec<(Uuid, Demographics)> = Vec::new();
            for person in tx.find_people(&numbers).await? {
                if let Some(record) = tx.load(person, clock::now()).await? {
                    known.push((person, self.site.view(&record.assertions).demographics));
                }
            }
            let known: Vec<(Uuid, &Demographics)> =
                known.iter().map(|(person, who)| (*person, who)).collect();
            let matched = resolve(&numbers, &known, &subject.patient);
            if matches!(matched, Match::Ambiguous | Match::Conflict) {
                return Ok(Some(numbers));
            }
        }
        Ok(None)
    }

    /// Runs again what was held for people who are told apart now, and `strays`, all at once, so
    /// that each source keeps its order.
    pub(super) async fn follow(
        &self,
        people: &[Uuid],
        strays: Vec<Uuid>,
        decider: &Decider,
    ) -> Result<Decided, Refused> {
        let mut tx = self.store.read(self.site.tenant).await?;
        let keys = tx.shared_keys();
        let mut roots = Vec::new();
        for person in people {
            roots.push(tx.survivor(*person).await?);
        }
        let mut again = strays;
        let mut after = Uuid::nil();
        loop {
            let page = tx.doubtful_messages(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for held in page {
                let Ok(body) = &held.body else { continue };
                let numbers = self.numbers(&held.source, body.open(), &keys);
                let reached = tx.find_people(&numbers).await?;
                if reached.iter().any(|person| roots.contains(person)) {
                    again.push(held.id);
                }
            }
        }
        drop(tx);
        again.sort_unstable();
        again.dedup();
        if again.is_empty() {
            return Ok(Decided {
                changed: true,
                ..Decided::default()
            });
        }
        let now = clock::now();
        let mut tx = self.store.write(self.site.tenant).await?;
        let (again, purged) = tx.run_again(&again).await?;
        tx.audit(&AuditEntry {
            at: now,
            actor: format!("operator:{}", decider.operator),
            action: "message.replay",
            outcome: "done",
            purpose: None,
            entity: ("message", None),
            message: None,
            detail: Some(format!("{again} messages")),
        })
        .await?;
        tx.commit().await?;
        Ok(Decided {
            changed: true,
            again,
            purged,
        })
    }

    /// Every trusted number that a message names.
    fn numbers(&self, source: &str, body: &[u8], keys: &TenantKeys) -> Vec<Identifier> {
        let Some(feed) = self.site.feeds.get(source) else {
            return Vec::new();
        };
        let Translated::Changes(changes) = translate(body, feed, keys) else {
            return Vec::new();
        };
        let subjects = subject::group(changes, &feed.trust).unwrap_or_default();
        let numbers: Vec<Identifier> = subjects
            .iter()
            .flat_map(Subject::numbers)
            .cloned()
            .collect();
        feed.trust.usable(&numbers)
    }

    /// The people of a message, read anew from its text.
    async fn subjects(
        &self,
        message: Uuid,
        entry: &AuditEntry,
    ) -> Result<(Vec<Subject>, Trust), Refused> {
        let found = self.store.message(self.site.tenant, message, entry).await?;
        let found = found.ok_or_else(|| Refused::Unknown(format!("message {message}")))?;
        let doubtful = found.row.code.as_deref().and_then(Code::from_name);
        if found.row.state != "held" || doubtful.is_none() {
            let fit = "the message is not held: `careloop message show` says what became of it";
            return Err(Refused::Unfit(fit));
        }
        let Ok(body) = found.body else {
            let fit = "the text of the message was purged or cannot be opened; have it sent again";
            return Err(Refused::Unfit(fit));
        };
        let gone = "the source of the message is not configured any more";
        let feed = self.site.feeds.get(&found.row.source);
        let feed = feed.ok_or(Refused::Unfit(gone))?;
        let keys = self.store.read(self.site.tenant).await?.shared_keys();
        let unread = "the message is held for another reason than who it means";
        match translate(body.open(), feed, &keys) {
            Translated::Changes(changes) => {
                let subjects = subject::group(changes, &feed.trust);
                let subjects = subjects.map_err(|_outcome| Refused::Unfit(unread))?;
                Ok((subjects, feed.trust.clone()))
            }
            Translated::Ended(_) => Err(Refused::Unfit(unread)),
        }
    }
}

fn read_by(decider: &Decider, message: Uuid) -> AuditEntry {
    AuditEntry {
        at: clock::now(),
        actor: format!("operator:{}", decider.operator),
        action: "message.read",
        outcome: "done",
        purpose: Some("operations".to_owned()),
        entity: ("message", Some(message)),
        message: Some(message),
        detail: None,
    }
}
