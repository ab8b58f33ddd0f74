//! Compiling conditions: `PID-7 valued and not ($trigger in ['S15', 'S16'])`.

use super::super::plan::{Condition, Test};
use super::super::tree::Place;
use super::Compiler;
use super::fhir::Outside;

/// How deep parentheses and `not` may nest.
const MAX_DEPTH: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A path, a variable, a keyword or a name.
    Word(String),
    /// A text in quotes.
    Text(String),
    /// One of `( ) [ ] , | = !=`.
    Mark(&'static str),
}

/// What was expected instead of what was found.
struct Wrong {
    expected: String,
    found: String,
}

type Read<T> = Result<T, Wrong>;

impl Compiler<'_, '_> {
    /// Compiles a condition; `relative` allows paths that begin with a dot.
    pub(super) fn condition(&mut self, text: &str, at: Place, relative: bool) -> Option<Condition> {
        let tokens = match tokens(text, self.is_hl7()) {
            Ok(tokens) => tokens,
            Err(wrong) => {
                self.not_a_condition(text, at, wrong);
                return None;
            }
        };
        let mut parser = Parser {
            compiler: self,
            tokens,
            next: 0,
            at,
            relative,
            depth: 0,
        };
        let parsed = parser.whole();
        match parsed {
            Ok(condition) => Some(condition),
            Err(wrong) => {
                self.not_a_condition(text, at, wrong);
                None
            }
        }
    }

    fn not_a_condition(&mut self, text: &str, at: Place, wrong: Wrong) {
        let message = format!("`{text}` is not a condition");
        self.problems
            .report(at, message, wrong.expected, wrong.found);
    }
}

fn tokens(text: &str, is_hl7: bool) -> Read<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let token = match c {
            ' ' | '\t' | '\n' | '\r' => continue,
            '(' => Token::Mark("("),
            ')' => Token::Mark(")"),
            '[' => Token::Mark("["),
            ']' => Token::Mark("]"),
            ',' => Token::Mark(","),
            '|' => Token::Mark("|"),
            '=' => Token::Mark("="),
            '!' if rest.next_if_eq(&'=').is_some() => Token::Mark("!="),
            '\'' | '"' => {
                let mut inner = String::new();
                loop {
                    match rest.next() {
                        Some(end) if end == c => break,
                        Some(other) => inner.push(other),
                        None => {
                            let found = "the end".to_owned();
                            return Err(Wrong {
                                expected: format!("a closing {c}"),
                                found,
                            });
                        }
                    }
                }
                Token::Text(inner)
            }
            c if c.is_ascii_alphanumeric() || matches!(c, '$' | '.' | '_') => {
                Token::Word(if is_hl7 {
                    word(c, &mut rest)
                } else {
                    fhir_word(c, &mut rest)
                })
            }
            other => {
                let expected = "a path, a text in quotes, or one of ( ) [ ] , | = !=".to_owned();
                return Err(Wrong {
                    expected,
                    found: format!("`{other}`"),
                });
            }
        };
        tokens.push(token);
    }
    Ok(tokens)
}

/// A word goes on through letters, digits, `-_.`, and the brackets of `PID-3[2]`.
fn word(first: char, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut word = String::from(first);
    let mut open = false;
    while let Some(c) = rest.next_if(|c| {
        c.is_ascii_alphanumeric()
            || matches!(c, '-' | '_' | '.')
            || (*c == '[' && !open)
            || (*c == ']' && open)
    }) {
        match c {
            '[' => open = true,
            ']' => open = false,
            _ => {}
        }
        word.push(c);
    }
    word
}

/// A word of FHIRPath goes on through whatever stands in its brackets.
fn fhir_word(first: char, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut word = String::from(first);
    let mut outside = Outside::default();
    while let Some(c) = rest.peek().copied() {
        let ends = c.is_whitespace() || matches!(c, ')' | ']' | ',' | '|' | '=' | '!');
        let mut next = outside;
        if next.is_at(c) && ends {
            break;
        }
        outside = next;
        word.push(c);
        rest.next();
    }
    word
}

struct Parser<'p, 'c, 's> {
    compiler: &'p mut Compiler<'c, 's>,
    tokens: Vec<Token>,
    next: usize,
    at: Place,
    relative: bool,
    depth: usize,
}

