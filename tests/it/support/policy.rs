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
    calls_a_day(folder, shared, 1)
}

/// The same policy with at most so many live calls a day.
pub(crate) fn calls_a_day(folder: &Path, shared: bool, most: u8) -> String {
    let line = at_any_hour(folder);
    let cap = format!(
        "[[cap]]\nchannels = [\"phone-live\"]\nper = \"local-day\"\nat_most = {most}\n\n[quiet_hours]"
    );
    let knob = "caps_per_contact_point = true";
    change(folder, "[quiet_hours]", &cap);
    change(folder, knob, &format!("caps_per_contact_point = {shared}"));
    line
}

/// The same policy where reasons share a task although they fall due a month apart.
pub(crate) fn shares_within_a_month(folder: &Path) -> String {
    let line = at_any_hour(folder);
    change(folder, "share_within_days = 14", "share_within_days = 30");
    line
}

/// The shipped policy with hours for live calls in which it is not now, wherever in New York's day.
pub(crate) fn closed_now(folder: &Path) -> String {
    let line = at_any_hour(folder);
    let zone = jiff::tz::TimeZone::get("America/New_York").unwrap();
    let hour = careloop::clock::now().to_zoned(zone).hour();
    let (from, to) = if hour < 12 { (20, 21) } else { (1, 2) };
    change(
        folder,
        "[quiet_hours]\nchannels = []",
        "[quiet_hours]\nchannels = [\"phone-live\"]",
    );
    change(
        folder,
        "from = \"08:00\"",
        &format!("from = \"{from:02}:00\""),
    );
    change(folder, "to = \"21:00\"", &format!("to = \"{to:02}:00\""));
    line
}

fn change(folder: &Path, from: &str, to: &str) {
    let file = folder.join("contact-policy.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "the policy has another form");
    std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
}
