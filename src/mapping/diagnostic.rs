//! What is wrong with a mapping file: place, expected, found, and what was probably meant.

use std::fmt;

use super::tree::{Place, Sources};
use crate::nearest::closest;

/// One problem of a file, shown as compilers show theirs.
///
/// Files are written by engineers and hold no messages, so a diagnostic may quote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, relative to the folder of the mappings.
    pub file: String,
    /// Counted from 1; 0 when it is about the file as a whole.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What would have been right.
    pub expected: String,
    /// What was there.
    pub found: String,
    /// What was probably meant, or what to do.
    pub hint: Option<String>,
    /// The line itself and how many characters of it are meant.
    excerpt: Option<(String, usize)>,
}

impl Diagnostic {
    /// A problem of a whole file.
    pub(super) fn of_file(file: &str, message: &str, expected: &str, found: &str) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
            message: message.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
            hint: None,
            excerpt: None,
        }
    }

    /// The same with a hint.
    pub(super) fn hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }

    /// The same with "did you mean", where one of `known` is close to `found`.
    pub(super) fn did_you_mean<'k>(&mut self, found: &str, known: impl Iterator<Item = &'k str>) {
        if let Some(close) = closest(found, known) {
            self.hint = Some(format!("did you mean `{close}`?"));
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.message)?;
        if self.line == 0 {
            writeln!(f, " --> {}", self.file)?;
        } else {
            writeln!(f, " --> {}:{}:{}", self.file, self.line, self.column)?;
        }
        if let Some((line, width)) = &self.excerpt {
            let number = self.line.to_string();
            let gutter = number.len();
            let indent = usize::try_from(self.column.saturating_sub(1)).unwrap_or_default();
            writeln!(f, "{:gutter$} |", "")?;
            writeln!(f, "{number} | {line}")?;
            writeln!(
                f,
                "{:gutter$} | {:indent$}{}",
                "",
                "",
                "^".repeat((*width).max(1))
            )?;
        }
        writeln!(f, "  = expected: {}", self.expected)?;
        write!(f, "  = found: {}", self.found)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  = help: {hint}")?;
        }
        Ok(())
    }
}

/// Collects the problems of all files, so that they are told all at once.
pub(super) struct Problems<'s> {
    sources: &'s Sources,
    list: Vec<Diagnostic>,
}

impl<'s> Problems<'s> {
    pub(super) const fn new(sources: &'s Sources) -> Self {
        Self {
            sources,
            list: Vec::new(),
        }
    }

    /// The files that the places are in.
    pub(super) const fn sources(&self) -> &'s Sources {
        self.sources
    }

    /// Notes a problem; the answer can be given a hint.
    pub(super) fn report(
        &mut self,
        at: Place,
        message: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> &mut Diagnostic {
        let spot = self.sources.spot(at);
        let diagnostic = Diagnostic {
            file: self.sources.name(at).to_owned(),
            line: spot.line,
            column: spot.column,
            message: message.into(),
            expected: expected.into(),
            found: found.into(),
            hint: None,
            excerpt: Some((spot.text, spot.width)),
        };
        self.push(diagnostic)
    }

    /// Notes a problem that is already told.
    pub(super) fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        self.list.push(diagnostic);
        let last = self.list.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "pushed on the line above")]
        &mut self.list[last]
    }

    /// Every problem once, in the order of the files and lines. A fragment is compiled with each
    /// pack that uses it, so the same problem can have been met several times.
    pub(super) fn into_list(self) -> Vec<Diagnostic> {
        let mut list = self.list;
        list.sort_by(|a, b| {
            (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message))
        });
        list.dedup();
        list
    }
}
