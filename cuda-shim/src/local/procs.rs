//! Looking up functions, and the names and texts of errors: what needs no connection at all.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::{c_char, c_void};
use std::ptr;

use flexdirect_driver_abi::procs::{Lookup, PER_THREAD_DEFAULT_STREAM};
use flexdirect_wire::abi::{
    CuDriverProcAddressQueryResult, CuError, CuResult, CuResultCode, CuStream, InStr, OptOut, Out,
    errors,
};

use super::device::version;
use crate::{export, lifetime, thread};

pub(crate) fn cuGetErrorString(error: CuResultCode, str: Out<*const c_char>) -> CuResult {
    told(errors::text(error.0), str)
}

pub(crate) fn cuGetErrorName(error: CuResultCode, str: Out<*const c_char>) -> CuResult {
    told(errors::name(error.0), str)
}

fn told(text: Option<&'static str>, out: Out<*const c_char>) -> CuResult {
    out.write(text.map_or(ptr::null(), |text| text.as_ptr().cast()))?;
    if text.is_none() {
        Err(CuError::INVALID_VALUE)
    } else {
        Ok(())
    }
}

pub(crate) fn cuGetProcAddress(
    symbol: InStr,
    pfn: Out<*mut c_void>,
    cuda_version: i32,
    flags: u64,
) -> CuResult {
    cuGetProcAddress_v2(symbol, pfn, cuda_version, flags, OptOut(ptr::null_mut()))
}

pub(crate) fn cuGetProcAddress_v2(
    symbol: InStr,
    pfn: Out<*mut c_void>,
    cuda_version: i32,
    flags: u64,
    symbol_status: OptOut<CuDriverProcAddressQueryResult>,
) -> CuResult {
    let name = symbol
        .text()?
        .to_str()
        .map_err(|_| CuError::INVALID_VALUE)?;
    let wanted = u32::try_from(cuda_version).map_err(|_| CuError::INVALID_VALUE)?;
    // The twin of this call means the twins of others, unless the flags say which.
    let is_twin = flags == 0 && thread::is_per_thread(CuStream(0));
    let flags = if is_twin {
        PER_THREAD_DEFAULT_STREAM
    } else {
        flags
    };
    // A forked child keeps what its parent knew; the version needs no lock, but the process it is
    // read from may be half made.
    let newest = if lifetime::is_running() {
        version()
    } else {
        wanted
    };
    let found = export::procs().map_or(Lookup::SymbolNotFound, |procs| {
        procs.find(name, wanted.min(newest), flags)
    });
    symbol_status.write(CuDriverProcAddressQueryResult(found.status()));
    match found {
        Lookup::Found { address, .. } => pfn.write(ptr::with_exposed_provenance_mut(address)),
        Lookup::SymbolNotFound | Lookup::VersionNotSufficient => {
            pfn.write(ptr::null_mut())?;
            Err(CuError::NOT_FOUND)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thread::PerThreadDefault;

    fn find(name: &std::ffi::CStr, version: i32, flags: u64) -> (CuResult, usize, u32) {
        let (mut address, mut status) = (ptr::null_mut(), CuDriverProcAddressQueryResult(9));
        let name = InStr(name.as_ptr().cast_mut());
        let (pfn, told) = (Out(&raw mut address), OptOut(&raw mut status));
        let result = cuGetProcAddress_v2(name, pfn, version, flags, told);
        (result, address as usize, status.0)
    }

    #[test]
    fn twins_are_found_by_flag_and_by_twin() {
        let (_, plain, _) = find(c"cuMemcpy", 13_000, 0);
        let (result, twin, status) = find(c"cuMemcpy", 13_000, 2);
        assert!(result.is_ok() && status == 0 && plain != 0 && twin != plain);
        let _twin = PerThreadDefault::enter();
        assert_eq!(find(c"cuMemcpy", 13_000, 0).1, twin);
        assert_eq!(
            find(c"cuMemcpy", 13_000, 1).1,
            plain,
            "the legacy stream was asked for"
        );
    }

    #[test]
    fn what_is_not_there_is_null() {
        assert_eq!(find(c"", 0, 0), (Err(CuError::NOT_FOUND), 0, 1));
        assert_eq!(
            find(c"cuLogsCurrent", 12_000, 0),
            (Err(CuError::NOT_FOUND), 0, 2)
        );
        assert_eq!(find(c"cuInit", -1, 0).0, Err(CuError::INVALID_VALUE));
    }

    #[test]
    fn errors_have_names() {
        let mut name = ptr::null();
        cuGetErrorName(CuResultCode(700), Out(&raw mut name)).unwrap();
        assert_eq!(
            InStr(name.cast_mut()).text(),
            Ok(c"CUDA_ERROR_ILLEGAL_ADDRESS")
        );
        let unknown = cuGetErrorString(CuResultCode(4711), Out(&raw mut name));
        assert!(unknown == Err(CuError::INVALID_VALUE) && name.is_null());
    }
}
