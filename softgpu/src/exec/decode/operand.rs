//! Operands: registers, literals, special registers, symbols and addresses.

use super::super::code::{
    Address, Base, Constant, Load, Op, PARAMETER_WINDOW, Predicate, Region, ScalarOp, Slot, Source,
    Special, Store, Target,
};
use super::super::program::function_address;
use super::super::scalar;
use super::scope::{File, Frame, Register, Symbol};
use super::{Builder, Reason};
use crate::ptx::{Component, Guard, Operand, ScalarType, Space};

impl Builder<'_> {
    /// The row of a constant that is the same on all lanes.
    pub(super) fn constant(&mut self, is_long: bool, constant: Constant) -> Slot {
        let rows = if is_long {
            &mut self.longs
        } else {
            &mut self.words
        };
        let index = *self
            .constant_index
            .entry((is_long, constant.clone()))
            .or_insert_with(|| {
                rows.push(constant);
                rows.len() as u32 - 1
            });
        Slot::constant(index)
    }

    pub(super) fn word_constant(&mut self, value: u32) -> Slot {
        self.constant(false, Constant::Value(u64::from(value)))
    }

    pub(super) fn guard(&mut self, frame: &mut Frame, guard: Option<&Guard>) -> Reason<Predicate> {
        let Some(guard) = guard else {
            return Ok(Predicate::Constant(true));
        };
        match frame.symbol(&guard.register)? {
            Some(Symbol::Register(Register {
                file: File::Predicate,
                index,
                ..
            })) => Ok(if guard.negated {
                Predicate::Not(index)
            } else {
                Predicate::Is(index)
            }),
            _ => Err(format!("{} is not a predicate", guard.register)),
        }
    }

    pub(super) fn predicate(&mut self, frame: &mut Frame, operand: &Operand) -> Reason<Predicate> {
        match operand {
            Operand::Not(inner) => Ok(match self.predicate(frame, inner)? {
                Predicate::Constant(value) => Predicate::Constant(!value),
                Predicate::Is(index) => Predicate::Not(index),
                Predicate::Not(index) => Predicate::Is(index),
            }),
            Operand::Integer(value) => Ok(Predicate::Constant(*value != 0)),
            Operand::Name { name, .. } => match frame.symbol(name)? {
                Some(Symbol::Register(Register {
                    file: File::Predicate,
                    index,
                    ..
                })) => Ok(Predicate::Is(index)),
                _ => Err(format!("{name} is not a predicate")),
            },
            _ => Err("a predicate is expected".to_owned()),
        }
    }

    /// A value of type `element`, whose register may be wider (the low part counts).
    pub(super) fn source(
        &mut self,
        frame: &mut Frame,
        operand: &Operand,
        element: ScalarType,
        line: u32,
    ) -> Reason<Source> {
        if element == ScalarType::Pred {
            return self.predicate(frame, operand).map(Source::Predicate);
        }
        let is_long = element.size() == 8;
        let warp_size = matches!(operand, Operand::Name { name, .. } if name == "WARP_SZ");
        let operand = if warp_size {
            &Operand::Integer(32)
        } else {
            operand
        };
        if let Some(value) = literal(operand, element) {
            let slot = self.constant(is_long, Constant::Value(value));
            return Ok(if is_long {
                Source::Long(slot)
            } else {
                Source::Word(slot)
            });
        }
        let Operand::Name {
            name,
            component,
            offset,
        } = operand
        else {
            return Err("an operand of another form is expected".to_owned());
        };
        match frame.symbol(name)? {
            Some(Symbol::Register(register)) => Ok(register.source()),
            Some(Symbol::Vector(parts)) => part(&parts, *component).map(Register::source),
            Some(symbol) => self.address_of(frame, name, symbol, *offset, is_long, line),
            None => {
                if let Some(symbol) = self.module_symbol(name) {
                    return self.address_of(frame, name, symbol?, *offset, is_long, line);
                }
                let (special, size) = special(name, *component)?;
                let kind = if size == 8 {
                    ScalarType::U64
                } else {
                    ScalarType::U32
                };
                let register = frame.new_register(kind)?;
                let always = Predicate::Constant(true);
                self.emit(always, Op::Special(register.target(), special), line);
                Ok(register.source())
            }
        }
    }

    /// A word operand; a long register gives its low half.
    pub(super) fn word(
        &mut self,
        frame: &mut Frame,
        operand: &Operand,
        element: ScalarType,
        line: u32,
    ) -> Reason<Slot> {
        match self.source(frame, operand, element, line)? {
            Source::Word(slot) => Ok(slot),
            source => {
                let register = frame.new_register(ScalarType::B32)?;
                self.scalar(scalar::pass, 0, [register.target()], vec![source], line);
                Ok(register.slot())
            }
        }
    }

    /// A long operand; a word register is zero-extended.
    pub(super) fn long(
        &mut self,
        frame: &mut Frame,
        operand: &Operand,
        element: ScalarType,
        line: u32,
    ) -> Reason<Slot> {
        match self.source(frame, operand, element, line)? {
            Source::Long(slot) => Ok(slot),
            source => {
                let register = frame.new_register(ScalarType::B64)?;
                self.scalar(scalar::pass, 0, [register.target()], vec![source], line);
                Ok(register.slot())
            }
        }
    }

    /// Emits an unguarded lane-by-lane operation.
    pub(super) fn scalar<const N: usize>(
        &mut self,
        function: super::super::code::ScalarFunction,
        mode: u32,
        targets: [Target; N],
        sources: Vec<Source>,
        line: u32,
    ) {
        let mut all = [Target::Nothing; 2];
        all[..N].copy_from_slice(&targets);
        let op = ScalarOp {
            function,
            mode,
            targets: all,
            sources,
        };
        self.emit(Predicate::Constant(true), Op::Scalar(Box::new(op)), line);
    }

    fn address_of(
        &mut self,
        frame: &mut Frame,
        name: &str,
        symbol: Symbol,
        offset: i64,
        is_long: bool,
        line: u32,
    ) -> Reason<Source> {
        let constant = match symbol {
            Symbol::Shared(at) => {
                Constant::Value(offset.wrapping_add(i64::from(at)).cast_unsigned())
            }
            Symbol::DynamicShared => Constant::DynamicShared(offset),
            Symbol::Global => Constant::Global(name.to_owned(), offset),
            Symbol::KernelParameter(at) => Constant::Value(
                PARAMETER_WINDOW.wrapping_add_signed(offset.wrapping_add(i64::from(at))),
            ),
            Symbol::Function(index) => {
                Constant::Value(function_address(index).wrapping_add_signed(offset))
            }
            Symbol::Local(at) => {
                let kind = if is_long {
                    ScalarType::U64
                } else {
                    ScalarType::U32
                };
                let register = frame.new_register(kind)?;
                let at = offset.wrapping_add(i64::from(at)) as u32;
                let op = Op::LocalAddress(register.target(), at);
                self.emit(Predicate::Constant(true), op, line);
                return Ok(register.source());
            }
            _ => return Err(format!("{name} has no address")),
        };
        let slot = self.constant(is_long, constant);
        Ok(if is_long {
            Source::Long(slot)
        } else {
            Source::Word(slot)
        })
    }

    /// A register to write; `_` is nothing.
    pub(super) fn target(&mut self, frame: &mut Frame, operand: &Operand) -> Reason<Target> {
        match operand {
            Operand::Sink => Ok(Target::Nothing),
            _ => self.register(frame, operand).map(Register::target),
        }
    }

    pub(super) fn register(&mut self, frame: &mut Frame, operand: &Operand) -> Reason<Register> {
        let Operand::Name {
            name, component, ..
        } = operand
        else {
            return Err("a register is expected".to_owned());
        };
        match frame.symbol(name)? {
            Some(Symbol::Register(register)) => Ok(register),
            Some(Symbol::Vector(parts)) => part(&parts, *component),
            _ => Err(format!("{name} is not a register")),
        }
    }

    /// `[...]` in the given space.
    pub(super) fn address(
        &mut self,
        frame: &mut Frame,
        operand: &Operand,
        space: Space,
    ) -> Reason<Address> {
        let Operand::Address { base, rest } = operand else {
            return Err("an address is expected".to_owned());
        };
        if !rest.is_empty() {
            return Err("an address with coordinates".to_owned());
        }
        let region = match space {
            Space::Generic => Region::Generic,
            Space::Global | Space::Const => Region::Global,
            Space::Shared => Region::Shared,
            Space::Local => Region::Local,
            Space::Param => Region::Parameter,
            Space::Register => return Err("registers have no address".to_owned()),
        };
        match &**base {
            Operand::Integer(value) => {
                let offset = value.cast_signed();
                Ok(Address {
                    region,
                    base: Base::None,
                    offset,
                })
            }
            Operand::Name {
                name,
                component,
                offset,
            } => self.named_address(frame, name, *component, *offset, region),
            _ => Err("an address is expected".to_owned()),
        }
    }

    fn named_address(
        &mut self,
        frame: &mut Frame,
        name: &str,
        component: Option<Component>,
        offset: i64,
        region: Region,
    ) -> Reason<Address> {
        let symbol = match frame.symbol(name)? {
            Some(symbol) => symbol,
            None => match self.module_symbol(name) {
                Some(symbol) => symbol?,
                None => return Err(format!("unknown name {name}")),
            },
        };
        // A symbol fixes the space it lies in, whatever the instruction calls it.
        let (region, base, offset) = match symbol {
            Symbol::Register(register) => (region, register.base()?, offset),
            Symbol::Vector(parts) => (region, part(&parts, component)?.base()?, offset),
            Symbol::Local(at) => (
                Region::Local,
                Base::Frame,
                offset.wrapping_add(i64::from(at)),
            ),
            Symbol::Shared(at) => (
                Region::Shared,
                Base::None,
                offset.wrapping_add(i64::from(at)),
            ),
            Symbol::KernelParameter(at) => (
                Region::Parameter,
                Base::None,
                offset.wrapping_add(i64::from(at)),
            ),
            Symbol::DynamicShared => {
                let slot = self.constant(false, Constant::DynamicShared(0));
                (Region::Shared, Base::Word(slot), offset)
            }
            Symbol::Global => {
                let slot = self.constant(true, Constant::Global(name.to_owned(), 0));
                (Region::Global, Base::Long(slot), offset)
            }
            _ => return Err(format!("{name} is not memory")),
        };
        if region == Region::Parameter && !frame.is_entry && base.is_fixed() {
            return Err("a kernel parameter outside its kernel".to_owned());
        }
        Ok(Address {
            region,
            base,
            offset,
        })
    }

    pub(super) fn load_local(
        &mut self,
        _frame: &mut Frame,
        register: Register,
        offset: u32,
        element: ScalarType,
        line: u32,
    ) {
        let address = Address {
            region: Region::Local,
            base: Base::Frame,
            offset: i64::from(offset),
        };
        let size = u32::from(element.size());
        let signed = element.is_signed();
        let load = Load {
            address,
            size,
            signed,
            targets: vec![register.target()],
        };
        self.emit(Predicate::Constant(true), Op::Load(Box::new(load)), line);
    }

    pub(super) fn store_local(&mut self, source: Source, offset: u32, size: u32, line: u32) {
        let address = Address {
            region: Region::Local,
            base: Base::Frame,
            offset: i64::from(offset),
        };
        let store = Store {
            address,
            size,
            sources: vec![source],
        };
        self.emit(Predicate::Constant(true), Op::Store(Box::new(store)), line);
    }
}

