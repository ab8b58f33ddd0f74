//! The words of XML: tags that open and close, and what is between them.

use super::super::definitions;
use super::super::error::{self, ReadError, ReadErrorKind, Step};
use super::super::{MAX_DEPTH, MAX_NAME_BYTES};
use super::spaces::{Space, Spaces};
use super::tag::{Attribute, Tag, referred};

pub(super) type Outcome<T> = Result<T, Box<ReadError>>;

/// How many attributes an element may have.
const MAX_ATTRIBUTES: usize = 64;

/// An element that has begun and not ended.
struct Open<'t> {
    name: &'t str,
    /// How many namespaces were declared before it.
    spaces: usize,
}

/// Goes through a text from tag to tag.
pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    open: Vec<Open<'t>>,
    spaces: Spaces<'t>,
    /// How many entries of the Bundle have ended, for the place of an error.
    pub(super) entries: usize,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Scanner<'t> {
        Scanner {
            text,
            at: if text.starts_with('\u{feff}') { 3 } else { 0 },
            open: Vec::new(),
            spaces: Spaces::default(),
            entries: 0,
        }
    }

    /// The element that holds all others.
    pub(super) fn root(&mut self) -> Outcome<Tag<'t>> {
        self.declaration()?;
        self.between()?;
        match self.rest().starts_with('<') {
            true => self.tag(),
            false => Err(self.unexpected("a resource")),
        }
    }

    /// The next element below the one that is open; `None` where that ends.
    pub(super) fn child(&mut self) -> Outcome<Option<Tag<'t>>> {
        self.between()?;
        match self.rest().get(..2) {
            Some("</") => self.close().map(|()| None),
            Some(tag) if tag.starts_with('<') => self.tag().map(Some),
            _ => Err(self.unexpected("an element")),
        }
    }

    /// Refuses whatever stands behind the root.
    pub(super) fn end(&mut self) -> Outcome<()> {
        self.between()?;
        match self.rest().is_empty() {
            true => Ok(()),
            false => Err(self.unexpected("the end")),
        }
    }

    /// All of an element whose tag was read, as it was written: text, too, and whatever else is in it.
    pub(super) fn whole(&mut self, tag: &Tag<'t>) -> Outcome<&'t str> {
        let depth = self.open.len();
        while !tag.is_empty && self.open.len() >= depth {
            let next = self.rest().find('<');
            self.at = next.map_or(self.text.len(), |next| self.at + next);
            if self.rest().starts_with("</") {
                self.close()?;
            } else if !self.skip("<!--", "-->")?
                && !self.skip("<![CDATA[", "]]>")?
                && !self.skip("<?", "?>")?
            {
                self.tag()?;
            }
        }
        Ok(self.text.get(tag.at..self.at).unwrap_or_default())
    }

    /// Reads a text that is one `div` of XHTML and nothing else.
    pub(super) fn narrative(&mut self) -> Outcome<()> {
        let root = self.tag()?;
        if root.space != Space::Xhtml || root.local() != "div" {
            return Err(self.wrong("a div of XHTML", "another element"));
        }
        let whole = self.whole(&root)?;
        for (place, _) in whole.match_indices('&') {
            let name = whole.get(place + 1..).and_then(|rest| rest.split_once(';'));
            if name.and_then(|(name, _)| referred(name)).is_none() {
                return Err(self.wrong("a character or an entity of XML", "another one"));
            }
        }
        match self.rest().is_empty() {
            true => Ok(()),
            false => Err(self.unexpected("the end")),
        }
    }

    /// The declaration before all else: it may name UTF-8 and nothing else.
    fn declaration(&mut self) -> Outcome<()> {
        let start = self.at;
        if !self.rest().starts_with("<?xml") || !self.skip("<?", "?>")? {
            return Ok(());
        }
        let said = self.text.get(start..self.at).unwrap_or_default();
        let Some((_, encoding)) = said.split_once("encoding") else {
            return Ok(());
        };
        let encoding = encoding.trim_start_matches(|one: char| one.is_whitespace() || one == '=');
        let mut parts = encoding.split(['"', '\'']);
        let name = parts.nth(1).unwrap_or_default();
        if ["utf-8", "utf8", "us-ascii"].contains(&name.to_ascii_lowercase().as_str()) {
            return Ok(());
        }
        Err(self.wrong("a body in UTF-8", "another encoding"))
    }

    /// Skips what may stand between two tags and says nothing.
    fn between(&mut self) -> Outcome<()> {
        loop {
            self.blanks();
            if !self.skip("<!--", "-->")? && !self.skip("<?", "?>")? {
                return Ok(());
            }
        }
    }

    /// Skips what starts and ends so, if it stands here.
    fn skip(&mut self, start: &str, end: &'static str) -> Outcome<bool> {
        let Some(inner) = self.rest().strip_prefix(start) else {
            return Ok(false);
        };
        let Some(length) = inner.find(end) else {
            self.at = self.text.len();
            return Err(self.unexpected(end));
        };
        self.at += start.len() + length + end.len();
        Ok(true)
    }

    /// A tag that opens an element.
    fn tag(&mut self) -> Outcome<Tag<'t>> {
        let at = self.at;
        if self.rest().starts_with("<!") || !self.take("<") {
            return Err(self.unexpected("an element"));
        }
        let name = self.name()?;
        let mut attributes = Vec::new();
        let is_empty = loop {
            let has_blank = self.blanks();
            if self.take("/>") {
                break true;
            }
            if self.take(">") {
                break false;
            }
            if !has_blank {
                return Err(self.unexpected("a blank or the end of the tag"));
            }
            let one = self.attribute()?;
            if attributes
                .iter()
                .any(|other: &Attribute<'_>| other.name == one.name)
            {
                return Err(self.error(ReadErrorKind::Duplicate, "an attribute once", "it twice"));
            }
            if attributes.len() == MAX_ATTRIBUTES {
                return Err(self.limit("at most 64 attributes"));
            }
            attributes.push(one);
        };
        let before = self.spaces.len();
        if !self.spaces.declare(&attributes) {
            return Err(self.limit("at most 64 namespaces in one place"));
        }
        let mut tag = Tag {
            at,
            name,
            space: Space::Other,
            attributes,
            is_empty,
        };
        tag.space = self.spaces.of(tag.prefix());
        if self.open.len() >= MAX_DEPTH {
            return Err(self.limit("at most 100 levels"));
        }
        if is_empty {
            self.spaces.back_to(before);
        } else {
            let spaces = before;
            self.open.push(Open { name, spaces });
        }
        Ok(tag)
    }

    /// The tag that closes the element which is open.
    fn close(&mut self) -> Outcome<()> {
        let start = self.at;
        self.take("</");
        let name = self.name()?;
        self.blanks();
        if !self.take(">") {
            return Err(self.unexpected("the end of the tag"));
        }
        let is_open = self.open.last().is_some_and(|open| open.name == name);
        let Some(open) = self.open.pop_if(|_| is_open) else {
            self.at = start;
            return Err(self.wrong("the tag that closes the element", "another one"));
        };
        self.spaces.back_to(open.spaces);
        Ok(())
    }

    fn attribute(&mut self) -> Outcome<Attribute<'t>> {
        let name = self.name()?;
        self.blanks();
        if !self.take("=") {
            return Err(self.unexpected("an equals sign"));
        }
        self.blanks();
        let quote = match self.rest().chars().next() {
            Some(quote @ ('"' | '\'')) => quote,
            _ => return Err(self.unexpected("a quote")),
        };
        self.at += 1;
        let at = self.at;
        let length = self.rest().find(quote).unwrap_or(self.rest().len());
        let raw = self.rest().get(..length).unwrap_or_default();
        if let Some(inner) = raw.find('<') {
            self.at += inner;
            return Err(self.unexpected("the text of an attribute"));
        }
        self.at += length;
        if self.rest().is_empty() {
            return Err(self.unexpected("a quote"));
        }
        self.at += 1;
        Ok(Attribute { name, raw, at })
    }

    fn name(&mut self) -> Outcome<&'t str> {
        let is_part = |one: char| {
            one.is_ascii_alphanumeric() || matches!(one, '_' | '-' | '.' | ':') || !one.is_ascii()
        };
        let rest = self.rest();
        let name = rest
            .split_once(|one: char| !is_part(one))
            .map_or(rest, |(name, _)| name);
        let is_start = |one: char| !one.is_ascii_digit() && !matches!(one, '-' | '.' | ':');
        if !name.starts_with(is_start) {
            return Err(self.unexpected("a name"));
        }
        if name.len() > usize::from(MAX_NAME_BYTES) {
            return Err(self.limit("a name of at most 1,000 bytes"));
        }
        self.at += name.len();
        Ok(name)
    }

    /// Skips blanks; whether there are any.
    fn blanks(&mut self) -> bool {
        let rest = self.rest();
        let length = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        self.at += length;
        length > 0
    }

    fn take(&mut self, word: &str) -> bool {
        let is_there = self.rest().starts_with(word);
        if is_there {
            self.at += word.len();
        }
        is_there
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The error that something else stands here.
    fn unexpected(&self, expected: &'static str) -> Box<ReadError> {
        let kind = match self.rest().is_empty() {
            true => ReadErrorKind::Cut,
            false => ReadErrorKind::Syntax,
        };
        self.error(kind, expected, found(self.rest()))
    }

    pub(super) fn wrong(&self, expected: &'static str, found: &'static str) -> Box<ReadError> {
        self.error(ReadErrorKind::Structure, expected, found)
    }

    pub(super) fn limit(&self, expected: &'static str) -> Box<ReadError> {
        self.error(ReadErrorKind::Limit, expected, "more")
    }

    pub(super) fn error(
        &self,
        kind: ReadErrorKind,
        expected: &'static str,
        found: &'static str,
    ) -> Box<ReadError> {
        Box::new(ReadError {
            kind,
            place: self.place(),
            offset: self.at,
            expected,
            found,
        })
    }

    /// The elements that are open, and the number of the Bundle's entry.
    fn place(&self) -> String {
        let mut names = self.open.iter().map(|open| open.name);
        let root = names.next().unwrap_or_default();
        let root = definitions::get().resource_name(root).unwrap_or_default();
        let mut steps = Vec::new();
        for name in names {
            // The type of a resource below another one is no element.
            if definitions::get().resource_name(name).is_some() {
                continue;
            }
            let is_entry = steps.is_empty() && root == "Bundle" && name == "entry";
            steps.push(Step::member(name));
            steps.extend(is_entry.then_some(Step::Index(self.entries)));
        }
        error::place(root, &steps)
    }
}

/// What stands there, by its kind: never the character itself, which may be part of a value.
fn found(rest: &str) -> &'static str {
    match rest.as_bytes() {
        [] => "the end",
        [b'<', b'!', b'D', ..] => "a document type",
        [b'<', b'!', b'[', ..] => "a section of text",
        [b'<', b'/', ..] => "the end of an element",
        [b'<', ..] => "a tag",
        [b'&', ..] => "a reference",
        [b'{', ..] => "JSON",
        _ => "text",
    }
}
