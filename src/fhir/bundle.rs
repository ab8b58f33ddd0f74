//! Bundles: their entries one by one, what asked for them and what answered.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use super::document::Document;
use super::error::ReadError;
use super::node::Node;
use super::outcome::Outcome;
use super::reference::Index;

/// What a Bundle is for (FHIR R5, Bundle.type).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BundleKind {
    /// `searchset`: a page of a search.
    Searchset,
    /// `history`: versions, and the notifications of R4.
    History,
    /// `subscription-notification`: the notifications of R5.
    SubscriptionNotification,
    /// `transaction`
    Transaction,
    /// `transaction-response`
    TransactionResponse,
    /// `batch`
    Batch,
    /// `batch-response`
    BatchResponse,
    /// `message`
    Message,
    /// `document`
    Document,
    /// `collection`
    Collection,
    /// None of these, or not said.
    Other,
}

impl BundleKind {
    fn of(code: &str) -> BundleKind {
        match code {
            "searchset" => BundleKind::Searchset,
            "history" => BundleKind::History,
            "subscription-notification" => BundleKind::SubscriptionNotification,
            "transaction" => BundleKind::Transaction,
            "transaction-response" => BundleKind::TransactionResponse,
            "batch" => BundleKind::Batch,
            "batch-response" => BundleKind::BatchResponse,
            "message" => BundleKind::Message,
            "document" => BundleKind::Document,
            "collection" => BundleKind::Collection,
            _ => BundleKind::Other,
        }
    }
}

/// A body of which it is not known beforehand what it is, such as the answer to a search.
#[derive(Debug)]
pub enum Body<'a> {
    /// A Bundle.
    Bundle(Bundle<'a>),
    /// Any other resource, often an OperationOutcome.
    Resource(Document<'a>),
}

impl<'a> Body<'a> {
    /// Reads a Bundle or any other resource.
    ///
    /// # Errors
    /// [`ReadError`]; an entry of a Bundle that cannot be read is that entry's error.
    pub fn read(bytes: &'a [u8]) -> Result<Body<'a>, ReadError> {
        let (document, broken) = Document::parts(bytes)?;
        if document.resource_type() == "Bundle" {
            return Bundle::of(document, broken).map(Body::Bundle);
        }
        document.whole(broken).map(Body::Resource)
    }
}

/// A Bundle whose entries are read each by itself.
pub struct Bundle<'a> {
    document: Document<'a>,
    /// The cell of each entry, and what is wrong with it if it cannot be read.
    entries: Vec<(u32, Option<ReadError>)>,
    index: OnceLock<Index>,
}

impl<'a> Bundle<'a> {
    /// Reads a Bundle.
    ///
    /// # Errors
    /// [`ReadError`] where the body as a whole cannot be read or is no Bundle.
    pub fn read(bytes: &'a [u8]) -> Result<Bundle<'a>, ReadError> {
        match Body::read(bytes)? {
            Body::Bundle(bundle) => Ok(bundle),
            Body::Resource(document) => Err(ReadError::structure(
                &document.root(),
                "resourceType",
                "a Bundle",
                "another resource",
            )),
        }
    }

    fn of(document: Document<'a>, broken: Vec<(u32, ReadError)>) -> Result<Bundle<'a>, ReadError> {
        let mut entries = Vec::new();
        let list = document.root().raw_member("entry");
        if let Some(list) = list.filter(|list| !list.is_null()) {
            if !list.is_array() {
                let (place, found) = ("Bundle.entry", list.words());
                return Err(ReadError::structure(&list, place, "an array", found));
            }
            let mut broken = broken.into_iter().peekable();
            for (number, entry) in list.raw_children().enumerate() {
                let Some(at) = entry.place() else { continue };
                match broken.next_if(|(cell, _)| *cell == at) {
                    Some((_, error)) => entries.push((at, Some(error))),
                    None if entry.is_null() => {}
                    None => entries.push((at, entry_form(&entry, number).err())),
                }
            }
        }
        Ok(Bundle {
            document,
            entries,
            index: OnceLock::new(),
        })
    }

    /// The Bundle itself.
    #[must_use]
    pub fn root(&self) -> Node<'_> {
        self.document.root()
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> BundleKind {
        let code = self.root().text_of("type");
        code.map_or(BundleKind::Other, |code| BundleKind::of(&code))
    }

    /// How many resources the search found in all, if the server said.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        self.root().member("total")?.text()?.parse().ok()
    }

    /// The address of a link, such as `next`.
    #[must_use]
    pub fn link(&self, relation: &str) -> Option<Cow<'_, str>> {
        let mut links = self.root().members("link");
        links
            .find(|link| link.text_of("relation").as_deref() == Some(relation))?
            .text_of("url")
    }

    /// How many entries it has, readable or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries in their order; what could not be read is its entry's error.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry<'_>, &ReadError>> {
        self.entries.iter().map(|(at, error)| match error {
            Some(error) => Err(error),
            None => Ok(Entry {
                node: Node::at(&self.document, *at),
            }),
        })
    }

    /// The entry at this place, from 0, if it could be read.
    #[must_use]
    pub fn entry(&self, number: usize) -> Option<Entry<'_>> {
        let (at, error) = self.entries.get(number)?;
        let node = Node::at(&self.document, *at);
        error.is_none().then_some(Entry { node })
    }

    /// Where the entry at this place lies in the body, in bytes, readable or not: what is kept of one
    /// that is not.
    #[must_use]
    pub fn span(&self, number: usize) -> Option<Range<usize>> {
        let (at, _) = self.entries.get(number)?;
        Some(Node::at(&self.document, *at).span())
    }

    /// Every OperationOutcome that came with it: as an entry, as the outcome of an entry's response,
    /// or about the whole (`issues` of R5).
    pub fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        let of_entry = |entry: Entry<'_>| {
            let answered = entry.response().and_then(|response| response.outcome);
            let both = entry.resource().into_iter().chain(answered);
            both.filter_map(|node| Outcome::of(&node))
                .collect::<Vec<_>>()
        };
        let whole = self
            .root()
            .member("issues")
            .and_then(|node| Outcome::of(&node));
        whole
            .into_iter()
            .chain(self.entries().filter_map(Result::ok).flat_map(of_entry))
    }

    pub(super) fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::of(self))
    }
}

