//! Proposed links as rows: whom to compare with whom, what was proposed, what was decided.

use jiff::Timestamp;
use uuid::Uuid;

use super::dialect::{row, rows, run};
use super::record::at;
use super::{Error, Tx};

/// How many people who look alike are compared with one; more of them say nothing.
const LOOKALIKES: i64 = 200;

/// The word among those that agree for: an EHR says so.
const TOLD: &str = "told";

/// A proposed link.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ProposalRow {
    /// Its id.
    pub id: Uuid,
    /// The person with the smaller id.
    pub low: Uuid,
    /// The other one.
    pub high: Uuid,
    /// `open`, `linked`, `kept-apart` or `lapsed`.
    pub state: String,
    /// The sum of the weights.
    pub score: i64,
    agree: String,
    /// Names of the fields that differ.
    pub differ: String,
    /// Keyed hash of what tells the two apart, to see whether that changed.
    pub fingerprint: Vec<u8>,
    proposed_at: i64,
    decided_at: Option<i64>,
    /// Who decided.
    pub decided_by: Option<String>,
}

impl ProposalRow {
    /// When it was proposed.
    pub fn proposed_at(&self) -> Timestamp {
        at(self.proposed_at)
    }

    /// When it was decided.
    pub fn decided_at(&self) -> Option<Timestamp> {
        self.decided_at.map(at)
    }

    /// Whether an EHR says that the two are one, whatever their demographics say.
    pub fn is_told(&self) -> bool {
        self.agree.split_whitespace().any(|word| word == TOLD)
    }

    /// Names of the fields that agree.
    pub fn agree(&self) -> impl Iterator<Item = &str> {
        let words = self.agree.split_whitespace();
        words.filter(|word| *word != TOLD)
    }

    /// The other one of the two.
    pub fn other(&self, person: Uuid) -> Uuid {
        if self.low == person {
            self.high
        } else {
            self.low
        }
    }
}

/// A link to be proposed, or a pair that is decided about.
pub struct NewProposal {
    /// The two people, in any order.
    pub pair: (Uuid, Uuid),
    /// The sum of the weights.
    pub score: i64,
    /// Names of the fields that agree, with blanks between.
    pub agree: String,
    /// Names of the fields that differ.
    pub differ: String,
    /// Keyed hash of what tells the two apart.
    pub fingerprint: Vec<u8>,
}

impl NewProposal {
    /// The same with what an EHR says in favour of it.
    #[must_use]
    pub fn told(mut self) -> Self {
        self.agree = format!("{TOLD} {}", self.agree).trim_end().to_owned();
        self
    }
}

/// What an EHR says of two people whose records stay two.
pub struct ToldLink {
    /// The two, compared.
    pub pair: NewProposal,
    /// Whether they are one person.
    pub is_linked: bool,
    /// When it was said; what was said or decided later stands.
    pub at: Timestamp,
    /// The message that says so.
    pub message: Option<Uuid>,
}

