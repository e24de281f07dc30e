//! Arithmetic of f16, bf16 and their pairs.

use super::super::half;
use super::flow::One;
use super::scope::Frame;
use super::{Builder, Reason};
use crate::ptx::ScalarType;

impl Builder<'_> {
    /// Decodes arithmetic on halves; false if the opcode is none.
    pub(super) fn halves(
        &mut self,
        frame: &mut Frame,
        one: &One<'_>,
        element: ScalarType,
    ) -> Reason<bool> {
        let Some(function) = half::function(one.opcode) else {
            return Ok(false);
        };
        let brain = matches!(element, ScalarType::Bf16 | ScalarType::Bf16x2);
        let packed = matches!(element, ScalarType::F16x2 | ScalarType::Bf16x2);
        let mode = u32::from(brain)
            | u32::from(packed) << 1
            | u32::from(one.has("ftz")) << 2
            | u32::from(one.has("sat")) << 3
            | u32::from(one.has("NaN")) << 4
            | u32::from(one.has("relu")) << 5;
        self.scalar_sources(frame, one, function, mode, element)?;
        Ok(true)
    }
}
