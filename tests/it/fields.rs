//! The raw field values on which independent HL7 parsers agree, against ours: read in place from
//! `../shared/corpus`, which is never part of the repository.

use std::fs;
use std::path::Path as FilePath;

use careloop::hl7::{Charset, Message, Path, split};

/// The least share of agreed values that must be equal.
const LEAST: f64 = 0.999;

/// Messages that are refused on purpose: they go to a person, not to a mapping.
const REFUSED: [&str; 4] = [
    // MSH-2 is `&&&&`.
    "cdcgov-dataexchangehl__Lyme_WithBadDelimiters__96d9635c",
    // The segment after MSH is called PIDX.
    "rethinkhealth-hl7v2__invalid-segment-header-length__dee42229",
    // The segment after MSH has lost the first two letters of its name.
    "hapifhir-hapihl7v2__NewPipeParserTest_L415__c1b4eb1b",
    // The repetition separator was replaced by U+FFFD, in MSH-2 and everywhere.
    "hapifhir-hapihl7v2__ExtendedMinLowerLayerProtocolTest_L116__7268d9c9",
];

/// Messages whose agreed values are wrong.
const WRONG: [&str; 1] = [
    // MSH-2 is `~\&`: the other parsers go by position and make `~` the component separator, but
    // the message plainly separates components by `^` (`ORU^R01`).
    "hapifhir-hapihl7v2__EncodingCharactersTest_L14__4617bc30",
];

#[test]
fn raw_fields_are_those_on_which_other_parsers_agree() {
    let corpus = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let Ok(rows) = fs::read_to_string(corpus.join("oracle/fields.jsonl")) else {
        println!("skipped: ../shared/corpus/oracle/fields.jsonl is not there");
        return;
    };
    let (mut messages, mut refused, mut total) = (0_u32, 0_u32, 0_u32);
    let mut different = Vec::new();
    for row in rows.lines() {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        let file = row["file"].as_str().unwrap();
        let listed = |list: &[&str]| list.iter().any(|name| file.contains(name));
        if listed(&WRONG) {
            continue;
        }
        let bytes = fs::read(corpus.join(file)).unwrap();
        let first = split(&bytes).messages.swap_remove(0);
        let message = match Message::read(&bytes[first], Some(Charset::Iso8859(1))) {
            Ok(message) if !listed(&REFUSED) => message,
            Ok(_) => panic!("{file}: read, though listed as refused"),
            Err(error) => {
                assert!(listed(&REFUSED), "{file}: {error}");
                refused += 1;
                continue;
            }
        };
        messages += 1;
        for (place, expected) in row["agreed"].as_object().unwrap() {
            total += 1;
            let found = message.raw(&Path::parse(place).unwrap());
            if found != expected.as_str() {
                // Only places are shown, never values.
                different.push(format!("{file} {place}"));
            }
        }
    }
    for place in different.iter().take(40) {
        println!("different: {place}");
    }
    let equal = f64::from(total) - different.len() as f64;
    let share = equal / f64::from(total.max(1));
    println!(
        "{messages} messages read and {refused} refused on purpose; {} of {total} agreed values \
         differ, {:.4} % are equal",
        different.len(),
        share * 100.0
    );
    assert!(share >= LEAST, "expected a share of {LEAST}, found {share}");
}
