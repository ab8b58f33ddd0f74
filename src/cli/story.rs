//! `careloop task story`: the whole story of one task, in the order in which it happened.

use jiff::Timestamp;

use super::output;
use crate::store::{AnswerTold, TaskStory, VersionTold};

/// Prints the story, the oldest first, and what comes next.
pub(super) fn tell(story: &TaskStory) -> std::io::Result<()> {
    let task = &story.task;
    output::line(&format!(
        "task {} for person {}: {}, version {}, goes to {}, due {}",
        task.id, task.person, task.state, task.version, task.routing_key, task.due_at
    ))?;
    let mut moments: Vec<(Timestamp, String)> = Vec::new();
    for decision in &story.decisions {
        let when = match decision.stage.as_str() {
            "published" => "before it left",
            _ => "when it was made",
        };
        let says = format!(
            "consent, asked {when}: {}. {}",
            decision.result, decision.sentence
        );
        moments.push((decision.at, says));
    }
    for version in &story.versions {
        moments.extend(version_moments(version));
    }
    for answer in &story.answers {
        moments.push((answer.received_at, answered(answer)));
    }
    moments.sort_by_key(|(at, _)| *at);
    for (at, says) in moments {
        output::line(&format!("{at:.0}  {says}"))?;
    }
    output::line(&next(story))
}

fn version_moments(version: &VersionTold) -> Vec<(Timestamp, String)> {
    let number = version.version;
    let why = version.status_reason.as_deref().unwrap_or("no reason kept");
    let queued = match version.kind.as_str() {
        "cancelled" => format!("a cancellation was queued as version {number}: {why}"),
        "revised" => format!(
            "version {number} was queued to revise it, for {}",
            version.routing_key
        ),
        _ => format!("version {number} was queued for {}", version.routing_key),
    };
    let mut moments = vec![(version.created_at, queued)];
    match (version.sent_at, version.state.as_str()) {
        (Some(sent), _) => {
            moments.push((sent, format!("the broker has version {number}")));
        }
        (None, "withdrawn" | "dropped") => moments.push((
            version.created_at,
            format!("version {number} did not leave: {why}"),
        )),
        (None, _) => {
            let outcome = version.last_outcome.as_deref().unwrap_or("not tried yet");
            let tries = version.attempts;
            let says = format!("version {number} waits to leave ({tries} tries, {outcome})");
            moments.push((version.created_at, says));
        }
    }
    if let Some((at, reason)) = &version.returned {
        let says = format!("the broker gave version {number} back: {reason}");
        moments.push((*at, says));
    }
    moments
}

fn answered(answer: &AnswerTold) -> String {
    let what = format!(
        "the CRM answered to version {}: {} at {:.0}",
        answer.version, answer.kind, answer.at
    );
    let came_to = match answer.effect.as_str() {
        "" | "applied" => return what,
        "version-not-sent" => "that version never left",
        "late" => "a later answer had come first",
        "other-topic" => "it named a topic that is not of this task",
        "unknown-task" => "the task was not here",
        _ => "the task's state takes no such answer",
    };
    format!("{what}; recorded, not applied: {came_to}")
}

/// What comes next, in a sentence.
fn next(story: &TaskStory) -> String {
    if let Some((reason, until, raised)) = &story.rest {
        let before = match raised {
            0 => String::new(),
            1 => " One task came to nothing before.".to_owned(),
            n => format!(" {n} tasks came to nothing before."),
        };
        return match until {
            Some(until) => format!(
                "next: its finding rests ({reason}) until {until:.0}; without evidence by then it is raised again.{before}"
            ),
            None => format!(
                "next: its finding was raised again, or given up after everybody was asked ({reason}); see `careloop task list --person {}`.{before}",
                story.task.person
            ),
        };
    }
    if let Some(since) = story.unanswered_at {
        return format!(
            "next: unanswered since {since:.0}: it went to everybody it could go to ({} times to a wider team); it expires at {}",
            story.escalations, story.task.due_at
        );
    }
    if let Some(at) = story.escalate_at {
        return format!("next: unless somebody takes it, it goes to a wider team at {at:.0}");
    }
    let reason = story.task.reason.as_deref().unwrap_or("");
    match story.task.state.as_str() {
        "requested" => format!("next: it waits for an answer until {}", story.task.due_at),
        "accepted" | "in-progress" => format!(
            "next: somebody has it ({} contacts so far); it expires at {}",
            story.contacts, story.task.due_at
        ),
        "deferred" => format!(
            "next: it is asked again at {}. {reason}",
            story
                .task
                .next_allowed_at
                .as_deref()
                .unwrap_or("the time that the CRM named")
        ),
        "withheld" | "observed" => format!("next: it stays until that changes. {reason}"),
        "queued" => "next: it leaves as soon as the broker takes it".to_owned(),
        _ => "next: nothing; it has ended".to_owned(),
    }
}
