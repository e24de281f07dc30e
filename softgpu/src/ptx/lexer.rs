//! Splits PTX text into tokens that borrow from it, each with its line and place.

use super::ParseError;

/// A token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// An identifier, `%` and `$` included.
    Word(&'a str),
    /// `.word`, without the dot; `::` parts included.
    Dot(&'a str),
    /// A literal that begins with a digit, as written.
    Number(&'a str),
    /// A string, without its quotes.
    Text(&'a str),
    /// Any other single character.
    Mark(u8),
    /// The end of the text.
    End,
}

/// A token and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) line: u32,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// All tokens of `text`, an [`Kind::End`] last.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, ParseError> {
    let mut lexer = Lexer {
        text,
        bytes: text.as_bytes(),
        at: 0,
        line: 1,
    };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blank()?;
        let (start, line) = (lexer.at, lexer.line);
        let kind = lexer.next()?;
        tokens.push(Token {
            kind,
            line,
            start,
            end: lexer.at,
        });
        if kind == Kind::End {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    line: u32,
}

impl<'a> Lexer<'a> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError {
            line: self.line,
            message: message.into(),
        })
    }

    fn skip_blank(&mut self) -> Result<(), ParseError> {
        loop {
            match (self.peek(0), self.peek(1)) {
                (b'\n', _) => {
                    self.line = self.line.saturating_add(1);
                    self.at += 1;
                }
                (b' ' | b'\t' | b'\r' | 0x0b | 0x0c, _) => self.at += 1,
                (b'/', b'/') => {
                    while self.at < self.bytes.len() && self.peek(0) != b'\n' {
                        self.at += 1;
                    }
                }
                (b'/', b'*') => self.skip_comment()?,
                // A preprocessor line that a tool left behind carries nothing for us.
                (b'#', _) => {
                    while self.at < self.bytes.len() && self.peek(0) != b'\n' {
                        self.at += 1;
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), ParseError> {
        self.at += 2;
        while self.at < self.bytes.len() {
            if self.peek(0) == b'*' && self.peek(1) == b'/' {
                self.at += 2;
                return Ok(());
            }
            if self.peek(0) == b'\n' {
                self.line = self.line.saturating_add(1);
            }
            self.at += 1;
        }
        self.error("comment without an end")
    }

    fn next(&mut self) -> Result<Kind<'a>, ParseError> {
        let start = self.at;
        let first = self.peek(0);
        if self.at >= self.bytes.len() {
            return Ok(Kind::End);
        }
        if is_word_start(first) {
            self.at += 1;
            while is_word(self.peek(0)) {
                self.at += 1;
            }
            return Ok(Kind::Word(&self.text[start..self.at]));
        }
        if first == b'.' && is_word(self.peek(1)) {
            self.at += 1;
            while is_word(self.peek(0)) || self.at_double_colon() {
                self.at += if self.peek(0) == b':' { 2 } else { 1 };
            }
            return Ok(Kind::Dot(&self.text[start + 1..self.at]));
        }
        if first.is_ascii_digit() {
            self.number();
            return Ok(Kind::Number(&self.text[start..self.at]));
        }
        if first == b'"' {
            return self.string();
        }
        if first.is_ascii_graphic() {
            self.at += 1;
            return Ok(Kind::Mark(first));
        }
        self.error(format!("byte 0x{first:02x} is not PTX"))
    }

    fn at_double_colon(&self) -> bool {
        self.peek(0) == b':' && self.peek(1) == b':' && is_word(self.peek(2))
    }

    fn number(&mut self) {
        let hexadecimal = self.peek(0) == b'0'
            && matches!(
                self.peek(1),
                b'x' | b'X' | b'f' | b'F' | b'd' | b'D' | b'b' | b'B'
            );
        while is_word(self.peek(0)) || self.peek(0) == b'.' {
            let exponent = !hexadecimal && matches!(self.peek(0), b'e' | b'E');
            self.at += 1;
            if exponent && matches!(self.peek(0), b'+' | b'-') {
                self.at += 1;
            }
        }
    }

    fn string(&mut self) -> Result<Kind<'a>, ParseError> {
        self.at += 1;
        let start = self.at;
        while self.at < self.bytes.len() {
            match self.peek(0) {
                b'"' => {
                    self.at += 1;
                    return Ok(Kind::Text(&self.text[start..self.at - 1]));
                }
                b'\n' => break,
                b'\\' if self.at + 1 < self.bytes.len() => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.error("string without an end")
    }
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$' | b'%')
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind<'_>> {
        tokens(text)
            .unwrap()
            .into_iter()
            .map(|token| token.kind)
            .collect()
    }

    #[test]
    fn an_instruction_becomes_words_dots_and_marks() {
        assert_eq!(
            kinds("ld.global.L2::128B.f32 %f1, [%rd1+-4]; // x"),
            [
                Kind::Word("ld"),
                Kind::Dot("global"),
                Kind::Dot("L2::128B"),
                Kind::Dot("f32"),
                Kind::Word("%f1"),
                Kind::Mark(b','),
                Kind::Mark(b'['),
                Kind::Word("%rd1"),
                Kind::Mark(b'+'),
                Kind::Mark(b'-'),
                Kind::Number("4"),
                Kind::Mark(b']'),
                Kind::Mark(b';'),
                Kind::End,
            ]
        );
    }

    #[test]
    fn lines_are_counted_through_comments() {
        let all = tokens("a /* \n\n */ b\nc").unwrap();
        assert_eq!(
            all.iter().map(|token| token.line).collect::<Vec<_>>(),
            [1, 3, 4, 4]
        );
    }

    #[test]
    fn exponents_keep_their_sign_and_hexadecimal_does_not_have_one() {
        assert_eq!(kinds("1.5e-3")[0], Kind::Number("1.5e-3"));
        assert_eq!(kinds("0x1e-3")[0], Kind::Number("0x1e"));
    }

    #[test]
    fn open_comments_and_strings_are_errors() {
        assert!(tokens("/* a").is_err());
        assert!(tokens("\"a\n\"").is_err());
        assert!(tokens("\u{e9}").is_err());
    }
}
