//! Any text is a path or not; what is one reads the same after it was shown.
#![no_main]

use careloop::hl7::{Path, Paths, RelPath};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Path::parse(text) {
        Ok(path) => assert_eq!(Path::parse(&path.to_string()), Ok(path)),
        Err(error) => assert!(error.at <= text.chars().count() + 1, "{error}"),
    }
    if let Ok(paths) = Paths::parse(text) {
        assert_eq!(Paths::parse(&paths.to_string()), Ok(paths));
    }
    if let Ok(relative) = RelPath::parse(text) {
        assert_eq!(RelPath::parse(&relative.to_string()), Ok(relative));
    }
});
