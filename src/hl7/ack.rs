//! Acknowledgements (HL7 v2.5.1 2.9): which code a sender is owed, and the bytes that say it.

use jiff::Zoned;

use super::charset::{self, Charset};
use super::delimiters::Delimiters;
use super::escape;
use super::header::Header;

/// MSA-1, HL7 table 0008.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AckCode {
    /// Application accept; in original mode the only yes.
    AA,
    /// Application error: to be sent again.
    AE,
    /// Application reject: not to be sent again.
    AR,
    /// Commit accept: stored, and ours from now on.
    CA,
    /// Commit error: to be sent again.
    CE,
    /// Commit reject: not to be sent again.
    CR,
}

impl AckCode {
    /// The two letters.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            AckCode::AA => "AA",
            AckCode::AE => "AE",
            AckCode::AR => "AR",
            AckCode::CA => "CA",
            AckCode::CE => "CE",
            AckCode::CR => "CR",
        }
    }

    fn is_error(self) -> bool {
        matches!(self, AckCode::AE | AckCode::CE)
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is durably stored.
    Stored,
    /// It could not be stored now and should be sent again.
    TemporaryFailure,
}

/// The first answer a sender is owed; `None` when it wants none.
///
/// In original mode AA or AE. In enhanced mode CA or CE as MSH-15 asks (table 0155: `AL` always,
/// `NE` never, `ER` on errors, `SU` on success); an empty MSH-15 beside a valued MSH-16 is `NE`
/// (HL7 v2.5.1 2.14.9.15), and an unknown value is `AL`, since a sender that waits must not hang.
#[must_use]
pub fn accept_code(header: &Header, outcome: Outcome) -> Option<AckCode> {
    if !header.wants_enhanced() {
        return Some(choose(outcome, AckCode::AA, AckCode::AE));
    }
    wanted(&header.accept_ack, outcome).then(|| choose(outcome, AckCode::CA, AckCode::CE))
}

/// The application acknowledgement that MSH-16 asks for in enhanced mode, as [`accept_code`];
/// `None` in original mode, where the first answer is all there is.
#[must_use]
pub fn application_code(header: &Header, outcome: Outcome) -> Option<AckCode> {
    let enhanced = header.wants_enhanced() && wanted(&header.application_ack, outcome);
    enhanced.then(|| choose(outcome, AckCode::AA, AckCode::AE))
}

fn wanted(condition: &str, outcome: Outcome) -> bool {
    match condition {
        "" | "NE" => false,
        "ER" => outcome == Outcome::TemporaryFailure,
        "SU" => outcome == Outcome::Stored,
        _ => true,
    }
}

fn choose(outcome: Outcome, stored: AckCode, failed: AckCode) -> AckCode {
    match outcome {
        Outcome::Stored => stored,
        Outcome::TemporaryFailure => failed,
    }
}

