//! Any bytes are split without a gap, read or refused, and every field of what was read opens.
#![no_main]

use std::ops::Range;

use careloop::hl7::{Charset, Header, Message, Path, Paths, RelPath, Split, charset, split};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let found = split(data);
    covers(&found, data.len());
    for range in &found.messages {
        let part = &data[range.clone()];
        let salvaged = Header::salvage(part);
        let Ok(header) = Header::read(part) else {
            continue;
        };
        drop((salvaged, header.message_type(), header.version_number()));
        for default in [
            None,
            Some(Charset::Windows1252),
            Some(Charset::Iso8859(2)),
            Charset::parse("ISO IR87"),
            Some(Charset::Gb18030),
        ] {
            drop(charset::decode(part, &header, default));
            if let Ok(message) = Message::read(part, default) {
                open(&message);
            }
        }
    }
    if let Ok(message) = std::str::from_utf8(data)
        .map_err(drop)
        .and_then(|t| Message::parse(t).map_err(drop))
    {
        open(&message);
    }
});

/// The ranges of all lists together are the input, each byte once.
fn covers(found: &Split, length: usize) {
    let mut ranges: Vec<Range<usize>> = found.messages.clone();
    if found.messages.first() != Some(&(0..length)) {
        ranges.extend(
            [&found.envelope, &found.comments, &found.stray]
                .into_iter()
                .flatten()
                .cloned(),
        );
    }
    ranges.sort_by_key(|range| (range.start, range.end));
    let end = ranges.into_iter().fold(0, |at, range| {
        assert_eq!(range.start, at, "a gap or an overlap");
        range.end
    });
    assert_eq!(end, length);
}

/// Reads everything that can be asked of a message.
fn open(message: &Message) {
    let relative: Vec<RelPath> = [".", ".1", ".2", ".1.2", ".40"]
        .iter()
        .map(|p| RelPath::parse(p).unwrap())
        .collect();
    for segment in message.segments() {
        assert!(message.text().get(segment.span()).is_some());
        for number in 0..=segment.last_field() + 1 {
            for repetition in segment.field(number) {
                for path in &relative {
                    drop((repetition.get(path), repetition.raw(path)));
                }
            }
        }
    }
    for path in [
        "PID-3",
        "PID-3[2].4.2",
        "OBX[2]-5.1",
        "MSH-1",
        "MSH-2",
        "MSH-9.3",
    ] {
        let path = Path::parse(path).unwrap();
        drop((message.get(&path), message.raw(&path)));
    }
    drop(message.first(&Paths::parse("PID-18 | PID-3.1").unwrap()));
    let inside: usize = message
        .groups(&["PID", "OBX"], &["NTE"])
        .iter()
        .map(|group| group.segments().len())
        .sum();
    assert!(inside <= message.segments().count());
    drop(format!("{message:?}"));
}
