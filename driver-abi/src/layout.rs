//! How the parameters of kernels lie, read from an image.
//!
//! cuLaunchKernel is given pointers to the parameters without their number or sizes, so a client
//! must know the layout to take the values. Cubins describe it in `.nv.info.` sections, PTX in
//! the header of each `.entry`; both agree. Offsets and sizes are in bytes in the parameter
//! buffer, as cuFuncGetParamInfo gives them.

mod cubin;
mod ptx;

use std::borrow::Cow;

use crate::image::{Entry, EntryKind, Image, ImageError, Kind, entries, module_ptx};

pub use cubin::cubin_kernels;
pub use ptx::ptx_kernels;

/// Most bytes that a kernel's parameters may take together: 32,764 since CUDA 12.1, rounded up.
pub const PARAMETERS_LEN_MAX: u32 = 32 << 10;

/// Where one parameter lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Offset in the parameter buffer, in bytes.
    pub offset: u32,
    /// Size, in bytes.
    pub size: u32,
}

/// A kernel and how its parameters lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelLayout {
    /// The name by which cuModuleGetFunction finds it.
    pub name: String,
    /// The parameters in the order of the kernel's declaration; each ends within `total`.
    pub parameters: Vec<Parameter>,
    /// Size of the parameter buffer, in bytes: the end of the last parameter, not rounded up.
    pub total: u32,
}

/// The layouts of an image's kernels on a device of this capability (80 for 8.0).
///
/// Of a container, the cubin is read that the device would run, else the PTX it would compile,
/// else any cubin. A kernel whose parameters are not understood is left out, as are those of forms
/// that are none of these: the driver has to be asked for them.
pub fn kernels(image: &Image, capability: u32) -> Result<Vec<KernelLayout>, ImageError> {
    match image.kind() {
        Kind::Cubin => cubin_kernels(image.payload()),
        Kind::Ptx => Ok(ptx_kernels(image.payload())),
        Kind::Fatbin => fatbin_kernels(image.payload(), capability),
        Kind::Linked => linked_kernels(image, capability),
    }
}

/// The linked container is what the device runs; if it holds nothing for the device, the PTX of
/// the objects is.
fn linked_kernels(image: &Image, capability: u32) -> Result<Vec<KernelLayout>, ImageError> {
    let mut containers = image.containers();
    let linked = containers.next().unwrap_or_default();
    if let Some(cubin) = select_cubin(linked, |entry| runs_on(entry, capability))? {
        return cubin_kernels(&cubin);
    }
    let mut kernels: Vec<KernelLayout> = Vec::new();
    for text in image.ptx(capability)? {
        kernels.extend(ptx_kernels(&text));
    }
    if kernels.is_empty() {
        return fatbin_kernels(linked, capability);
    }
    Ok(kernels)
}

fn fatbin_kernels(container: &[u8], capability: u32) -> Result<Vec<KernelLayout>, ImageError> {
    if let Some(cubin) = select_cubin(container, |entry| runs_on(entry, capability))? {
        return cubin_kernels(&cubin);
    }
    let texts = module_ptx(container, capability)?;
    if !texts.is_empty() {
        return Ok(texts.iter().flat_map(|text| ptx_kernels(text)).collect());
    }
    match select_cubin(container, |_| true)? {
        Some(cubin) => cubin_kernels(&cubin),
        None => Ok(Vec::new()),
    }
}

/// The cubin for the highest architecture of those that are `wanted`.
fn select_cubin(
    container: &[u8],
    wanted: impl Fn(&Entry<'_>) -> bool,
) -> Result<Option<Cow<'_, [u8]>>, ImageError> {
    let mut best: Option<Entry<'_>> = None;
    for entry in entries(container)? {
        let entry = entry?;
        if entry.kind == EntryKind::CUBIN
            && wanted(&entry)
            && best.is_none_or(|best| entry.architecture > best.architecture)
        {
            best = Some(entry);
        }
    }
    best.map(|entry| entry.decode()).transpose()
}

/// Whether a device runs a cubin: of its major version and not above its minor one.
fn runs_on(entry: &Entry<'_>, capability: u32) -> bool {
    entry.architecture == capability
        || (!entry.is_specific()
            && entry.architecture / 10 == capability / 10
            && entry.architecture < capability)
}
