//! Lists of texts: gathered from several places, each through its table.

use serde_json::{Value, json};

use super::super::outcome::Severity;
use super::super::plan::{Rule, Term, Unmapped, Valuer};
use super::here::Here;
use super::value::Bad;
use super::{Draft, Run};
use crate::failure::Code;

impl Run<'_> {
    /// The texts of a list through their table, where there is one; what it does not have is left
    /// out, and said.
    pub(super) fn mapped(
        &self,
        (valuer, at): (&Valuer, &str),
        texts: Value,
        rule: &Rule,
        draft: &mut Draft,
    ) -> Value {
        let (Some(lookup), Value::Array(texts)) = (valuer.lookup, &texts) else {
            return texts;
        };
        let table = self.plan.knowledge.table(lookup.table);
        let mut words = Vec::with_capacity(texts.len());
        for text in texts {
            let code = text.as_str().unwrap_or_default();
            let word = table.and_then(|table| table.get(code));
            match (word, lookup.unmapped) {
                (Some(word), _) => words.push(json!(word)),
                (None, Unmapped::Pass) => words.push(text.clone()),
                (None, Unmapped::Null) => {}
                (None, unmapped) => {
                    let severity = match unmapped {
                        Unmapped::Hold => Severity::Error,
                        _ => Severity::Warning,
                    };
                    draft.issue((Code::Unmapped, severity), at, rule, &valuer.line);
                }
            }
        }
        Value::Array(words)
    }
}

/// Texts of several places, blanks left out.
pub(super) fn list(
    items: &[Vec<Term>],
    split: Option<&str>,
    here: &Here<'_>,
) -> Option<Result<(Value, String), Bad>> {
    let mut texts = Vec::new();
    let mut at = None;
    for terms in items {
        for text in here.texts(terms) {
            at.get_or_insert_with(|| here.tell(terms, here.read(terms).place));
            match split {
                None => texts.push(text),
                Some(mark) => {
                    let parts = text.split(mark).map(str::trim);
                    texts.extend(parts.filter(|part| !part.is_empty()).map(str::to_owned));
                }
            }
        }
    }
    at.filter(|_| !texts.is_empty())
        .map(|at| Ok((json!(texts), at)))
}
