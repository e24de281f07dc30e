//! The symbols of libcuda, read off the table of calls.
//!
//! A stub does nothing itself: it makes one call to [`edge`] with what to do. What is to be done
//! depends on the entry: an absent call says so; a call written by hand is the function of the same
//! name in [`crate::local`] or [`crate::hand`] (it does not compile without); any other is
//! derived from the types of its arguments.

#![cfg_attr(
    test,
    allow(
        non_snake_case,
        non_upper_case_globals,
        reason = "CUDA's own names keep CUDA's spelling; symbols of a library may"
    )
)]

use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use flexdirect_driver_abi::procs::{Proc, Procs};
use flexdirect_wire::abi::*;
use flexdirect_wire::call::{Op, op};
use flexdirect_wire::param::Param;

use crate::thread::PerThreadDefault;
use crate::{hand, lifetime, local, log, thread};

/// Functions by the rules of cuGetProcAddress.
pub(crate) fn procs() -> Option<&'static Procs> {
    static INDEXED: OnceLock<Procs> = OnceLock::new();
    if !lifetime::is_running() {
        return INDEXED.get();
    }
    Some(INDEXED.get_or_init(|| Procs::new(table())))
}

/// By this a worker tells that a libcuda is this one, which it must not open as its driver.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[used]
pub(crate) static flexdirect_shim_marker: u32 = 1;

/// The edge between the application and this library: every call passes here.
fn edge(call: Op, act: &mut dyn FnMut() -> CuResult) -> CuResult {
    if let Some(answer) = lifetime::answer(call) {
        return answer;
    }
    if thread::is_in_function() && !NEEDS_NO_DRIVER.contains(&call) {
        return Err(CuError::NOT_PERMITTED);
    }
    let checked = || hand::check_call(call).and_then(|()| act());
    let result = catch_unwind(AssertUnwindSafe(checked)).unwrap_or_else(|_| {
        log::error!("{call} panicked: this is a defect of flexdirect");
        Err(CuError::UNKNOWN)
    });
    if log::wants(log::Level::Trace) {
        trace(call, result);
    }
    result
}

/// The edge of a twin: stream 0 is the calling thread's.
fn edge_of_twin(call: Op, act: &mut dyn FnMut() -> CuResult) -> CuResult {
    let _twin = PerThreadDefault::enter();
    edge(call, act)
}

/// An absent call: says so, and once on the log.
fn absent(call: Op, is_told: &AtomicBool) -> CuResult {
    edge(call, &mut || {
        if !is_told.swap(true, Ordering::Relaxed) {
            log::warning!("{call} is not supported");
        }
        Err(CuError::NOT_SUPPORTED)
    })
}

/// What a host function may call all the same: it needs neither device nor context (CUDA Driver
/// API, cuLaunchHostFunc).
const NEEDS_NO_DRIVER: [Op; 7] = [
    op::cuGetErrorString,
    op::cuGetErrorName,
    op::cuGetProcAddress,
    op::cuGetProcAddress_v2,
    op::cuGetExportTable,
    op::cuDriverGetVersion,
    op::cuInit,
];

fn trace(call: Op, result: CuResult) {
    match result {
        Ok(()) => log::line(log::Level::Trace, format_args!("{call}: CUDA_SUCCESS")),
        Err(error) => log::line(log::Level::Trace, format_args!("{call}: {error}")),
    }
}

