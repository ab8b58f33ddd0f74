//! Whether the hub lives, whether it takes messages, and its numbers.

use axum::Json;
use axum::extract;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;

use super::State;
use super::route::Route;

/// What operators ask.
pub(super) fn list() -> Vec<Route<State>> {
    vec![
        Route::get("/health/live", live),
        Route::get("/health/ready", ready),
        Route::get("/metrics", metrics),
    ]
}

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
async fn live() -> Json<Live> {
    Json(Live { live: true })
}

/// The hub takes messages, or why it does not.
async fn ready(extract::State(state): extract::State<State>) -> (StatusCode, Json<Ready>) {
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
async fn metrics(extract::State(state): extract::State<State>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        state.metrics.render(),
    )
}
