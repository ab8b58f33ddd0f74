//! Moves: an identifier, account or visit was recorded for the wrong person and is another one's.
//! Both people stay; what was said under the number goes with it.

use uuid::Uuid;

use super::board::Board;
use super::findings;
use super::plan::{Desk, settled, touch};
use super::subject::{Asked, Resolved, Subject, held};
use crate::care::Touched;
use crate::crm::{Assertion, Group, Identifier, MoveChange, Numbered, Trust};
use crate::failure::Code;
use crate::message::Outcome;
use crate::store::{Assignment, Effects, Record, TenantKeys};

/// A move as the source's trust reads it.
pub(super) struct Transfer {
    what: Numbered,
    /// The numbers that move.
    moved: Vec<Identifier>,
    /// Whose they were, where the message says so.
    from: Vec<Identifier>,
}

/// What one person gives to the subject of a message.
pub(super) struct Moved {
    /// Who gives.
    pub(super) record: Record,
    what: Numbered,
    numbers: Vec<Identifier>,
}

/// A move to somebody whom nobody knows.
pub(super) fn nobody() -> Outcome {
    held(
        Code::MoveUnresolved,
        "PID-3: the person who shall have it is not known yet",
    )
}

impl Transfer {
    /// Reads the moves of one subject. Of an identifier that PID and MRG both name, both sides say
    /// which one moves, and the others say from whom to whom (HL7 v2.5.1, 3.3.43); where they name
    /// different ones, what MRG-1 names moves.
    pub(super) fn read(moves: &[MoveChange], trust: &Trust) -> Result<Vec<Self>, Outcome> {
        let mut transfers = Vec::with_capacity(moves.len());
        for one in moves {
            if one.what != Numbered::Identifier {
                transfers.push(Self {
                    what: one.what,
                    moved: one.value.clone(),
                    from: trust.usable(&one.from),
                });
                continue;
            }
            let value = trust.usable(&one.value);
            let to = trust.usable(&one.to);
            let shared: Vec<Identifier> =
                value.iter().filter(|id| to.contains(id)).cloned().collect();
            let moved = if shared.is_empty() {
                value.clone()
            } else {
                shared
            };
            if moved.is_empty() {
                let place = "MRG-1: no identifier is trusted";
                return Err(held(Code::MoveUnresolved, place));
            }
            if to.iter().all(|id| moved.contains(id)) {
                let place = "PID-3, PID-2: name nobody beside what is moved";
                return Err(held(Code::MoveUnresolved, place));
            }
            let mut from = trust.usable(&one.from);
            from.extend(value);
            from.retain(|id| !moved.contains(id));
            transfers.push(Self {
                what: one.what,
                moved,
                from,
            });
        }
        Ok(transfers)
    }

    /// Whether it moves this identifier of a person.
    pub(super) fn moves(&self, identifier: &Identifier) -> bool {
        self.what == Numbered::Identifier && self.moved.contains(identifier)
    }
}

/// Finds who gives what.
pub(super) fn find(
    board: &Board,
    mut resolved: Resolved,
    transfers: Vec<Transfer>,
    asked: Asked,
) -> Result<Resolved, Outcome> {
    for transfer in transfers {
        let taker = resolved.record.person;
        let named = board.people(&transfer.from);
        let owners = match transfer.what {
            Numbered::Identifier => board.people(&transfer.moved),
            Numbered::Account | Numbered::Visit => named.clone(),
        };
        let givers: Vec<Uuid> = owners.into_iter().filter(|id| *id != taker).collect();
        let doubtful = named.iter().any(|id| *id != taker && !givers.contains(id));
        match givers.as_slice() {
            _ if doubtful || givers.len() > 1 => {
                let place = "MRG: names somebody else than who has it";
                return Err(held(Code::MoveUnresolved, place));
            }
            [giver] if !is_over(board, &transfer, asked) => {
                if let Some(record) = board.record(*giver) {
                    resolved.moved.push(Moved {
                        record: record.clone(),
                        what: transfer.what,
                        numbers: transfer.moved,
                    });
                }
            }
            // Nobody has it: from now on it is this person's.
            [] if transfer.what == Numbered::Identifier => {
                resolved.identifiers.extend(transfer.moved);
            }
            _ => {}
        }
    }
    Ok(resolved)
}

/// Whether a newer move has decided already.
fn is_over(board: &Board, transfer: &Transfer, asked: Asked) -> bool {
    let mut moved = transfer.moved.iter();
    transfer.what == Numbered::Identifier
        && moved.any(|identifier| board.was_assigned_after(identifier, asked.event_time))
}

