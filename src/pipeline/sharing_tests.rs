//! Properties of shared tasks that hold after any sequence of evidence, visits, consents and answers.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::care::FindingState;
use crate::store::Effects;

#[path = "sharing_world.rs"]
mod world;
use world::{Happens, World, happens};

impl World {
    fn check_findings(&self) -> Result<(), TestCaseError> {
        for finding in &self.record.findings {
            let standing = |task: &&&TaskRow| task.stands_for(finding.id);
            let served = self.unfinished().iter().filter(standing).count();
            prop_assert!(served <= 1, "a finding stands in {served} tasks");
            let over = self.record.tasks.iter();
            let is_over = over
                .filter(|task| task.state.is_terminal())
                .any(|task| task.stands_for(finding.id));
            let open = finding.state == FindingState::Open;
            prop_assert!(
                !open || served == 1 || is_over,
                "an open finding has no task"
            );
            prop_assert!(
                finding.state.asks() || served == 0,
                "{}",
                finding.state.name()
            );
        }
        Ok(())
    }

    fn check_tasks(&self) -> Result<(), TestCaseError> {
        let keys: BTreeSet<&[u8]> = self.record.tasks.iter().map(|t| t.key.as_slice()).collect();
        prop_assert_eq!(
            keys.len(),
            self.record.tasks.len(),
            "two tasks have one key"
        );
        for task in self.unfinished() {
            let topics: Vec<&TaskTopic> = task.live_topics().collect();
            prop_assert!((1..=MAX_TOPICS).contains(&topics.len()));
            prop_assert!(
                topics
                    .iter()
                    .all(|topic| topic.priority <= task.detail.priority)
            );
            prop_assert!(
                topics
                    .iter()
                    .all(|topic| topic.content <= task.detail.content)
            );
            prop_assert!(topics.iter().all(|topic| topic.due_at >= task.due_at));
            prop_assert!(!task.detail.channels.is_empty(), "no channel suits all");
        }
        let parted = self.round(|round| {
            let untold = |task: &&&TaskRow| !was_told(task);
            let tasks = self.unfinished();
            let apart = tasks.iter().filter(untold);
            apart
                .filter(|task| round.host(task, &self.record).is_some())
                .count()
        });
        prop_assert_eq!(parted, 0, "two tasks could be one");
        Ok(())
    }
}

