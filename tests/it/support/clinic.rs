//! Messages of an invented clinic about invented people.

use serde_json::Value;

use super::peer::lines;

/// The queue that the clinic's tasks reach.
pub(crate) const QUEUE: &str = "careloop.tasks.riverside.main.coordination";

/// Somebody new, about whom nothing is to be done.
pub(crate) fn registered(number: &str, phone: &str) -> String {
    message("ADT^A28", &format!("A28-{number}"), number, phone, "")
}

/// Somebody whose problem list asks for a test that nobody has done: one task.
pub(crate) fn diagnosed(number: &str, phone: &str) -> String {
    let problem = "DG1|1||E11.9^Type 2 diabetes^I10C|||F";
    message("ADT^A08", &format!("A08-{number}"), number, phone, problem)
}

/// `retired` was `survivor` all along.
pub(crate) fn merged(survivor: &str, retired: &str) -> String {
    let link = format!("MRG|{retired}^^^RVS^MR");
    message("ADT^A40", &format!("A40-{retired}"), survivor, "", &link)
}

fn message(kind: &str, id: &str, number: &str, phone: &str, last: &str) -> String {
    let phone = if phone.is_empty() {
        String::new()
    } else {
        format!("{phone}^PRN^PH")
    };
    lines(&format!(
        r"
        MSH|^~\&|EPIC|RVS|CARELOOP|HUB|20250301120000||{kind}|{id}|P|2.5.1
        EVN||20250301120000
        PID|1||{number}^^^RVS^MR||Example^Ada||19700102|F|||1 Sample St^^Albany^NY^12207^US||{phone}
        {last}
        "
    ))
}

/// What an envelope says: its kind (`requested`, `cancelled`, …), its task and the version.
pub(crate) fn told(envelope: &Value) -> (String, String, u64) {
    let kind = envelope["type"].as_str().unwrap();
    let kind = kind.strip_prefix("org.careloop.outreach.task.").unwrap();
    let kind = kind.strip_suffix(".v1").unwrap();
    let task = &envelope["data"]["task"];
    (
        kind.to_owned(),
        task["id"].as_str().unwrap().to_owned(),
        task["version"].as_u64().unwrap(),
    )
}
