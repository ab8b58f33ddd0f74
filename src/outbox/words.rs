//! The closed lists of words that a task message may hold, as they stand on the wire.

use serde::Serialize;

/// Defines a closed list of words as they stand on the wire.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "` on the wire.")] #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// Every word of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The word of a text.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text)
            }
        }
    };
}

words!(/// What is to be done.
    TaskCode { OutreachCall = "outreach-call", OutreachMessage = "outreach-message",
    ScheduleVisit = "schedule-visit", ConfirmAppointment = "confirm-appointment",
    RescheduleNoShow = "reschedule-no-show", ReferralFollowUp = "referral-follow-up",
    PostDischargeContact = "post-discharge-contact", RecordsRequest = "records-request" });
words!(/// How urgent it is; the last part of the routing key.
    Priority { Routine = "routine", Urgent = "urgent", Asap = "asap", Stat = "stat" });
words!(/// Who is to do it.
    PerformerRole { CareCoordinator = "care-coordinator", Nurse = "nurse",
    Scheduler = "scheduler", InterpreterServices = "interpreter-services",
    AutomatedSender = "automated-sender" });
words!(/// Why a task is taken back.
    StatusReason { GapClosed = "gap-closed", ConsentRevoked = "consent-revoked",
    PatientDeceased = "patient-deceased", PatientMerged = "patient-merged",
    Superseded = "superseded", Expired = "expired", Manual = "manual",
    ContentError = "content-error" });
words!(/// What it is about: a class, never a condition.
    TopicKind { Preventive = "preventive", ChronicFollowUp = "chronic-follow-up",
    Referral = "referral", Appointment = "appointment", VisitFollowUp = "visit-follow-up",
    Immunization = "immunization", WellnessVisit = "wellness-visit", General = "general" });
words!(/// How much may be said.
    ContentClass { C0 = "C0", C1 = "C1", C2 = "C2" });
words!(/// The gap's state, in the words of DEQM.
    GapStatus { Open = "open-gap", Prospective = "prospective-gap", Closed = "closed-gap" });
words!(/// How the person is reached.
    Channel { PhoneLive = "phone-live", PhoneAuto = "phone-auto", Sms = "sms", Email = "email",
    Portal = "portal", AppPush = "app-push", Postal = "postal", InPerson = "in-person" });
words!(/// What the person needs to be reached.
    Need { Interpreter = "interpreter", TtyRelay = "tty-relay", LargePrint = "large-print",
    ScreenReader = "screen-reader", PlainLanguage = "plain-language", NoVoice = "no-voice",
    NoText = "no-text" });
words!(/// What the consent decision was.
    Decision { Allow = "allow", AllowWithObligations = "allow-with-obligations",
    HumanReview = "human-review" });
words!(/// For what the person is contacted (HL7 purpose of use).
    Purpose { Treatment = "TREAT", Operations = "HOPERAT", Marketing = "HMARKT",
    Emergency = "ETREAT" });
words!(/// What the one who contacts must keep to.
    Obligation { GenericWording = "generic-wording", NoVoicemailDetail = "no-voicemail-detail",
    IdentifySender = "identify-sender", OfferOptOut = "offer-opt-out",
    VerifyIdentity = "verify-identity", UseInterpreter = "use-interpreter",
    NoThirdParty = "no-third-party", Max160Chars = "max-160-chars" });
