//! Any sequence of links, merges undone and people kept apart: never a circle, and what is undone is
//! as it was.

use std::collections::HashMap;
use std::sync::Arc;

use careloop::config::{Config, Environment};
use careloop::daemon;
use careloop::phi::Phi;
use careloop::pipeline::{Decider, Identities};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::said::{DIABETES, Said};

/// People of one sequence.
const PEOPLE: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    Link(usize, usize),
    Unmerge(usize),
    Apart(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..PEOPLE;
    prop_oneof![
        3 => (who(), who()).prop_map(|(a, b)| Step::Link(a, b)),
        2 => who().prop_map(Step::Unmerge),
        1 => (who(), who()).prop_map(|(a, b)| Step::Apart(a, b)),
    ]
}

/// What can be seen of a person.
#[derive(Debug, PartialEq)]
struct Seen {
    root: Uuid,
    members: usize,
    open: usize,
    live: usize,
    contacts: usize,
    opt_outs: usize,
}

struct World<'a> {
    hub: &'a Hub,
    identities: Identities,
    decider: Decider,
    people: Vec<Uuid>,
    /// Who went into whom, as the test believes.
    gone: HashMap<usize, usize>,
}

impl World<'_> {
    fn root(&self, mut one: usize) -> usize {
        while let Some(next) = self.gone.get(&one) {
            one = *next;
        }
        one
    }

    async fn see(&self, one: usize) -> Seen {
        let record = self.hub.record(self.people[one]).await;
        let tasks = record.tasks.iter();
        Seen {
            root: record.person,
            members: record.members.len(),
            open: record
                .findings
                .iter()
                .filter(|finding| finding.state.is_live())
                .count(),
            live: tasks.filter(|task| !task.state.is_terminal()).count(),
            contacts: record
                .contacts
                .iter()
                .filter(|row| row.ended_at.is_none())
                .count(),
            opt_outs: record.opt_outs.len(),
        }
    }

    async fn see_all(&self) -> Vec<Seen> {
        let mut seen = Vec::new();
        for one in 0..PEOPLE {
            seen.push(self.see(one).await);
        }
        seen
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Link(a, b) => {
                let (gone, keep) = (self.root(a), self.root(b));
                self.identities
                    .link(self.people[a], self.people[b], &self.decider)
                    .await
                    .unwrap();
                if gone != keep {
                    self.gone.insert(gone, keep);
                }
            }
            Step::Unmerge(a) => {
                let done = self
                    .identities
                    .unmerge(self.people[a], &self.decider)
                    .await
                    .unwrap();
                assert_eq!(done.changed, self.gone.remove(&a).is_some());
            }
            Step::Apart(a, b) => {
                let pair = (self.people[a], self.people[b]);
                let done = self.identities.keep_apart(pair, &self.decider).await;
                assert_eq!(done.is_err(), self.root(a) == self.root(b));
            }
        }
    }

    async fn check(&self) {
        for one in 0..PEOPLE {
            let seen = self.see(one).await;
            assert_eq!(
                seen.root,
                self.people[self.root(one)],
                "one end, and the right one"
            );
            assert_eq!(
                (seen.open, seen.live),
                (1, 1),
                "one finding and one task each: {seen:?}"
            );
        }
    }
}

async fn sequence(hub: &Hub, identities: Identities, steps: Vec<Step>, run: usize) {
    let numbers: Vec<String> = (0..PEOPLE).map(|one| format!("TEST-{run}-{one}")).collect();
    let ids: Vec<String> = numbers.iter().map(|number| format!("D-{number}")).collect();
    let said = numbers.iter().zip(&ids);
    let said: Vec<Said<'_>> = said
        .map(|(number, id)| Said::of("ADT^A08", id, number).with(DIABETES))
        .collect();
    hub.hear(&said).await;
    let mut people = Vec::new();
    for number in &numbers {
        people.push(hub.person(number).await);
    }
    let decider = Decider {
        operator: "Test Operator".to_owned(),
        reason: Phi::new("a test".to_owned()),
    };
    let gone = HashMap::new();
    let mut world = World {
        hub,
        identities,
        decider,
        people,
        gone,
    };
    for step in steps {
        if let Step::Link(a, b) = step
            && world.root(a) != world.root(b)
        {
            let (before, going) = (world.see_all().await, world.root(a));
            world.take(step).await;
            world.take(Step::Unmerge(going)).await;
            assert_eq!(
                world.see_all().await,
                before,
                "undone is as it was: {step:?}"
            );
        }
        world.take(step).await;
        world.check().await;
    }
}

on_each_store! {
    async fn no_sequence_of_decisions_makes_a_circle_and_undone_is_as_it_was(database) {
        let setup = Setup { mode: "observe", ..Setup::default() };
        let hub = Hub::start(database, setup).await;
        let file = hub.folder().join("careloop.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let mut environment = Environment::new();
        let key = format!("file:{}", hub.folder().join("careloop.key").display());
        environment.insert("CARELOOP__KEYS__ROOT".to_owned(), key);
        let Ok(config) = Config::from_texts(Some(("careloop.toml", &text)), &environment) else {
            panic!("the hub's own configuration is read");
        };
        let site = daemon::site(hub.store(), &config.tenants[0]).await.unwrap();
        let identities = Identities::new(hub.store().clone(), Arc::new(site));
        let mut runner = TestRunner::new(Cases { cases: 6, failure_persistence: None, ..Cases::default() });
        let run = std::cell::Cell::new(0);
        let steps = proptest::collection::vec(step(), 1..7);
        let result = tokio::task::block_in_place(|| {
            runner.run(&steps, |steps| {
                run.set(run.get() + 1);
                Handle::current().block_on(sequence(&hub, identities.clone(), steps, run.get()));
                Ok(())
            })
        });
        result.unwrap();
        hub.daemon.stop().await;
    }
}
