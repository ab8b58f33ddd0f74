//! Compiling places: `PID-3.1 | $var | .4`.

use crate::hl7::{Path, RelPath};

use super::super::plan::Term;
use super::super::tree::Place;
use super::{Compiler, segments};

impl Compiler<'_, '_> {
    /// Alternatives with `|` between them. `relative` allows `.c` and `.c.s`.
    pub(super) fn terms(&mut self, text: &str, at: Place, relative: bool) -> Vec<Term> {
        if !self.is_hl7() {
            return self.fhir_terms(text, at);
        }
        let mut terms = Vec::new();
        for part in text.split('|').map(str::trim) {
            if let Some(name) = part.strip_prefix('$') {
                terms.extend(self.variable(name, at));
            } else if part.starts_with('.') {
                terms.extend(self.relative(part, at, relative).map(Term::Relative));
            } else {
                terms.extend(self.path(part, at).map(Term::Path));
            }
        }
        terms
    }

    /// What a variable stands for.
    pub(super) fn variable(&mut self, name: &str, at: Place) -> Vec<Term> {
        match self.vars.get(name) {
            Some(terms) => terms.clone(),
            None => {
                let known: Vec<&str> = self.vars.keys().map(String::as_str).collect();
                self.problems
                    .unknown("variable", at, name, known.into_iter());
                Vec::new()
            }
        }
    }

    fn relative(&mut self, text: &str, at: Place, allowed: bool) -> Option<RelPath> {
        if !allowed {
            let message = format!("`{text}` is relative, but there is nothing it is relative to");
            let expected = "a path with a segment, such as PID-3.1";
            self.problems
                .report(at, message, expected, format!("`{text}`"))
                .hint("relative paths begin with a dot and stand in `fields` and `where` of a rule with `each`");
            return None;
        }
        match RelPath::parse(text) {
            Ok(path) => Some(path),
            Err(error) => {
                let message = format!("`{text}` is not a relative path: {error}");
                self.problems
                    .report(at, message, "such as .1 or .4.1", format!("`{text}`"));
                None
            }
        }
    }

    /// One path with a segment.
    pub(super) fn path(&mut self, text: &str, at: Place) -> Option<Path> {
        let path = match Path::parse(text) {
            Ok(path) => path,
            Err(error) => {
                let message = format!("`{text}` is not a path: {error}");
                self.problems.report(
                    at,
                    message,
                    "such as PID-3 or PID-3[2].4.1",
                    format!("`{text}`"),
                );
                return None;
            }
        };
        if !self.segment(path.segment(), at) {
            return None;
        }
        if let Some(last) = segments::last_field(path.segment())
            && path.field() > last
        {
            let segment = path.segment();
            let message = format!("`{text}`: {segment} has no such field");
            let expected = format!("{segment}-1 to {segment}-{last}");
            self.problems
                .report(at, message, expected, format!("`{text}`"));
            return None;
        }
        Some(path)
    }

    /// Checks the name of a segment.
    pub(super) fn segment(&mut self, name: &str, at: Place) -> bool {
        let known = segments::is_known(name);
        if !known {
            let message = format!("unknown segment `{name}`");
            let expected = "a segment of HL7 v2, or one that begins with Z";
            self.problems
                .report(at, message, expected, format!("`{name}`"))
                .did_you_mean(name, segments::names());
        }
        known
    }
}
