//! Whatever the shipped mappings call mapped of a resource, in any release, the thin model takes.
#![no_main]

use std::sync::LazyLock;

use careloop::crm::Change;
use careloop::fhir::{Body, Node, Release};
use careloop::mapping::{Bundle, Context, Outcome};
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;

static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| {
    Bundle::embedded(&[])
        .ok()
        .expect("the shipped mappings compile")
});
static ZONE: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::get("America/New_York").unwrap());

fn map(resource: Node<'_>) {
    let hash = |parts: &[&str]| parts.len().to_string();
    let context = Context {
        zone: &ZONE,
        hash: &hash,
        endpoint: "https://ehr.example/fhir",
    };
    for release in Release::ALL {
        let mapped = BUNDLE.apply_resource(resource, release, &context);
        if mapped.outcome == Outcome::Mapped {
            for change in mapped.changes {
                let read = Change::read(change.entity, change.values.into_inner());
                assert!(read.is_ok(), "{}: {:?}", change.block, read.err());
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    match Body::read(data) {
        Err(_) => {}
        Ok(Body::Resource(document)) => map(document.root()),
        Ok(Body::Bundle(bundle)) => {
            let resources = bundle.entries().filter_map(|entry| entry.ok()?.resource());
            resources.for_each(map);
        }
    }
});
