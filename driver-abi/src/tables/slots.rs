//! The export tables themselves: the C functions in their slots and the arrays that hold them.
//!
//! Everything here is called by NVIDIA's runtime with pointers of its own. A pointer that may be
//! null is checked, a panic is caught at the edge and becomes CUDA_ERROR_UNKNOWN.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::storage::{self, Stored};
use super::{Host, host};
use crate::integrity::{self, Question};

/// What a runtime stores with a context-local value: called with context, key and value.
pub(super) type Destructor = unsafe extern "C" fn(u64, usize, usize);

/// Calls the destructors of values that were removed from `context`.
pub(super) fn run_destructors(context: u64, values: Vec<(usize, Stored)>) {
    for (key, stored) in values {
        if let Some(destructor) = stored.destructor {
            // SAFETY: the runtime gave this function together with this value for this very call,
            // and the value was removed from the storage, so the call is made once.
            unsafe { destructor(context, key, stored.value) };
        }
    }
}

// ------------------------------------------------------------------------------- the tables

pub(super) fn cudart_table() -> *const c_void {
    CUDART.address()
}
pub(super) fn hooks_table() -> *const c_void {
    HOOKS.address()
}
pub(super) fn tls_table() -> *const c_void {
    TLS.address()
}
pub(super) fn cls_table() -> *const c_void {
    CLS.address()
}
pub(super) fn ctxcheck_table() -> *const c_void {
    CTXCHECK.address()
}
pub(super) fn integrity_table() -> *const c_void {
    INTEGRITY.address()
}
pub(super) fn ctx_extra_table() -> *const c_void {
    CTX_EXTRA.address()
}

/// A table as the runtime reads it.
#[repr(transparent)]
struct Slots<const N: usize>([*const c_void; N]);

// SAFETY: the pointers are addresses of functions (or sizes) and are never written.
unsafe impl<const N: usize> Sync for Slots<N> {}

impl<const N: usize> Slots<N> {
    /// A table that starts with its size.
    const fn sized(mut slots: [*const c_void; N]) -> Self {
        slots[0] = ptr::without_provenance(N * size_of::<usize>());
        Self(slots)
    }

    const fn address(&'static self) -> *const c_void {
        self.0.as_ptr().cast()
    }
}

/// Builds the slots of a table: the known ones by function, the listed others as [`unknown`].
/// The compiler refuses a slot outside the table; `every_slot_is_filled` finds one left out.
macro_rules! slots {
    ($table:ident[$len:literal]: $($known:literal => $function:expr,)* ; $($other:literal)*) => {{
        let mut slots = [ptr::null::<c_void>(); $len];
        $(slots[$known] = $function as *const c_void;)*
        $(slots[$other] = unknown::<{ $table }, $other> as *const c_void;)*
        slots
    }};
}

static CUDART: Slots<13> = Slots::sized(slots!(CUDART_NAME[13]:
    1 => load_module,
    2 => primary_context,
    6 => load_module_with_options,
    7 => nothing,
    8 => load_container,
    12 => load_compilers,
    ; 3 4 5 9 10 11));

static HOOKS: Slots<7> = Slots::sized(slots!(HOOKS_NAME[7]:
    2 => callback_enables,
    6 => callback_domains,
    ; 1 3 4 5));

static TLS: Slots<4> = Slots::sized(slots!(TLS_NAME[4]:
    2 => thread_state,
    ; 1 3));

/// Has no size: slots from 0, ended by a null.
static CLS: Slots<4> = Slots([
    storage_put as *const c_void,
    storage_delete as *const c_void,
    storage_find as *const c_void,
    ptr::null(),
]);

static CTXCHECK: Slots<4> = Slots::sized(slots!(CTXCHECK_NAME[4]:
    2 => check_context,
    3 => check_state,
    ; 1));

static INTEGRITY: Slots<3> = Slots::sized(slots!(INTEGRITY_NAME[3]:
    1 => integrity_answer,
    ; 2));

static CTX_EXTRA: Slots<95> = Slots::sized(slots!(CTX_EXTRA_NAME[95]:
    4 => context_number,
    ; 1 2 3 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34
      35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64
      65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94));

// ------------------------------------------------------------------------------- unknown slots

/// Names of the tables, by the number that their unknown slots carry.
const NAMES: [&str; 6] = [
    "cudart",
    "hooks",
    "tls",
    "ctxcheck",
    "integrity",
    "ctx-extra",
];
const CUDART_NAME: usize = 0;
const HOOKS_NAME: usize = 1;
const TLS_NAME: usize = 2;
const CTXCHECK_NAME: usize = 3;
const INTEGRITY_NAME: usize = 4;
const CTX_EXTRA_NAME: usize = 5;

/// A slot of which nothing is known. Whatever it is called with stays with the caller, as the C
/// calling conventions of x86-64 and AArch64 have it, and 0 fills the result of any width.
extern "C" fn unknown<const TABLE: usize, const SLOT: usize>() -> usize {
    edge(|| {
        report_unknown(TABLE, SLOT);
        SUCCESS
    });
    0
}

