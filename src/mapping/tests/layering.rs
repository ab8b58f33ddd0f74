//! Layers: what they change, what they may not, and who is named for it.

use serde_json::json;

use super::*;

const SITE: &str = r#"
extends = "hl7v2.*"
layer = "site"
remove = ["appointment.end"]

[tables.appt_status]
FTA = "noshow"
Booked = "pending"

[[concepts.diabetes.codes]]
system = "*"
codes = ["SUGAR"]

[appointment.set.start]
from = "ZCH-1"

[patient.set.sex]
value = "unknown"

[appointment.set.location]
add = true
from = "AIL-3.1"
"#;

#[test]
fn a_layer_changes_only_what_it_names() {
    let bundle = compiled(PACK, &[SITE]);
    let segments = "PID|1||TEST-1|||||X\rSCH||A1|||||||30||^^^20260308013000||||||||||||||Booked\r\
                    AIL|1||ROOM\rZCH|20260309100000\rPV1|1||||||||||||||||||V1\rDG1|1||SUGAR";
    let mapped = read(&bundle, "SIU^S12", segments);
    let values = values(&mapped);
    assert_eq!(
        values[0]["sex"],
        json!("unknown"),
        "the table of the base rule is gone"
    );
    let appointment = json!({
        "identifiers": [{"value": "A1"}], "status": "pending",
        "start": "2026-03-09T10:00:00-04:00", "location": "ROOM",
    });
    assert_eq!(values[1], appointment);
    assert_eq!(values[2]["concept"], json!("diabetes"));
    let start = mapped
        .trace
        .iter()
        .find(|entry| entry.target == "appointment.start")
        .unwrap();
    assert_eq!((&*start.file, start.line), ("site.toml", 15));
}

#[test]
fn the_effective_rules_tell_who_set_what() {
    let bundle = compiled(PACK, &[SITE]);
    let start = bundle
        .rules()
        .find(|rule| rule.address == "appointment.start")
        .unwrap();
    assert_eq!(
        (start.file.as_str(), start.layer.as_deref()),
        ("hl7v2/test.toml", Some("site"))
    );
    let keys: Vec<(&str, &str, &str)> = start
        .keys
        .iter()
        .map(|key| (key.key.as_str(), key.text.as_str(), key.file.as_str()))
        .collect();
    let expected = [
        ("from", "\"ZCH-1\"", "site.toml"),
        ("fn", "\"instant\"", "hl7v2/test.toml"),
    ];
    assert_eq!(keys, expected);
    assert!(bundle.rules().all(|rule| rule.address != "appointment.end"));
}

#[test]
fn what_the_base_lacks_is_refused() {
    let refused = |layer: &str| {
        let layer = format!("extends = \"hl7v2.test\"\nlayer = \"site\"\n{layer}");
        told(&bundle(PACK, &[&layer]).err().unwrap_or_default())
    };
    let renamed = refused("[appointment.set.begin]\nfrom = \"ZCH-1\"");
    assert!(
        renamed.contains("unknown rule `appointment.begin`"),
        "{renamed}"
    );
    assert!(renamed.contains("site.toml:3"), "{renamed}");
    assert!(
        refused("[appointmint]\nwhen = \"SCH present\"").contains("did you mean `appointment`")
    );
    assert!(refused("remove = [\"appointment.begin\"]").contains("unknown rule"));
    assert!(refused("[tables.appt_states]\nA = \"booked\"").contains("did you mean `appt_status`"));
    assert!(refused("[tables.appt_status]\nA = \"boked\"").contains("did you mean `booked`"));
    assert!(refused("[concepts.diabetis]\ncodes = []").contains("did you mean `diabetes`"));
    let unknown = bundle(PACK, &["extends = \"hl7v2.tset\""])
        .err()
        .unwrap_or_default();
    assert!(told(&unknown).contains("did you mean `hl7v2.test`"));
    let nobody = bundle(PACK, &["[patient.set.sex]\nvalue = \"other\""])
        .err()
        .unwrap_or_default();
    assert!(told(&nobody).contains("must say of which mapping"));
}

#[test]
fn a_sealed_rule_stays() {
    let pack = PACK.replace("[patient.set.sex]", "[patient.set.sex]\nsealed = true");
    let layer = "extends = \"hl7v2.test\"\n[patient.set.sex]\nvalue = \"other\"";
    assert!(told(&bundle(&pack, &[layer]).err().unwrap_or_default()).contains("is sealed"));
    let layer = "extends = \"hl7v2.test\"\nremove = [\"patient.sex\"]";
    assert!(bundle(&pack, &[layer]).is_err());
}

#[test]
fn the_digest_tells_bundles_apart() {
    let base = compiled(PACK, &[]);
    assert_eq!(base.digest(), compiled(PACK, &[]).digest());
    assert_eq!(base.digest().len(), 64);
    assert_ne!(base.digest(), compiled(PACK, &[SITE]).digest());
}

#[test]
fn an_unknown_layer_and_a_missing_file_are_told() {
    let named = Bundle::compile(&files(PACK), &[Layer::from_argument("epik")]);
    assert!(told(&named.err().unwrap_or_default()).contains("unknown layer"));
    let file = Bundle::compile(&files(PACK), &[Layer::from_argument("no/such/file.toml")]);
    assert!(told(&file.err().unwrap_or_default()).contains("cannot be read"));
}

#[test]
fn a_pack_goes_over_its_fragment() {
    let fragment = "fragment = \"fragment.x\"\n[vars]\nkind = { from = \"MSH-9.1\" }\n\
                    [patient.set.language]\nfrom = \"PID-9\"\non_null = \"clear\"\n\
                    [patient.set.\"addresses[]\"]\neach = \"PID-11\"\nfields = { city = \".3\" }";
    let pack = PACK.replace("per = \"PID\"", "per = \"PID\"\nuse = [\"fragment.x\"]");
    let base = files(&pack);
    let mut list: Vec<(&str, &str)> = base.iter().collect();
    list.push(("hl7v2/fragments/x.toml", fragment));
    let bundle = Bundle::compile(&Files::of(&list), &[])
        .map_err(|list| told(&list))
        .unwrap();
    let mapped = read(&bundle, "ADT^A08", "PID|1||TEST-1||||||wrong||^^Town||||de");
    let values = values(&mapped);
    assert_eq!(
        values[0]["language"],
        json!("de"),
        "the pack's own path wins"
    );
    assert_eq!(values[0]["addresses"], json!([{"city": "Town"}]));
}
