//! Splits a planned batch by people, so that what has nothing to do with one another is written
//! side by side.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::batch::Planned;
use crate::store::Effects;

/// Transactions at most that one source has open at once.
const LANES: usize = 4;
/// Messages for which a transaction of their own pays.
const WORTH: usize = 64;

/// The places of the batch's messages for each lane, in order. Messages that touch the same
/// person, or people between whom others make a chain, are in one lane: one's plan builds on the
/// other's.
pub(super) fn split(batch: &[Planned]) -> Vec<Vec<usize>> {
    let touched = |planned: &Planned| planned.effects.iter().flat_map(Effects::people).collect();
    let people: Vec<Vec<Uuid>> = batch.iter().map(touched).collect();
    spread(kin(&people), batch.len())
}

/// The messages that belong together.
fn kin(people: &[Vec<Uuid>]) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut group_of: HashMap<Uuid, usize> = HashMap::new();
    for (place, touched) in people.iter().enumerate() {
        let known = touched.iter().filter_map(|person| group_of.get(person));
        let known: BTreeSet<usize> = known.copied().collect();
        for group in group_of.values_mut() {
            if known.contains(group) {
                *group = place;
            }
        }
        group_of.extend(touched.iter().map(|person| (*person, place)));
        let joined = known.iter().filter_map(|group| groups.remove(group));
        let mut members: Vec<usize> = joined.flatten().collect();
        members.push(place);
        groups.insert(place, members);
    }
    groups.into_values().collect()
}

/// Groups on as many lanes as pay, each on the emptiest.
fn spread(groups: Vec<Vec<usize>>, messages: usize) -> Vec<Vec<usize>> {
    let mut lanes = vec![Vec::new(); (messages / WORTH).clamp(1, LANES)];
    for mut group in groups {
        if let Some(lane) = lanes.iter_mut().min_by_key(|lane| lane.len()) {
            lane.append(&mut group);
        }
    }
    lanes.retain(|lane| !lane.is_empty());
    for lane in &mut lanes {
        lane.sort_unstable();
    }
    lanes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn person(number: u8) -> Uuid {
        Uuid::from_u128(u128::from(number))
    }

    #[test]
    fn a_chain_of_people_is_one_group() {
        let touched = [
            vec![person(1)],
            vec![person(2)],
            vec![],
            vec![person(1), person(2)],
            vec![person(3)],
        ];
        assert_eq!(kin(&touched), [vec![2], vec![0, 1, 3], vec![4]]);
    }

    proptest! {
        #[test]
        fn every_message_has_one_lane_and_every_person_too(
            batch in proptest::collection::vec(proptest::collection::vec(0_u8..40, 0..3), 0..120)
        ) {
            let people: Vec<Vec<Uuid>> = batch
                .iter()
                .map(|touched| touched.iter().copied().map(person).collect())
                .collect();
            let lanes = spread(kin(&people), people.len());
            let mut places: Vec<usize> = lanes.iter().flatten().copied().collect();
            places.sort_unstable();
            prop_assert_eq!(places, (0..people.len()).collect::<Vec<_>>());
            prop_assert!(lanes.iter().all(|lane| lane.is_sorted()));
            let mut lane_of: HashMap<Uuid, usize> = HashMap::new();
            for (number, lane) in lanes.iter().enumerate() {
                for touched in lane.iter().flat_map(|place| &people[*place]) {
                    prop_assert_eq!(*lane_of.entry(*touched).or_insert(number), number);
                }
            }
        }
    }
}
