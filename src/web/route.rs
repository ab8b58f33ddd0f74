//! A route as an entry of a list: the router is made of the lists, and the API's description is held
//! against the same lists.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodRouter, get, post, put};

/// One way to ask.
pub(super) struct Route<S> {
    /// How.
    pub(super) method: Method,
    /// Where, as a template.
    pub(super) path: &'static str,
    answer: MethodRouter<S>,
}

impl<S: Clone + Send + Sync + 'static> Route<S> {
    pub(super) fn get<H: Handler<T, S>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self {
            method: Method::GET,
            path,
            answer: get(handler),
        }
    }

    pub(super) fn put<H: Handler<T, S>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self {
            method: Method::PUT,
            path,
            answer: put(handler),
        }
    }

    pub(super) fn post<H: Handler<T, S>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self {
            method: Method::POST,
            path,
            answer: post(handler),
        }
    }
}

/// The router of a list. Nothing else makes routes.
pub(super) fn mount<S: Clone + Send + Sync + 'static>(routes: Vec<Route<S>>) -> Router<S> {
    routes.into_iter().fold(Router::new(), |router, route| {
        tracing::debug!(method = %route.method, route = route.path, "http: serves");
        router.route(route.path, route.answer)
    })
}
