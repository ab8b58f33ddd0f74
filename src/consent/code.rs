//! The reasons for a decision, in the order in which they are asked.

macro_rules! codes {
    ($($variant:ident = $text:literal, $sentence:literal;)+) => {
        /// Why a contact is allowed (`P`), denied (`D`) or has to wait (`T`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $sentence] $variant,)+ }

        impl Code {
            /// Every code, in the order of the decision table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code as stored and sent.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The reason in plain words, for a person; it holds no value.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)+ }
            }

            /// The code of a stored name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

codes! {
    InputInvalid = "D00_INPUT_INVALID",
        "The request is incomplete: it names no channel, or an emergency without its reason.";
    PolicyUnavailable = "D01_POLICY_UNAVAILABLE",
        "The contact policy has no hours for this person's place, so nothing may go out.";
    Cancellation = "P04_CANCELLATION",
        "Withdrawing a task needs no consent.";
    Deceased = "D02_DECEASED", "The person has died.";
    Merged = "D03_MERGED", "The record was merged into another one; ask for that one.";
    Stale = "D04_STALE",
        "The task is no longer needed, or would be past its due date before contact is allowed.";
    MinorConfidential = "D06_MINOR_CONFIDENTIAL",
        "The topic is confidential and the person is a minor.";
    NoContact = "D08_NO_CONTACT",
        "The record restricts contact, or holds a restriction that nobody has read yet.";
    UnsafeContact = "D09_UNSAFE_CONTACT", "Contact could put the person in danger.";
    SensitiveNoConsent = "D10_SENSITIVE_NO_CONSENT",
        "The topic is specially protected and no consent names it.";
    MarketingNoAuth = "D11_MARKETING_NO_AUTH", "Marketing needs a written authorization.";
    NoConsent = "D13_NO_CONSENT", "No consent is on record for this way of contact.";
    ConsentDenied = "D14_CONSENT_DENIED", "The person said no to this way of contact.";
    ConsentExpired = "D15_CONSENT_EXPIRED", "The consent has run out.";
    ConsentRevoked = "D16_CONSENT_REVOKED", "The consent was withdrawn.";
    TreatmentContact = "P02_TREATMENT_CONTACT",
        "The site permits contact about treatment in neutral words where nothing forbids it.";
    AppointmentExempt = "P03_TCPA_EXEMPT",
        "It confirms an appointment or reminds of one, which the site permits without a recorded consent.";
    OptedOut = "D17_OPTED_OUT", "The person asked not to be contacted there.";
    NoValidContact = "D18_NO_VALID_CONTACT", "No usable number or address is on record.";
    ChannelInsecure = "D19_CHANNEL_INSECURE",
        "The message says more than this way of contact may carry.";
    LanguageUnavailable = "D21_LANGUAGE_UNAVAILABLE",
        "There is no text in the person's language; someone must call with an interpreter.";
    NoWindow = "D22_NO_WINDOW", "No permitted time lies within the search horizon.";
    FrequencyCap = "T01_FREQ_CAP", "The person was contacted as often as the policy permits.";
    QuietHours = "T02_QUIET_HOURS", "It is too early or too late where the person lives.";
    Emergency = "P90_EMERGENCY_OVERRIDE",
        "A named person declared an emergency and gave the reason.";
    Allowed = "P00_ALLOWED", "Contact is allowed.";
    ExplicitConsent = "P01_EXPLICIT_CONSENT", "A recorded consent covers it.";
}
