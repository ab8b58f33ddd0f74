//! The shipped contact policy without its quiet hours, so that tests pass at any hour of the day.

use std::path::Path;

const SHIPPED: &str = include_str!("../../../mappings/care/contact-policy.toml");

/// Writes the policy into a folder and gives the line of the tenant that names it.
pub(crate) fn at_any_hour(folder: &Path) -> String {
    let (before, quiet) = SHIPPED.split_once("[quiet_hours]\n").unwrap();
    let (bound, rest) = quiet.split_once('\n').unwrap();
    assert!(
        bound.starts_with("channels = ["),
        "the policy has another form"
    );
    let file = folder.join("contact-policy.toml");
    let text = format!("{before}[quiet_hours]\nchannels = []\n{rest}");
    std::fs::write(&file, text).unwrap();
    format!("contact_policy = \"file:{}\"", file.display())
}