impl Tx {
    /// People whose demographics changed since they were compared, the longest waiting first.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn to_be_compared(&mut self, limit: u32) -> Result<Vec<(Uuid, Timestamp)>, Error> {
        let found = rows!(
            self,
            (Uuid, i64),
            "SELECT person, since_at FROM identity_check WHERE tenant = $1 ORDER BY since_at, person LIMIT $2",
            i64::from(limit)
        )?;
        Ok(found
            .into_iter()
            .map(|(person, since)| (person, at(since)))
            .collect())
    }

    /// Takes a person off the list, unless something changed again meanwhile.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn was_compared(&mut self, person: Uuid, since: Timestamp) -> Result<(), Error> {
        run!(
            self,
            "DELETE FROM identity_check WHERE tenant = $1 AND person = $2 AND since_at <= $3",
            person,
            since.as_microsecond()
        )?;
        Ok(())
    }

    /// Keeps under which short hashes a person is found.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn put_traits(&mut self, person: Uuid, traits: &[Vec<u8>]) -> Result<(), Error> {
        run!(
            self,
            "DELETE FROM person_trait WHERE tenant = $1 AND person = $2",
            person
        )?;
        for one in traits {
            run!(
                self,
                "INSERT INTO person_trait (tenant, person, value_index) VALUES ($1, $2, $3) ON CONFLICT (tenant, person, value_index) DO NOTHING",
                person,
                one.as_slice()
            )?;
        }
        Ok(())
    }

    /// People, after merges, who share a short hash or a contact point with a person.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn lookalikes(
        &mut self,
        members: &[Uuid],
        traits: &[Vec<u8>],
    ) -> Result<Vec<Uuid>, Error> {
        let mut found: Vec<(Uuid,)> = Vec::new();
        for one in traits {
            found.extend(rows!(
                self,
                (Uuid,),
                "SELECT person FROM person_trait WHERE tenant = $1 AND value_index = $2 ORDER BY person LIMIT $3",
                one.as_slice(),
                LOOKALIKES
            )?);
        }
        for member in members {
            found.extend(rows!(
                self,
                (Uuid,),
                "SELECT DISTINCT theirs.person FROM contact_point AS mine JOIN contact_point AS theirs \
                 ON theirs.tenant = $1 AND theirs.value_index = mine.value_index AND theirs.ended_at IS NULL \
                 WHERE mine.tenant = $1 AND mine.person = $2 AND mine.ended_at IS NULL LIMIT $3",
                *member,
                LOOKALIKES
            )?);
        }
        let mut people = Vec::new();
        for (person,) in found {
            let person = self.survivor(person).await?;
            if !members.contains(&person) && !people.contains(&person) {
                people.push(person);
            }
        }
        Ok(people)
    }

    /// What was ever proposed or decided of a person, the newest first.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn proposals_of(&mut self, person: Uuid) -> Result<Vec<ProposalRow>, Error> {
        Ok(rows!(
            self,
            ProposalRow,
            "SELECT id, low, high, state, score, agree, differ, fingerprint, proposed_at, decided_at, decided_by FROM identity_proposal \
             WHERE tenant = $1 AND (low = $2 OR high = $2) ORDER BY id DESC",
            person
        )?)
    }

    /// Proposals in a state, the oldest first.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn proposals(&mut self, state: &str, limit: u32) -> Result<Vec<ProposalRow>, Error> {
        Ok(rows!(
            self,
            ProposalRow,
            "SELECT id, low, high, state, score, agree, differ, fingerprint, proposed_at, decided_at, decided_by FROM identity_proposal \
             WHERE tenant = $1 AND state = $2 ORDER BY id LIMIT $3",
            state,
            i64::from(limit)
        )?)
    }

    /// One proposal.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn proposal(&mut self, id: Uuid) -> Result<Option<ProposalRow>, Error> {
        Ok(row!(
            self,
            ProposalRow,
            "SELECT id, low, high, state, score, agree, differ, fingerprint, proposed_at, decided_at, decided_by FROM identity_proposal \
             WHERE tenant = $1 AND id = $2",
            id
        )?)
    }

    /// Writes a pair down as `open`, or as decided at once; an open one stays as it is.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn put_proposal(
        &mut self,
        new: &NewProposal,
        (state, decided_by): (&'static str, Option<&str>),
        now: Timestamp,
    ) -> Result<(), Error> {
        let (low, high) = (new.pair.0.min(new.pair.1), new.pair.0.max(new.pair.1));
        run!(
            self,
            "INSERT INTO identity_proposal (tenant, id, low, high, state, score, agree, differ, fingerprint, proposed_at, decided_at, decided_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (tenant, low, high) WHERE state = 'open' DO NOTHING",
            Uuid::now_v7(),
            low,
            high,
            state,
            new.score,
            new.agree.as_str(),
            new.differ.as_str(),
            new.fingerprint.as_slice(),
            now.as_microsecond(),
            decided_by.map(|_| now.as_microsecond()),
            decided_by
        )?;
        Ok(())
    }

    /// Writes down what an EHR says of two people: a link is proposed to a named person, its end
    /// keeps them apart.
    pub(super) async fn tell_link(&mut self, told: &ToldLink) -> Result<(), Error> {
        let (one, other) = told.pair.pair;
        let mut known = self.proposals_of(one).await?;
        known.retain(|row| row.other(one) == other);
        let newer = |row: &ProposalRow| match row.state.as_str() {
            "kept-apart" => row.decided_at() >= Some(told.at),
            "open" => row.is_told() && row.proposed_at() > told.at,
            _ => false,
        };
        if known.iter().any(newer) {
            return Ok(());
        }
        let open = known.iter().find(|row| row.state == "open");
        let by = told.message.map(|id| format!("message {id}"));
        let ended = ("kept-apart", by.as_deref());
        match (open, told.is_linked) {
            (Some(open), true) => {
                run!(
                    self,
                    "UPDATE identity_proposal SET score = $3, agree = $4, differ = $5, fingerprint = $6, proposed_at = $7 WHERE tenant = $1 AND id = $2",
                    open.id,
                    told.pair.score,
                    told.pair.agree.as_str(),
                    told.pair.differ.as_str(),
                    told.pair.fingerprint.as_slice(),
                    told.at.as_microsecond()
                )?;
            }
            (Some(open), false) => {
                self.end_proposal(open.id, ended, told.at).await?;
            }
            (None, true) => {
                let open = ("open", None);
                self.put_proposal(&told.pair, open, told.at).await?;
            }
            (None, false) => self.put_proposal(&told.pair, ended, told.at).await?,
        }
        Ok(())
    }

    /// Ends an open proposal.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn end_proposal(
        &mut self,
        id: Uuid,
        (state, decided_by): (&'static str, Option<&str>),
        now: Timestamp,
    ) -> Result<bool, Error> {
        let touched = run!(
            self,
            "UPDATE identity_proposal SET state = $3, decided_at = $4, decided_by = $5 WHERE tenant = $1 AND id = $2 AND state = 'open'",
            id,
            state,
            now.as_microsecond(),
            decided_by
        )?;
        Ok(touched == 1)
    }
}
