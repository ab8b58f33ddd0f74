//! Asking a condition of a message.

use crate::hl7::{Path, RelPath};

use super::super::plan::{Condition, Term, Test};
use super::{Here, Run};

impl Run<'_> {
    /// Whether the condition holds here.
    pub(super) fn holds(&self, condition: &Condition, here: &Here<'_>) -> bool {
        match condition {
            Condition::All(list) => list.iter().all(|one| self.holds(one, here)),
            Condition::Any(list) => list.iter().any(|one| self.holds(one, here)),
            Condition::Not(inner) => !self.holds(inner, here),
            Condition::Present(name) => present(name, here),
            Condition::Test(terms, test) => self.passes(terms, test, here),
        }
    }

    fn passes(&self, terms: &[Term], test: &Test, here: &Here<'_>) -> bool {
        let read = || here.read(terms);
        match test {
            Test::Valued => read().text.is_some(),
            Test::Absent => {
                let read = read();
                read.text.is_none() && !read.null
            }
            Test::Null => read().null,
            Test::In(texts) => read().text.is_some_and(|text| texts.contains(&text)),
            Test::InTable(id) => read().text.is_some_and(|text| {
                self.plan
                    .knowledge
                    .table(*id)
                    .is_some_and(|table| table.get(&text).is_some())
            }),
            Test::InConcept(concept) => terms.iter().any(|term| match term {
                Term::Path(path) => self.concept(path, &[], here, &[*concept]).is_some(),
                Term::Relative(_) => false,
            }),
        }
    }
}

/// Whether a segment is in the group, or outside of all groups where the group sees it.
fn present(name: &str, here: &Here<'_>) -> bool {
    here.scope.has_segment(name)
        || Path::parse(&format!("{name}-1"))
            .is_ok_and(|path| here.scope.raw(&path.join(RelPath::WHOLE)).is_some())
}
