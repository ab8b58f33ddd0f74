//! Whatever the shipped mappings call mapped, the thin model takes.
#![no_main]

use std::sync::LazyLock;

use careloop::crm::Change;
use careloop::hl7::{Charset, Message, split};
use careloop::mapping::{Bundle, Context, Outcome};
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;

static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| {
    Bundle::embedded(&[])
        .ok()
        .expect("the shipped mappings compile")
});
static ZONE: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::get("America/New_York").unwrap());

fuzz_target!(|data: &[u8]| {
    for range in split(data).messages {
        let Ok(message) = Message::read(&data[range], Some(Charset::Utf8)) else {
            continue;
        };
        let hash = |parts: &[&str]| parts.len().to_string();
        let context = Context {
            zone: &ZONE,
            hash: &hash,
            endpoint: "",
        };
        let mapped = BUNDLE.apply(&message, message.header(), &context);
        if mapped.outcome == Outcome::Mapped {
            for change in mapped.changes {
                let read = Change::read(change.entity, change.values.into_inner());
                assert!(read.is_ok(), "{}: {:?}", change.block, read.err());
            }
        }
    }
});
