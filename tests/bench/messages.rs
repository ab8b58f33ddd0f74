//! Invented messages: each about a person of its own, every fourth (or every one) a missed
//! appointment, which ends in a task.

use careloop::clock;
use jiff::{Timestamp, ToSpan};

/// One message in this many leads to a task.
pub(crate) const TASK_EVERY: usize = 4;

/// Makes messages that differ in person and control id from all others of the run.
pub(crate) struct Author {
    prefix: String,
    state: &'static str,
    written: usize,
    task_every: usize,
    tasks: i64,
}

impl Author {
    /// An author whose people are somewhere where it is between 6 and 20 o'clock now, since a task
    /// in quiet hours (before 5 in the bench's policy) would wait until they are over.
    pub(crate) fn new(prefix: &str) -> Self {
        let hour = clock::now().to_zoned(jiff::tz::TimeZone::UTC).hour();
        Self {
            prefix: prefix.to_owned(),
            state: if (10..22).contains(&hour) { "PR" } else { "GU" },
            written: 0,
            task_every: TASK_EVERY,
            tasks: 0,
        }
    }

    /// How many messages it has written.
    pub(crate) const fn written(&self) -> usize {
        self.written
    }

    /// The tasks that they end in.
    pub(crate) const fn tasks(&self) -> i64 {
        self.tasks
    }

    /// From now on one message in so many leads to a task.
    pub(crate) const fn task_every(&mut self, messages: usize) {
        self.task_every = messages;
    }

    /// The next message.
    pub(crate) fn next(&mut self, now: Timestamp) -> Vec<u8> {
        self.written += 1;
        let id = format!("{}-{:07}", self.prefix, self.written);
        let sent = stamp(now);
        if self.written.is_multiple_of(self.task_every) {
            self.tasks += 1;
            self.missed(&id, &sent, now)
        } else {
            self.update(&id, &sent)
        }
    }

    fn person(&self, id: &str) -> String {
        let number = self.written % 10_000;
        format!(
            "PID|1||TEST-{id}^^^RVS^MR||Example{number}^Ada^Q^^^^L||19{:02}0102|F|||{number} Invented Street^^Springfield^{}^00000^USA||^PRN^PH^^^555^010{:04}|||S\r",
            40 + self.written % 50,
            self.state,
            number
        )
    }

    fn update(&self, id: &str, sent: &str) -> Vec<u8> {
        let filler = "^".repeat(120);
        format!(
            "MSH|^~\\&|EHR|RVS|HUB|RVS|{sent}||ADT^A08^ADT_A01|{id}|P|2.5.1|||AL|NE||UNICODE UTF-8\rEVN|A08|{sent}\r{}PD1|||MAIN CLINIC^^RVS|1234^EXAMPLE^GRACE\rNK1|1|EXAMPLE^CHARLES|SPO||^PRN^PH^^^555^0100000\rPV1|1|O|MAIN^101^1^RVS||||1234^EXAMPLE^GRACE|||MED||||1|||1234^EXAMPLE^GRACE|OP|{id}|||||||||||||||||||||||||{sent}\rZPD|1|{filler}|{filler}|{filler}|{filler}\r",
            self.person(id)
        )
        .into_bytes()
    }

    fn missed(&self, id: &str, sent: &str, now: Timestamp) -> Vec<u8> {
        let start = now.checked_sub(72.hours()).unwrap_or(now);
        let (start, filler) = (stamp(start), "^".repeat(120));
        format!(
            "MSH|^~\\&|EHR|RVS|HUB|RVS|{sent}||SIU^S26^SIU_S12|{id}|P|2.5.1|||AL|NE||UNICODE UTF-8\rSCH|P{id}^EHR|F{id}^EHR||||ROUTINE^Routine|FOLLOWUP^Follow-up|OFFICE|30|min^minutes|^^30^{start}|||||1234^EXAMPLE^GRACE||||1234^EXAMPLE^GRACE|||||NOSHOW^No show\r{}PV1|1|O|MAIN^101^1^RVS||||1234^EXAMPLE^GRACE\rRGS|1|A\rAIS|1|A|VISIT^Visit|{start}|||30|min\rAIP|1|A|1234^EXAMPLE^GRACE|MD\rZPD|1|{filler}|{filler}|{filler}|{filler}\r",
            self.person(id)
        )
        .into_bytes()
    }
}

fn stamp(at: Timestamp) -> String {
    at.strftime("%Y%m%d%H%M%S+0000").to_string()
}
