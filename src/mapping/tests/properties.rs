//! Nothing that arrives makes the engine panic, and what it calls mapped the model can read.

use proptest::prelude::*;

use super::*;
use crate::crm::Change;
use crate::mapping::Outcome;

/// The model reads everything that the bundle calls mapped.
fn readable(mapped: &Mapped) -> Result<(), TestCaseError> {
    if mapped.outcome == Outcome::Mapped {
        for change in &mapped.changes {
            let read = Change::read(change.entity, change.values.open().clone());
            prop_assert!(read.is_ok(), "{}", change.block);
        }
    }
    Ok(())
}

/// A segment that some rule may look at, with fields of every kind.
fn segment() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "PID", "PD1", "SCH", "ORC", "OBR", "OBX", "DG1", "PRB", "MRG", "RF1", "PRD", "TQ1", "AIS",
        "AIL", "AIP", "PV1", "CON", "ARV", "EVN", "ZZZ",
    ]);
    let text = prop_oneof![
        Just(String::new()),
        Just("\"\"".to_owned()),
        "[0-9]{1,14}",
        "20260[1-9][0-3][0-9][0-2][0-9]{3}",
        Just("E11.9^x^I10".to_owned()),
        Just("4548-4^x^LN".to_owned()),
        Just("F".to_owned()),
        "[A-Z^~&\\\\. ]{0,12}",
        "\\PC{0,6}",
    ];
    (names, prop::collection::vec(text, 0..32))
        .prop_map(|(name, fields)| format!("{name}|{}", fields.join("|")))
}

fn shipped() -> &'static Bundle {
    static BUNDLE: std::sync::OnceLock<Bundle> = std::sync::OnceLock::new();
    BUNDLE.get_or_init(|| Bundle::embedded(&[]).map_err(|list| told(&list)).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut text = b"MSH|^~\\&|A|B|C|D|20260302||ADT^A08|T|P|2.5\rPID|1||".to_vec();
        text.extend(bytes);
        if let Ok(message) = Message::parse(String::from_utf8_lossy(&text).into_owned()) {
            let zone = TimeZone::UTC;
            let context = Context { zone: &zone, hash: &|_| String::new(), endpoint: "" };
            readable(&shipped().apply(&message, message.header(), &context))?;
        }
    }

    #[test]
    fn whatever_is_mapped_the_model_reads(
        kind in prop::sample::select(vec![
            "ADT^A08", "ADT^A40", "SIU^S12", "SIU^S15", "ORM^O01", "ORU^R01", "REF^I12", "RRI^I13",
        ]),
        segments in prop::collection::vec(segment(), 1..12),
    ) {
        let text = segments.join("\r");
        if Message::parse(format!("MSH|^~\\&|A\r{text}")).is_ok() {
            readable(&read(shipped(), kind, &text))?;
        }
    }

    #[test]
    fn any_text_as_a_file_is_refused_or_taken_without_panic(text in "\\PC{0,200}") {
        bundle(&text, &[]).err();
        bundle(PACK, &[&text]).err();
    }

    #[test]
    fn any_text_in_a_rule_is_refused_or_taken_without_panic(
        text in "[A-Z0-9.$|()'\\[\\]= a-z-]{0,40}",
        key in prop::sample::select(vec!["from", "when", "table", "each", "fn", "where"]),
    ) {
        let rule = format!("[patient.set.\"addresses[]\"]\n{key} = \"{text}\"\n");
        bundle(&format!("{PACK}\n{rule}"), &[]).err();
        let rule = format!("extends = \"hl7v2.test\"\n[patient.set.sex]\n{key} = \"{text}\"\n");
        bundle(PACK, &[&rule]).err();
    }
}
