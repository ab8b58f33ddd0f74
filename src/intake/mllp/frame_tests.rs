//! Tests of the framing: every split and coalescing of a stream gives the same frames.

use proptest::prelude::*;

use super::*;

/// What a stream gave: its frames, the error that ended it, the junk in it.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    frames: Vec<Vec<u8>>,
    error: Option<String>,
    skipped: usize,
}

const LARGEST: usize = 40;
const MOST_JUNK: usize = 8;

/// Feeds `stream` in pieces that end at `cuts`, and checks the bounds on the way.
fn read(stream: &[u8], cuts: &[usize]) -> Reading {
    let mut decoder = FrameDecoder::new(LARGEST, MOST_JUNK);
    let mut reading = Reading {
        frames: Vec::new(),
        error: None,
        skipped: 0,
    };
    let mut buffer = BytesMut::new();
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    ends.sort_unstable();
    ends.push(stream.len());
    let mut start = 0;
    for (at, end) in ends.iter().enumerate() {
        buffer.extend_from_slice(&stream[start..*end]);
        start = *end;
        loop {
            let last = at + 1 == ends.len();
            let decoded = if last {
                decoder.decode_eof(&mut buffer)
            } else {
                decoder.decode(&mut buffer)
            };
            match decoded {
                Ok(Some(frame)) => reading.frames.push(frame.to_vec()),
                Ok(None) => break,
                Err(error) => {
                    reading.error = Some(error.to_string());
                    return reading;
                }
            }
        }
        assert!(
            buffer.len() <= LARGEST,
            "what waits for more bytes stays within the bound"
        );
    }
    reading.skipped = decoder.take_skipped();
    assert!(
        decoder.examined <= stream.len(),
        "no byte is looked at twice"
    );
    reading
}

fn whole(stream: &[u8]) -> Reading {
    read(stream, &[])
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let content =
        proptest::collection::vec(prop_oneof![Just(b'\r'), 0x20_u8.., Just(START)], 0..44);
    let after = proptest::sample::select(vec!["\r", "\n", "\r\n", ""]);
    let frame = (content, after).prop_map(|(content, after)| {
        let mut bytes = vec![START];
        bytes.extend(content);
        bytes.push(END);
        bytes.extend(after.as_bytes());
        bytes
    });
    let junk = proptest::collection::vec(prop_oneof![Just(END), Just(b'\r'), 0x20_u8..], 0..5);
    prop_oneof![4 => frame, 1 => junk]
}

proptest! {
    #[test]
    fn every_split_of_frames_reads_the_same(
        pieces in proptest::collection::vec(piece(), 0..6),
        cuts in proptest::collection::vec(any::<usize>(), 0..30),
    ) {
        let stream = pieces.concat();
        prop_assert_eq!(read(&stream, &cuts), whole(&stream));
    }

    #[test]
    fn every_split_of_any_bytes_reads_the_same(
        stream in proptest::collection::vec(prop_oneof![Just(START), Just(END), any::<u8>()], 0..200),
        cuts in proptest::collection::vec(any::<usize>(), 0..30),
    ) {
        prop_assert_eq!(read(&stream, &cuts), whole(&stream));
    }

    #[test]
    fn byte_by_byte_reads_the_same(pieces in proptest::collection::vec(piece(), 0..6)) {
        let stream = pieces.concat();
        let cuts: Vec<usize> = (0..=stream.len()).collect();
        prop_assert_eq!(read(&stream, &cuts), whole(&stream));
    }

    #[test]
    fn what_was_put_into_frames_comes_out(
        contents in proptest::collection::vec(proptest::collection::vec(0x20_u8.., 0..40), 0..6),
        cuts in proptest::collection::vec(any::<usize>(), 0..30),
    ) {
        let mut stream = BytesMut::new();
        for content in &contents {
            put_frame(content, &mut stream);
        }
        let reading = read(&stream, &cuts);
        prop_assert_eq!(reading, Reading { frames: contents, error: None, skipped: 0 });
    }
}

#[test]
fn a_frame_may_be_exactly_as_long_as_the_bound_and_no_longer() {
    let fits = [&[START][..], &[b'a'; LARGEST], &[END]].concat();
    assert_eq!(whole(&fits).frames, [vec![b'a'; LARGEST]]);
    let over = [&[START][..], &[b'a'; LARGEST + 1], &[END]].concat();
    let reading = whole(&over);
    assert_eq!(reading.frames, Vec::<Vec<u8>>::new());
    assert_eq!(
        reading.error.as_deref(),
        Some("frame: expected at most 40 bytes, found more")
    );
}

#[test]
fn junk_is_counted_up_to_the_bound_and_starts_again_at_each_frame() {
    let reading = whole(b"12345678\x0ba\x1c\r12345678\x0bb\x1c");
    assert_eq!(reading.frames, [b"a", b"b"]);
    assert_eq!(reading.skipped, 16);
    assert!(
        whole(b"123456789\x0ba\x1c")
            .error
            .is_some_and(|error| error.contains("start block"))
    );
}

#[test]
fn line_ends_between_frames_are_no_junk() {
    let reading = whole(b"\r\n\r\n\r\n\r\n\r\n\r\n\x0ba\x1c\n\n\r\r\x0bb\x1c\r\n");
    assert_eq!(
        reading,
        Reading {
            frames: vec![b"a".into(), b"b".into()],
            error: None,
            skipped: 0
        }
    );
}

#[test]
fn a_second_start_block_stays_content() {
    assert_eq!(
        whole(b"\x0bMSH|lost\r\x0bMSH|next\r\x1c\r").frames,
        [b"MSH|lost\r\x0bMSH|next\r"]
    );
}

#[test]
fn the_end_of_the_stream_inside_a_frame_is_an_error() {
    assert!(
        whole(b"\x0bMSH|")
            .error
            .is_some_and(|error| error.contains("end of the stream"))
    );
    assert_eq!(whole(b"\x0b\x1c").frames, [b""]);
}
