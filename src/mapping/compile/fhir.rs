//! Compiling places of FHIR packs: FHIRPath checked against a release, and what counts in which release.

use std::ops::Range;
use std::sync::Arc;

use crate::fhir::{Path, Release, Scope};

use super::super::diagnostic::Problems;
use super::super::plan::Term;
use super::super::tree::{Node, Place, Table};
use super::Compiler;

/// What a pack reads.
pub(super) enum Language {
    /// HL7 v2 messages.
    Hl7v2,
    /// FHIR resources of a release.
    Fhir {
        /// The release that is compiled.
        release: Release,
        /// Where paths start: the resources of the pack.
        resource: Scope,
    },
}

/// The types of elements that hold codes.
const CODED: &[&str] = &["Coding", "CodeableConcept", "CodeableReference"];
const RELEASES: &[(&str, Release)] = &[
    ("R4", Release::R4),
    ("R4B", Release::R4B),
    ("R5", Release::R5),
];

impl Compiler<'_, '_> {
    /// Whether a block, rule or case counts for what is compiled: all without `release` do.
    pub(super) fn counts(&mut self, table: &Table) -> bool {
        let Some(entry) = table.entry("release") else {
            return true;
        };
        let Language::Fhir { release, .. } = self.language else {
            let message = "`release` is of FHIR; this pack reads HL7 v2";
            self.problems
                .report(entry.at, message, "no `release` here", "one");
            return true;
        };
        let named = releases(self.problems, table, "release");
        named.contains(&release)
    }

    /// What counts of a variable that is another one in each release (`cases`).
    pub(super) fn of_release<'t>(&mut self, var: &'t Table) -> &'t Table {
        if var.get("cases").is_none() {
            return var;
        }
        self.problems.known_keys(var, &["cases"]);
        let cases = self.problems.list(var, "cases").iter();
        let mut cases = cases.filter_map(Node::table);
        cases.find(|case| self.counts(case)).unwrap_or(var)
    }

    /// Alternatives of FHIRPath with `|` between them: from the element of a list where they begin
    /// with a dot, else from the resource.
    pub(super) fn fhir_terms(&mut self, text: &str, at: Place) -> Vec<Term> {
        let parts = alternatives(text).into_iter();
        let parts: Vec<&str> = parts.filter_map(|part| text.get(part)).collect();
        let mut terms = Vec::new();
        for part in parts.into_iter().map(str::trim) {
            match part.strip_prefix('$') {
                Some("self") => terms.push(Term::Own),
                Some("endpoint") => terms.push(Term::Endpoint),
                Some(name) if part != "$this" => terms.extend(self.variable(name, at)),
                _ => terms.extend(self.fhir_term(part, at)),
            }
        }
        terms
    }

    fn fhir_term(&mut self, part: &str, at: Place) -> Option<Term> {
        let Language::Fhir { release, resource } = &self.language else {
            return None;
        };
        let (release, resource) = (*release, resource.clone());
        let Some(inside) = part.strip_prefix('.') else {
            let path = self.fhir_path(part, &resource, (release, at))?;
            return Some(Term::Fhir(Arc::new(path)));
        };
        let Some(element) = self.focus.clone() else {
            let message = format!("`{part}` is relative, but there is nothing it is relative to");
            let expected = "a path from the resource, such as name.family";
            self.problems
                .report(at, message, expected, format!("`{part}`"))
                .hint("relative paths begin with a dot and stand where `each` says what they begin at");
            return None;
        };
        let inside = if inside.is_empty() { "$this" } else { inside };
        let path = self.fhir_path(inside, &element, (release, at))?;
        Some(Term::Part(Arc::new(path)))
    }

    fn fhir_path(
        &mut self,
        text: &str,
        scope: &Scope,
        (release, at): (Release, Place),
    ) -> Option<Path> {
        match Path::compile(text, scope) {
            Ok(path) => Some(path),
            Err(error) => {
                let message = format!(
                    "`{text}` is not a path of {release}: byte {}",
                    error.span.start + 1
                );
                let diagnostic = self
                    .problems
                    .report(at, message, error.expected, error.found);
                if let Some(hint) = error.hint {
                    diagnostic.hint(hint);
                }
                None
            }
        }
    }

    /// What a list or block of a FHIR pack goes over; inside of it, paths that begin with a dot start
    /// at its elements.
    pub(super) fn fhir_each(&mut self, text: &str, at: Place) -> Option<(Term, Scope)> {
        let terms = self.fhir_terms(text, at);
        let several = terms.len() > 1;
        let term = terms.into_iter().next()?;
        let scope = match &term {
            Term::Fhir(path) | Term::Part(path) if !several => path.scope(),
            _ => {
                let message = "`each` of FHIR goes over one path";
                let expected = "a path, such as telecom.where(system = 'phone')";
                self.problems
                    .report(at, message, expected, format!("`{text}`"));
                return None;
            }
        };
        Some((term, scope))
    }

    /// Refuses terms that lead to something else than one text.
    pub(super) fn one_text(&mut self, terms: &[Term], at: Place) {
        self.only_texts(terms, at);
        for path in paths(terms).filter(|path| path.is_many()) {
            let message = format!("`{}` may lead to several values", path.text());
            let expected = "one value";
            self.problems
                .report(at, message, expected, "several")
                .hint("say which: `.first()`, `[0]`, or `where(…).first()`");
        }
    }

    /// Refuses terms that lead to something else than texts.
    pub(super) fn only_texts(&mut self, terms: &[Term], at: Place) {
        for path in paths(terms).filter(|path| !path.is_primitive()) {
            let message = format!("`{}` leads to no text", path.text());
            let found = path.types().collect::<Vec<_>>().join(" or ");
            self.problems
                .report(at, message, "a primitive value", found)
                .hint("name one of its members; or ask `.exists()` in a condition");
        }
    }

    /// Refuses terms that lead to something else than codes with their systems.
    pub(super) fn only_coded(&mut self, terms: &[Term], at: Place) {
        let is_coded = |path: &&Path| path.types().all(|kind| CODED.contains(&kind));
        for path in paths(terms).filter(|path| !is_coded(path)) {
            let message = format!(
                "`{}`: a concept is looked up by a whole coded element",
                path.text()
            );
            let found = path.types().collect::<Vec<_>>().join(" or ");
            let expected = format!("one of {}", CODED.join(", "));
            self.problems.report(at, message, expected, found);
        }
    }

    /// The texts of references: of a `Reference` element its `reference`.
    pub(super) fn pointing(&mut self, text: &str, at: Place) -> Vec<Term> {
        let parts = alternatives(text).into_iter();
        let parts: Vec<&str> = parts.filter_map(|part| text.get(part)).collect();
        let mut all = Vec::new();
        for part in parts.into_iter().map(str::trim) {
            let terms = self.fhir_terms(part, at);
            let is_element = paths(&terms).all(|path| path.types().eq(["Reference"]));
            all.extend(match terms.as_slice() {
                [Term::Fhir(_) | Term::Part(_)] if is_element => {
                    let dot = if part == "." { "" } else { "." };
                    self.fhir_terms(&format!("{part}{dot}reference"), at)
                }
                _ => terms,
            });
        }
        all
    }

    /// Whether all terms answer yes or no, so that they are a condition by themselves.
    pub(super) fn is_condition(terms: &[Term]) -> bool {
        !terms.is_empty()
            && paths(terms).count() == terms.len()
            && paths(terms).all(Path::is_condition)
    }
}