impl fmt::Debug for Bundle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let broken = self.entries().filter(Result::is_err).count();
        write!(
            f,
            "Bundle({} entries, {broken} of them broken)",
            self.entries.len()
        )
    }
}

/// Refuses an entry that has not the form of one.
fn entry_form(entry: &Node<'_>, number: usize) -> Result<(), ReadError> {
    let place = |member: &str| format!("Bundle.entry[{number}]{member}");
    if !entry.is_object() {
        let found = entry.words();
        return Err(ReadError::structure(entry, place(""), "an object", found));
    }
    let sent = |name| entry.raw_member(name).filter(|node| !node.is_null());
    if let Some(url) = sent("fullUrl").filter(|url| url.string().is_none()) {
        let (place, found) = (place(".fullUrl"), url.words());
        return Err(ReadError::structure(&url, place, "a string", found));
    }
    sent("resource").map_or(Ok(()), |resource| resource.typed(|| place(".resource")))
}

/// One entry of a Bundle.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'b> {
    node: Node<'b>,
}

/// What an entry asks for, or what made a version of a history.
#[derive(Clone)]
pub struct Request<'b> {
    /// The HTTP method, such as `DELETE`.
    pub method: Cow<'b, str>,
    /// The address, relative to the server's base.
    pub url: Cow<'b, str>,
}

/// What was answered to an entry.
#[derive(Clone)]
pub struct Response<'b> {
    /// The HTTP status; 0 where none can be read.
    pub status: u16,
    /// Where it was put.
    pub location: Option<Cow<'b, str>>,
    /// The version, as an entity tag.
    pub etag: Option<Cow<'b, str>>,
    /// When it was changed.
    pub last_modified: Option<Cow<'b, str>>,
    /// The OperationOutcome, or whatever resource stands there.
    pub outcome: Option<Node<'b>>,
}

impl<'b> Entry<'b> {
    /// The entry itself.
    #[must_use]
    pub fn node(&self) -> Node<'b> {
        self.node
    }

    /// The resource, if it has one.
    #[must_use]
    pub fn resource(&self) -> Option<Node<'b>> {
        self.node.member("resource")
    }

    /// Its identity: the address of the resource, or a `urn:uuid:`.
    #[must_use]
    pub fn full_url(&self) -> Option<Cow<'b, str>> {
        self.node.text_of("fullUrl")
    }

    /// Why it is in a search's result: `match`, `include` or `outcome`.
    #[must_use]
    pub fn search_mode(&self) -> Option<Cow<'b, str>> {
        self.node.member("search")?.text_of("mode")
    }

    /// What it asks for.
    #[must_use]
    pub fn request(&self) -> Option<Request<'b>> {
        let request = self.node.member("request")?;
        let text = |name| request.text_of(name).unwrap_or_default();
        Some(Request {
            method: text("method"),
            url: text("url"),
        })
    }

    /// What was answered to it.
    #[must_use]
    pub fn response(&self) -> Option<Response<'b>> {
        let response = self.node.member("response")?;
        // "201 Created", "201" and the number 201 are all sent.
        let status = response.member("status").and_then(|status| status.text());
        let status = status.unwrap_or_default();
        let digits = status.trim().split(' ').next().unwrap_or_default();
        Some(Response {
            status: digits.parse().unwrap_or_default(),
            location: response.text_of("location"),
            etag: response.text_of("etag"),
            last_modified: response.text_of("lastModified"),
            outcome: response.member("outcome"),
        })
    }
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;
