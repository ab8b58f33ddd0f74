//! Parts of a message that belong together, so that a mapping can go from group to group.

use std::fmt;
use std::sync::Arc;

use super::message::Message;
use super::path::{Path, Paths};
use super::segment::{Field, Repetition, Segment};

/// Some segments of a message, within which paths are read.
///
/// A path is read in the scope's own segments when one of them has its name, counting
/// occurrences there. Otherwise it is read *outside*: in those segments of the next wider scope
/// that belong to none of the sibling groups, and so on to the whole message; the nearest scope
/// that has the name counts. So inside an order group `PID-3` is the patient, but the `OBR` of
/// another order is never seen. [`Scope::strict`] switches the outside off.
#[derive(Clone)]
pub struct Scope<'m> {
    message: &'m Message,
    /// Places in the message, ascending.
    own: Vec<usize>,
    /// Places outside, ascending, the nearest scope first; shared by all siblings.
    outside: Arc<[Arc<[usize]>]>,
}

impl<'m> Scope<'m> {
    pub(super) fn whole(message: &'m Message, segments: usize) -> Scope<'m> {
        Scope {
            message,
            own: (0..segments).collect(),
            outside: Arc::from([]),
        }
    }

    /// The same segments with nothing outside.
    #[must_use]
    pub fn strict(self) -> Scope<'m> {
        Scope {
            outside: Arc::from([]),
            ..self
        }
    }

