//! What can be asserted: the groups of fields that stand and fall together.

use serde::{Deserialize, Serialize};

/// What an assertion is about. One stands of a group, a source and a natural key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Names.
    Names,
    /// Birth date.
    BirthDate,
    /// Administrative sex.
    Sex,
    /// Contact points.
    Contacts,
    /// Addresses.
    Addresses,
    /// Language.
    Language,
    /// Whether the person has died.
    Deceased,
    /// Restrictions that cannot be read yet.
    Restrictions,
    /// One consent or other directive about contact.
    Consent,
    /// One appointment.
    Appointment,
    /// One order or referral.
    Request,
    /// One pointer.
    Pointer,
}
