//! OperationOutcome: what a server says went wrong, and what is said to a sender.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use super::error::{ReadError, ReadErrorKind};
use super::node::Node;

/// How bad an issue is (FHIR R4, OperationOutcome.issue.severity).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It went well (`success`, R5).
    Success,
    /// Something to know.
    Information,
    /// It was done, and may not be what was meant.
    Warning,
    /// It was not done.
    Error,
    /// Nothing was done.
    Fatal,
}

/// One issue of an outcome. Its texts come from somebody else and may tell of a person: they have no
/// `Debug`, and belong in no log.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// How bad it is; a severity that cannot be read is an error.
    pub severity: Severity,
    /// What kind it is, such as `not-found` or `throttled`; empty where it is not said.
    pub code: String,
    /// What it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<String>,
    /// Where in the resource it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expression: Vec<String>,
}

/// An outcome: one issue or several.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The issues in their order.
    pub issues: Vec<Issue>,
}

impl Outcome {
    /// The outcome that a resource is; `None` for any other resource.
    #[must_use]
    pub fn of(node: &Node<'_>) -> Option<Outcome> {
        if node.resource_type()? != "OperationOutcome" {
            return None;
        }
        Some(Outcome {
            issues: node
                .members("issue")
                .map(|issue| Issue::of(&issue))
                .collect(),
        })
    }

    /// What is answered to a body that could not be read, or not all of whose entries could.
    #[must_use]
    pub fn of_errors<'e>(errors: impl IntoIterator<Item = &'e ReadError>) -> Outcome {
        Outcome {
            issues: errors.into_iter().map(Issue::from).collect(),
        }
    }

    /// Whether anything was not done. An outcome without issues says nothing, and so not that.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.issues
            .iter()
            .any(|issue| issue.severity >= Severity::Error)
    }

    /// Whether an issue has this code.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        self.issues.iter().any(|issue| issue.code == code)
    }

    /// The resource as JSON; where there is no issue, one that says that all is well, since an
    /// outcome must have one.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Resource<'o> {
            resource_type: &'static str,
            issue: Cow<'o, [Issue]>,
        }
        let well = || Issue {
            severity: Severity::Information,
            code: "informational".to_owned(),
            diagnostics: None,
            expression: Vec::new(),
        };
        let issue = match self.issues.as_slice() {
            [] => Cow::Owned(vec![well()]),
            issues => Cow::Borrowed(issues),
        };
        let resource = Resource {
            resource_type: "OperationOutcome",
            issue,
        };
        serde_json::to_string(&resource).unwrap_or_default()
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.issues.iter().map(|issue| issue.severity))
            .finish()
    }
}

impl Issue {
    fn of(node: &Node<'_>) -> Issue {
        let severity = match node.text_of("severity").as_deref() {
            Some("fatal") => Severity::Fatal,
            Some("warning") => Severity::Warning,
            Some("information") => Severity::Information,
            Some("success") => Severity::Success,
            _ => Severity::Error,
        };
        let said = node
            .text_of("diagnostics")
            .or_else(|| node.member("details")?.text_of("text"));
        // `location` is what servers of before R4 send.
        let texts = |name| {
            node.members(name)
                .filter_map(|one| one.string())
                .map(Cow::into_owned)
        };
        let mut expression: Vec<String> = texts("expression").collect();
        if expression.is_empty() {
            expression = texts("location").collect();
        }
        Issue {
            severity,
            code: node.text_of("code").unwrap_or_default().into_owned(),
            diagnostics: said.map(Cow::into_owned),
            expression,
        }
    }
}

impl From<&ReadError> for Issue {
    fn from(error: &ReadError) -> Issue {
        let code = match error.kind {
            ReadErrorKind::Limit => "too-long",
            ReadErrorKind::Syntax
            | ReadErrorKind::Cut
            | ReadErrorKind::Duplicate
            | ReadErrorKind::Structure => "structure",
        };
        Issue {
            severity: Severity::Error,
            code: code.to_owned(),
            diagnostics: Some(error.to_string()),
            expression: Some(error.place.clone())
                .filter(|place| !place.is_empty())
                .into_iter()
                .collect(),
        }
    }
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
