//! Scopes: whether what was granted covers what was asked for, in both versions of SMART.

/// What a scope permits on the resources of one type.
#[derive(Clone, PartialEq, Eq)]
struct Scope<'a> {
    /// `system`, `user` or `patient`.
    context: &'a str,
    /// A type, or `*`.
    resource: &'a str,
    /// Create, read, update, delete, search.
    allows: [bool; 5],
    /// The parts of its query, sorted: it permits only what they find (v2).
    query: Vec<&'a str>,
}

const LETTERS: [char; 5] = ['c', 'r', 'u', 'd', 's'];

impl<'a> Scope<'a> {
    /// `system/Patient.read` (v1), `system/Patient.rs?category=x` (v2); `None` for anything else.
    fn parse(text: &'a str) -> Option<Self> {
        let (context, rest) = text.split_once('/')?;
        let (front, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (resource, permissions) = front.rsplit_once('.')?;
        let mut query: Vec<&str> = query.split('&').filter(|part| !part.is_empty()).collect();
        query.sort_unstable();
        Some(Self {
            context,
            resource,
            allows: allows(permissions)?,
            query,
        })
    }

    /// Whether what `self` permits holds for what `asked` names.
    fn is_about(&self, asked: &Self) -> bool {
        self.context == asked.context
            && (self.resource == "*" || self.resource == asked.resource)
            && (self.query.is_empty() || self.query == asked.query)
    }
}

fn allows(permissions: &str) -> Option<[bool; 5]> {
    match permissions {
        "read" => return allows("rs"),
        "write" => return allows("cud"),
        "*" => return allows("cruds"),
        _ => {}
    }
    let is_known = |letter| LETTERS.contains(&letter);
    let fits = !permissions.is_empty() && permissions.chars().all(is_known);
    fits.then(|| LETTERS.map(|letter| permissions.contains(letter)))
}

/// The asked scopes that what was granted does not cover, in their order.
///
/// Several granted scopes can cover one together. What is no scope of resources (`openid`) is
/// covered by the same word alone.
#[must_use]
pub fn missing<'a>(asked: &'a [String], granted: &str) -> Vec<&'a str> {
    let words: Vec<&str> = granted.split_ascii_whitespace().collect();
    let known: Vec<Scope<'_>> = words.iter().filter_map(|word| Scope::parse(word)).collect();
    let is_covered = |asked: &str| {
        if words.contains(&asked) {
            return true;
        }
        let Some(asked) = Scope::parse(asked) else {
            return false;
        };
        let given: Vec<&Scope<'_>> = known.iter().filter(|one| one.is_about(&asked)).collect();
        let mut wanted = asked
            .allows
            .iter()
            .enumerate()
            .filter(|(_, wanted)| **wanted);
        wanted.all(|(place, _)| {
            let mut given = given.iter();
            given.any(|one| one.allows.get(place).copied().unwrap_or(false))
        })
    };
    let asked = asked.iter().map(String::as_str);
    asked.filter(|one| !is_covered(one)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(asked: &str, granted: &str) -> Vec<String> {
        let asked: Vec<String> = asked.split(' ').map(str::to_owned).collect();
        missing(&asked, granted)
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn either_version_covers_the_other() {
        for (asked, granted) in [
            ("system/Patient.read", "system/Patient.rs"),
            ("system/Patient.rs", "system/Patient.read"),
            ("system/Patient.rs", "system/Patient.r system/Patient.s"),
            ("system/Patient.rs", "system/*.read"),
            ("system/Patient.rs system/Group.r", "system/*.*"),
            (
                "system/Patient.cruds",
                "system/Patient.read system/Patient.write",
            ),
            ("system/*.read", "system/*.cruds"),
            (
                "system/Observation.rs?category=lab",
                "system/Observation.rs",
            ),
            (
                "system/Observation.rs?a=1&b=2",
                "system/Observation.rs?b=2&a=1",
            ),
            ("openid", "openid profile"),
        ] {
            assert!(of(asked, granted).is_empty(), "{asked} by {granted}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let asked = "system/Patient.rs system/Condition.rs system/Group.read openid";
        assert_eq!(
            of(asked, "system/Patient.rs system/Group.r"),
            ["system/Condition.rs", "system/Group.read", "openid"]
        );
        for (asked, granted) in [
            ("system/Patient.rs", ""),
            ("system/*.rs", "system/Patient.rs"),
            ("system/Patient.rs", "user/Patient.rs"),
            ("system/Patient.rs", "system/Patient.rx"),
            (
                "system/Observation.rs",
                "system/Observation.rs?category=lab",
            ),
            (
                "system/Observation.rs?category=a",
                "system/Observation.rs?category=b",
            ),
        ] {
            assert_eq!(of(asked, granted), [asked], "{granted}");
        }
    }

    proptest! {
        #[test]
        fn what_was_granted_as_asked_misses_nothing(
            asked in prop::collection::vec("(system|user)/(Patient|[*])[.](read|[*]|c?r?u?d?s)", 0..6)
        ) {
            prop_assert!(missing(&asked, &asked.join(" ")).is_empty());
            prop_assert!(missing(&asked, "system/*.cruds user/*.*").is_empty());
            prop_assert_eq!(missing(&asked, "").len(), asked.len());
        }
    }
}
