//! Where FHIR endpoints send their notifications (R4 rest-hook, and topic-based ones with full resources).
//!
//! `PUT /fhir/{tenant}/{source}/{type}/{id}` takes one resource, `POST /fhir/{tenant}/{source}` one or
//! a Bundle of them. The sender shows the source's secret as `Authorization: Bearer`. 2xx is answered
//! after the durable write and never before.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};

use super::api::bearer;
use super::problem::Problem;
use super::route::{Route, mount};
use crate::intake::{Notified, Untaken};

/// The routes.
pub(super) fn routes(notified: Notified) -> Router {
    mount(list()).with_state(notified)
}

fn list() -> Vec<Route<Notified>> {
    vec![
        Route::put("/fhir/{tenant}/{source}/{type}/{id}", put),
        Route::post("/fhir/{tenant}/{source}", post),
    ]
}

async fn put(
    State(notified): State<Notified>,
    Path((tenant, source, kind, id)): Path<(String, String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let at = Some((kind.as_str(), id.as_str()));
    let taken = notified.take((&tenant, &source), bearer(&headers), at, &body);
    Ok(taken.await.map(|()| StatusCode::OK)?)
}

async fn post(
    State(notified): State<Notified>,
    Path((tenant, source)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let taken = notified.take((&tenant, &source), bearer(&headers), None, &body);
    Ok(taken.await.map(|()| StatusCode::OK)?)
}

impl From<Untaken> for Problem {
    fn from(untaken: Untaken) -> Self {
        let title = "The notification is not taken.";
        let (status, code) = match untaken {
            Untaken::Unknown => (StatusCode::UNAUTHORIZED, "unknown-sender"),
            Untaken::NoAgreement => (StatusCode::FORBIDDEN, "no-agreement"),
            Untaken::NoResources => (StatusCode::UNPROCESSABLE_ENTITY, "no-resources"),
            Untaken::ElsewhereNamed => (StatusCode::UNPROCESSABLE_ENTITY, "elsewhere-named"),
            Untaken::Unstored(_) => (StatusCode::SERVICE_UNAVAILABLE, "not-stored"),
        };
        Self::new(status, code, title).detailed(untaken.to_string())
    }
}
