//! Rotation of an endpoint's keys: which of them is shown and which one signs, by the times alone.
//!
//! ```text
//!  old   ── shown, signs ──────────────┬── shown: assertions under way, key sets remembered ──┐ gone
//!  new             ├── shown: until everybody has read the key set anew ──┤ signs ───────────▶
//!              published            published + wait        + longest assertion + wait
//! ```

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// No server may remember a key set for less than this without our knowing: some do, whatever the
/// headers say.
const LEAST: Duration = Duration::from_secs(300);

/// The longest that an assertion is taken: what SMART allows, more than [`super::assertion::LASTS`].
const LONGEST_ASSERTION: Duration = Duration::from_secs(300);

/// How long servers remember a key set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remembered {
    /// What the hub says with the set (`Cache-Control: max-age`).
    pub max_age: Duration,
    /// What is known of this endpoint.
    pub configured: Option<Duration>,
}

impl Remembered {
    /// How long to wait until everybody has read the set anew.
    #[must_use]
    pub fn wait(self) -> Duration {
        self.max_age
            .max(LEAST)
            .max(self.configured.unwrap_or_default())
    }
}

/// What holds at some time. Keys are named by their place in the list that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The key that signs.
    pub signs: Option<usize>,
    /// The keys that are shown, the one that signs first.
    pub shown: Vec<usize>,
    /// When that changes.
    pub until: Option<Timestamp>,
}

/// What holds at `now` for keys that were first shown at the given times. The first key of all signs
/// at once: nobody remembers a set without it.
#[must_use]
pub fn standing(published: &[Timestamp], now: Timestamp, remembered: Remembered) -> Standing {
    let wait = remembered.wait();
    let mut order: Vec<(usize, Timestamp)> = published.iter().copied().enumerate().collect();
    order.sort_by_key(|(place, at)| (*at, *place));
    let signs_from = |rank: usize, at: Timestamp| if rank == 0 { at } else { after(at, wait) };
    let (mut signs, mut shown, mut changes) = (None, Vec::new(), Vec::new());
    for (rank, (place, at)) in order.iter().enumerate() {
        let from = signs_from(rank, *at);
        let successor = order.get(rank + 1);
        let gone = successor.map(|(_, next)| {
            let over = after(signs_from(rank + 1, *next), LONGEST_ASSERTION);
            after(over, wait)
        });
        changes.extend([Some(*at), Some(from), gone]);
        if *at <= now && gone.is_none_or(|gone| now < gone) {
            shown.push(*place);
        }
        if from <= now {
            signs = Some(*place);
        }
    }
    // A stable sort: what signs comes first, the others in the order they came.
    shown.sort_by_key(|place| Some(*place) != signs);
    Standing {
        signs,
        shown,
        until: changes.into_iter().flatten().filter(|at| *at > now).min(),
    }
}

fn after(at: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    at.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn of(published: &[i64], now: i64) -> Standing {
        let published: Vec<Timestamp> = published.iter().copied().map(at).collect();
        standing(&published, at(now), Remembered::default())
    }

    #[test]
    fn the_first_key_signs_at_once_and_the_next_one_after_the_wait() {
        let standing = |signs, shown: &[usize], until: Option<i64>| Standing {
            signs,
            shown: shown.to_vec(),
            until: until.map(at),
        };
        assert_eq!(of(&[0, 1000], -1), standing(None, &[], Some(0)));
        assert_eq!(of(&[0, 1000], 0), standing(Some(0), &[0], Some(1000)));
        assert_eq!(of(&[0, 1000], 1000), standing(Some(0), &[0, 1], Some(1300)));
        assert_eq!(of(&[0, 1000], 1300), standing(Some(1), &[1, 0], Some(1900)));
        assert_eq!(of(&[0, 1000], 1900), standing(Some(1), &[1], None));
    }

    #[test]
    fn the_longest_memory_counts() {
        let wait = |max_age, configured: Option<u64>| {
            let configured = configured.map(Duration::from_secs);
            Remembered {
                max_age: Duration::from_secs(max_age),
                configured,
            }
            .wait()
            .as_secs()
        };
        assert_eq!(wait(0, None), 300);
        assert_eq!(wait(900, Some(600)), 900);
        assert_eq!(wait(900, Some(86_400)), 86_400);
    }

    proptest! {
        #[test]
        fn whoever_remembers_a_set_finds_the_key_of_each_assertion(
            published in prop::collection::vec(0i64..5000, 1..5),
            asked in 0i64..12_000,
            read_before in 0i64..=300,
            signed_before in 0i64..300,
        ) {
            let first = *published.iter().min().unwrap();
            // A server that read the set up to its memory ago gets an assertion of some time ago.
            let signed = asked - signed_before;
            let read = asked - read_before;
            if signed >= first && read >= first {
                let key = of(&published, signed).signs.unwrap();
                prop_assert!(of(&published, read).shown.contains(&key));
            }
        }

        #[test]
        fn one_of_the_shown_keys_signs_and_comes_first(
            published in prop::collection::vec(0i64..5000, 1..5),
            now in 0i64..12_000,
        ) {
            let standing = of(&published, now);
            prop_assert_eq!(standing.signs, standing.shown.first().copied());
            // Nothing changes before it says so.
            if let Some(until) = standing.until {
                let last = until.as_second() - 1_800_000_000 - 1;
                let then = of(&published, last);
                prop_assert_eq!((then.signs, then.shown), (standing.signs, standing.shown));
            }
        }
    }
}
