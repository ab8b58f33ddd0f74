//! A compiled bundle: everything resolved, so that applying it only reads and copies.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::fhir::{self, Release};
use crate::hl7::{Path, RelPath};

use super::knowledge::Knowledge;

/// What a resource of a release is routed by.
pub(super) fn resource_key(release: Release, kind: &str) -> String {
    format!("{release}/{kind}")
}

/// What takes a message type.
pub(super) enum Route {
    /// The pack of this number.
    Pack(usize),
    /// Nothing, with the reason.
    Ignore(String),
}

/// Everything that was compiled.
pub(super) struct Plan {
    pub(super) packs: Vec<Pack>,
    pub(super) knowledge: Knowledge,
    /// By `MSH-9.1^MSH-9.2`, `MSH-9.1`, or [`resource_key`].
    pub(super) routes: HashMap<String, Route>,
    pub(super) rules: Vec<RuleInfo>,
}

/// One mapping with what it uses and what was put on top.
pub(super) struct Pack {
    pub(super) name: String,
    /// The segment that starts a group, where the blocks run once for each.
    pub(super) per: Option<String>,
    /// Those about people first.
    pub(super) blocks: Vec<Block>,
}

/// What gives one entity.
pub(super) struct Block {
    pub(super) name: String,
    pub(super) entity: &'static str,
    pub(super) when: Option<Condition>,
    pub(super) each: Option<Each>,
    /// Gates first.
    pub(super) rules: Vec<Rule>,
}

/// What a block runs once for.
pub(super) enum Each {
    Segment(String),
    Group {
        anchors: Vec<String>,
        stop: Vec<String>,
        inside: Option<String>,
    },
    /// What a path of a resource leads to.
    Elements(Term),
}

/// What gives one field of an entity.
pub(super) struct Rule {
    /// Its place in [`Plan::rules`].
    pub(super) id: usize,
    pub(super) address: Arc<str>,
    pub(super) field: &'static str,
    pub(super) when: Option<Condition>,
    /// Something must come out where `when` holds.
    pub(super) required: bool,
    /// Something must come out in any case: the model needs it.
    pub(super) needed: bool,
    /// Without a value the whole entity is left out in silence.
    pub(super) gate: bool,
    /// Whether the model knows "delete" for this field.
    pub(super) clearable: bool,
    /// What it asks for, for an issue about nothing found.
    pub(super) place: String,
    pub(super) line: Line,
    pub(super) body: Body,
}

/// The line that decided.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) file: Arc<str>,
    pub(super) line: u32,
}

/// How a rule gets its value.
pub(super) enum Body {
    One(Valuer),
    /// The first case that holds.
    Cases(Vec<Case>),
    /// Every case that holds, for a list of texts.
    All(Vec<Case>),
    Objects(Objects),
}

/// A value with the condition under which it counts.
pub(super) struct Case {
    /// Its place in the file, from 0; those of other releases are counted, too.
    pub(super) number: usize,
    pub(super) when: Option<Condition>,
    pub(super) value: Valuer,
}

/// A list of objects.
pub(super) struct Objects {
    pub(super) each: Elements,
    pub(super) filter: Option<Condition>,
    pub(super) fields: Vec<ObjectField>,
    /// Fields of which one must have a value, or the object is left out in silence.
    pub(super) skip_if_blank: Vec<&'static str>,
    /// Fields without which the model cannot read the object.
    pub(super) needed: Vec<&'static str>,
    pub(super) on_null: OnNull,
}

/// What an object is made for.
pub(super) enum Elements {
    /// Repetitions: all of the sum, of each the first alternative that is valued.
    Repetitions(Vec<Vec<Path>>),
    Segment(String),
    /// What a path of a resource leads to.
    Parts(Term),
}

/// A field of an object.
pub(super) struct ObjectField {
    pub(super) name: &'static str,
    pub(super) cases: Vec<Case>,
    /// The number of its first case among all cases of the rule, where it has several.
    pub(super) first_case: Option<usize>,
}

/// One value.
pub(super) struct Valuer {
    pub(super) source: Source,
    pub(super) convert: Convert,
    pub(super) lookup: Option<Lookup>,
    pub(super) default: Option<Value>,
    pub(super) on_null: OnNull,
    pub(super) on_bad: OnBad,
    pub(super) shape: Shape,
    pub(super) line: Line,
}

/// Where a value comes from.
pub(super) enum Source {
    Constant(Value),
    Paths(Vec<Term>),
    List {
        items: Vec<Vec<Term>>,
        split: Option<String>,
    },
    Join {
        items: Vec<Vec<Term>>,
        with: String,
    },
    MinutesAfter(Box<MinutesAfter>),
    Reference {
        parts: Vec<Vec<Term>>,
        /// Who gave the number, where the sender says so.
        assigner: Vec<Term>,
        hashed: Vec<Vec<Term>>,
    },
    Concept {
        coded: Vec<Term>,
        system: Vec<Term>,
        among: Vec<usize>,
    },
}

/// A start and a length that give an end.
pub(super) struct MinutesAfter {
    pub(super) start: Vec<Term>,
    pub(super) amount: Vec<Term>,
    pub(super) unit: Vec<Term>,
    pub(super) unit_missing: Unit,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Minutes,
    Hours,
    Days,
}

/// What is done with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Convert {
    AsIs,
    Upper,
    Lower,
    Phone,
    Email,
    Date,
    Instant,
    Flag,
    FhirDate,
    FhirInstant,
    FhirReference,
}

/// What JSON form the value takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Flag,
    Texts,
}

/// A table and what happens to codes that it lacks.
#[derive(Clone, Copy)]
pub(super) struct Lookup {
    pub(super) table: usize,
    pub(super) unmapped: Unmapped,
}

/// What happens to a code that a table lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unmapped {
    Hold,
    Pass,
    Null,
    Ignore,
    Default,
}

/// What `""` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnNull {
    Clear,
    Ignore,
}

/// What a value of the wrong form does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnBad {
    Hold,
    Ignore,
}

/// A place where a value can be.
#[derive(Clone)]
pub(super) enum Term {
    Path(Path),
    /// Inside the element of a list.
    Relative(RelPath),
    /// From a resource.
    Fhir(Arc<fhir::Path>),
    /// From the element of a list in a resource.
    Part(Arc<fhir::Path>),
    /// `Type/id` of the resource itself.
    Own,
    /// The base address of the endpoint, which gives ids their meaning.
    Endpoint,
}

/// A condition, resolved.
pub(super) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Present(String),
    Test(Vec<Term>, Test),
}

/// What is asked of a value.
pub(super) enum Test {
    Valued,
    Absent,
    Null,
    In(Vec<String>),
    InTable(usize),
    InConcept(usize),
}

/// A rule for lists and counts: where it is written and what set each of its keys.
#[derive(Clone, Debug)]
pub struct RuleInfo {
    /// The mapping.
    pub mapping: String,
    /// Such as `appointment.status`.
    pub address: String,
    /// The file that defined it first.
    pub file: String,
    /// The line there.
    pub line: u32,
    /// The last layer that changed it.
    pub layer: Option<String>,
    /// Every key with who set it.
    pub keys: Vec<RuleKey>,
    /// What its `cases` are called, also those of its fields; empty without cases.
    pub cases: Vec<String>,
}

/// A key of a rule as it holds after all layers.
#[derive(Clone, Debug)]
pub struct RuleKey {
    /// The key.
    pub key: String,
    /// The value as written.
    pub text: String,
    /// The file that set it.
    pub file: String,
    /// The line there.
    pub line: u32,
}
