//! Problems as RFC 9457 has them: a stable code, its reasons, and never a value.

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;

use crate::access::Refusal;

/// Seconds after which to ask again, where only time is needed.
const SOON: u32 = 5;

/// A problem.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reason_codes: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_allowed: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip)]
    retry_after: Option<u32>,
}

impl Problem {
    /// A problem with nothing but its code.
    pub(super) fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self {
            kind: format!("urn:careloop:problem:{code}"),
            title,
            status: status.as_u16(),
            code,
            reason_codes: Vec::new(),
            next_allowed: None,
            detail: None,
            retry_after: None,
        }
    }

    /// The same with what was expected and found.
    pub(super) fn detailed(self, detail: String) -> Self {
        let detail = Some(detail);
        let retry_after = (self.status == 503).then_some(SOON);
        Self {
            detail,
            retry_after,
            ..self
        }
    }

    /// More requests than permitted; ask again in so many seconds.
    pub(super) fn too_many(seconds: u32) -> Self {
        let title = "More requests than this token or address may send.";
        Self {
            retry_after: Some(seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", title)
        }
    }

    /// A body of another form: the place, and what was expected there.
    pub(super) fn form(detail: String) -> Self {
        let title = "The body has another form than expected.";
        Self {
            detail: Some(detail),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "form", title)
        }
    }

    /// A body that is too large.
    pub(super) fn too_large() -> Self {
        let title = "The body is larger than http.body.";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", title)
    }

    /// A request that took too long to arrive or to answer.
    pub(super) fn timeout() -> Self {
        let title = "The request took longer than http.request_timeout.";
        Self::new(StatusCode::REQUEST_TIMEOUT, "request-timeout", title)
    }
}

impl From<Box<Self>> for Problem {
    fn from(boxed: Box<Self>) -> Self {
        *boxed
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        if let Refusal::Store(error) = &refusal {
            tracing::warn!(%error, "http: a question cannot be answered");
        }
        let mut problem = Self::new(status(&refusal), refusal.code(), title(&refusal));
        if matches!(
            refusal,
            Refusal::Changing | Refusal::Unavailable | Refusal::Store(_)
        ) {
            problem.retry_after = Some(SOON);
        }
        match refusal {
            Refusal::Consent(codes) => problem.reason_codes = codes,
            Refusal::NotYet(codes, next) => {
                problem.reason_codes = codes;
                problem.next_allowed = next;
            }
            Refusal::Gone(state) => problem.reason_codes = vec![state],
            Refusal::Form(detail) => problem.detail = Some(detail),
            _ => {}
        }
        problem
    }
}

const fn status(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Unauthenticated | Refusal::Expired => StatusCode::UNAUTHORIZED,
        Refusal::Scope
        | Refusal::PurposeNotAllowed
        | Refusal::PurposeMismatch
        | Refusal::Agreement
        | Refusal::Mode
        | Refusal::Consent(_) => StatusCode::FORBIDDEN,
        Refusal::PurposeMissing | Refusal::PurposeUnknown => StatusCode::BAD_REQUEST,
        Refusal::Stopped | Refusal::NotYet(..) | Refusal::Changing | Refusal::CrmIdTaken => {
            StatusCode::CONFLICT
        }
        Refusal::NotFound => StatusCode::NOT_FOUND,
        Refusal::Gone(_) => StatusCode::GONE,
        Refusal::Form(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Unavailable | Refusal::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

const fn title(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Unauthenticated => {
            "Expected `Authorization: Bearer` with a token that is in force."
        }
        Refusal::Expired => "The token has expired; make a new one with `careloop token create`.",
        Refusal::Scope => "The token's scopes do not permit this.",
        Refusal::PurposeMissing => {
            "State the purpose: `?purpose=TREAT`, or the header Purpose-Of-Use."
        }
        Refusal::PurposeUnknown => "The purpose is none of TREAT, HOPERAT, HMARKT, ETREAT.",
        Refusal::PurposeNotAllowed => "The token does not permit the stated purpose.",
        Refusal::PurposeMismatch => "The task is there for another purpose than the stated one.",
        Refusal::Agreement => "No business associate agreement in force covers the tasks.",
        Refusal::Mode => "The rule, the source or the location only observes.",
        Refusal::Stopped => "All outreach is stopped; ask again when it is resumed.",
        Refusal::Consent(_) => "Consent does not allow it.",
        Refusal::NotFound => "There is nothing of this id.",
        Refusal::Gone(_) => "The task has ended.",
        Refusal::NotYet(..) => {
            "The person may not be contacted yet; ask again when `nextAllowed` says."
        }
        Refusal::Changing => "The person's record is being changed; ask again at once.",
        Refusal::CrmIdTaken => "The id is registered for another person.",
        Refusal::Form(_) => "The body has another form than expected.",
        Refusal::Unavailable | Refusal::Store(_) => "careloop cannot answer now; ask again.",
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"careloop\"");
            headers.insert(WWW_AUTHENTICATE, scheme);
        }
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
