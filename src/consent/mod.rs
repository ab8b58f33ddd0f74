//! Whether a person may be contacted: directives, policy, and the one function that decides.
//!
//! [`decide()`] is pure and deterministic: the same facts, policy and instant give the same answer.
//! The default is to deny. None of the types that hold personal facts has `Debug`.

mod age;
mod cell;
mod code;
mod decide;
mod decision;
mod directive;
mod document;
mod exemption;
mod facts;
mod policy;
mod route;
mod window;
mod words;

pub(crate) use age::birthday;
pub use code::Code;
pub use decide::decide;
pub use decision::{Decision, Outcome, Window};
pub use directive::{Reader, Reading, Standing};
pub use document::Diagnostic;
pub(crate) use document::{Document, Table};
pub use facts::{Ask, ContactPoint, Entry, Facts, OptOut, Sent};
pub use policy::{Limit, Policy};
pub use words::{Channel, ContentClass, Hold, Obligation, Purpose};

#[cfg(test)]
mod tests;
