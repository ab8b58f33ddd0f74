//! Carries a compiled path out on a resource, counting its steps.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::super::definitions::{self, TypeId};
use super::super::node::Node;
use super::functions::TextFunction;
use super::item::{Item, Value};
use super::plan::{Constant, Plan, Slot};
use super::syntax::Comparison;
use super::{EvaluateError, MAX_STEPS};

type Items<'d> = Vec<Item<'d>>;
type Evaluated<'d> = Result<Items<'d>, EvaluateError>;

/// What the plan leads to from a start.
pub(super) fn evaluate<'d>(plan: &Plan, start: &Item<'d>) -> Evaluated<'d> {
    let mut evaluation = Evaluation { left: MAX_STEPS };
    evaluation.items(plan, start)
}

struct Evaluation {
    left: u32,
}

impl Evaluation {
    fn items<'d>(&mut self, plan: &Plan, start: &Item<'d>) -> Evaluated<'d> {
        self.step()?;
        match plan {
            Plan::Start => Ok(vec![start.clone()]),
            Plan::Constant(constant, kind) => Ok(vec![constant_item(constant, *kind)]),
            Plan::Member { of, slots, name } => {
                let of = self.items(of, start)?;
                self.members(&of, slots, name)
            }
            Plan::Index { of, number } => {
                let found = self.items(of, start)?.into_iter().nth(*number);
                Ok(found.into_iter().collect())
            }
            Plan::Last(of) => Ok(self.items(of, start)?.pop().into_iter().collect()),
            Plan::Where { of, criteria } => {
                let of = self.items(of, start)?;
                self.kept(of, criteria)
            }
            Plan::OfType { of, kind } => {
                let of = self.items(of, start)?.into_iter();
                Ok(of.filter_map(|item| of_type(item, *kind)).collect())
            }
            Plan::Extension { of, url, kind } => {
                let of = self.items(of, start)?;
                self.extensions(&of, url, *kind)
            }
            Plan::Union(left, right) => self.union(left, right, start),
            Plan::Text { of, function } => {
                let made = match self.one(of, start)? {
                    Some(item) => made_text(&item, function)?,
                    None => None,
                };
                Ok(made.into_iter().collect())
            }
            Plan::Exists(_) | Plan::Not(_) | Plan::Compare { .. } | Plan::Logic { .. } => {
                let truth = self.truth(plan, start)?;
                let item = truth.map(|truth| Item::made(Value::Boolean(truth), TypeId::BOOLEAN));
                Ok(item.into_iter().collect())
            }
        }
    }

    /// A condition: yes, no, or not known.
    fn truth(&mut self, plan: &Plan, start: &Item<'_>) -> Result<Option<bool>, EvaluateError> {
        match plan {
            Plan::Exists(of) => Ok(Some(!self.items(of, start)?.is_empty())),
            Plan::Not(of) => Ok(self.truth(of, start)?.map(|truth| !truth)),
            Plan::Logic {
                is_and,
                left,
                right,
            } => {
                let left = self.truth(left, start)?;
                // What decides alone: a no of `and`, a yes of `or`.
                if left == Some(!is_and) {
                    return Ok(left);
                }
                let right = self.truth(right, start)?;
                Ok(if right == Some(!is_and) {
                    right
                } else {
                    left.and(right)
                })
            }
            Plan::Compare {
                comparison,
                left,
                right,
            } => {
                let (Some(left), Some(right)) = (self.one(left, start)?, self.one(right, start)?)
                else {
                    return Ok(None);
                };
                Ok(left.compare(&right).map(|order| holds(*comparison, order)))
            }
            other => Ok(self.one(other, start)?.and_then(|item| item.boolean())),
        }
    }

    /// The one value that the release allows there.
    fn one<'d>(
        &mut self,
        plan: &Plan,
        start: &Item<'d>,
    ) -> Result<Option<Item<'d>>, EvaluateError> {
        let mut items = self.items(plan, start)?;
        if items.len() > 1 {
            return Err(EvaluateError::Several);
        }
        Ok(items.pop())
    }

    fn members<'d>(&mut self, of: &Items<'d>, slots: &[Slot], name: &str) -> Evaluated<'d> {
        let mut found = Vec::new();
        for item in of {
            self.step()?;
            let slot = slots.iter().find(|slot| slot.of == item.kind);
            let (Some(slot), Some(node)) = (slot, item.node()) else {
                continue;
            };
            if slot.element.is_choice() {
                // One pass finds out that there is none, as there often is.
                if !node.has(|one| one.starts_with(name)) {
                    continue;
                }
                for (variant, kind) in slot.element.variants.iter().zip(&slot.element.types) {
                    self.take(&mut found, node.members(variant), *kind)?;
                }
            } else if let Some(kind) = slot.element.types.first() {
                self.take(&mut found, node.members(name), *kind)?;
            }
        }
        Ok(found)
    }

    fn take<'d>(
        &mut self,
        found: &mut Items<'d>,
        nodes: impl Iterator<Item = Node<'d>>,
        kind: TypeId,
    ) -> Result<(), EvaluateError> {
        for node in nodes {
            self.step()?;
            found.push(Item::of_node(node, kind));
        }
        Ok(())
    }

    fn kept<'d>(&mut self, of: Items<'d>, criteria: &Plan) -> Evaluated<'d> {
        let mut kept = Vec::new();
        for item in of {
            if self.truth(criteria, &item)? == Some(true) {
                kept.push(item);
            }
        }
        Ok(kept)
    }

    fn extensions<'d>(&mut self, of: &Items<'d>, url: &str, kind: TypeId) -> Evaluated<'d> {
        let mut found = Vec::new();
        for item in of {
            self.step()?;
            if let Some(node) = item.node() {
                self.take(&mut found, node.extensions(url), kind)?;
            }
        }
        Ok(found)
    }

    /// Both lists, each value once (N1, 5.5).
    fn union<'d>(&mut self, left: &Plan, right: &Plan, start: &Item<'d>) -> Evaluated<'d> {
        let mut both = self.items(left, start)?;
        both.extend(self.items(right, start)?);
        let mut once: Items<'d> = Vec::with_capacity(both.len());
        for item in both {
            let mut is_known = false;
            for one in &once {
                self.step()?;
                is_known |= one.is_same(&item, &mut self.left);
            }
            if !is_known {
                once.push(item);
            }
        }
        self.step()?;
        Ok(once)
    }

    fn step(&mut self) -> Result<(), EvaluateError> {
        self.left = self.left.checked_sub(1).ok_or(EvaluateError::Steps)?;
        Ok(())
    }
}

