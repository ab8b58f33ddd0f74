//! One channel: rows 6 to 11 of the decision table, that is everything about it but the hour.

use jiff::Timestamp;
use uuid::Uuid;

use super::cell::{self, Cell, Question};
use super::code::Code;
use super::facts::{Ask, ContactPoint, Entry, Facts};
use super::policy::{ChannelRule, Policy};
use super::words::{Channel, ContentClass, Obligation, Purpose};
use crate::crm::ContactSystem;

/// A question about one channel.
#[derive(Clone, Copy)]
pub(super) struct Route<'a> {
    pub(super) ask: &'a Ask<'a>,
    pub(super) facts: &'a Facts<'a>,
    pub(super) policy: &'a Policy,
    pub(super) channel: Channel,
}

/// What a channel may be used for, if the hour is right.
pub(super) struct Pass {
    pub(super) contact: Option<Uuid>,
    pub(super) content: ContentClass,
    pub(super) obligations: Vec<Obligation>,
    pub(super) consents: Vec<Uuid>,
    pub(super) codes: Vec<Code>,
    /// When the consent ceases to permit.
    pub(super) until: Option<Timestamp>,
    /// Whether it rests on the exemption for appointments, whose own caps bind then.
    pub(super) exempt: bool,
}

/// Why a channel may not be used.
pub(super) struct Refusal {
    pub(super) code: Code,
    /// Whether a person should find another way.
    pub(super) review: bool,
    pub(super) contact: Option<Uuid>,
}

/// On what the permission rests.
struct Ground<'a> {
    entry: Option<&'a Entry>,
    content: ContentClass,
    code: Code,
    until: Option<Timestamp>,
}

impl<'a> Route<'a> {
    /// Whether the channel may be used at `at`, the hour and the caps aside.
    pub(super) fn check(self, at: Timestamp) -> Result<Pass, Refusal> {
        let Some(rule) = self.policy.channels.get(&self.channel) else {
            return Err(Refusal::of(Code::NoConsent));
        };
        let ground = self.ground(rule, at)?;
        let contact = self.contact(rule)?;
        self.suits(rule, &ground, contact)?;
        let mut obligations = rule.obligations.clone();
        if ground.content < self.ask.content {
            obligations.push(Obligation::GenericWording);
        }
        if self.lacks_language() {
            obligations.push(Obligation::UseInterpreter);
        }
        obligations.sort_unstable();
        obligations.dedup();
        let codes = match ground.code {
            Code::ExplicitConsent => vec![Code::Allowed, Code::ExplicitConsent],
            other => vec![other, Code::Allowed],
        };
        Ok(Pass {
            contact,
            content: ground.content,
            obligations,
            consents: ground.entry.map(|entry| entry.id).into_iter().collect(),
            codes,
            until: ground.until,
            exempt: ground.code == Code::AppointmentExempt,
        })
    }

    /// The instant after `at` at which a consent begins to permit, where none does now.
    pub(super) fn consent_begins(self, at: Timestamp) -> Option<Timestamp> {
        cell::next_change(self.facts.entries, self.question(), at, true)
    }

    const fn question(self) -> Question {
        let Ask {
            purpose, content, ..
        } = *self.ask;
        Question {
            channel: self.channel,
            purpose,
            content,
        }
    }

