//! Answers to a sender: a positive one needs the receipt of a durable commit as its argument.

use jiff::Zoned;
use uuid::Uuid;

use crate::failure::Code;
use crate::hl7::ack::{Condition, Fault, Msa};
use crate::hl7::{AckCode, Header, Outcome, ack};
use crate::intake::Unstored;
use crate::store::{OwedAck, Receipt};

/// What a sender reads in a negative answer; it holds nothing of the message.
const NOT_STORED: &str = "not stored for the moment, please send again";
/// What it reads where its message is not the next one.
const OUT_OF_SEQUENCE: &str = "not the expected sequence number, see MSA-4";
/// MSA-4 where any number may begin (HL7 v2.5.1 2.10.1).
const BEGIN_ANEW: i64 = -1;

/// An acknowledgement message, without its frame. Only the functions of this file make one.
pub struct Answer(Vec<u8>);

impl Answer {
    /// The answer's bytes, in the sender's delimiters and charset.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// An answer without a receipt, for tests of what carries answers.
    #[cfg(test)]
    pub(super) fn for_test(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

/// `AA`, or `CA` in enhanced mode, for a message that is stored. `None` where the sender wants none.
///
/// What cannot be read is answered as well: it is stored as held, and a refusal would make the
/// sender repeat it for ever. Where an application acknowledgement `follows` as a message of its
/// own, nothing stands in for it here.
pub fn acknowledge(
    header: Option<&Header>,
    receipt: &Receipt,
    now: &Zoned,
    follows: bool,
) -> Option<Answer> {
    let code = match header {
        Some(header) if follows => ack::accept_code(header, Outcome::Stored)?,
        Some(header) => code(header, Outcome::Stored)?,
        None => AckCode::AA,
    };
    let msa = Msa {
        sequence: receipt.sequence(),
        ..Msa::of(code)
    };
    let id = short_id(receipt.id());
    Some(Answer(ack::answer(header, &msa, now, &id)))
}

/// `AE`, or `CE` in enhanced mode, for a message that careloop could not store just now, or that is
/// not the next one of its sequence.
///
/// `None` where the sender wants no answer: then only closing the connection can tell it.
pub fn refuse(header: Option<&Header>, why: Unstored, now: &Zoned) -> Option<Answer> {
    let code = match header {
        Some(header) => code(header, Outcome::TemporaryFailure)?,
        None => AckCode::AE,
    };
    let (text, sequence) = match why {
        Unstored::OutOfSequence { expected } => {
            (OUT_OF_SEQUENCE, Some(expected.unwrap_or(BEGIN_ANEW)))
        }
        Unstored::Failed | Unstored::Stopping => (NOT_STORED, None),
    };
    let fault = sequence.map(|_| Fault {
        condition: Condition::DataType,
        code: "out-of-sequence",
        place: "MSH-13: expected the number in MSA-4, found another or none",
    });
    let msa = Msa {
        text: Some(text),
        sequence,
        fault,
        ..Msa::of(code)
    };
    let id = format!("E{:x}", now.timestamp().as_microsecond());
    Some(Answer(ack::answer(header, &msa, now, &id)))
}

/// The application acknowledgement of a message that asked for one, as a message of its own.
pub(super) fn report(header: &Header, owed: &OwedAck, now: &Zoned) -> Vec<u8> {
    let fault = owed.code.filter(|_| !owed.accepted).map(|code| Fault {
        condition: condition(code),
        code: code.name(),
        place: owed.place.as_deref().unwrap_or_default(),
    });
    let code = if owed.accepted {
        AckCode::AA
    } else {
        AckCode::AE
    };
    let text = owed.code.filter(|_| !owed.accepted).map(Code::meaning);
    let accept = if header.accept_ack.is_empty() {
        "NE"
    } else {
        header.accept_ack.as_str()
    };
    let msa = Msa {
        text,
        fault,
        accept: Some(accept),
        ..Msa::of(code)
    };
    ack::answer(Some(header), &msa, now, &short_id(owed.id))
}

/// The error of table 0357 that comes nearest.
const fn condition(code: Code) -> Condition {
    match code {
        Code::NoHeader | Code::Unparseable => Condition::SegmentSequence,
        Code::RequiredMissing | Code::NoMessageType => Condition::RequiredFieldMissing,
        Code::BadValue | Code::CharsetUndecodable | Code::CharsetUnsupported => Condition::DataType,
        Code::Unmapped => Condition::TableValue,
        Code::NoMapping => Condition::UnsupportedMessageType,
        Code::NoIdentifier | Code::MergeUnknown => Condition::UnknownKey,
        _ => Condition::Internal,
    }
}

/// The accept code, or where the sender wants only an application answer, that one: careloop's yes
/// is final, and a sender that waits must not hang.
fn code(header: &Header, outcome: Outcome) -> Option<AckCode> {
    ack::accept_code(header, outcome).or_else(|| ack::application_code(header, outcome))
}

/// Twenty characters of a version 7 UUID: MSH-10 is no longer than that before version 2.7. The time part
/// and the last 32 random bits stay.
pub(super) fn short_id(id: Uuid) -> String {
    let simple = id.simple().to_string();
    let (time, random) = (simple.get(..12), simple.get(24..));
    [time.unwrap_or_default(), random.unwrap_or_default()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_own_id_fits_into_twenty_characters() {
        assert_eq!(
            short_id("0192f0c1d2e37abc8def0123456789ab".parse().unwrap()),
            "0192f0c1d2e3456789ab"
        );
    }

    #[test]
    fn a_negative_answer_asks_to_send_again() {
        let now = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
        let header = Header::read(b"MSH|^~\\&|APP|FAC|HUB|CLINIC|20260102||ADT^A08|T-1|P|2.5.1");
        let answer = refuse(header.ok().as_ref(), Unstored::Failed, &now).unwrap();
        let text = String::from_utf8_lossy(answer.bytes()).into_owned();
        assert!(text.contains("MSA|AE|T-1"), "{text}");
        let blind = refuse(None, Unstored::Failed, &now).unwrap();
        assert!(String::from_utf8_lossy(blind.bytes()).contains("MSA|AE"));
    }

    #[test]
    fn a_sender_that_wants_no_answer_gets_none() {
        let now = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
        let never = b"MSH|^~\\&|APP|FAC|HUB|CLINIC|20260102||ADT^A08|T-1|P|2.5.1|||NE|NE";
        assert!(refuse(Header::read(never).ok().as_ref(), Unstored::Failed, &now).is_none());
    }

    #[test]
    fn whoever_waits_for_any_answer_gets_one() {
        let of = |modes: &str| {
            let msh =
                format!("MSH|^~\\&|APP|FAC|HUB|CLINIC|20260102||ADT^A08|T-1|P|2.5.1|||{modes}");
            code(&Header::read(msh.as_bytes()).unwrap(), Outcome::Stored)
        };
        assert_eq!(of("|"), Some(AckCode::AA));
        assert_eq!(of("AL|NE"), Some(AckCode::CA));
        assert_eq!(of("AL|AL"), Some(AckCode::CA));
        assert_eq!(of("NE|AL"), Some(AckCode::AA));
        assert_eq!(of("|AL"), Some(AckCode::AA));
        assert_eq!(of("NE|NE"), None);
    }
}
