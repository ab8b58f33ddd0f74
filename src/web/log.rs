//! One line for each request of the API: who asked for which route, and how it ended.
//!
//! The route is its template; path, query and headers never reach the log. A request id that the
//! client chose is kept where it is a UUID, which holds nothing.

use axum::extract::{MatchedPath, Request};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

use super::serve::Peer;

/// The header that joins a request to its line in the log.
const REQUEST_ID: &str = "x-request-id";

/// Gives the request its id, and the log its line.
pub(super) async fn line(request: Request, next: Next) -> Response {
    let given = request.headers().get(REQUEST_ID);
    let given = given.and_then(|id| Uuid::try_parse(id.to_str().ok()?).ok());
    let id = given.unwrap_or_else(Uuid::now_v7);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned());
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let mut response = next.run(request).await;
    let status = response.status().as_u16();
    if route.starts_with("/v1/") {
        tracing::info!(%method, route, status, request = %id, ?peer, "http");
    } else {
        tracing::debug!(%method, route, status, request = %id, ?peer, "http");
    }
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
