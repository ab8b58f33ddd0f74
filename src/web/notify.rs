//! Where FHIR endpoints send their notifications (R4 rest-hook, and topic-based ones with full resources).
//!
//! `PUT /fhir/{tenant}/{source}/{type}/{id}` takes one resource, `POST /fhir/{tenant}/{source}` one or
//! a Bundle of them. The sender shows the source's secret as `Authorization: Bearer`. 2xx is answered
//! after the durable write and never before.

use std::net::IpAddr;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Router};
use tokio::time::Instant;

use super::api::bearer;
use super::problem::Problem;
use super::route::{Route, mount};
use super::serve::Peer;
use super::throttle::Throttle;
use crate::intake::{Notified, Untaken};

/// What the routes need.
#[derive(Clone)]
struct Notices {
    notified: Notified,
    /// Notifications without a secret in force, by address.
    in_vain: Throttle<IpAddr>,
}

/// The routes; an address may try so often a minute with a wrong secret.
pub(super) fn routes(notified: Notified, a_minute: u32) -> Router {
    let in_vain = Throttle::new(a_minute);
    mount(list()).with_state(Notices { notified, in_vain })
}

fn list() -> Vec<Route<Notices>> {
    vec![
        Route::put("/fhir/{tenant}/{source}/{type}/{id}", put),
        Route::post("/fhir/{tenant}/{source}", post),
    ]
}

async fn put(
    State(notices): State<Notices>,
    Path((tenant, source, kind, id)): Path<(String, String, String, String)>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let at = Some((kind.as_str(), id.as_str()));
    notices
        .take((&tenant, &source), peer, at, (&headers, &body))
        .await
}

async fn post(
    State(notices): State<Notices>,
    Path((tenant, source)): Path<(String, String)>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    notices
        .take((&tenant, &source), peer, None, (&headers, &body))
        .await
}

impl Notices {
    async fn take(
        &self,
        named: (&str, &str),
        peer: Option<Extension<Peer>>,
        at: Option<(&str, &str)>,
        (headers, body): (&HeaderMap, &Bytes),
    ) -> Result<StatusCode, Problem> {
        let peer = peer.map(|Extension(peer)| peer.0.ip().to_canonical());
        if let Some(Err(seconds)) = peer.map(|peer| self.in_vain.look(peer, Instant::now())) {
            return Err(Problem::too_many(seconds));
        }
        if is_xml(headers) {
            let title = "Notifications are read as JSON (application/fhir+json).";
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not-json",
                title,
            ));
        }
        match self.notified.take(named, bearer(headers), at, body).await {
            Ok(()) => Ok(StatusCode::OK),
            Err(Untaken::Unknown) => match peer.map(|peer| self.in_vain.take(peer, Instant::now()))
            {
                Some(Err(seconds)) => Err(Problem::too_many(seconds)),
                _ => Err(Untaken::Unknown.into()),
            },
            Err(untaken) => Err(untaken.into()),
        }
    }
}

fn is_xml(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().contains("xml"))
}

impl From<Untaken> for Problem {
    fn from(untaken: Untaken) -> Self {
        let title = "The notification is not taken.";
        let status = match untaken {
            Untaken::Unknown => StatusCode::UNAUTHORIZED,
            Untaken::NoAgreement => StatusCode::FORBIDDEN,
            Untaken::NoResources | Untaken::ElsewhereNamed => StatusCode::UNPROCESSABLE_ENTITY,
            Untaken::Unstored(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, untaken.name(), title).detailed(untaken.to_string())
    }
}
