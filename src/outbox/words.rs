//! The words of the task message that are narrower than the hub's own, so that what may not leave
//! cannot be written: no specially protected content, no denial, no verdict but a gap's.

use crate::crm::vocabulary;

vocabulary! {
    /// Why a task is taken back.
    StatusReason {
        /// Evidence closed the gap.
        GapClosed = "gap-closed",
        /// A matching appointment is booked; its outcome decides what comes next.
        AppointmentBooked = "appointment-booked",
        /// Consent no longer allows it.
        ConsentRevoked = "consent-revoked",
        /// The person has died.
        PatientDeceased = "patient-deceased",
        /// The record was merged into another.
        PatientMerged = "patient-merged",
        /// Something newer took its place.
        Superseded = "superseded",
        /// Its due date passed.
        Expired = "expired",
        /// A person took it back.
        Manual = "manual",
        /// It could not be written.
        ContentError = "content-error",
    }
}

vocabulary! {
    /// How much may be said; the specially protected class never leaves.
    ContentClass {
        /// The sender and "please contact us".
        C0 = "C0",
        /// Logistics and general prevention.
        C1 = "C1",
        /// A named test, condition or specialty.
        C2 = "C2",
    }
}

vocabulary! {
    /// The gap's state, in the words of DEQM.
    GapStatus {
        /// No evidence was found.
        Open = "open-gap",
        /// It will be missing soon.
        Prospective = "prospective-gap",
        /// Evidence was found.
        Closed = "closed-gap",
    }
}

vocabulary! {
    /// What the person needs to be reached.
    Need {
        /// An interpreter.
        Interpreter = "interpreter",
        /// A text telephone or relay service.
        TtyRelay = "tty-relay",
        /// Large print.
        LargePrint = "large-print",
        /// Text that a screen reader can read.
        ScreenReader = "screen-reader",
        /// Plain language.
        PlainLanguage = "plain-language",
        /// No voice calls.
        NoVoice = "no-voice",
        /// No text messages.
        NoText = "no-text",
    }
}

vocabulary! {
    /// What the consent decision was; only what permits can be told.
    Decision {
        /// Without more.
        Allow = "allow",
        /// Observing the obligations.
        AllowWithObligations = "allow-with-obligations",
        /// A person has to find a way.
        HumanReview = "human-review",
    }
}
