//! How fast an endpoint is asked: so many at once, so many a second, as late as it wants, and not at
//! all while it is down. Each endpoint has its own pace, so a slow one delays no other.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

use super::Limits;
use super::http::http_date;
use crate::retry::{Backoff, Policy};

/// The longest that a server's `Retry-After` is obeyed, before jitter: some say hours for a minute.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// How long an endpoint that is down is left alone between probes.
const DOWN: Policy = Policy {
    first: Duration::from_secs(5),
    longest: Duration::from_secs(300),
};

/// The endpoint is down, and it is not asked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("left alone for {} s: it failed too often in a row; it is probed then", .0.as_secs() + 1)]
pub struct Down(pub Duration);

/// What `Retry-After` says (RFC 9110, 10.2.3), seconds or a date, cut to what is obeyed.
pub(super) fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_date) if text.chars().all(|c| c.is_ascii_digit()) && !text.is_empty() => LONGEST_WAIT,
        Err(_date) => {
            let until = http_date(text)?.duration_since(now);
            Duration::try_from(until).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

/// Up to a fifth more, so that those who were sent away together do not come back together.
fn spread(wait: Duration, random: u8) -> Duration {
    wait + wait / 5 * u32::from(random) / 255
}

/// Whether the endpoint works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Circuit {
    /// It does, but for so many failures in a row.
    Closed { failures: u32 },
    /// It does not, and is left alone.
    Open { until: Instant },
    /// One request is on its way to find out.
    Probing { since: Instant },
}

/// What becomes of somebody who wants to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Go,
    /// At this time it may look again.
    Later(Instant),
    Down(Duration),
}

/// What is known of an endpoint's pace; the times are arguments.
struct State {
    /// When the next request is due at an even rate.
    due: Instant,
    /// Between two requests at an even rate.
    apart: Duration,
    /// How far ahead of the even rate requests may go.
    ahead: Duration,
    /// Not before this, as the endpoint wants it.
    paused: Instant,
    circuit: Circuit,
    most_failures: u32,
    waits: Backoff,
}

impl State {
    fn of(limits: &Limits, now: Instant) -> Self {
        let apart = Duration::from_secs(1) / limits.per_second.max(1);
        let burst = limits.per_second.max(1).saturating_mul(2);
        Self {
            due: now,
            apart,
            ahead: apart * (burst - 1),
            paused: now,
            circuit: Circuit::Closed { failures: 0 },
            most_failures: limits.failures.max(1),
            waits: Backoff::new(DOWN),
        }
    }

    fn ask(&mut self, now: Instant) -> Ask {
        let is_probe = match self.circuit {
            Circuit::Closed { .. } => false,
            Circuit::Open { until } if now < until => return Ask::Down(until - now),
            Circuit::Open { .. } => true,
            Circuit::Probing { .. } => return Ask::Down(Duration::from_secs(1)),
        };
        if now < self.paused {
            return Ask::Later(self.paused);
        }
        let due = self.due.max(now);
        if due > now + self.ahead {
            return Ask::Later(due - self.ahead);
        }
        self.due = due + self.apart;
        if is_probe {
            self.circuit = Circuit::Probing { since: now };
        }
        Ask::Go
    }

    /// It answered, whatever it said.
    fn answered(&mut self) {
        self.circuit = Circuit::Closed { failures: 0 };
        self.waits.reset();
    }

    /// It failed, or did not answer, a request that went at `went`.
    fn failed(&mut self, went: Instant, now: Instant) {
        let failures = match self.circuit {
            Circuit::Closed { failures } => failures.saturating_add(1),
            // One that went before the probe tells nothing new.
            Circuit::Probing { since } if went >= since => self.most_failures,
            Circuit::Open { .. } | Circuit::Probing { .. } => return,
        };
        self.circuit = match failures >= self.most_failures {
            true => Circuit::Open {
                until: now + self.waits.next_wait(),
            },
            false => Circuit::Closed { failures },
        };
    }

    /// A request ended without telling anything: another one may find out.
    fn abandoned(&mut self, went: Instant, now: Instant) {
        if matches!(self.circuit, Circuit::Probing { since } if went >= since) {
            self.circuit = Circuit::Open { until: now };
        }
    }

    fn pause(&mut self, until: Instant) {
        self.paused = self.paused.max(until);
    }
}

/// The pace of one endpoint.
pub(super) struct Pace {
    places: Semaphore,
    state: Mutex<State>,
}

/// One request's place. Whoever drops it without a word has learnt nothing of the endpoint.
pub(super) struct Pass<'p> {
    pace: &'p Pace,
    went: Instant,
    is_told: bool,
    _place: Option<SemaphorePermit<'p>>,
}

impl Pace {
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            places: Semaphore::new(limits.concurrent.max(1)),
            state: Mutex::new(State::of(limits, Instant::now())),
        }
    }

    /// Waits for a place and for the time to ask.
    pub(super) async fn enter(&self) -> Result<Pass<'_>, Down> {
        // It is never closed; without a place the rate alone would hold.
        let place = self.places.acquire().await.ok();
        loop {
            let now = Instant::now();
            let ask = self.state().ask(now);
            match ask {
                Ask::Go => {
                    return Ok(Pass {
                        pace: self,
                        went: now,
                        is_told: false,
                        _place: place,
                    });
                }
                Ask::Later(at) => sleep_until(at).await,
                Ask::Down(left) => return Err(Down(left)),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// It answered, whatever it said.
    pub(super) fn answered(mut self) {
        self.is_told = true;
        self.pace.state().answered();
    }

    /// It answered that it wants to be left alone for a while.
    pub(super) fn busy(mut self, wait: Duration) {
        self.is_told = true;
        let mut random = [0];
        // Without randomness everybody waits the same time.
        let [random] = match aws_lc_rs::rand::fill(&mut random) {
            Ok(()) => random,
            Err(_failed) => [u8::MAX],
        };
        let mut state = self.pace.state();
        state.answered();
        state.pause(Instant::now() + spread(wait, random));
    }

    /// It failed, or did not answer.
    pub(super) fn failed(mut self) {
        self.is_told = true;
        self.pace.state().failed(self.went, Instant::now());
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            self.pace.state().abandoned(self.went, Instant::now());
        }
    }
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
