//! From texts to a checked configuration: defaults, then the file, then the environment.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use super::Config;
use super::file::{File, Maybe};
use super::layers::{Layers, Origin};
use super::problem::Problem;
use super::words::{Lasting, Size};
use super::{alerts, endpoint, parties, secret, settings, sources, telemetry};

/// The defaults and the manual, printed by `careloop config default`.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// How the environment variables that set keys begin.
const PREFIX: &str = "CARELOOP__";

/// More than any configuration needs.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Environment variables by name.
pub type Environment = BTreeMap<String, String>;

/// One variable of this process.
#[expect(
    clippy::disallowed_methods,
    reason = "the configuration reads the environment"
)]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Config {
    /// Loads the configuration from the defaults, a file, and the environment of this process.
    ///
    /// All problems are reported at once.
    pub fn load(path: Option<&Path>) -> Result<Self, Vec<Problem>> {
        let file = match path {
            Some(path) => {
                let bytes = secret::read(path, LARGEST).map_err(|problem| vec![problem])?;
                let text = String::from_utf8(bytes).map_err(|_bytes| vec![not_text(path)])?;
                Some((path.display().to_string(), text))
            }
            None => None,
        };
        // Not `std::env::vars`, which panics on a variable that is not UTF-8.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let file = file
            .as_ref()
            .map(|(name, text)| (name.as_str(), text.as_str()));
        Self::from_texts(file, &environment)
    }

    /// Loads the configuration from a file's name and text, and a given environment.
    pub fn from_texts(
        file: Option<(&str, &str)>,
        environment: &Environment,
    ) -> Result<Self, Vec<Problem>> {
        let mut layers = Layers::default();
        layers.add(Origin::Defaults, "built-in defaults", DEFAULTS.to_owned());
        if let Some((name, text)) = file {
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            layers.add(Origin::File, name, text.to_owned());
        }
        for (name, value) in environment {
            if let Some(keys) = name.strip_prefix(PREFIX) {
                layers.add(Origin::Environment, name, as_toml(keys, value));
            }
        }
        let (written, problems, taken_out) = layers.read::<File>();
        if !problems.is_empty() && taken_out.is_empty() {
            return Err(problems); // The syntax is broken: nothing was read.
        }
        let mut check = Check {
            layers: &layers,
            environment,
            problems,
            taken_out,
        };
        let config = assemble(&mut check, &written);
        let mut problems = check.problems;
        problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(problems)
        }
    }
}

fn not_text(path: &Path) -> Problem {
    Problem {
        file: path.display().to_string(),
        line: None,
        at: String::new(),
        says: "expected UTF-8 text, found other bytes".into(),
        next: "save the file as UTF-8".into(),
    }
}

/// `SECTION__KEY` and a value as a line of TOML. What is no TOML value by itself is text.
fn as_toml(keys: &str, value: &str) -> String {
    let key = keys.to_ascii_lowercase().replace("__", ".");
    let plain = format!("value = {value}");
    let is_value = plain
        .parse::<toml::Table>()
        .is_ok_and(|table| table.len() == 1);
    let quoted = || toml::Value::String(value.to_owned()).to_string();
    let value = if is_value { value.to_owned() } else { quoted() };
    format!("{key} = {value}")
}

fn assemble(check: &mut Check<'_>, written: &File) -> Config {
    let http = settings::http(check, &written.http);
    let mllp = settings::mllp(check, &written.mllp);
    let pace = settings::pace(check, &written.pace);
    let broker = settings::broker(check, &written.broker, pace.publishing);
    let tenants = parties::tenants(check, written);
    sources::ports(check, written);
    endpoint::reachable(check, written, &http);
    Config {
        store: settings::store(check, &written.store),
        root_key: settings::root_key(check, &written.keys),
        broker,
        spool: settings::spool(check, &written.spool),
        http,
        mllp,
        pace,
        tenants,
        raw_messages: settings::raw_messages(check, &written.retention),
        grace: settings::grace(check, &written.grace),
        alerts: alerts::alerts(check, &written.alerts),
        log: settings::log(check, &written.log),
        telemetry: telemetry::telemetry(check, &written.telemetry),
        public_url: settings::public_url(check, written.public_url.as_ref()),
    }
}

/// Where something is: its span and its path of keys.
#[derive(Clone)]
pub(super) struct Place {
    /// The span among all texts.
    pub(super) span: Range<usize>,
    /// The path of keys.
    pub(super) at: String,
}

impl Place {
    /// The place of a value.
    pub(super) fn of<T>(at: &str, value: &Spanned<T>) -> Self {
        Self {
            span: value.span(),
            at: at.to_owned(),
        }
    }

    /// The place of a value below this one.
    pub(super) fn key<T>(&self, key: &str, value: &Spanned<T>) -> Self {
        Self {
            span: value.span(),
            at: format!("{}.{key}", self.at),
        }
    }
}

/// The checks under way, with what they found.
pub(super) struct Check<'a> {
    /// The texts.
    pub(super) layers: &'a Layers,
    environment: &'a Environment,
    problems: Vec<Problem>,
    taken_out: Vec<String>,
}

