//! The message header (MSH), read from bytes before the charset is known.

use std::fmt;

use super::charset::{Charset, Runs, Wide, narrowed};
use super::delimiters::Delimiters;
use super::lines;

/// Why no header could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The bytes do not start with `MSH`, after what may be stripped.
    #[error("MSH: expected a message header at the start, found none")]
    NoHeader,
    /// MSH-1 is missing, a letter or digit, or not ASCII.
    #[error("MSH-1: expected a printable ASCII field separator, found none")]
    FieldSeparator,
    /// MSH-2 is empty, too long, or has characters that cannot separate.
    #[error("MSH-2: expected 1 to 5 distinct ASCII delimiters, found {found} bytes that are not")]
    EncodingCharacters {
        /// How many bytes MSH-2 holds, counted to 9.
        found: usize,
    },
}

/// What MSH says, as text for routing and as raw bytes for echoing.
///
/// The strings are UTF-8 where the bytes are, else ISO 8859-1; they never fail and are not
/// unescaped. The exact bytes are at [`Header::raw_field`].
#[derive(Clone)]
pub struct Header {
    /// MSH-1 and MSH-2.
    pub delimiters: Delimiters,
    /// MSH-3, the whole field.
    pub sending_application: String,
    /// MSH-4, the whole field.
    pub sending_facility: String,
    /// MSH-5, the whole field.
    pub receiving_application: String,
    /// MSH-6, the whole field.
    pub receiving_facility: String,
    /// MSH-7 as sent, first component; see [`super::Timestamp`].
    pub time: String,
    /// MSH-9.1, such as `ADT`; trimmed, without soft hyphens.
    pub message_code: String,
    /// MSH-9.2, such as `A08`; trimmed, without soft hyphens.
    pub trigger: String,
    /// MSH-9.3, such as `ADT_A01`; often empty.
    pub structure: String,
    /// MSH-10 as sent, the whole field.
    pub control_id: String,
    /// MSH-11.1, such as `P`.
    pub processing_id: String,
    /// MSH-12.1, such as `2.5.1`; see [`Header::version_number`].
    pub version: String,
    /// MSH-15: when an accept acknowledgement is wanted (table 0155).
    pub accept_ack: String,
    /// MSH-16: when an application acknowledgement is wanted (table 0155).
    pub application_ack: String,
    /// MSH-18, the first component of each repetition; empty when the field is.
    pub charsets: Vec<String>,
    /// UTF-16 or UTF-32, where the message is; everything here is UTF-8 then.
    pub(super) wide: Option<Wide>,
    segment: Vec<u8>,
    /// Whether high bytes begin characters of two bytes, the second of which may look like a
    /// delimiter.
    leads: bool,
}

impl Header {
    /// Reads the MSH at the start of `bytes`, whatever the charset of the rest.
    ///
    /// A byte order mark, VT, FS, NUL, blanks and line ends before it are skipped.
    ///
    /// # Errors
    /// No `MSH` there, or delimiters that cannot separate: see [`HeaderError`].
    pub fn read(bytes: &[u8]) -> Result<Header, HeaderError> {
        if let Some((wide, text)) = narrowed(bytes) {
            let mut header = Header::read_bytes(&text)?;
            header.wide = Some(wide);
            return Ok(header);
        }
        Header::read_bytes(bytes)
    }

    fn read_bytes(bytes: &[u8]) -> Result<Header, HeaderError> {
        let segment = segment(bytes);
        let delimiters = Delimiters::read(segment)?;
        Ok(Header::cut(segment, delimiters))
    }

    /// The fields of `segment`: which there are depends on the set, and one of them names the set.
    fn cut(segment: &[u8], delimiters: Delimiters) -> Header {
        let plain = Header::of(segment, delimiters, false);
        if segment.is_ascii() {
            return plain;
        }
        let other = Header::of(segment, delimiters, true);
        let named = other.charsets.first().and_then(|name| Charset::parse(name));
        let leads = named.is_some_and(Charset::hides_delimiters);
        if leads { other } else { plain }
    }

