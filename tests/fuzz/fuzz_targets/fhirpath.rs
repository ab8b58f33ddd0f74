//! Any text is a path or an error inside of it; what is one reads the same again and ends.
#![no_main]

use careloop::fhir::{Document, Path, Release, Scope};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const PATIENT: &[u8] = br##"{"resourceType":"Patient","id":"TEST-1","active":true,"gender":"female",
    "birthDate":"1980-02-29","_birthDate":{"extension":[{"url":"urn:time","valueDateTime":"1980-02-29T03:04:05Z"}]},
    "identifier":[{"system":"urn:a","value":"A1"},{"value":"B1"}],"name":[{"use":"old","given":["Ada","Beth"]}],
    "telecom":[{"system":"phone","value":"555-0100","rank":1}],"deceasedBoolean":false,
    "contained":[{"resourceType":"Organization","id":"o","name":"Test Clinic"}]}"##;

static SCOPES: LazyLock<Vec<Scope>> = LazyLock::new(|| {
    let scope = |release| Scope::resources(release, &["Patient"]).unwrap();
    let mut scopes: Vec<Scope> = Release::ALL.into_iter().map(scope).collect();
    scopes.push(Scope::resources(Release::R4, &["Observation", "Patient"]).unwrap());
    scopes
});

fuzz_target!(|text: &str| {
    let document = Document::read(PATIENT).unwrap();
    for scope in SCOPES.iter() {
        match Path::compile(text, scope) {
            Err(error) => {
                assert!(error.span.start <= error.span.end && error.span.end <= text.len(), "{error}");
            }
            Ok(path) => {
                assert!(Path::compile(path.text(), scope).as_ref() == Ok(&path));
                let Ok(found) = path.evaluate(document.root()) else { continue };
                assert!(path.is_many() || found.len() <= 1, "{text}");
                let types: Vec<&str> = path.types().collect();
                assert!(found.iter().all(|item| types.contains(&item.type_name())), "{text}");
            }
        }
    }
});
