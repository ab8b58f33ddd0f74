//! The CRM's API under `/v1`: every route behind a token, every answer decided by `access`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{self, Path, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::problem::Problem;
use super::route::{Route, mount};
use super::serve::Peer;
use super::throttle::Throttle;
use crate::access::{Desk, Pass, Refusal};
use crate::outbox::events;
use crate::phi::Phi;
use crate::store::TaskEventEffect;

/// The header in which a purpose may be stated, in place of the query.
const PURPOSE: &str = "purpose-of-use";

/// What the API's routes need.
#[derive(Clone)]
pub(super) struct Api {
    desk: Desk,
    by_token: Throttle<Uuid>,
    /// Requests without a token in force, by address.
    in_vain: Throttle<IpAddr>,
}

impl Api {
    pub(super) fn new(desk: Desk, requests_per_minute: u32) -> Self {
        Self {
            desk,
            by_token: Throttle::new(requests_per_minute),
            in_vain: Throttle::new(requests_per_minute),
        }
    }

    /// The routes, each behind a token.
    pub(super) fn routes(self) -> Router {
        mount(list())
            .route_layer(from_fn_with_state(self.clone(), admit))
            .with_state(self)
    }
}

/// What the API answers.
pub(super) fn list() -> Vec<Route<Api>> {
    vec![
        Route::get("/v1/tasks/{id}/content", content),
        Route::get("/v1/consent-decisions/{id}", decision),
        Route::get("/v1/people/{id}/crm-id", registered),
        Route::put("/v1/people/{id}/crm-id", register),
        Route::post("/v1/task-events", answer),
    ]
}

/// Lets a request through with its token's pass.
async fn admit(
    extract::State(api): extract::State<Api>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let (peer, now) = (peer.map(|ip| ip.to_canonical()), Instant::now());
    if let Some(Err(seconds)) = peer.map(|peer| api.in_vain.look(peer, now)) {
        return Problem::too_many(seconds).into_response();
    }
    match api.desk.admit(bearer(request.headers())).await {
        Ok(pass) => match api.by_token.take(pass.id(), now) {
            Ok(()) => {
                request.extensions_mut().insert(Arc::new(pass));
                next.run(request).await
            }
            Err(seconds) => Problem::too_many(seconds).into_response(),
        },
        Err(refusal) => {
            if let Some(Err(seconds)) = peer.map(|peer| api.in_vain.take(peer, now)) {
                return Problem::too_many(seconds).into_response();
            }
            Problem::from(refusal).into_response()
        }
    }
}

/// The token that a request shows.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

/// The purpose that a request states, in its query or its header.
fn purpose<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Result<Option<&'r str>, Refusal> {
    let query = uri.query().unwrap_or_default();
    let in_query = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("purpose="));
    let in_header = headers
        .get(PURPOSE)
        .map(|word| word.to_str().map_err(|_bytes| Refusal::PurposeUnknown))
        .transpose()?;
    match (in_query, in_header) {
        (Some(one), Some(other)) if one != other => Err(Refusal::PurposeUnknown),
        (query, header) => Ok(query.or(header)),
    }
}

fn protected<T: Serialize>(value: &Phi<T>) -> Response {
    Json(value.open()).into_response()
}

async fn content(
    extract::State(api): extract::State<Api>,
    Extension(pass): Extension<Arc<Pass>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let purpose = purpose(&uri, &headers)?;
    let content = api.desk.content(&pass, &id, purpose).await?;
    Ok(protected(&content))
}

async fn decision(
    extract::State(api): extract::State<Api>,
    Extension(pass): Extension<Arc<Pass>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let recheck = api.desk.recheck(&pass, &id).await?;
    Ok(Json(recheck).into_response())
}

async fn registered(
    extract::State(api): extract::State<Api>,
    Extension(pass): Extension<Arc<Pass>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let purpose = purpose(&uri, &headers)?;
    Ok(protected(&api.desk.registered(&pass, &id, purpose).await?))
}

/// The body of a registration.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Registration {
    crm_id: String,
}

async fn register(
    extract::State(api): extract::State<Api>,
    Extension(pass): Extension<Arc<Pass>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = json(&headers, body)?;
    let registration: Registration = serde_json::from_slice(&body).map_err(|_quoting| {
        Problem::form("body: expected one JSON object with `crmId`, a text, and no more".to_owned())
    })?;
    let crm_id = Phi::new(registration.crm_id);
    Ok(protected(&api.desk.register(&pass, &id, &crm_id).await?))
}

/// What became of a task event.
#[derive(Serialize)]
struct Taken {
    effect: &'static str,
}

async fn answer(
    extract::State(api): extract::State<Api>,
    Extension(pass): Extension<Arc<Pass>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = json(&headers, body)?;
    let event = events::parse(&body).map_err(|error| Problem::form(error.to_string()))?;
    let (status, effect) = match api.desk.answer(&pass, &event).await? {
        TaskEventEffect::Applied => (StatusCode::ACCEPTED, "applied"),
        TaskEventEffect::Repeated => (StatusCode::OK, "repeated"),
        _ => (StatusCode::ACCEPTED, "recorded"),
    };
    Ok((status, Json(Taken { effect })).into_response())
}

/// A body of JSON.
fn json(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Bytes, Box<Problem>> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        let title = "Expected a body of application/json.";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Box::new(Problem::new(status, "media-type", title)));
    }
    body.map_err(|rejection| {
        Box::new(match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
            _ => Problem::form("body: expected it whole, found it cut short".to_owned()),
        })
    })
}
