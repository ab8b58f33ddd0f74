//! Reading places of an HL7 v2 message.

use crate::hl7::{Field, Path, RelPath, Repetition, Scope, Segment};

use super::super::plan::{Each, Elements, Term};
use super::here::{Coding, Read};

/// A part of the message, and in it an element of a list.
#[derive(Clone)]
pub(super) struct Spot<'m> {
    scope: Scope<'m>,
    /// The repetition that relative paths mean, with the text of its field.
    element: Option<(Repetition<'m>, String)>,
    /// Whether this is a part of the message, so that telling a place needs the segment's number.
    grouped: bool,
}

impl<'m> Spot<'m> {
    /// The parts of a message that begin with a segment; the whole one where there is none: without
    /// an anchor there is still a message, and its rules say what is missing.
    pub(super) fn parts(whole: &Scope<'m>, anchor: Option<&str>) -> Vec<Self> {
        let groups = anchor.map_or(Vec::new(), |anchor| whole.groups(&[anchor], &[]));
        let grouped = groups.len() > 1;
        if groups.is_empty() {
            return vec![Self::of(whole.clone(), false)];
        }
        let groups = groups.into_iter();
        groups.map(|scope| Self::of(scope, grouped)).collect()
    }

    const fn of(scope: Scope<'m>, grouped: bool) -> Self {
        Self {
            scope,
            element: None,
            grouped,
        }
    }

    /// The first alternative with a value.
    pub(super) fn read(&self, terms: &[Term]) -> Read {
        let mut read = Read::default();
        for (place, term) in terms.iter().enumerate() {
            match self.field(term) {
                Field::Absent => {}
                Field::Null if read.null => {}
                Field::Null => {
                    read.null = true;
                    read.place = place;
                }
                Field::Value(text) => {
                    let text = text.trim();
                    if !text.is_empty() {
                        return Read {
                            text: Some(text.to_owned()),
                            place,
                            ..Read::default()
                        };
                    }
                }
            }
        }
        read
    }

    fn field(&self, term: &Term) -> Field<'_> {
        match (term, &self.element) {
            (Term::Path(path), _) => self.scope.get(path),
            (Term::Relative(path), Some((element, _))) => element.get(path),
            (Term::Relative(_), None) => Field::Absent,
            (Term::Fhir(_) | Term::Part(_) | Term::Own | Term::Endpoint, _) => Field::Absent,
        }
    }

    /// The code of a coded field (CE, CWE), and its alternate code.
    pub(super) fn codings(&self, term: &Term) -> Vec<Coding> {
        let Term::Path(path) = term else {
            return Vec::new();
        };
        let part = |text: &str| {
            let relative = RelPath::parse(text).ok()?;
            self.read(&[Term::Path(path.join(relative))]).text
        };
        [(".1", ".3"), (".4", ".6")]
            .into_iter()
            .filter_map(|(code, system)| Some((part(code)?, part(system))))
            .collect()
    }

    pub(super) fn tell(&self, term: &Term) -> String {
        match (term, &self.element) {
            (Term::Relative(path), Some((_, base))) if *path == RelPath::WHOLE => base.clone(),
            (Term::Relative(path), Some((_, base))) => format!("{base}{path}"),
            (Term::Relative(path), None) => path.to_string(),
            (Term::Path(path), _) => self.tell_path(path),
            (Term::Fhir(_) | Term::Part(_) | Term::Own | Term::Endpoint, _) => String::new(),
        }
    }

    /// A path with the number of its segment in the message, where that is not the first.
    fn tell_path(&self, path: &Path) -> String {
        let told = path.to_string();
        if !self.grouped {
            return told;
        }
        let segments = self.scope.segments();
        let mut named = segments
            .iter()
            .filter(|segment| segment.name() == path.segment());
        match named
            .nth(path.occurrence().saturating_sub(1))
            .map(Segment::occurrence)
        {
            Some(number) if number > 1 => {
                let rest = told.split_once('-').map_or("", |(_, rest)| rest);
                format!("{}[{number}]-{rest}", path.segment())
            }
            _ => told,
        }
    }

    /// The place of the repetition that relative paths mean.
    pub(super) fn base(&self) -> Option<&str> {
        self.element.as_ref().map(|(_, base)| base.as_str())
    }

    /// Whether a segment is in the group, or outside of all groups where the group sees it.
    pub(super) fn has_segment(&self, name: &str) -> bool {
        self.scope.has_segment(name)
            || Path::parse(&format!("{name}-1"))
                .is_ok_and(|path| self.scope.raw(&path.join(RelPath::WHOLE)).is_some())
    }

    /// What a block runs once for.
    pub(super) fn each(&self, each: &Each) -> Vec<Self> {
        let scopes = match each {
            Each::Segment(name) => self.scope.each_segment(name),
            Each::Group {
                anchors,
                stop,
                inside,
            } => {
                let anchors: Vec<&str> = anchors.iter().map(String::as_str).collect();
                let stop: Vec<&str> = stop.iter().map(String::as_str).collect();
                let groups = self.scope.groups(&anchors, &stop);
                match inside {
                    None => groups,
                    Some(name) => groups
                        .iter()
                        .flat_map(|group| group.each_segment(name))
                        .collect(),
                }
            }
            Each::Elements(_) => Vec::new(),
        };
        let scopes = scopes.into_iter();
        scopes.map(|scope| Self::of(scope, true)).collect()
    }

    /// The elements of a list, and whether one was `""`.
    pub(super) fn elements(&self, each: &Elements) -> (Vec<Self>, bool) {
        let mut found = Vec::new();
        let mut null = false;
        match each {
            Elements::Segment(name) => {
                let scopes = self.scope.each_segment(name).into_iter();
                found.extend(scopes.map(|scope| Self::of(scope, true)));
            }
            Elements::Repetitions(sum) => {
                for alternatives in sum {
                    let before = found.len();
                    let mut left = alternatives.iter();
                    while let Some(path) = left.next().filter(|_| found.len() == before) {
                        null |= self.repetitions(path, &mut found);
                    }
                }
            }
            Elements::Parts(_) => {}
        }
        (found, null)
    }

    /// The valued repetitions of a field; whether one was `""`.
    fn repetitions(&self, path: &Path, found: &mut Vec<Self>) -> bool {
        let mut null = false;
        let plain = path.join(RelPath::WHOLE);
        for element in self.scope.repetitions(path) {
            match element.get(&RelPath::WHOLE) {
                Field::Null => null = true,
                Field::Absent => {}
                Field::Value(_) => {
                    let number = element.number();
                    let told = self.tell_path(&plain);
                    let base = match path.repetition() {
                        None if number > 1 => format!("{told}[{number}]"),
                        _ => told,
                    };
                    found.push(Self {
                        scope: self.scope.clone(),
                        element: Some((element, base)),
                        grouped: self.grouped,
                    });
                }
            }
        }
        null
    }
}
