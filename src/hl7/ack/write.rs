//! The bytes of an acknowledgement, in the sender's delimiters, version and charset.

use jiff::Zoned;

use super::AckCode;
use crate::hl7::charset::{self, Charset, Runs};
use crate::hl7::delimiters::Delimiters;
use crate::hl7::escape;
use crate::hl7::header::Header;

/// What an acknowledgement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msa<'a> {
    /// MSA-1.
    pub code: AckCode,
    /// MSA-3, which must name no values.
    pub text: Option<&'a str>,
    /// MSA-4: the sequence number that was taken, or the one that is expected.
    pub sequence: Option<i64>,
    /// What ERR says of AE and CE; without it, an internal error.
    pub fault: Option<Fault<'a>>,
    /// MSH-15 of an acknowledgement that is a message of its own; MSH-16 is `NE` then, since an
    /// acknowledgement is never answered by an application acknowledgement.
    pub accept: Option<&'a str>,
}

impl<'a> Msa<'a> {
    /// A code and nothing else.
    #[must_use]
    pub const fn of(code: AckCode) -> Self {
        Self {
            code,
            text: None,
            sequence: None,
            fault: None,
            accept: None,
        }
    }
}

/// What ERR says (HL7 v2.5.1 2.15.5); it names fields and codes, never a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault<'a> {
    /// The error of table 0357.
    pub condition: Condition,
    /// The receiver's own name of the error, for ERR-5.
    pub code: &'a str,
    /// Where it is, such as `PID-3: …`; its path becomes ERR-2, all of it ERR-7.
    pub place: &'a str,
}

/// Errors of table 0357.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// 100.
    SegmentSequence,
    /// 101.
    RequiredFieldMissing,
    /// 102.
    DataType,
    /// 103.
    TableValue,
    /// 200.
    UnsupportedMessageType,
    /// 204.
    UnknownKey,
    /// 207.
    Internal,
}

impl Condition {
    /// The number and its text.
    #[must_use]
    pub const fn coded(self) -> (&'static str, &'static str) {
        match self {
            Self::SegmentSequence => ("100", "Segment sequence error"),
            Self::RequiredFieldMissing => ("101", "Required field missing"),
            Self::DataType => ("102", "Data type error"),
            Self::TableValue => ("103", "Table value not found"),
            Self::UnsupportedMessageType => ("200", "Unsupported message type"),
            Self::UnknownKey => ("204", "Unknown key identifier"),
            Self::Internal => ("207", "Application internal error"),
        }
    }
}

/// Writes an acknowledgement: MSH, MSA and, for AE and CE, ERR; each ends with CR.
///
/// It is in the sender's delimiters, version and charset. MSH-3/4 and MSH-5/6 are swapped and
/// MSH-10 is echoed in MSA-2 byte for byte, whatever they hold. Without a `header` it has the
/// standard delimiters and an empty MSA-2. `id` becomes its own MSH-10. Characters of its texts that
/// the charset lacks become `?`; an answer to UTF-16 or UTF-32 is in the same, unless a byte of it
/// would end the frame: then it is in UTF-8.
#[must_use]
pub fn answer(header: Option<&Header>, msa: &Msa<'_>, now: &Zoned, id: &str) -> Vec<u8> {
    let writer = Writer::new(header);
    let text = msa.text.map_or_else(Vec::new, |text| writer.own_text(text));
    let mut bytes = writer.msh(msa, now, id);
    let mut fields = vec![
        b"MSA".to_vec(),
        msa.code.code().as_bytes().to_vec(),
        writer.echo(10).to_vec(),
        text.clone(),
    ];
    if let Some(number) = msa.sequence {
        // Minus one begins with what a sender may use as its separator.
        let number = number.to_string().into_bytes();
        fields.push(
            number
                .into_iter()
                .filter(|b| *b != writer.field())
                .collect(),
        );
    }
    bytes.extend(writer.segment(fields));
    if msa.code.is_error() {
        bytes.extend(writer.err(text, msa.fault));
    }
    let wide = header.and_then(|header| header.wide);
    let rewritten = wide.and_then(|wide| wide.encode(std::str::from_utf8(&bytes).ok()?));
    rewritten.unwrap_or(bytes)
}

