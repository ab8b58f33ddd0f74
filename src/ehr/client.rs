//! Asking one endpoint: an address within its origin, at its pace, with a token, until it answers.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use tokio::time::sleep;

use super::http::{Content, FHIR_JSON, Heard, Http, Setup, Transport};
use super::origin::Refused;
use super::pace::{Down, Pace, Pass, retry_after};
use super::smart::{self, DiscoveryError, Offer};
use super::token::{Token, Tokens};
use super::token_request::TokenError;
use super::{Auth, Endpoint};
use crate::fhir::{Document, Outcome};
use crate::retry::{Backoff, Policy};

/// Between the tries of one question.
const BETWEEN: Policy = Policy {
    first: Duration::from_millis(500),
    longest: Duration::from_secs(10),
};

/// What an endpoint answered. The body tells of people: there is no `Debug`.
pub struct Answer {
    /// The resource or Bundle, as JSON that nobody has read yet.
    pub body: Vec<u8>,
    /// The server's clock when it answered, where it says it.
    pub date: Option<Timestamp>,
}

/// Why there is no answer to use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was not asked: the address is not of the endpoint.
    #[error("endpoint: {0}")]
    Address(#[from] Refused),
    /// It was not asked: it is down.
    #[error("endpoint: {0}")]
    Down(#[from] Down),
    /// It was not asked: there is no token.
    #[error("endpoint: {0}")]
    Token(#[from] TokenError),
    /// No answer that could be heard to the end.
    #[error("endpoint: {0}")]
    Transport(Transport),
    /// It sends elsewhere, where nobody follows.
    #[error(
        "endpoint: expected an answer, found status {0}, which sends the client elsewhere; nobody \
         follows it: configure the address that is right"
    )]
    Redirected(u16),
    /// It does not take a new token either.
    #[error(
        "endpoint: expected the token to be taken, found status 401 twice; check the client's \
         registration at the endpoint"
    )]
    Unauthorized,
    /// It said no.
    #[error("endpoint: expected status 200, found {}; {}", .0.status, .0.advice())]
    Refused(Box<Refusal>),
    /// It answered something else than FHIR in JSON.
    #[error("endpoint: expected {FHIR_JSON}, found {0}; check the base address")]
    NotFhir(Content),
    /// It is busy, and was after several tries.
    #[error("endpoint: expected an answer, found status {0} each time; it is busy, ask later")]
    Busy(u16),
}

/// What an endpoint refused, and its reasons, whose texts may tell of people.
#[derive(Debug)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// What it says, where that is an OperationOutcome.
    pub outcome: Option<Outcome>,
}

impl Refusal {
    const fn advice(&self) -> &'static str {
        match self.status {
            400 | 422 => "the endpoint does not take the question as it was put",
            403 => "check the granted scopes, and what the EHR permits the client's user",
            404 | 410 => "there is no such resource, or no longer",
            406 | 415 => "the endpoint does not speak FHIR in JSON",
            500..=599 => "the endpoint failed; it was asked more than once",
            _ => "the endpoint says no",
        }
    }
}

/// A client of one endpoint.
pub struct Client {
    http: Http,
    pace: Pace,
    tokens: Tokens,
    tries: u32,
}

/// What comes of one try.
enum Try<'p> {
    Done(Answer),
    /// With a new token it may work, and nobody can tell yet whether the endpoint does.
    Unauthorized(Pass<'p>),
    /// Asked again it may work; the pace knows when, if nothing is said.
    Again(Error, Option<Duration>),
    Never(Error),
}

impl Client {
    /// Makes a client; nothing is sent yet.
    ///
    /// # Errors
    /// An address, a certificate or a header that cannot be used.
    pub fn new(endpoint: Endpoint) -> Result<Self, Setup> {
        let http = Http::of(&endpoint)?;
        if let Auth::Bearer(secret) = &endpoint.auth {
            let token = Token::new(secret.open().to_owned());
            token.header().ok_or(Setup::Bearer)?;
        }
        let token_url = endpoint.token_url.as_deref();
        let token_url = token_url.map(|text| http.base().configured_token_url(text));
        Ok(Self {
            pace: Pace::of(&endpoint.limits),
            tries: endpoint.limits.tries.max(1),
            tokens: Tokens::of(endpoint, token_url.transpose().map_err(Setup::TokenUrl)?),
            http,
        })
    }

