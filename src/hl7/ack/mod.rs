//! Acknowledgements (HL7 v2.5.1 2.9): which code a sender is owed, and the bytes that say it.

mod write;

use super::header::Header;

pub use write::{Condition, Fault, Msa, answer};

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

    /// The code of two letters, in any case.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let all = [Self::AA, Self::AE, Self::AR, Self::CA, Self::CE, Self::CR];
        all.into_iter()
            .find(|known| known.code().eq_ignore_ascii_case(code.trim()))
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
///
/// An acknowledgement is never answered by an application acknowledgement (2.9.2, 2.9.3.2): in
/// original mode, where an engine that forwards one still waits, it gets CA or CE.
#[must_use]
pub fn accept_code(header: &Header, outcome: Outcome) -> Option<AckCode> {
    if !header.wants_enhanced() {
        if header.is_acknowledgement() {
            return Some(choose(outcome, AckCode::CA, AckCode::CE));
        }
        return Some(choose(outcome, AckCode::AA, AckCode::AE));
    }
    wanted(&header.accept_ack, outcome).then(|| choose(outcome, AckCode::CA, AckCode::CE))
}

/// The application acknowledgement that MSH-16 asks for in enhanced mode, as [`accept_code`];
/// `None` in original mode, where the first answer is all there is.
#[must_use]
pub fn application_code(header: &Header, outcome: Outcome) -> Option<AckCode> {
    let owed = application_condition(header)?;
    wanted(owed, outcome).then(|| choose(outcome, AckCode::AA, AckCode::AE))
}

/// When an application acknowledgement is owed for a message: `AL`, `ER` or `SU` (table 0155);
/// `None` where none ever is.
#[must_use]
pub fn application_condition(header: &Header) -> Option<&'static str> {
    if !header.wants_enhanced() || header.is_acknowledgement() {
        return None;
    }
    match header.application_ack.as_str() {
        "" | "NE" => None,
        "ER" => Some("ER"),
        "SU" => Some("SU"),
        _ => Some("AL"),
    }
}

/// MSA-1 and MSA-2 of an acknowledgement's bytes; `None` where MSA is missing or says something else.
#[must_use]
pub fn said<'a>(bytes: &'a [u8], header: &Header) -> Option<(AckCode, &'a [u8])> {
    let separator = header.delimiters.field;
    let mut lines = bytes.split(|byte| matches!(byte, b'\r' | b'\n'));
    let msa = lines.find_map(|line| line.strip_prefix(b"MSA")?.strip_prefix(&[separator]))?;
    let mut fields = msa.split(|byte| *byte == separator);
    let code = AckCode::parse(std::str::from_utf8(fields.next()?).ok()?)?;
    Some((code, fields.next().unwrap_or_default()))
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

#[cfg(test)]
mod tests;
