//! Module scope of the grammar: directives, variables, entries and functions.

use super::lexer::{self, Kind, Token};
use super::{
    Function, Initial, Limits, Linkage, Module, Operand, ParseError, ScalarType, Space, Variable,
};

/// A cursor over the tokens of one module.
pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: Vec<Token<'a>>,
    pub(super) at: usize,
    /// Nesting of scopes, vectors and initialisers at this place.
    pub(super) depth: u32,
}

/// Deepest nesting accepted: the parser recurses, and its stack is the application's.
pub(super) const DEPTH_MAX: u32 = 64;
/// Largest variable accepted, in bytes: above any device's memory, below any overflow.
const VARIABLE_SIZE_MAX: u64 = 1 << 44;

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, ParseError> {
        Ok(Self {
            text,
            tokens: lexer::tokens(text)?,
            at: 0,
            depth: 0,
        })
    }

    pub(super) fn module(mut self) -> Result<Module, ParseError> {
        let mut module = Module::default();
        loop {
            match self.peek() {
                Kind::End => break,
                Kind::Dot("version") => {
                    self.next();
                    module.version = self.version()?;
                }
                Kind::Dot("target") => {
                    self.next();
                    module.targets = self.words()?;
                }
                Kind::Dot("address_size") => {
                    self.next();
                    if self.integer()? != 64 {
                        return self.error("only 64-bit addresses exist here");
                    }
                }
                Kind::Dot(word) if self.skip_directive(word)? => {}
                Kind::Mark(b';') => {
                    self.next();
                }
                Kind::Dot(_) => self.declaration(&mut module)?,
                _ => return self.unexpected("a directive"),
            }
        }
        Ok(module)
    }

    fn declaration(&mut self, module: &mut Module) -> Result<(), ParseError> {
        let linkage = self.linkage();
        match self.peek() {
            Kind::Dot("entry") => {
                self.next();
                module.functions.push(self.function(true, linkage)?);
            }
            Kind::Dot("func") => {
                self.next();
                module.functions.push(self.function(false, linkage)?);
            }
            _ => self.variables(linkage, &mut module.variables)?,
        }
        Ok(())
    }

    pub(super) fn linkage(&mut self) -> Linkage {
        let linkage = match self.peek() {
            Kind::Dot("visible") => Linkage::Visible,
            Kind::Dot("extern") => Linkage::Extern,
            Kind::Dot("weak" | "common") => Linkage::Weak,
            _ => return Linkage::Local,
        };
        self.next();
        linkage
    }

    /// `.tex` and friends aside, every variable statement: space, attributes, type, names.
    pub(super) fn variables(
        &mut self,
        linkage: Linkage,
        into: &mut Vec<Variable>,
    ) -> Result<(), ParseError> {
        let line = self.line();
        let space = match self.peek() {
            Kind::Dot("tex") => Some(Space::Global),
            Kind::Dot(word) => Space::from_word(word),
            _ => None,
        };
        let Some(space) = space else {
            return self.unexpected("a declaration");
        };
        self.next();
        let prefix = self.type_prefix()?;
        loop {
            let name = self.word()?;
            into.push(self.declarator(name, space, linkage, &prefix, line)?);
            if !self.accept(b',') {
                break;
            }
        }
        self.expect(b';')
    }

    fn declarator(
        &mut self,
        name: String,
        space: Space,
        linkage: Linkage,
        prefix: &TypePrefix,
        line: u32,
    ) -> Result<Variable, ParseError> {
        let unit = u64::from(prefix.element.size()) * u64::from(prefix.components);
        let mut size = unit;
        let mut open = false;
        while self.accept(b'[') {
            if self.accept(b']') {
                open = true;
                continue;
            }
            let count = self.integer()?;
            self.expect(b']')?;
            size = match size.checked_mul(count) {
                Some(size) if size <= VARIABLE_SIZE_MAX => size,
                _ => return self.error(format!("variable {name} is too large")),
            };
        }
        let mut initial = Vec::new();
        if self.accept(b'=') {
            self.initialiser(prefix.element.size(), &mut initial)?;
        }
        let covered = initial.iter().map(Initial::size).sum::<u64>();
        if open {
            size = if initial.is_empty() { 0 } else { covered };
        } else if covered > size {
            return self.error(format!("initialiser of {name} is longer than the variable"));
        }
        let align = prefix.align.unwrap_or_else(|| unit.max(1));
        let (element, managed) = (prefix.element, prefix.managed);
        Ok(Variable {
            name,
            space,
            element,
            align,
            size,
            initial,
            linkage,
            managed,
            line,
        })
    }

    fn initialiser(&mut self, size: u8, into: &mut Vec<Initial>) -> Result<(), ParseError> {
        if !self.accept(b'{') {
            let value = self.initial_value(size)?;
            into.push(value);
            return Ok(());
        }
        self.deeper()?;
        while !self.accept(b'}') {
            self.initialiser(size, into)?;
            if !self.accept(b',') {
                self.expect(b'}')?;
                break;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn initial_value(&mut self, size: u8) -> Result<Initial, ParseError> {
        if let Kind::Word(word) = self.peek() {
            self.next();
            if word == "generic" && self.accept(b'(') {
                let value = self.initial_value(size)?;
                self.expect(b')')?;
                return Ok(value);
            }
            let addend = self.offset()?;
            return Ok(Initial::Address {
                symbol: word.to_owned(),
                addend,
                size,
            });
        }
        let value = match self.number()? {
            Operand::Integer(value) | Operand::Double(value) if size == 8 => value,
            Operand::Integer(value) => value,
            Operand::Single(bits) if size == 8 => f64::from(f32::from_bits(bits)).to_bits(),
            Operand::Single(bits) => u64::from(bits),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "rounding is what PTX asks for"
            )]
            Operand::Double(bits) => u64::from((f64::from_bits(bits) as f32).to_bits()),
            _ => return self.error("not an initial value"),
        };
        Ok(Initial::Bits { value, size })
    }

    /// Everything between the space and the name: alignment, attributes, pointer notes, the type.
    pub(super) fn type_prefix(&mut self) -> Result<TypePrefix, ParseError> {
        let mut prefix = TypePrefix::default();
        let mut typed = false;
        // In `.ptr .global .align 4` the alignment is that of the memory pointed to.
        let mut pointee = false;
        while let Kind::Dot(word) = self.peek() {
            self.next();
            match word {
                "align" => {
                    let align = self.integer()?;
                    if !align.is_power_of_two() || align > 1 << 16 {
                        return self.error(format!("alignment {align}"));
                    }
                    if !pointee {
                        prefix.align = Some(align);
                    }
                }
                "attribute" => prefix.managed |= self.attribute()?,
                "ptr" => pointee = true,
                "v2" => prefix.components = 2,
                "v4" => prefix.components = 4,
                "v8" => prefix.components = 8,
                _ if pointee && Space::from_word(word).is_some() => {}
                _ => match ScalarType::from_word(word) {
                    Some(element) => (prefix.element, typed) = (element, true),
                    None => return self.error(format!("unknown type .{word}")),
                },
            }
        }
        if typed {
            Ok(prefix)
        } else {
            self.unexpected("a type")
        }
    }

    fn attribute(&mut self) -> Result<bool, ParseError> {
        self.expect(b'(')?;
        let mut managed = false;
        while !self.accept(b')') {
            managed |= self.peek() == Kind::Dot("managed");
            if self.peek() == Kind::End {
                return self.unexpected(")");
            }
            self.next();
        }
        Ok(managed)
    }

    fn function(&mut self, is_entry: bool, linkage: Linkage) -> Result<Function, ParseError> {
        let line = self.line();
        if let Kind::Dot("attribute") = self.peek() {
            self.next();
            self.attribute()?;
        }
        let returns = if self.peek() == Kind::Mark(b'(') {
            self.parameters()?
        } else {
            Vec::new()
        };
        let name = self.word()?;
        let parameters = if self.peek() == Kind::Mark(b'(') {
            self.parameters()?
        } else {
            Vec::new()
        };
        let mut limits = Limits::default();
        while let Kind::Dot(word) = self.peek() {
            self.next();
            self.limit(word, &mut limits)?;
        }
        let body = if self.accept(b';') {
            None
        } else {
            self.expect(b'{')?;
            Some(self.block()?)
        };
        Ok(Function {
            name,
            is_entry,
            linkage,
            returns,
            parameters,
            limits,
            body,
            line,
        })
    }

    fn limit(&mut self, word: &str, limits: &mut Limits) -> Result<(), ParseError> {
        match word {
            "maxntid" => limits.max_threads = Some(self.dimensions()?),
            "reqntid" => limits.required_threads = Some(self.dimensions()?),
            "reqnctapercluster" => limits.cluster = Some(self.dimensions()?),
            "minnctapersm" => limits.min_blocks = Some(self.small()?),
            "maxnreg" => limits.max_registers = Some(self.small()?),
            "pragma" => {
                while !self.accept(b';') {
                    if self.next().kind == Kind::End {
                        return self.unexpected(";");
                    }
                }
            }
            // Directives that say nothing to an executor: .noreturn, .maxclusterrank, ...
            _ => {
                while matches!(self.peek(), Kind::Number(_) | Kind::Mark(b',')) {
                    self.next();
                }
            }
        }
        Ok(())
    }

    fn dimensions(&mut self) -> Result<[u32; 3], ParseError> {
        let mut dimensions = [1; 3];
        for dimension in &mut dimensions {
            *dimension = self.small()?;
            if !self.accept(b',') {
                break;
            }
        }
        Ok(dimensions)
    }

    /// `( .param ..., ... )` of functions and prototypes.
    pub(super) fn parameters(&mut self) -> Result<Vec<Variable>, ParseError> {
        self.expect(b'(')?;
        let mut parameters = Vec::new();
        while !self.accept(b')') {
            let line = self.line();
            let space = match self.next().kind {
                Kind::Dot("param") => Space::Param,
                Kind::Dot("reg") => Space::Register,
                _ => return self.unexpected(".param"),
            };
            let prefix = self.type_prefix()?;
            let name = self.word()?;
            parameters.push(self.declarator(name, space, Linkage::Local, &prefix, line)?);
            if !self.accept(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(parameters)
    }

    fn version(&mut self) -> Result<(u32, u32), ParseError> {
        let Kind::Number(text) = self.next().kind else {
            return self.unexpected("a version");
        };
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        match (major.parse(), minor.parse()) {
            (Ok(major), Ok(minor)) => Ok((major, minor)),
            _ => self.error(format!("version {text}")),
        }
    }

    fn words(&mut self) -> Result<Vec<String>, ParseError> {
        let mut words = vec![self.word()?];
        while self.accept(b',') {
            words.push(self.word()?);
        }
        Ok(words)
    }
}

/// Type, alignment and attributes of a declaration.
pub(super) struct TypePrefix {
    pub(super) element: ScalarType,
    pub(super) components: u8,
    align: Option<u64>,
    managed: bool,
}

impl Default for TypePrefix {
    fn default() -> Self {
        Self {
            element: ScalarType::B8,
            components: 1,
            align: None,
            managed: false,
        }
    }
}

impl Initial {
    /// Size of the element in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Bits { size, .. } | Self::Address { size, .. } => u64::from(*size),
        }
    }
}
