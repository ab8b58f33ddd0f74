//! Any bytes are answered with a message that reads back, in one frame's worth of bytes.
#![no_main]

use careloop::hl7::{AckCode, Header, ack};
use jiff::{Timestamp, tz::TimeZone};
use libfuzzer_sys::fuzz_target;

/// The byte that ends a frame.
const END: u8 = 0x1c;

fuzz_target!(|data: &[u8]| {
    let now = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    for header in [
        Header::read(data).ok().or_else(|| Header::salvage(data)),
        None,
    ] {
        for code in [AckCode::AA, AckCode::AE, AckCode::CA, AckCode::CE] {
            let reply = ack::answer(header.as_ref(), code, Some("store: a|b\rc"), &now, "T1");
            let read = Header::read(&reply).expect("an answer is a message");
            assert_eq!(read.message_code, "ACK");
            assert!(reply.ends_with(b"\r"));
            assert!(data.contains(&END) || !reply.contains(&END));
        }
    }
});
