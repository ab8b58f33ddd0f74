//! Applying a plan to a message: pack, groups, blocks, rules.

mod condition;
mod convert;
mod draft;
mod here;
mod list;
mod objects;
mod resource;
mod segments;
mod value;

use std::cell::Cell;

use serde_json::Value;

use crate::crm::RESOURCE_ID;
use crate::failure::Code;
use crate::fhir::{Node, Release};
use crate::hl7::{Header, Message};
use crate::phi::Phi;

use super::outcome::{Context, Issue, Mapped, MappedChange, Outcome, Severity, TraceEntry};
use super::plan::{Block, Body, Case, Pack, Plan, Route, Rule};
use draft::Draft;
use here::Here;

/// The entity that everything else in a group is about.
const PERSON: &str = "Patient";

/// Reads a message by the plan.
pub(super) fn apply(
    plan: &Plan,
    message: &Message,
    header: &Header,
    context: &Context<'_>,
) -> Mapped {
    if header.message_code.is_empty() {
        return Mapped::untyped();
    }
    let route = plan.routes.get(&header.message_type());
    let route = route.or_else(|| plan.routes.get(&header.message_code));
    let Some(pack) = taken(plan, route) else {
        return left(route, "MSH-9");
    };
    let whole = message.scope();
    let parts = segments::Spot::parts(&whole, pack.per.as_deref());
    Run::new(plan, context).read(pack, parts.into_iter().map(Here::Hl7))
}

/// Reads a resource by the plan.
pub(super) fn apply_resource(
    plan: &Plan,
    resource: Node<'_>,
    release: Release,
    context: &Context<'_>,
) -> Mapped {
    let kind = resource.resource_type().unwrap_or_default();
    let route = plan.routes.get(&super::plan::resource_key(release, &kind));
    let Some(pack) = taken(plan, route) else {
        return left(route, "resourceType");
    };
    // What is of another form than its release gives it would be read as nothing.
    if let Some(error) = resource.check(release).first() {
        return Mapped::malformed(error.to_string());
    }
    if let Some(mark) = resource::changes_meaning(resource) {
        return Mapped::malformed(format!(
            "{mark}: expected none, found one that changes what is said"
        ));
    }
    let trouble = Cell::new(false);
    let whole = Here::Fhir(resource::Spot::of(resource, context.endpoint, &trouble));
    let mapped = Run::new(plan, context).read(pack, std::iter::once(whole));
    if trouble.get() {
        return Mapped::malformed(
            "resource: expected less of it, found more than paths look at".to_owned(),
        );
    }
    match several_people(&mapped.changes) {
        false => mapped,
        true => Mapped::malformed("resource: expected one person, found several".to_owned()),
    }
}

/// Whether a change names several people of one endpoint: learned together, they would be one from then on.
fn several_people(changes: &[MappedChange]) -> bool {
    let people = changes.iter().filter(|change| change.entity == PERSON);
    let mut ids: Vec<&Value> = people
        .filter_map(|change| change.values.open().get("identifiers")?.as_array())
        .flatten()
        .filter(|one| one.get("type").and_then(Value::as_str) == Some(RESOURCE_ID))
        .collect();
    ids.dedup();
    ids.len() > 1
}

/// The pack that takes it.
fn taken<'p>(plan: &'p Plan, route: Option<&Route>) -> Option<&'p Pack> {
    match route? {
        Route::Pack(number) => plan.packs.get(*number),
        Route::Ignore(_) => None,
    }
}

/// What no pack takes, with the reason.
fn left(route: Option<&Route>, place: &str) -> Mapped {
    match route {
        Some(Route::Ignore(reason)) => Mapped::ignored(Code::IgnoredByMapping, reason),
        Some(Route::Pack(_)) | None => Mapped::ignored(Code::NoMapping, place),
    }
}

/// One message being read.
struct Run<'a> {
    plan: &'a Plan,
    context: &'a Context<'a>,
    changes: Vec<MappedChange>,
    issues: Vec<Issue>,
    trace: Vec<TraceEntry>,
}

impl<'a> Run<'a> {
    const fn new(plan: &'a Plan, context: &'a Context<'a>) -> Self {
        Self {
            plan,
            context,
            changes: Vec::new(),
            issues: Vec::new(),
            trace: Vec::new(),
        }
    }