/// Reader: one exported function for each symbol, and the table of their addresses.
macro_rules! export { ($(
    $(#[doc = $about:literal])*
    $op:literal $class:ident $blocks:ident fn $name:ident(
        $($argument:ident: $type:ty),* $(,)?
    ) since $since:literal $(twin $twin:ident $twin_since:literal)?
    $(, $hand:ident $($by:ident)*)?;
)*) => {
    $(export! { @entry $class [$($hand $($by)*)?] $name [$($twin)?] ($($type,)*) })*

    fn table() -> Vec<Proc> {
        vec![$(Proc {
            symbol: stringify!($name),
            since: $since,
            address: $name as *const c_void as usize,
            twin: export!(@row $($twin $twin_since)?),
        },)*]
    }
};
(@row) => { None };
(@row $twin:ident $since:literal) => {
    Some((stringify!($twin), $since, $twin as *const c_void as usize))
};

// By class and by who is written by hand.
(@entry absent [] $name:ident [$($twin:ident)?] $types:tt) => {
    export! { @absent $name $name $types }
    $(export! { @absent $name $twin $types })?
};
(@entry soft [] $name:ident $twin:tt $types:tt) => {
    export! { @entry absent [] $name $twin $types }
};
(@entry local [by hand] $name:ident $twin:tt $types:tt) => {
    export! { @named local $name $twin () [a b c d e f g h i j k l] $types }
};
(@entry $class:ident [by hand] $name:ident $twin:tt $types:tt) => {
    export! { @named hand $name $twin () [a b c d e f g h i j k l] $types }
};
(@entry $class:ident [client by hand] $name:ident $twin:tt $types:tt) => {
    export! { @named hand $name $twin () [a b c d e f g h i j k l] $types }
};
(@entry $class:ident [$(server by hand)?] $name:ident $twin:tt $types:tt) => {
    export! { @named derived $name $twin () [a b c d e f g h i j k l] $types }
};

// Arguments get names of ours: some of CUDA's are keywords of Rust.
(@named $how:ident $name:ident [$($twin:ident)?] $arguments:tt $names:tt ()) => {
    export! { @$how edge $name $name $arguments }
    $(export! { @$how edge_of_twin $name $twin $arguments })?
};
(@named $how:ident $name:ident $twin:tt ($($done:tt)*) [$next:ident $($names:ident)*]
    ($type:ty, $($types:ty,)*)) => {
    export! { @named $how $name $twin ($($done)* $next: $type,) [$($names)*] ($($types,)*) }
};

(@absent $name:ident $symbol:ident ($($type:ty,)*)) => {
    #[cfg_attr(not(test), unsafe(no_mangle))]
    pub(crate) extern "C" fn $symbol($(_: $type),*) -> CuResult {
        static IS_TOLD: AtomicBool = AtomicBool::new(false);
        absent(op::$name, &IS_TOLD)
    }
};
(@local $edge:ident $name:ident $symbol:ident ($($argument:ident: $type:ty,)*)) => {
    #[cfg_attr(not(test), unsafe(no_mangle))]
    pub(crate) extern "C" fn $symbol($($argument: $type),*) -> CuResult {
        $edge(op::$name, &mut || local::$name($($argument),*))
    }
};
(@hand $edge:ident $name:ident $symbol:ident ($($argument:ident: $type:ty,)*)) => {
    #[cfg_attr(not(test), unsafe(no_mangle))]
    pub(crate) extern "C" fn $symbol($($argument: $type),*) -> CuResult {
        $edge(op::$name, &mut || hand::$name($($argument),*))
    }
};
(@derived $edge:ident $name:ident $symbol:ident ($($argument:ident: $type:ty,)*)) => {
    #[cfg_attr(not(test), unsafe(no_mangle))]
    pub(crate) extern "C" fn $symbol($($argument: $type),*) -> CuResult {
        $edge(op::$name, &mut || hand::derived(
            op::$name,
            &mut |_record| {
                $($argument.send(_record)?;)*
                Ok(())
            },
            &mut |_reply| {
                $($argument.receive(_reply)?;)*
                Ok(())
            },
        ))
    }
};
}

flexdirect_wire::driver_calls!(export);

#[cfg(test)]
mod tests {
    use super::*;
    use flexdirect_driver_abi::procs::Lookup;
    use flexdirect_wire::call::CALLS;

    #[test]
    fn every_call_has_an_address() {
        let table = table();
        assert_eq!(table.len(), CALLS.len());
        assert!(table.iter().all(|row| row.address != 0));
        let found = procs().unwrap().find("cuMemcpyHtoD", 13_050, 2);
        assert!(
            matches!(
                found,
                Lookup::Found {
                    symbol: "cuMemcpyHtoD_v2_ptds",
                    ..
                }
            ),
            "{found:?}"
        );
    }

    #[test]
    fn a_panic_ends_at_the_edge() {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let result = edge(op::cuInit, &mut || panic!("on purpose"));
        std::panic::set_hook(hook);
        assert_eq!(result, Err(CuError::UNKNOWN));
    }

    #[test]
    fn an_absent_call_says_so() {
        assert_eq!(
            cuGraphNodeGetParams(CuGraphNode(0), std::ptr::null_mut()),
            Err(CuError::NOT_SUPPORTED)
        );
    }
}
