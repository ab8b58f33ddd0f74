//! The element model as JSON.

use super::{Element, Primitive, Value, Way, elements, resource_type};

/// Writes an element where `way` stands, or a resource.
pub(in crate::fhir) fn write(element: &Element, way: &mut Way, out: &mut String) {
    let kind = resource_type(element);
    if let Some(kind) = kind {
        way.enter(kind);
    }
    out.push('{');
    for (name, value) in element {
        way.enter(name);
        match value {
            Value::Primitive(value) => {
                label("", name, out);
                primitive(value, out);
            }
            _ if way.is_primitive() => halves(name, value, way, out),
            _ => {
                label("", name, out);
                list(value, out, |one, out| write(one, way, out));
            }
        }
        way.leave();
    }
    out.push('}');
    if kind.is_some() {
        way.leave();
    }
}

/// A primitive element: its values, and beside them the ids and extensions (FHIR R4, 2.6.2.3).
fn halves(name: &str, value: &Value, way: &mut Way, out: &mut String) {
    if elements(value).iter().any(|one| one.contains_key("value")) {
        label("", name, out);
        list(value, out, |one, out| match one.get("value") {
            Some(Value::Primitive(value)) => primitive(value, out),
            _ => out.push_str("null"),
        });
    }
    let has_more = |one: &Element| one.contains_key("id") || one.contains_key("extension");
    if elements(value).iter().any(has_more) {
        label("_", name, out);
        list(value, out, |one, out| match has_more(one) {
            true => beside(one, way, out),
            false => out.push_str("null"),
        });
    }
}

/// What a primitive element has beside its value.
fn beside(element: &Element, way: &mut Way, out: &mut String) {
    out.push('{');
    if let Some(Value::Primitive(id)) = element.get("id") {
        label("", "id", out);
        primitive(id, out);
    }
    if let Some(extensions) = element.get("extension") {
        way.enter("extension");
        label("", "extension", out);
        list(extensions, out, |one, out| write(one, way, out));
        way.leave();
    }
    out.push('}');
}

/// One, or several in brackets.
fn list(value: &Value, out: &mut String, mut one: impl FnMut(&Element, &mut String)) {
    let many = matches!(value, Value::Sequence(_));
    if many {
        out.push('[');
    }
    for (place, element) in elements(value).iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        one(element, out);
    }
    if many {
        out.push(']');
    }
}

/// The name of a member, with a comma before it unless it is the first.
fn label(half: &str, name: &str, out: &mut String) {
    if !out.ends_with('{') {
        out.push(',');
    }
    quoted(&format!("{half}{name}"), out);
    out.push(':');
}

fn primitive(value: &Primitive, out: &mut String) {
    match value {
        Primitive::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Primitive::Decimal(digits) => out.push_str(digits),
        Primitive::String(text) => quoted(text, out),
        Primitive::Integer(number) => out.push_str(&number.to_string()),
        Primitive::Integer64(number) => quoted(&number.to_string(), out),
    }
}

fn quoted(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}