fn report_unknown(table: usize, slot: usize) {
    /// Two words of bits a table: whether the slot was reported.
    static REPORTED: [AtomicU64; 2 * NAMES.len()] = [const { AtomicU64::new(0) }; 2 * NAMES.len()];
    let bit = 1 << (slot % 64);
    if REPORTED[2 * table + slot / 64].fetch_or(bit, Ordering::Relaxed) & bit == 0
        && let Some(host) = host()
    {
        let name = NAMES[table];
        host.log(&format!(
            "export table {name}: unknown slot {slot} was called, answered 0"
        ));
    }
}

// ------------------------------------------------------------------------------- cudart

/// cudart[1]: loads a module from a wrapper.
unsafe extern "C" fn load_module(module: *mut u64, image: *const c_void) -> u32 {
    // SAFETY: the runtime passes the place of a CUmodule and an image of the application.
    edge(|| unsafe { load(module, image) })
}

/// cudart[6]: as cudart[1]; the last three arguments have only been seen as 0.
unsafe extern "C" fn load_module_with_options(
    module: *mut u64,
    image: *const c_void,
    _first: *mut c_void,
    _second: *mut c_void,
    _third: u32,
) -> u32 {
    // SAFETY: as for load_module.
    edge(|| unsafe { load(module, image) })
}

/// cudart[8]: as cudart[6] from a container, with the arguments in another order.
unsafe extern "C" fn load_container(
    image: *const c_void,
    module: *mut u64,
    _first: *mut c_void,
    _second: *mut c_void,
    _third: u32,
) -> u32 {
    // SAFETY: as for load_module.
    edge(|| unsafe { load(module, image) })
}

/// # Safety
/// `module` is null or writable, `image` null or an image of the application.
unsafe fn load(module: *mut u64, image: *const c_void) -> u32 {
    if image.is_null() {
        return INVALID_VALUE;
    }
    with_host(|host| {
        // SAFETY: not null, hence an image of the application.
        let loaded = unsafe { host.load_fatbin(image) };
        // SAFETY: as promised by the caller.
        unsafe { give(module, loaded) }
    })
}

/// cudart[2]: the handle of a primary context, which is not retained by this.
unsafe extern "C" fn primary_context(context: *mut u64, device: i32) -> u32 {
    edge(|| {
        with_host(|host| {
            // SAFETY: the runtime passes the place of a CUcontext.
            unsafe { give(context, host.primary_context(device)) }
        })
    })
}

/// cudart[7].
extern "C" fn nothing(_value: usize) {}

/// cudart[12]: loads the compilers that a driver carries; ours are where they are needed.
extern "C" fn load_compilers() -> u32 {
    SUCCESS
}

// ------------------------------------------------------------------------------- hooks, tls

/// hooks[2]: the array of callback-enable words, all off.
unsafe extern "C" fn callback_enables(words: *mut *mut c_void, count: *mut usize) {
    static WORDS: [AtomicU32; 1024] = [const { AtomicU32::new(0) }; 1024];
    // SAFETY: the runtime passes two places to write.
    unsafe { give_words(&WORDS, words, count) };
}

/// hooks[6]: the array of callback-domain words, all off.
unsafe extern "C" fn callback_domains(words: *mut *mut c_void, count: *mut usize) {
    static WORDS: [AtomicU32; 14] = [const { AtomicU32::new(0) }; 14];
    // SAFETY: the runtime passes two places to write.
    unsafe { give_words(&WORDS, words, count) };
}

/// Atomics, because the runtime may write them at any time.
///
/// # Safety
/// Both places are null or writable.
unsafe fn give_words(source: &'static [AtomicU32], words: *mut *mut c_void, count: *mut usize) {
    if words.is_null() || count.is_null() {
        return;
    }
    // SAFETY: not null, hence writable.
    unsafe { words.write(source.as_ptr().cast_mut().cast()) };
    // SAFETY: not null, hence writable.
    unsafe { count.write(source.len()) };
}

/// tls[2]: asked by cuBLASLt for its first output, which may stay untouched.
extern "C" fn thread_state(_output: *mut c_void, _id: usize) -> u32 {
    SUCCESS
}

// ------------------------------------------------------------------------------- cls

/// cls[0]: stores a value in a context (0: the current one).
unsafe extern "C" fn storage_put(
    context: u64,
    key: usize,
    value: usize,
    destructor: Option<Destructor>,
) -> u32 {
    edge(|| match context_or_current(context) {
        0 => INVALID_CONTEXT,
        context if storage::put(context, key, Stored { value, destructor }) => SUCCESS,
        _ => NOT_INITIALIZED,
    })
}

