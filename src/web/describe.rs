//! The API's description (`OpenAPI` 3.1) and the schemas of the messages, as files that are compiled
//! in.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::outbox::events::TASK_EVENT_SCHEMA;
use crate::outbox::schema::OUTREACH_TASK_TEXT;

/// The description of the API.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

/// The routes that describe the others.
pub(super) fn routes() -> Router {
    let schema = "application/schema+json";
    Router::new()
        .route("/openapi.json", get(|| json("application/json", OPENAPI)))
        .route(
            "/schemas/outreach-task/v1",
            get(move || json(schema, OUTREACH_TASK_TEXT)),
        )
        .route(
            "/schemas/task-event/v1",
            get(move || json(schema, TASK_EVENT_SCHEMA)),
        )
}

async fn json(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, kind)], text)
}
