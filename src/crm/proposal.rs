//! Proposed links: how far the demographics of two people agree. Agreement proposes, never links.
//!
//! The weights stand in `mappings/README.md`, too; a test compares them.

use super::record::Demographics;
use super::status::vocabulary;

vocabulary! {
    /// What two people are compared by.
    Trait {
        /// The whole birth date.
        BirthDate = "birth_date",
        /// A family name.
        Family = "family",
        /// A first given name.
        Given = "given",
        /// Administrative sex.
        Sex = "sex",
        /// A contact point.
        Contact = "contact",
        /// A street with its postal code.
        Address = "address",
    }
}

/// At least this much proposes a link: birth date, family and given name, and one thing more.
pub const PROPOSE_AT: i64 = 11;

impl Trait {
    /// What agreement counts for.
    pub const fn agrees(self) -> i64 {
        match self {
            Self::BirthDate => 4,
            Self::Family | Self::Given | Self::Contact => 3,
            Self::Address => 2,
            Self::Sex => 1,
        }
    }

    /// What disagreement counts against. Twins share everything but the given name; people marry
    /// and move.
    pub const fn differs(self) -> i64 {
        match self {
            Self::BirthDate => 20,
            Self::Given => 5,
            Self::Sex => 4,
            Self::Family => 2,
            Self::Contact | Self::Address => 0,
        }
    }
}

/// One person as they are compared.
#[derive(Clone, Copy)]
pub struct Traits<'a> {
    /// Names, birth date, sex, addresses.
    pub demographics: &'a Demographics,
    /// Blind indexes of the current contact points.
    pub contacts: &'a [Vec<u8>],
}

/// How two people compare. What either of them lacks is in neither list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What agrees.
    pub agree: Vec<Trait>,
    /// What differs.
    pub differ: Vec<Trait>,
}

impl Comparison {
    /// The sum of the weights.
    pub fn score(&self) -> i64 {
        let agree: i64 = self.agree.iter().map(|one| one.agrees()).sum();
        let differ: i64 = self.differ.iter().map(|one| one.differs()).sum();
        agree - differ
    }

    /// Whether it is enough to ask a person.
    pub fn proposes(&self) -> bool {
        self.agree.contains(&Trait::BirthDate) && self.score() >= PROPOSE_AT
    }
}

impl Traits<'_> {
    /// Compares two people.
    pub fn compare(&self, other: &Self) -> Comparison {
        let mut found = Comparison::default();
        for one in Trait::ALL {
            let (ours, theirs) = (self.values(*one), other.values(*one));
            if ours.is_empty() || theirs.is_empty() {
                continue;
            }
            if ours.iter().any(|value| theirs.contains(value)) {
                found.agree.push(*one);
            } else {
                found.differ.push(*one);
            }
        }
        found
    }

    /// What tells a person apart, as text: a change of it is material.
    pub fn material(&self) -> Vec<String> {
        [Trait::BirthDate, Trait::Family, Trait::Given, Trait::Sex]
            .into_iter()
            .flat_map(|one| self.values(one))
            .collect()
    }

    /// The compounds under which to look for the person: family name with birth date.
    pub fn compounds(&self) -> Vec<[String; 2]> {
        let born = self.values(Trait::BirthDate).pop();
        let families = self.values(Trait::Family).into_iter();
        families
            .filter_map(|family| Some([family, born.clone()?]))
            .collect()
    }

    /// The values of a trait, spelt alike and each once.
    fn values(&self, one: Trait) -> Vec<String> {
        let known = self.demographics;
        let names = known.names.iter();
        let mut values: Vec<String> = match one {
            // A birth date known to the year or month only is everybody's.
            Trait::BirthDate => {
                let whole = known.birth_date.filter(|at| at.earliest() == at.latest());
                whole.iter().map(ToString::to_string).collect()
            }
            Trait::Family => names
                .filter_map(|name| name.family.as_deref().map(folded))
                .collect(),
            Trait::Given => names
                .filter_map(|name| name.given.first().map(|given| folded(given)))
                .collect(),
            Trait::Sex => known
                .sex
                .iter()
                .map(|sex| sex.name().to_owned())
                .filter(|sex| sex != "unknown")
                .collect(),
            Trait::Contact => {
                let hex = |key: &Vec<u8>| key.iter().map(|byte| format!("{byte:02x}")).collect();
                self.contacts.iter().map(hex).collect()
            }
            Trait::Address => known
                .addresses
                .iter()
                .filter_map(|place| {
                    let postal: String = folded(place.postal.as_deref()?).chars().take(5).collect();
                    Some(format!("{postal} {}", folded(place.line.first()?)))
                })
                .collect(),
        };
        values.retain(|value| !value.trim().is_empty());
        values.sort_unstable();
        values.dedup();
        values
    }
}

/// Letters and digits in lower case: `O'Brien`, `OBRIEN` and `O Brien` are one name.
fn folded(text: &str) -> String {
    let letters = text.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crm::{Address, Name, PartialDate, Sex};

    fn person(family: &str, given: &str, born: &str, sex: Sex) -> Demographics {
        Demographics {
            names: vec![Name {
                family: Some(family.into()),
                given: vec![given.into()],
                usage: None,
            }],
            birth_date: PartialDate::parse(born),
            sex: Some(sex),
            addresses: vec![Address {
                line: vec!["1 Sample St".into()],
                city: None,
                state: None,
                postal: Some("12207".into()),
                country: None,
                usage: None,
            }],
            ..Demographics::default()
        }
    }

    fn compare(a: &Demographics, b: &Demographics, contacts: &[Vec<u8>]) -> Comparison {
        let of = |demographics| Traits {
            demographics,
            contacts,
        };
        of(a).compare(&of(b))
    }

    #[test]
    fn the_same_name_and_birth_date_propose_and_twins_do_not() {
        let ada = person("Example", "Ada", "1970-01-02", Sex::Female);
        let again = Demographics {
            addresses: vec![],
            ..person("EXAMPLE", "ada", "1970-01-02", Sex::Female)
        };
        assert!(compare(&ada, &again, &[]).proposes());
        let twin = person("Example", "Bea", "1970-01-02", Sex::Female);
        assert!(!compare(&ada, &twin, &[vec![1]]).proposes());
    }

    #[test]
    fn a_married_name_proposes_with_number_and_address_only() {
        let ada = person("Example", "Ada", "1970-01-02", Sex::Female);
        let married = person("Sample", "Ada", "1970-01-02", Sex::Female);
        assert!(!compare(&ada, &married, &[]).proposes());
        assert!(compare(&ada, &married, &[vec![1]]).proposes());
    }

    #[test]
    fn no_agreement_makes_up_for_another_birth_date() {
        let ada = person("Example", "Ada", "1970-01-02", Sex::Female);
        let child = person("Example", "Ada", "1995-05-05", Sex::Female);
        assert!(!compare(&ada, &child, &[vec![1]]).proposes());
        let vague = person("Example", "Ada", "1970", Sex::Female);
        assert!(!compare(&ada, &vague, &[vec![1]]).proposes());
    }

    #[test]
    fn the_weights_are_those_of_the_handbook() {
        let handbook = include_str!("../../mappings/README.md");
        for one in Trait::ALL {
            let row = format!(
                "| `{}` | {} | {} |",
                one.name(),
                one.agrees(),
                one.differs()
            );
            assert!(handbook.contains(&row), "mappings/README.md: {row}");
        }
        assert!(handbook.contains(&format!("proposed at {PROPOSE_AT} points")));
    }
}
