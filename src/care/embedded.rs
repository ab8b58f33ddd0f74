//! The rule files that ship with careloop, compiled into the binary.

/// Every shipped rule file: its name under `mappings/care` and its text.
pub(super) const FILES: &[(&str, &str)] = &[
    (
        "gaps/hba1c-due.toml",
        include_str!("../../mappings/care/gaps/hba1c-due.toml"),
    ),
    (
        "referrals/referral-outstanding.toml",
        include_str!("../../mappings/care/referrals/referral-outstanding.toml"),
    ),
    (
        "journeys/appointment-confirmation.toml",
        include_str!("../../mappings/care/journeys/appointment-confirmation.toml"),
    ),
    (
        "journeys/appointment-reminder.toml",
        include_str!("../../mappings/care/journeys/appointment-reminder.toml"),
    ),
    (
        "journeys/missed-appointment.toml",
        include_str!("../../mappings/care/journeys/missed-appointment.toml"),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_file_on_disk_is_compiled_in() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/mappings/care");
        for folder in ["gaps", "referrals", "journeys"] {
            for entry in std::fs::read_dir(format!("{root}/{folder}")).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name.ends_with(".toml") {
                    let path = format!("{folder}/{name}");
                    assert!(
                        FILES.iter().any(|(file, _)| *file == path),
                        "{path} is not in FILES"
                    );
                }
            }
        }
    }
}
