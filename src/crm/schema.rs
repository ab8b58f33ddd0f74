//! What a mapping may say: every entity with its fields and their types.
//!
//! The mapping compiler checks targets against this table, and [`super::Change::read`] reads what
//! the mapping gave, so a mapping that compiles gives values of the right shape.

use super::directive::{
    About, ConsentMode, ConsentStatus, Consenter, ContentClass, DirectiveKind, Limits, Purpose,
    Reach, Ruling,
};
use super::status::{
    AppointmentStatus, ContactSystem, Numbered, Priority, RequestStatus, Resource, Sex, Stage,
};

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// Text.
    Text,
    /// `true` or `false`.
    Flag,
    /// A date with its precision (`1980`, `1980-01`, `1980-01-02`).
    Date,
    /// A date with its precision, or an RFC 3339 instant with its offset.
    Moment,
    /// One of a closed list of words.
    Word(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A list of objects with these fields.
    Objects(&'static [(&'static str, FieldType)]),
}

/// One entity that a mapping can emit.
#[derive(Clone, Copy, Debug)]
pub struct Entity {
    /// Its name in `emit` and in the output.
    pub name: &'static str,
    /// Its fields.
    pub fields: &'static [(&'static str, FieldType)],
    /// The fields without which it says nothing; the compiler wants a rule for each.
    pub required: &'static [&'static str],
}

use FieldType::{Date, Flag, Moment, Objects, Text, Texts, Word};

const IDENTIFIER: &[(&str, FieldType)] = &[("value", Text), ("assigner", Text), ("type", Text)];
const NAME: &[(&str, FieldType)] = &[("family", Text), ("given", Texts), ("use", Text)];
const CONTACT: &[(&str, FieldType)] = &[
    ("system", Word(ContactSystem::WORDS)),
    ("value", Text),
    ("use", Text),
    ("preferred", Flag),
];
const ADDRESS: &[(&str, FieldType)] = &[
    ("line", Texts),
    ("city", Text),
    ("state", Text),
    ("postal", Text),
    ("country", Text),
    ("use", Text),
];
const REQUEST: &[(&str, FieldType)] = &[
    ("identifiers", Objects(IDENTIFIER)),
    ("status", Word(RequestStatus::WORDS)),
    ("stage", Word(Stage::WORDS)),
    ("priority", Word(Priority::WORDS)),
    ("authored_at", Moment),
    ("wanted_by", Moment),
    ("expires_at", Moment),
];

/// Every entity.
pub(super) const ENTITIES: &[Entity] = &[
    Entity {
        name: "Patient",
        fields: &[
            ("identifiers", Objects(IDENTIFIER)),
            ("names", Objects(NAME)),
            ("birth_date", Date),
            ("sex", Word(Sex::WORDS)),
            ("contacts", Objects(CONTACT)),
            ("addresses", Objects(ADDRESS)),
            ("language", Text),
            ("deceased", Flag),
            ("restrictions", Texts),
            ("accounts", Objects(IDENTIFIER)),
            ("visits", Objects(IDENTIFIER)),
            ("whole", Flag),
        ],
        required: &["identifiers"],
    },
    Entity {
        name: "Appointment",
        fields: &[
            ("identifiers", Objects(IDENTIFIER)),
            ("status", Word(AppointmentStatus::WORDS)),
            ("start", Moment),
            ("end", Moment),
            ("orders", Objects(IDENTIFIER)),
            ("location", Text),
            ("concepts", Texts),
            ("confirmed", Flag),
        ],
        required: &["identifiers", "status"],
    },
    Entity {
        name: "Referral",
        fields: REQUEST,
        required: &["identifiers", "status"],
    },
    Entity {
        name: "Order",
        fields: REQUEST,
        required: &["identifiers", "status"],
    },
    Entity {
        name: "Answer",
        fields: &[
            ("identifiers", Objects(IDENTIFIER)),
            ("status", Word(RequestStatus::WORDS)),
            ("stage", Word(Stage::WORDS)),
        ],
        required: &["identifiers", "status"],
    },
    Entity {
        name: "Pointer",
        fields: &[
            ("resource", Word(Resource::WORDS)),
            ("concept", Text),
            ("reference", Text),
            ("date", Moment),
            ("status", Text),
            ("class", Text),
            ("orders", Objects(IDENTIFIER)),
        ],
        required: &["resource", "concept", "reference"],
    },
    Entity {
        name: "Consent",
        fields: &[
            ("kind", Word(DirectiveKind::WORDS)),
            ("reference", Text),
            ("status", Word(ConsentStatus::WORDS)),
            ("about", Word(About::WORDS)),
            ("decision", Word(Ruling::WORDS)),
            ("reach", Word(Reach::WORDS)),
            ("purpose", Word(Purpose::WORDS)),
            ("content", Word(ContentClass::WORDS)),
            ("mode", Word(ConsentMode::WORDS)),
            ("consenter", Word(Consenter::WORDS)),
            ("competent", Flag),
            ("limits", Word(Limits::WORDS)),
            ("from", Moment),
            ("until", Moment),
            ("decided_at", Moment),
        ],
        required: &["kind", "status"],
    },
    Entity {
        name: "Merge",
        fields: &[
            ("survivor", Objects(IDENTIFIER)),
            ("retired", Objects(IDENTIFIER)),
        ],
        required: &["survivor", "retired"],
    },
    Entity {
        name: "IdentifierChange",
        fields: &[
            ("what", Word(Numbered::WORDS)),
            ("from", Objects(IDENTIFIER)),
            ("to", Objects(IDENTIFIER)),
        ],
        required: &["what", "from", "to"],
    },
    Entity {
        name: "Move",
        fields: &[
            ("what", Word(Numbered::WORDS)),
            ("value", Objects(IDENTIFIER)),
            ("from", Objects(IDENTIFIER)),
            ("to", Objects(IDENTIFIER)),
        ],
        required: &["what", "value"],
    },
    Entity {
        name: "Link",
        fields: &[("linked", Flag)],
        required: &["linked"],
    },
];

/// The entity of a name.
pub fn entity(name: &str) -> Option<&'static Entity> {
    ENTITIES.iter().find(|entity| entity.name == name)
}

impl Entity {
    /// The type of a field of this entity.
    pub fn field(&self, name: &str) -> Option<FieldType> {
        self.fields
            .iter()
            .find(|(field, _)| *field == name)
            .map(|(_, kind)| *kind)
    }
}
