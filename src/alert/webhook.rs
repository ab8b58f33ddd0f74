//! Tells a trouble, and its end, to a web address: names, counts and instants, nothing of a person.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::Kind;
use crate::config::{AlertsConfig, Secret};
use crate::store::TroubleRow;

/// How long an answer may take.
const WITHIN: Duration = Duration::from_secs(10);

/// Why something was not told; it is told again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client cannot be made.
    #[error("alerts.webhook: no HTTPS client can be made; check the system's certificates")]
    Client(#[source] reqwest::Error),
    /// Nobody answered.
    #[error("alerts.webhook: expected an answer within {WITHIN:?}, found none; check the address")]
    Unreachable,
    /// The answer was no.
    #[error("alerts.webhook: expected status 2xx, found {0}; check the address and alerts.token")]
    Refused(u16),
}

/// An address that is told.
pub struct Webhook {
    client: reqwest::Client,
    url: Secret,
    token: Option<Secret>,
}

/// What is told.
#[derive(Serialize)]
struct Notice<'a> {
    version: u8,
    /// The trouble; its end carries the same.
    id: String,
    /// `firing` or `resolved`.
    state: &'static str,
    tenant: &'a str,
    kind: &'a str,
    subject: &'a str,
    since: Timestamp,
    resolved: Option<Timestamp>,
    meaning: &'static str,
    first_step: &'static str,
}

impl Webhook {
    /// The address that the configuration names, if it names one.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn of(config: &AlertsConfig) -> Result<Option<Self>, Error> {
        let Some(url) = &config.webhook else {
            return Ok(None);
        };
        let client = reqwest::Client::builder()
            .timeout(WITHIN)
            .redirect(reqwest::redirect::Policy::none()) // the token goes nowhere else
            .build()
            .map_err(Error::Client)?;
        Ok(Some(Self {
            client,
            url: url.clone(),
            token: config.token.clone(),
        }))
    }

    /// Tells a trouble or its end.
    ///
    /// # Errors
    /// When nobody took it.
    pub async fn tell(&self, tenant: &str, trouble: &TroubleRow) -> Result<(), Error> {
        let (meaning, first_step) = Kind::explain(&trouble.kind);
        let notice = Notice {
            version: 1,
            id: trouble.id.to_string(),
            state: if trouble.resolved_at.is_some() {
                "resolved"
            } else {
                "firing"
            },
            tenant,
            kind: &trouble.kind,
            subject: &trouble.subject,
            since: trouble.since_at,
            resolved: trouble.resolved_at,
            meaning,
            first_step,
        };
        let mut request = self.client.post(self.url.open()).json(&notice);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.open());
        }
        // The client's own errors quote the address, which may hold a secret.
        let answer = request
            .send()
            .await
            .map_err(|_quoting: reqwest::Error| Error::Unreachable)?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(Error::Refused(answer.status().as_u16()))
        }
    }
}
