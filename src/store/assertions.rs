//! What messages say of people: one row for all that a message still says of a person. A newer
//! message takes over what it says, too; what an older one says no more leaves the older one's row.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::ops::Deref;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::dialect::{among, many};
use super::effects::Effects;
use super::load::Gathered;
use super::record::at;
use super::{Error, Tx};
use crate::crm::{Assertion, Payload};

/// What stands of a person, and which of the rows are to be written anew.
#[derive(Clone, Default)]
pub struct Assertions {
    standing: Vec<Assertion>,
    /// By person and message.
    changed: BTreeSet<(Uuid, Uuid)>,
}

/// All that a message says of a person from now on. With nothing in it, the row goes.
pub struct Said {
    person: Uuid,
    message: Uuid,
    assertions: Vec<Assertion>,
}

impl Deref for Assertions {
    type Target = [Assertion];

    fn deref(&self) -> &[Assertion] {
        &self.standing
    }
}

impl Assertions {
    /// Lets an assertion stand in the place of what its source said of the same thing before.
    pub fn put(&mut self, assertion: Assertion) {
        self.take(|old| old.is_about_the_same(&assertion));
        self.changed.insert((assertion.person, assertion.message));
        self.standing.push(assertion);
    }

    /// Takes out what `goes`.
    pub fn take(&mut self, mut goes: impl FnMut(&Assertion) -> bool) -> Vec<Assertion> {
        let gone = self.standing.extract_if(.., |told| goes(told));
        let gone: Vec<Assertion> = gone.collect();
        let rows = gone.iter().map(|told| (told.person, told.message));
        self.changed.extend(rows);
        gone
    }

    /// The rows that differ from those that were taken last; they count as written.
    pub fn take_changed(&mut self) -> Vec<Said> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        let said = changed.map(|(person, message)| {
            let of_row = |told: &&Assertion| told.person == person && told.message == message;
            Said {
                person,
                message,
                assertions: self.standing.iter().filter(of_row).cloned().collect(),
            }
        });
        said.collect()
    }

    /// Adds those of a person who is being merged into this one.
    pub(super) fn absorb(&mut self, other: Self) {
        self.standing.extend(other.standing);
        self.changed.extend(other.changed);
    }

    /// Brings them into the order of `place`, keeping the order of those of one place.
    pub(super) fn sort_by_person<K: Ord>(&mut self, place: impl Fn(&Uuid) -> K) {
        self.standing.sort_by_key(|told| place(&told.person));
    }
}

/// What a row's cell holds. What its assertions have in common is there once.
#[derive(Serialize, Deserialize)]
struct Cell<'a> {
    source: Cow<'a, str>,
    /// When it happened, in microseconds.
    at: i64,
    #[serde(default, skip_serializing_if = "is_empty")]
    marks: Cow<'a, [String]>,
    said: Vec<Entry<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    #[serde(default, skip_serializing_if = "str::is_empty")]
    key: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    marks: Option<Cow<'a, [String]>>,
    payload: Cow<'a, Payload>,
}

fn is_empty(marks: &[String]) -> bool {
    marks.is_empty()
}

impl<'a> Cell<'a> {
    /// `None` where nothing is said.
    fn of(said: &'a [Assertion]) -> Option<Self> {
        let first = said.first()?;
        let entry = |told: &'a Assertion| Entry {
            key: Cow::from(&told.key),
            source: (told.source != first.source).then(|| Cow::from(&told.source)),
            at: (told.event_time != first.event_time).then(|| told.event_time.as_microsecond()),
            marks: (told.marks != first.marks).then(|| Cow::from(&told.marks)),
            payload: Cow::Borrowed(&told.payload),
        };
        Some(Self {
            source: Cow::from(&first.source),
            at: first.event_time.as_microsecond(),
            marks: Cow::from(&first.marks),
            said: said.iter().map(entry).collect(),
        })
    }

    fn open(self, person: Uuid, message: Uuid) -> Vec<Assertion> {
        let (source, marks) = (self.source.into_owned(), self.marks.into_owned());
        let assertion = |entry: Entry<'a>| Assertion {
            person,
            group: entry.payload.group(),
            source: entry.source.map_or_else(|| source.clone(), Cow::into_owned),
            key: entry.key.into_owned(),
            event_time: at(entry.at.unwrap_or(self.at)),
            message,
            marks: entry.marks.map_or_else(|| marks.clone(), Cow::into_owned),
            payload: entry.payload.into_owned(),
        };
        self.said.into_iter().map(assertion).collect()
    }
}

/// The row key of a cell.
fn row(person: Uuid, message: Uuid) -> Vec<u8> {
    [person.as_bytes().as_slice(), message.as_bytes()].concat()
}

impl Tx {
    pub(super) async fn assertions(&mut self, all: &mut Gathered) -> Result<(), Error> {
        let found = among!(
            self,
            (Uuid, Uuid, Vec<u8>),
            "SELECT person, message, cell FROM assertion WHERE tenant = $1 AND person = ANY($2)",
            &all.people
        )?;
        for (person, message, cell) in found {
            let (record, member) = all.with_member(person)?;
            let row = row(person, message);
            let cell: Cell<'_> = member.open(&self.place("assertion", &row), &cell, "assertion")?;
            let told = cell.open(person, message);
            record.assertions.standing.extend(told);
        }
        Ok(())
    }

