//! Function scope of the grammar: registers, labels, variables and instructions.

use super::lexer::Kind;
use super::parser::Parser;
use super::{Component, Guard, Instruction, Operand, Operands, ParseError, Registers, Statement};

impl Parser<'_> {
    /// The statements up to the `}` that ends the scope, which is consumed.
    pub(super) fn block(&mut self) -> Result<Vec<Statement>, ParseError> {
        self.deeper()?;
        let mut statements = Vec::new();
        while !self.accept(b'}') {
            self.statement(&mut statements)?;
        }
        self.depth -= 1;
        Ok(statements)
    }

    fn statement(&mut self, into: &mut Vec<Statement>) -> Result<(), ParseError> {
        match self.peek() {
            Kind::Mark(b'{') => {
                self.next();
                into.push(Statement::Block(self.block()?));
            }
            Kind::Mark(b';') => {
                self.next();
            }
            Kind::Dot("reg") => {
                self.next();
                self.registers(into)?;
            }
            Kind::Dot(word) if self.skip_directive(word)? => {}
            Kind::Dot(_) => {
                let linkage = self.linkage();
                let mut variables = Vec::new();
                self.variables(linkage, &mut variables)?;
                into.extend(variables.into_iter().map(Statement::Variable));
            }
            Kind::Word(name) if self.peek_after() == Kind::Mark(b':') => {
                self.next();
                self.next();
                self.labelled(name.to_owned(), into)?;
            }
            Kind::Word(_) | Kind::Mark(b'@') => {
                into.push(Statement::Instruction(self.instruction()?));
            }
            _ => return self.unexpected("a statement"),
        }
        Ok(())
    }

    fn registers(&mut self, into: &mut Vec<Statement>) -> Result<(), ParseError> {
        let line = self.line();
        let prefix = self.type_prefix()?;
        loop {
            let name = self.word()?;
            let mut count = None;
            if self.accept(b'<') {
                count = Some(self.small()?);
                self.expect(b'>')?;
            }
            let (element, components) = (prefix.element, prefix.components);
            into.push(Statement::Registers(Registers {
                element,
                components,
                name,
                count,
                line,
            }));
            if !self.accept(b',') {
                break;
            }
        }
        self.expect(b';')
    }

    fn labelled(&mut self, name: String, into: &mut Vec<Statement>) -> Result<(), ParseError> {
        match self.peek() {
            Kind::Dot("callprototype") => {
                self.next();
                let mut returns = Vec::new();
                if self.peek() == Kind::Mark(b'(') {
                    returns = self.parameters()?;
                }
                self.word()?;
                let mut parameters = Vec::new();
                if self.peek() == Kind::Mark(b'(') {
                    parameters = self.parameters()?;
                }
                while !self.accept(b';') {
                    if self.next().kind == Kind::End {
                        return self.unexpected(";");
                    }
                }
                into.push(Statement::Prototype {
                    name,
                    returns,
                    parameters,
                });
            }
            Kind::Dot("branchtargets" | "calltargets") => {
                self.next();
                let mut targets = vec![self.word()?];
                while self.accept(b',') {
                    targets.push(self.word()?);
                }
                self.expect(b';')?;
                into.push(Statement::Targets { name, targets });
            }
            _ => into.push(Statement::Label(name)),
        }
        Ok(())
    }

    fn instruction(&mut self) -> Result<Instruction, ParseError> {
        let line = self.line();
        let start = self.token(self.position()).start;
        let mut guard = None;
        if self.accept(b'@') {
            let negated = self.accept(b'!');
            guard = Some(Guard {
                register: self.word()?,
                negated,
            });
        }
        let opcode = self.word()?;
        let mut modifiers = Vec::new();
        while let Kind::Dot(word) = self.peek() {
            modifiers.push(word.to_owned());
            self.next();
        }
        let depth = self.depth;
        let operands = match self.operands() {
            Ok(operands) => Operands::Parsed(operands),
            Err(error) => {
                self.depth = depth;
                self.skip_statement(error)?;
                let end = self.token(self.position() - 1).end;
                Operands::Unsupported(self.text[start..end].to_owned())
            }
        };
        Ok(Instruction {
            guard,
            opcode,
            modifiers,
            operands,
            line,
        })
    }

    /// Moves past the next `;`; `error` stands if there is none before the scope ends.
    fn skip_statement(&mut self, error: ParseError) -> Result<(), ParseError> {
        let mut open = 0u32;
        loop {
            match self.next().kind {
                Kind::Mark(b';') => return Ok(()),
                Kind::Mark(b'{') => open += 1,
                Kind::Mark(b'}') if open > 0 => open -= 1,
                Kind::Mark(b'}') | Kind::End => return Err(error),
                _ => {}
            }
        }
    }

    fn operands(&mut self) -> Result<Vec<Operand>, ParseError> {
        let mut operands = Vec::new();
        if self.accept(b';') {
            return Ok(operands);
        }
        loop {
            operands.push(self.operand()?);
            if self.accept(b';') {
                return Ok(operands);
            }
            self.expect(b',')?;
        }
    }

    fn operand(&mut self) -> Result<Operand, ParseError> {
        self.deeper()?;
        let first = self.single_operand()?;
        let operand = if self.accept(b'|') {
            Operand::Pair(Box::new(first), Box::new(self.single_operand()?))
        } else {
            first
        };
        self.depth -= 1;
        Ok(operand)
    }

    fn single_operand(&mut self) -> Result<Operand, ParseError> {
        match self.peek() {
            Kind::Mark(b'!') => {
                self.next();
                self.deeper()?;
                let inner = self.single_operand()?;
                self.depth -= 1;
                Ok(Operand::Not(Box::new(inner)))
            }
            Kind::Mark(b'-') if matches!(self.peek_after(), Kind::Word(_)) => {
                self.next();
                Ok(Operand::Minus(Box::new(self.name()?)))
            }
            Kind::Mark(b'{') => {
                self.next();
                Ok(Operand::Vector(self.operand_list(b'}')?))
            }
            Kind::Mark(b'(') => {
                self.next();
                Ok(Operand::List(self.operand_list(b')')?))
            }
            Kind::Mark(b'[') => {
                self.next();
                let base = Box::new(self.address_base()?);
                let rest = if self.accept(b',') {
                    self.operand_list(b']')?
                } else {
                    self.expect(b']')?;
                    Vec::new()
                };
                // A promise that all lanes load from one address; nothing depends on it.
                if self.peek() == Kind::Dot("unified") {
                    self.next();
                }
                Ok(Operand::Address { base, rest })
            }
            Kind::Word("_") => {
                self.next();
                Ok(Operand::Sink)
            }
            Kind::Word(_) => self.name(),
            _ => self.number(),
        }
    }

    fn operand_list(&mut self, end: u8) -> Result<Vec<Operand>, ParseError> {
        let mut operands = Vec::new();
        while !self.accept(end) {
            operands.push(self.operand()?);
            if !self.accept(b',') {
                self.expect(end)?;
                break;
            }
        }
        Ok(operands)
    }

    fn address_base(&mut self) -> Result<Operand, ParseError> {
        if let Kind::Word(_) = self.peek() {
            return self.name();
        }
        match self.number()? {
            Operand::Integer(value) => {
                let offset = self.offset()?;
                Ok(Operand::Integer(value.wrapping_add(offset.cast_unsigned())))
            }
            _ => self.error("an address is an integer"),
        }
    }

    fn name(&mut self) -> Result<Operand, ParseError> {
        let name = self.word()?;
        let mut component = None;
        if let Kind::Dot(word) = self.peek() {
            let Some(found) = Component::from_word(word) else {
                return self.unexpected("a component");
            };
            component = Some(found);
            self.next();
        }
        let offset = self.offset()?;
        Ok(Operand::Name {
            name,
            component,
            offset,
        })
    }
}

