//! Links that an EHR tells of: A24 proposes one to a named person, A37 keeps two people apart.
//! Nobody is merged by either.

use uuid::Uuid;

use super::batch::Planned;
use super::compare::Compared;
use super::plan::Desk;
use super::subject::{Subject, held};
use crate::failure::Code;
use crate::message::Outcome;
use crate::store::ToldLink;

/// Whether a message says that its people are one (`true`) or are not (`false`); most say neither.
/// Groups that share an identifier are one subject already.
pub(super) fn link(subjects: &[Subject]) -> Result<Option<bool>, Outcome> {
    let mut told = subjects.iter().flat_map(|subject| &subject.links);
    let Some(first) = told.next() else {
        return Ok(None);
    };
    if told.next().is_none() {
        let place = "PID: expected two people to be linked or unlinked, found one";
        return Err(held(Code::LinkUnresolved, place));
    }
    if !first.linked && subjects.len() < 2 {
        return Err(one_already());
    }
    Ok(Some(first.linked))
}

/// An unlink of two whom careloop holds for one.
pub(super) fn one_already() -> Outcome {
    let place = "PID: the numbers of both are one person's here";
    held(Code::LinkUnresolved, place)
}

impl Planned {
    /// Writes down what is told of the first of these people and each of the others.
    pub(super) fn relate(&mut self, desk: &Desk<'_>, people: &[Uuid], is_linked: bool) {
        let Some((first, others)) = people.split_first() else {
            return;
        };
        for other in others {
            let (Some(ours), Some(theirs)) =
                (self.compared(desk, *first), self.compared(desk, *other))
            else {
                continue;
            };
            let pair = ours.pair(&theirs, desk.keys);
            let told = ToldLink {
                pair: if is_linked { pair.told() } else { pair },
                is_linked,
                at: desk.cause.event_time,
                message: desk.cause.message,
            };
            let action = if is_linked {
                "person.link-told"
            } else {
                "person.unlink-told"
            };
            let mut effects = self.effects.iter_mut();
            if let Some(effects) = effects.find(|one| one.people().any(|id| id == *other)) {
                effects.told.push(told);
                for person in [*first, *other] {
                    effects
                        .audit
                        .push(desk.entry(action, ("person", Some(person))));
                }
            }
        }
    }

    fn compared(&self, desk: &Desk<'_>, person: Uuid) -> Option<Compared> {
        let record = self.after.iter().find(|record| record.person == person)?;
        Some(Compared::of(record, desk.site))
    }
}
