//! The description against what is served: the same routes, examples that fit, one shape for each message.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::OPENAPI;
use crate::outbox::events::TASK_EVENT_SCHEMA;
use crate::outbox::schema::OUTREACH_TASK_TEXT;
use crate::web::{api, describe, health};

fn description() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// A schema of the description as one that stands alone: what it refers to is in it.
fn validator(schema: &Value, whole: &Value) -> jsonschema::Validator {
    let schema = match schema["$ref"].as_str() {
        Some("/schemas/task-event/v1") => serde_json::from_str(TASK_EVENT_SCHEMA).unwrap(),
        Some("/schemas/outreach-task/v1") => serde_json::from_str(OUTREACH_TASK_TEXT).unwrap(),
        _ => {
            let mut alone = schema.clone();
            alone["components"] = whole["components"].clone();
            alone
        }
    };
    jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap()
}

/// What a reference leads to, or the thing itself.
fn meant<'d>(thing: &'d Value, whole: &'d Value) -> &'d Value {
    let place = thing["$ref"].as_str().and_then(|to| to.strip_prefix('#'));
    place.map_or(thing, |place| whole.pointer(place).unwrap())
}

fn operations(whole: &Value) -> Vec<(String, &Value)> {
    let paths = whole["paths"].as_object().unwrap();
    let of = |(path, methods): (&String, &'_ Value)| -> Vec<(String, String)> {
        let methods = methods.as_object().unwrap().keys();
        methods
            .map(|method| (path.clone(), method.clone()))
            .collect()
    };
    paths
        .iter()
        .flat_map(of)
        .map(|(path, method)| {
            let operation = &paths[&path][&method];
            (format!("{} {path}", method.to_uppercase()), operation)
        })
        .collect()
}

#[test]
fn the_description_has_every_route_and_no_other() {
    let served: BTreeSet<String> = api::list()
        .iter()
        .map(|route| format!("{} {}", route.method, route.path))
        .chain(
            describe::list()
                .iter()
                .map(|route| format!("{} {}", route.method, route.path)),
        )
        .chain(
            health::list()
                .iter()
                .map(|route| format!("{} {}", route.method, route.path)),
        )
        .collect();
    let whole = description();
    let described = operations(&whole).into_iter().map(|(name, _)| name);
    assert_eq!(described.collect::<BTreeSet<String>>(), served);
}

#[test]
fn every_example_of_the_description_fits_its_schema() {
    let whole = description();
    let mut tried = 0;
    for (name, operation) in operations(&whole) {
        let answers = operation["responses"].as_object().unwrap().values();
        let bodies = answers.chain(operation.get("requestBody"));
        for body in bodies.map(|body| meant(body, &whole)) {
            for (kind, told) in body["content"].as_object().unwrap() {
                let Some(example) = told.get("example") else {
                    let text = ["/metrics", "/schemas", "/openapi.json"];
                    let is_text = text.iter().any(|path| name.contains(path));
                    assert!(is_text, "{name} {kind}: an example is missing");
                    continue;
                };
                let validator = validator(&told["schema"], &whole);
                let errors: Vec<String> = validator
                    .iter_errors(example)
                    .map(|error| format!("{}: {error}", error.instance_path()))
                    .collect();
                assert!(errors.is_empty(), "{name}: {errors:#?}\n{example:#}");
                tried += 1;
            }
        }
    }
    assert!(tried > 40, "only {tried}");
}

#[test]
fn a_wrong_example_would_be_found() {
    let whole = description();
    let content = validator(&json!({"$ref": "#/components/schemas/Content"}), &whole);
    let told = &whole["paths"]["/v1/tasks/{id}/content"]["get"]["responses"]["200"]["content"];
    let mut example = told["application/json"]["example"].clone();
    assert!(content.is_valid(&example));
    example["limits"]["validUntil"] = json!("tomorrow");
    assert!(!content.is_valid(&example));
}
