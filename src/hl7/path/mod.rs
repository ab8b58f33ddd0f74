//! Paths: how a mapping names a place in a message, such as `PID-3[2].4.1`.

use std::fmt;
use std::str::FromStr;

mod cursor;

use cursor::Cursor;

/// Why a text is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("character {at}: expected {expected}, found {}", Found(*found))]
pub struct PathError {
    /// Where, counted from 1.
    pub at: usize,
    /// What would have been right.
    pub expected: &'static str,
    /// What was there; `None` at the end.
    pub found: Option<char>,
}

struct Found(Option<char>);

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(found) => write!(f, "{found:?}"),
            None => f.write_str("the end"),
        }
    }
}

/// One place: `SEG-f`, `SEG-f.c`, `SEG-f.c.s`, with a repetition `SEG-f[n]` and an occurrence of
/// the segment `SEG[n]-f`. All numbers count from 1; both bracketed ones default to 1.
///
/// `PID-5` is the whole repetition with its delimiters, `PID-5.1` its first component. In MSH,
/// field 1 is the separator itself and field 2 the encoding characters (HL7 v2.5.1 2.14.9).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    segment: String,
    occurrence: Option<usize>,
    field: usize,
    repetition: Option<usize>,
    relative: RelPath,
}

/// A place inside one repetition: `.c`, `.c.s`, or `.` for the whole of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RelPath {
    component: Option<usize>,
    subcomponent: Option<usize>,
}

/// Alternatives, `A | B`: the first that is sent counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Paths(Vec<Path>);

impl Path {
    /// Reads a path; spaces around it are allowed.
    ///
    /// # Errors
    /// [`PathError`] says where and what was expected.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        Cursor::new(text).all(Cursor::path)
    }

    /// The segment's name.
    #[must_use]
    pub fn segment(&self) -> &str {
        &self.segment
    }

    /// Which of the segments of that name, 1 unless written.
    #[must_use]
    pub fn occurrence(&self) -> usize {
        self.occurrence.unwrap_or(1)
    }

    /// The field's number.
    #[must_use]
    pub fn field(&self) -> usize {
        self.field
    }

    /// The repetition, if one is written.
    #[must_use]
    pub fn repetition(&self) -> Option<usize> {
        self.repetition
    }

    /// The part after the field.
    #[must_use]
    pub fn relative(&self) -> RelPath {
        self.relative
    }

    /// The same field and repetition with `relative` as the part after it.
    #[must_use]
    pub fn join(&self, relative: RelPath) -> Path {
        Path {
            relative,
            ..self.clone()
        }
    }
}

impl RelPath {
    /// The whole repetition: `.`.
    pub const WHOLE: RelPath = RelPath {
        component: None,
        subcomponent: None,
    };

    /// Reads a relative path.
    ///
    /// # Errors
    /// [`PathError`] says where and what was expected.
    pub fn parse(text: &str) -> Result<RelPath, PathError> {
        Cursor::new(text).all(|cursor| {
            if cursor.peek() != Some('.') {
                return Err(cursor.wrong("."));
            }
            cursor.relative(true)
        })
    }

    /// The component's number; `None` for the whole repetition.
    #[must_use]
    pub fn component(&self) -> Option<usize> {
        self.component
    }

    /// The subcomponent's number, if one is written.
    #[must_use]
    pub fn subcomponent(&self) -> Option<usize> {
        self.subcomponent
    }
}

impl Paths {
    /// Reads one path or several with `|` between them.
    ///
    /// # Errors
    /// [`PathError`] says where and what was expected.
    pub fn parse(text: &str) -> Result<Paths, PathError> {
        Cursor::new(text).all(|cursor| {
            let mut paths = vec![cursor.path()?];
            loop {
                cursor.blanks();
                if !cursor.take('|') {
                    return Ok(Paths(paths));
                }
                cursor.blanks();
                paths.push(cursor.path()?);
            }
        })
    }

    /// The paths in order; at least one.
    #[must_use]
    pub fn alternatives(&self) -> &[Path] {
        &self.0
    }
}

