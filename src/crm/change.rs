//! What one message says, typed: the changes that a mapping gives.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::directive::ConsentChange;
use super::status::{
    AppointmentStatus, ContactSystem, Numbered, Priority, RequestStatus, Resource, Sex, Stage,
};
use super::time::{Moment, PartialDate};

/// A field that was left out, sent as "delete this", or sent with a value.
///
/// HL7 v2 keeps these apart (an empty field says nothing, `""` deletes), and so does careloop.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Tri<T> {
    /// Nothing was said.
    #[default]
    Absent,
    /// The value is to be cleared.
    Clear,
    /// The value.
    Set(T),
}

impl<T> Tri<T> {
    /// The value, where one was sent.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Absent | Self::Clear => None,
        }
    }

    /// Whether the message said something about the field.
    pub const fn is_said(&self) -> bool {
        !matches!(self, Self::Absent)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Tri<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(from)?.map_or(Self::Clear, Self::Set))
    }
}

/// An identifier with who assigned it and of what type it is (HL7 v2 CX, FHIR Identifier).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identifier {
    /// The identifier itself.
    pub value: String,
    /// Who assigned it (CX-4); `None` where the sender did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigner: Option<String>,
    /// Its type (CX-5, HL7 table 0203), such as `MR`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A person's name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// Family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Given names, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<String>,
    /// FHIR `NameUse`.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
}

/// A way to reach a person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// What kind it is.
    pub system: ContactSystem,
    /// The number or address.
    pub value: String,
    /// FHIR `ContactPointUse`.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// Whether the person prefers it (XTN-18).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred: Option<bool>,
}

/// A postal address; kept for the time zone and the place only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Street lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub line: Vec<String>,
    /// City.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// State or province.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal: Option<String>,
    /// Country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// FHIR `AddressUse`.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
}

/// What a message says about a person.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct PatientChange {
    /// The identifiers by which the person is found.
    #[serde(default)]
    pub identifiers: Vec<Identifier>,
    /// Names, the whole list.
    #[serde(default)]
    pub names: Tri<Vec<Name>>,
    /// Birth date.
    #[serde(default)]
    pub birth_date: Tri<PartialDate>,
    /// Administrative sex.
    #[serde(default)]
    pub sex: Tri<Sex>,
    /// Contact points, the whole list.
    #[serde(default)]
    pub contacts: Tri<Vec<Contact>>,
    /// Addresses, the whole list.
    #[serde(default)]
    pub addresses: Tri<Vec<Address>>,
    /// Preferred language (BCP 47).
    #[serde(default)]
    pub language: Tri<String>,
    /// Whether the person has died.
    #[serde(default)]
    pub deceased: Tri<bool>,
    /// Fields that may restrict contact and cannot be read yet, such as `PD1-12`.
    #[serde(default)]
    pub restrictions: Vec<String>,
    /// The account under which the message speaks (PID-18). It never links anybody; it tells what
    /// a move of the account concerns.
    #[serde(default)]
    pub accounts: Vec<Identifier>,
    /// The visit under which the message speaks (PV1-19), as [`Self::accounts`].
    #[serde(default)]
    pub visits: Vec<Identifier>,
    /// Whether the source tells all that it knows: what it does not say, it no longer says, and what
    /// other sources say of that counts. Without it, "delete" means that nobody shall say it.
    #[serde(default)]
    pub whole: bool,
}

/// What a message says about an appointment.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct AppointmentChange {
    /// Its identifiers, the preferred one first.
    #[serde(default)]
    pub identifiers: Vec<Identifier>,
    /// Its status.
    pub status: AppointmentStatus,
    /// When it starts.
    #[serde(default)]
    pub start: Tri<Moment>,
    /// When it ends.
    #[serde(default)]
    pub end: Tri<Moment>,
    /// The orders or referrals it fulfils.
    #[serde(default)]
    pub orders: Vec<Identifier>,
    /// The configured location, where a table names one.
    #[serde(default)]
    pub location: Tri<String>,
    /// What it is for, as concept keys, the whole list.
    #[serde(default)]
    pub concepts: Tri<Vec<String>>,
    /// Whether the person has said that they will come.
    #[serde(default)]
    pub confirmed: Tri<bool>,
}

/// What a message says about an order or a referral.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct RequestChange {
    /// Its identifiers, the preferred one first.
    #[serde(default)]
    pub identifiers: Vec<Identifier>,
    /// Its status.
    pub status: RequestStatus,
    /// How far the loop has come, where the message says so.
    #[serde(default)]
    pub stage: Tri<Stage>,
    /// How urgent it is.
    #[serde(default)]
    pub priority: Tri<Priority>,
    /// When it was asked for.
    #[serde(default)]
    pub authored_at: Tri<Moment>,
    /// By when it is wanted.
    #[serde(default)]
    pub wanted_by: Tri<Moment>,
    /// When it ceases to be valid.
    #[serde(default)]
    pub expires_at: Tri<Moment>,
}