impl Check<'_> {
    /// Reports a problem.
    pub(super) fn report(&mut self, place: &Place, says: &str, next: &str) {
        self.problems
            .push(self.layers.problem(&place.span, &place.at, says, next));
    }

    /// Whether a key was there, but not readable, and is reported already.
    pub(super) fn is_taken_out(&self, at: &str) -> bool {
        self.taken_out.iter().any(|taken| taken.starts_with(at))
    }

    /// Whether anything was found yet.
    pub(super) fn has_found(&self) -> bool {
        !self.problems.is_empty()
    }

    /// A value that must be there.
    pub(super) fn need<'w, T>(
        &mut self,
        place: &Place,
        key: &str,
        value: &'w Maybe<T>,
    ) -> Option<&'w Spanned<T>> {
        let at = format!("{}.{key}", place.at);
        if value.is_none() && !self.is_taken_out(&at) {
            let place = Place {
                span: place.span.clone(),
                at,
            };
            self.report(&place, "expected a value, found none", "add the key");
        }
        value.as_ref()
    }

    /// A key that has a default, so that only an unreadable one is missing.
    fn setting<'w, T>(
        &mut self,
        at: &str,
        value: Option<&'w Spanned<T>>,
    ) -> Option<&'w Spanned<T>> {
        if value.is_none() && !self.is_taken_out(at) {
            let place = Place {
                span: 0..0,
                at: at.to_owned(),
            };
            self.report(
                &place,
                "expected a default, found none",
                "report this as a bug",
            );
        }
        value
    }

    /// A duration within bounds.
    pub(super) fn lasting(
        &mut self,
        at: &str,
        value: Option<&Spanned<Lasting>>,
        within: RangeInclusive<u64>,
    ) -> Duration {
        let Some(written) = self.setting(at, value) else {
            return Duration::ZERO;
        };
        let lasting = written.get_ref().0;
        let (least, most) = (
            Duration::from_millis(*within.start()),
            Duration::from_millis(*within.end()),
        );
        if lasting < least || lasting > most {
            let says = format!("expected {least:?} to {most:?}, found {lasting:?}");
            self.report(
                &Place::of(at, written),
                &says,
                "choose a value within these bounds",
            );
        }
        lasting
    }

    /// A count within bounds.
    pub(super) fn count(
        &mut self,
        at: &str,
        value: Option<&Spanned<u32>>,
        within: RangeInclusive<u32>,
    ) -> u32 {
        let Some(written) = self.setting(at, value) else {
            return 0;
        };
        let count = *written.get_ref();
        if !within.contains(&count) {
            let says = format!(
                "expected {} to {}, found {count}",
                within.start(),
                within.end()
            );
            self.report(
                &Place::of(at, written),
                &says,
                "choose a value within these bounds",
            );
        }
        count
    }

    /// A size within bounds.
    pub(super) fn size(
        &mut self,
        at: &str,
        value: Option<&Spanned<Size>>,
        within: RangeInclusive<usize>,
    ) -> usize {
        let Some(written) = self.setting(at, value) else {
            return 0;
        };
        let size = written.get_ref().0;
        if !within.contains(&size) {
            let (least, most) = (within.start(), within.end());
            let says = format!("expected {least} to {most} bytes, found {size}");
            self.report(
                &Place::of(at, written),
                &says,
                "choose a value within these bounds",
            );
        }
        size
    }

    /// An address that may hold a password: as it is, or read from where it is said to be.
    pub(super) fn address(&mut self, at: &str, value: &Spanned<String>) -> Option<String> {
        let (place, text) = (Place::of(at, value), value.get_ref());
        let Some(source) = super::words::key_source(text) else {
            let inline = super::address::Url::read(text).is_some_and(|url| url.has_password);
            if inline && self.layers.origin(&place.span) != Origin::Environment {
                let says = "expected an address without a password, found one with a password";
                let variable = format!("{PREFIX}{}", at.to_ascii_uppercase().replace('.', "__"));
                let next = format!(
                    "put the whole address into a file of mode 600 and write \"file:PATH\", or \
                     write \"env:NAME\", or leave the key out and set {variable}"
                );
                self.report(&place, says, &next);
                return None;
            }
            return Some(text.clone());
        };
        let source = self.beside(&place, source);
        let variable = |name: &str| self.environment.get(name).cloned();
        match secret::secret_line(&source, &variable) {
            Ok(address) => Some(address),
            Err(problem) => {
                let says = format!("{}: {}", problem.file, problem.says);
                self.report(&place, &says, &problem.next);
                None
            }
        }
    }

    /// A source whose path, if it has one, starts where it was written.
    pub(super) fn beside(&self, place: &Place, source: super::KeySource) -> super::KeySource {
        match source {
            super::KeySource::File(path) => {
                super::KeySource::File(self.layers.path(&place.span, &path.to_string_lossy()))
            }
            other => other,
        }
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
