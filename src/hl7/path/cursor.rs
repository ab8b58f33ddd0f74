//! Reads the text of a path character by character.

use super::{Path, PathError, RelPath};

/// The largest number in a path: no segment has more fields, no field more components.
const MAX_NUMBER: usize = 9_999;

/// Reads a path character by character.
pub(super) struct Cursor<'t> {
    rest: std::str::Chars<'t>,
    at: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Cursor<'t> {
        Cursor {
            rest: text.chars(),
            at: 1,
        }
    }

    /// Reads with `part` and then the end, with blanks around.
    pub(super) fn all<T>(
        mut self,
        part: impl FnOnce(&mut Cursor<'t>) -> Result<T, PathError>,
    ) -> Result<T, PathError> {
        self.blanks();
        let read = part(&mut self)?;
        self.blanks();
        if self.peek().is_none() {
            Ok(read)
        } else {
            Err(self.wrong("the end of the path"))
        }
    }

    pub(super) fn path(&mut self) -> Result<Path, PathError> {
        let mut segment = String::new();
        for place in 0..3 {
            let fits = |c: &char| c.is_ascii_uppercase() || (place > 0 && c.is_ascii_digit());
            let Some(letter) = self.peek().filter(fits) else {
                return Err(self.wrong("a segment name such as PID"));
            };
            segment.push(letter);
            self.next();
        }
        let occurrence = self.bracket()?;
        if !self.take('-') {
            return Err(self.wrong("- and a field number"));
        }
        let field = self.number()?;
        let repetition = self.bracket()?;
        let relative = self.relative(false)?;
        Ok(Path {
            segment,
            occurrence,
            field,
            repetition,
            relative,
        })
    }

    /// `.c` and `.c.s`; `.` alone only where `whole` allows it, nothing otherwise.
    pub(super) fn relative(&mut self, whole: bool) -> Result<RelPath, PathError> {
        if !self.take('.') {
            return Ok(RelPath::WHOLE);
        }
        if whole && self.peek().is_none_or(|c| c == ' ') {
            return Ok(RelPath::WHOLE);
        }
        let component = Some(self.number()?);
        let subcomponent = if self.take('.') {
            Some(self.number()?)
        } else {
            None
        };
        Ok(RelPath {
            component,
            subcomponent,
        })
    }

    fn bracket(&mut self) -> Result<Option<usize>, PathError> {
        if !self.take('[') {
            return Ok(None);
        }
        let number = self.number()?;
        if self.take(']') {
            Ok(Some(number))
        } else {
            Err(self.wrong("]"))
        }
    }

    /// A number from 1 to [`MAX_NUMBER`] without leading zero, so that it prints as it was read.
    fn number(&mut self) -> Result<usize, PathError> {
        let wrong = self.wrong("a number from 1 to 9999");
        let mut number = 0_usize;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            self.next();
            number = number * 10 + usize::try_from(digit).unwrap_or_default();
            if number == 0 || number > MAX_NUMBER {
                return Err(wrong);
            }
        }
        if number == 0 { Err(wrong) } else { Ok(number) }
    }

    pub(super) fn blanks(&mut self) {
        while self.take(' ') {}
    }

    pub(super) fn take(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        if there {
            self.next();
        }
        there
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn next(&mut self) -> Option<char> {
        self.at += 1;
        self.rest.next()
    }

    pub(super) fn wrong(&self, expected: &'static str) -> PathError {
        PathError {
            at: self.at,
            expected,
            found: self.peek(),
        }
    }
}
