//! What can be asserted: the groups of fields that stand and fall together.

/// What an assertion is about. One row a group, a source and a natural key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

impl Group {
    /// Every group.
    pub const ALL: [Self; 12] = [
        Self::Names,
        Self::BirthDate,
        Self::Sex,
        Self::Contacts,
        Self::Addresses,
        Self::Language,
        Self::Deceased,
        Self::Restrictions,
        Self::Consent,
        Self::Appointment,
        Self::Request,
        Self::Pointer,
    ];

    /// The group's name, as stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::BirthDate => "birth_date",
            Self::Sex => "sex",
            Self::Contacts => "contacts",
            Self::Addresses => "addresses",
            Self::Language => "language",
            Self::Deceased => "deceased",
            Self::Restrictions => "restrictions",
            Self::Consent => "consent",
            Self::Appointment => "appointment",
            Self::Request => "request",
            Self::Pointer => "pointer",
        }
    }

    /// The group of a stored name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.name() == name)
    }
}