    /// The message that it is a part of.
    #[must_use]
    pub fn message(&self) -> &'m Message {
        self.message
    }

    /// Its own segments.
    #[must_use]
    pub fn segments(&self) -> Vec<Segment<'m>> {
        self.own
            .iter()
            .map(|&index| Segment::new(self.message, index))
            .collect()
    }

    /// The value at `path`; see [`Repetition::get`] for its meaning.
    #[must_use]
    pub fn get(&self, path: &Path) -> Field<'m> {
        self.locate(path)
            .map_or(Field::Absent, |segment| segment.get(path))
    }

    /// The first of the alternatives that is not absent.
    #[must_use]
    pub fn first(&self, paths: &Paths) -> Field<'m> {
        let mut found = paths.alternatives().iter().map(|path| self.get(path));
        found
            .find(|field| !field.is_absent())
            .unwrap_or(Field::Absent)
    }

    /// The text at `path` exactly as sent; `None` where the message does not reach.
    #[must_use]
    pub fn raw(&self, path: &Path) -> Option<&'m str> {
        self.locate(path)?.raw_at(path)
    }

    /// The repetitions of the field at `path` that hold something, with their numbers; only the
    /// one that the path names, if it names one. What the path says after the field is not used.
    #[must_use]
    pub fn repetitions(&self, path: &Path) -> Vec<Repetition<'m>> {
        let Some(segment) = self.locate(path) else {
            return Vec::new();
        };
        let mut found = segment.field(path.field());
        found.retain(|one| {
            !one.is_empty()
                && path
                    .repetition()
                    .is_none_or(|number| number == one.number())
        });
        found
    }

    /// Whether one of its own segments has this name; the outside is not looked at.
    #[must_use]
    pub fn has_segment(&self, name: &str) -> bool {
        self.own.iter().any(|&index| self.name(index) == name)
    }

    /// One scope for each of its own segments of this name; the rest of this scope is outside.
    #[must_use]
    pub fn each_segment(&self, name: &str) -> Vec<Scope<'m>> {
        let groups = self.own.iter().filter(|&&index| self.name(index) == name);
        self.children(groups.map(|&index| vec![index]).collect())
    }

    /// Cuts its own segments into groups that start at an anchor.
    ///
    /// A group runs from its anchor to before the next one, whatever stands between (unknown and
    /// Z segments too), or to before a segment named in `stop`. With several anchors, listed from
    /// the outer to the inner, a later one joins the group of an earlier one: `["ORC", "OBR"]`
    /// makes one group of `ORC OBR OBX`, two of `ORC OBR OBR`, and two of `OBR OBX OBR`.
    #[must_use]
    pub fn groups(&self, anchors: &[&str], stop: &[&str]) -> Vec<Scope<'m>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        // The ranks of the anchors in the open group; `None` while no group is open.
        let mut open: Option<Vec<usize>> = None;
        for &index in &self.own {
            let name = self.name(index);
            let rank = anchors.iter().position(|&anchor| anchor == name);
            let joins = |held: &Vec<usize>| {
                rank.is_none_or(|rank| !held.contains(&rank) && held.iter().any(|&h| h < rank))
            };
            match (&mut open, rank) {
                (Some(held), _) if joins(held) && !stop.contains(&name) => {
                    held.extend(rank);
                    groups
                        .last_mut()
                        .into_iter()
                        .for_each(|group| group.push(index));
                }
                (_, Some(rank)) => {
                    open = Some(vec![rank]);
                    groups.push(vec![index]);
                }
                (_, None) => open = None,
            }
        }
        self.children(groups)
    }

    /// Scopes of these segments, with everything else that this scope sees outside of them.
    fn children(&self, groups: Vec<Vec<usize>>) -> Vec<Scope<'m>> {
        // Ascends, as the groups and their segments do.
        let taken: Vec<usize> = groups.iter().flatten().copied().collect();
        let left = self
            .own
            .iter()
            .copied()
            .filter(|index| taken.binary_search(index).is_err());
        let levels = std::iter::once(left.collect()).chain(self.outside.iter().cloned());
        let outside: Arc<[Arc<[usize]>]> = levels.collect();
        let child = |own| Scope {
            message: self.message,
            own,
            outside: Arc::clone(&outside),
        };
        groups.into_iter().map(child).collect()
    }

    fn locate(&self, path: &Path) -> Option<Segment<'m>> {
        let place = path.occurrence().saturating_sub(1);
        let levels =
            std::iter::once(self.own.as_slice()).chain(self.outside.iter().map(AsRef::as_ref));
        for level in levels {
            let mut named = level
                .iter()
                .filter(|&&index| self.name(index) == path.segment())
                .peekable();
            if named.peek().is_some() {
                return named
                    .nth(place)
                    .map(|&index| Segment::new(self.message, index));
            }
        }
        None
    }

    fn name(&self, index: usize) -> &'m str {
        Segment::new(self.message, index).name()
    }
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.segments()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: &str = "MSH|^~\\&|||||||ORM^O01|TEST-1|P|2.3\r\
        PID|1||TEST-123^^^TEST^MR~TEST-9^^^OTHER^MR\rNTE|1||patient\r\
        ORC|NW|A1\rOBR|1|A1\rZOB|x\rOBX|1|TX|a||one\rNTE|1||of one\rOBX|2|TX|b||two\r\
        ORC|NW|A2\rOBX|1|TX|a||three\rDG1|1\rNTE|9||late\r";

    fn value(scope: &Scope<'_>, path: &str) -> Option<String> {
        scope
            .get(&Path::parse(path).unwrap())
            .into_value()
            .map(std::borrow::Cow::into_owned)
    }

    fn names(scope: &Scope<'_>) -> String {
        scope
            .segments()
            .iter()
            .map(Segment::name)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn groups_run_from_anchor_to_anchor_or_stop() {
        let message = Message::parse(ORDERS).unwrap();
        let groups = message.groups(&["ORC", "OBR"], &["DG1"]);
        let shown: Vec<_> = groups.iter().map(names).collect();
        assert_eq!(shown, ["ORC OBR ZOB OBX NTE OBX", "ORC OBX"]);
        assert_eq!(value(&groups[0], "OBX-5").as_deref(), Some("one"));
        assert_eq!(value(&groups[0], "OBX[2]-5").as_deref(), Some("two"));
        assert_eq!(value(&groups[1], "OBX-5").as_deref(), Some("three"));
        assert_eq!(value(&groups[1], "OBX[2]-5"), None);
    }

    #[test]
    fn outside_is_what_no_sibling_holds() {
        let message = Message::parse(ORDERS).unwrap();
        let groups = message.groups(&["ORC"], &["DG1"]);
        assert_eq!(value(&groups[1], "PID-3.1").as_deref(), Some("TEST-123"));
        assert_eq!(
            value(&groups[1], "OBR-2"),
            None,
            "never the OBR of another order"
        );
        assert_eq!(value(&groups[1], "NTE-3").as_deref(), Some("patient"));
        assert_eq!(value(&groups[1], "NTE[2]-3").as_deref(), Some("late"));
        assert_eq!(value(&groups[1].clone().strict(), "PID-3.1"), None);
        assert!(groups[0].has_segment("OBR") && !groups[0].has_segment("PID"));
    }

    #[test]
    fn scopes_nest() {
        let message = Message::parse(ORDERS).unwrap();
        let order = &message.groups(&["ORC"], &["DG1"])[0];
        let results = order.groups(&["OBX"], &[]);
        assert_eq!(results.len(), 2);
        assert_eq!(value(&results[0], "NTE-3").as_deref(), Some("of one"));
        assert_eq!(value(&results[1], "NTE-3").as_deref(), Some("patient"));
        assert_eq!(value(&results[1], "OBR-2").as_deref(), Some("A1"));
        assert_eq!(value(&results[1], "PID-3.1").as_deref(), Some("TEST-123"));
        let each = order.each_segment("OBX");
        assert_eq!(value(&each[1], "OBX-5").as_deref(), Some("two"));
        assert_eq!(value(&each[1], "NTE-3").as_deref(), Some("of one"));
    }

    #[test]
    fn anchors_from_outer_to_inner() {
        let head = "MSH|^~\\&|||||||ORU^R01|TEST-1|P|2.3\r";
        let shown = |body: &str| {
            let message = Message::parse(format!("{head}{body}")).unwrap();
            message
                .groups(&["ORC", "OBR"], &[])
                .iter()
                .map(names)
                .collect::<Vec<_>>()
        };
        assert_eq!(shown("OBR|1\rOBX|1\rOBR|2"), ["OBR OBX", "OBR"]);
        assert_eq!(shown("ORC|1\rOBR|1\rOBR|2"), ["ORC OBR", "OBR"]);
        assert_eq!(shown("OBR|1\rORC|1\rOBR|2"), ["OBR", "ORC OBR"]);
        assert!(shown("PID|1").is_empty());
    }

    #[test]
    fn merges_come_in_pairs() {
        let message = Message::parse(
            "MSH|^~\\&|||||||ADT^A40|TEST-1|P|2.5\rPID|1||TEST-1\rMRG|TEST-2\rPID|2||TEST-3\rMRG|TEST-4",
        )
        .unwrap();
        let pairs = message.groups(&["PID"], &[]);
        let read = |scope| (value(scope, "PID-3"), value(scope, "MRG-1"));
        assert_eq!(
            read(&pairs[1]),
            (Some("TEST-3".into()), Some("TEST-4".into()))
        );
        let each = pairs[1].repetitions(&Path::parse("PID-3").unwrap());
        assert_eq!(each.len(), 1);
    }

    #[test]
    fn repetitions_keep_their_numbers() {
        let message = Message::parse(ORDERS.replace("~TEST-9", "~~TEST-9")).unwrap();
        let numbers = |path| {
            let found = message.scope().repetitions(&Path::parse(path).unwrap());
            found.iter().map(Repetition::number).collect::<Vec<_>>()
        };
        assert_eq!(numbers("PID-3"), [1, 3]);
        assert_eq!(numbers("PID-3[3]"), [3]);
        assert!(numbers("PID-30").is_empty() && numbers("PV1-3").is_empty());
    }
}
