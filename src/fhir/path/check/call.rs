//! Checks the calls of functions.

use super::super::functions::TextFunction;
use super::super::plan::Plan;
use super::super::syntax::{Expression, Kind, Literal};
use super::{Checked, Checker, PathError, Primitive, Shape, TypeId};

impl Checker {
    pub(super) fn call(&self, it: &Expression, start: &Shape, outer: bool) -> Checked {
        let Kind::Call {
            of: receiver,
            name,
            arguments,
        } = &it.kind
        else {
            return Err(PathError::new(
                it.span.clone(),
                "a function",
                "something else",
            ));
        };
        let (plan, shape) = self.expression(receiver, start, outer)?;
        let of = Box::new(plan);
        let one = Shape {
            many: false,
            ..shape.clone()
        };
        match (name.as_str(), arguments.as_slice()) {
            ("where", [criteria]) => {
                let criteria = Box::new(self.criteria(criteria, &shape)?);
                Ok((Plan::Where { of, criteria }, shape))
            }
            ("exists", [criteria]) => {
                let criteria = Box::new(self.criteria(criteria, &shape)?);
                let of = Box::new(Plan::Where { of, criteria });
                Ok((Plan::Exists { of, wanted: true }, self.truth(it)?))
            }
            ("exists" | "empty", []) => Ok((
                Plan::Exists {
                    of,
                    wanted: name == "exists",
                },
                self.truth(it)?,
            )),
            ("not", []) => {
                self.condition(&shape, receiver)?;
                Ok((Plan::Not(of), self.truth(it)?))
            }
            ("first", []) => Ok((Plan::First(of), one)),
            ("last", []) => Ok((Plan::Last(of), one)),
            ("ofType", [kind]) => self.of_type(*of, &shape, kind),
            ("extension", [url]) => self.extension(*of, url, receiver),
            (_, arguments) => {
                let function = text_function(name, arguments, it)?;
                self.one_text(&shape, receiver)?;
                let shape = if function.is_question() {
                    self.truth(it)?
                } else {
                    one
                };
                Ok((Plan::Text { of, function }, shape))
            }
        }
    }

    fn extension(&self, of: Plan, url: &Expression, receiver: &Expression) -> Checked {
        let url = text(url)?;
        let kind = self.system("Extension", receiver)?;
        if matches!(
            of,
            Plan::Constant(..) | Plan::Text { .. } | Plan::Exists { .. }
        ) {
            let found = "a value that a function made";
            return Err(PathError::new(receiver.span.clone(), "an element", found));
        }
        let shape = Shape {
            types: vec![kind],
            many: true,
        };
        Ok((
            Plan::Extension {
                of: Box::new(of),
                url,
                kind,
            },
            shape,
        ))
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

    /// Criteria are about one value at a time.
    fn criteria(&self, criteria: &Expression, shape: &Shape) -> Result<Plan, PathError> {
        let each = Shape {
            many: false,
            ..shape.clone()
        };
        let (plan, found) = self.expression(criteria, &each, false)?;
        self.condition(&found, criteria)?;
        Ok(plan)
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
                many: shape.many,
            },
        ))
    }
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
