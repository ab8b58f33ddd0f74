//! The published schemas of what is exchanged with a CRM. A version that was published is frozen:
//! a change that a consumer could notice is a new version beside it.

/// The `dataschema` of a task message: a name that belongs to no host, the same at every clinic.
pub const OUTREACH_TASK: &str = "urn:careloop:schema:outreach-task:v1";

/// The JSON Schema (draft 2020-12) of [`OUTREACH_TASK`].
pub const OUTREACH_TASK_TEXT: &str = include_str!("outreach-task.v1.schema.json");
