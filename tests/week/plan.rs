//! What happens in the three clinics in one week, drawn from a seed: every person is invented.

use jiff::{SignedDuration, Timestamp};

use crate::text::{Person, Said, malformed};
use crate::time::Dice;

/// The sources of the group, each with its location.
pub(crate) const SOURCES: [(&str, &str); 3] = [
    ("main-ehr", "main"),
    ("north-ehr", "north"),
    ("south-ehr", "south"),
];
/// The source that falls silent for a day.
pub(crate) const SILENT: usize = 2;

/// One message and when it is sent.
pub(crate) struct Event {
    /// When.
    pub(crate) at: Timestamp,
    /// By which source.
    pub(crate) source: usize,
    /// MSH-10.
    pub(crate) control: String,
    /// The bytes.
    pub(crate) text: String,
    /// What it means to the checker.
    pub(crate) meaning: Meaning,
}

/// What a message means to the checker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing beyond being accounted for.
    Plain,
    /// No contact any more with this person: a denial, a withdrawn consent, a death.
    Stop(usize),
    /// `retired` is `survivor`.
    Merge {
        /// Who stays.
        survivor: usize,
        /// Who goes.
        retired: usize,
        /// Whether somebody finds out that it was wrong.
        wrong: bool,
    },
    /// May be refused.
    Malformed,
}

/// What a named person does at the command line.
pub(crate) struct Order {
    /// When.
    pub(crate) at: Timestamp,
    /// About whom.
    pub(crate) person: usize,
    /// What.
    pub(crate) what: What,
}

/// What a named person does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Permits messages.
    Permit,
    /// Takes back contact altogether.
    OptOut,
    /// Denies calls.
    Deny,
    /// Undoes a merge of this retired person.
    Unmerge,
}

/// The whole week.
pub(crate) struct Plan {
    /// Everybody.
    pub(crate) people: Vec<Person>,
    /// Every message, in the order of sending.
    pub(crate) events: Vec<Event>,
    /// Every command.
    pub(crate) orders: Vec<Order>,
}

struct Author {
    dice: Dice,
    base: Timestamp,
    plan: Plan,
    count: usize,
}

/// Draws a week; `gap` is when the silent source says nothing.
pub(crate) fn draw(seed: u64, base: Timestamp, people: usize, gap: (Timestamp, Timestamp)) -> Plan {
    let mut author = Author {
        dice: Dice::new(seed),
        base,
        plan: Plan {
            people: (0..people).map(Person::new).collect(),
            events: Vec::new(),
            orders: Vec::new(),
        },
        count: 0,
    };
    for person in 0..people {
        author.life(person);
    }
    for pair in 0..(people / 25).max(2) {
        author.merge(pair, people);
    }
    author.disorder();
    let mut plan = author.plan;
    for event in &mut plan.events {
        if event.source == SILENT && event.at >= gap.0 && event.at < gap.1 {
            event.at = gap.1;
        }
    }
    // The last hours are for what is under way to end.
    let end = base + SignedDuration::from_hours(166);
    plan.events.retain(|event| event.at < end);
    plan.orders.retain(|order| order.at < end);
    plan.events.sort_by_key(|event| event.at);
    plan.orders.sort_by_key(|order| order.at);
    plan
}

impl Author {
    fn later(&mut self, from: u64, to: u64) -> SignedDuration {
        self.dice.minutes(from * 60, to * 60)
    }

    /// A message of the person's clinic.
    fn say(&mut self, at: Timestamp, person: usize, said: &Said, meaning: Meaning) {
        self.count += 1;
        let control = format!("W{person}-{}", self.count);
        let text = said.text(&self.plan.people[person], &control, at);
        self.plan.events.push(Event {
            at,
            source: person % SOURCES.len(),
            control,
            text,
            meaning,
        });
    }

    fn plain(&mut self, at: Timestamp, person: usize, said: &Said) {
        self.say(at, person, said, Meaning::Plain);
    }

    /// One person's week.
    fn life(&mut self, person: usize) {
        let start = self.base + self.later(0, 100);
        self.plain(start, person, &Said::registered());
        let visits = self.later(1, 60);
        self.plain(start + visits, person, &Said::updated());
        if self.dice.is(60) {
            let at = start + self.later(1, 30);
            self.diabetes(at, person);
        }
        if self.dice.is(45) {
            let at = start + self.later(1, 20);
            self.appointment(at, person);
        }
        if self.dice.is(30) {
            let at = start + self.later(1, 30);
            self.referral(at, person);
        }
        self.wishes(start, person);
    }

    fn diabetes(&mut self, at: Timestamp, person: usize) {
        self.plain(at, person, &Said::diagnosed());
        if self.dice.is(35) {
            let done = at + self.later(6, 70);
            let (number, day) = (format!("A{person}"), done - SignedDuration::from_hours(2));
            self.plain(done, person, &Said::result(&number, day, "F"));
            if self.dice.is(30) {
                let again = done + self.later(2, 20);
                let status = if self.dice.is(50) { "C" } else { "W" };
                self.plain(again, person, &Said::result(&number, day, status));
            }
        }
    }