    /// Reads a resource, a search or a page: a path below the base (`Patient/1`) or a whole URL of
    /// the endpoint's origin, such as a `next` link. While the endpoint is busy or fails it is asked
    /// again; a token that is not taken is replaced once. Each try may take `Limits::total`, and a
    /// busy endpoint may be waited for up to six minutes between two of them: who has less time ends
    /// it by dropping the future.
    ///
    /// # Errors
    /// No answer to use. What it says of the endpoint is in words of careloop's own.
    pub async fn get(&self, place: &str) -> Result<Answer, Error> {
        let url = self.http.base().url(place)?;
        let mut waits = Backoff::new(BETWEEN);
        let mut left = self.tries;
        let mut is_renewed = false;
        loop {
            let pass = self.pace.enter().await?;
            let token = self.tokens.get(&self.http).await?;
            let heard = self.ask(&url, &token).await;
            left = left.saturating_sub(1);
            match judged(heard, pass, &mut waits) {
                Try::Done(answer) => return Ok(answer),
                Try::Never(error) => return Err(error),
                Try::Unauthorized(pass) => {
                    // The new one is kept: an endpoint that takes none costs one token a question.
                    if is_renewed || !self.tokens.refuse(&token) {
                        pass.failed();
                        return Err(Error::Unauthorized);
                    }
                    is_renewed = true;
                    left = left.max(1);
                }
                Try::Again(error, _) if left == 0 => return Err(error),
                Try::Again(_, Some(wait)) => sleep(wait).await,
                Try::Again(_, None) => {}
            }
        }
    }

    /// Asks the endpoint what it says of tokens, whatever is configured.
    ///
    /// # Errors
    /// When it says nothing that can be used.
    pub async fn discover(&self) -> Result<Offer, DiscoveryError> {
        smart::discover(&self.http).await
    }

    /// The asked scopes that the last token lacks, by name: what they stand for will be refused.
    /// `None` before there was a token, or where its server did not say what it granted.
    #[must_use]
    pub fn missing_scopes(&self) -> Option<Vec<String>> {
        self.tokens.missing()
    }

    async fn ask(&self, url: &Url, token: &Token) -> Result<Heard, Transport> {
        let mut request = self.http.get(url.clone()).header(ACCEPT, FHIR_JSON);
        if let Some(value) = token.header() {
            request = request.header(AUTHORIZATION, value);
        }
        self.http.resource(request).await
    }
}

/// Judges an answer, and tells the pace of it.
fn judged<'p>(heard: Result<Heard, Transport>, pass: Pass<'p>, waits: &mut Backoff) -> Try<'p> {
    let heard = match heard {
        Ok(heard) => heard,
        Err(Transport::TooLarge { cap }) => {
            pass.answered();
            return Try::Never(Error::Transport(Transport::TooLarge { cap }));
        }
        Err(error) => {
            pass.failed();
            // A certificate does not get better by asking again.
            return match error {
                Transport::Certificate => Try::Never(Error::Transport(error)),
                _ => Try::Again(Error::Transport(error), Some(waits.next_wait())),
            };
        }
    };
    match heard.status {
        200..=299 => {
            pass.answered();
            done(heard)
        }
        401 => Try::Unauthorized(pass),
        300..=399 => {
            pass.answered();
            Try::Never(Error::Redirected(heard.status))
        }
        429 | 503 => {
            let said = heard
                .retry_after()
                .and_then(|text| retry_after(text, heard.at));
            if heard.status == 503 && said.is_none() {
                pass.failed();
                return Try::Again(Error::Busy(heard.status), Some(waits.next_wait()));
            }
            // Everybody who asks this endpoint waits.
            pass.busy(said.unwrap_or_else(|| waits.next_wait()));
            Try::Again(Error::Busy(heard.status), None)
        }
        500..=599 => {
            pass.failed();
            Try::Again(refused(&heard), Some(waits.next_wait()))
        }
        _ => {
            pass.answered();
            Try::Never(refused(&heard))
        }
    }
}

fn done<'p>(heard: Heard) -> Try<'p> {
    match heard.content {
        Content::Json => Try::Done(Answer {
            body: heard.body,
            date: heard.date,
        }),
        other => Try::Never(Error::NotFhir(other)),
    }
}

fn refused(heard: &Heard) -> Error {
    let document = Document::read(&heard.body).ok();
    Error::Refused(Box::new(Refusal {
        status: heard.status,
        outcome: document.and_then(|document| Outcome::of(&document.root())),
    }))
}
