//! Asking a condition of a message.

use super::super::plan::{Condition, Term, Test};
use super::Run;
use super::here::Here;

impl Run<'_> {
    /// Whether the condition holds here.
    pub(super) fn holds(&self, condition: &Condition, here: &Here<'_>) -> bool {
        match condition {
            Condition::All(list) => list.iter().all(|one| self.holds(one, here)),
            Condition::Any(list) => list.iter().any(|one| self.holds(one, here)),
            Condition::Not(inner) => !self.holds(inner, here),
            Condition::Present(name) => here.has_segment(name),
            Condition::Test(terms, test) => self.passes(terms, test, here),
        }
    }

    fn passes(&self, terms: &[Term], test: &Test, here: &Here<'_>) -> bool {
        // Of several values one is enough.
        let any = |fits: &dyn Fn(&String) -> bool| here.texts(terms).iter().any(fits);
        match test {
            Test::Valued => any(&|_| true),
            Test::Absent => {
                let read = here.read(terms);
                read.text.is_none() && !read.null
            }
            Test::Null => here.read(terms).null,
            Test::In(texts) => any(&|text| texts.contains(text)),
            Test::InTable(id) => {
                let table = self.plan.knowledge.table(*id);
                table.is_some_and(|table| any(&|text| table.get(text).is_some()))
            }
            Test::InConcept(concept) => terms
                .iter()
                .any(|term| self.concept(term, &[], here, &[*concept]).is_some()),
        }
    }
}
