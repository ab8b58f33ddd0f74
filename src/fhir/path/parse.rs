//! Reads a path into expressions, with the precedence of FHIRPath (N1, 6.9).

use std::ops::Range;

use super::lex::{self, Word, Words};
use super::syntax::{Call, Comparison, Expression, Kind, Literal, Operator};
use super::{MAX_NESTING, MAX_PATH_BYTES, MAX_TERMS, PathError, refused};

/// Reads a path.
pub(super) fn parse(text: &str) -> Result<Expression, PathError> {
    if text.len() > MAX_PATH_BYTES {
        let span = MAX_PATH_BYTES..text.len();
        return Err(PathError::new(
            span,
            "a path of at most 2,000 bytes",
            "a longer one",
        ));
    }
    let mut parser = Parser {
        words: lex::words(text)?,
        at: 0,
        terms: 0,
        nesting: 0,
    };
    let expression = parser.either()?;
    match parser.peek() {
        Word::End => Ok(expression),
        word => Err(refused::word(word, parser.span(), "the end or an operator")),
    }
}

struct Parser {
    words: Words,
    at: usize,
    terms: usize,
    nesting: usize,
}

type Parsed = Result<Expression, PathError>;

impl Parser {
    fn either(&mut self) -> Parsed {
        self.chain(&[Operator::Or], Parser::both)
    }

    fn both(&mut self) -> Parsed {
        self.chain(&[Operator::And], Parser::equality)
    }

    fn equality(&mut self) -> Parsed {
        let signs = [Comparison::Equal, Comparison::NotEqual];
        self.chain(&signs.map(Operator::Compare), Parser::inequality)
    }

    fn inequality(&mut self) -> Parsed {
        let signs = [
            Comparison::LessOrEqual,
            Comparison::GreaterOrEqual,
            Comparison::Less,
            Comparison::Greater,
        ];
        self.chain(&signs.map(Operator::Compare), Parser::union)
    }

    fn union(&mut self) -> Parsed {
        self.chain(&[Operator::Union], Parser::postfix)
    }

    /// Expressions of the next level with operators of this one between them, from the left.
    fn chain(&mut self, operators: &[Operator], next: fn(&mut Parser) -> Parsed) -> Parsed {
        let mut left = next(self)?;
        loop {
            let found = operators.iter().find(|one| self.is_next(one.sign()));
            let Some(operator) = found.copied() else {
                return Ok(left);
            };
            self.at += 1;
            self.term()?;
            let right = next(self)?;
            let span = left.span.start..right.span.end;
            let kind = Kind::Binary {
                operator,
                left: Box::new(left),
                right: Box::new(right),
            };
            left = Expression { kind, span };
        }
    }

    fn is_next(&self, sign: &str) -> bool {
        match self.peek() {
            Word::Sign(found) => *found == sign,
            // A name where an operator belongs is one.
            Word::Name(found) => found == sign,
            _ => false,
        }
    }

    /// A term and what follows it: `.member`, `.function()`, `[0]`.
    fn postfix(&mut self) -> Parsed {
        let mut expression = self.primary()?;
        loop {
            if self.take(".") {
                expression = self.step(expression)?;
            } else if self.take("[") {
                let number = self.number()?;
                let span = expression.span.start..self.span().end;
                self.expect("]")?;
                expression = Expression {
                    kind: Kind::Index {
                        of: Box::new(expression),
                        number,
                    },
                    span,
                };
            } else {
                return Ok(expression);
            }
            self.term()?;
        }
    }

    fn primary(&mut self) -> Parsed {
        self.term()?;
        let span = self.span();
        let literal = |literal| Expression {
            kind: Kind::Literal(literal),
            span: span.clone(),
        };
        let start = Expression {
            kind: Kind::Start,
            span: span.clone(),
        };
        let expression = match self.peek().clone() {
            Word::This => start,
            Word::Text(text) => literal(Literal::Text(text)),
            Word::Number(number) => literal(Literal::Number(number)),
            Word::Moment(moment) => literal(Literal::Moment(moment)),
            Word::Name(name) if name == "true" || name == "false" => {
                literal(Literal::Boolean(name == "true"))
            }
            Word::Name(_) | Word::Quoted(_) => {
                let start = Expression {
                    kind: Kind::Start,
                    span: span.start..span.start,
                };
                return self.step(start);
            }
            Word::Sign("(") => {
                self.at += 1;
                self.nested()?;
                let inner = self.either()?;
                self.nesting -= 1;
                self.expect(")")?;
                return Ok(inner);
            }
            word => return Err(refused::word(&word, span, "a member, a text or a number")),
        };
        self.at += 1;
        Ok(expression)
    }

    /// A member or a call, which stand behind a dot or alone.
    fn step(&mut self, of: Expression) -> Parsed {
        let (word, place) = (self.peek().clone(), self.span());
        let name = match word {
            Word::Quoted(name) => name,
            Word::Name(name) => {
                refused::name(&name, &place)?;
                name
            }
            word => {
                return Err(refused::word(
                    &word,
                    place,
                    "the name of a member or a function",
                ));
            }
        };
        self.at += 1;
        let of = Box::new(of);
        if !self.take("(") {
            let span = of.span.start..place.end;
            return Ok(Expression {
                kind: Kind::Member { of, name },
                span,
            });
        }
        refused::function(&name, &place)?;
        let arguments = self.arguments()?;
        let span = of.span.start..self.behind();
        Ok(Expression {
            kind: Kind::Call(Call {
                of,
                name,
                arguments,
            }),
            span,
        })
    }

    fn arguments(&mut self) -> Result<Vec<Expression>, PathError> {
        let mut arguments = Vec::new();
        if self.take(")") {
            return Ok(arguments);
        }
        self.nested()?;
        loop {
            arguments.push(self.either()?);
            if !self.take(",") {
                break;
            }
        }
        self.nesting -= 1;
        self.expect(")")?;
        Ok(arguments)
    }

    fn number(&mut self) -> Result<usize, PathError> {
        let number = match self.peek() {
            Word::Number(digits) => digits.parse().ok(),
            _ => None,
        };
        let wrong = || PathError::new(self.span(), "a whole number, from 0", self.peek().shown());
        let number = number.ok_or_else(wrong)?;
        self.at += 1;
        Ok(number)
    }

    fn peek(&self) -> &Word {
        self.words.get(self.at).map_or(&Word::End, |(word, _)| word)
    }

    /// The place of the next word.
    fn span(&self) -> Range<usize> {
        self.words
            .get(self.at)
            .or(self.words.last())
            .map_or(0..0, |(_, span)| span.clone())
    }

    /// The place behind the last word that was read.
    fn behind(&self) -> usize {
        let last = self.at.checked_sub(1).and_then(|at| self.words.get(at));
        last.map_or(0, |(_, span)| span.end)
    }

    fn take(&mut self, sign: &str) -> bool {
        let is_there = matches!(self.peek(), Word::Sign(found) if *found == sign);
        if is_there {
            self.at += 1;
        }
        is_there
    }

    fn expect(&mut self, sign: &str) -> Result<(), PathError> {
        if self.take(sign) {
            return Ok(());
        }
        Err(refused::word(
            self.peek(),
            self.span(),
            &format!("`{sign}`"),
        ))
    }

    fn term(&mut self) -> Result<(), PathError> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            let error = PathError::new(self.span(), "at most 200 terms", "more of them");
            return Err(error.hint("split it into several paths"));
        }
        Ok(())
    }

    fn nested(&mut self) -> Result<(), PathError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(PathError::new(
                self.span(),
                "at most 16 brackets in each other",
                "more",
            ));
        }
        Ok(())
    }
}
