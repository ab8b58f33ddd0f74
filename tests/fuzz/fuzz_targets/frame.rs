//! Any bytes, cut into reads in any way, give the same frames and the same end.
#![no_main]

use bytes::{Bytes, BytesMut};
use careloop::intake::mllp::frame::{END, FrameDecoder, FrameError, put_frame};
use libfuzzer_sys::fuzz_target;
use tokio_util::codec::Decoder;

/// Frames, how the stream ended, and how much junk was skipped (unknown after an error).
type Outcome = (Vec<Bytes>, Result<usize, &'static str>);

fn name(error: &FrameError) -> &'static str {
    match error {
        FrameError::TooLarge { .. } => "too large",
        FrameError::Junk { .. } => "junk",
        FrameError::Truncated => "truncated",
        FrameError::Io(_) => "socket",
    }
}

fn read(
    stream: &[u8],
    (largest, junk): (usize, usize),
    sizes: impl Iterator<Item = usize>,
) -> Outcome {
    let mut decoder = FrameDecoder::new(largest, junk);
    let (mut buffer, mut frames, mut rest) = (BytesMut::new(), Vec::new(), stream);
    let mut sizes = sizes;
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(rest.len()).clamp(1, rest.len());
        let (chunk, later) = rest.split_at(size);
        buffer.extend_from_slice(chunk);
        rest = later;
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(name(&error))),
            }
        }
    }
    loop {
        match decoder.decode_eof(&mut buffer) {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, Ok(decoder.take_skipped())),
            Err(error) => return (frames, Err(name(&error))),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let [largest, junk, step, stream @ ..] = data else {
        return;
    };
    let bounds = (usize::from(*largest), usize::from(*junk));
    let whole = read(stream, bounds, std::iter::empty());
    assert_eq!(whole, read(stream, bounds, std::iter::repeat(1)));
    let step = usize::from(*step);
    let uneven = (0..).map(|turn: usize| turn.wrapping_mul(step) % 7 + 1);
    assert_eq!(whole, read(stream, bounds, uneven));
    if !stream.contains(&END) {
        let mut framed = BytesMut::new();
        put_frame(stream, &mut framed);
        put_frame(stream, &mut framed);
        let (frames, end) = read(&framed, (stream.len(), 0), std::iter::repeat(3));
        assert_eq!((frames.len(), end), (2, Ok(0)));
        assert!(frames.iter().all(|frame| frame == stream));
    }
});