    /// Writes what messages say from now on; of a row that several effects change, the last one's.
    pub(super) async fn put_assertions(&mut self, all: &[&Effects]) -> Result<(), Error> {
        let mut sealed: Vec<(&Said, Vec<u8>)> = Vec::new();
        let mut empty: Vec<&Said> = Vec::new();
        let mut seen: HashSet<(Uuid, Uuid)> = HashSet::new();
        for effects in all.iter().rev() {
            for said in effects.said.iter().rev() {
                if !seen.insert((said.person, said.message)) {
                    continue;
                }
                let Some(cell) = Cell::of(&said.assertions) else {
                    empty.push(said);
                    continue;
                };
                let row = row(said.person, said.message);
                let member = effects.member(said.person)?;
                let cell = member.seal(&self.place("assertion", &row), &cell)?;
                sealed.push((said, cell));
            }
        }
        many!(
            self,
            "DELETE FROM assertion WHERE tenant = $1 AND (person, message) IN (SELECT given.column1, given.column2 FROM (VALUES ($2, $3)) AS given)",
            &empty,
            |said| said.person,
            said.message
        );
        many!(
            self,
            "INSERT INTO assertion (tenant, person, message, cell) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (tenant, person, message) DO UPDATE SET cell = excluded.cell",
            &sealed,
            |one| one.0.person,
            one.0.message,
            one.1.as_slice()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::crm::Sex;

    /// Something said: who of two, the source, the thing, the message, and its marks.
    type Word = (u128, bool, u8, u128, bool);

    fn word() -> impl Strategy<Value = Word> {
        (1..3_u128, any::<bool>(), 0..4_u8, 1..6_u128, any::<bool>())
    }

    fn assertion((person, first, thing, message, marked): Word) -> Assertion {
        let payload = match thing {
            0 => Payload::Sex(Some(Sex::Female)),
            1 => Payload::Language(Some("es".to_owned())),
            other => Payload::Restrictions(vec![format!("R{other}")]),
        };
        let seconds = i64::try_from(message).unwrap() + i64::from(thing == 2);
        Assertion {
            person: Uuid::from_u128(person),
            group: payload.group(),
            source: if first { "adt" } else { "siu" }.to_owned(),
            key: if thing < 2 {
                String::new()
            } else {
                format!("K{thing}")
            },
            event_time: Timestamp::from_second(seconds).unwrap(),
            message: Uuid::from_u128(message),
            marks: if marked {
                vec!["i1".to_owned()]
            } else {
                Vec::new()
            },
            payload,
        }
    }

    fn sorted(told: impl IntoIterator<Item = Assertion>) -> Vec<String> {
        let mut lines: Vec<String> = told
            .into_iter()
            .map(|one| {
                let payload = serde_json::to_string(&one.payload).unwrap();
                let (who, when) = ((one.person, one.message, one.source), one.event_time);
                format!(
                    "{who:?} {when} {:?} {} {:?} {payload}",
                    one.group, one.key, one.marks
                )
            })
            .collect();
        lines.sort();
        lines
    }

    proptest! {
        /// Whoever writes nothing but the rows that changed reads what stands.
        #[test]
        fn changed_rows_are_all_that_is_to_be_written(
            rounds in prop::collection::vec((prop::collection::vec(word(), 0..6), 0..8_u8), 1..6),
        ) {
            let mut told = Assertions::default();
            let mut stored: BTreeMap<(Uuid, Uuid), Vec<u8>> = BTreeMap::new();
            for (words, gone) in rounds {
                for word in words {
                    told.put(assertion(word));
                }
                let goes = Uuid::from_u128(gone.into());
                told.take(|one| one.message == goes);
                for said in told.take_changed() {
                    let row = (said.person, said.message);
                    match Cell::of(&said.assertions) {
                        Some(cell) => stored.insert(row, serde_json::to_vec(&cell).unwrap()),
                        None => stored.remove(&row),
                    };
                }
                prop_assert!(told.take_changed().is_empty());
                let read = stored.iter().flat_map(|((person, message), cell)| {
                    let cell: Cell<'_> = serde_json::from_slice(cell).unwrap();
                    cell.open(*person, *message)
                });
                prop_assert_eq!(sorted(read), sorted(told.to_vec()));
            }
        }
    }

    #[test]
    fn a_source_says_one_thing_of_a_thing() {
        let mut told = Assertions::default();
        told.put(assertion((1, true, 0, 1, false)));
        told.put(assertion((1, true, 0, 2, false)));
        told.put(assertion((1, false, 0, 3, false)));
        assert_eq!(told.len(), 2);
        let rows: Vec<(u128, usize)> = told
            .take_changed()
            .iter()
            .map(|said| (said.message.as_u128(), said.assertions.len()))
            .collect();
        assert_eq!(rows, [(1, 0), (2, 1), (3, 1)]);
    }
}
