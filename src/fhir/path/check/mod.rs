//! Checks a path against the definitions of a release and makes the plan that is carried out.

use std::collections::BTreeSet;
use std::ops::Range;

use super::super::date_time::{DateTime, Form};
use super::super::definitions::{self, Definitions, Element, Primitive, TypeId};
use super::plan::{Constant, Plan, Slot};
use super::syntax::{Comparison, Expression, Kind, Literal, Operator};
use super::{PathError, Release, Scope};

mod call;

/// What an expression leads to.
#[derive(Clone)]
pub(super) struct Shape {
    /// The types that a value may have.
    pub(super) types: Vec<TypeId>,
    /// Whether there may be several values.
    pub(super) many: bool,
    /// Whether a function or the path itself makes the values, so that they are no elements.
    made: bool,
}

impl Shape {
    /// One value that a function or the path itself makes.
    fn made(kind: TypeId) -> Shape {
        Shape {
            types: vec![kind],
            many: false,
            made: true,
        }
    }

    /// Yes or no.
    fn truth() -> Shape {
        Shape::made(TypeId::BOOLEAN)
    }

    /// One of the values.
    fn one(self) -> Shape {
        Shape {
            many: false,
            ..self
        }
    }
}

type Checked = Result<(Plan, Shape), PathError>;

/// The plan of a path that starts at `scope`.
pub(super) fn check(path: &Expression, scope: &Scope) -> Checked {
    let checker = Checker {
        all: definitions::get(),
        release: scope.release,
    };
    let start = Shape {
        types: scope.types.clone(),
        many: false,
        made: false,
    };
    checker.expression(path, &start, true)
}

struct Checker {
    all: &'static Definitions,
    release: Release,
}

impl Checker {
    /// `start` is what the path or the criteria start at; `outer` where no criteria are around it.
    fn expression(&self, it: &Expression, start: &Shape, outer: bool) -> Checked {
        match &it.kind {
            Kind::Start => Ok((Plan::Start, start.clone())),
            Kind::Literal(literal) => self.literal(literal, it),
            Kind::Member { of, name } => {
                if outer && self.is_own_type(of, name, start) {
                    return Ok((Plan::Start, start.clone()));
                }
                let (plan, shape) = self.expression(of, start, outer)?;
                elements(&shape, of)?;
                self.member(plan, &shape, name, it)
            }
            Kind::Index { of, number } => {
                let (of, shape) = self.expression(of, start, outer)?;
                Ok((index(of, *number), shape.one()))
            }
            Kind::Call(call) => self.call(call, it, start, outer),
            Kind::Binary {
                operator,
                left,
                right,
            } => {
                let left = (self.expression(left, start, outer)?, left.as_ref());
                let right = (self.expression(right, start, outer)?, right.as_ref());
                self.binary(*operator, left, right)
            }
        }
    }

    /// Whether this is the name of the type at the start of the path (`Patient.name`).
    fn is_own_type(&self, of: &Expression, name: &str, start: &Shape) -> bool {
        let is_start = matches!(of.kind, Kind::Start) && of.span.is_empty();
        is_start && matches!(start.types.as_slice(), [one] if self.all.name(*one) == name)
    }

    fn literal(&self, literal: &Literal, it: &Expression) -> Checked {
        let (constant, kind) = match literal {
            Literal::Text(text) => (Constant::Text(text.clone()), "string"),
            Literal::Number(number) => (Constant::Text(number.clone()), "decimal"),
            Literal::Boolean(truth) => (Constant::Boolean(*truth), "boolean"),
            Literal::Moment(text) => {
                DateTime::parse(text, Form::DateTime).map_err(|_cause| {
                    PathError::new(it.span.clone(), "a date or time that exists", "another one")
                        .hint("write @2026-01-31 or @2026-01-31T10:00:00Z")
                })?;
                (Constant::Text(text.clone()), "dateTime")
            }
        };
        let kind = self.system(kind, it)?;
        Ok((Plan::Constant(constant, kind), Shape::made(kind)))
    }

    fn member(&self, of: Plan, shape: &Shape, name: &str, it: &Expression) -> Checked {
        let elements = shape.types.iter().filter_map(|id| {
            let element = self.all.element(*id, name, self.release)?;
            Some(Slot { of: *id, element })
        });
        let slots: Vec<Slot> = elements.collect();
        let Some(first) = slots.first() else {
            return Err(self.no_member(shape, name, it));
        };
        let name = first.element.name;
        let types = slots.iter().flat_map(|slot| &slot.element.types);
        let types = each_once(types.copied());
        let many = shape.many || slots.iter().any(|slot| slot.element.many);
        Ok((
            Plan::Member {
                of: Box::new(of),
                slots,
                name,
            },
            Shape {
                types,
                many,
                made: false,
            },
        ))
    }

    /// The error that no type has this member, with what was probably meant.
    fn no_member(&self, shape: &Shape, name: &str, it: &Expression) -> PathError {
        let span = name_span(it, name);
        let expected = format!("a member of {}", self.names(&shape.types));
        let found = format!("`{name}`, which {} does not have", self.release);
        let error = PathError::new(span, expected, found);
        let in_json = shape
            .types
            .iter()
            .find_map(|id| self.all.in_json(*id, name, self.release));
        if let Some((element, kind)) = in_json {
            return error.hint(format!(
                "write `{}.ofType({})`",
                element.name,
                self.all.name(kind)
            ));
        }
        let others = Release::ALL
            .into_iter()
            .filter(|release| *release != self.release);
        let has = |release: &Release| {
            shape
                .types
                .iter()
                .any(|id| self.all.element(*id, name, *release).is_some())
        };
        let having: Vec<&str> = others.filter(has).map(Release::name).collect();
        if !having.is_empty() {
            let verb = if having.len() == 1 { "has" } else { "have" };
            let names = having.join(" and ");
            return error.hint(format!("{names} {verb} it: write a case for each release"));
        }
        let known = shape
            .types
            .iter()
            .flat_map(|id| self.all.elements(*id, self.release));
        error.did_you_mean(name, known.map(|element: &Element| element.name))
    }

