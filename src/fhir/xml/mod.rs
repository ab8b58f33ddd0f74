//! FHIR in XML: one pass over a body, bounded like JSON, into the element model and on to JSON.
//!
//! It takes XML 1.0 in UTF-8 without a document type, and so without entities but the five that XML
//! has itself. What FHIR has no place for (comments, processing instructions, attributes of other
//! namespaces) is left out; a narrative stays as it was written. An element that no release has is
//! kept, and let be by whoever asks for others, as in JSON.

use super::error::{ReadError, ReadErrorKind};
use super::{Release, read, text};

mod build;
mod scan;
mod spaces;
mod tag;

pub(super) use tag::is_character;

/// A body in XML as the JSON that it stands for, for [`super::Document::read`] and
/// [`super::Bundle::read`]. What repeats and what is a number depends on the release.
///
/// The places of an error of this function are bytes of the XML; those of later errors are bytes of the
/// JSON. A value that is not of its kind stays a string, which [`super::Node::check`] tells of.
///
/// # Errors
/// [`ReadError`] where it is no XML or has text or elements of other namespaces where FHIR has none:
/// that costs the whole body, since nothing says where an entry would end.
pub fn json_of_xml(bytes: &[u8], release: Release) -> Result<String, ReadError> {
    read::bounded(bytes)?;
    let text = text::of(bytes);
    if let Some(offset) = text.bytes().position(is_control) {
        let (expected, found) = ("text", "bytes that are no UTF-8, or a control character");
        return Err(ReadError {
            kind: ReadErrorKind::Syntax,
            place: String::new(),
            offset,
            expected,
            found,
        });
    }
    build::body(&text, release)
}

/// Whether a text is a narrative: one `div` of XHTML and nothing else, that needs nothing around it.
pub(super) fn is_narrative(text: &str) -> bool {
    !text.bytes().any(is_control) && scan::Scanner::new(text).narrative().is_ok()
}

fn is_control(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests;
