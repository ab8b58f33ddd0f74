//! Where a rule reads: a part of an HL7 v2 message or of a FHIR resource, and in it an element of a list.

use super::super::plan::{Each, Elements, Term};
use super::{resource, segments};

/// A place in what is read. Rules see nothing of the language behind it.
#[derive(Clone)]
pub(super) enum Here<'m> {
    /// In an HL7 v2 message.
    Hl7(segments::Spot<'m>),
    /// In a FHIR resource.
    Fhir(resource::Spot<'m>),
}

/// What stands at a place.
#[derive(Default)]
pub(super) struct Read {
    /// Trimmed; never blank.
    pub(super) text: Option<String>,
    /// `""` was sent (HL7 v2).
    pub(super) null: bool,
    /// The place cannot be read at all (FHIR: several values where the release has one, or too many).
    pub(super) wrong: bool,
    /// Which of the alternatives.
    pub(super) place: usize,
}

/// A code with its system, where that was sent.
pub(super) type Coding = (String, Option<String>);

impl<'m> Here<'m> {
    /// The first alternative with a value.
    pub(super) fn read(&self, terms: &[Term]) -> Read {
        match self {
            Self::Hl7(spot) => spot.read(terms),
            Self::Fhir(spot) => spot.read(terms),
        }
    }

    /// Every value of the first alternative that has any.
    pub(super) fn texts(&self, terms: &[Term]) -> Vec<String> {
        match self {
            Self::Hl7(spot) => spot.read(terms).text.into_iter().collect(),
            Self::Fhir(spot) => spot.texts(terms),
        }
    }

    /// The codes of a coded place, each with its system.
    pub(super) fn codings(&self, term: &Term) -> Vec<Coding> {
        match self {
            Self::Hl7(spot) => spot.codings(term),
            Self::Fhir(spot) => spot.codings(term),
        }
    }

    /// A term as it is told in traces and issues.
    pub(super) fn tell(&self, terms: &[Term], place: usize) -> String {
        match (terms.get(place), self) {
            (None, _) => String::new(),
            (Some(term), Self::Hl7(spot)) => spot.tell(term),
            (Some(term), Self::Fhir(spot)) => spot.tell(term),
        }
    }

    /// What a block runs once for.
    pub(super) fn each(&self, each: &Each) -> Vec<Self> {
        match self {
            Self::Hl7(spot) => spot.each(each).into_iter().map(Self::Hl7).collect(),
            Self::Fhir(spot) => match each {
                Each::Elements(path) => spot.elements(path).into_iter().map(Self::Fhir).collect(),
                Each::Segment(_) | Each::Group { .. } => Vec::new(),
            },
        }
    }

    /// The elements of a list, and whether one was `""`.
    pub(super) fn elements(&self, each: &Elements) -> (Vec<Self>, bool) {
        match (self, each) {
            (Self::Hl7(spot), each) => {
                let (spots, null) = spot.elements(each);
                (spots.into_iter().map(Self::Hl7).collect(), null)
            }
            (Self::Fhir(spot), Elements::Parts(path)) => {
                let spots = spot.elements(path);
                (spots.into_iter().map(Self::Fhir).collect(), false)
            }
            (Self::Fhir(_), Elements::Repetitions(_) | Elements::Segment(_)) => (Vec::new(), false),
        }
    }

    /// The place of the element that relative paths start at.
    pub(super) fn base(&self) -> Option<&str> {
        match self {
            Self::Hl7(spot) => spot.base(),
            Self::Fhir(spot) => spot.base(),
        }
    }

    /// Whether a segment is there.
    pub(super) fn has_segment(&self, name: &str) -> bool {
        match self {
            Self::Hl7(spot) => spot.has_segment(name),
            Self::Fhir(_) => false,
        }
    }

    /// Whether what is not said is gone. A resource is told whole; a message tells what changed.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::Hl7(_) => false,
            Self::Fhir(spot) => spot.is_whole(),
        }
    }
}
