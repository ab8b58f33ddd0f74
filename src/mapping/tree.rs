//! A TOML file as a tree in which every key and value knows where it stands.
//!
//! Layers are merged as trees, so each value keeps the file and line of the layer that set it.

use toml::de::{DeTable, DeValue};

use super::diagnostic::Problems;

/// Where a key or value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The file's number in [`Sources`].
    pub(super) file: usize,
    /// First byte.
    pub(super) start: usize,
    /// Byte after the last.
    pub(super) end: usize,
}

/// A value with its place.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Clone)]
pub(super) enum Kind {
    Text(String),
    Whole(i64),
    Flag(bool),
    List(Vec<Node>),
    Table(Table),
    /// Something that no mapping uses: a float or a date.
    Other(&'static str),
}

/// A table in the order of its file.
#[derive(Clone, Default)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Place,
    pub(super) node: Node,
}

impl Table {
    /// The entry of a key.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The value of a key, to be changed.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries
            .iter_mut()
            .find(|entry| entry.key == key)
            .map(|entry| &mut entry.node)
    }

    /// Takes a key out.
    pub(super) fn remove(&mut self, key: &str) -> Option<Entry> {
        let place = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(place))
    }
}

impl Node {
    /// The table, if it is one.
    pub(super) const fn table(&self) -> Option<&Table> {
        match &self.kind {
            Kind::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The table, if it is one, to be changed.
    pub(super) const fn table_mut(&mut self) -> Option<&mut Table> {
        match &mut self.kind {
            Kind::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, in words for a diagnostic.
    pub(super) fn found(&self) -> String {
        match &self.kind {
            Kind::Text(text) => format!("the text `{text}`"),
            Kind::Whole(number) => format!("the number {number}"),
            Kind::Flag(flag) => format!("`{flag}`"),
            Kind::List(_) => "a list".to_owned(),
            Kind::Table(_) => "a table".to_owned(),
            Kind::Other(what) => (*what).to_owned(),
        }
    }
}

/// A line of a file, as a diagnostic shows it.
pub(super) struct Spot {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) text: String,
    pub(super) width: usize,
}

/// Every file of a bundle.
#[derive(Clone, Default)]
pub(super) struct Sources {
    files: Vec<(String, String)>,
}

impl Sources {
    /// Adds a file; the answer is its number.
    pub(super) fn add(&mut self, name: &str, text: &str) -> usize {
        self.files.push((name.to_owned(), text.to_owned()));
        self.files.len() - 1
    }

    /// The file's name.
    pub(super) fn name(&self, at: Place) -> &str {
        self.files.get(at.file).map_or("", |(name, _)| name)
    }

    /// The names with their numbers.
    pub(super) fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        self.files
            .iter()
            .enumerate()
            .map(|(number, (name, _))| (number, name.as_str()))
    }

    /// Name and text of every file.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }

    fn text(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |(_, text)| text)
    }

    /// The text between two bytes.
    pub(super) fn slice(&self, at: Place) -> &str {
        self.text(at.file).get(at.start..at.end).unwrap_or_default()
    }

    /// The line number, counted from 1.
    pub(super) fn line(&self, at: Place) -> u32 {
        let before = self.text(at.file).get(..at.start).unwrap_or_default();
        let ends = before.bytes().filter(|byte| *byte == b'\n').count();
        u32::try_from(ends + 1).unwrap_or(u32::MAX)
    }

    /// Line, column and the line's text.
    pub(super) fn spot(&self, at: Place) -> Spot {
        let text = self.text(at.file);
        let before = text.get(..at.start).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let rest = text.get(start..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        let column = before.get(start..).unwrap_or_default().chars().count() + 1;
        let room = line.chars().count().saturating_sub(column - 1);
        let width = self
            .slice(at)
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .count();
        Spot {
            line: self.line(at),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            text: line.to_owned(),
            width: width.min(room).max(1),
        }
    }
}

/// Reads one file; `None`, with every syntax error noted, when it is not TOML.
pub(super) fn parse(file: usize, problems: &mut Problems<'_>) -> Option<Table> {
    let text = problems.sources().text(file);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        let at = Place {
            file,
            start: span.start,
            end: span.end,
        };
        problems.report(at, error.message(), "TOML", "a syntax error");
    }
    errors.is_empty().then(|| table_of(file, table.get_ref()))
}

fn table_of(file: usize, table: &DeTable<'_>) -> Table {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| {
            let node = node_of(file, value.span(), value.get_ref());
            let span = key.span();
            let at = Place {
                file,
                start: span.start,
                end: span.end,
            };
            Entry {
                key: key.get_ref().to_string(),
                at,
                node,
            }
        })
        .collect();
    // The parser sorts by name; people read, and packs run, in the order of the file.
    entries.sort_by_key(|entry| entry.at);
    Table { entries }
}

fn node_of(file: usize, span: std::ops::Range<usize>, value: &DeValue<'_>) -> Node {
    let kind = match value {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Kind::Other("a number out of range"), Kind::Whole),
        DeValue::Boolean(flag) => Kind::Flag(*flag),
        DeValue::Array(list) => Kind::List(
            list.iter()
                .map(|item| node_of(file, item.span(), item.get_ref()))
                .collect(),
        ),
        DeValue::Table(table) => Kind::Table(table_of(file, table)),
        DeValue::Float(_) => Kind::Other("a number with a fraction"),
        DeValue::Datetime(_) => Kind::Other("a TOML date"),
    };
    Node {
        at: Place {
            file,
            start: span.start,
            end: span.end,
        },
        kind,
    }
}
