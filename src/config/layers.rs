//! Defaults, file and environment laid over each other, without forgetting where a value came from.
//!
//! The texts are numbered as if they lay end to end: a value's span then tells its text and line,
//! even after the tables were merged.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;

/// What kind of place a text came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The file that is compiled in.
    Defaults,
    /// The clinic's own file.
    File,
    /// An environment variable.
    Environment,
}

/// One text.
struct Layer {
    origin: Origin,
    name: String,
    text: String,
    start: usize,
}

/// The texts, the weakest first.
#[derive(Default)]
pub(super) struct Layers(Vec<Layer>);

/// A value that was taken out because it did not fit.
struct TakenOut {
    at: String,
    found: String,
}

impl Layers {
    /// Lays a text over those before.
    pub(super) fn add(&mut self, origin: Origin, name: &str, text: String) {
        // One byte apart, so that an empty text and the end of a text have places of their own.
        let start = self
            .0
            .last()
            .map_or(0, |last| last.start.saturating_add(last.text.len()) + 1);
        self.0.push(Layer {
            origin,
            name: name.to_owned(),
            text,
            start,
        });
    }

    fn layer(&self, span: &Range<usize>) -> Option<&Layer> {
        self.0.iter().rev().find(|layer| layer.start <= span.start)
    }

    /// The kind of place that a span lies in.
    pub(super) fn origin(&self, span: &Range<usize>) -> Origin {
        self.layer(span)
            .map_or(Origin::Defaults, |layer| layer.origin)
    }

    /// A path as meant: one written in a file starts at that file's folder, any other at the
    /// working directory.
    pub(super) fn path(&self, span: &Range<usize>, written: &str) -> PathBuf {
        match self.layer(span) {
            Some(Layer {
                origin: Origin::File,
                name,
                ..
            }) => Path::new(name)
                .parent()
                .unwrap_or(Path::new(""))
                .join(written),
            _ => PathBuf::from(written),
        }
    }

    /// A problem at a span.
    pub(super) fn problem(&self, span: &Range<usize>, at: &str, says: &str, next: &str) -> Problem {
        let layer = self.layer(span);
        let line = layer
            .filter(|layer| layer.origin != Origin::Environment)
            .map(|layer| {
                let upto = span.start.saturating_sub(layer.start);
                layer
                    .text
                    .bytes()
                    .take(upto)
                    .filter(|byte| *byte == b'\n')
                    .count()
                    + 1
            });
        Problem {
            file: layer.map_or_else(String::new, |layer| layer.name.clone()),
            line,
            at: at.to_owned(),
            says: says.to_owned(),
            next: next.to_owned(),
        }
    }

    /// Parses and merges the texts.
    fn merge(&self) -> (DeTable<'_>, Vec<Problem>) {
        let (mut whole, mut problems) = (DeTable::new(), Vec::new());
        for layer in &self.0 {
            let (table, errors) = DeTable::parse_recoverable(&layer.text);
            for error in errors {
                let span = error.span().unwrap_or_default();
                let span = shift(span, layer.start);
                let next = "correct the TOML syntax (https://toml.io)";
                problems.push(self.problem(&span, "", error.message(), next));
            }
            overlay(&mut whole, move_table(table.into_inner(), layer.start));
        }
        (whole, problems)
    }

    /// Reads the merged texts, with all problems and the keys that they took out.
    ///
    /// serde stops at the first value that does not fit; that value is taken out and the rest is
    /// read again, until nothing is left to complain about.
    pub(super) fn read<T: DeserializeOwned + Default>(&self) -> (T, Vec<Problem>, Vec<String>) {
        let (mut table, mut problems) = self.merge();
        let mut taken_out = Vec::new();
        if !problems.is_empty() {
            return (T::default(), problems, taken_out);
        }
        loop {
            let root = Spanned::new(0..0, table.clone());
            let error = match T::deserialize(toml::Deserializer::from(root)) {
                Ok(read) => return (read, problems, taken_out),
                Err(error) => error,
            };
            let span = error.span().unwrap_or_default();
            let Some(taken) = take_out(&mut table, &span) else {
                problems.push(self.problem(&span, "", &expected(error.message()), ""));
                return (T::default(), problems, taken_out);
            };
            let (says, next) = explain(error.message(), &taken.found);
            problems.push(self.problem(&span, &taken.at, &says, next));
            taken_out.push(taken.at);
        }
    }
}