/// The sender's header with what is needed to answer in its manner.
struct Writer<'h> {
    header: Option<&'h Header>,
    delimiters: Delimiters,
    charset: Charset,
}

impl<'h> Writer<'h> {
    fn new(header: Option<&'h Header>) -> Writer<'h> {
        let name = header.and_then(|header| header.charsets.first());
        Writer {
            header,
            delimiters: header.map(|header| header.delimiters).unwrap_or_default(),
            charset: name
                .and_then(|name| Charset::parse(name))
                .unwrap_or(Charset::Ascii),
        }
    }

    /// MSH, with the fields that are echoed.
    fn msh(&self, msa: &Msa<'_>, now: &Zoned, id: &str) -> Vec<u8> {
        let or = |bytes: &[u8], default: &[u8]| match bytes {
            b"" => default.to_vec(),
            bytes => self.closed(bytes),
        };
        let mut fields = vec![b"MSH".to_vec(), or(self.encoding_characters(), b"^~\\&")];
        fields.extend([5, 6, 3, 4].map(|number| self.closed(self.echo(number))));
        // The offset begins with `+` or `-`, which a sender may use as its separator.
        let time = now.strftime("%Y%m%d%H%M%S%z").to_string().into_bytes();
        let field = self.delimiters.field;
        fields.push(time.into_iter().take_while(|&b| b != field).collect());
        fields.push(Vec::new());
        fields.push(self.message_type());
        fields.push(self.own_text(id));
        fields.push(or(self.echo(11), b"P"));
        fields.push(or(self.echo(12), b"2.5"));
        if let Some(accept) = msa.accept {
            fields.extend([vec![], vec![], self.own_text(accept), b"NE".to_vec()]);
        }
        if !self.echo(18).is_empty() {
            fields.resize(17, Vec::new());
            fields.push(self.echo(18).to_vec());
        }
        self.segment(fields)
    }

    /// MSH-2 as sent, up to what no delimiter can be: it would switch the charset of what follows, and
    /// has no meaning there. Nothing where it is not what the answer is written with, because the
    /// sender's could not be used (see [`Header::salvage`]).
    fn encoding_characters(&self) -> &'h [u8] {
        let sent = self.echo(2);
        let end = sent.iter().position(|byte| !byte.is_ascii_graphic());
        let own = sent.get(..end.unwrap_or(sent.len())).unwrap_or_default();
        let field = [self.delimiters.field];
        let msh = [b"MSH".as_slice(), &field, own, &field].concat();
        match Delimiters::read(&msh) {
            Ok(read) if read == self.delimiters => own,
            _ => b"",
        }
    }

    /// `ACK^A08^ACK` from 2.3.1 on, `ACK^A08` in 2.3, `ACK` before and where there is no trigger.
    fn message_type(&self) -> Vec<u8> {
        let trigger = self
            .header
            .map_or(&[][..], |header| header.raw_component(9, 2));
        let version = self.header.map_or("", |header| header.version.as_str());
        let with_structure = version.starts_with("2.3.1") || self.version() >= (2, 4);
        let trigger = &self.closed(trigger);
        match (trigger.is_empty(), self.version() >= (2, 3)) {
            (false, true) if with_structure => self.components(&[b"ACK", trigger, b"ACK"]),
            (false, true) => self.components(&[b"ACK", trigger]),
            _ => b"ACK".to_vec(),
        }
    }

    /// ERR (table 0357): the code in ERR-3 from 2.5 on, before that in the fourth component of
    /// ERR-1, behind the field's place.
    fn err(&self, text: Vec<u8>, fault: Option<Fault<'_>>) -> Vec<u8> {
        let condition = fault.map_or(Condition::Internal, |fault| fault.condition);
        let (number, name) = condition.coded();
        let (number, name) = (number.as_bytes(), name.as_bytes());
        let place = fault.and_then(|fault| Place::of(fault.place));
        let mut fields = vec![b"ERR".to_vec()];
        if self.version() >= (2, 5) {
            let table: &[&[u8]] = &[number, name, b"HL70357"];
            let own = fault.map_or_else(Vec::new, |fault| {
                self.components(&[&self.own_text(fault.code), b"", b"careloop"])
            });
            let at = fault.map_or_else(Vec::new, |fault| self.own_text(fault.place));
            fields.extend([
                vec![],
                place.map_or_else(Vec::new, |place| place.erl(self)),
                self.components(table),
                b"E".to_vec(),
                own,
                vec![],
                at,
                text,
            ]);
        } else {
            let code = match self.delimiters.subcomponent {
                Some(between) => [number, name, b"HL70357"].join(&between),
                None => number.to_vec(),
            };
            let place = place.unwrap_or_default();
            let parts: [&[u8]; 4] = [
                place.segment.as_bytes(),
                place.occurrence.as_bytes(),
                place.field.as_bytes(),
                &code,
            ];
            fields.push(self.components(&parts));
        }
        self.segment(fields)
    }

