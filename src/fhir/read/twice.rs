//! Refuses an object that has a member twice: which of them is meant nobody can know.

use std::borrow::Cow;

use super::super::error::{ReadErrorKind, Step};
use super::super::tree::Cell;
use super::{Fault, Outcome, Reader};

/// Up to so many members are compared one with another, more are sorted.
const FEW: usize = 24;

/// The children of `cell`, an object, by name.
pub(super) fn refuse(reader: &Reader<'_>, cell: usize) -> Outcome<()> {
    let mut few = [""; FEW];
    for (known, child) in children(reader, cell).enumerate() {
        let Cow::Borrowed(name) = child.name(reader.text) else {
            return refuse_many(reader, cell);
        };
        if few.iter().take(known).any(|one| *one == name) {
            return Err(fault(reader, child, name));
        }
        let Some(free) = few.get_mut(known) else {
            return refuse_many(reader, cell);
        };
        *free = name;
    }
    Ok(())
}

fn refuse_many(reader: &Reader<'_>, cell: usize) -> Outcome<()> {
    let mut names: Vec<(Cow<'_, str>, Cell)> = children(reader, cell)
        .map(|child| (child.name(reader.text), child))
        .collect();
    names
        .sort_by(|(a, first), (b, second)| a.cmp(b).then(first.name_start.cmp(&second.name_start)));
    let twice = names.windows(2).find_map(|pair| match pair {
        [(a, _), (b, second)] if a == b => Some((second, b)),
        _ => None,
    });
    twice.map_or(Ok(()), |(child, name)| Err(fault(reader, *child, name)))
}

fn children(reader: &Reader<'_>, cell: usize) -> impl Iterator<Item = Cell> {
    let mut at = cell + 1;
    std::iter::from_fn(move || {
        let child = *reader.cells.get(at)?;
        at = usize::try_from(child.next).unwrap_or(usize::MAX);
        Some(child)
    })
}

fn fault(reader: &Reader<'_>, child: Cell, name: &str) -> Box<Fault> {
    let kind = ReadErrorKind::Duplicate;
    let fault = reader.fault(kind, "each member once", "a member twice");
    let offset = usize::try_from(child.name_start)
        .unwrap_or_default()
        .saturating_sub(1);
    Box::new(Fault {
        offset,
        steps: vec![Step::member(name)],
        ..*fault
    })
}
