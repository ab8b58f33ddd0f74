//! The API's description (`OpenAPI` 3.1) and the schemas of the messages, as files that are compiled
//! in.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::route::Route;
use crate::outbox::events::TASK_EVENT_SCHEMA;
use crate::outbox::schema::OUTREACH_TASK_TEXT;

/// The description of the API.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

/// What describes the API and the messages.
pub(super) fn list() -> Vec<Route<()>> {
    let schema = "application/schema+json";
    vec![
        Route::get("/openapi.json", || json("application/json", OPENAPI)),
        Route::get("/schemas/outreach-task/v1", move || {
            json(schema, OUTREACH_TASK_TEXT)
        }),
        Route::get("/schemas/task-event/v1", move || {
            json(schema, TASK_EVENT_SCHEMA)
        }),
    ]
}

async fn json(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, kind)], text)
}

#[cfg(test)]
#[path = "describe_tests.rs"]
mod tests;