    const fn field(&self) -> u8 {
        self.delimiters.field
    }

    fn version(&self) -> (u8, u8) {
        let read = self.header.map_or(Some((2, 5)), Header::version_number);
        read.unwrap_or((2, 0))
    }

    fn echo(&self, number: usize) -> &'h [u8] {
        self.header
            .map_or(&[][..], |header| header.raw_field(number))
    }

    /// What the sender said, so that it reads alone as it did in its place: a switch or a character that
    /// the end of its segment cut off is brought to an end, and a separator that was half of one is a
    /// blank.
    fn closed(&self, bytes: &[u8]) -> Vec<u8> {
        let leads = self.header.is_some_and(Header::hides_delimiters);
        let mut runs = Runs::new(leads);
        let mut closed = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            let mut next = runs;
            let separates = next.is_plain(byte) && byte == self.field();
            closed.push(if separates { b' ' } else { byte });
            if separates {
                runs.is_plain(b' ');
            } else {
                runs = next;
            }
        }
        closed.extend(runs.closing());
        closed
    }

    /// Text of our own, escaped, in the sender's charset.
    fn own_text(&self, text: &str) -> Vec<u8> {
        let escaped = escape::encode(text, &self.delimiters);
        let bytes = charset::encode(&escaped, self.charset).unwrap_or_else(|| {
            escaped
                .chars()
                .map(|c| if c.is_ascii() { c } else { '?' })
                .collect::<String>()
                .into()
        });
        // Without an escape character nothing was escaped.
        let harmful = |b: u8| b == self.delimiters.field || b == b'\r' || b == b'\n';
        bytes
            .into_iter()
            .map(|b| if harmful(b) { b' ' } else { b })
            .collect()
    }

    fn components(&self, parts: &[&[u8]]) -> Vec<u8> {
        parts.join(&self.delimiters.component)
    }

    fn segment(&self, fields: Vec<Vec<u8>>) -> Vec<u8> {
        let mut bytes = fields.join(&self.delimiters.field);
        bytes.push(b'\r');
        bytes
    }
}

/// The field at the start of a failure's place, such as `PID-3` or `OBX[2]-5.1`.
#[derive(Default)]
struct Place<'p> {
    segment: &'p str,
    occurrence: &'p str,
    field: &'p str,
    component: &'p str,
}

impl<'p> Place<'p> {
    fn of(text: &'p str) -> Option<Self> {
        let end = text.find([':', ' ', ',']).unwrap_or(text.len());
        let path = text.get(..end)?;
        let (segment, rest) = path.split_once('-').unwrap_or((path, ""));
        let (segment, occurrence) = segment.split_once('[').unwrap_or((segment, "1]"));
        let is_segment = segment.len() == 3
            && segment
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        let (field, component) = rest.split_once('.').unwrap_or((rest, ""));
        let number = |text: &'p str| {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            text.get(..digits).unwrap_or_default()
        };
        is_segment.then(|| Self {
            segment,
            occurrence: number(occurrence),
            field: number(field),
            component: number(component),
        })
    }

    /// ERL (HL7 v2.5.1 2.A.28): segment, its occurrence, field, its repetition, component.
    fn erl(&self, writer: &Writer<'_>) -> Vec<u8> {
        let mut parts = vec![self.segment.as_bytes(), self.occurrence.as_bytes()];
        if !self.field.is_empty() {
            parts.push(self.field.as_bytes());
            if !self.component.is_empty() {
                parts.extend([b"1".as_slice(), self.component.as_bytes()]);
            }
        }
        writer.components(&parts)
    }
}
