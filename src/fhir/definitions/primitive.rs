//! The primitive types and what their values are in JSON.

/// What kind of value a primitive type has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fhir) enum Primitive {
    /// `true` or `false`.
    Boolean,
    /// A number in JSON.
    Number,
    /// A number of 64 bits: a string in JSON, since not every reader of numbers keeps so many, but
    /// a number in the specification's own examples.
    Count,
    /// A string that is compared as it stands: text, codes, addresses.
    Text,
    /// A string that is a time of day.
    Time,
    /// A string that is a date, a dateTime or an instant.
    Moment,
}

/// Every primitive type (FHIR R5, 2.1.28.0.1), what it is made from and what it holds.
pub(super) const PRIMITIVES: [(&str, &str, Primitive); 21] = [
    ("boolean", "Element", Primitive::Boolean),
    ("decimal", "Element", Primitive::Number),
    ("integer", "Element", Primitive::Number),
    ("positiveInt", "integer", Primitive::Number),
    ("unsignedInt", "integer", Primitive::Number),
    ("integer64", "Element", Primitive::Count),
    ("string", "Element", Primitive::Text),
    ("code", "string", Primitive::Text),
    ("id", "string", Primitive::Text),
    ("markdown", "string", Primitive::Text),
    ("uri", "Element", Primitive::Text),
    ("url", "uri", Primitive::Text),
    ("canonical", "uri", Primitive::Text),
    ("oid", "uri", Primitive::Text),
    ("uuid", "uri", Primitive::Text),
    ("base64Binary", "Element", Primitive::Text),
    ("xhtml", "Element", Primitive::Text),
    ("time", "Element", Primitive::Time),
    ("date", "Element", Primitive::Moment),
    ("dateTime", "Element", Primitive::Moment),
    ("instant", "Element", Primitive::Moment),
];
