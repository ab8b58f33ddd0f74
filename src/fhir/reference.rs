//! References: what they name, and whether it is in the same Bundle or resource.

use std::collections::HashMap;
use std::fmt;

use super::bundle::{Bundle, Entry};
use super::document::is_type_name;
use super::node::Node;

/// What a `Reference.reference` names.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// `#id`: a resource inside of this one; an empty id is the resource around it.
    Contained(String),
    /// `Patient/123`, with what stands before and behind it.
    Resource {
        /// The server's base address, without the slash behind it; `None` where it is relative.
        base: Option<String>,
        /// The resource's type.
        kind: String,
        /// Its id.
        id: String,
        /// The version that is meant, if one is.
        version: Option<String>,
    },
    /// `urn:uuid:…` or `urn:oid:…`: an entry of the same Bundle.
    Urn(String),
    /// Any other address, a search (`Patient?identifier=…`) too.
    Other(String),
}

impl Reference {
    /// Reads the text of a reference; `None` for an empty one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Reference> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        if let Some(id) = text.strip_prefix('#') {
            return Some(Reference::Contained(id.to_owned()));
        }
        if text.starts_with("urn:") {
            return Some(Reference::Urn(text.to_owned()));
        }
        Some(resource(text).unwrap_or_else(|| Reference::Other(text.to_owned())))
    }

    /// The reference of a `Reference` element; `None` where it has only an identifier or a display.
    #[must_use]
    pub fn of(node: &Node<'_>) -> Option<Reference> {
        Reference::parse(&node.text_of("reference")?)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reference::Contained(_) => "Contained",
            Reference::Resource { base: None, .. } => "Relative",
            Reference::Resource { .. } => "Absolute",
            Reference::Urn(_) => "Urn",
            Reference::Other(_) => "Other",
        })
    }
}

/// `[base/]Type/id[/_history/version]`.
fn resource(text: &str) -> Option<Reference> {
    let (path, version) = match text.split_once("/_history/") {
        Some((path, version)) => (path, Some(version).filter(|one| !one.is_empty())),
        None => (text, None),
    };
    let (front, id) = path.rsplit_once('/')?;
    let (base, kind) = match front.rsplit_once('/') {
        Some((base, kind)) => (Some(base).filter(|base| !base.is_empty()), kind),
        None => (None, front),
    };
    let is_id = !id.is_empty() && !id.contains(['?', '#', '&', '|', ' ']);
    let is_base = base.is_none_or(|base| base.contains("://"));
    (is_type_name(kind) && is_id && is_base).then(|| Reference::Resource {
        base: base.map(str::to_owned),
        kind: kind.to_owned(),
        id: id.to_owned(),
        version: version.map(str::to_owned),
    })
}

/// What a reference leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found<'b> {
    /// This resource.
    Here(Node<'b>),
    /// Nothing that came along.
    Elsewhere,
    /// Several, of which it does not say which.
    Ambiguous,
}

impl<'b> Found<'b> {
    fn of(mut candidates: impl Iterator<Item = Node<'b>>) -> Found<'b> {
        match (candidates.next(), candidates.next()) {
            (Some(node), None) => Found::Here(node),
            (None, _) => Found::Elsewhere,
            (Some(_), Some(_)) => Found::Ambiguous,
        }
    }
}

impl<'d> Node<'d> {
    /// The resource with this id that is contained in this one.
    #[must_use]
    pub fn contained(&self, id: &str) -> Found<'d> {
        if id.is_empty() {
            return Found::Here(*self);
        }
        Found::of(
            self.members("contained")
                .filter(|one| one.id().as_deref() == Some(id)),
        )
    }
}

/// Where the resources of a Bundle are.
#[derive(Default)]
pub(super) struct Index {
    by_url: HashMap<String, Vec<usize>>,
    by_id: HashMap<String, Vec<usize>>,
}

impl Index {
    pub(super) fn of(bundle: &Bundle<'_>) -> Index {
        let mut index = Index::default();
        for (number, entry) in bundle.entries().enumerate() {
            let Ok(entry) = entry else { continue };
            let Some(resource) = entry.resource() else {
                continue;
            };
            if let Some(url) = entry.full_url() {
                index
                    .by_url
                    .entry(without_version(&url).to_owned())
                    .or_default()
                    .push(number);
            }
            if let (Some(kind), Some(id)) = (resource.resource_type(), resource.id()) {
                index
                    .by_id
                    .entry(format!("{kind}/{id}"))
                    .or_default()
                    .push(number);
            }
        }
        index
    }
}

impl Bundle<'_> {
    /// What a reference of an entry's resource leads to, by the rules of FHIR R5, 3.4.3 (`fullUrl`).
    ///
    /// A relative one is joined to the base of its entry's `fullUrl`. Where that entry has none, it
    /// leads to the one resource with that type and id, if there is exactly one.
    #[must_use]
    pub fn resolve<'b>(&'b self, reference: &Reference, from: &Entry<'b>) -> Found<'b> {
        match reference {
            Reference::Contained(id) => {
                let resource = from.resource();
                resource.map_or(Found::Elsewhere, |resource| resource.contained(id))
            }
            Reference::Urn(url) | Reference::Other(url) => {
                self.found(self.index().by_url.get(url), None)
            }
            Reference::Resource {
                base,
                kind,
                id,
                version,
            } => {
                let name = format!("{kind}/{id}");
                let own = from.full_url();
                let base = base.as_deref().or_else(|| base_of(own.as_deref()?));
                let entries = match base {
                    Some(base) => self.index().by_url.get(&format!("{base}/{name}")),
                    None => self.index().by_id.get(&name),
                };
                self.found(entries, version.as_deref())
            }
        }
    }

    fn found(&self, entries: Option<&Vec<usize>>, version: Option<&str>) -> Found<'_> {
        let nodes = entries.into_iter().flatten();
        let nodes = nodes.filter_map(|number| self.entry(*number)?.resource());
        let of_version = |node: &Node<'_>| {
            let known = node
                .member("meta")
                .and_then(|meta| meta.text_of("versionId"));
            version.is_none() || known.is_none() || known.as_deref() == version
        };
        Found::of(nodes.filter(of_version))
    }
}

fn without_version(url: &str) -> &str {
    url.split_once("/_history/").map_or(url, |(front, _)| front)
}

/// The server's base of a `fullUrl` that is a resource's address.
fn base_of(url: &str) -> Option<&str> {
    match resource(url)? {
        Reference::Resource {
            base: Some(base), ..
        } => url.get(..base.len()),
        _ => None,
    }
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
