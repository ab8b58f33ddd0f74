//! What one answer means for one task: whether it still counts, and what it moves.

use jiff::{SignedDuration, Timestamp};

use super::events::TaskEvent;
use crate::care::{Answer, RestReason, TaskState};
use crate::store::AnsweredTask;

/// The longest time that somebody may be called back after.
const LATEST_CALL_BACK: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What an answer comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    /// The task's next state; `None` where it keeps its own, for a reason of its own or because
    /// the answer spoke of one of several topics.
    pub(super) next: Option<TaskState>,
    /// Why it is not applied.
    why: Option<Unapplied>,
    /// When the task is to be asked again.
    pub(super) ask_at: Option<Timestamp>,
    /// Why the finding rests.
    pub(super) rest: Option<RestReason>,
    /// Until when, where that does not follow from the configuration.
    pub(super) rest_until: Option<Timestamp>,
    /// Whether it is a contact that counts.
    pub(super) is_contact: bool,
}

/// Why an answer moves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unapplied {
    /// It speaks of a version that never left.
    Unsent,
    /// A later answer came first.
    Late,
    /// It speaks of a topic that is not the task's.
    OtherTopic,
    /// The state does not take it.
    State,
}

impl Judged {
    /// Whether it counts.
    pub(super) const fn is_applied(&self) -> bool {
        self.why.is_none()
    }

    /// What became of the answer, in the word that is stored with it.
    pub(super) const fn word(&self) -> &'static str {
        match self.why {
            None => "applied",
            Some(Unapplied::Unsent) => "version-not-sent",
            Some(Unapplied::Late) => "late",
            Some(Unapplied::OtherTopic) => "other-topic",
            Some(Unapplied::State) => "state",
        }
    }
}

/// Judges an answer. A person who speaks for themselves (an opt-out) or is said to be dead counts
/// whatever version was answered; everything else only for a version that left.
pub(super) fn judge(event: &TaskEvent, task: &AnsweredTask, now: Timestamp) -> Judged {
    let effect = event.answer.effect();
    let always = matches!(event.answer, Answer::OptedOut | Answer::ReportedDeceased);
    let was_sent = i64::from(event.version) <= task.sent_version;
    let is_late = task.last_at.is_some_and(|last| event.at < last) && !effect.counts_late;
    let stands = |topic| task.findings.iter().any(|finding| finding.id == topic);
    let other = event.topic.is_some_and(|topic| !stands(topic));
    let mut judged = Judged {
        next: None,
        why: None,
        ask_at: None,
        rest: None,
        rest_until: None,
        is_contact: effect.is_contact && was_sent,
    };
    judged.why = if !was_sent && !always {
        Some(Unapplied::Unsent)
    } else if is_late {
        Some(Unapplied::Late)
    } else if other {
        Some(Unapplied::OtherTopic)
    } else {
        judged.next = task.state.after(effect.task);
        judged.next.is_none().then_some(Unapplied::State)
    };
    if judged.next.is_none() {
        let is_last = task.last_at.is_none_or(|last| event.at >= last);
        let is_taken_back = task.state == TaskState::Cancelled && is_last;
        if judged.why == Some(Unapplied::State)
            && is_taken_back
            && event.answer != Answer::Unreachable
        {
            // The task was taken back while the person answered: nobody asks again what was settled.
            judged.rest = effect.rest;
        }
        return judged;
    }
    judged.rest = effect.rest;
    if event.topic.is_some() && task.findings.len() > 1 {
        // The others go on: the task is revised without this one.
        judged.next = None;
        return judged;
    }
    match (event.answer, event.call_back_at) {
        (Answer::WrongNumber, _) => judged.ask_at = Some(now),
        (Answer::CallBackAt, Some(asked)) => {
            let asked = asked.clamp(now, now + LATEST_CALL_BACK);
            if asked < task.due_at {
                judged.ask_at = Some(asked);
            } else {
                // The person's wish outlives the task: another one is made at that time.
                judged.next = Some(TaskState::Cancelled);
                judged.rest = Some(RestReason::CallBack);
                judged.rest_until = Some(asked);
            }
        }
        _ => {}
    }
    judged
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
