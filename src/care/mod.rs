//! Declarative rules: care gaps, referral loops and journeys; file, compile, evaluate.
//!
//! A rule file says what must be so for whom and by when, and what task follows when it is not.
//! [`evaluate()`] answers for one person on one day and keeps only the verdict: no value is looked
//! at. "No evidence found" is never worded as "not done".

mod answer;
mod calendar;
mod compile;
mod embedded;
mod evaluate;
pub mod examples;
mod finding;
mod gap;
mod journey;
mod parked;
mod reason;
mod referral;
mod rest;
mod rule;
mod task;
mod upcoming;

pub use answer::{Answer, Beyond, Effect};
pub use calendar::Span;
pub use evaluate::{Evaluation, GapStatus, History, ReasonCode, evaluate, relieve};
pub use finding::{FindingEvent, FindingState, Known, Step, reconcile};
pub use rest::{Raise, Rest, RestReason};
pub use rule::{
    Due, PerformerRole, PriorityFrom, Rule, RuleKind, Rules, TaskCode, Template, TopicKind, Touched,
};
pub use task::{TaskEvent, TaskState, TopicEnd};

pub use crate::consent::Diagnostic;

#[cfg(test)]
mod tests;
