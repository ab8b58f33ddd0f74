//! Invented people and what an EHR says of them, in HL7 v2.

use jiff::Timestamp;

use crate::time::stamp;

/// Where people live; each state has its own hours.
const STATES: [&str; 8] = ["NY", "NY", "FL", "CT", "TX", "RI", "CA", "TN"];

/// Somebody who does not exist.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// Which of them.
    pub(crate) number: usize,
    /// Where they live.
    pub(crate) state: &'static str,
    /// PID-13, digits only; a few share one.
    pub(crate) phone: String,
}

impl Person {
    /// The person of a number.
    pub(crate) fn new(number: usize) -> Self {
        let phone = if number % 40 == 7 { number - 3 } else { number };
        Self {
            number,
            state: STATES[number * 7 % 8],
            phone: format!("555555{phone:04}"),
        }
    }
}

/// A message but for its person.
pub(crate) struct Said {
    kind: &'static str,
    before: String,
    after: String,
    died: String,
}

impl Said {
    fn of(kind: &'static str, after: String) -> Self {
        Self {
            kind,
            before: String::new(),
            after,
            died: String::new(),
        }
    }

    /// Somebody new.
    pub(crate) fn registered() -> Self {
        Self::of("ADT^A28", String::new())
    }

    /// Somebody known, with nothing new.
    pub(crate) fn updated() -> Self {
        Self::of("ADT^A08", String::new())
    }

    /// A problem that asks for a test.
    pub(crate) fn diagnosed() -> Self {
        Self::of(
            "ADT^A08",
            "DG1|1||E11.9^Type 2 diabetes^I10C|||F\r".to_owned(),
        )
    }

    /// The test: `F` final, `C` corrected, `W` entered in error.
    pub(crate) fn result(number: &str, day: Timestamp, status: &str) -> Self {
        let day = stamp(day);
        Self::of(
            "ORU^R01",
            format!(
                "OBR|1|{number}^EHR|L{number}^LAB|4548-4^Test^LN|||{day}|||||||||||||||{day}|||{status}\rOBX|1|NM|4548-4^Test^LN||1|1|||||{status}|||{day}\r"
            ),
        )
    }

    /// A visit: S12 books, S13 moves, S14 changes, S15 cancels, S26 was missed.
    pub(crate) fn visit(trigger: &str, number: &str, start: Timestamp, status: &str) -> Self {
        let kind = match trigger {
            "S12" => "SIU^S12",
            "S13" => "SIU^S13",
            "S15" => "SIU^S15",
            "S26" => "SIU^S26",
            _ => "SIU^S14",
        };
        let empty = "|".repeat(14);
        let mut said = Self::of(kind, String::new());
        said.before = format!(
            "SCH||{number}^EHR|||||||30|min|^^30^{}{empty}{status}\r",
            stamp(start)
        );
        said
    }

    /// A referral.
    pub(crate) fn referral(number: &str, asked: Timestamp, priority: &str) -> Self {
        Self::of(
            "REF^I12",
            format!("RF1||{priority}|||O|{number}^EHR|{}\r", stamp(asked)),
        )
    }

    /// The receiver's answer: `A` accepted, `R` declined.
    pub(crate) fn answered(number: &str, status: &str) -> Self {
        let mut said = Self::of("RRI^I12", String::new());
        said.before = format!("MSA|AA|{number}\rRF1|{status}|R||||{number}^EHR\r");
        said
    }

    /// The report of a referral.
    pub(crate) fn report(number: &str, document: &str, day: Timestamp) -> Self {
        let day = stamp(day);
        Self::of(
            "MDM^T02",
            format!("TXA|1|CN|TX|{day}||{day}||||||{document}^DOCS||{number}^EHR|||AU\r"),
        )
    }

    /// A consent to calls: `A` given, `R` refused, `X` withdrawn.
    pub(crate) fn consent(status: &str) -> Self {
        Self::of("ADT^A31", format!("CON|1|CALL||FORM-1||||||W|{status}\r"))
    }

    /// No publicity at all.
    pub(crate) fn no_publicity() -> Self {
        Self::of("ADT^A31", format!("PD1|{}F|N\r", "|".repeat(10)))
    }

    /// A death.
    pub(crate) fn died(at: Timestamp) -> Self {
        let mut said = Self::of("ADT^A31", String::new());
        said.died = format!("{}|Y", stamp(at));
        said
    }

    /// The person of the message is this one, too.
    pub(crate) fn merged(retired: &Person) -> Self {
        Self::of("ADT^A40", format!("MRG|TEST-{}^^^RVS^MR\r", retired.number))
    }

    /// As it goes over the wire.
    pub(crate) fn text(&self, person: &Person, control: &str, at: Timestamp) -> String {
        let (
            at,
            Self {
                kind,
                before,
                after,
                died,
            },
        ) = (stamp(at), self);
        let Person {
            number,
            state,
            phone,
        } = person;
        let year = 1950 + number % 40;
        let (area, rest) = phone.split_at(3);
        let empty = "|".repeat(14);
        let mut evn = String::new();
        if kind.starts_with("ADT") || kind.starts_with("MDM") {
            evn = format!("EVN||{at}\r");
        }
        format!(
            "MSH|^~\\&|EHR|RVS|CARELOOP|HUB|{at}||{kind}|{control}|P|2.5.1\r{evn}{before}PID|1||TEST-{number}^^^RVS^MR||Example{number}^Ada||{year}0102|F|||1 Sample St^^Anytown^{state}^00000^US||^PRN^PH^^1^{area}^{rest}|{empty}|{died}\r{after}"
        )
    }
}

/// Messages that nobody can use, each in its own way.
pub(crate) fn malformed(kind: u64, control: &str, at: Timestamp) -> String {
    let at = stamp(at);
    let head = format!("MSH|^~\\&|EHR|RVS|CARELOOP|HUB|{at}||ADT^A08|{control}|P|2.5.1\r");
    match kind {
        0 => format!("{head}EVN||{at}\r"),
        1 => format!("{head}PID|1||||Example^Nobody||19700102|F\r"),
        2 => format!("{head}PID|1||TEST-0^^^ELSEWHERE^XX||Example^Ada||notadate|Q\r"),
        _ => "not a message at all".to_owned(),
    }
}
