//! The HTTP door: health and metrics for operators, the CRM's API, and the notifications of FHIR
//! endpoints. Protected data leaves only through the API, each answer after it is on record.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};

use api::Api;
use problem::Problem;
use route::mount;

use crate::access::Desk;
use crate::config::HttpConfig;
use crate::intake::Notified;
use crate::telemetry::Metrics;

mod api;
mod describe;
mod health;
mod log;
mod notify;
mod problem;
mod route;
mod serve;
mod throttle;

pub use serve::{Listening, serve};

/// What the pages show.
#[derive(Clone)]
pub struct State {
    /// The metrics.
    pub metrics: Metrics,
    /// Why the hub is not ready, in plain words; empty if it is. Answered from what is at hand.
    pub reasons: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// The desk behind the API; without one there is no API.
    pub desk: Option<Desk>,
    /// The endpoints that may send notifications; without them nothing is taken.
    pub notified: Option<Notified>,
}

/// All routes, bounded in time and size.
pub fn router(state: State, limits: &HttpConfig) -> Router {
    let (most, within) = (limits.body, limits.request_timeout);
    let (desk, notified) = (state.desk.clone(), state.notified.clone());
    let mut routes = mount(health::list()).with_state(state);
    if let Some(desk) = desk {
        let api = Api::new(desk, limits.requests_per_minute);
        routes = routes.merge(api.routes()).merge(mount(describe::list()));
    }
    if let Some(notified) = notified {
        routes = routes.merge(notify::routes(notified, limits.requests_per_minute));
    }
    bounded(routes, most, within)
}

/// Bounds that hold for every route.
fn bounded(routes: Router, most: usize, within: Duration) -> Router {
    routes
        .layer(DefaultBodyLimit::max(most))
        .layer(from_fn(move |request: Request, next: Next| {
            limit(request, next, most, within)
        }))
        .layer(from_fn(log::line))
}

async fn limit(request: Request, next: Next, most: usize, within: Duration) -> Response {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut response = if length.is_some_and(|length| length > most) {
        Problem::too_large().into_response()
    } else {
        tokio::time::timeout(within, next.run(request))
            .await
            .unwrap_or_else(|_elapsed| Problem::timeout().into_response())
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
#[path = "web_tests.rs"]
mod tests;