impl Parser<'_, '_, '_> {
    fn whole(&mut self) -> Read<Condition> {
        let condition = self.any()?;
        if self.peek().is_none() {
            Ok(condition)
        } else {
            Err(self.wrong("`and`, `or` or the end"))
        }
    }

    fn any(&mut self) -> Read<Condition> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let expected = format!("at most {MAX_DEPTH} levels of parentheses");
            return Err(Wrong {
                expected,
                found: "more".to_owned(),
            });
        }
        let mut list = vec![self.all()?];
        while self.take_word("or") {
            list.push(self.all()?);
        }
        self.depth -= 1;
        Ok(if list.len() == 1 {
            list.remove(0)
        } else {
            Condition::Any(list)
        })
    }

    fn all(&mut self) -> Read<Condition> {
        let mut list = vec![self.one()?];
        while self.take_word("and") {
            list.push(self.one()?);
        }
        Ok(if list.len() == 1 {
            list.remove(0)
        } else {
            Condition::All(list)
        })
    }

    fn one(&mut self) -> Read<Condition> {
        let mut negated = false;
        while self.take_word("not") {
            negated = !negated;
        }
        let inner = if self.take_mark("(") {
            let inner = self.any()?;
            self.mark(")")?;
            inner
        } else {
            self.test()?
        };
        Ok(if negated {
            Condition::Not(Box::new(inner))
        } else {
            inner
        })
    }

    fn test(&mut self) -> Read<Condition> {
        let mut operand = self.word("a path, a $variable, `not` or (")?;
        while self.take_mark("|") {
            operand = format!("{operand} | {}", self.word("a path after |")?);
        }
        let is_hl7 = self.compiler.is_hl7();
        if is_hl7 && operand.len() == 3 && operand.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return self.segment_test(operand);
        }
        let terms = self.compiler.terms(&operand, self.at, self.relative);
        if !is_hl7 && self.is_at_end() && Compiler::is_condition(&terms) {
            return Ok(Condition::Test(terms, Test::In(vec!["true".to_owned()])));
        }
        let (test, negated) = self.predicate()?;
        match test {
            Test::Null if !is_hl7 => {
                let expected = "`valued` or `absent`".to_owned();
                let found = "`null`, which is of HL7 v2".to_owned();
                return Err(Wrong { expected, found });
            }
            Test::InConcept(_) => self.compiler.coded(&terms, self.at),
            _ => self.compiler.only_texts(&terms, self.at),
        }
        let condition = Condition::Test(terms, test);
        Ok(if negated {
            Condition::Not(Box::new(condition))
        } else {
            condition
        })
    }

    /// Whether nothing is asked of the operand.
    fn is_at_end(&self) -> bool {
        match self.peek() {
            None | Some(Token::Mark(")")) => true,
            Some(Token::Word(word)) => word == "and" || word == "or",
            Some(Token::Text(_) | Token::Mark(_)) => false,
        }
    }

    fn segment_test(&mut self, name: String) -> Read<Condition> {
        self.compiler.segment(&name, self.at);
        let negated = if self.take_word("present") || self.take_word("valued") {
            false
        } else if self.take_word("absent") {
            true
        } else {
            return Err(self.wrong("`present` or `absent` after a segment"));
        };
        let present = Condition::Present(name);
        Ok(if negated {
            Condition::Not(Box::new(present))
        } else {
            present
        })
    }

    fn predicate(&mut self) -> Read<(Test, bool)> {
        for (word, test) in [
            ("valued", Test::Valued),
            ("absent", Test::Absent),
            ("null", Test::Null),
        ] {
            if self.take_word(word) {
                return Ok((test, false));
            }
        }
        if self.take_mark("=") {
            return Ok((Test::In(vec![self.text()?]), false));
        }
        if self.take_mark("!=") {
            return Ok((Test::In(vec![self.text()?]), true));
        }
        let negated = self.take_word("not");
        if !self.take_word("in") {
            let expected = "`valued`, `absent`, `null`, `= '…'`, `!= '…'`, `in […]`, \
                            `in table NAME` or `in concept NAME`";
            return Err(self.wrong(expected));
        }
        if self.take_word("table") {
            let name = self.word("a table's name")?;
            let known = self.compiler.table_id(&name, self.at);
            return Ok((known.map_or(Test::Absent, Test::InTable), negated));
        }
        if self.take_word("concept") {
            let name = self.word("a concept's name")?;
            let known = self.compiler.concept_id(&name, self.at);
            return Ok((known.map_or(Test::Absent, Test::InConcept), negated));
        }
        Ok((Test::In(self.texts()?), negated))
    }

    fn texts(&mut self) -> Read<Vec<String>> {
        self.mark("[")?;
        let mut list = vec![self.text()?];
        while self.take_mark(",") {
            if self.peek() == Some(&Token::Mark("]")) {
                break;
            }
            list.push(self.text()?);
        }
        self.mark("]")?;
        Ok(list)
    }

    fn text(&mut self) -> Read<String> {
        match self.peek() {
            Some(Token::Text(text)) => {
                let text = text.clone();
                self.next += 1;
                Ok(text)
            }
            _ => Err(self.wrong("a text in quotes")),
        }
    }

    fn word(&mut self, expected: &str) -> Read<String> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.next += 1;
                Ok(word)
            }
            _ => Err(self.wrong(expected)),
        }
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Word(word)) if word == wanted);
        self.next += usize::from(there);
        there
    }

    fn take_mark(&mut self, wanted: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Mark(mark)) if *mark == wanted);
        self.next += usize::from(there);
        there
    }

    fn mark(&mut self, wanted: &str) -> Read<()> {
        if self.take_mark(wanted) {
            Ok(())
        } else {
            Err(self.wrong(&format!("`{wanted}`")))
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn wrong(&self, expected: &str) -> Wrong {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(Token::Word(word)) => format!("`{word}`"),
            Some(Token::Text(text)) => format!("'{text}'"),
            Some(Token::Mark(mark)) => format!("`{mark}`"),
        };
        Wrong {
            expected: expected.to_owned(),
            found,
        }
    }
}
