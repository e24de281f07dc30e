//! Contexts that a fault has ended: what the worker said of them, for calls that do not ask.
//!
//! The driver repeats such an error at every call until the context is gone. An awaited call hears
//! it from the driver; a posted one would be taken here without a word.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use flexdirect_wire::abi::{CuError, CuResult};

use super::lock;

/// The code that ended each context, by handle.
#[derive(Debug, Default)]
pub(super) struct Sticky {
    /// Whether there is any: all that a call looks at in a process in which nothing went wrong.
    is_any: AtomicBool,
    codes: Mutex<HashMap<u64, CuError>>,
    /// Counts contexts that have gone.
    generation: AtomicU64,
}

impl Sticky {
    /// How many contexts have gone: taken before a call, for what is learnt from its reply.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Notes what a reply to a call in `context` says. The first code of a context stays; none is
    /// learnt if a context has gone since `generation`: it may be this one, and its handle be that
    /// of another already; the next reply will tell.
    pub(super) fn learn(&self, context: u64, status: u32, generation: u64) {
        let Err(error) = CuError::check(status) else {
            return;
        };
        if context == 0 || !ENDS_CONTEXT.contains(&error) {
            return;
        }
        let mut codes = self.codes();
        // Under the lock that `forget` counts under.
        if self.generation() == generation {
            codes.entry(context).or_insert(error);
            self.is_any.store(true, Ordering::Release);
        }
    }

    /// Whether work may still be given to a context, as far as is known here.
    ///
    /// # Errors
    /// The code that ended it.
    pub(super) fn check(&self, context: u64) -> CuResult {
        if !self.is_any.load(Ordering::Acquire) {
            return Ok(());
        }
        self.codes().get(&context).map_or(Ok(()), |&code| Err(code))
    }

    /// Whether a code is that of a context that is known to have ended: it is told with every call
    /// there, and no other needs to hear it late.
    pub(super) fn is_known(&self, status: u32) -> bool {
        self.is_any.load(Ordering::Acquire)
            && self.codes().values().any(|code| code.code() == status)
    }

    /// A context is gone; its handle may come again.
    pub(super) fn forget(&self, context: u64) {
        let mut codes = self.codes();
        self.generation.fetch_add(1, Ordering::Release);
        codes.remove(&context);
    }

    fn codes(&self) -> MutexGuard<'_, HashMap<u64, CuError>> {
        lock(&self.codes)
    }
}

/// Codes after which "the process must be terminated and relaunched" or the context destroyed
/// (CUDA Driver API, Data types used by CUDA driver, CUresult).
const ENDS_CONTEXT: [CuError; 13] = [
    CuError::ECC_UNCORRECTABLE,
    CuError::NVLINK_UNCORRECTABLE,
    CuError::CONTAINED,
    CuError::ILLEGAL_ADDRESS,
    CuError::LAUNCH_TIMEOUT,
    CuError::ASSERT,
    CuError::HARDWARE_STACK_ERROR,
    CuError::ILLEGAL_INSTRUCTION,
    CuError::MISALIGNED_ADDRESS,
    CuError::INVALID_ADDRESS_SPACE,
    CuError::INVALID_PC,
    CuError::LAUNCH_FAILED,
    CuError::TENSOR_MEMORY_LEAK,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_ends_once_and_until_it_is_gone() {
        let sticky = Sticky::default();
        sticky.learn(7, CuError::INVALID_VALUE.code(), 0);
        sticky.learn(7, 0, 0);
        sticky.learn(0, CuError::ASSERT.code(), 0);
        assert_eq!(sticky.check(7), Ok(()));
        sticky.learn(7, CuError::ASSERT.code(), 0);
        sticky.learn(7, CuError::LAUNCH_FAILED.code(), 0);
        assert_eq!(sticky.check(7), Err(CuError::ASSERT), "the first");
        assert_eq!(sticky.check(8), Ok(()), "another context goes on");
        assert!(sticky.is_known(CuError::ASSERT.code()));
        assert!(!sticky.is_known(CuError::LAUNCH_FAILED.code()));
        sticky.forget(7);
        assert_eq!(sticky.check(7), Ok(()));
    }

    #[test]
    fn a_late_reply_says_nothing_of_the_next_context() {
        let sticky = Sticky::default();
        let before = sticky.generation();
        sticky.forget(7);
        sticky.learn(7, CuError::ASSERT.code(), before);
        assert_eq!(sticky.check(7), Ok(()), "that was of the context before");
        sticky.learn(7, CuError::ASSERT.code(), sticky.generation());
        assert_eq!(sticky.check(7), Err(CuError::ASSERT));
    }
}
