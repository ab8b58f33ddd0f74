//! The element model as XML, in the order that the release gives the elements.

use super::super::Release;
use super::{Element, Primitive, Value, Way, elements, resource_type};

/// The resource as a whole.
pub(in crate::fhir) fn document(element: &Element, release: Release) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let space = " xmlns=\"http://hl7.org/fhir\"";
    resource(element, space, &mut Way::new(release), &mut out);
    out
}

fn resource(element: &Element, space: &str, way: &mut Way, out: &mut String) {
    let kind = resource_type(element).unwrap_or_default();
    way.enter(kind);
    out.push('<');
    out.push_str(kind);
    out.push_str(space);
    close(kind, element, way, out);
    way.leave();
}

/// Writes an element where `way` stands.
fn part(name: &str, element: &Element, way: &mut Way, out: &mut String) {
    if way.is_resource() {
        out.push_str(&format!("<{name}>"));
        resource(element, "", way, out);
        out.push_str(&format!("</{name}>"));
        return;
    }
    let value = element.get("value");
    if let (true, "div", Some(Value::Primitive(Primitive::String(div)))) =
        (way.is_primitive(), name, value)
    {
        // A narrative is XML already.
        out.push_str(div);
        return;
    }
    out.push('<');
    out.push_str(name);
    for attribute in ["id", "url", "value"] {
        if let Some(Value::Primitive(value)) = element.get(attribute) {
            out.push_str(&format!(" {attribute}=\""));
            escaped(value, out);
            out.push('"');
        }
    }
    close(name, element, way, out);
}

/// Ends the tag, with all elements below before that.
fn close(name: &str, element: &Element, way: &mut Way, out: &mut String) {
    let below = |(_, value): &(&String, &Value)| !matches!(value, Value::Primitive(_));
    let mut below: Vec<(&String, &Value)> = element.iter().filter(below).collect();
    below.sort_by_cached_key(|(name, _)| way.order(name));
    if below.is_empty() {
        return out.push_str("/>");
    }
    out.push('>');
    for (name, value) in below {
        way.enter(name);
        for one in elements(value) {
            part(name, one, way, out);
        }
        way.leave();
    }
    out.push_str(&format!("</{name}>"));
}

/// The text of an attribute: readers make a blank of a line end or tab that is not escaped.
fn escaped(value: &Primitive, out: &mut String) {
    let text = match value {
        Primitive::Bool(truth) => return out.push_str(if *truth { "true" } else { "false" }),
        Primitive::Integer(number) => return out.push_str(&number.to_string()),
        Primitive::Integer64(number) => return out.push_str(&number.to_string()),
        Primitive::Decimal(text) | Primitive::String(text) => text,
    };
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\t' => out.push_str("&#9;"),
            other => out.push(other),
        }
    }
}
