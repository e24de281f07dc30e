//! Images of modules: they come in pieces, are checked whole, and are then named to the driver by
//! a pointer.

use std::ffi::{CStr, c_void};

use flexdirect_driver_abi::image::{Image, Kind as ImageKind};
use flexdirect_driver_abi::layout::{self, KernelLayout};
use flexdirect_wire::abi::{CuDevice, InBytes};
use flexdirect_wire::body::{ImageLoad, ImagePiece};
use flexdirect_wire::limits::THREADS_MAX;
use flexdirect_wire::{CuError, ShadowHandle};

use crate::dispatch::{Call, Step, Stop};
use crate::session::{Fault, Session};
use crate::shadow::images::{Held, Taken};

/// A piece of an image, before the load that uses it.
pub(crate) fn image_piece(call: &mut Call<'_>) -> Result<Step, Stop> {
    let piece: ImagePiece = call.body.get()?;
    if piece.first > 1 || piece.inline > 1 {
        return Err(call.bad("first or inline", u64::from(piece.first | piece.inline)));
    }
    let session = call.session;
    let taken;
    let bytes = if piece.inline == 1 {
        call.body
            .raw(usize::try_from(piece.len).unwrap_or(usize::MAX))?
    } else {
        taken = session.slab.read(piece.position, piece.len)?;
        session.release_piece(piece.position);
        &taken[..]
    };
    let mut tables = session.tables();
    if !tables
        .images
        .append(call.header.thread, piece.first == 1, bytes)
    {
        return Err(Fault::Images {
            threads_max: THREADS_MAX,
        }
        .into());
    }
    Ok(Step::Done)
}

/// The bytes of the image that the record's thread has sent.
pub(super) fn image(call: &mut Call<'_>) -> Result<Taken, Stop> {
    let load: ImageLoad = call.body.get()?;
    if load.reserved != 0 {
        return Err(call.bad("reserved", load.reserved));
    }
    let bytes = call.session.tables().images.take(call.header.thread)?;
    if bytes.len() as u64 != load.len {
        return Err(call.bad("length of the image", load.len));
    }
    Ok(bytes)
}

/// Checks that an image lies within its bytes. What it counts is held beside it.
pub(super) fn check(taken: Taken) -> Result<(Image, Held), CuError> {
    let (bytes, held) = taken.into_parts();
    let image = Image::from_bytes(bytes).map_err(|error| {
        tracing::debug!("image: {error}");
        CuError::check(error.code())
            .err()
            .unwrap_or(CuError::INVALID_IMAGE)
    })?;
    Ok((image, held))
}

/// Keeps how the kernels' parameters lie, for a driver that does not tell.
pub(super) fn keep_layouts(session: &Session, owner: ShadowHandle, image: &Image) {
    if session.driver.tells_parameters() {
        return;
    }
    let capability = session.driver.capability(CuDevice(0)).unwrap_or_default();
    match layout::kernels(image, capability) {
        Ok(layouts) => {
            session.tables().layouts.insert(owner, layouts);
        }
        Err(error) => tracing::warn!("parameters of an image's kernels are not known: {error}"),
    }
}

/// How a kernel's parameters lie, as its image says; of the only kernel when there is no name.
pub(super) fn kept_layout(
    session: &Session,
    owner: ShadowHandle,
    name: Option<&CStr>,
) -> Option<KernelLayout> {
    let tables = session.tables();
    let mut kernels = tables.layouts.get(&owner)?.iter();
    let is_meant =
        |kernel: &&KernelLayout| name.is_none_or(|name| kernel.name.as_bytes() == name.to_bytes());
    kernels.find(is_meant).cloned()
}

/// An image as a driver takes it: a pointer. A linked image needs the wrapper that names the
/// containers it was linked from.
pub(super) struct Loadable<'a> {
    image: &'a Image,
    wrapper: Box<Wrapper>,
    _objects: Vec<*const c_void>,
}

/// What `cuModuleLoadData` is given for a device-linked program.
#[repr(C)]
struct Wrapper {
    magic: u32,
    version: u32,
    linked: *const c_void,
    objects: *const c_void,
}

impl<'a> Loadable<'a> {
    pub(super) fn new(image: &'a Image) -> Self {
        let mut containers = image
            .containers()
            .map(|bytes| bytes.as_ptr().cast::<c_void>());
        let linked = containers.next().unwrap_or(std::ptr::null());
        let objects: Vec<_> = containers.chain([std::ptr::null()]).collect();
        let wrapper = Wrapper {
            magic: WRAPPER_MAGIC,
            version: WRAPPER_LINKED,
            linked,
            objects: objects.as_ptr().cast(),
        };
        Self {
            image,
            wrapper: Box::new(wrapper),
            _objects: objects,
        }
    }

    pub(super) fn pointer(&self) -> InBytes {
        let pointer = match self.image.kind() {
            ImageKind::Linked => (&raw const *self.wrapper).cast::<c_void>(),
            _ => self.image.payload().as_ptr().cast(),
        };
        InBytes(pointer.cast_mut())
    }
}

/// Magic number of a wrapper.
const WRAPPER_MAGIC: u32 = 0x466243b1;

/// Version of a wrapper with the containers that a linked one was made from.
const WRAPPER_LINKED: u32 = 2;