impl Registers {
    /// Whether `name` is one of these registers.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        let Some(count) = self.count else {
            return name == self.name;
        };
        let Some(digits) = name.strip_prefix(self.name.as_str()) else {
            return false;
        };
        let canonical = digits == "0" || !digits.starts_with('0');
        canonical
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && digits.parse::<u32>().is_ok_and(|index| index < count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Operand, Operands, Statement, parse};

    fn body(text: &str) -> Vec<Statement> {
        let text = format!(".visible .entry k() {{ {text} }}");
        parse(&text).unwrap().functions.remove(0).body.unwrap()
    }

    fn only_instruction(text: &str) -> super::Instruction {
        match body(text).remove(0) {
            Statement::Instruction(instruction) => instruction,
            other => panic!("{other:?}"),
        }
    }

    fn name(text: &str) -> Operand {
        Operand::Name {
            name: text.to_owned(),
            component: None,
            offset: 0,
        }
    }

    #[test]
    fn guards_pairs_and_negations_are_kept() {
        let one = only_instruction("@!%p1 setp.eq.and.s32 %p|%q, %r1, -1, !%p2;");
        assert!(one.guard.unwrap().negated);
        assert_eq!(one.modifiers, ["eq", "and", "s32"]);
        assert_eq!(
            one.operands,
            Operands::Parsed(vec![
                Operand::Pair(Box::new(name("%p")), Box::new(name("%q"))),
                name("%r1"),
                Operand::Integer(u64::MAX),
                Operand::Not(Box::new(name("%p2"))),
            ])
        );
    }

    #[test]
    fn an_address_takes_every_form_of_offset() {
        for (text, offset) in [
            ("[%rd1]", 0),
            ("[%rd1+4]", 4),
            ("[%rd1+-4]", -4),
            ("[%rd1-8]", -8),
        ] {
            let one = only_instruction(&format!("ld.global.u32 %r1, {text};"));
            let Operands::Parsed(operands) = one.operands else {
                panic!()
            };
            let Operand::Address { base, .. } = &operands[1] else {
                panic!()
            };
            let Operand::Name { offset: found, .. } = **base else {
                panic!()
            };
            assert_eq!(found, offset);
        }
    }

    #[test]
    fn what_is_not_understood_is_kept_as_text_with_its_line() {
        let statements = body("\n frob.x32 %r1 => [%r2 ** 3], {1};\n ret;");
        let Statement::Instruction(first) = &statements[0] else {
            panic!()
        };
        assert_eq!(first.line, 2);
        assert_eq!(
            first.operands,
            Operands::Unsupported("frob.x32 %r1 => [%r2 ** 3], {1};".to_owned())
        );
        assert_eq!(statements.len(), 2);
    }

    #[test]
    fn register_ranges_know_their_members() {
        let statements = body(".reg .b32 %r<12>, alone;");
        let Statement::Registers(range) = &statements[0] else {
            panic!()
        };
        assert!(range.covers("%r0") && range.covers("%r11"));
        for other in ["%r12", "%r", "%r01", "%rd1", "%r-1", "%r99999999999"] {
            assert!(!range.covers(other), "{other}");
        }
        let Statement::Registers(alone) = &statements[1] else {
            panic!()
        };
        assert!(alone.covers("alone"));
    }

    #[test]
    fn a_call_sequence_is_a_scope_with_a_prototype() {
        let statements = body(
            "{ .param .b32 p0; prototype_4 : .callprototype (.param .b32 _) _ (.param .b32 _);\n\
             call (r0), %rd1, (p0), prototype_4; }",
        );
        let Statement::Block(inner) = &statements[0] else {
            panic!()
        };
        assert!(matches!(&inner[1], Statement::Prototype { name, .. } if name == "prototype_4"));
    }
}
