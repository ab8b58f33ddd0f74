//! Any bytes are answered with a message that reads back, in one frame's worth of bytes.
#![no_main]

use careloop::hl7::ack::{Condition, Fault, Msa};
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
            let fault = Fault {
                condition: Condition::TableValue,
                code: "unmapped-code",
                place: "OBX[2]-5.1: expected a|b",
            };
            let said = Msa {
                text: Some("store: a|b\rc"),
                sequence: Some(-1),
                fault: Some(fault),
                accept: Some("AL"),
                code,
            };
            let reply = ack::answer(header.as_ref(), &said, &now, "T1");
            let read = Header::read(&reply).expect("an answer is a message");
            assert_eq!(read.message_code, "ACK");
            assert!(reply.ends_with(b"\r") || reply.ends_with(b"\0"));
            assert!(data.contains(&END) || !reply.contains(&END));
        }
    }
});
