//! Stream memory operations: waits for values in memory, writes, reductions (CUDA Driver API,
//! "Stream Memory Operations").
//!
//! Nobody tells when a kernel or the program changes a word, so a wait looks at it, ever less
//! often. It ends with its context, and with a fault of it: nobody would write the word then.

use std::sync::Arc;
use std::time::Duration;

use flexdirect_wire::abi::{CuError, CuResult, CuStreamBatchMemOpParams};

use crate::context::Context;
use crate::driver;
use crate::pinned::Range;
use crate::raw::Word;
use crate::stream::Body;

/// One operation, checked.
#[derive(Clone, Debug)]
enum Operation {
    Wait {
        place: Place,
        value: u64,
        condition: Condition,
    },
    Change {
        place: Place,
        value: u64,
        change: Change,
    },
    /// A barrier: operations of a stream are in order as it is.
    Nothing,
}

/// A word and what keeps it there.
#[derive(Clone, Debug)]
struct Place {
    word: Word,
    is_long: bool,
    _held: Option<Arc<Range>>,
}

#[derive(Clone, Copy, Debug)]
enum Condition {
    AtLeast,
    Equal,
    And,
    Nor,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Add,
    And,
    Or,
    Write,
}

/// The work of a list of operations, in their order.
///
/// # Errors
/// INVALID_VALUE for an unknown operation, flag or address; NOT_SUPPORTED for remote writes.
pub(crate) fn prepare(
    context: &Arc<Context>,
    operations: &[CuStreamBatchMemOpParams],
) -> Result<Body, CuError> {
    let operations = operations.iter().map(Operation::new);
    let operations = operations.collect::<Result<Vec<_>, _>>()?;
    let context = Arc::clone(context);
    Ok(Arc::new(move || {
        for operation in &operations {
            operation.execute(&context)?;
        }
        Ok(())
    }))
}

impl Operation {
    fn new(raw: &CuStreamBatchMemOpParams) -> Result<Self, CuError> {
        let kind = raw.words[0] & LOW;
        match kind {
            WAIT_32 | WAIT_64 => {
                let flags = raw.words[3] & LOW;
                if flags & FLUSH != 0 {
                    return Err(CuError::NOT_SUPPORTED);
                }
                let condition = match flags {
                    0 => Condition::AtLeast,
                    1 => Condition::Equal,
                    2 => Condition::And,
                    3 => Condition::Nor,
                    _ => return Err(CuError::INVALID_VALUE),
                };
                let place = Place::new(raw.words[1], kind == WAIT_64)?;
                let value = place.cut(raw.words[2]);
                Ok(Self::Wait {
                    place,
                    value,
                    condition,
                })
            }
            WRITE_32 | WRITE_64 => {
                if raw.words[3] & LOW != 0 {
                    return Err(CuError::INVALID_VALUE);
                }
                let place = Place::new(raw.words[1], kind == WRITE_64)?;
                let value = place.cut(raw.words[2]);
                let change = Change::Write;
                Ok(Self::Change {
                    place,
                    value,
                    change,
                })
            }
            BARRIER if raw.words[0] >> 32 <= 1 => Ok(Self::Nothing),
            REDUCTION if raw.words[0] >> 32 == 0 => {
                let change = match raw.words[1] & LOW {
                    0 => Change::Add,
                    5 => Change::And,
                    6 => Change::Or,
                    _ => return Err(CuError::INVALID_VALUE),
                };
                let is_long = match raw.words[1] >> 32 {
                    UNSIGNED_32 => false,
                    UNSIGNED_64 => true,
                    _ => return Err(CuError::INVALID_VALUE),
                };
                let place = Place::new(raw.words[2], is_long)?;
                let value = place.cut(raw.words[3]);
                Ok(Self::Change {
                    place,
                    value,
                    change,
                })
            }
            REMOTE_WRITES => Err(CuError::NOT_SUPPORTED),
            _ => Err(CuError::INVALID_VALUE),
        }
    }

    fn execute(&self, context: &Context) -> CuResult {
        match self {
            Self::Nothing => Ok(()),
            Self::Change {
                place,
                value,
                change,
            } => {
                place.word.update(|before| match change {
                    Change::Add => before.wrapping_add(*value),
                    Change::And => before & value,
                    Change::Or => before | value,
                    Change::Write => *value,
                });
                Ok(())
            }
            Self::Wait {
                place,
                value,
                condition,
            } => {
                let mut looks = 0u32;
                while !place.holds(*value, *condition) {
                    if context.is_ending() || context.fault().is_err() {
                        // What comes after must not run: what it waits for is not there.
                        return Err(CuError::CONTEXT_IS_DESTROYED);
                    }
                    pause(looks);
                    looks = looks.saturating_add(1);
                }
                Ok(())
            }
        }
    }
}

/// Time between two looks at a word: none at first, 200 µs after some ms.
fn pause(looks: u32) {
    match looks {
        0..64 => std::hint::spin_loop(),
        64..256 => std::thread::yield_now(),
        _ => std::thread::park_timeout(Duration::from_micros(200)),
    }
}

impl Place {
    fn new(address: u64, is_long: bool) -> Result<Self, CuError> {
        let len = if is_long { 8 } else { 4 };
        let word = Word::new(address, is_long).ok_or(CuError::INVALID_VALUE)?;
        let mut held = None;
        if let Some(device) = driver::device_of(address) {
            let span = device.arena.span(address, len);
            span.ok_or(CuError::INVALID_VALUE)?;
        } else {
            let range = driver::pinned().hold(address, len);
            held = Some(range.ok_or(CuError::INVALID_VALUE)?);
        }
        Ok(Self {
            word,
            is_long,
            _held: held,
        })
    }

    fn cut(&self, value: u64) -> u64 {
        if self.is_long { value } else { value & LOW }
    }

    fn holds(&self, value: u64, condition: Condition) -> bool {
        let now = self.word.load();
        match condition {
            // Cyclic: the difference is not negative as a signed number of the word's size.
            Condition::AtLeast => {
                let sign = if self.is_long { 63 } else { 31 };
                now.wrapping_sub(value) >> sign & 1 == 0
            }
            Condition::Equal => now == value,
            Condition::And => now & value != 0,
            Condition::Nor => self.cut(!(now | value)) != 0,
        }
    }
}

const LOW: u64 = u32::MAX as u64;
/// CUstreamBatchMemOpType.
pub(crate) const WAIT_32: u64 = 1;
pub(crate) const WRITE_32: u64 = 2;
const REMOTE_WRITES: u64 = 3;
pub(crate) const WAIT_64: u64 = 4;
pub(crate) const WRITE_64: u64 = 5;
const BARRIER: u64 = 6;
const REDUCTION: u64 = 8;
/// CU_STREAM_WAIT_VALUE_FLUSH.
const FLUSH: u64 = 1 << 30;
/// CUstreamAtomicReductionDataType.
const UNSIGNED_32: u64 = 1 << 1 | 1 << 3;
const UNSIGNED_64: u64 = 1 << 1 | 1 << 4;
