//! Who runs the commands of the tests, and what for.

/// The operator.
pub(crate) const BY: [&str; 2] = ["--operator", "Test Operator"];
/// The operator who asks to see what is protected, and for what purpose.
pub(crate) const ASKER: [&str; 4] = ["--operator", "Test Operator", "--purpose", "operations"];