    fn of(segment: &[u8], delimiters: Delimiters, leads: bool) -> Header {
        let raw = Raw {
            segment,
            delimiters,
            leads,
        };
        let repetitions = raw.field(18).split(|&b| b == delimiters.repetition);
        let charsets = repetitions.map(|r| text(raw.component_of(r, 1)).trim().to_owned());
        Header {
            delimiters,
            sending_application: text(raw.field(3)),
            sending_facility: text(raw.field(4)),
            receiving_application: text(raw.field(5)),
            receiving_facility: text(raw.field(6)),
            time: text(raw.component(7, 1)),
            message_code: code(raw.component(9, 1)),
            trigger: code(raw.component(9, 2)),
            structure: code(raw.component(9, 3)),
            control_id: text(raw.field(10)),
            processing_id: code(raw.component(11, 1)),
            version: code(raw.component(12, 1)),
            accept_ack: code(raw.component(15, 1)),
            application_ack: code(raw.component(16, 1)),
            charsets: if raw.field(18).is_empty() {
                Vec::new()
            } else {
                charsets.collect()
            },
            wide: None,
            segment: segment.to_vec(),
            leads,
        }
    }

    /// Reads what can be answered where [`Header::read`] fails on MSH-2 alone: with the recommended
    /// delimiters in place of the unusable ones, for the echo in an acknowledgement and nothing else.
    #[must_use]
    pub fn salvage(bytes: &[u8]) -> Option<Header> {
        let segment = segment(bytes);
        let &field = segment.strip_prefix(b"MSH")?.first()?;
        let delimiters = Delimiters {
            field,
            ..Delimiters::default()
        };
        // A separator that is one of the others, or none, leaves nothing to answer with.
        let msh = [b"MSH".as_slice(), &[field], b"^~\\&", &[field]].concat();
        let read = Delimiters::read(&msh).ok()?;
        (read == delimiters).then(|| Header::cut(segment, delimiters))
    }

    /// `ADT^A08`, or only the code when there is no trigger, always joined by `^`.
    #[must_use]
    pub fn message_type(&self) -> String {
        if self.trigger.is_empty() {
            self.message_code.clone()
        } else {
            format!("{}^{}", self.message_code, self.trigger)
        }
    }

    /// Whether the sender speaks enhanced mode: MSH-15 or MSH-16 is valued (HL7 v2.5.1 2.9.3).
    #[must_use]
    pub fn wants_enhanced(&self) -> bool {
        !self.accept_ack.is_empty() || !self.application_ack.is_empty()
    }

    /// Whether the message itself is an acknowledgement: `ACK`, or `MCF` of old versions.
    #[must_use]
    pub fn is_acknowledgement(&self) -> bool {
        matches!(self.message_code.as_str(), "ACK" | "MCF")
    }

    /// MSH-13 where it is a number; zero and minus one have meanings of their own (HL7 v2.5.1 2.10.1).
    #[must_use]
    pub fn sequence_number(&self) -> Option<i64> {
        text(self.raw_component(13, 1)).trim().parse().ok()
    }

    /// Major and minor version, such as `(2, 5)` of `2.5.1`; `None` when MSH-12 has no number.
    #[must_use]
    pub fn version_number(&self) -> Option<(u8, u8)> {
        let mut parts = self.version.split('.').map(str::parse);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    }

    /// The bytes of MSH field `number` exactly as sent; empty when the segment does not reach it.
    #[must_use]
    pub fn raw_field(&self, number: usize) -> &[u8] {
        self.raw().field(number)
    }

    /// The bytes of a component of MSH field `number` exactly as sent, first repetition; 1-based.
    #[must_use]
    pub fn raw_component(&self, number: usize, component: usize) -> &[u8] {
        self.raw().component(number, component)
    }

    /// Whether high bytes begin characters of two bytes here (GB 18030, BIG-5).
    pub(super) const fn hides_delimiters(&self) -> bool {
        self.leads
    }

    fn raw(&self) -> Raw<'_> {
        Raw {
            segment: &self.segment,
            delimiters: self.delimiters,
            leads: self.leads,
        }
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header(MSH, {} bytes)", self.segment.len())
    }
}

/// The first line of a message, from its name to its end.
fn segment(bytes: &[u8]) -> &[u8] {
    let rest = bytes.get(lines::leading_noise(bytes)..).unwrap_or_default();
    let end = rest
        .iter()
        .position(|&b| b == b'\r' || b == b'\n')
        .unwrap_or(rest.len());
    let segment = rest.get(..end).unwrap_or_default();
    // A frame of one segment ends with its own frame bytes.
    segment.strip_suffix(b"\x1c").unwrap_or(segment)
}

/// The MSH segment's bytes with what is needed to cut them.
struct Raw<'a> {
    segment: &'a [u8],
    delimiters: Delimiters,
    leads: bool,
}

impl<'a> Raw<'a> {
    /// Cuts at a delimiter, but not inside of characters of two bytes.
    fn cut(&self, bytes: &'a [u8], separator: u8) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut runs = Runs::new(self.leads);
        bytes.split(move |&byte| runs.is_plain(byte) && byte == separator)
    }

