//! The releases of FHIR that are read.

use std::fmt;
use std::str::FromStr;

/// A release of FHIR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Release {
    /// R4, 4.0.x.
    R4,
    /// R4B, 4.3.x.
    R4B,
    /// R5, 5.0.x.
    R5,
}

impl Release {
    /// All of them, oldest first.
    pub const ALL: [Release; 3] = [Release::R4, Release::R4B, Release::R5];

    /// `R4`, `R4B` or `R5`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Release::R4 => "R4",
            Release::R4B => "R4B",
            Release::R5 => "R5",
        }
    }

    /// The release of a version as servers write it (`CapabilityStatement.fhirVersion`), such as
    /// `4.0.1`; `None` for releases that are not read.
    #[must_use]
    pub fn of_version(version: &str) -> Option<Release> {
        let mut parts = version.trim().split('.');
        match (parts.next()?, parts.next()?) {
            ("4", "0") => Some(Release::R4),
            ("4", "1" | "3") => Some(Release::R4B),
            ("5", "0") => Some(Release::R5),
            _ => None,
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Release {
    type Err = ();

    fn from_str(text: &str) -> Result<Release, ()> {
        let known = |release: &Release| release.name() == text;
        Release::ALL.into_iter().find(known).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_known_by_its_name_and_by_its_version() {
        for release in Release::ALL {
            assert_eq!(release.to_string().parse(), Ok(release));
        }
        for (version, release) in [
            ("4.0.1", Some(Release::R4)),
            ("4.0.0", Some(Release::R4)),
            ("4.3.0", Some(Release::R4B)),
            ("5.0.0-ballot", Some(Release::R5)),
            ("1.0.2", None),
            ("3.0.2", None),
            ("4", None),
            ("R4", None),
        ] {
            assert_eq!(Release::of_version(version), release, "{version}");
        }
        assert_eq!("r4".parse::<Release>(), Err(()));
    }
}
