//! Any text is a timestamp or not; what is one has a date, and an instant in every zone or none.
#![no_main]

use std::sync::LazyLock;

use careloop::hl7::Timestamp;
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;

static ZONES: LazyLock<Vec<TimeZone>> = LazyLock::new(|| {
    let names = [
        "UTC",
        "America/New_York",
        "Australia/Lord_Howe",
        "Pacific/Apia",
    ];
    names
        .iter()
        .map(|name| TimeZone::get(name).unwrap())
        .collect()
});

fuzz_target!(|text: &str| {
    let Ok(timestamp) = Timestamp::parse(text) else {
        return;
    };
    let shown = timestamp.to_date_string();
    assert_eq!(shown.get(..4), text.trim().get(..4));
    for zone in ZONES.iter() {
        if let Some(resolved) = timestamp.to_instant(zone) {
            let again: jiff::Timestamp = resolved.to_rfc3339().parse().unwrap();
            assert_eq!(again, resolved.instant);
        }
    }
    drop((
        timestamp.date(),
        timestamp.offset(),
        timestamp.precision(),
        format!("{timestamp:?}"),
    ));
});