    /// Rows 6, 7, 8, 8b and 14: what the contact rests on.
    fn ground(self, rule: &ChannelRule, at: Timestamp) -> Result<Ground<'a>, Refusal> {
        let Ask {
            purpose, content, ..
        } = *self.ask;
        let judged = cell::judge(self.facts.entries, self.question(), at);
        if content == ContentClass::C3 {
            return self.sensitive_ground(rule, judged, at);
        }
        if purpose == Purpose::Etreat {
            let code = Code::Emergency;
            return Ok(Ground {
                entry: None,
                content,
                code,
                until: None,
            });
        }
        match judged {
            Cell::Permitted(entry) if purpose == Purpose::Hmarkt && !self.authorizes(entry) => {
                Err(Refusal::of(Code::MarketingNoAuth))
            }
            Cell::Permitted(entry) => Ok(self.explicit(entry, content, at)),
            Cell::Refused(Code::NoConsent) if purpose == Purpose::Hmarkt => {
                Err(Refusal::of(Code::MarketingNoAuth))
            }
            Cell::Refused(Code::NoConsent) => self
                .implied(at)
                .or_else(|| self.exempt(at))
                .ok_or(Refusal::of(Code::NoConsent)),
            Cell::Refused(Code::ConsentExpired) => {
                self.implied(at).ok_or(Refusal::of(Code::ConsentExpired))
            }
            Cell::Refused(code) => Err(Refusal::of(code)),
        }
    }

    /// Row 6: a specially protected topic needs a consent that names it and a person to convey
    /// it, and even then only "please contact us" leaves (42 CFR Part 2: naming the programme is
    /// itself a disclosure).
    fn sensitive_ground(
        self,
        rule: &ChannelRule,
        judged: Cell<'a>,
        at: Timestamp,
    ) -> Result<Ground<'a>, Refusal> {
        match judged {
            Cell::Permitted(entry) if rule.human && self.ask.purpose != Purpose::Hmarkt => {
                Ok(self.explicit(entry, ContentClass::C0, at))
            }
            Cell::Refused(code @ (Code::ConsentDenied | Code::ConsentRevoked)) => {
                Err(Refusal::of(code))
            }
            _ => Err(Refusal::of(Code::SensitiveNoConsent)),
        }
    }

    fn explicit(self, entry: &'a Entry, content: ContentClass, at: Timestamp) -> Ground<'a> {
        let until = cell::next_change(self.facts.entries, self.question(), at, false);
        Ground {
            entry: Some(entry),
            content,
            code: Code::ExplicitConsent,
            until,
        }
    }

    /// Row 7: an authorization names marketing, is given as 45 CFR 164.508 asks, and names the
    /// channel where a machine sends (47 CFR 64.1200(a)(2)).
    fn authorizes(self, entry: &Entry) -> bool {
        self.policy.marketing_methods.contains(&entry.method)
            && (entry.channel.is_some() || !self.channel.is_automated())
    }

    /// Row 8b: the site permits contact about treatment where nothing forbids it. It ends when an
    /// entry begins to speak.
    fn implied(self, at: Timestamp) -> Option<Ground<'a>> {
        let implied = &self.policy.implied;
        let Ask {
            purpose, content, ..
        } = *self.ask;
        let fits = implied.permitted
            && purpose == Purpose::Treat
            && implied.channels.contains(&self.channel);
        if !fits {
            return None;
        }
        let content = if content <= implied.content {
            content
        } else if implied.generic_on.contains(&self.channel) {
            implied.generic_content
        } else {
            return None;
        };
        Some(Ground {
            entry: None,
            content,
            code: Code::TreatmentContact,
            until: self.next_entry(at),
        })
    }

    /// Row 8c: confirmations and reminders of appointments, where the policy permits them. A consent
    /// that has run out is not made up for.
    fn exempt(self, at: Timestamp) -> Option<Ground<'a>> {
        let exemption = self.policy.exemption.as_ref()?;
        let Ask {
            purpose,
            content,
            appointment,
            ..
        } = *self.ask;
        let fits = appointment
            && purpose == Purpose::Treat
            && content <= exemption.content
            && exemption.channels.contains(&self.channel);
        fits.then(|| Ground {
            entry: None,
            content,
            code: Code::AppointmentExempt,
            until: self.next_entry(at),
        })
    }

    fn next_entry(self, at: Timestamp) -> Option<Timestamp> {
        let starts = self.facts.entries.iter().map(|entry| entry.from);
        starts.filter(|from| *from > at).min()
    }

    /// Rows 9 and 10: the first contact point that will do and was not stopped.
    fn contact(self, rule: &ChannelRule) -> Result<Option<Uuid>, Refusal> {
        // In an emergency a person may still call; machines stay stopped.
        let binding = self.ask.purpose != Purpose::Etreat || self.channel.is_automated();
        let stopped = |key: Option<&[u8]>| {
            binding
                && self.facts.opt_outs.iter().any(|out| {
                    out.channel.is_none_or(|channel| channel == self.channel)
                        && out
                            .contact
                            .as_deref()
                            .is_none_or(|stopped| Some(stopped) == key)
                })
        };
        let Some(system) = rule.contact else {
            return if stopped(None) {
                Err(Refusal::of(Code::OptedOut))
            } else {
                Ok(None)
            };
        };
        let fits = |point: &&ContactPoint| {
            let usage = point.usage.as_deref();
            let will_do = match &rule.uses {
                Some(uses) => uses.iter().any(|wanted| usage == Some(wanted)),
                None => usage != Some("old"),
            };
            point.system == system && !point.ended && will_do
        };
        let usable: Vec<&ContactPoint> = self.facts.contact_points.iter().filter(fits).collect();
        let best = usable
            .iter()
            .filter(|point| !stopped(Some(&point.key)))
            .min_by_key(|point| (point.rank, point.id));
        match best {
            Some(point) => Ok(Some(point.id)),
            None if usable.is_empty() && !stopped(None) => Err(Refusal::of(Code::NoValidContact)),
            None => Err(Refusal::of(Code::OptedOut)),
        }
    }

    /// Row 11: the channel may carry the content, and the text exists in the person's language.
    fn suits(
        self,
        rule: &ChannelRule,
        ground: &Ground<'_>,
        contact: Option<Uuid>,
    ) -> Result<(), Refusal> {
        let asked_for = ground.entry.is_some_and(|entry| {
            entry.channel == Some(self.channel)
                && entry.content.is_some_and(|class| class >= ground.content)
        });
        let code = if ground.content > rule.content && !asked_for {
            Code::ChannelInsecure
        } else if rule.written && self.lacks_language() {
            Code::LanguageUnavailable
        } else {
            return Ok(());
        };
        Err(Refusal {
            code,
            review: true,
            contact,
        })
    }

    fn lacks_language(self) -> bool {
        let Some(language) = self.facts.language else {
            return false;
        };
        let primary = |tag: &str| tag.split('-').next().unwrap_or("").to_ascii_lowercase();
        !self.facts.templates.is_empty()
            && !self
                .facts
                .templates
                .iter()
                .any(|known| primary(known) == primary(language))
    }
}

impl Policy {
    /// Whether a channel takes a contact point of this kind and use.
    pub fn takes(&self, channel: Channel, system: ContactSystem, usage: Option<&str>) -> bool {
        self.channels.get(&channel).is_some_and(|rule| {
            let mut uses = rule.uses.iter().flatten();
            rule.contact == Some(system)
                && (rule.uses.is_none() || uses.any(|wanted| usage == Some(wanted.as_str())))
        })
    }
}

impl Refusal {
    const fn of(code: Code) -> Self {
        Self {
            code,
            review: false,
            contact: None,
        }
    }
}
