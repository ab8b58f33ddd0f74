//! A path as it is written.

use std::ops::Range;

/// An operator between two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Union,
    Compare(Comparison),
    And,
    Or,
}

impl Operator {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Operator::Union => "|",
            Operator::Compare(comparison) => comparison.sign(),
            Operator::And => "and",
            Operator::Or => "or",
        }
    }
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }
}

/// A value that is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    Text(String),
    Number(String),
    Boolean(bool),
    Moment(String),
}

/// An expression with its place in the path.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// What the path, or the criteria, starts at; not written, or `$this`.
    Start,
    Literal(Literal),
    Member {
        of: Box<Expression>,
        name: String,
    },
    Index {
        of: Box<Expression>,
        number: usize,
    },
    Call(Call),
    Binary {
        operator: Operator,
        left: Box<Expression>,
        right: Box<Expression>,
    },
}

/// A function that is called on something.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) of: Box<Expression>,
    pub(super) name: String,
    pub(super) arguments: Vec<Expression>,
}
