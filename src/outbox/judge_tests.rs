//! Tests of the judgement: no answer revives what has ended, an opt-out always wins.

use jiff::ToSpan as _;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::outbox::events::OptOutScope;
use crate::store::TaskFinding;

fn now() -> Timestamp {
    "2026-11-20T14:00:00Z".parse().unwrap()
}

fn finding(id: u128) -> TaskFinding {
    TaskFinding {
        person: Uuid::from_u128(1),
        id: Uuid::from_u128(id),
        rule: "rule-a".to_owned(),
    }
}

fn task(state: TaskState) -> AnsweredTask {
    AnsweredTask {
        person: Uuid::from_u128(1),
        findings: vec![finding(2)],
        state,
        due_at: now() + 240.hours(),
        sent_version: 1,
        last_at: None,
        contact: (None, None),
        channel: None,
    }
}

fn event(answer: Answer) -> TaskEvent {
    TaskEvent {
        id: "crm-1".to_owned(),
        task: Uuid::from_u128(3),
        version: 1,
        answer,
        topic: None,
        call_back_at: (answer == Answer::CallBackAt).then(|| now() + 48.hours()),
        scope: (answer == Answer::OptedOut).then_some(OptOutScope::All),
        at: now(),
    }
}

#[test]
fn every_answer_to_a_published_task_does_what_the_table_says() {
    for (answer, state) in [
        (Answer::Accepted, TaskState::Accepted),
        (Answer::Attempted, TaskState::InProgress),
        (Answer::LeftMessage, TaskState::InProgress),
        (Answer::Reached, TaskState::InProgress),
        (Answer::Scheduled, TaskState::Completed),
        (Answer::Completed, TaskState::Completed),
        (Answer::Declined, TaskState::Cancelled),
        (Answer::WrongNumber, TaskState::Deferred),
        (Answer::CallBackAt, TaskState::Deferred),
        (Answer::Unreachable, TaskState::Failed),
        (Answer::DoneElsewhere, TaskState::Completed),
        (Answer::ReportedDeceased, TaskState::Cancelled),
        (Answer::OptedOut, TaskState::Cancelled),
    ] {
        let judged = judge(&event(answer), &task(TaskState::Requested), now());
        assert_eq!(judged.next, Some(state), "{}", answer.name());
        assert_eq!(judged.word(), "applied");
        // Whatever ends a task that is not the person's own doing leaves a rest.
        let ends = state.is_terminal() && answer.effect().beyond == crate::care::Beyond::Nothing;
        assert_eq!(judged.rest.is_some(), ends, "{}", answer.name());
    }
}

#[test]
fn a_version_that_never_left_is_only_recorded_unless_the_person_speaks() {
    for answer in Answer::ALL {
        let mut early = event(*answer);
        early.version = 2;
        let judged = judge(&early, &task(TaskState::Requested), now());
        let always = matches!(answer, Answer::OptedOut | Answer::ReportedDeceased);
        assert_eq!(judged.next.is_some(), always, "{}", answer.name());
        assert!(!judged.is_contact);
    }
}

#[test]
fn what_comes_late_counts_where_it_is_an_outcome() {
    for answer in Answer::ALL {
        let mut known = task(TaskState::InProgress);
        known.last_at = Some(now() + 1.hour());
        let judged = judge(&event(*answer), &known, now() + 2.hours());
        let counts = answer.effect().counts_late;
        assert_eq!(judged.next.is_some(), counts, "{}", answer.name());
        // A contact was made, whenever it is told.
        assert_eq!(judged.is_contact, answer.effect().is_contact);
    }
}

#[test]
fn a_topic_of_another_task_moves_nothing() {
    let mut other = event(Answer::Completed);
    other.topic = Some(Uuid::from_u128(99));
    let judged = judge(&other, &task(TaskState::Requested), now());
    assert_eq!((judged.next, judged.word()), (None, "other-topic"));
    other.topic = Some(Uuid::from_u128(2));
    let judged = judge(&other, &task(TaskState::Requested), now());
    assert_eq!(judged.next, Some(TaskState::Completed));
    // One of two: it rests, and the task goes on.
    let mut shared = task(TaskState::Requested);
    shared.findings.push(finding(4));
    let judged = judge(&other, &shared, now());
    assert_eq!(
        (judged.next, judged.rest),
        (None, Some(RestReason::Completed))
    );
    assert!(judged.is_applied());
}

#[test]
fn a_call_back_waits_or_outlives_its_task_and_is_never_far() {
    let mut call = event(Answer::CallBackAt);
    let judged = judge(&call, &task(TaskState::Accepted), now());
    assert_eq!(
        (judged.next, judged.ask_at),
        (Some(TaskState::Deferred), call.call_back_at)
    );
    call.call_back_at = Some(now() + 300.hours());
    let judged = judge(&call, &task(TaskState::Accepted), now());
    assert_eq!(judged.next, Some(TaskState::Cancelled));
    assert_eq!(
        (judged.rest, judged.rest_until),
        (Some(RestReason::CallBack), call.call_back_at)
    );
    call.call_back_at = Some(now() + 9_000.hours());
    let judged = judge(&call, &task(TaskState::Accepted), now());
    assert_eq!(judged.rest_until, Some(now() + LATEST_CALL_BACK));
    call.call_back_at = Some(now() - 9_000.hours());
    assert_eq!(
        judge(&call, &task(TaskState::Accepted), now()).ask_at,
        Some(now())
    );
}

#[test]
fn what_a_person_said_is_heard_though_the_task_was_taken_back_meanwhile() {
    for answer in Answer::ALL {
        let judged = judge(&event(*answer), &task(TaskState::Cancelled), now());
        assert_eq!((judged.next, judged.word()), (None, "state"));
        let settles = answer.effect().rest.is_some() && *answer != Answer::Unreachable;
        assert_eq!(judged.rest.is_some(), settles, "{}", answer.name());
        // The person's own refusal may have ended it: what was said before settles nothing any more.
        let mut declined = task(TaskState::Cancelled);
        declined.last_at = Some(now() + 1.hour());
        assert!(
            judge(&event(*answer), &declined, now() + 2.hours())
                .rest
                .is_none()
        );
    }
}

proptest! {
    /// Any answers in any order, late ones and repeats of the past among them.
    #[test]
    fn no_answer_revives_an_ended_task_and_an_opt_out_always_wins(
        start in proptest::sample::select(TaskState::ALL),
        answers in proptest::collection::vec(
            (proptest::sample::select(Answer::ALL), 0_i64..100, 1_u32..4), 1..20),
    ) {
        let mut known = task(start);
        let mut opted_out = false;
        for (answer, hour, version) in answers {
            let before = known.state;
            let mut said = event(answer);
            said.at = now() + hour.hours();
            said.version = version;
            let judged = judge(&said, &known, now() + 100.hours());
            if before.is_terminal() {
                prop_assert_eq!(judged.next, None);
                prop_assert!(judged.rest.is_none() || before == TaskState::Cancelled);
                prop_assert!(judged.ask_at.is_none());
            }
            if let Some(next) = judged.next {
                known.state = next;
                known.last_at = known.last_at.max(Some(said.at));
            }
            opted_out |= answer == Answer::OptedOut;
            if opted_out {
                // Only consent, asked anew, brings a withheld task back; no answer does.
                prop_assert!(
                    known.state.is_terminal()
                        || matches!(known.state, TaskState::Withheld | TaskState::Observed),
                    "{}", known.state.name()
                );
            }
        }
    }
}
