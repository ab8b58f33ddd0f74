//! Answers to a sender: a positive one needs the receipt of a durable commit as its argument.

use jiff::Zoned;

use crate::hl7::ack::Msa;
use crate::hl7::{AckCode, Header, Outcome, ack};
use crate::store::Receipt;

/// What a sender reads in a negative answer; it holds nothing of the message.
const NOT_STORED: &str = "not stored for the moment, please send again";

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
/// sender repeat it for ever.
pub fn acknowledge(header: Option<&Header>, receipt: &Receipt, now: &Zoned) -> Option<Answer> {
    let code = match header {
        Some(header) => code(header, Outcome::Stored)?,
        None => AckCode::AA,
    };
    let id = short_id(&receipt.id().simple().to_string());
    Some(Answer(ack::answer(header, &Msa::of(code), now, &id)))
}

/// `AE`, or `CE` in enhanced mode, for a message that careloop could not store just now.
///
/// `None` where the sender wants no answer: then only closing the connection can tell it.
pub fn refuse_temporarily(header: Option<&Header>, now: &Zoned) -> Option<Answer> {
    let code = match header {
        Some(header) => code(header, Outcome::TemporaryFailure)?,
        None => AckCode::AE,
    };
    let id = format!("E{:x}", now.timestamp().as_microsecond());
    let msa = Msa {
        text: Some(NOT_STORED),
        ..Msa::of(code)
    };
    Some(Answer(ack::answer(header, &msa, now, &id)))
}

/// The accept code, or where the sender wants only an application answer, that one: careloop's yes
/// is final, and a sender that waits must not hang.
fn code(header: &Header, outcome: Outcome) -> Option<AckCode> {
    ack::accept_code(header, outcome).or_else(|| ack::application_code(header, outcome))
}

/// Twenty characters of a version 7 UUID: MSH-10 is no longer than that before version 2.7. The time part
/// and the last 32 random bits stay.
fn short_id(simple: &str) -> String {
    let (time, random) = (simple.get(..12), simple.get(24..));
    [time.unwrap_or_default(), random.unwrap_or_default()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_own_id_fits_into_twenty_characters() {
        assert_eq!(
            short_id("0192f0c1d2e37abc8def0123456789ab"),
            "0192f0c1d2e3456789ab"
        );
    }

    #[test]
    fn a_negative_answer_asks_to_send_again() {
        let now = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
        let header = Header::read(b"MSH|^~\\&|APP|FAC|HUB|CLINIC|20260102||ADT^A08|T-1|P|2.5.1");
        let answer = refuse_temporarily(header.ok().as_ref(), &now).unwrap();
        let text = String::from_utf8_lossy(answer.bytes()).into_owned();
        assert!(text.contains("MSA|AE|T-1"), "{text}");
        let blind = refuse_temporarily(None, &now).unwrap();
        assert!(String::from_utf8_lossy(blind.bytes()).contains("MSA|AE"));
    }

    #[test]
    fn a_sender_that_wants_no_answer_gets_none() {
        let now = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
        let never = b"MSH|^~\\&|APP|FAC|HUB|CLINIC|20260102||ADT^A08|T-1|P|2.5.1|||NE|NE";
        assert!(refuse_temporarily(Header::read(never).ok().as_ref(), &now).is_none());
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