impl Desk<'_> {
    /// What a message names its person, account and visit by, as keyed hashes.
    pub(super) fn marks(&self, subject: &Subject, identifiers: &[Identifier]) -> Vec<String> {
        let mut marks = self.marks_of(Numbered::Identifier, identifiers);
        marks.extend(self.marks_of(Numbered::Account, &subject.patient.accounts));
        marks.extend(self.marks_of(Numbered::Visit, &subject.patient.visits));
        marks.sort_unstable();
        marks.dedup();
        marks
    }

    pub(super) fn marks_of(&self, what: Numbered, numbers: &[Identifier]) -> Vec<String> {
        let numbers = numbers.iter();
        numbers.map(|one| mark(self.keys, what, one)).collect()
    }

    /// What was said under an account or a visit is found under its new number, too.
    pub(super) fn renumber(&self, subject: &Subject, record: &mut Record) {
        for change in &subject.renumbered {
            if change.what == Numbered::Identifier {
                continue;
            }
            let from = self.marks_of(change.what, &change.from);
            let to = self.marks_of(change.what, &change.to);
            let is_under = |told: &Assertion| {
                told.source == self.cause.label
                    && told.marks.iter().any(|mark| from.contains(mark))
                    && to.iter().any(|mark| !told.marks.contains(mark))
            };
            for mut told in record.assertions.take(is_under) {
                let new = to.iter().filter(|mark| !told.marks.contains(mark));
                let new: Vec<String> = new.cloned().collect();
                told.marks.extend(new);
                record.assertions.put(told);
            }
        }
    }

    /// Gives what was said under the moved numbers to the person of `record`; the effects are those
    /// for who gives.
    pub(super) fn take_over(
        &self,
        moved: Moved,
        home: Uuid,
        record: &mut Record,
        (effects, touched): (&mut Effects, &mut Touched),
    ) -> (Effects, Record) {
        let mut giver = settled(moved.record);
        let mut given = Effects {
            members: giver.members.clone(),
            ..Effects::default()
        };
        let marks = self.marks_of(moved.what, &moved.numbers);
        let goes = |told: &Assertion| goes_with(told, moved.what, &marks, self.cause.label);
        for told in giver.assertions.take(goes) {
            let mine = Assertion {
                person: home,
                ..told
            };
            let newer =
                |own: &Assertion| own.is_about_the_same(&mine) && own.event_time > mine.event_time;
            if record.assertions.iter().any(newer) {
                continue;
            }
            touch(touched, &mine, &[]);
            record.assertions.put(mine);
        }
        if moved.what == Numbered::Identifier {
            for identifier in moved.numbers {
                effects.assignments.push(Assignment {
                    person: home,
                    identifier,
                    event_time: self.cause.event_time,
                    message: self.cause.message,
                    made_by: "pipeline".to_owned(),
                });
            }
        }
        let view = self.site.view(&giver.assertions);
        self.contacts(&view, &mut giver, &mut given);
        findings::reconcile(self, &mut giver, (&view, true), &mut given);
        given
            .audit
            .push(self.entry("person.move", ("person", Some(giver.person))));
        given.said = giver.assertions.take_changed();
        giver.follow(&given);
        (given, giver)
    }
}

/// Whether an assertion goes with moved numbers. Who somebody is goes only with the last of the
/// identifiers that it was said under; an account or a visit holds care, not the person.
fn goes_with(told: &Assertion, what: Numbered, moved: &[String], label: &str) -> bool {
    let under = told.marks.iter().any(|mark| moved.contains(mark));
    let clinical = matches!(
        told.group,
        Group::Appointment | Group::Request | Group::Pointer
    );
    match what {
        Numbered::Account | Numbered::Visit => under && clinical && told.source == label,
        Numbered::Identifier if clinical => under,
        Numbered::Identifier => {
            let mut ids = told.marks.iter().filter(|mark| is_identifier(mark));
            under && ids.all(|mark| moved.contains(mark))
        }
    }
}

/// A number as it is kept beside what was said under it: enough to find it again among one
/// person's, and nothing to read.
fn mark(keys: &TenantKeys, what: Numbered, number: &Identifier) -> String {
    let value = number.value.trim();
    let hash = match what {
        Numbered::Identifier => {
            let assigner = number.assigner.as_deref().unwrap_or_default();
            let kind = number.kind.as_deref().unwrap_or_default();
            keys.index.reference(&[what.name(), assigner, kind, value])
        }
        // Senders name assigners of accounts and visits in PID and leave them out in MRG.
        Numbered::Account | Numbered::Visit => keys.index.reference(&[what.name(), value]),
    };
    let initial = what.name().chars().take(1);
    initial.chain(hash.chars().take(16)).collect()
}

fn is_identifier(mark: &str) -> bool {
    mark.starts_with('i')
}
