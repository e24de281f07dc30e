//! Images in files: a path is the client's, so the file is read here and its bytes are sent.

#![expect(non_snake_case, reason = "CUDA's own names keep CUDA's spelling")]

use std::ffi::{OsStr, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use flexdirect_driver_abi::image::{Image, Kind};
use flexdirect_wire::abi::{
    CuError, CuJitOption, CuLibrary, CuLibraryOption, CuModule, CuResult, InStr, Out,
};
use flexdirect_wire::call::op;

use crate::{hand, log};

pub(crate) fn cuModuleLoad(module: Out<CuModule>, fname: InStr) -> CuResult {
    if module.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    module.write(CuModule(hand::load_module(
        op::cuModuleLoadData,
        &read(fname)?,
    )?))
}

#[expect(clippy::too_many_arguments, reason = "the call has as many")]
pub(crate) fn cuLibraryLoadFromFile(
    library: Out<CuLibrary>,
    file_name: InStr,
    _jit_options: Out<CuJitOption>,
    _jit_options_values: *mut *mut c_void,
    _num_jit_options: u32,
    _library_options: Out<CuLibraryOption>,
    _library_option_values: *mut *mut c_void,
    _num_library_options: u32,
) -> CuResult {
    if library.is_null() {
        return Err(CuError::INVALID_VALUE);
    }
    library.write(CuLibrary(hand::load_library(&read(file_name)?)?))
}

fn read(name: InStr) -> Result<Image, CuError> {
    let path = Path::new(OsStr::from_bytes(name.text()?.to_bytes()));
    let bytes = std::fs::read(path).map_err(|error| {
        log::warning!("image {}: {error}", path.display());
        CuError::FILE_NOT_FOUND
    })?;
    image(&bytes).ok_or(CuError::INVALID_IMAGE)
}

/// By its first bytes, as the driver does.
fn image(bytes: &[u8]) -> Option<Image> {
    let kind = match bytes {
        [0x7f, b'E', b'L', b'F', ..] => Kind::Cubin,
        [0x50, 0xed, 0x55, 0xba, ..] => Kind::Fatbin,
        [b'\t' | b'\n' | b'\r' | b' ' | b'.' | b'/' | 0xef, ..] => Kind::Ptx,
        _ => return None,
    };
    Image::new(kind, bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_it_starts_with() {
        let ptx = image(b".version 8.0\n.target sm_80\n.address_size 64\n").unwrap();
        assert_eq!(ptx.kind(), Kind::Ptx);
        assert!(image(b"\x7fELF and no more").is_none());
        assert!(image(b"").is_none());
        assert!(image(b"MZ").is_none());
    }
}