/// What is told of a task changes only with what was told before: no revision of what never left,
/// none beside a first envelope, and none after the end.
fn check_effects(
    before: &BTreeMap<Uuid, TaskState>,
    effects: &Effects,
) -> Result<(), TestCaseError> {
    for revision in &effects.revisions {
        let was = before.get(&revision.task);
        prop_assert!(
            was.is_some_and(|state| state.has_left()),
            "nothing to revise"
        );
        let first = effects.envelopes.iter();
        prop_assert!(first.filter(|one| one.task == revision.task).count() == 0);
        let ends = effects.withdrawals.iter();
        prop_assert!(ends.filter(|one| one.task == revision.task).count() == 0);
    }
    for envelope in &effects.envelopes {
        let was = before.get(&envelope.task);
        prop_assert!(was.is_none_or(|state| !state.has_left()), "queued twice");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_open_finding_stands_in_one_task_and_no_two_tasks_could_be_one(
        sequence in prop::collection::vec(happens(), 1..25)
    ) {
        let mut world = World::new();
        world.look(true);
        for what in sequence {
            let mut retold = world.meet(what);
            // What one look decides may let another task fit at the next.
            for _ in 0..4 {
                let before = world.record.tasks.iter().map(|task| (task.id, task.state)).collect();
                let effects = world.look(retold);
                check_effects(&before, &effects)?;
                retold = false;
                if effects.tasks.is_empty() && effects.findings.is_empty() {
                    break;
                }
            }
            world.check_findings()?;
            world.check_tasks()?;
        }
    }
}

#[test]
fn findings_that_open_together_share_one_task_and_an_urgent_one_leads_it() {
    let mut world = World::new();
    world.look(true);
    let tasks = world.unfinished();
    let urgent = tasks
        .iter()
        .find(|task| task.detail.priority == crate::crm::Priority::Urgent);
    let rules: Vec<&str> = urgent
        .unwrap()
        .live_topics()
        .map(|topic| topic.rule.as_str())
        .collect();
    // "c" goes by text message only, and "e" is due much later.
    assert_eq!(rules, ["rule-d", "rule-b", "rule-a"]);
    assert_eq!(tasks.len(), 3);
}

#[test]
fn a_closed_reason_leaves_and_the_last_one_ends_the_task() {
    let mut world = World::new();
    world.look(true);
    world.meet(Happens::Confirmed);
    world.meet(Happens::Evidence(3));
    let effects = world.look(false);
    assert_eq!(effects.revisions.len(), 1);
    assert!(effects.withdrawals.is_empty());
    world.meet(Happens::Evidence(1));
    world.meet(Happens::Evidence(0));
    let effects = world.look(false);
    let reasons: Vec<&str> = effects.withdrawals.iter().map(|one| one.reason).collect();
    assert_eq!(reasons, ["gap-closed"]);
}

#[test]
fn a_reason_that_consent_denies_goes_on_alone_and_the_others_stay() {
    let mut world = World::new();
    world.look(true);
    world.meet(Happens::Confirmed);
    let retold = world.meet(Happens::Consent(None, Some(ContentClass::C2), false));
    world.look(retold);
    let withheld = world
        .unfinished()
        .into_iter()
        .filter(|task| task.state == TaskState::Withheld);
    let rules: Vec<String> = withheld
        .flat_map(TaskRow::live_topics)
        .map(|topic| topic.rule.clone())
        .collect();
    assert_eq!(rules, ["rule-d", "rule-b"]);
    let told = world
        .unfinished()
        .into_iter()
        .filter(|task| task.state.was_published());
    assert!(
        told.flat_map(TaskRow::live_topics)
            .any(|topic| topic.rule == "rule-a")
    );
}

#[test]
fn a_parked_finding_comes_back_with_a_task_of_its_own_key() {
    let mut world = World::new();
    world.look(true);
    world.meet(Happens::Visit(2, "booked"));
    let effects = world.look(false);
    assert_eq!(effects.withdrawals.len(), 1);
    assert!(
        world
            .record
            .findings
            .iter()
            .any(|one| one.state == FindingState::Parked)
    );
    world.meet(Happens::Visit(2, "noshow"));
    world.look(false);
    let of_rule = |task: &&TaskRow| task.detail.topics.iter().any(|one| one.rule == "rule-c");
    let tasks: Vec<&TaskRow> = world.record.tasks.iter().filter(of_rule).collect();
    let states: Vec<TaskState> = tasks.iter().map(|task| task.state).collect();
    assert!(
        states.contains(&TaskState::Cancelled),
        "the first stays ended"
    );
    assert_eq!(tasks.len(), 2);
    assert_ne!(tasks[0].key, tasks[1].key);
}

#[test]
fn a_task_that_nobody_was_told_of_outlives_its_date_and_one_that_was_told_of_ends() {
    let mut world = World::new();
    world.look(true);
    let reasons =
        |tasks: &[&TaskRow]| -> usize { tasks.iter().map(|task| task.live_topics().count()).sum() };
    let before = reasons(&world.unfinished());
    world.meet(Happens::Hours(24 * 120));
    world.look(false);
    let tasks = world.unfinished();
    assert_eq!(reasons(&tasks), before, "each reason stands in a task");
    let (now, count) = (world.now(), tasks.len());
    assert!(tasks.iter().all(|task| task.due_at > now));
    world.meet(Happens::Confirmed);
    world.meet(Happens::Hours(24 * 120));
    world.look(false);
    let expired = |task: &&TaskRow| task.state == TaskState::Expired;
    assert_eq!(world.record.tasks.iter().filter(expired).count(), count);
}
