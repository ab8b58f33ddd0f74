//! "Did you mean": the known word that is closest to what an engineer wrote.

/// The known word that differs least, if it differs little.
#[must_use]
pub fn closest<'k>(found: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let found = found.to_lowercase();
    let allowed = (found.chars().count() / 3).clamp(1, 3);
    let letters = |word: &str| {
        let mut letters: Vec<char> = word.to_lowercase().chars().collect();
        letters.sort_unstable();
        letters
    };
    // Of two words as close, the one with the same letters: a swap is the commonest slip.
    known
        .map(|word| {
            let rank = (
                distance(&found, &word.to_lowercase()),
                letters(word) != letters(&found),
            );
            (rank, word)
        })
        .filter(|((distance, _), _)| *distance <= allowed)
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, word)| word)
}

/// How many letters must be changed, added, removed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    // Longer words are never meant, and a bound keeps hostile texts cheap.
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    let at = |rows: &[Vec<usize>], i: usize, j: usize| {
        rows.get(i)
            .and_then(|row| row.get(j))
            .copied()
            .unwrap_or(usize::MAX - 1)
    };
    for (i, x) in a.iter().enumerate() {
        rows.push(vec![i + 1]);
        for (j, y) in b.iter().enumerate() {
            let changed = at(&rows, i, j) + usize::from(x != y);
            let mut best = changed
                .min(at(&rows, i, j + 1) + 1)
                .min(at(&rows, i + 1, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&rows, i - 1, j - 1) + 1);
            }
            rows.last_mut().into_iter().for_each(|row| row.push(best));
        }
    }
    at(&rows, a.len(), b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_word_is_offered_and_a_far_one_is_not() {
        let known = ["table", "unmapped", "birthDate", "name", "gender"];
        for (found, close) in [
            ("tabel", Some("table")),
            ("unmaped", Some("unmapped")),
            ("birthdate", Some("birthDate")),
            ("bithDate", Some("birthDate")),
            ("nmae", Some("name")),
            ("gendre", Some("gender")),
            ("telephone", None),
            ("whatever", None),
            ("x", None),
        ] {
            assert_eq!(closest(found, known.into_iter()), close, "{found}");
        }
    }

    #[test]
    fn the_distance_counts_edits() {
        assert_eq!(distance("PID", "PDI"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
