//! The closed vocabularies of the thin model, in FHIR R4's spelling.

/// Declares a closed vocabulary: an enum whose words are stored, shown and read by one spelling.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize,
        )]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every word, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Every word's spelling, in order.
            pub const WORDS: &'static [&'static str] = &[$($text,)+];

            /// The word as stored and shown.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The word of a spelling.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use vocabulary;

vocabulary! {
    /// FHIR R4 `AppointmentStatus`.
    AppointmentStatus {
        /// Not yet agreed.
        Proposed = "proposed",
        /// Some participants have not answered.
        Pending = "pending",
        /// Agreed.
        Booked = "booked",
        /// The person is there.
        Arrived = "arrived",
        /// It took place.
        Fulfilled = "fulfilled",
        /// Called off.
        Cancelled = "cancelled",
        /// The person did not come.
        Noshow = "noshow",
        /// It should never have been recorded.
        EnteredInError = "entered-in-error",
        /// The person has been checked in.
        CheckedIn = "checked-in",
        /// Waiting for a slot.
        Waitlist = "waitlist",
    }
}

impl AppointmentStatus {
    /// Whether no further event may move it. `noshow` can still be corrected by the clinic.
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Fulfilled | Self::Cancelled | Self::EnteredInError
        )
    }
}

vocabulary! {
    /// FHIR R4 `RequestStatus`, for orders and referrals.
    RequestStatus {
        /// Not yet actionable.
        Draft = "draft",
        /// To be acted on.
        Active = "active",
        /// Suspended.
        OnHold = "on-hold",
        /// Withdrawn or cancelled.
        Revoked = "revoked",
        /// Done.
        Completed = "completed",
        /// It should never have been recorded.
        EnteredInError = "entered-in-error",
        /// The sender did not say.
        Unknown = "unknown",
    }
}

vocabulary! {
    /// How far a referral's loop has come.
    Stage {
        /// Sent, no answer.
        Requested = "requested",
        /// The receiver took it.
        Accepted = "accepted",
        /// The receiver declined it: it needs another receiver and stays outstanding.
        Declined = "declined",
        /// A visit is booked.
        Scheduled = "scheduled",
        /// The visit took place.
        Seen = "seen",
        /// A final report is linked to it.
        Reported = "reported",
    }
}

vocabulary! {
    /// What a pointer points at, as a FHIR R4 resource type.
    Resource {
        /// An allergy or intolerance.
        AllergyIntolerance = "AllergyIntolerance",
        /// A diagnosis or problem.
        Condition = "Condition",
        /// An insurance.
        Coverage = "Coverage",
        /// A report of results.
        DiagnosticReport = "DiagnosticReport",
        /// A document.
        DocumentReference = "DocumentReference",
        /// A visit or stay.
        Encounter = "Encounter",
        /// An immunization, done or not.
        Immunization = "Immunization",
        /// A medication that was given.
        MedicationAdministration = "MedicationAdministration",
        /// A medication that was handed out.
        MedicationDispense = "MedicationDispense",
        /// A medication that was ordered.
        MedicationRequest = "MedicationRequest",
        /// A result.
        Observation = "Observation",
        /// What a provider is to the person.
        PractitionerRole = "PractitionerRole",
        /// A procedure.
        Procedure = "Procedure",
        /// Somebody close to the person.
        RelatedPerson = "RelatedPerson",
    }
}

vocabulary! {
    /// FHIR R4 `RequestPriority`.
    Priority {
        /// Normal.
        Routine = "routine",
        /// More urgent than routine.
        Urgent = "urgent",
        /// As soon as possible.
        Asap = "asap",
        /// Immediately.
        Stat = "stat",
    }
}

vocabulary! {
    /// FHIR R4 `AdministrativeGender`.
    Sex {
        /// Female.
        Female = "female",
        /// Male.
        Male = "male",
        /// Other.
        Other = "other",
        /// Not known.
        Unknown = "unknown",
    }
}

vocabulary! {
    /// What a number stands for, where numbers change or move.
    Numbered {
        /// An identifier of the person.
        Identifier = "identifier",
        /// An account.
        Account = "account",
        /// A visit.
        Visit = "visit",
    }
}

vocabulary! {
    /// What kind of contact point it is (FHIR R4 `ContactPointSystem`, the subset that is used).
    ContactSystem {
        /// A telephone number.
        Phone = "phone",
        /// A fax number.
        Fax = "fax",
        /// An e-mail address.
        Email = "email",
        /// A pager number.
        Pager = "pager",
        /// A web address or portal account.
        Url = "url",
        /// Anything else.
        Other = "other",
    }
}
