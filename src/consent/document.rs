//! Reads a TOML file key by key and collects every problem with its line, instead of the first.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A problem in a file: where, what was expected, what was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The key concerned, dotted.
    pub at: String,
    /// What would have been right.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            at,
            expected,
            found,
        } = self;
        write!(f, "{file}:{line}: {at}: expected {expected}, found {found}")
    }
}

/// One file and the problems found in it so far.
pub(crate) struct Document<'t> {
    file: &'t str,
    text: &'t str,
    problems: RefCell<Vec<Diagnostic>>,
}

impl<'t> Document<'t> {
    /// A file by name and content.
    pub(crate) const fn new(file: &'t str, text: &'t str) -> Self {
        Self {
            file,
            text,
            problems: RefCell::new(Vec::new()),
        }
    }

    /// The file's TOML, or `None` with its syntax errors noted.
    pub(crate) fn parse(&self) -> Option<Spanned<DeTable<'t>>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let offset = error.span().map_or(0, |span| span.start);
            self.problem(offset, "file", "TOML", error.message());
        }
        errors.is_empty().then_some(table)
    }

    /// The whole file as a table to read from.
    pub(crate) fn root<'d>(&'d self, parsed: &'d Spanned<DeTable<'t>>) -> Table<'d, 't> {
        Table::new(self, parsed.get_ref(), String::new(), parsed.span().start)
    }

    /// Every problem, in the order of lines.
    pub(crate) fn into_problems(self) -> Vec<Diagnostic> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        problems
    }

    fn problem(&self, offset: usize, at: &str, expected: &str, found: &str) {
        let before = self
            .text
            .get(..offset.min(self.text.len()))
            .unwrap_or(self.text);
        self.problems.borrow_mut().push(Diagnostic {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            at: at.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        });
    }
}

/// One table of a file. Every key that was not asked for is a problem when [`Table::finish`] is
/// called.
pub(crate) struct Table<'d, 't> {
    document: &'d Document<'t>,
    table: &'d DeTable<'t>,
    path: String,
    offset: usize,
    asked: RefCell<BTreeSet<String>>,
}

impl<'d, 't> Table<'d, 't> {
    fn new(
        document: &'d Document<'t>,
        table: &'d DeTable<'t>,
        path: String,
        offset: usize,
    ) -> Self {
        Self {
            document,
            table,
            path,
            offset,
            asked: RefCell::default(),
        }
    }

    fn dotted(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn find(&self, key: &str) -> Option<&'d Spanned<DeValue<'t>>> {
        self.asked.borrow_mut().insert(key.to_owned());
        self.table.get(key)
    }

    /// Notes a problem with `key`, or with the whole table where it is missing.
    pub(crate) fn problem(&self, key: &str, expected: &str, found: &str) {
        let offset = self
            .table
            .get(key)
            .map_or(self.offset, |value| value.span().start);
        self.document
            .problem(offset, &self.dotted(key), expected, found);
    }

    /// Reads `key` with `read`; another shape is a problem, a missing key is not.
    fn read<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'d DeValue<'t>) -> Option<T>,
    ) -> Option<T> {
        let value = self.find(key)?;
        let got = read(value.get_ref());
        if got.is_none() {
            self.problem(key, expected, &shown(value.get_ref()));
        }
        got
    }

    /// `value`, noting a problem where the key is missing altogether.
    pub(crate) fn required<T>(&self, key: &str, expected: &str, value: Option<T>) -> Option<T> {
        if self.find(key).is_none() {
            self.problem(key, expected, "nothing");
        }
        value
    }

    /// Whether the key holds a text, where it may also hold a table.
    pub(crate) fn text_at(&self, key: &str) -> bool {
        self.table
            .get(key)
            .is_some_and(|value| value.get_ref().is_str())
    }

    /// A text.
    pub(crate) fn text(&self, key: &str) -> Option<&'d str> {
        self.read(key, "a text", DeValue::as_str)
    }

    /// A text that must be there.
    pub(crate) fn need_text(&self, key: &str) -> Option<&'d str> {
        self.required(key, "a text", self.text(key))
    }

    /// A text of a certain form, described by `expected`.
    pub(crate) fn parsed<T>(
        &self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.read(key, expected, |value| value.as_str().and_then(parse))
    }

    /// The same, and it must be there.
    pub(crate) fn need_parsed<T>(
        &self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        self.required(key, expected, self.parsed(key, expected, parse))
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        self.read(key, "true or false", DeValue::as_bool)
    }

    /// A whole number of at least 0.
    pub(crate) fn count(&self, key: &str) -> Option<u32> {
        self.read(key, "a whole number from 0", |value| {
            let integer = value.as_integer()?;
            u32::from_str_radix(integer.as_str(), integer.radix()).ok()
        })
    }

    /// A list of texts of a certain form.
    pub(crate) fn list<T>(
        &self,
        key: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let array = self.read(key, "a list of texts", DeValue::as_array)?;
        let mut list = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str().and_then(&parse) {
                Some(value) => list.push(value),
                None => self.document.problem(
                    item.span().start,
                    &self.dotted(key),
                    expected,
                    &shown(item.get_ref()),
                ),
            }
        }
        Some(list)
    }

    /// The same, and it must be there.
    pub(crate) fn need_list<T>(
        &self,
        key: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.required(key, expected, self.list(key, expected, parse))
    }

    /// A table inside this one.
    pub(crate) fn table(&self, key: &str) -> Option<Self> {
        let value = self.find(key)?;
        let Some(table) = value.get_ref().as_table() else {
            self.problem(key, "a table", &shown(value.get_ref()));
            return None;
        };
        Some(Self::new(
            self.document,
            table,
            self.dotted(key),
            value.span().start,
        ))
    }

    /// The same, and it must be there.
    pub(crate) fn need_table(&self, key: &str) -> Option<Self> {
        self.required(key, "a table", self.table(key))
    }

    /// A list of tables (`[[key]]`); empty where it is missing.
    pub(crate) fn tables(&self, key: &str) -> Vec<Self> {
        let Some(array) = self.read(key, "a list of tables", DeValue::as_array) else {
            return Vec::new();
        };
        let mut list = Vec::new();
        for (index, item) in array.iter().enumerate() {
            let path = format!("{}[{index}]", self.dotted(key));
            match item.get_ref().as_table() {
                Some(table) => {
                    list.push(Self::new(self.document, table, path, item.span().start));
                }
                None => self.document.problem(
                    item.span().start,
                    &path,
                    "a table",
                    &shown(item.get_ref()),
                ),
            }
        }
        list
    }

    /// Every key of this table, in order.
    pub(crate) fn keys(&self) -> Vec<&'d str> {
        self.table
            .keys()
            .map(|key| key.get_ref().as_ref())
            .collect()
    }

    /// Ends the reading: keys that nobody asked for are problems.
    pub(crate) fn finish(self) {
        let asked = self.asked.borrow();
        for key in self.table.keys() {
            let name: &str = key.get_ref().as_ref();
            if !asked.contains(name) {
                let known = asked
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(", ");
                self.document.problem(
                    key.span().start,
                    &self.dotted(name),
                    &format!("one of {known}"),
                    "an unknown key",
                );
            }
        }
    }
}

/// What was found, for a person: rule and policy files hold no personal data.
fn shown(value: &DeValue<'_>) -> String {
    value
        .as_str()
        .map_or_else(|| value.type_str().to_owned(), |text| format!("`{text}`"))
}
