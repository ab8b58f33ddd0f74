//! The access token of one endpoint and one set of scopes: asked for once, renewed before it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::header::HeaderValue;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::http::Http;
use super::origin::TokenUrl;
use super::token_request::{self, TokenError};
use super::{Auth, Endpoint, scopes};
use crate::retry::{Backoff, Policy};

/// How long a token holds where its server does not say: what SMART recommends.
const UNSAID: u64 = 300;

/// The longest that a token is believed to hold, whatever its server says.
const LONGEST: u64 = 24 * 60 * 60;

/// Between tries after something that passes by itself.
const FAILED: Policy = Policy {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
};

/// Between tries after a refusal, which a person must mend: an EHR may lock out who insists.
const REFUSED: Policy = Policy {
    first: Duration::from_secs(60),
    longest: Duration::from_secs(60 * 60),
};

/// A difference of the clocks that explains a refusal, once it is known.
const SKEWED: SignedDuration = SignedDuration::from_secs(30);

/// The clocks are never believed to differ by more.
const MOST_SKEWED: SignedDuration = SignedDuration::from_secs(60 * 60);

/// An access token. It cannot be printed.
#[derive(Clone)]
pub(super) struct Token(Arc<Zeroizing<String>>);

impl Token {
    pub(super) fn new(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }

    /// The `Authorization` header; `None` for a token that no header can hold.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let text = Zeroizing::new(format!("Bearer {}", self.0.as_str()));
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What a token server gave.
pub(super) struct Given {
    pub(super) token: Token,
    /// In seconds.
    pub(super) expires_in: Option<u64>,
    /// The scopes; `None` where it does not say.
    pub(super) scope: Option<String>,
}

/// A token and its times.
struct Held {
    token: Token,
    renew_at: Instant,
    ends_at: Instant,
}

/// What is to be done about a token at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Fresh,
    Due,
    Over,
}

impl Held {
    /// A token that was asked for at `asked`: its time began no earlier.
    fn of(given: Given, asked: Instant) -> Self {
        let lasts = given.expires_in.unwrap_or(UNSAID).min(LONGEST);
        Self {
            token: given.token,
            renew_at: asked + renewed_after(Duration::from_secs(lasts)),
            ends_at: asked + Duration::from_secs(lasts),
        }
    }

    fn age(&self, now: Instant) -> Age {
        if now >= self.ends_at {
            Age::Over
        } else if now >= self.renew_at {
            Age::Due
        } else {
            Age::Fresh
        }
    }
}

/// When a token is renewed: at 80 % of its time or 30 seconds before its end, whichever is earlier,
/// but not in the first half of its time.
fn renewed_after(lasts: Duration) -> Duration {
    let most = lasts * 4 / 5;
    let before = lasts.saturating_sub(Duration::from_secs(30));
    most.min(before).max(lasts / 2)
}

/// When nobody asks again, and why.
struct Rest {
    until: Option<Instant>,
    because: Option<TokenError>,
    failed: Backoff,
    refused: Backoff,
}

/// The tokens of one endpoint and one set of scopes.
pub(super) struct Tokens {
    auth: Auth,
    scopes: Vec<String>,
    configured: Option<TokenUrl>,
    known: Mutex<Known>,
    /// Held by whoever asks for a token; the others wait for what comes of it.
    asking: tokio::sync::Mutex<Rest>,
}

#[derive(Default)]
struct Known {
    held: Option<Held>,
    granted: Option<String>,
    discovered: Option<TokenUrl>,
    skew: SignedDuration,
}

impl Tokens {
    pub(super) fn of(endpoint: Endpoint, configured: Option<TokenUrl>) -> Self {
        Self {
            auth: endpoint.auth,
            scopes: endpoint.scopes,
            configured,
            known: Mutex::default(),
            asking: tokio::sync::Mutex::new(Rest {
                until: None,
                because: None,
                failed: Backoff::new(FAILED),
                refused: Backoff::new(REFUSED),
            }),
        }
    }

    /// A token that has not expired.
    pub(super) async fn get(&self, http: &Http) -> Result<Token, TokenError> {
        if let Auth::Bearer(secret) = &self.auth {
            return Ok(Token::new(secret.open().to_owned()));
        }
        let (held, age) = self.held(Instant::now());
        match (held, age) {
            (Some(token), Age::Fresh) => Ok(token),
            // Whoever is first renews it; it serves the others until then.
            (Some(token), Age::Due) => match self.asking.try_lock() {
                Ok(rest) => match self.renew(http, rest).await {
                    Err(error) if self.held(Instant::now()).1 == Age::Over => Err(error),
                    renewed => Ok(renewed.unwrap_or(token)),
                },
                Err(_others_ask) => Ok(token),
            },
            (_, _) => {
                let rest = self.asking.lock().await;
                match self.held(Instant::now()) {
                    (Some(token), Age::Fresh | Age::Due) => Ok(token),
                    _ => self.renew(http, rest).await,
                }
            }
        }
    }

    /// Drops a token that the endpoint does not take; whether another one can be had. A token that
    /// came in its place meanwhile stays.
    pub(super) fn refuse(&self, token: &Token) -> bool {
        let mut known = self.known();
        if known.held.as_ref().is_some_and(|held| held.token.is(token)) {
            known.held = None;
        }
        !matches!(self.auth, Auth::Bearer(_))
    }

