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

/// The same policy with at most one live call a day; `shared` says whether a call counts for
/// everybody who has the number.
pub(crate) fn one_call_a_day(folder: &Path, shared: bool) -> String {
    let line = at_any_hour(folder);
    let file = folder.join("contact-policy.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let cap =
        "[[cap]]\nchannels = [\"phone-live\"]\nper = \"local-day\"\nat_most = 1\n\n[quiet_hours]";
    let knob = "caps_per_contact_point = true";
    assert!(text.contains(knob), "the policy has another form");
    let text = text.replacen("[quiet_hours]", cap, 1);
    let text = text.replacen(knob, &format!("caps_per_contact_point = {shared}"), 1);
    std::fs::write(&file, text).unwrap();
    line
}