    fn finish(self, pack: &str) -> Mapped {
        let error = self
            .issues
            .iter()
            .find(|issue| issue.severity == Severity::Error);
        let outcome = match error {
            Some(issue) => Outcome::Held {
                code: issue.code,
                place: issue.at.clone(),
            },
            None if self.changes.is_empty() => Outcome::Ignored {
                code: Code::NothingToDo,
                place: pack.to_owned(),
            },
            None => Outcome::Mapped,
        };
        let Self {
            changes,
            issues,
            trace,
            ..
        } = self;
        Mapped {
            outcome,
            changes,
            issues,
            trace,
        }
    }

    fn read<'m>(mut self, pack: &Pack, parts: impl Iterator<Item = Here<'m>>) -> Mapped {
        for part in parts {
            let before = (self.changes.len(), self.issues.len());
            for block in &pack.blocks {
                self.block(block, &part);
            }
            self.nobody(pack, before);
        }
        self.finish(&pack.name)
    }

    /// What is about nobody cannot be kept: the issue stands where the person should have been.
    fn nobody(&mut self, pack: &Pack, (changes, issues): (usize, usize)) {
        let Some(person) = pack.blocks.iter().find(|block| block.entity == PERSON) else {
            return;
        };
        let Some(rule) = person.rules.iter().find(|rule| rule.needed) else {
            return;
        };
        let mut new = self.changes.iter().skip(changes).peekable();
        let about_nobody = new.peek().is_some() && new.all(|change| change.entity != PERSON);
        let told = self
            .issues
            .iter()
            .skip(issues)
            .any(|issue| issue.severity == Severity::Error);
        if about_nobody && !told {
            self.issues.push(Issue {
                code: Code::RequiredMissing,
                at: rule.place.clone(),
                rule: rule.address.to_string(),
                file: rule.line.file.to_string(),
                line: rule.line.line,
                severity: Severity::Error,
            });
        }
    }

    fn block(&mut self, block: &Block, part: &Here<'_>) {
        let places = match &block.each {
            None => vec![part.clone()],
            Some(each) => part.each(each),
        };
        for here in &places {
            let when = block.when.as_ref();
            if when.is_none_or(|when| self.holds(when, here)) {
                self.entity(block, here);
            }
        }
    }

    fn entity(&mut self, block: &Block, here: &Here<'_>) {
        let mut draft = Draft::new(self.changes.len());
        for rule in &block.rules {
            let applies = rule.when.as_ref().is_none_or(|when| self.holds(when, here));
            draft.applied.extend(applies.then_some(rule.id));
            let found = applies && self.rule(block, rule, here, &mut draft);
            if rule.gate && !found {
                return;
            }
        }
        if here.is_whole() {
            draft.clear_unsaid(block);
        }
        draft.settle(block);
        self.issues.append(&mut draft.issues);
        if !draft.values.is_empty() {
            self.trace.append(&mut draft.trace);
            self.changes.push(MappedChange {
                entity: block.entity,
                block: block.name.clone(),
                values: Phi::new(draft.values),
            });
        }
    }

    /// Runs one rule; whether it gave a value.
    fn rule(&self, block: &Block, rule: &Rule, here: &Here<'_>, draft: &mut Draft) -> bool {
        match &rule.body {
            Body::One(valuer) => {
                let found = self.value(valuer, here, rule, draft);
                draft.take(block, rule, found, None)
            }
            Body::Cases(cases) => {
                let mut cases = cases.iter();
                let Some(case) = cases.find(|case| self.applies(case, here)) else {
                    return false;
                };
                let found = self.value(&case.value, here, rule, draft);
                draft.take(block, rule, found, Some(case.number))
            }
            Body::All(cases) => {
                let mut any = false;
                for case in cases.iter().filter(|case| self.applies(case, here)) {
                    let found = self.value(&case.value, here, rule, draft);
                    any |= draft.take(block, rule, found, Some(case.number));
                }
                any
            }
            Body::Objects(objects) => self.objects(block, (rule, objects), here, draft),
        }
    }

    fn applies(&self, case: &Case, here: &Here<'_>) -> bool {
        let when = case.when.as_ref();
        when.is_none_or(|when| self.holds(when, here))
    }
}
