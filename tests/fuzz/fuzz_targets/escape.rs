//! Any text is unescaped without loss of the whole; what was escaped comes back as it was.
#![no_main]

use careloop::hl7::charset::Right;
use careloop::hl7::{Charset, Delimiters, escape};
use libfuzzer_sys::fuzz_target;

const CHARSETS: [Charset; 8] = [
    Charset::Ascii,
    Charset::Utf8,
    Charset::Iso8859(1),
    Charset::Windows1252,
    Charset::Gb18030,
    Charset::KsX1001,
    Charset::Big5,
    Charset::Iso2022 {
        right: Right::Katakana,
    },
];

fuzz_target!(|data: (u8, [u8; 6], &str)| {
    let (choice, declared, text) = data;
    let charset = CHARSETS[usize::from(choice) % CHARSETS.len()];
    let msh = [b"MSH".as_slice(), &declared].concat();
    let delimiters = Delimiters::read(&msh).unwrap_or_default();
    drop(escape::decode(text, &delimiters, charset));
    if delimiters.escape.is_some() {
        let escaped = escape::encode(text, &delimiters);
        assert!(!escaped.contains(['\r', '\n']));
        assert_eq!(escape::decode(&escaped, &delimiters, charset), text);
    }
});