    fn appointment(&mut self, booked: Timestamp, person: usize) {
        let mut start = booked + self.later(12, 80);
        let number = format!("V{person}");
        self.plain(booked, person, &Said::visit("S12", &number, start, ""));
        if self.dice.is(20) {
            start += self.later(4, 24);
            {
                let at = booked + self.later(1, 8);
                self.plain(at, person, &Said::visit("S13", &number, start, ""));
            }
        }
        match self.dice.below(10) {
            0..=1 => {
                let at = booked + self.later(2, 10);
                self.plain(at, person, &Said::visit("S15", &number, start, ""));
            }
            2..=5 => {
                let missed = start + self.later(1, 3);
                self.plain(missed, person, &Said::visit("S26", &number, start, ""));
                if self.dice.is(40) {
                    let again = format!("U{person}");
                    let then = missed + self.later(48, 90);
                    {
                        let at = missed + self.later(6, 40);
                        self.plain(at, person, &Said::visit("S12", &again, then, ""));
                    }
                }
            }
            _ => {
                let at = start + self.later(1, 2);
                self.plain(at, person, &Said::visit("S14", &number, start, "Completed"));
            }
        }
    }

    fn referral(&mut self, at: Timestamp, person: usize) {
        let asked = at - self.later(0, 600);
        let number = format!("R{person}");
        let priority = if self.dice.is(25) { "S" } else { "R" };
        self.plain(at, person, &Said::referral(&number, asked, priority));
        let answer = at + self.later(3, 40);
        match self.dice.below(4) {
            0 => {}
            1 => self.plain(answer, person, &Said::answered(&number, "R")),
            _ => {
                self.plain(answer, person, &Said::answered(&number, "A"));
                if self.dice.is(50) {
                    let seen = answer + self.later(4, 40);
                    self.plain(
                        seen,
                        person,
                        &Said::report(&number, &format!("D{person}"), seen),
                    );
                }
            }
        }
    }

    /// Consents, denials and deaths. Nobody who said no says yes again in this week, so whatever
    /// comes after a no is against it.
    fn wishes(&mut self, start: Timestamp, person: usize) {
        let at = start + self.later(8, 60);
        let mut order = |at, what| self.plan.orders.push(Order { at, person, what });
        match self.dice.below(100) {
            0..=9 => order(start + SignedDuration::from_hours(4), What::Permit),
            10..=13 => order(at, What::OptOut),
            14..=16 => order(at, What::Deny),
            17..=22 => self.say(at, person, &Said::consent("R"), Meaning::Stop(person)),
            23..=26 => {
                self.plain(
                    start + SignedDuration::from_hours(1),
                    person,
                    &Said::consent("A"),
                );
                self.say(at, person, &Said::consent("X"), Meaning::Stop(person));
            }
            27..=29 => self.say(at, person, &Said::no_publicity(), Meaning::Stop(person)),
            30..=33 => self.say(at, person, &Said::died(at), Meaning::Stop(person)),
            34..=45 => self.plain(
                start + SignedDuration::from_hours(1),
                person,
                &Said::consent("A"),
            ),
            _ => {}
        }
    }

    /// A message that nobody can read.
    fn broken(&mut self, at: Timestamp, source: usize) {
        self.count += 1;
        let mut control = format!("M{}", self.count);
        let text = malformed(self.dice.below(4), &control, at);
        if !text.starts_with("MSH") {
            control.clear(); // without a header there is none
        }
        let meaning = Meaning::Malformed;
        self.plan.events.push(Event {
            at,
            source,
            control,
            text,
            meaning,
        });
    }

    /// Two people of one clinic who are one, or are taken for one.
    fn merge(&mut self, pair: usize, people: usize) {
        let step = SOURCES.len();
        let survivor = (pair * step * 4) % (people - step);
        let retired = survivor + step;
        let wrong = pair.is_multiple_of(3);
        let at = self.base + SignedDuration::from_hours(100) + self.later(1, 30);
        let said = Said::merged(&self.plan.people[retired]);
        let meaning = Meaning::Merge {
            survivor,
            retired,
            wrong,
        };
        self.say(at, survivor, &said, meaning);
        if wrong {
            let at = at + SignedDuration::from_hours(14);
            self.plan.orders.push(Order {
                at,
                person: retired,
                what: What::Unmerge,
            });
        }
    }

    /// Repeats, late and malformed messages, and enough updates that nobody falls silent by chance.
    fn disorder(&mut self) {
        let written = self.plan.events.len();
        for number in 0..written {
            if self.dice.is(4) && self.plan.events[number].meaning == Meaning::Plain {
                let delay = self.later(10, 40);
                self.plan.events[number].at += delay; // its MSH-7 stays what it was
            }
            if self.dice.is(5) {
                let first = &self.plan.events[number];
                let again = Event {
                    at: first.at + SignedDuration::from_mins(90),
                    control: first.control.clone(),
                    text: first.text.clone(),
                    meaning: Meaning::Plain,
                    source: first.source,
                };
                self.plan.events.push(again);
            }
        }
        for hour in (0..164).step_by(2) {
            for source in 0..SOURCES.len() {
                let at = self.base + SignedDuration::from_hours(hour) + self.dice.minutes(1, 60);
                if hour % 8 == 0 {
                    self.broken(at, source);
                }
                self.update(at, source);
            }
        }
    }

    /// An update about somebody who is registered by then.
    fn update(&mut self, at: Timestamp, source: usize) {
        let known: Vec<usize> = (source..self.plan.people.len())
            .step_by(SOURCES.len())
            .collect();
        let pick = usize::try_from(self.dice.below(known.len() as u64)).unwrap_or(0);
        self.plain(at, known[pick], &Said::updated());
    }
}
