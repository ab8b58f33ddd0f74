//! The agreement of a clinic that is invented for a test.

/// `[[agreement]]` of `tenant`, in force now, over the list `covers` as it stands in the file.
pub(crate) fn agreement(tenant: &str, covers: &str) -> String {
    format!(
        r#"
[[agreement]]
tenant = "{tenant}"
party = "{tenant} Clinic"
document = "BAA-TEST"
signed = 2020-01-01
until = 2099-01-01
covers = {covers}
"#
    )
}
