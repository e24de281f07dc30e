//! Functions and kernels of an image by their names: the client looks each of them up.
#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::{CStr, CString, c_char};

use flexdirect_wire::abi::{CuFunction, CuKernel, CuLibrary, CuModule};
use flexdirect_wire::body::One;
use flexdirect_wire::limits::RECORD_LEN_MAX;
use flexdirect_wire::{CuError, CuResult, Kind};

use crate::dispatch::{Call, Step, Stop};
use crate::driver::Driver;

pub(crate) fn cuModuleEnumerateFunctions(call: &mut Call<'_>) -> Result<Step, Stop> {
    names(call, Kind::MODULE, |driver, module, count| {
        let mut found = vec![CuFunction::default(); count as usize];
        // SAFETY: the module comes from the table, and the list has room for as many as it says.
        unsafe { driver.cuModuleEnumerateFunctions(found.as_mut_ptr(), count, CuModule(module)) }?;
        let live = found.into_iter().filter(|function| function.0 != 0);
        live.map(|function| {
            // SAFETY: the function was found above; the pointer is the caller's local.
            text(|name| unsafe { driver.cuFuncGetName(name, function) })
        })
        .collect()
    })
}

pub(crate) fn cuLibraryEnumerateKernels(call: &mut Call<'_>) -> Result<Step, Stop> {
    names(call, Kind::LIBRARY, |driver, library, count| {
        let mut found = vec![CuKernel::default(); count as usize];
        // SAFETY: as for modules.
        unsafe { driver.cuLibraryEnumerateKernels(found.as_mut_ptr(), count, CuLibrary(library)) }?;
        let live = found.into_iter().filter(|kernel| kernel.0 != 0);
        live.map(|kernel| {
            // SAFETY: the kernel was found above; the pointer is the caller's local.
            text(|name| unsafe { driver.cuKernelGetName(name, kernel) })
        })
        .collect()
    })
}

/// Asks a driver for names: of an owner, so many at most.
type Ask = fn(&Driver, u64, u32) -> Result<Vec<CString>, CuError>;

fn names(call: &mut Call<'_>, kind: Kind, ask: Ask) -> Result<Step, Stop> {
    let One { value } = call.body.get()?;
    let count = call.body.u64()?;
    let owner = call.find(kind, value)?;
    let count = u32::try_from(count).map_or(COUNT_MAX, |count| count.min(COUNT_MAX));
    Call::later(move |desk| {
        let names = ask(&desk.session.driver, owner, count)?;
        let len: usize = names.iter().map(|name| name.count_bytes() + 16).sum();
        if len > RECORD_LEN_MAX - 1024 {
            return Err(CuError::NOT_SUPPORTED);
        }
        let mut answer = desk.answer();
        answer.u64(names.len() as u64);
        for name in &names {
            answer.bytes(name.as_bytes_with_nul());
        }
        Ok(())
    })
}

fn text(ask: impl FnOnce(*mut *const c_char) -> CuResult) -> Result<CString, CuError> {
    let mut name = std::ptr::null();
    ask(&raw mut name)?;
    if name.is_null() {
        return Err(CuError::NOT_FOUND);
    }
    // SAFETY: the driver's name of something live, which ends with a zero and stays until its owner
    // is unloaded; the client's thread, which alone could do that now, waits.
    Ok(unsafe { CStr::from_ptr(name) }.to_owned())
}

/// Names in a reply, at most.
const COUNT_MAX: u32 = 16 << 10;
