//! "Did you mean": the known name that is closest to what was written.

use super::PathError;

/// The error with the closest of `known` as its hint, if one is close.
pub(super) fn did_you_mean<'k>(
    error: PathError,
    found: &str,
    known: impl Iterator<Item = &'k str>,
) -> PathError {
    match closest(found, known) {
        Some(name) => error.hint(format!("did you mean `{name}`?")),
        None => error,
    }
}

/// The name that takes the fewest changed letters, at most a third of them.
fn closest<'k>(found: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let found: Vec<char> = found.to_lowercase().chars().take(64).collect();
    let most = found.len() / 3 + 1;
    let counted = known.map(|name| (distance(&found, name), name));
    counted
        .filter(|(changes, _)| *changes <= most)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be put in, left out or changed (Levenshtein).
fn distance(from: &[char], to: &str) -> usize {
    let mut row: Vec<usize> = (0..=from.len()).collect();
    for (line, letter) in to.to_lowercase().chars().enumerate() {
        let mut before = line;
        let mut last = line + 1;
        let mut next = vec![last];
        for (other, above) in from.iter().zip(row.iter().skip(1)) {
            let changed = before + usize::from(*other != letter);
            last = changed.min(last + 1).min(*above + 1);
            before = *above;
            next.push(last);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn the_closest_name_is_found_and_no_far_one() {
        let names = ["birthDate", "name", "gender"];
        for (found, near) in [
            ("birthdate", Some("birthDate")),
            ("bithDate", Some("birthDate")),
            ("nmae", Some("name")),
            ("gendre", Some("gender")),
            ("telephone", None),
            ("x", None),
        ] {
            assert_eq!(closest(found, names.into_iter()), near, "{found}");
        }
    }
}