/// Writes an acknowledgement: MSH, MSA and, for AE and CE, ERR; each ends with CR.
///
/// It is in the sender's delimiters, version and charset. MSH-3/4 and MSH-5/6 are swapped and
/// MSH-10 is echoed in MSA-2 byte for byte, whatever they hold. Without a `header` it has the
/// standard delimiters and an empty MSA-2. `id` becomes its own MSH-10; `text` goes into MSA-3 and
/// must name no values. Characters of `text` that the charset lacks become `?`.
#[must_use]
pub fn answer(
    header: Option<&Header>,
    code: AckCode,
    text: Option<&str>,
    now: &Zoned,
    id: &str,
) -> Vec<u8> {
    let writer = Writer::new(header);
    let text = text.map_or_else(Vec::new, |text| writer.own_text(text));
    let mut bytes = writer.msh(now, id);
    let control_id = writer.echo(10).to_vec();
    let msa = [
        b"MSA".to_vec(),
        code.code().as_bytes().to_vec(),
        control_id,
        text.clone(),
    ];
    bytes.extend(writer.segment(msa.to_vec()));
    if code.is_error() {
        bytes.extend(writer.err(text));
    }
    bytes
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
    fn msh(&self, now: &Zoned, id: &str) -> Vec<u8> {
        let or = |bytes: &[u8], default: &[u8]| {
            if bytes.is_empty() {
                default.to_vec()
            } else {
                bytes.to_vec()
            }
        };
        let mut fields = vec![b"MSH".to_vec(), or(self.encoding_characters(), b"^~\\&")];
        fields.extend([5, 6, 3, 4].map(|number| self.echo(number).to_vec()));
        // The offset begins with `+` or `-`, which a sender may use as its separator.
        let time = now.strftime("%Y%m%d%H%M%S%z").to_string().into_bytes();
        let field = self.delimiters.field;
        fields.push(time.into_iter().take_while(|&b| b != field).collect());
        fields.push(Vec::new());
        fields.push(self.message_type());
        fields.push(self.own_text(id));
        fields.push(or(self.echo(11), b"P"));
        fields.push(or(self.echo(12), b"2.5"));
        if !self.echo(18).is_empty() {
            fields.extend(vec![Vec::new(); 5]);
            fields.push(self.echo(18).to_vec());
        }
        self.segment(fields)
    }

    /// MSH-2 as sent; nothing where it is not what the answer is written with, because the sender's
    /// could not be used (see [`Header::salvage`]).
    fn encoding_characters(&self) -> &'h [u8] {
        let field = [self.delimiters.field];
        let msh = [b"MSH".as_slice(), &field, self.echo(2), &field].concat();
        match Delimiters::read(&msh) {
            Ok(read) if read == self.delimiters => self.echo(2),
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
        match (trigger.is_empty(), self.version() >= (2, 3)) {
            (false, true) if with_structure => self.components(&[b"ACK", trigger, b"ACK"]),
            (false, true) => self.components(&[b"ACK", trigger]),
            _ => b"ACK".to_vec(),
        }
    }

    /// ERR with code 207, *application internal error* (table 0357): in ERR-3 from 2.5 on, before
    /// that in the fourth component of ERR-1.
    fn err(&self, text: Vec<u8>) -> Vec<u8> {
        let name: &[u8] = b"Application internal error";
        let mut fields = vec![b"ERR".to_vec()];
        if self.version() >= (2, 5) {
            let code = self.components(&[b"207", name, b"HL70357"]);
            fields.extend([
                vec![],
                vec![],
                code,
                b"E".to_vec(),
                vec![],
                vec![],
                vec![],
                text,
            ]);
        } else {
            let code = match self.delimiters.subcomponent {
                Some(between) => [b"207", name, b"HL70357"].join(&between),
                None => b"207".to_vec(),
            };
            fields.push(self.components(&[b"", b"", b"", &code]));
        }
        self.segment(fields)
    }

    fn version(&self) -> (u8, u8) {
        let read = self.header.map_or(Some((2, 5)), Header::version_number);
        read.unwrap_or((2, 0))
    }

    fn echo(&self, number: usize) -> &'h [u8] {
        self.header
            .map_or(&[][..], |header| header.raw_field(number))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(msh: &[u8], code: AckCode, text: Option<&str>) -> String {
        let now: Zoned = "2026-01-02T03:04:05+01:00[+01:00]".parse().unwrap();
        let header = Header::read(msh).ok();
        let bytes = answer(header.as_ref(), code, text, &now, "ID-1");
        bytes.into_iter().map(char::from).collect()
    }

    #[test]
    fn swaps_and_echoes() {
        let msh = b"MSH|^~\\&|APP^1|FAC|HUB|CLINIC|2026||ADT^A08^ADT_A01|T 1\xe9 |P^T|2.5.1";
        assert_eq!(
            reply(msh, AckCode::AA, None),
            "MSH|^~\\&|HUB|CLINIC|APP^1|FAC|20260102030405+0100||ACK^A08^ACK|ID-1|P^T|2.5.1\r\
             MSA|AA|T 1\u{e9} |\r"
        );
    }

    #[test]
    fn speaks_the_senders_delimiters_charset_and_version() {
        let msh = b"MSH^~|\\&^APP^FAC^HUB^CLINIC^2026^^ADT~A08^T1^P^2.3^^^^^^8859/1";
        assert_eq!(
            reply(msh, AckCode::AE, Some("a^b \u{e9}")),
            "MSH^~|\\&^HUB^CLINIC^APP^FAC^20260102030405+0100^^ACK~A08^ID-1^P^2.3^^^^^^8859/1\r\
             MSA^AE^T1^a\\F\\b \u{e9}\rERR^~~~207&Application internal error&HL70357\r"
        );
        let reply = reply(
            b"MSH|^~&|||||||ADT^A08|T1|P|2.1",
            AckCode::AA,
            Some("a|\rb\u{20ac}"),
        );
        assert!(
            reply.contains("||ACK|ID-1|P|2.1\rMSA|AA|T1|a  b?\r"),
            "{reply}"
        );
    }

    #[test]
    fn an_answer_to_unusable_delimiters_declares_its_own() {
        let now: Zoned = "2026-01-02T03:04:05+01:00[+01:00]".parse().unwrap();
        let msh = "MSH|^\u{fffd}\\&|APP|FAC|HUB|CLINIC|2026||ADT^A08|T1|P|2.5".as_bytes();
        assert!(Header::read(msh).is_err());
        let bytes = answer(
            Header::salvage(msh).as_ref(),
            AckCode::AA,
            None,
            &now,
            "ID-1",
        );
        assert!(bytes.starts_with(b"MSH|^~\\&|HUB|CLINIC|APP|FAC|"));
        assert!(Header::read(&bytes).is_ok());
    }

    #[test]
    fn an_error_names_its_code_where_the_version_has_it() {
        let reply = reply(
            b"MSH|^~\\&|||||||ADT^A08|T1|P|2.5",
            AckCode::CE,
            Some("disk full"),
        );
        let err = "ERR|||207^Application internal error^HL70357|E||||disk full\r";
        assert!(reply.ends_with(err), "{reply}");
    }

    #[test]
    fn answers_without_a_header() {
        assert_eq!(
            reply(b"junk", AckCode::AA, None),
            "MSH|^~\\&|||||20260102030405+0100||ACK|ID-1|P|2.5\rMSA|AA||\r"
        );
    }

    #[test]
    fn owes_what_the_sender_asks_for() {
        use AckCode::{AA, AE, CA, CE};
        for (msh_15_16, stored, failed, application) in [
            ("", Some(AA), Some(AE), None),
            ("AL|NE", Some(CA), Some(CE), None),
            ("NE|NE", None, None, None),
            ("ER|AL", None, Some(CE), Some(AA)),
            ("SU|ER", Some(CA), None, None),
            ("|AL", None, None, Some(AA)),
            ("XX|", Some(CA), Some(CE), None),
        ] {
            let msh = format!("MSH|^~\\&|||||||ADT^A08|T1|P|2.5|||{msh_15_16}");
            let header = Header::read(msh.as_bytes()).unwrap();
            assert_eq!(accept_code(&header, Outcome::Stored), stored, "{msh_15_16}");
            assert_eq!(
                accept_code(&header, Outcome::TemporaryFailure),
                failed,
                "{msh_15_16}"
            );
            assert_eq!(
                application_code(&header, Outcome::Stored),
                application,
                "{msh_15_16}"
            );
        }
    }
}
