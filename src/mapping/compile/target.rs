//! What the thin model accepts where: asked of the model itself, so that the two cannot differ.

use serde_json::{Map, Value, json};

use crate::crm::{Change, Entity, FieldType, Moment, PartialDate};

/// Whether `null` may stand for a field: the model then knows "delete" for it.
pub(super) fn clearable(entity: &Entity, field: &str) -> bool {
    let mut values = smallest(entity);
    values.insert(field.to_owned(), Value::Null);
    Change::read(entity.name, values).is_ok()
}

/// The fields without which the model cannot read an object of this list.
pub(super) fn needed(
    entity: &Entity,
    field: &str,
    fields: &'static [(&'static str, FieldType)],
) -> Vec<&'static str> {
    let names = fields.iter().map(|(name, _)| *name);
    names
        .filter(|left_out| {
            let kept = fields.iter().filter(|(name, _)| name != left_out);
            let object: Map<String, Value> = kept
                .map(|(name, kind)| ((*name).to_owned(), sample(*kind)))
                .collect();
            let mut values = smallest(entity);
            values.insert(field.to_owned(), json!([object]));
            Change::read(entity.name, values).is_err()
        })
        .collect()
}

/// The entity with nothing but what it requires.
fn smallest(entity: &Entity) -> Map<String, Value> {
    let required = entity.required.iter();
    required
        .filter_map(|name| Some(((*name).to_owned(), sample(entity.field(name)?))))
        .collect()
}

/// A value that the model accepts for a type.
fn sample(kind: FieldType) -> Value {
    match kind {
        FieldType::Text => json!("x"),
        FieldType::Flag => json!(true),
        FieldType::Date | FieldType::Moment => json!("2000-01-01"),
        FieldType::Word(words) => json!(words.first()),
        FieldType::Texts | FieldType::Objects(_) => json!([]),
    }
}

/// A constant's value for a type, or what was expected instead.
pub(super) fn constant(text: &str, kind: FieldType) -> Result<Value, String> {
    let fits = match kind {
        FieldType::Text | FieldType::Texts => !text.trim().is_empty(),
        FieldType::Date => PartialDate::parse(text).is_some(),
        FieldType::Moment => Moment::parse(text).is_some(),
        FieldType::Word(words) => words.contains(&text),
        FieldType::Flag | FieldType::Objects(_) => false,
    };
    if fits {
        Ok(json!(text))
    } else {
        Err(describe(kind))
    }
}

/// A type, in words for a diagnostic.
pub(super) fn describe(kind: FieldType) -> String {
    match kind {
        FieldType::Text => "a text that is not blank".to_owned(),
        FieldType::Flag => "true or false".to_owned(),
        FieldType::Date => "a date (YYYY, YYYY-MM or YYYY-MM-DD)".to_owned(),
        FieldType::Moment => "a date or an RFC 3339 instant".to_owned(),
        FieldType::Word(words) => format!("one of {}", words.join(", ")),
        FieldType::Texts => "a list of texts".to_owned(),
        FieldType::Objects(fields) => {
            let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
            format!("a list of objects with {}", names.join(", "))
        }
    }
}
