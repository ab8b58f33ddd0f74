//! Reading places of a FHIR resource.

use std::cell::Cell;

use crate::fhir::{self, Item, Node};

use super::super::plan::Term;
use super::here::{Coding, Read};

/// The mark of a resource that holds only what was asked for (FHIR R4, 2.1.0.9, `SUBSETTED`).
const SUBSETTED: &str = "SUBSETTED";

/// A resource, and in it an element of a list.
#[derive(Clone)]
pub(super) struct Spot<'m> {
    resource: Node<'m>,
    /// The base address of where it comes from.
    endpoint: &'m str,
    /// Set where a path could not be evaluated: what a condition took for "no" may be a "yes".
    trouble: &'m Cell<bool>,
    /// The element that relative paths start at, with its place.
    element: Option<(Item<'m>, String)>,
}

impl<'m> Spot<'m> {
    /// The resource itself.
    pub(super) const fn of(resource: Node<'m>, endpoint: &'m str, trouble: &'m Cell<bool>) -> Self {
        Self {
            resource,
            endpoint,
            trouble,
            element: None,
        }
    }

    /// The first alternative with a value.
    pub(super) fn read(&self, terms: &[Term]) -> Read {
        let mut wrong = None;
        for (place, term) in terms.iter().enumerate() {
            match self.items(term) {
                Err(_) => wrong = wrong.or(Some(place)),
                Ok(texts) => {
                    if let Some(text) = texts.into_iter().next() {
                        return Read {
                            text: Some(text),
                            place,
                            ..Read::default()
                        };
                    }
                }
            }
        }
        Read {
            wrong: wrong.is_some(),
            place: wrong.unwrap_or_default(),
            ..Read::default()
        }
    }

    /// Every value of the first alternative that has any.
    pub(super) fn texts(&self, terms: &[Term]) -> Vec<String> {
        let read = terms.iter().filter_map(|term| self.items(term).ok());
        read.into_iter()
            .find(|texts| !texts.is_empty())
            .unwrap_or_default()
    }

    /// The texts at a term, trimmed; blank ones left out.
    fn items(&self, term: &Term) -> Result<Vec<String>, fhir::EvaluateError> {
        let items = match term {
            Term::Own => return Ok(self.own().into_iter().collect()),
            Term::Endpoint => return Ok(vec![self.endpoint.to_owned()]),
            term => self.evaluate(term)?,
        };
        let texts = items.iter().filter_map(Item::text);
        let texts = texts.map(|text| text.trim().to_owned());
        Ok(texts.filter(|text| !text.is_empty()).collect())
    }

    fn evaluate(&self, term: &Term) -> Result<Vec<Item<'m>>, fhir::EvaluateError> {
        let found = match (term, &self.element) {
            (Term::Fhir(path), _) => path.evaluate(self.resource),
            (Term::Part(path), Some((item, _))) => path.evaluate_from(item),
            (Term::Part(_), None) => Ok(Vec::new()),
            (Term::Path(_) | Term::Relative(_) | Term::Own | Term::Endpoint, _) => Ok(Vec::new()),
        };
        self.trouble.set(self.trouble.get() || found.is_err());
        found
    }

    /// `Type/id`, by which others refer to the resource.
    fn own(&self) -> Option<String> {
        let id = self.resource.id()?;
        Some(format!("{}/{id}", self.resource.resource_type()?))
    }

    /// The codes of a coded element: of a `Coding`, a `CodeableConcept`, or the concept of a
    /// `CodeableReference`.
    pub(super) fn codings(&self, term: &Term) -> Vec<Coding> {
        let items = self.evaluate(term).unwrap_or_default();
        let nodes = items.iter().filter_map(Item::node);
        let concepts = nodes.map(|node| node.member("concept").unwrap_or(node));
        let codings = concepts.flat_map(|node| {
            let inner: Vec<Node<'m>> = node.members("coding").collect();
            if inner.is_empty() { vec![node] } else { inner }
        });
        let text =
            |node: &Node<'m>, name: &str| node.text_of(name).map(std::borrow::Cow::into_owned);
        codings
            .filter_map(|coding| Some((text(&coding, "code")?, text(&coding, "system"))))
            .collect()
    }

    /// The elements that a path leads to.
    pub(super) fn elements(&self, path: &Term) -> Vec<Self> {
        let items = self.evaluate(path).unwrap_or_default();
        let numbered = items.into_iter().enumerate();
        let told = self.tell(path);
        numbered
            .map(|(number, item)| Self {
                element: Some((item, format!("{told}[{number}]"))),
                ..self.clone()
            })
            .collect()
    }

    pub(super) fn tell(&self, term: &Term) -> String {
        match (term, &self.element) {
            (Term::Fhir(path), _) => path.text().to_owned(),
            (Term::Part(path), Some((_, base))) if path.text() == "$this" => base.clone(),
            (Term::Part(path), Some((_, base))) => format!("{base}.{}", path.text()),
            (Term::Part(path), None) => path.text().to_owned(),
            (Term::Own, _) => "id".to_owned(),
            (Term::Endpoint, _) => "endpoint".to_owned(),
            (Term::Path(_) | Term::Relative(_), _) => String::new(),
        }
    }

    /// The place of the element that relative paths start at.
    pub(super) fn base(&self) -> Option<&str> {
        self.element.as_ref().map(|(_, base)| base.as_str())
    }

    /// Whether the resource holds all that its server knows: not where only some elements were asked for.
    pub(super) fn is_whole(&self) -> bool {
        let tags = self.resource.member("meta");
        let mut tags = tags.iter().flat_map(|meta| meta.members("tag"));
        !tags.any(|tag| tag.text_of("code").as_deref() == Some(SUBSETTED))
    }
}

/// What changes the meaning of the elements around it, which no mapping reads: an extension that
/// modifies, or rules of the sender's own (FHIR R4, 2.1.0.3 and 2.6.1).
pub(super) fn changes_meaning(resource: Node<'_>) -> Option<&'static str> {
    let marks = ["modifierExtension", "implicitRules"];
    let text = resource.json();
    let is_there = |mark: &&&str| text.contains(&format!("\"{mark}\""));
    marks.iter().find(is_there).copied()
}
