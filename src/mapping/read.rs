//! Reading values of a tree with their types checked: every mistake becomes a diagnostic.

use super::diagnostic::Problems;
use super::tree::{Entry, Kind, Node, Place, Table};

impl Problems<'_> {
    /// Refuses keys that are not known here.
    pub(super) fn known_keys(&mut self, table: &Table, known: &[&str]) {
        for entry in table
            .entries
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()))
        {
            self.unknown("key", entry.at, &entry.key, known.iter().copied());
        }
    }

    /// Reports a name that is not among the known ones.
    pub(super) fn unknown<'k>(
        &mut self,
        what: &str,
        at: Place,
        name: &str,
        known: impl Iterator<Item = &'k str>,
    ) {
        let known: Vec<&str> = known.collect();
        let expected = match known.as_slice() {
            [] => format!("no {what} here"),
            names if names.len() <= 24 => format!("one of {}", names.join(", ")),
            names => format!("one of the {} that are known", names.len()),
        };
        self.report(
            at,
            format!("unknown {what} `{name}`"),
            expected,
            format!("`{name}`"),
        )
        .did_you_mean(name, known.into_iter());
    }

    /// Reports a value of the wrong type.
    pub(super) fn wrong(&mut self, what: &str, node: &Node, expected: &str) {
        let found = node.found();
        self.report(
            node.at,
            format!("{what}: wrong type of value"),
            expected,
            found,
        );
    }

    /// The text of a key; `None` when it is not there or not a text.
    pub(super) fn text<'t>(&mut self, table: &'t Table, key: &str) -> Option<&'t str> {
        self.text_entry(table, key).map(|(text, _)| text)
    }

    /// The text of a key with its place.
    pub(super) fn text_entry<'t>(
        &mut self,
        table: &'t Table,
        key: &str,
    ) -> Option<(&'t str, Place)> {
        let node = table.get(key)?;
        let text = self.as_text(key, node)?;
        Some((text, node.at))
    }

    /// The text of a value.
    pub(super) fn as_text<'t>(&mut self, what: &str, node: &'t Node) -> Option<&'t str> {
        let text = node.text();
        if text.is_none() {
            self.wrong(what, node, "a text in quotes");
        }
        text
    }

    /// The text of a key that must be there.
    pub(super) fn needed_text<'t>(
        &mut self,
        table: &'t Table,
        at: Place,
        key: &str,
    ) -> Option<&'t str> {
        if table.get(key).is_none() {
            self.report(
                at,
                format!("`{key}` is missing"),
                format!("`{key} = \"…\"`"),
                "none",
            );
        }
        self.text(table, key)
    }

    /// The flag of a key; `None` when it is not there or not a flag.
    pub(super) fn flag(&mut self, table: &Table, key: &str) -> Option<bool> {
        let node = table.get(key)?;
        match node.kind {
            Kind::Flag(flag) => Some(flag),
            _ => {
                self.wrong(key, node, "true or false");
                None
            }
        }
    }

    /// The table of a key; `None` when it is not there or not a table.
    pub(super) fn table<'t>(&mut self, table: &'t Table, key: &str) -> Option<&'t Table> {
        let node = table.get(key)?;
        self.as_table(key, node)
    }

    /// The table that a value is.
    pub(super) fn as_table<'t>(&mut self, what: &str, node: &'t Node) -> Option<&'t Table> {
        let found = node.table();
        if found.is_none() {
            self.wrong(what, node, "a table");
        }
        found
    }

    /// The items of a list; empty when it is not there or not a list.
    pub(super) fn list<'t>(&mut self, table: &'t Table, key: &str) -> &'t [Node] {
        match table.get(key) {
            None => &[],
            Some(Node {
                kind: Kind::List(items),
                ..
            }) => items,
            Some(node) => {
                self.wrong(key, node, "a list");
                &[]
            }
        }
    }

    /// The texts of a list, each with its place; a single text counts as a list of one.
    pub(super) fn texts<'t>(&mut self, table: &'t Table, key: &str) -> Vec<(&'t str, Place)> {
        if let Some(
            node @ Node {
                kind: Kind::Text(text),
                ..
            },
        ) = table.get(key)
        {
            return vec![(text, node.at)];
        }
        let items = self.list(table, key);
        items
            .iter()
            .filter_map(|item| Some((self.as_text(key, item)?, item.at)))
            .collect()
    }

    /// One of a closed list of words, with its meaning.
    pub(super) fn word<T: Copy>(
        &mut self,
        table: &Table,
        key: &str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let (text, at) = self.text_entry(table, key)?;
        let found = words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, meaning)| *meaning);
        if found.is_none() {
            self.unknown(
                &format!("value of `{key}`"),
                at,
                text,
                words.iter().map(|(word, _)| *word),
            );
        }
        found
    }

    /// Every entry of a table whose value is a table itself.
    pub(super) fn tables<'t>(&mut self, table: &'t Table) -> Vec<(&'t Entry, &'t Table)> {
        let entries = table.entries.iter();
        entries
            .filter_map(|entry| Some((entry, self.as_table(&entry.key, &entry.node)?)))
            .collect()
    }
}
