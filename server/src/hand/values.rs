//! Waits for values in memory and writes of them: addresses are checked here, all else by the
//! driver.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use flexdirect_wire::CuError;
use flexdirect_wire::abi::CuStreamBatchMemOpParams;

use crate::dispatch::{Call, Step, Stop};

pub(crate) fn cuStreamBatchMemOp_v2(call: &mut Call<'_>) -> Result<Step, Stop> {
    let (stream, count) = (call.body.u64()?, call.body.u64()?);
    if count > OPERATIONS_MAX {
        return Err(call.bad("operations", count));
    }
    let mut operations = Vec::new();
    for _ in 0..count {
        let words: [u64; 6] = call.body.get()?;
        operations.push(CuStreamBatchMemOpParams { words });
    }
    call.context()?;
    for operation in &operations {
        if let Some((address, len)) = memory(operation)? {
            call.session.tables().ranges.check(address, len)?;
        }
    }
    let queue = call.use_queue(stream)?;
    let count = u32::try_from(count).expect("at most OPERATIONS_MAX");
    // SAFETY: the operations are a local that outlives the call, and each word that they name lies
    // in memory of the session.
    unsafe {
        call.session
            .driver
            .cuStreamBatchMemOp_v2(queue.driver, count, operations.as_mut_ptr(), 0)
    }?;
    Ok(Step::Done)
}

/// What memory an operation uses.
fn memory(operation: &CuStreamBatchMemOpParams) -> Result<Option<(u64, u64)>, CuError> {
    let words = &operation.words;
    match words[0] & u64::from(u32::MAX) {
        WAIT_32 | WRITE_32 => Ok(Some((words[1], 4))),
        WAIT_64 | WRITE_64 => Ok(Some((words[1], 8))),
        FLUSH | BARRIER => Ok(None),
        REDUCTION if words[1] >> 32 & SCALAR_64 != 0 => Ok(Some((words[2], 8))),
        REDUCTION => Ok(Some((words[2], 4))),
        _ => Err(CuError::INVALID_VALUE),
    }
}

/// Operations of a batch (CUDA Driver API, cuStreamBatchMemOp).
const OPERATIONS_MAX: u64 = 256;
/// `CUstreamBatchMemOpType`.
const WAIT_32: u64 = 1;
const WRITE_32: u64 = 2;
const FLUSH: u64 = 3;
const WAIT_64: u64 = 4;
const WRITE_64: u64 = 5;
const BARRIER: u64 = 6;
const REDUCTION: u64 = 8;
/// `CU_STREAM_ATOMIC_REDUCTION_...64`.
const SCALAR_64: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_names_memory() {
        let of = |words: [u64; 6]| memory(&CuStreamBatchMemOpParams { words });
        assert_eq!(of([1, 0x100, 7, 0, 0, 0]), Ok(Some((0x100, 4))));
        assert_eq!(of([5, 0x100, 7, 0, 0, 0]), Ok(Some((0x100, 8))));
        assert_eq!(of([6, 0, 0, 0, 0, 0]), Ok(None));
        assert_eq!(of([8, 18 << 32, 0x200, 1, 0, 0]), Ok(Some((0x200, 8))));
        assert_eq!(of([8, 10 << 32, 0x200, 1, 0, 0]), Ok(Some((0x200, 4))));
        assert_eq!(of([7, 0x100, 0, 0, 0, 0]), Err(CuError::INVALID_VALUE));
    }
}
