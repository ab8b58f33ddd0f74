//! Any bytes are a task event or are refused without an echo of a value.
#![no_main]

use careloop::outbox::events;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| match events::parse(data) {
    Ok(event) => {
        assert!((1..=64).contains(&event.id.len()));
        assert!(event.version > 0);
    }
    Err(error) => assert!(error.to_string().len() < 120),
});