/// cls[1]: removes a value from a context (0: the current one).
extern "C" fn storage_delete(context: u64, key: usize) -> u32 {
    edge(|| match context_or_current(context) {
        0 => INVALID_HANDLE,
        context if storage::delete(context, key) => SUCCESS,
        _ => INVALID_HANDLE,
    })
}

/// cls[2]: finds a value of a context (0: the current one).
unsafe extern "C" fn storage_find(value: *mut usize, context: u64, key: usize) -> u32 {
    edge(|| {
        let found = match context_or_current(context) {
            0 => None,
            context => storage::find(context, key),
        };
        // SAFETY: the runtime passes the place of a pointer.
        unsafe { give(value, found.ok_or(INVALID_HANDLE)) }
    })
}

fn context_or_current(context: u64) -> u64 {
    match context {
        0 => host().map_or(0, Host::current_context),
        context => context,
    }
}

// ------------------------------------------------------------------------------- ctxcheck

/// ctxcheck[2]: nothing is to be said against the context.
unsafe extern "C" fn check_context(_context: u64, state: *mut u32, detail: *mut usize) -> u32 {
    if !state.is_null() {
        // SAFETY: the runtime passes null or the place of a word.
        unsafe { state.write(0) };
    }
    if !detail.is_null() {
        // SAFETY: the runtime passes null or the place of a pointer.
        unsafe { detail.write(0) };
    }
    SUCCESS
}

/// ctxcheck[3].
extern "C" fn check_state() -> u32 {
    0
}

// ------------------------------------------------------------------------------- ctx-extra

/// ctx-extra[4]: a number that stands for a context, 0 for none. cuBLASLt asks before each matrix
/// product. A context's handle is such a number.
unsafe extern "C" fn context_number(context: u64, number: *mut u64) -> u32 {
    // SAFETY: the runtime passes the place of a number.
    edge(|| unsafe { give(number, Ok(context)) })
}

// ------------------------------------------------------------------------------- integrity

/// integrity[1]: computed in the calling thread, of which it speaks.
unsafe extern "C" fn integrity_answer(version: u32, time_s: u64, output: *mut [u8; 16]) -> u32 {
    edge(|| {
        with_host(|host| {
            // SAFETY: pthread_self has no precondition.
            let thread = unsafe { libc::pthread_self() };
            let question = Question {
                driver_version: host.driver_version(),
                version,
                pid: std::process::id(),
                thread: low_half(thread),
                cudart_table: cudart_table().addr() as u64,
                integrity_table: integrity_table().addr() as u64,
                function: INTEGRITY.0[1].addr() as u64,
                time_s,
                devices: host.devices(),
            };
            // SAFETY: the runtime passes 16 bytes to write; an array of bytes needs no alignment.
            unsafe { give(output, Ok(integrity::answer(&question))) }
        })
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is asked for"
)]
fn low_half(thread: libc::pthread_t) -> u32 {
    thread as u32
}

// ------------------------------------------------------------------------------- at the edge

/// Runs the body of a slot; a panic must not unwind into C.
fn edge(body: impl FnOnce() -> u32) -> u32 {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(UNKNOWN)
}

fn with_host(body: impl FnOnce(&'static dyn Host) -> u32) -> u32 {
    host().map_or(NOT_INITIALIZED, body)
}

/// Writes a successful result to its place; nothing is written on failure.
///
/// # Safety
/// `place` is null or writable.
unsafe fn give<T>(place: *mut T, result: Result<T, u32>) -> u32 {
    match result {
        Err(code) => code,
        Ok(_) if place.is_null() => INVALID_VALUE,
        Ok(value) => {
            // SAFETY: not null, hence writable.
            unsafe { place.write(value) };
            SUCCESS
        }
    }
}

// Values of CUresult.
const SUCCESS: u32 = 0;
const INVALID_VALUE: u32 = 1;
const NOT_INITIALIZED: u32 = 3;
const INVALID_CONTEXT: u32 = 201;
const INVALID_HANDLE: u32 = 400;
const UNKNOWN: u32 = 999;

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_filled(slots: &[*const c_void], name: &str) {
        for (slot, pointer) in slots.iter().enumerate() {
            assert!(!pointer.is_null(), "{name}[{slot}]");
        }
    }

    #[test]
    fn every_slot_is_filled() {
        assert_filled(&CUDART.0, "cudart");
        assert_filled(&HOOKS.0, "hooks");
        assert_filled(&TLS.0, "tls");
        assert_filled(&CLS.0[..3], "cls");
        assert!(CLS.0[3].is_null());
        assert_filled(&CTXCHECK.0, "ctxcheck");
        assert_filled(&INTEGRITY.0, "integrity");
        assert_filled(&CTX_EXTRA.0, "ctx-extra");
    }

    #[test]
    fn slot_0_is_the_size_in_bytes() {
        assert_eq!(CUDART.0[0].addr(), 13 * 8);
        assert_eq!(CTX_EXTRA.0[0].addr(), 95 * 8);
        assert_ne!(CLS.0[0].addr(), 4 * 8);
    }
}
