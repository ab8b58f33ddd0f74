//! Cuts one frame or file into messages: batches with and without envelope, comments between.

use std::ops::Range;

use super::charset::Wide;
use super::lines::{Line, is_blank, leading_noise, lines};

/// Where the messages of a frame are. The ranges of all four lists together cover every byte once,
/// except in a frame without any MSH or in UTF-16 or UTF-32, which is one message of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// One range per message, in order; never empty.
    pub messages: Vec<Range<usize>>,
    /// Envelope segments: FHS, BHS, BTS, FTS (HL7 v2.5.1 2.10.3).
    pub envelope: Vec<Range<usize>>,
    /// Lines that start with `#`, before, between or after messages.
    pub comments: Vec<Range<usize>>,
    /// Lines that belong to no message: before the first MSH, or after the end of a batch.
    pub stray: Vec<Range<usize>>,
}

impl Split {
    /// Whether there are envelope segments or several messages.
    #[must_use]
    pub fn is_batch(&self) -> bool {
        !self.envelope.is_empty() || self.messages.len() > 1
    }
}

/// What a line does to the splitting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Header,
    Envelope,
    Comment,
    Other,
}

/// Finds the messages in `bytes`.
///
/// A message runs from its MSH to the next MSH or envelope segment. `#` lines count as comments
/// only directly before one of these or, in a frame that has comments or several messages, at the
/// end: elsewhere they may be text of a segment.
#[must_use]
pub fn split(bytes: &[u8]) -> Split {
    let mut split = Split::default();
    if Wide::of(bytes).is_some() {
        split.messages.push(0..bytes.len());
        return split;
    }
    // What the current run of lines belongs to, and where a run of `#` lines in it began.
    let mut open = Open {
        role: Role::Other,
        start: 0,
    };
    let mut comment: Option<usize> = None;
    for line in lines(bytes) {
        let role = role(&line);
        match role {
            Role::Comment => comment = comment.or(Some(line.start)),
            Role::Header | Role::Envelope => {
                let begin = split.close(open, comment.take(), line.start, bytes);
                open = Open { role, start: begin };
            }
            Role::Other if open.role == Role::Envelope && !is_blank(line.bytes) => {
                let begin = split.close(open, comment.take(), line.start, bytes);
                open = Open { role, start: begin };
            }
            Role::Other if is_blank(line.bytes) => {}
            Role::Other => comment = None,
        }
    }
    let several = split.messages.len() + usize::from(open.role == Role::Header) > 1;
    if !several && split.comments.is_empty() && open.role == Role::Header {
        comment = None;
    }
    split.close(open, comment, bytes.len(), bytes);
    if split.messages.is_empty() {
        split.messages.push(0..bytes.len());
        split.stray.clear();
        split.comments.clear();
    }
    split
}

/// A run of lines that is not finished yet.
#[derive(Clone, Copy)]
struct Open {
    role: Role,
    start: usize,
}

impl Split {
    /// Files the run that ends before `end`, and returns where the next one starts.
    fn close(&mut self, open: Open, comment: Option<usize>, end: usize, bytes: &[u8]) -> usize {
        let body = open.start..comment.unwrap_or(end);
        let blank = bytes.get(body.clone()).is_none_or(is_blank);
        match open.role {
            Role::Header => self.messages.push(body),
            Role::Envelope => self.envelope.push(body),
            // Frame bytes before the first MSH are part of that message.
            Role::Other | Role::Comment if blank && comment.is_none() => return open.start,
            Role::Other | Role::Comment if blank => {
                self.comments.push(open.start..end);
                return end;
            }
            Role::Other | Role::Comment => self.stray.push(body),
        }
        if let Some(start) = comment {
            self.comments.push(start..end);
        }
        end
    }
}

fn role(line: &Line<'_>) -> Role {
    let start = leading_noise(line.bytes);
    let body = line.bytes.get(start..).unwrap_or_default();
    let (name, rest) = body.split_at_checked(3).unwrap_or((body, &[]));
    let separated = rest.first().is_some_and(u8::is_ascii_punctuation);
    match name {
        b"MSH" if separated => Role::Header,
        b"FHS" | b"BHS" | b"BTS" | b"FTS" if separated || is_blank(rest) => Role::Envelope,
        [b'#', ..] => Role::Comment,
        _ => Role::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<'a>(bytes: &'a str, ranges: &[Range<usize>]) -> Vec<&'a str> {
        ranges
            .iter()
            .map(|r| bytes.get(r.clone()).unwrap())
            .collect()
    }

    /// The range of the only message.
    fn only(bytes: &str) -> Range<usize> {
        let messages = split(bytes.as_bytes()).messages;
        assert_eq!(messages.len(), 1);
        messages.first().unwrap().clone()
    }

    #[test]
    fn one_message_is_one_range() {
        let text = "\x0bMSH|^~\\&|A\rPID|1\r\x1c\r";
        assert_eq!(only(text), 0..text.len());
        assert!(!split(text.as_bytes()).is_batch());
    }

    #[test]
    fn envelopes_and_comments_are_told_apart() {
        let text =
            "FHS|^~\\&\rBHS|^~\\&\r# one\rMSH|^~\\&|A\rPID|1\r# two\r\rMSH|^~\\&|B\rBTS|2\rFTS\r";
        let found = split(text.as_bytes());
        assert_eq!(
            texts(text, &found.messages),
            ["MSH|^~\\&|A\rPID|1\r", "MSH|^~\\&|B\r"]
        );
        assert_eq!(texts(text, &found.comments), ["# one\r", "# two\r\r"]);
        assert_eq!(found.envelope.len(), 4);
        assert!(found.stray.is_empty());
        assert!(found.is_batch());
    }

    #[test]
    fn a_hash_line_in_a_message_stays_there() {
        let text = "MSH|^~\\&|A\rOBX|1|TX|T||one\n# two\nthree\rMSH|^~\\&|B\r";
        let found = split(text.as_bytes());
        assert!(found.comments.is_empty());
        assert_eq!(found.messages.len(), 2);
        let single = "MSH|^~\\&|A\rOBX|1|TX|T||one\n# two";
        assert_eq!(only(single), 0..single.len());
    }

    #[test]
    fn strays_are_named() {
        let text = "PID|0\rMSH|^~\\&|A\rBTS|1\rnote\r";
        let found = split(text.as_bytes());
        assert_eq!(texts(text, &found.stray), ["PID|0\r", "note\r"]);
        assert_eq!(texts(text, &found.messages), ["MSH|^~\\&|A\r"]);
    }

    #[test]
    fn a_frame_without_header_is_one_message_of_everything() {
        assert_eq!(only("PID|1\r# x\r"), 0..10);
        assert_eq!(only(""), 0..0);
    }
}