    /// Field `number` of MSH, where MSH-1 is the separator itself (HL7 v2.5.1 2.14.9.1).
    fn field(&self, number: usize) -> &'a [u8] {
        let separator = self.delimiters.field;
        match number {
            0 => &[],
            1 => self.segment.get(3..4).unwrap_or_default(),
            _ => self
                .cut(self.segment, separator)
                .nth(number - 1)
                .unwrap_or_default(),
        }
    }

    fn component(&self, number: usize, component: usize) -> &'a [u8] {
        let separator = self.delimiters.repetition;
        let first = self
            .cut(self.field(number), separator)
            .next()
            .unwrap_or_default();
        self.component_of(first, component)
    }

    fn component_of(&self, repetition: &'a [u8], component: usize) -> &'a [u8] {
        let separator = self.delimiters.component;
        let mut parts = self.cut(repetition, separator);
        parts.nth(component.saturating_sub(1)).unwrap_or_default()
    }
}

/// Bytes as text that can be shown and compared: UTF-8, else ISO 8859-1.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// A code: trimmed, and without the soft hyphens that copying from the standard's PDF leaves.
fn code(bytes: &[u8]) -> String {
    text(bytes).replace('\u{ad}', "").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSH: &str = "MSH|^~\\&|TEST-APP^1.2.3^ISO|TEST-FAC|HUB|CLINIC|20260102030405+0100||\
                       ADT^A08^ADT_A01|TEST-123|P^T|2.5.1^^|||AL|NE||8859/1~UNICODE UTF-8";

    #[test]
    fn reads_every_part() {
        let header = Header::read(format!("\u{feff}\x0b\r\n {MSH}\rPID|1").as_bytes()).unwrap();
        assert_eq!(header.message_type(), "ADT^A08");
        assert_eq!(header.sending_application, "TEST-APP^1.2.3^ISO");
        assert_eq!(header.receiving_facility, "CLINIC");
        assert_eq!(header.structure, "ADT_A01");
        assert_eq!(header.control_id, "TEST-123");
        assert_eq!(header.processing_id, "P");
        assert_eq!(header.version, "2.5.1");
        assert_eq!(header.version_number(), Some((2, 5)));
        assert_eq!(header.charsets, ["8859/1", "UNICODE UTF-8"]);
        assert!(header.wants_enhanced());
        assert_eq!(header.raw_field(1), b"|");
        assert_eq!(header.raw_field(2), b"^~\\&");
        assert_eq!(header.raw_field(99), b"");
        assert_eq!(header.time, "20260102030405+0100");
    }

    #[test]
    fn never_fails_on_charset_and_keeps_the_bytes() {
        let header = Header::read(b"MSH|^~\\&|Caf\xe9||||||A\xadDT^A08|T\xff1|P|2.3.z").unwrap();
        assert_eq!(header.sending_application, "Caf\u{e9}");
        assert_eq!(header.message_type(), "ADT^A08");
        assert_eq!(header.raw_field(10), b"T\xff1");
        assert_eq!(header.version_number(), Some((2, 3)));
    }

    #[test]
    fn takes_soft_hyphens_out_of_the_type() {
        let header = Header::read("MSH|^~\\&|||||||AD\u{ad}T^A0\u{ad}1|1".as_bytes()).unwrap();
        assert_eq!(header.message_type(), "ADT^A01");
    }

    #[test]
    fn a_message_code_alone_is_a_type() {
        let header = Header::read(b"MSH|^~\\&|||||||ACK|1\x1c").unwrap();
        assert_eq!(header.message_type(), "ACK");
        assert_eq!(header.control_id, "1");
        assert!(!header.wants_enhanced());
        assert!(header.charsets.is_empty());
    }

    #[test]
    fn shows_no_message_text() {
        let header = Header::read(MSH.as_bytes()).unwrap();
        assert_eq!(
            format!("{header:?}"),
            format!("Header(MSH, {} bytes)", MSH.len())
        );
    }

    #[test]
    fn salvages_what_can_be_answered() {
        let unusable = "MSH|^\u{fffd}\\&|A|||||ADT^A08|ADT^A08|TEST-1|P|2.5\rPID|1".as_bytes();
        assert!(Header::read(unusable).is_err());
        assert_eq!(Header::salvage(unusable).unwrap().raw_field(10), b"TEST-1");
        assert!(Header::salvage(b"PID|1").is_none());
    }

    #[test]
    fn says_when_there_is_none() {
        assert_eq!(Header::read(b"PID|1").unwrap_err(), HeaderError::NoHeader);
        assert_eq!(Header::read(b"").unwrap_err(), HeaderError::NoHeader);
    }
}
