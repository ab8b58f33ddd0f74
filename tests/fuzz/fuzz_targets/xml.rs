//! Any bytes are XML of FHIR or an error with a place; what was read is JSON, and what of that a
//! release has is XML again that reads as it was.
#![no_main]

use careloop::fhir::{Document, Release, Resource, json_of_xml};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // The releases are the same code with other tables.
    let release = Release::ALL[data.len() % Release::ALL.len()];
    let json = match json_of_xml(data, release) {
        Ok(json) => json,
        Err(error) => {
            assert!(error.offset <= data.len());
            drop(format!("{error:?} {error}"));
            return;
        }
    };
    let Ok(document) = Document::read(json.as_bytes()) else {
        return;
    };
    let Ok(resource) = Resource::of(&document.root(), release) else {
        return;
    };
    let xml = resource.to_xml();
    let back = json_of_xml(xml.as_bytes(), release).unwrap();
    let read = Document::read(back.as_bytes()).unwrap();
    let again = Resource::of(&read.root(), release).unwrap();
    assert_eq!(again.to_xml(), xml);
});
