//! MLLP framing: cuts a byte stream into frames and puts answers into frames.
//!
//! Accepted: `VT content FS` with CR, LF, both or nothing after it, split and coalesced in any
//! way; an empty frame; a VT inside a frame, which stays content, because a sender that lost its
//! FS must not lose the message that it had begun.
//! Ignored: line ends between frames. Counted: other bytes between frames, up to a bound.
//! Refused: content over the bound, junk over the bound, an end of the stream inside a frame.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::Decoder;

/// Start block (VT).
pub const START: u8 = 0x0b;
/// End block (FS).
pub const END: u8 = 0x1c;

/// Why a stream is not read any further.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// A frame's content is longer than the bound.
    #[error("frame: expected at most {limit} bytes, found more")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// Too many bytes came before a start block.
    #[error("frame: expected a start block (0x0b) within {limit} bytes, found none")]
    Junk {
        /// The bound.
        limit: usize,
    },
    /// The stream ended inside a frame.
    #[error("frame: expected an end block (0x1c), found the end of the stream")]
    Truncated,
    /// The socket failed.
    #[error("socket: {}", .0.kind())]
    Io(#[from] io::Error),
}

/// Cuts frames out of a stream; looks at every byte once.
#[derive(Debug)]
pub struct FrameDecoder {
    largest: usize,
    most_junk: usize,
    /// Inside a frame: how many bytes of its content are known to hold no end block.
    searched: Option<usize>,
    /// Junk since the last frame.
    junk: usize,
    /// Junk that was skipped and not asked for yet.
    skipped: usize,
    #[cfg(test)]
    examined: usize,
}

impl FrameDecoder {
    /// A decoder for frames of at most `largest` bytes with at most `most_junk` bytes before each.
    pub const fn new(largest: usize, most_junk: usize) -> Self {
        Self {
            largest,
            most_junk,
            searched: None,
            junk: 0,
            skipped: 0,
            #[cfg(test)]
            examined: 0,
        }
    }

    /// Whether a frame has begun and not ended.
    pub const fn is_inside(&self) -> bool {
        self.searched.is_some()
    }

    /// How many junk bytes were skipped since this was last asked.
    pub const fn take_skipped(&mut self) -> usize {
        std::mem::replace(&mut self.skipped, 0)
    }

    /// Drops what stands before the next start block; `false` when there is none yet.
    fn skip_to_start(&mut self, buffer: &mut BytesMut) -> Result<bool, FrameError> {
        let start = buffer.iter().position(|&byte| byte == START);
        let before = start.unwrap_or(buffer.len());
        let junk = buffer
            .iter()
            .take(before)
            .filter(|&&byte| !is_line_end(byte))
            .count();
        #[cfg(test)]
        {
            self.examined += before;
        }
        self.junk = self.junk.saturating_add(junk);
        self.skipped = self.skipped.saturating_add(junk);
        if self.junk > self.most_junk {
            return Err(FrameError::Junk {
                limit: self.most_junk,
            });
        }
        buffer.advance(before);
        if start.is_none() {
            return Ok(false);
        }
        buffer.advance(1);
        self.junk = 0;
        self.searched = Some(0);
        Ok(true)
    }
}

impl Decoder for FrameDecoder {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        if self.searched.is_none() && !self.skip_to_start(buffer)? {
            return Ok(None);
        }
        let searched = self.searched.unwrap_or_default();
        let end = buffer.iter().skip(searched).position(|&byte| byte == END);
        #[cfg(test)]
        {
            self.examined += end.unwrap_or(buffer.len() - searched);
        }
        let length = end.map_or(buffer.len(), |at| searched + at);
        if length > self.largest {
            return Err(FrameError::TooLarge {
                limit: self.largest,
            });
        }
        if end.is_none() {
            self.searched = Some(length);
            return Ok(None);
        }
        let content = buffer.split_to(length).freeze();
        buffer.advance(1);
        self.searched = None;
        Ok(Some(content))
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        match self.decode(buffer)? {
            None if self.is_inside() => Err(FrameError::Truncated),
            found => Ok(found),
        }
    }
}

/// Appends `content` to `out` as one frame.
pub fn put_frame(content: &[u8], out: &mut BytesMut) {
    out.reserve(content.len() + 3);
    out.put_u8(START);
    out.put_slice(content);
    out.put_u8(END);
    out.put_u8(b'\r');
}

const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