    fn binary(
        &self,
        operator: Operator,
        (left, left_at): ((Plan, Shape), &Expression),
        (right, right_at): ((Plan, Shape), &Expression),
    ) -> Checked {
        let ((left, left_shape), (right, right_shape)) = (left, right);
        match operator {
            Operator::Union => {
                let shape = Shape {
                    types: each_once(left_shape.types.into_iter().chain(right_shape.types)),
                    many: true,
                    made: left_shape.made && right_shape.made,
                };
                Ok((Plan::Union(Box::new(left), Box::new(right)), shape))
            }
            Operator::And | Operator::Or => {
                self.condition(&left_shape, left_at)?;
                self.condition(&right_shape, right_at)?;
                let plan = Plan::Logic {
                    is_and: operator == Operator::And,
                    left: Box::new(left),
                    right: Box::new(right),
                };
                Ok((plan, Shape::truth()))
            }
            Operator::Compare(comparison) => {
                let kind = self.comparable(&left_shape, left_at)?;
                let other = self.comparable(&right_shape, right_at)?;
                if !kind.compares_with(other) {
                    let error = PathError::new(right_at.span.clone(), words(kind), words(other));
                    return Err(if kind == Primitive::Moment {
                        error.hint("write dates as @2026-01-31, without quotes")
                    } else {
                        error.hint("both sides of a comparison are of one kind")
                    });
                }
                let is_order = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
                if is_order && kind == Primitive::Boolean {
                    let span = left_at.span.clone();
                    let found = format!("true or false before `{}`", comparison.sign());
                    return Err(PathError::new(span, "a number, a text or a date", found));
                }
                let plan = Plan::Compare {
                    comparison,
                    left: Box::new(left),
                    right: Box::new(right),
                };
                Ok((plan, Shape::truth()))
            }
        }
    }

    /// The one kind of the one value of an expression.
    fn comparable(&self, shape: &Shape, it: &Expression) -> Result<Primitive, PathError> {
        self.single(shape, it)?;
        let mut kinds = shape.types.iter().map(|id| self.all.primitive(*id));
        let first = kinds.next().flatten();
        match first.filter(|first| kinds.all(|kind| kind == Some(*first))) {
            Some(kind) => Ok(kind),
            None => {
                let found = self.names(&shape.types);
                let error = PathError::new(it.span.clone(), "a value to compare", found);
                Err(if shape.types.len() > 1 {
                    error.hint("choose one with ofType(...)")
                } else {
                    error.hint("compare one of its members")
                })
            }
        }
    }

    fn condition(&self, shape: &Shape, it: &Expression) -> Result<(), PathError> {
        self.single(shape, it)?;
        let is_truth = |id: &TypeId| self.all.primitive(*id) == Some(Primitive::Boolean);
        if shape.types.iter().all(is_truth) {
            return Ok(());
        }
        let error = PathError::new(it.span.clone(), "a condition", self.names(&shape.types));
        Err(error.hint("write .exists() behind it, or compare it"))
    }

    fn single(&self, shape: &Shape, it: &Expression) -> Result<(), PathError> {
        if !shape.many {
            return Ok(());
        }
        let found = "a path that may lead to several";
        let error = PathError::new(it.span.clone(), "one value", found);
        Err(error.hint("write where(...).exists() to ask for any of them, or first()"))
    }

    /// A type that every release has.
    fn system(&self, name: &str, it: &Expression) -> Result<TypeId, PathError> {
        let missing = || PathError::new(it.span.clone(), format!("the type {name}"), "none");
        self.all.named(name, self.release).ok_or_else(missing)
    }

    fn names(&self, types: &[TypeId]) -> String {
        let names: Vec<&str> = types.iter().take(4).map(|id| self.all.name(*id)).collect();
        let more = if types.len() > names.len() {
            " or others"
        } else {
            ""
        };
        format!("{}{more}", names.join(" or "))
    }
}

/// The value at this place.
fn index(of: Plan, number: usize) -> Plan {
    let of = Box::new(of);
    Plan::Index { of, number }
}

fn each_once(types: impl Iterator<Item = TypeId>) -> Vec<TypeId> {
    types.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Refuses what is no element and so has neither members nor extensions.
fn elements(shape: &Shape, it: &Expression) -> Result<(), PathError> {
    if shape.made {
        let found = "a value that a function made";
        return Err(PathError::new(it.span.clone(), "an element", found));
    }
    Ok(())
}

/// Where the name at the end of an expression is, with backticks if it has them.
fn name_span(it: &Expression, name: &str) -> Range<usize> {
    let Kind::Member { of, .. } = &it.kind else {
        return it.span.clone();
    };
    let behind = if of.span.is_empty() {
        of.span.end
    } else {
        of.span.end + 1
    };
    it.span.end.saturating_sub(name.len()).max(behind)..it.span.end
}

fn words(kind: Primitive) -> &'static str {
    match kind {
        Primitive::Boolean => "true or false",
        Primitive::Number | Primitive::Count => "a number",
        Primitive::Text => "a text",
        Primitive::Time => "a time of day",
        Primitive::Moment => "a date or time",
    }
}
