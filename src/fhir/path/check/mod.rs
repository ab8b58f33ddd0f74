//! Checks a path against the definitions of a release and makes the plan that is carried out.

use std::ops::Range;

use super::super::Release;
use super::super::definitions::{self, Definitions, Element, Primitive, TypeId};
use super::plan::{Constant, Plan, Slot};
use super::syntax::{Expression, Kind, Literal, Operator};
use super::{PathError, Scope};

mod call;

/// What an expression leads to.
#[derive(Clone)]
pub(super) struct Shape {
    /// The types that a value may have.
    pub(super) types: Vec<TypeId>,
    /// Whether there may be several values.
    pub(super) many: bool,
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
                let (of, shape) = self.expression(of, start, outer)?;
                self.member(of, &shape, name, it)
            }
            Kind::Index { of, number } => {
                let (of, shape) = self.expression(of, start, outer)?;
                let shape = Shape {
                    many: false,
                    ..shape
                };
                Ok((
                    Plan::Index {
                        of: Box::new(of),
                        number: *number,
                    },
                    shape,
                ))
            }
            Kind::Call { .. } => self.call(it, start, outer),
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
                let form = super::super::date_time::Form::DateTime;
                let read = super::super::date_time::DateTime::parse(text, form);
                read.map_err(|_cause| {
                    PathError::new(it.span.clone(), "a date or time that exists", "another one")
                        .hint("write @2026-01-31 or @2026-01-31T10:00:00Z")
                })?;
                (Constant::Text(text.clone()), "dateTime")
            }
        };
        let kind = self.system(kind, it)?;
        Ok((
            Plan::Constant(constant, kind),
            Shape {
                types: vec![kind],
                many: false,
            },
        ))
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
        let mut types: Vec<TypeId> = slots
            .iter()
            .flat_map(|slot| slot.element.types.clone())
            .collect();
        types.sort_unstable();
        types.dedup();
        let many = shape.many || slots.iter().any(|slot| slot.element.many);
        Ok((
            Plan::Member {
                of: Box::new(of),
                slots,
                name,
            },
            Shape { types, many },
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
        let boxed = (Box::new(left), Box::new(right));
        match operator {
            Operator::Union => {
                let mut types = left_shape.types;
                types.extend(right_shape.types);
                types.sort_unstable();
                types.dedup();
                Ok((Plan::Union(boxed.0, boxed.1), Shape { types, many: true }))
            }
            Operator::And | Operator::Or => {
                self.condition(&left_shape, left_at)?;
                self.condition(&right_shape, right_at)?;
                let is_and = operator == Operator::And;
                let plan = Plan::Logic {
                    is_and,
                    left: boxed.0,
                    right: boxed.1,
                };
                Ok((plan, self.truth(left_at)?))
            }
            _ => {
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
                let is_order = !matches!(operator, Operator::Equal | Operator::NotEqual);
                if is_order && kind == Primitive::Boolean {
                    let span = left_at.span.clone();
                    let found = format!("true or false before `{}`", operator.sign());
                    return Err(PathError::new(span, "a number, a text or a date", found));
                }
                let plan = Plan::Compare {
                    operator,
                    left: boxed.0,
                    right: boxed.1,
                };
                Ok((plan, self.truth(left_at)?))
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

    fn truth(&self, it: &Expression) -> Result<Shape, PathError> {
        Ok(Shape {
            types: vec![self.system("boolean", it)?],
            many: false,
        })
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
