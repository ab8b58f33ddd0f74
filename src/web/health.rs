//! Whether the hub lives, whether it takes messages, and its numbers.

use axum::Json;
use axum::extract;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;

use super::State;

/// The answer of `/health/live`.
#[derive(Serialize)]
pub(super) struct Live {
    live: bool,
}

/// The answer of `/health/ready`.
#[derive(Serialize)]
pub(super) struct Ready {
    ready: bool,
    reasons: Vec<String>,
}

/// The process runs; a supervisor restarts it if this is not answered.
pub(super) async fn live() -> Json<Live> {
    Json(Live { live: true })
}

/// The hub takes messages, or why it does not.
pub(super) async fn ready(
    extract::State(state): extract::State<State>,
) -> (StatusCode, Json<Ready>) {
    let reasons = (state.reasons)();
    let ready = reasons.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Ready { ready, reasons }))
}

/// The metrics in Prometheus' text format.
pub(super) async fn metrics(extract::State(state): extract::State<State>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        state.metrics.render(),
    )
}
