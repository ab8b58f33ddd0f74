//! What one step of a station came to, and the rest in which the next one's work gathers.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Whether there was something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// As much was done as goes at once; more waits.
    Worked,
    /// All that waited was done.
    CaughtUp,
    /// There is nothing to do now.
    Idle,
}

impl Step {
    /// The step that did `done` where `at_once` go together.
    pub fn after(done: usize, at_once: u32) -> Self {
        let has_room = u32::try_from(done).is_ok_and(|done| done < at_once);
        if has_room {
            Self::CaughtUp
        } else {
            Self::Worked
        }
    }
}

/// Rests for `pause`, or until told to stop: what comes meanwhile is done together, in the commits
/// and statements of one. Without it a station that is as fast as its sender does all work singly.
pub async fn gather(pause: Duration, stop: &CancellationToken) {
    // Either end is a good one.
    let _rested: Option<()> = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_did_less_than_it_may_has_caught_up() {
        assert_eq!(Step::after(63, 64), Step::CaughtUp);
        assert_eq!(Step::after(64, 64), Step::Worked);
    }

    #[tokio::test]
    async fn a_rest_ends_when_told_to_stop() {
        let stop = CancellationToken::new();
        stop.cancel();
        gather(Duration::from_secs(3600), &stop).await;
    }
}
