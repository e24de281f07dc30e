//! Initialisation, versions, error texts, function look-up, private tables, profiler marks.

use std::ffi::{c_char, c_void};
use std::sync::OnceLock;

use flexdirect_driver_abi::procs::{Lookup, Procs};
use flexdirect_driver_abi::tables::export_table;
use flexdirect_wire::abi::{errors, *};

use super::not_null;
use crate::export::{Tables, procs};
use crate::{driver, raw};

pub(crate) fn cuInit(flags: u32) -> CuResult {
    if flags != 0 {
        return Err(CuError::INVALID_VALUE);
    }
    driver::initialise()
}

pub(crate) fn cuDriverGetVersion(driver_version: Out<i32>) -> CuResult {
    driver_version.write(driver::VERSION.cast_signed())
}

pub(crate) fn cuGetErrorString(error: CuResultCode, str: Out<*const c_char>) -> CuResult {
    write_text(errors::text(error.0), str)
}

pub(crate) fn cuGetErrorName(error: CuResultCode, str: Out<*const c_char>) -> CuResult {
    write_text(errors::name(error.0), str)
}

/// Writes a text of the table; null and INVALID_VALUE for an unknown code.
fn write_text(text: Option<&'static str>, out: Out<*const c_char>) -> CuResult {
    let found = text.map_or(std::ptr::null(), raw::static_text);
    out.write(found)?;
    text.map(drop).ok_or(CuError::INVALID_VALUE)
}

pub(crate) fn cuGetProcAddress_v2(
    symbol: InStr,
    pfn: Out<*mut c_void>,
    cuda_version: i32,
    flags: u64,
    symbol_status: OptOut<CuDriverProcAddressQueryResult>,
) -> CuResult {
    static PROCS: OnceLock<Procs> = OnceLock::new();
    not_null(pfn)?;
    if flags > FLAGS_MAX {
        return Err(CuError::INVALID_VALUE);
    }
    let table = PROCS.get_or_init(|| Procs::new(procs()));
    let version = u32::try_from(cuda_version).map_err(|_| CuError::INVALID_VALUE)?;
    let name = symbol.text()?.to_str().unwrap_or_default();
    let found = table.find(name, version, flags);
    symbol_status.write(CuDriverProcAddressQueryResult(found.status()));
    match found {
        Lookup::Found { address, .. } => pfn.write(std::ptr::with_exposed_provenance_mut(address)),
        Lookup::SymbolNotFound | Lookup::VersionNotSufficient => {
            driver::trace(|| format!("cuGetProcAddress: no {name} of version {version}"));
            pfn.write(std::ptr::null_mut())?;
            Err(CuError::NOT_FOUND)
        }
    }
}

pub(crate) fn cuGetProcAddress(
    symbol: InStr,
    pfn: Out<*mut c_void>,
    cuda_version: i32,
    flags: u64,
) -> CuResult {
    let status = OptOut(std::ptr::null_mut());
    cuGetProcAddress_v2(symbol, pfn, cuda_version, flags, status)
}

pub(crate) fn cuGetExportTable(
    export_table_out: Out<*const c_void>,
    export_table_id: *const CuUuid,
) -> CuResult {
    static HOST: Tables = Tables;
    let uuid = raw::uuid(export_table_id).ok_or(CuError::INVALID_VALUE)?;
    let table = export_table(&uuid, &HOST);
    export_table_out.write(table.unwrap_or(std::ptr::null()))?;
    table.map(drop).ok_or(CuError::NOT_FOUND)
}

pub(crate) fn cuProfilerStart() -> CuResult {
    driver::check()
}

pub(crate) fn cuProfilerStop() -> CuResult {
    driver::check()
}

/// CU_GET_PROC_ADDRESS_LEGACY_STREAM and _PER_THREAD_DEFAULT_STREAM together.
const FLAGS_MAX: u64 = 3;