/// What a serde message expected, without what it found: that could be a secret.
fn expected(message: &str) -> String {
    let what = message
        .rsplit_once("expected ")
        .map_or("another value", |(_found, what)| what);
    match what {
        "u8" | "u16" | "u32" | "u64" | "usize" => "expected a whole number of fitting size".into(),
        "a string" => "expected text in quotes".into(),
        "a boolean" => "expected true or false".into(),
        "a sequence" => "expected an array".into(),
        what if what.starts_with("struct ") => "expected a table".into(),
        what => format!("expected {what}"),
    }
}

fn explain(message: &str, found: &str) -> (String, &'static str) {
    if message.starts_with("unknown field") {
        let says = format!(
            "{}, found a key that careloop does not know",
            expected(message)
        );
        return (
            says,
            "correct or remove the key; `careloop config default` lists every key",
        );
    }
    let says = format!("{}, found {found}", expected(message));
    (
        says,
        "correct the value; `careloop config default` explains the key",
    )
}

fn shift(span: Range<usize>, by: usize) -> Range<usize> {
    span.start.saturating_add(by)..span.end.saturating_add(by)
}

fn move_table(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    let moved = |(key, value): (Spanned<_>, _)| {
        (
            Spanned::new(shift(key.span(), by), key.into_inner()),
            move_value(value, by),
        )
    };
    table.into_iter().map(moved).collect()
}

fn move_value(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = shift(value.span(), by);
    let moved = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(move_table(table, by)),
        DeValue::Array(array) => {
            DeValue::Array(array.into_iter().map(|item| move_value(item, by)).collect())
        }
        plain => plain,
    };
    Spanned::new(span, moved)
}

/// Lays a table over another: tables are merged key by key, everything else is replaced.
fn overlay<'a>(below: &mut DeTable<'a>, above: DeTable<'a>) {
    for (key, value) in above {
        let name: &str = key.get_ref();
        if value.get_ref().is_table()
            && let Some(kept) = below.get_mut(name)
            && let DeValue::Table(kept) = kept.get_mut()
        {
            if let DeValue::Table(table) = value.into_inner() {
                overlay(kept, table);
            }
            continue;
        }
        // Removed first: inserting over an equal key would keep the old key with its old place.
        below.remove(name);
        below.insert(key, value);
    }
}

fn covers(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end && !outer.is_empty()
}

/// Takes out the innermost entry that covers a span.
fn take_out(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<TakenOut> {
    let mut hit = None;
    for (key, value) in table.iter_mut() {
        let covered = covers(&key.span(), span) || covers(&value.span(), span);
        if let Some(taken) = take_out_below(key.get_ref(), value.get_mut(), span) {
            return Some(taken);
        }
        if covered {
            hit = Some(key.clone());
        }
    }
    let key = hit?;
    let value = table.remove(&key)?;
    Some(TakenOut {
        at: key.get_ref().to_string(),
        found: kind(value.get_ref(), span),
    })
}

fn take_out_below(key: &str, value: &mut DeValue<'_>, span: &Range<usize>) -> Option<TakenOut> {
    match value {
        DeValue::Table(table) => take_out(table, span).map(|taken| TakenOut {
            at: format!("{key}.{}", taken.at),
            ..taken
        }),
        DeValue::Array(array) => array.iter_mut().enumerate().find_map(|(index, item)| {
            take_out_below(&format!("{key}[{index}]"), item.get_mut(), span)
        }),
        _ => None,
    }
}

/// What was found, by its kind only.
fn kind(value: &DeValue<'_>, span: &Range<usize>) -> String {
    match value {
        DeValue::String(text) => format!("text of {} characters", text.chars().count()),
        DeValue::Integer(_) => "a whole number".into(),
        DeValue::Float(_) => "a number with a fraction".into(),
        DeValue::Boolean(_) => "true or false".into(),
        DeValue::Datetime(_) => "a date or time".into(),
        DeValue::Table(_) => "a table".into(),
        DeValue::Array(array) => array
            .iter()
            .find(|item| covers(&item.span(), span))
            .map_or_else(|| "an array".into(), |item| kind(item.get_ref(), span)),
    }
}
