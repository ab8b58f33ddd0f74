//! Mappings: declarative TOML files that turn an HL7 v2 message or a FHIR resource into changes of the
//! thin model.
//!
//! ```text
//! files ─▶ tree ─▶ layers ─▶ compile ─▶ plan ─▶ apply ─▶ changes, issues, trace
//!  load    places    base      names,     only     message     outcome
//!  embedded          site      types      reads
//! ```
//!
//! Files are refused before they run, with every problem at once ([`Diagnostic`]). At run time a
//! mapping gives values *and* issues: a required value that is missing is an issue, never a silent
//! default. Whatever a compiled bundle gives as [`Outcome::Mapped`] is accepted by
//! [`crate::crm::Change::read`]. The language is described in `mappings/README.md`.

mod apply;
mod compile;
mod diagnostic;
mod embedded;
pub mod examples;
mod knowledge;
mod layers;
mod load;
mod outcome;
mod plan;
mod read;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeSet;
use std::path::Path;

use aws_lc_rs::digest;

use crate::fhir::{Node, Release};
use crate::hl7::{Header, Message};

pub use diagnostic::Diagnostic;
pub use load::{Files, Layer};
pub use outcome::{Context, Issue, Mapped, MappedChange, Origin, Outcome, Severity, TraceEntry};
pub use plan::{RuleInfo, RuleKey};

use plan::{Plan, Route};
use tree::Sources;

/// Folders of the mappings that this module reads; the others have readers of their own.
const FOLDERS: &[&str] = &["hl7v2/", "fhir/", "tables/", "concepts/"];

/// Mappings, tables and concepts with the layers on top, compiled.
pub struct Bundle {
    plan: Plan,
    digest: String,
}

impl Bundle {
    /// Reads and compiles the mappings of a folder.
    ///
    /// # Errors
    /// Every problem of every file, at once.
    pub fn load(dir: &Path, layers: &[Layer]) -> Result<Self, Vec<Diagnostic>> {
        Self::compile(&Files::read(dir)?, layers)
    }

    /// Compiles the mappings that are part of the program.
    ///
    /// # Errors
    /// Every problem of every layer, at once.
    pub fn embedded(layers: &[Layer]) -> Result<Self, Vec<Diagnostic>> {
        Self::compile(&embedded::files(), layers)
    }

    /// Compiles mappings that are in memory.
    ///
    /// # Errors
    /// Every problem of every file, at once.
    pub fn compile(files: &Files, layers: &[Layer]) -> Result<Self, Vec<Diagnostic>> {
        let mut sources = Sources::default();
        for (name, text) in files.iter().filter(|(name, _)| is_mapping(name)) {
            sources.add(name, text);
        }
        let first_layer = sources.iter().count();
        let mut problems = Vec::new();
        for layer in layers {
            match layer.resolve(files) {
                Ok((name, text)) => {
                    sources.add(&name, &text);
                }
                Err(diagnostic) => problems.push(*diagnostic),
            }
        }
        match compile::compile(&sources, first_layer) {
            Ok(plan) if problems.is_empty() => Ok(Self {
                plan,
                digest: digest_of(&sources),
            }),
            Ok(_) => Err(problems),
            Err(more) => {
                problems.extend(more);
                Err(problems)
            }
        }
    }

    /// What the message says. `context.zone` is the zone of the source.
    pub fn apply(&self, message: &Message, header: &Header, context: &Context<'_>) -> Mapped {
        apply::apply(&self.plan, message, header, context)
    }

    /// What a resource of a release says. `context.zone` is the zone of the source.
    pub fn apply_resource(
        &self,
        resource: Node<'_>,
        release: Release,
        context: &Context<'_>,
    ) -> Mapped {
        apply::apply_resource(&self.plan, resource, release, context)
    }

    /// SHA-256 over the names and texts of every file and layer, in hex: which mappings were in
    /// force when something was read.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Every rule as it holds after all layers.
    pub fn rules(&self) -> impl Iterator<Item = &RuleInfo> {
        self.plan.rules.iter()
    }

    /// The name of the mapping that takes a message with this header.
    pub fn mapping_of(&self, header: &Header) -> Option<&str> {
        let routes = &self.plan.routes;
        let route = routes
            .get(&header.message_type())
            .or_else(|| routes.get(&header.message_code));
        self.name_of(route?)
    }

    /// The name of the mapping that takes a resource of this type.
    pub fn mapping_of_resource(&self, kind: &str, release: Release) -> Option<&str> {
        let key = plan::resource_key(release, kind);
        self.name_of(self.plan.routes.get(&key)?)
    }

    fn name_of(&self, route: &Route) -> Option<&str> {
        match route {
            Route::Pack(number) => self.plan.packs.get(*number).map(|pack| pack.name.as_str()),
            Route::Ignore(_) => None,
        }
    }

    /// The names of all mappings, each once: one of FHIR is compiled for each release.
    pub fn mappings(&self) -> impl Iterator<Item = &str> {
        let names: BTreeSet<&str> = self
            .plan
            .packs
            .iter()
            .map(|pack| pack.name.as_str())
            .collect();
        names.into_iter()
    }
}

fn is_mapping(name: &str) -> bool {
    FOLDERS.iter().any(|folder| name.starts_with(folder)) && !name.contains(".examples/")
}

fn digest_of(sources: &Sources) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    for (name, text) in sources.iter() {
        for part in [name, text] {
            hash.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    hash.finish()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
