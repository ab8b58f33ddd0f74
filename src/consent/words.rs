//! The closed vocabularies of consent, spelt as in the task message's schema.

use crate::crm::vocabulary;
pub use crate::crm::{Channel, ContentClass, Purpose};

vocabulary! {
    /// Why nobody may contact the person at all, whatever the entries say.
    Hold {
        /// A restriction arrived in a form that the mapping cannot read yet.
        RestrictionNotRead = "restriction-not-read",
        /// The record says "no contact".
        NoContact = "no-contact",
        /// A legal hold.
        Legal = "legal",
        /// The person's safety: a contact point may be read by someone dangerous to them.
        UnsafeContact = "unsafe-contact",
        /// The CRM was told that the person died; the record does not say so yet.
        ReportedDeceased = "reported-deceased",
        /// A withdrawal, death or merge is being committed.
        ChangePending = "change-pending",
    }
}

vocabulary! {
    /// What whoever makes the contact must observe.
    Obligation {
        /// Say only who calls and ask for a call back.
        GenericWording = "generic-wording",
        /// Leave nothing but name and number on an answering machine.
        NoVoicemailDetail = "no-voicemail-detail",
        /// Say who is contacting.
        IdentifySender = "identify-sender",
        /// Say how to stop further messages.
        OfferOptOut = "offer-opt-out",
        /// Make sure that it is the person before saying more.
        VerifyIdentity = "verify-identity",
        /// Bring an interpreter.
        UseInterpreter = "use-interpreter",
        /// Do not speak to anyone else.
        NoThirdParty = "no-third-party",
        /// At most 160 characters.
        MaxLength = "max-160-chars",
    }
}
