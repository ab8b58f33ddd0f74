//! Decides whether identifiers mean a known person, a new one, or nobody that can be told.
//!
//! Only identifiers that the configuration trusts for the source link. Demographics never link;
//! they only stop a link that they contradict.

use uuid::Uuid;

use super::change::{Identifier, PatientChange};
use super::record::Demographics;

/// Which identifiers of a source may link: both parts must match where they are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedIdentifier {
    /// Who assigned it (CX-4); `None` accepts any named assigner.
    pub assigner: Option<String>,
    /// Its type (CX-5); `None` accepts any type but a social security number.
    pub kind: Option<String>,
}

/// What a source's identifiers are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The patterns, any of which is enough.
    pub accept: Vec<TrustedIdentifier>,
    /// The assigner of identifiers that name none.
    pub default_assigner: Option<String>,
    /// The type of identifiers that name none.
    pub default_type: Option<String>,
}

/// HL7 table 0203 types that never link, whatever the configuration says: social security numbers.
const NEVER: [&str; 2] = ["SS", "SSN"];

impl Trust {
    /// The identifiers that may link, normalised: trimmed, defaults filled in, each once.
    pub fn usable(&self, identifiers: &[Identifier]) -> Vec<Identifier> {
        let mut usable: Vec<Identifier> = Vec::new();
        for identifier in identifiers {
            let normal = self.normalise(identifier);
            if self.accepts(&normal) && !usable.contains(&normal) {
                usable.push(normal);
            }
        }
        usable
    }

    fn normalise(&self, identifier: &Identifier) -> Identifier {
        let text = |part: &Option<String>, default: &Option<String>| {
            part.as_deref()
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(ToOwned::to_owned)
                .or_else(|| default.clone())
        };
        Identifier {
            value: identifier.value.trim().to_owned(),
            assigner: text(&identifier.assigner, &self.default_assigner),
            kind: text(&identifier.kind, &self.default_type),
        }
    }

    fn accepts(&self, identifier: &Identifier) -> bool {
        let Some(assigner) = &identifier.assigner else {
            return false;
        };
        let kind = identifier.kind.as_deref();
        if identifier.value.is_empty() || kind.is_some_and(|kind| NEVER.contains(&kind)) {
            return false;
        }
        self.accept.iter().any(|trusted| {
            trusted
                .assigner
                .as_ref()
                .is_none_or(|wanted| wanted == assigner)
                && trusted
                    .kind
                    .as_ref()
                    .is_none_or(|wanted| Some(wanted.as_str()) == kind)
        })
    }
}

/// Whom the identifiers mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// Nobody known has any of them.
    New,
    /// This person, after merges.
    Known(Uuid),
    /// No identifier may link.
    NoIdentifier,
    /// They reach several people.
    Ambiguous,
    /// They reach one person whose birth date and family name are both other ones.
    Conflict,
}

/// Whom a message's `usable` identifiers mean, given the `known` people they reach (each once,
/// after merges).
pub fn resolve(
    usable: &[Identifier],
    known: &[(Uuid, &Demographics)],
    patient: &PatientChange,
) -> Match {
    if usable.is_empty() {
        return Match::NoIdentifier;
    }
    match known {
        [] => Match::New,
        [(_, demographics)] if contradicts(demographics, patient) => Match::Conflict,
        [(person, _)] => Match::Known(*person),
        _ => Match::Ambiguous,
    }
}

/// Both birth date and family name differ: a re-used or mistyped number, not a change of name.
fn contradicts(known: &Demographics, patient: &PatientChange) -> bool {
    let dates = known
        .birth_date
        .zip(patient.birth_date.value().copied())
        .is_some_and(|(old, new)| !old.agrees_with(new));
    let old = families(&known.names);
    let new = patient
        .names
        .value()
        .map(|names| families(names))
        .unwrap_or_default();
    dates && !old.is_empty() && !new.is_empty() && !old.iter().any(|name| new.contains(name))
}

fn families(names: &[super::Name]) -> Vec<String> {
    names
        .iter()
        .filter_map(|name| name.family.as_deref())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crm::{Name, PartialDate, Tri};

    fn identifier(value: &str, assigner: Option<&str>, kind: Option<&str>) -> Identifier {
        Identifier {
            value: value.into(),
            assigner: assigner.map(Into::into),
            kind: kind.map(Into::into),
        }
    }

    fn patient(family: &str, born: &str) -> PatientChange {
        PatientChange {
            identifiers: vec![],
            names: Tri::Set(vec![Name {
                family: Some(family.into()),
                given: vec![],
                usage: None,
            }]),
            birth_date: Tri::Set(PartialDate::parse(born).unwrap()),
            sex: Tri::Absent,
            contacts: Tri::Absent,
            addresses: Tri::Absent,
            language: Tri::Absent,
            deceased: Tri::Absent,
            restrictions: vec![],
            accounts: vec![],
            visits: vec![],
            whole: false,
        }
    }

    fn known(family: &str, born: &str) -> Demographics {
        Demographics {
            names: vec![Name {
                family: Some(family.into()),
                given: vec![],
                usage: None,
            }],
            birth_date: PartialDate::parse(born),
            ..Demographics::default()
        }
    }

    #[test]
    fn a_social_security_number_never_links() {
        let trust = Trust {
            accept: vec![TrustedIdentifier {
                assigner: None,
                kind: None,
            }],
            default_assigner: Some("RVS".into()),
            default_type: None,
        };
        let ids = [
            identifier("TEST-1", Some("USSSA"), Some("SS")),
            identifier(" TEST-2 ", None, None),
        ];
        let usable = trust.usable(&ids);
        assert!(usable == [identifier("TEST-2", Some("RVS"), None)]);
    }

    #[test]
    fn one_difference_is_a_change_and_two_are_another_person() {
        let id = [identifier("TEST-1", Some("RVS"), Some("MR"))];
        let person = Uuid::from_u128(7);
        let held = known("Example", "1980-01-02");
        let married = resolve(&id, &[(person, &held)], &patient("Sample", "1980-01-02"));
        assert_eq!(married, Match::Known(person));
        let other = resolve(&id, &[(person, &held)], &patient("Sample", "1955-05-05"));
        assert_eq!(other, Match::Conflict);
    }

    #[test]
    fn identifiers_of_two_people_are_held() {
        let id = [identifier("TEST-1", Some("RVS"), Some("MR"))];
        let (a, b) = (known("Example", "1980"), known("Example", "1980"));
        let people = [(Uuid::from_u128(1), &a), (Uuid::from_u128(2), &b)];
        assert_eq!(
            resolve(&id, &people, &patient("Example", "1980")),
            Match::Ambiguous
        );
    }
}
