//! `alloca`, `stacksave` and `stackrestore`: memory of a thread whose size is known at run time.
//!
//! Frames of functions grow from the start of a thread's local memory, and this memory from its
//! end; what a function took is given back when it returns.

use super::super::code::{Op, Operation};
use super::super::memory_forms::MemoryKind;
use super::flow::One;
use super::scope::Frame;
use super::{Builder, Reason};
use crate::ptx::{Operand, ScalarType};

impl Builder<'_> {
    /// Decodes `one` if it concerns the stack; false if it does not.
    pub(super) fn stack(&mut self, frame: &mut Frame, one: &One<'_>) -> Reason<bool> {
        if !matches!(one.opcode, "alloca" | "stacksave" | "stackrestore") {
            return Ok(false);
        }
        let element = one.element().unwrap_or(ScalarType::U64);
        if !matches!(element, ScalarType::U32 | ScalarType::U64) {
            return Err("a stack pointer of this type".to_owned());
        }
        // Such a kernel has a stack, as one that calls.
        self.has_calls = true;
        let (kind, target, source) = match one.opcode {
            "alloca" => {
                let align = match one.operands.get(2) {
                    None => 8,
                    Some(Operand::Integer(align))
                        if align.is_power_of_two() && *align <= ALIGN_MAX =>
                    {
                        *align as u32
                    }
                    Some(_) => return Err("an alignment of this size".to_owned()),
                };
                let kind = MemoryKind::StackTake {
                    align: align.max(8),
                    frame_bytes: 0,
                };
                (kind, Some(0), Some(1))
            }
            "stacksave" => (MemoryKind::StackSave, Some(0), None),
            _ => (MemoryKind::StackRestore { frame_bytes: 0 }, None, Some(0)),
        };
        let mut targets = Vec::new();
        if let Some(index) = target {
            targets.push(self.target(frame, one.operand(index)?)?);
        }
        let mut sources = Vec::new();
        if let Some(index) = source {
            sources.push(self.source(frame, one.operand(index)?, element, one.line)?);
        }
        let operation = Operation {
            kind,
            addresses: [None; 3],
            targets,
            sources,
        };
        self.push(one, Op::Memory(Box::new(operation)));
        Ok(true)
    }
}

/// Largest alignment of `alloca`.
const ALIGN_MAX: u64 = 1 << 23;
