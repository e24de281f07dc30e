//! Moving over the tokens: what every part of the parser is made of.

use super::lexer::{Kind, Token};
use super::parser::{DEPTH_MAX, Parser};
use super::{Operand, ParseError, literal};

impl<'a> Parser<'a> {
    /// Skips a directive that carries nothing for an executor; false if `word` is none of them.
    pub(super) fn skip_directive(&mut self, word: &str) -> Result<bool, ParseError> {
        match word {
            "loc" | "file" => {
                self.next();
                while matches!(
                    self.peek(),
                    Kind::Number(_) | Kind::Text(_) | Kind::Mark(b',' | b'+')
                ) || matches!(self.peek(), Kind::Word("function_name" | "inlined_at"))
                {
                    let named = self.peek() == Kind::Word("function_name");
                    self.next();
                    if named {
                        self.word()?;
                    }
                }
            }
            "section" => {
                self.next();
                while self.peek() != Kind::Mark(b'{') {
                    if self.next().kind == Kind::End {
                        return self.unexpected("{");
                    }
                }
                let mut open = 0u32;
                loop {
                    match self.next().kind {
                        Kind::Mark(b'{') => open += 1,
                        Kind::Mark(b'}') if open <= 1 => break,
                        Kind::Mark(b'}') => open -= 1,
                        Kind::End => return self.unexpected("}"),
                        _ => {}
                    }
                }
            }
            "pragma" | "alias" => {
                while self.peek() != Kind::Mark(b';') {
                    if self.next().kind == Kind::End {
                        return self.unexpected(";");
                    }
                }
                self.next();
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `+n`, `-n`, `+-n` or nothing.
    pub(super) fn offset(&mut self) -> Result<i64, ParseError> {
        let mut offset = 0i64;
        loop {
            let minus = match self.peek() {
                Kind::Mark(b'+') => false,
                Kind::Mark(b'-') => true,
                _ => return Ok(offset),
            };
            self.next();
            let minus = minus ^ self.accept(b'-');
            let value = self.integer()?.cast_signed();
            let value = if minus { value.wrapping_neg() } else { value };
            offset = offset.wrapping_add(value);
        }
    }

    pub(super) fn number(&mut self) -> Result<Operand, ParseError> {
        let minus = self.accept(b'-');
        if !minus {
            self.accept(b'+');
        }
        let Kind::Number(text) = self.peek() else {
            return self.unexpected("a number");
        };
        let Some(value) = literal::number(text) else {
            return self.error(format!("number {text}"));
        };
        self.next();
        Ok(if minus {
            literal::negated(value)
        } else {
            value
        })
    }

    pub(super) fn integer(&mut self) -> Result<u64, ParseError> {
        let Kind::Number(text) = self.peek() else {
            return self.unexpected("an integer");
        };
        match literal::integer(text) {
            Some(value) => {
                self.next();
                Ok(value)
            }
            None => self.error(format!("integer {text}")),
        }
    }

    pub(super) fn small(&mut self) -> Result<u32, ParseError> {
        let value = self.integer()?;
        u32::try_from(value).or_else(|_| self.error(format!("{value} is too large")))
    }

    pub(super) fn word(&mut self) -> Result<String, ParseError> {
        match self.peek() {
            Kind::Word(word) => {
                self.next();
                Ok(word.to_owned())
            }
            _ => self.unexpected("a name"),
        }
    }

    pub(super) fn deeper(&mut self) -> Result<(), ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            self.error("nested too deeply")
        } else {
            Ok(())
        }
    }

    pub(super) fn peek(&self) -> Kind<'a> {
        self.tokens[self.at].kind
    }

    pub(super) fn peek_after(&self) -> Kind<'a> {
        self.tokens
            .get(self.at + 1)
            .map_or(Kind::End, |token| token.kind)
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn token(&self, at: usize) -> Token<'a> {
        self.tokens[at]
    }

    pub(super) fn line(&self) -> u32 {
        self.tokens[self.at].line
    }

    /// The token at the cursor, which moves on; at the end it stays.
    pub(super) fn next(&mut self) -> Token<'a> {
        let token = self.tokens[self.at];
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    pub(super) fn accept(&mut self, mark: u8) -> bool {
        let found = self.peek() == Kind::Mark(mark);
        if found {
            self.next();
        }
        found
    }

    pub(super) fn expect(&mut self, mark: u8) -> Result<(), ParseError> {
        if self.accept(mark) {
            Ok(())
        } else {
            self.unexpected(&char::from(mark).to_string())
        }
    }

    pub(super) fn error<T>(&self, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError {
            line: self.line(),
            message: message.into(),
        })
    }

    pub(super) fn unexpected<T>(&self, wanted: &str) -> Result<T, ParseError> {
        let token = self.tokens[self.at];
        let found = match token.kind {
            Kind::End => "the end",
            _ => &self.text[token.start..token.end],
        };
        let found: String = found.chars().take(40).collect();
        self.error(format!("expected {wanted}, found {found}"))
    }
}