impl From<Path> for Paths {
    fn from(path: Path) -> Paths {
        Paths(vec![path])
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segment)?;
        if let Some(number) = self.occurrence {
            write!(f, "[{number}]")?;
        }
        write!(f, "-{}", self.field)?;
        if let Some(number) = self.repetition {
            write!(f, "[{number}]")?;
        }
        if self.relative == RelPath::WHOLE {
            Ok(())
        } else {
            write!(f, "{}", self.relative)
        }
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.component, self.subcomponent) {
            (None, _) => f.write_str("."),
            (Some(component), None) => write!(f, ".{component}"),
            (Some(component), Some(subcomponent)) => write!(f, ".{component}.{subcomponent}"),
        }
    }
}

impl fmt::Display for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, path) in self.0.iter().enumerate() {
            let between = if place == 0 { "" } else { " | " };
            write!(f, "{between}{path}")?;
        }
        Ok(())
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Path, PathError> {
        Path::parse(text)
    }
}

impl FromStr for RelPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<RelPath, PathError> {
        RelPath::parse(text)
    }
}

impl FromStr for Paths {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Paths, PathError> {
        Paths::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_and_prints_every_form() {
        for text in [
            "PID-3",
            "PID-3[2]",
            "PID-3.1",
            "PID-3[2].4.1",
            "OBX[12]-5[3].1",
            "ZA1-99",
            "MSH-2",
        ] {
            assert_eq!(Path::parse(text).unwrap().to_string(), text);
        }
        let path = Path::parse(" OBX[12]-5[3].1.2 ").unwrap();
        assert_eq!(
            (path.segment(), path.occurrence(), path.field()),
            ("OBX", 12, 5)
        );
        assert_eq!(path.repetition(), Some(3));
        assert_eq!(path.relative(), RelPath::parse(".1.2").unwrap());
        assert_eq!(path.join(RelPath::WHOLE).to_string(), "OBX[12]-5[3]");
    }

    #[test]
    fn reads_relative_paths_and_alternatives() {
        for text in [".", ".3", ".4.2"] {
            assert_eq!(RelPath::parse(text).unwrap().to_string(), text);
        }
        let paths = Paths::parse("PID-3.1|PID-2.1 |  PID-4.1").unwrap();
        assert_eq!(paths.to_string(), "PID-3.1 | PID-2.1 | PID-4.1");
        assert_eq!(paths.alternatives().len(), 3);
    }

    #[test]
    fn rejects_everything_else_and_says_where() {
        let error = Path::parse("PID").unwrap_err();
        assert_eq!(
            error.to_string(),
            "character 4: expected - and a field number, found the end"
        );
        for (text, at) in [
            ("", 1),
            ("pid-3", 1),
            ("PI-3", 3),
            ("1ID-3", 1),
            ("PID-", 5),
            ("PID-0", 5),
            ("PID-03", 5),
            ("PID-10000", 5),
            ("PID-3[", 7),
            ("PID-3[2", 8),
            ("PID-3[2]x", 9),
            ("PID-3.", 7),
            ("PID-3.1.2.3", 10),
            ("PID-3-1", 6),
            ("PID-123456789012345678901234567890", 5),
            ("PID-*", 5),
        ] {
            assert_eq!(Path::parse(text).unwrap_err().at, at, "{text}");
        }
        for text in ["", "3", ".0", ".1.", "..", ".a", ".1.2.3"] {
            assert!(RelPath::parse(text).is_err(), "{text}");
        }
        for text in ["", "|", "PID-3 |", "| PID-3", "PID-3 PID-4"] {
            assert!(Paths::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_prints_as_it_was(
            text in "[A-Z][A-Z0-9]{2}(\\[[1-9][0-9]{0,3}\\])?-[1-9][0-9]{0,3}(\\[[1-9][0-9]?\\])?(\\.[1-9][0-9]?){0,2}"
        ) {
            prop_assert_eq!(Path::parse(&text).unwrap().to_string(), text);
        }
    }
}
