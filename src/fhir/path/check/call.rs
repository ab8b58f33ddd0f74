//! Checks the calls of functions.

use super::super::functions::TextFunction;
use super::super::plan::Plan;
use super::super::syntax::{Call, Expression, Kind, Literal};
use super::{Checked, Checker, PathError, Primitive, Shape, TypeId, elements, index};

impl Checker {
    pub(super) fn call(&self, call: &Call, it: &Expression, start: &Shape, outer: bool) -> Checked {
        let receiver = call.of.as_ref();
        let (plan, shape) = self.expression(receiver, start, outer)?;
        match (call.name.as_str(), call.arguments.as_slice()) {
            ("where", [criteria]) => Ok((self.kept(plan, criteria, &shape)?, shape)),
            ("exists", [criteria]) => {
                let plan = exists(self.kept(plan, criteria, &shape)?);
                Ok((plan, Shape::truth()))
            }
            ("exists", []) => Ok((exists(plan), Shape::truth())),
            ("empty", []) => Ok((Plan::Not(Box::new(exists(plan))), Shape::truth())),
            ("not", []) => {
                self.condition(&shape, receiver)?;
                Ok((Plan::Not(Box::new(plan)), Shape::truth()))
            }
            ("first", []) => Ok((index(plan, 0), shape.one())),
            ("last", []) => Ok((Plan::Last(Box::new(plan)), shape.one())),
            ("ofType", [kind]) => self.of_type(plan, &shape, kind),
            ("extension", [url]) => {
                let url = text(url)?;
                elements(&shape, receiver)?;
                self.extension(plan, url, receiver)
            }
            (name, arguments) => {
                let function = text_function(name, arguments, it)?;
                self.one_text(&shape, receiver)?;
                let shape = if function.is_question() {
                    Shape::truth()
                } else {
                    Shape {
                        made: true,
                        ..shape.one()
                    }
                };
                let of = Box::new(plan);
                Ok((Plan::Text { of, function }, shape))
            }
        }
    }

    fn extension(&self, of: Plan, url: String, receiver: &Expression) -> Checked {
        let kind = self.system("Extension", receiver)?;
        let shape = Shape {
            types: vec![kind],
            many: true,
            made: false,
        };
        let of = Box::new(of);
        Ok((Plan::Extension { of, url, kind }, shape))
    }

    /// Functions of texts take one text.
    fn one_text(&self, shape: &Shape, receiver: &Expression) -> Result<(), PathError> {
        self.single(shape, receiver)?;
        let is_text = |id: &TypeId| self.all.primitive(*id) == Some(Primitive::Text);
        if shape.types.iter().all(is_text) {
            return Ok(());
        }
        let error = PathError::new(receiver.span.clone(), "a text", self.names(&shape.types));
        Err(error.hint("functions of texts take strings, codes and addresses"))
    }

    /// Those for which the criteria hold, which are about one value at a time.
    fn kept(&self, of: Plan, criteria: &Expression, shape: &Shape) -> Result<Plan, PathError> {
        let (plan, found) = self.expression(criteria, &shape.clone().one(), false)?;
        self.condition(&found, criteria)?;
        Ok(Plan::Where {
            of: Box::new(of),
            criteria: Box::new(plan),
        })
    }

    fn of_type(&self, of: Plan, shape: &Shape, argument: &Expression) -> Checked {
        let span = argument.span.clone();
        let Some(name) = type_name(argument) else {
            return Err(PathError::new(
                span,
                "the name of a type, without quotes",
                "something else",
            ));
        };
        let Some(kind) = self.all.named(name, self.release) else {
            let error = PathError::new(
                span,
                format!("a type of {}", self.release),
                format!("`{name}`"),
            );
            return Err(error.did_you_mean(name, self.all.type_names(self.release)));
        };
        let mut types: Vec<TypeId> = shape
            .types
            .iter()
            .copied()
            .filter(|id| self.all.is_a(*id, kind))
            .collect();
        if types.is_empty() && shape.types.iter().any(|id| self.all.is_a(kind, *id)) {
            types.push(kind);
        }
        if types.is_empty() {
            let error = PathError::new(span, self.names(&shape.types), format!("`{name}`"));
            return Err(error.hint("it is never of that type"));
        }
        Ok((
            Plan::OfType {
                of: Box::new(of),
                kind,
            },
            Shape {
                types,
                ..shape.clone()
            },
        ))
    }
}

fn exists(of: Plan) -> Plan {
    Plan::Exists(Box::new(of))
}

/// `Quantity`, or `FHIR.Quantity`.
fn type_name(argument: &Expression) -> Option<&str> {
    let Kind::Member { of, name } = &argument.kind else {
        return None;
    };
    match &of.kind {
        Kind::Start if of.span.is_empty() => Some(name),
        Kind::Member { of, name: space } if space == "FHIR" && matches!(of.kind, Kind::Start) => {
            Some(name)
        }
        _ => None,
    }
}

fn text_function(
    name: &str,
    arguments: &[Expression],
    it: &Expression,
) -> Result<TextFunction, PathError> {
    Ok(match (name, arguments) {
        ("startsWith", [part]) => TextFunction::StartsWith(text(part)?),
        ("endsWith", [part]) => TextFunction::EndsWith(text(part)?),
        ("contains", [part]) => TextFunction::Contains(text(part)?),
        ("replace", [pattern, by]) => {
            let (pattern_, by) = (text(pattern)?, text(by)?);
            if pattern_.is_empty() {
                return Err(PathError::new(
                    pattern.span.clone(),
                    "what to replace",
                    "an empty text",
                ));
            }
            TextFunction::Replace {
                pattern: pattern_,
                by,
            }
        }
        ("substring", [start]) => TextFunction::Substring {
            start: whole(start)?,
            length: None,
        },
        ("substring", [start, length]) => TextFunction::Substring {
            start: whole(start)?,
            length: Some(whole(length)?),
        },
        ("lower", []) => TextFunction::Lower,
        ("upper", []) => TextFunction::Upper,
        ("trim", []) => TextFunction::Trim,
        _ => {
            let found = match arguments.len() {
                0 => "none".to_owned(),
                number => format!("{number} of them"),
            };
            return Err(PathError::new(
                it.span.clone(),
                expected_arguments(name),
                found,
            ));
        }
    })
}

fn expected_arguments(name: &str) -> String {
    let arguments = match name {
        "where" => "one condition",
        "exists" => "a condition or none",
        "ofType" => "the name of a type",
        "extension" => "the extension's address in quotes",
        "startsWith" | "endsWith" | "contains" => "one text",
        "replace" => "two texts, what to replace and by what",
        "substring" => "where to start, and how many characters",
        _ => "nothing",
    };
    format!("{arguments} in the brackets of {name}()")
}

fn text(argument: &Expression) -> Result<String, PathError> {
    match &argument.kind {
        Kind::Literal(Literal::Text(text)) => Ok(text.clone()),
        _ => Err(PathError::new(
            argument.span.clone(),
            "a text in single quotes",
            "something else",
        )),
    }
}

fn whole(argument: &Expression) -> Result<usize, PathError> {
    let number = match &argument.kind {
        Kind::Literal(Literal::Number(digits)) => digits.parse().ok(),
        _ => None,
    };
    let wrong = || {
        PathError::new(
            argument.span.clone(),
            "a whole number, from 0",
            "something else",
        )
    };
    number.ok_or_else(wrong)
}
