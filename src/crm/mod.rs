//! The thin model: what careloop knows about a person, in plain types without I/O.
//!
//! Clinical data is only ever *pointed to*: a [`Pointer`] names a concept of the rule vocabulary, a
//! reference into the EHR, a clinical date and a status, and never a code, a value or a text.
//! None of these types has `Debug` or `Display`, because they hold protected values.

mod assertion;
mod change;
mod directive;
mod group;
mod matching;
mod proposal;
mod record;
mod requests;
mod schema;
mod status;
mod time;
mod view;

pub use assertion::{Assertion, Origin, Payload};
pub use change::{
    Address, AnswerChange, AppointmentChange, Change, Contact, Identifier, IdentifierChange,
    LinkChange, MergeChange, MoveChange, Name, PatientChange, PointerChange, RequestChange, Tri,
};
pub use directive::{
    About, Channel, ConsentChange, ConsentMode, ConsentStatus, Consenter, ContentClass, Directive,
    DirectiveKind, Limits, Purpose, Reach, Ruling,
};
pub use group::Group;
pub use matching::{Match, Trust, TrustedIdentifier, resolve};
pub use proposal::{Comparison, PROPOSE_AT, Trait, Traits};
pub use record::{Appointment, Chart, Demographics, Pointer, RESOURCE_ID, Request, RequestKind};
pub use schema::{Entity, FieldType, entity};
pub(crate) use status::vocabulary;
pub use status::{
    AppointmentStatus, ContactSystem, Numbered, Priority, RequestStatus, Resource, Sex, Stage,
};
pub use time::{Moment, PartialDate};
pub use view::View;