    /// The asked scopes that the last token lacks; `None` before there was one, or where its server
    /// did not say what it granted.
    pub(super) fn missing(&self) -> Option<Vec<String>> {
        let known = self.known();
        let missing = scopes::missing(&self.scopes, known.granted.as_deref()?);
        Some(missing.into_iter().map(str::to_owned).collect())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self, now: Instant) -> (Option<Token>, Age) {
        let known = self.known();
        let Some(held) = &known.held else {
            return (None, Age::Over);
        };
        (Some(held.token.clone()), held.age(now))
    }

    async fn renew(
        &self,
        http: &Http,
        mut rest: tokio::sync::MutexGuard<'_, Rest>,
    ) -> Result<Token, TokenError> {
        let now = Instant::now();
        let left = rest.until.map(|until| until.saturating_duration_since(now));
        if let (Some(left), Some(because)) = (left, &rest.because)
            && !left.is_zero()
        {
            return Err(TokenError::Resting {
                seconds: left.as_secs().saturating_add(1),
                because: Box::new(because.clone()),
            });
        }
        match self.ask_twice(http).await {
            Ok((given, asked)) => {
                let token = given.token.clone();
                let mut known = self.known();
                known.granted.clone_from(&given.scope);
                known.held = Some(Held::of(given, asked));
                rest.until = None;
                rest.failed.reset();
                rest.refused.reset();
                Ok(token)
            }
            Err(error) => {
                let wait = match error.is_refusal() {
                    true => rest.refused.next_wait(),
                    false => rest.failed.next_wait(),
                };
                let wait = error.retry_after().map_or(wait, |asked| asked.max(wait));
                rest.until = Some(Instant::now() + wait);
                rest.because = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Asks, and once more after what may pass at once: a failure of the server, a refusal without
    /// any reason, or a clock that the first answer told to be wrong.
    async fn ask_twice(&self, http: &Http) -> Result<(Given, Instant), TokenError> {
        let before = self.known().skew;
        match self.ask(http).await {
            Err(error) if error.may_pass_at_once() => self.ask(http).await,
            Err(error) if error.is_refusal() => {
                let learnt = self.known().skew - before;
                match learnt.abs() > SKEWED {
                    true => self.ask(http).await,
                    false => Err(error),
                }
            }
            answer => answer,
        }
    }

    async fn ask(&self, http: &Http) -> Result<(Given, Instant), TokenError> {
        let url = self.token_url(http).await?;
        let (asked, skew) = (Instant::now(), self.known().skew);
        let asks = token_request::Asks {
            auth: &self.auth,
            scopes: &self.scopes,
            url: &url,
            skew,
        };
        let heard = token_request::send(http, &asks).await?;
        if let Some(skew) = heard.skew() {
            self.known().skew = skew.clamp(-MOST_SKEWED, MOST_SKEWED);
        }
        let given = token_request::read(&heard);
        if matches!(given, Err(TokenError::Status(_))) {
            // It may have moved.
            self.known().discovered = None;
        }
        Ok((given?, asked))
    }

    async fn token_url(&self, http: &Http) -> Result<TokenUrl, TokenError> {
        if let Some(url) = &self.configured {
            return Ok(url.clone());
        }
        let known = self.known().discovered.clone();
        if let Some(url) = known {
            return Ok(url);
        }
        let offer = super::smart::discover(http).await?;
        token_request::fits(&self.auth, &offer)?;
        self.known().discovered = Some(offer.token_url.clone());
        Ok(offer.token_url)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn held(seconds: u64, asked: Instant) -> Held {
        let given = Given {
            token: Token::new("TEST-TOKEN".to_owned()),
            expires_in: Some(seconds),
            scope: None,
        };
        Held::of(given, asked)
    }

    #[test]
    fn a_token_is_renewed_before_it_ends() {
        for (lasts, renewed) in [
            (300, 240),
            (60, 30),
            (100, 70),
            (3600, 2880),
            (20, 10),
            (0, 0),
        ] {
            let after = renewed_after(Duration::from_secs(lasts));
            assert_eq!(after.as_secs(), renewed, "{lasts}");
        }
    }

    #[test]
    fn a_header_that_cannot_be_is_no_token() {
        assert!(Token::new("a\r\nb: c".to_owned()).header().is_none());
        assert!(
            Token::new("abc".to_owned())
                .header()
                .unwrap()
                .is_sensitive()
        );
    }

    proptest! {
        #[test]
        fn no_token_is_used_when_it_is_over(lasts in 0u64..40, passed in 0u64..50) {
            let asked = Instant::now();
            let held = held(lasts, asked);
            let age = held.age(asked + Duration::from_secs(passed));
            prop_assert_eq!(age == Age::Over, passed >= lasts);
            prop_assert!(held.renew_at <= held.ends_at);
        }

        #[test]
        fn whatever_a_server_says_a_token_has_an_end(lasts in any::<u64>()) {
            let asked = Instant::now();
            let age = held(lasts, asked).age(asked + Duration::from_secs(LONGEST));
            prop_assert_eq!(age, Age::Over);
        }
    }
}