impl Register {
    pub(super) fn slot(self) -> Slot {
        Slot::register(self.index)
    }

    pub(super) fn source(self) -> Source {
        match self.file {
            File::Word => Source::Word(self.slot()),
            File::Long => Source::Long(self.slot()),
            File::Predicate => Source::Predicate(Predicate::Is(self.index)),
        }
    }

    pub(super) fn target(self) -> Target {
        match self.file {
            File::Word => Target::Word(self.slot()),
            File::Long => Target::Long(self.slot()),
            File::Predicate => Target::Predicate(self.index),
        }
    }

    fn base(self) -> Reason<Base> {
        match self.file {
            File::Word => Ok(Base::Word(self.slot())),
            File::Long => Ok(Base::Long(self.slot())),
            File::Predicate => Err("a predicate is not an address".to_owned()),
        }
    }
}

fn part(parts: &[Register], component: Option<Component>) -> Reason<Register> {
    let index = component
        .ok_or("a vector register without a component")?
        .index();
    parts
        .get(index)
        .copied()
        .ok_or_else(|| "no such component".to_owned())
}

/// The bits of a literal as a value of type `element`.
pub(super) fn literal(operand: &Operand, element: ScalarType) -> Option<u64> {
    let bits = match (operand, element) {
        (Operand::Integer(value), ScalarType::F32) => u64::from((*value as f32).to_bits()),
        (Operand::Integer(value), ScalarType::F64) => (*value as f64).to_bits(),
        (Operand::Integer(value), _) => *value,
        (Operand::Single(bits), ScalarType::F64) => f64::from(f32::from_bits(*bits)).to_bits(),
        (Operand::Single(bits), _) => u64::from(*bits),
        (Operand::Double(bits), ScalarType::F32) => {
            u64::from((f64::from_bits(*bits) as f32).to_bits())
        }
        (Operand::Double(bits), _) => *bits,
        _ => return None,
    };
    Some(match element.size() {
        8 => bits,
        4 => bits & 0xffff_ffff,
        2 => bits & 0xffff,
        _ => bits & 0xff,
    })
}