/// What whoever fills an order says of it, without saying what was ordered.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct AnswerChange {
    /// Identifiers of the order or referral.
    #[serde(default)]
    pub identifiers: Vec<Identifier>,
    /// Its status.
    pub status: RequestStatus,
    /// How far the loop has come, where the message says so.
    #[serde(default)]
    pub stage: Tri<Stage>,
}

/// A clinical fact that stays in the EHR.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct PointerChange {
    /// What it points at; together with the reference it is one thing, whatever its concept.
    pub resource: Resource,
    /// The concept key of the rule vocabulary, such as `hba1c-result`.
    pub concept: String,
    /// Where it is, without any code: an order number with a keyed hash, a problem id.
    pub reference: String,
    /// Its clinical date.
    #[serde(default)]
    pub date: Tri<Moment>,
    /// Its status, such as `final`, `active` or `entered-in-error`.
    #[serde(default)]
    pub status: Tri<String>,
    /// What kind of visit, coverage or relation it is, in FHIR's codes.
    #[serde(default)]
    pub class: Tri<String>,
    /// The orders it answers.
    #[serde(default)]
    pub orders: Vec<Identifier>,
}

/// Two records of one person: the retired one's history belongs to the survivor from now on.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct MergeChange {
    /// Identifiers of the record that stays.
    pub survivor: Vec<Identifier>,
    /// Identifiers of the record that goes.
    pub retired: Vec<Identifier>,
}

/// One person's identifier, account or visit has another number from now on (HL7 v2 A46 to A51).
/// The old number stays an alias; nobody is merged.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct IdentifierChange {
    /// What has another number.
    pub what: Numbered,
    /// The old numbers.
    pub from: Vec<Identifier>,
    /// The new ones.
    pub to: Vec<Identifier>,
}

/// An identifier, account or visit was recorded for the wrong person and belongs to another one
/// (HL7 v2 A43 to A45). Both people stay.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct MoveChange {
    /// What moves.
    pub what: Numbered,
    /// The numbers that move.
    pub value: Vec<Identifier>,
    /// Whose they were, where the message says so.
    #[serde(default)]
    pub from: Vec<Identifier>,
    /// Whose they are.
    #[serde(default)]
    pub to: Vec<Identifier>,
}

/// The people of a message are one person, or are not, and their records stay two (HL7 v2 A24, A37).
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct LinkChange {
    /// Whether they are one.
    pub linked: bool,
}

/// One thing that a message says.
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    /// About the person.
    Patient(PatientChange),
    /// About an appointment.
    Appointment(AppointmentChange),
    /// About a referral.
    Referral(RequestChange),
    /// About an order that is no referral.
    Order(RequestChange),
    /// About an order or a referral, which the message does not tell apart.
    Answer(AnswerChange),
    /// About clinical data that stays in the EHR.
    Pointer(PointerChange),
    /// About contact itself.
    Consent(ConsentChange),
    /// That two records are one person.
    Merge(MergeChange),
    /// That a number of the person is another one now.
    IdentifierChange(IdentifierChange),
    /// That a number belongs to this person and not to another one.
    Move(MoveChange),
    /// That this person and the others of the message are one, or are not.
    Link(LinkChange),
}

impl Change {
    /// Reads what a mapping gave for `entity`. The error names the entity and the type that was
    /// expected, never a value.
    pub fn read(entity: &str, values: Map<String, Value>) -> Result<Self, String> {
        let from = Value::Object(values);
        let read = match entity {
            "Patient" => serde_json::from_value(from).map(Self::Patient),
            "Appointment" => serde_json::from_value(from).map(Self::Appointment),
            "Referral" => serde_json::from_value(from).map(Self::Referral),
            "Order" => serde_json::from_value(from).map(Self::Order),
            "Answer" => serde_json::from_value(from).map(Self::Answer),
            "Pointer" => serde_json::from_value(from).map(Self::Pointer),
            "Consent" => serde_json::from_value(from).map(Self::Consent),
            "Merge" => serde_json::from_value(from).map(Self::Merge),
            "IdentifierChange" => serde_json::from_value(from).map(Self::IdentifierChange),
            "Move" => serde_json::from_value(from).map(Self::Move),
            "Link" => serde_json::from_value(from).map(Self::Link),
            other => return Err(format!("{other}: expected an entity of the thin model")),
        };
        // serde's own text may quote the offending value, so only its place is kept.
        read.map_err(|error| {
            format!(
                "{entity}: expected the entity's fields, found another shape ({:?})",
                error.classify()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_clears_and_a_missing_key_says_nothing() {
        let values = serde_json::json!({"identifiers": [{"value": "TEST-1"}], "sex": null});
        let Value::Object(values) = values else {
            panic!()
        };
        let Ok(Change::Patient(patient)) = Change::read("Patient", values) else {
            panic!()
        };
        assert!(patient.sex == Tri::Clear);
        assert!(patient.birth_date == Tri::Absent);
    }

    #[test]
    fn an_error_never_quotes_the_value() {
        let values = serde_json::json!({"identifiers": [], "birth_date": "Ada Example"});
        let Value::Object(values) = values else {
            panic!()
        };
        let error = Change::read("Patient", values).err().unwrap();
        assert!(!error.contains("Ada"), "{error}");
    }
}
