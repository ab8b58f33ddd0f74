//! Why a question is not answered: stable codes, never a value.

use jiff::Timestamp;

use crate::store::Error;

/// Why a question is not answered.
#[derive(Debug)]
pub enum Refusal {
    /// No token, or none that is in force: unknown, revoked and mistyped ones look alike.
    Unauthenticated,
    /// The right secret, too late.
    Expired,
    /// The token does not permit this.
    Scope,
    /// No purpose was stated.
    PurposeMissing,
    /// The stated purpose is none of the words.
    PurposeUnknown,
    /// The token does not permit the stated purpose.
    PurposeNotAllowed,
    /// The task is there for another purpose than the stated one.
    PurposeMismatch,
    /// No agreement in force covers the tasks that leave.
    Agreement,
    /// The rule, the source or the location only observes.
    Mode,
    /// All outreach is stopped, until a named person resumes it.
    Stopped,
    /// Consent says no; with its codes.
    Consent(Vec<&'static str>),
    /// Nothing of this id here.
    NotFound,
    /// The task has ended, in this state.
    Gone(&'static str),
    /// Consent says not yet; with its codes and the instant to ask again.
    NotYet(Vec<&'static str>, Option<Timestamp>),
    /// A withdrawal, merge or death is being committed; what comes of it decides.
    Changing,
    /// The CRM gave this id to another person.
    CrmIdTaken,
    /// The request's body has another form: the place, and what was expected there.
    Form(String),
    /// careloop cannot answer now.
    Unavailable,
    /// The store failed.
    Store(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl Refusal {
    /// The stable code, in the words of the API's description.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "token-invalid",
            Self::Expired => "token-expired",
            Self::Scope => "scope-missing",
            Self::PurposeMissing => "purpose-missing",
            Self::PurposeUnknown => "purpose-unknown",
            Self::PurposeNotAllowed => "purpose-not-allowed",
            Self::PurposeMismatch => "purpose-mismatch",
            Self::Agreement => "agreement-not-in-force",
            Self::Mode => "mode-observe",
            Self::Stopped => "outreach-stopped",
            Self::Consent(_) => "consent",
            Self::NotFound => "not-found",
            Self::Gone(_) => "task-ended",
            Self::NotYet(..) => "not-yet",
            Self::Changing => "change-pending",
            Self::CrmIdTaken => "crm-id-taken",
            Self::Form(_) => "form",
            Self::Unavailable | Self::Store(_) => "unavailable",
        }
    }

    /// The code with the reasons of consent behind it.
    pub fn codes(&self) -> Vec<&'static str> {
        let reasons: &[&'static str] = match self {
            Self::Consent(codes) | Self::NotYet(codes, _) => codes,
            Self::Gone(state) => std::slice::from_ref(state),
            _ => &[],
        };
        let mut codes = vec![self.code()];
        codes.extend(reasons);
        codes
    }
}
