//! Any bytes are a resource, a Bundle or an error with an outcome; what was read opens everywhere.
#![no_main]

use careloop::fhir::{Body, Bundle, Document, Node, Outcome, Path, Reference, Release, Scope};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static PATHS: LazyLock<Vec<Path>> = LazyLock::new(|| {
    let paths = [
        ("Patient", "name.where(use != 'old').given | name.family"),
        ("Patient", "birthDate.extension('urn:x').first().value.ofType(dateTime) < @2026"),
        ("Observation", "code.coding.where(system.startsWith('http')).code.first().lower()"),
        ("Observation", "value.ofType(Quantity).value >= 6.5"),
    ];
    let compile = |(kind, path): (&str, &str)| {
        let scope = Scope::resources(Release::R4, &[kind]).unwrap();
        Path::compile(path, &scope).unwrap()
    };
    paths.into_iter().map(compile).collect()
});

fuzz_target!(|data: &[u8]| {
    match Body::read(data) {
        Err(error) => {
            assert!(error.offset <= data.len());
            let json = Outcome::of_errors([&error]).to_json();
            let document = Document::read(json.as_bytes()).unwrap();
            assert!(Outcome::of(&document.root()).unwrap().is_failure());
            drop(format!("{error:?} {error}"));
        }
        Ok(Body::Resource(document)) => resource(document.root()),
        Ok(Body::Bundle(bundle)) => open_bundle(&bundle),
    }
});

fn open_bundle(bundle: &Bundle<'_>) {
    assert_eq!(bundle.entries().count(), bundle.len());
    drop((bundle.kind(), bundle.total(), bundle.link("next"), bundle.outcomes().count()));
    for entry in bundle.entries().filter_map(Result::ok) {
        drop((entry.full_url(), entry.search_mode(), entry.request(), entry.response()));
        let Some(node) = entry.resource() else { continue };
        resource(node);
        for text in ["#1", "Patient/1", "urn:uuid:1"] {
            let _found = bundle.resolve(&Reference::parse(text).unwrap(), &entry);
        }
    }
}

fn resource(node: Node<'_>) {
    open(node, 0);
    for release in Release::ALL {
        assert!(node.check(release).len() <= 16);
    }
    for path in PATHS.iter() {
        drop(path.evaluate(node));
    }
}

/// Reads what can be asked of an element and of those below it.
fn open(node: Node<'_>, depth: usize) {
    drop((node.text(), node.number(), node.boolean(), node.id(), node.json(), node.resource_type()));
    drop(format!("{node:?}"));
    drop((Reference::of(&node), node.contained("1")));
    let names = ["name", "given", "extension", "contained", "subject", "code", "valueQuantity", ""];
    for name in names {
        for member in node.members(name).take(64) {
            if depth < 6 {
                open(member, depth + 1);
            }
        }
    }
}
