//! What follows for people who become one, or are apart again: everything looked at anew.

use jiff::Timestamp;
use uuid::Uuid;

use super::findings;
use super::plan::{Desk, settled};
use crate::crm::{Identifier, Numbered};
use crate::store::{Effects, NewLink, Record, Tx};

impl Desk<'_> {
    /// What follows when an operator says that `gone` is the person of `keep`.
    pub(super) fn join(&self, keep: Record, gone: Record, operator: &str) -> Effects {
        let mut record = settled(keep);
        let (retired, survivor) = (gone.person, record.person);
        record.absorb(settled(gone));
        let mut effects = self.looked_at_anew(&mut record);
        effects.links.push(NewLink {
            retired,
            survivor,
            message: None,
            made_by: Some(operator.to_owned()),
        });
        effects
    }

    /// What follows for one of two records that are apart again.
    pub(super) fn apart(&self, record: Record) -> Effects {
        self.looked_at_anew(&mut settled(record))
    }

    fn looked_at_anew(&self, record: &mut Record) -> Effects {
        let view = self.site.view(&record.assertions);
        let mut effects = Effects {
            members: record.members.clone(),
            is_to_be_compared: true,
            ..Effects::default()
        };
        self.contacts(&view, record, &mut effects);
        findings::reconcile(self, record, (&view, true), &mut effects);
        effects
    }

    /// The messages whose word stands with a record although they name numbers of the other one, or
    /// came while the two were one and did not keep what they named.
    pub(super) fn strays(
        &self,
        record: &Record,
        others: &[Identifier],
        since: Timestamp,
    ) -> Vec<Uuid> {
        let theirs = self.marks_of(Numbered::Identifier, others);
        let told = record.assertions.iter().filter(|told| {
            let named = told.marks.iter().any(|mark| theirs.contains(mark));
            let unknown = told.marks.is_empty();
            named || (unknown && Tx::received(told.message).is_none_or(|at| at >= since))
        });
        told.map(|told| told.message).collect()
    }
}
