//! FHIRPath (N1), the part that mappings need: typed, checked against a release, bounded.
//!
//! A path is compiled for a release and the types that it starts at, so a member that no such type
//! has, a comparison of a number with a text, or one of several values with one is an error with its
//! place in the path, before any resource is read. What is compiled means what FHIRPath says.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::Release;
use super::definitions::{self, TypeId};
use super::node::Node;
use crate::nearest::closest;

mod check;
mod evaluate;
mod functions;
mod item;
mod lex;
mod parse;
mod plan;
mod refused;
mod syntax;

pub use item::Item;

use plan::Plan;

/// The longest path, in bytes.
const MAX_PATH_BYTES: usize = 2_000;

/// The most members, calls, operators and literals of a path.
const MAX_TERMS: usize = 200;

/// How deep brackets of a path may lie in each other.
const MAX_NESTING: usize = 16;

/// The most values that one evaluation looks at.
const MAX_STEPS: u32 = 100_000;

/// The longest text that a function of a path makes, in bytes: 1 MiB.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// What is wrong with a path: where, what would have been right, what stands there, what to write.
///
/// Paths are written by engineers and hold no data of people, so it may quote them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {}: expected {expected}, found {found}{}", span.start + 1, Hint(hint))]
pub struct PathError {
    /// The bytes of the path that are meant.
    pub span: Range<usize>,
    /// What would have been right.
    pub expected: String,
    /// What was there.
    pub found: String,
    /// What to write instead, or what was probably meant.
    pub hint: Option<String>,
}

struct Hint<'h>(&'h Option<String>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl PathError {
    fn new(span: Range<usize>, expected: impl Into<String>, found: impl Into<String>) -> PathError {
        PathError {
            span,
            expected: expected.into(),
            found: found.into(),
            hint: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> PathError {
        self.hint = Some(hint.into());
        self
    }

    /// The same with "did you mean", where one of `known` is close to `found`.
    fn did_you_mean<'k>(self, found: &str, known: impl Iterator<Item = &'k str>) -> PathError {
        match closest(found, known) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

/// Why a path could not be evaluated on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// It looks at more than is allowed.
    #[error("expected at most 100,000 steps, found more; ask for less of the resource")]
    Steps,
    /// A function would make a text that is too long.
    #[error("expected a text of at most 1 MiB, found a longer one")]
    Text,
    /// The resource has several values where its release has one: [`Node::check`] says where.
    #[error("expected one value, found several; the resource is not of the form of its release")]
    Several,
}

/// What a path starts at: the types that it may be of, in a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    release: Release,
    types: Vec<TypeId>,
}

impl Scope {
    /// Resources of these types, such as `Patient`.
    ///
    /// # Errors
    /// [`PathError`] for a type that the release, as far as it is known here, does not have.
    pub fn resources(release: Release, names: &[&str]) -> Result<Scope, PathError> {
        let all = definitions::get();
        let known = |name: &&str| {
            all.resource(name, release).ok_or_else(|| {
                let error = PathError::new(
                    0..0,
                    format!("a resource of {release}"),
                    format!("`{name}`"),
                );
                error.did_you_mean(name, all.resource_names(release))
            })
        };
        let types = names.iter().map(known).collect::<Result<_, _>>()?;
        Ok(Scope { release, types })
    }
}

/// A compiled path.
#[derive(Clone, PartialEq)]
pub struct Path {
    text: String,
    from: Scope,
    plan: Plan,
    to: Vec<TypeId>,
    many: bool,
}

impl Path {
    /// Compiles a path that starts at `scope`.
    ///
    /// # Errors
    /// [`PathError`]: what is not in the subset, is no element of the release, or compares what
    /// cannot be compared.
    pub fn compile(text: &str, scope: &Scope) -> Result<Path, PathError> {
        let syntax = parse::parse(text)?;
        let (plan, shape) = check::check(&syntax, scope)?;
        Ok(Path {
            text: text.to_owned(),
            from: scope.clone(),
            plan,
            to: shape.types,
            many: shape.many,
        })
    }

    /// What it was compiled from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it may lead to several values.
    #[must_use]
    pub fn is_many(&self) -> bool {
        self.many
    }

    /// Whether it leads to nothing but primitive values, which have a text.
    #[must_use]
    pub fn is_primitive(&self) -> bool {
        let all = definitions::get();
        self.to.iter().all(|id| all.primitive(*id).is_some())
    }

    /// The names of the types of what it leads to.
    pub fn types(&self) -> impl Iterator<Item = &'static str> {
        self.to.iter().map(|id| definitions::get().name(*id))
    }

    /// Whether it answers yes or no and so can be a condition.
    #[must_use]
    pub fn is_condition(&self) -> bool {
        !self.many && self.types().eq(["boolean"])
    }

    /// What a path that starts at each of its values is compiled for.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope {
            release: self.from.release,
            types: self.to.clone(),
        }
    }

    /// What it leads to in a resource, in the order of the text; nothing where the resource is of
    /// another type than it was compiled for.
    ///
    /// # Errors
    /// [`EvaluateError`]
    pub fn evaluate<'d>(&self, resource: Node<'d>) -> Result<Vec<Item<'d>>, EvaluateError> {
        let name = resource.resource_type().unwrap_or_default();
        let kind = definitions::get().resource(&name, self.from.release);
        match kind.filter(|kind| self.from.types.contains(kind)) {
            Some(kind) => self.evaluate_from(&Item::of_node(resource, kind)),
            None => Ok(Vec::new()),
        }
    }

    /// What it leads to from a value of the path whose [`Path::scope`] it was compiled for.
    ///
    /// # Errors
    /// [`EvaluateError`]
    pub fn evaluate_from<'d>(&self, item: &Item<'d>) -> Result<Vec<Item<'d>>, EvaluateError> {
        evaluate::evaluate(&self.plan, item)
    }

    /// Whether a condition holds for a resource; nothing known is no.
    ///
    /// # Errors
    /// [`EvaluateError`]
    pub fn holds(&self, resource: Node<'_>) -> Result<bool, EvaluateError> {
        Ok(is_true(&self.evaluate(resource)?))
    }

    /// Whether a condition holds for a value of the path whose [`Path::scope`] it was compiled for.
    ///
    /// # Errors
    /// [`EvaluateError`]
    pub fn holds_from(&self, item: &Item<'_>) -> Result<bool, EvaluateError> {
        Ok(is_true(&self.evaluate_from(item)?))
    }

    /// The text of the first value that has one.
    ///
    /// # Errors
    /// [`EvaluateError`]
    pub fn first_text<'d>(
        &self,
        resource: Node<'d>,
    ) -> Result<Option<Cow<'d, str>>, EvaluateError> {
        Ok(self.evaluate(resource)?.iter().find_map(Item::text))
    }
}

fn is_true(items: &[Item<'_>]) -> bool {
    items.first().and_then(Item::boolean) == Some(true)
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({})", self.text)
    }
}

#[cfg(test)]
mod tests;