/// The releases that a key names.
pub(in super::super) fn releases(
    problems: &mut Problems<'_>,
    table: &Table,
    key: &str,
) -> Vec<Release> {
    let mut found = Vec::new();
    for (name, at) in problems.texts(table, key) {
        match RELEASES.iter().find(|(known, _)| *known == name) {
            Some((_, release)) => found.push(*release),
            None => problems.unknown("release", at, name, RELEASES.iter().map(|(name, _)| *name)),
        }
    }
    found
}

fn paths(terms: &[Term]) -> impl Iterator<Item = &Path> {
    terms.iter().filter_map(|term| match term {
        Term::Fhir(path) | Term::Part(path) => Some(&**path),
        Term::Path(_) | Term::Relative(_) | Term::Own | Term::Endpoint => None,
    })
}

/// The parts of a text between the `|` that stand in no brackets and no quotes.
fn alternatives(text: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut outside = Outside::default();
    for (at, c) in text.char_indices() {
        if outside.is_at(c) && c == '|' {
            parts.push(start..at);
            start = at + 1;
        }
    }
    parts.push(start..text.len());
    parts
}

/// Follows a text of FHIRPath: where it is outside of all brackets and quotes.
#[derive(Clone, Copy, Default)]
pub(super) struct Outside {
    depth: usize,
    quote: Option<char>,
    is_escaped: bool,
}

impl Outside {
    /// Takes the next character; whether it stands outside.
    pub(super) fn is_at(&mut self, c: char) -> bool {
        if let Some(quote) = self.quote {
            let ends = c == quote && !self.is_escaped;
            self.is_escaped = c == '\\' && !self.is_escaped;
            if ends {
                self.quote = None;
            }
            return false;
        }
        match c {
            '\'' | '`' | '"' => self.quote = Some(c),
            '(' | '[' => self.depth += 1,
            ')' | ']' if self.depth > 0 => {
                self.depth -= 1;
                return false;
            }
            _ => {}
        }
        self.depth == 0 && self.quote.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_in_brackets_or_quotes_parts_nothing() {
        let text = "name.where(use = 'a|b' or (x | y)).family | `a|b` | c[1]";
        let parts: Vec<&str> = alternatives(text)
            .into_iter()
            .filter_map(|part| text.get(part))
            .map(str::trim)
            .collect();
        assert_eq!(
            parts,
            ["name.where(use = 'a|b' or (x | y)).family", "`a|b`", "c[1]"]
        );
    }
}