/// The special register of that name and its size in bytes.
fn special(name: &str, component: Option<Component>) -> Reason<(Special, u8)> {
    let index = component.map_or(0, Component::index);
    let indexed = |make: fn(usize) -> Special| {
        // The fourth component exists and reads as zero.
        if index < 3 {
            make(index)
        } else {
            Special::Zero
        }
    };
    Ok(match name {
        "%tid" => (indexed(Special::ThreadIndex), 4),
        "%ntid" => (indexed(Special::BlockSize), 4),
        "%ctaid" => (indexed(Special::BlockIndex), 4),
        "%nctaid" => (indexed(Special::GridSize), 4),
        "%laneid" => (Special::Lane, 4),
        "%warpid" => (Special::Warp, 4),
        "%nwarpid" => (Special::WarpCount, 4),
        "%smid" => (Special::Multiprocessor, 4),
        "%nsmid" => (Special::MultiprocessorCount, 4),
        "%gridid" => (Special::GridId, 8),
        "%lanemask_eq" => (Special::MaskEqual, 4),
        "%lanemask_lt" => (Special::MaskLess, 4),
        "%lanemask_le" => (Special::MaskLessEqual, 4),
        "%lanemask_gt" => (Special::MaskGreater, 4),
        "%lanemask_ge" => (Special::MaskGreaterEqual, 4),
        "%clock" => (Special::Clock, 4),
        "%clock_hi" => (Special::ClockHigh, 4),
        "%clock64" => (Special::Clock, 8),
        "%globaltimer" => (Special::GlobalTimer, 8),
        "%globaltimer_lo" => (Special::GlobalTimer, 4),
        "%globaltimer_hi" => (Special::GlobalTimerHigh, 4),
        "%total_smem_size" | "%aggr_smem_size" => (Special::SharedBytes, 4),
        // Nothing of shared memory is set aside for the system.
        "%reserved_smem_offset_begin"
        | "%reserved_smem_offset_end"
        | "%reserved_smem_offset_cap"
        | "%reserved_smem_offset_0"
        | "%reserved_smem_offset_1" => (Special::Zero, 4),
        "%dynamic_smem_size" => (Special::DynamicSharedBytes, 4),
        // A launch without clusters: each block is a cluster of its own.
        "%clusterid" => (indexed(Special::BlockIndex), 4),
        "%nclusterid" => (indexed(Special::GridSize), 4),
        "%cluster_ctaid" | "%cluster_ctarank" => (Special::Zero, 4),
        "%cluster_nctaid" | "%cluster_nctarank" => (Special::One, 4),
        "%is_explicit_cluster" => (Special::Zero, 4),
        _ => match name
            .strip_prefix("%envreg")
            .and_then(|number| number.parse().ok())
        {
            Some(number) if number < 32u32 => (Special::Environment(number), 4),
            _ => return Err(format!("unknown name {name}")),
        },
    })
}
