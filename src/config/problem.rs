//! What is wrong with the configuration: place, expected and found, and what to do next.

use std::fmt;

/// One thing that keeps careloop from starting. It holds no configured value, so it can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file or the environment variable.
    pub file: String,
    /// The line in that file, counted from 1.
    pub line: Option<usize>,
    /// The key, such as `source[0].zone` (elements count from 0, as in TOML).
    pub at: String,
    /// What was expected and what was found.
    pub says: String,
    /// What to do next.
    pub next: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.at.is_empty() {
            write!(f, ": {}", self.at)?;
        }
        write!(f, ": {}", self.says)?;
        if !self.next.is_empty() {
            write!(f, "; {}", self.next)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