/// What a function makes of a text; the type stays unless it answers yes or no.
fn made_text<'d>(
    item: &Item<'d>,
    function: &TextFunction,
) -> Result<Option<Item<'d>>, EvaluateError> {
    let Some(text) = item.text() else {
        return Ok(None);
    };
    let kind = if function.is_question() {
        TypeId::BOOLEAN
    } else {
        item.kind
    };
    let made = function.apply(text)?;
    Ok(made.map(|value| Item::made(value, kind)))
}

fn constant_item<'d>(constant: &Constant, kind: TypeId) -> Item<'d> {
    let value = match constant {
        Constant::Text(text) => Value::Text(Cow::Owned(text.clone())),
        Constant::Boolean(truth) => Value::Boolean(*truth),
    };
    Item::made(value, kind)
}

/// The item, if it is of the type; a resource by what it says that it is.
fn of_type(item: Item<'_>, kind: TypeId) -> Option<Item<'_>> {
    let all = definitions::get();
    if all.is_a(item.kind, kind) {
        return Some(item);
    }
    let node = item.node().filter(|_| all.is_a(kind, item.kind))?;
    (node.resource_type()? == all.name(kind)).then(|| Item::of_node(node, kind))
}

fn holds(comparison: Comparison, order: Ordering) -> bool {
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}
