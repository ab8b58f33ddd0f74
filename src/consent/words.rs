//! The closed vocabularies of consent, spelt as in the task message's schema.

use crate::crm::vocabulary;

vocabulary! {
    /// A way to reach a person.
    Channel {
        /// A person calls.
        PhoneLive = "phone-live",
        /// A machine calls.
        PhoneAuto = "phone-auto",
        /// A text message.
        Sms = "sms",
        /// Unencrypted e-mail.
        Email = "email",
        /// A message in the patient portal.
        Portal = "portal",
        /// A notification of the portal's app.
        AppPush = "app-push",
        /// A letter.
        Postal = "postal",
        /// At the next visit.
        InPerson = "in-person",
    }
}

impl Channel {
    /// Whether a machine sends it: opt-outs bind it even in an emergency (47 CFR 64.1200(a)(10)).
    pub const fn is_automated(self) -> bool {
        matches!(
            self,
            Self::PhoneAuto | Self::Sms | Self::Email | Self::AppPush
        )
    }

    /// The channel in a sentence.
    pub const fn plain(self) -> &'static str {
        match self {
            Self::PhoneLive => "a call by a person",
            Self::PhoneAuto => "an automated call",
            Self::Sms => "a text message",
            Self::Email => "an e-mail",
            Self::Portal => "a portal message",
            Self::AppPush => "an app notification",
            Self::Postal => "a letter",
            Self::InPerson => "a talk at the next visit",
        }
    }
}

vocabulary! {
    /// Why the person would be contacted (HL7 v3 `PurposeOfUse`).
    Purpose {
        /// Treatment.
        Treat = "TREAT",
        /// Health-care operations.
        Hoperat = "HOPERAT",
        /// Marketing: needs a 45 CFR 164.508 authorization.
        Hmarkt = "HMARKT",
        /// Emergency treatment, by a named person with a stated reason.
        Etreat = "ETREAT",
    }
}

vocabulary! {
    /// How much a message tells about the person; a later class tells more.
    ContentClass {
        /// The sender and "please contact us".
        C0 = "C0",
        /// Logistics and general prevention.
        C1 = "C1",
        /// A named test, condition or specialty.
        C2 = "C2",
        /// Specially protected; leaves the hub only as `C0`, for a person to convey.
        C3 = "C3",
    }
}

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
