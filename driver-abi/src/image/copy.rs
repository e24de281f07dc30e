//! Copying an image from behind a bare pointer, reading its headers to learn how long it is.

use std::ffi::c_void;

use super::container::{CONTAINER_HEADER_LEN, CONTAINER_MAGIC, container_lens};
use super::elf_len::elf_len;
use super::{CONTAINERS_MAX, IMAGE_LEN_MAX, Image, ImageError, Kind, check_len, head};

/// Copies the image that `image` points to: a wrapper, a container, an ELF cubin or PTX text.
/// Of a version 2 wrapper both the linked container and those it was made from are taken.
///
/// # Safety
/// `image` is null or a pointer that CUDA's load calls accept: what its headers say is there can
/// be read, text ends with a null byte, and none of it changes during the call.
pub unsafe fn copy_image(image: *const c_void) -> Result<Image, ImageError> {
    let start: *const u8 = image.cast();
    if start.is_null() {
        return Err(ImageError::Null);
    }
    let mut first = Vec::new();
    let candidates = [&WRAPPER_MAGIC, &CONTAINER_MAGIC, b"\x7fELF"];
    // Byte by byte, for PTX may be shorter than a magic number.
    for index in 0..4 {
        // SAFETY: every form has a first byte, and while all bytes before this one agree with a
        // magic number (none of which holds a null byte) this one is there, too.
        first.push(unsafe { start.add(index).read() });
        if !candidates.iter().any(|magic| magic.starts_with(&first)) {
            break;
        }
    }
    match first.as_slice() {
        magic if magic == WRAPPER_MAGIC => {
            // SAFETY: the magic number says that it is a wrapper.
            unsafe { copy_wrapper(start) }
        }
        magic if magic == CONTAINER_MAGIC => {
            let mut bytes = head(Kind::Fatbin, 0);
            // SAFETY: the magic number says that it is a container.
            unsafe { append_container(&mut bytes, start)? };
            Image::from_bytes(bytes)
        }
        b"\x7fELF" => {
            // SAFETY: the magic number says that it is an ELF file.
            unsafe { copy_elf(start) }
        }
        [b'\t' | b'\n' | b'\r' | b' ' | b'.' | b'/' | 0xef, ..] => {
            // SAFETY: nothing but text starts like this: a directive, a comment, white space or a
            // byte order mark.
            unsafe { copy_text(start) }
        }
        _ => Err(ImageError::Unrecognised { first }),
    }
}

/// # Safety
/// `start` points to a wrapper as `copy_image` expects it.
unsafe fn copy_wrapper(start: *const u8) -> Result<Image, ImageError> {
    // SAFETY: a wrapper is 24 bytes: magic, version, container, and a pointer by version.
    let wrapper: Wrapper = unsafe { start.cast::<Wrapper>().read_unaligned() };
    let linked = wrapper.version >= 2 && !wrapper.objects.is_null();
    let mut bytes = head(if linked { Kind::Linked } else { Kind::Fatbin }, 0);
    // SAFETY: a wrapper's first pointer is to a container.
    unsafe { append_container(&mut bytes, wrapper.container)? };
    for index in 0.. {
        if !linked {
            break;
        }
        // SAFETY: of version 2 the second pointer is to an array that ends with a null; all
        // elements before this one were not null.
        let object = unsafe { wrapper.objects.add(index).read_unaligned() };
        if object.is_null() {
            break;
        }
        check_len(
            "list of containers",
            index as u64 + 2,
            CONTAINERS_MAX as u64,
        )?;
        // SAFETY: the elements are pointers to containers.
        unsafe { append_container(&mut bytes, object)? };
    }
    Image::from_bytes(bytes)
}

/// # Safety
/// `start` is null or points to a container as `copy_image` expects it.
unsafe fn append_container(bytes: &mut Vec<u8>, start: *const u8) -> Result<(), ImageError> {
    if start.is_null() {
        return Err(ImageError::Null);
    }
    // SAFETY: a container starts with a header of 16 bytes.
    let header = unsafe { start.cast::<[u8; CONTAINER_HEADER_LEN]>().read() };
    let (_, len) = container_lens(&header)?;
    check_len("image", len + bytes.len() as u64, IMAGE_LEN_MAX)?;
    // SAFETY: the header says that this many bytes are there.
    unsafe { append(bytes, start, len) };
    Ok(())
}

/// # Safety
/// `start` points to an ELF file as `copy_image` expects it.
unsafe fn copy_elf(start: *const u8) -> Result<Image, ImageError> {
    let len = elf_len(|offset, buffer: &mut [u8]| {
        check_len(
            "ELF file",
            offset.saturating_add(buffer.len() as u64),
            IMAGE_LEN_MAX,
        )?;
        let offset = usize::try_from(offset).expect("at most IMAGE_LEN_MAX");
        // SAFETY: the file's headers say that a header is there, and the buffer is ours.
        unsafe {
            start
                .add(offset)
                .copy_to_nonoverlapping(buffer.as_mut_ptr(), buffer.len())
        };
        Ok(())
    })?;
    let mut bytes = head(Kind::Cubin, 0);
    // SAFETY: the headers say that this many bytes are there.
    unsafe { append(&mut bytes, start, len) };
    Image::from_bytes(bytes)
}

/// # Safety
/// `start` points to text that ends with a null byte.
unsafe fn copy_text(start: *const u8) -> Result<Image, ImageError> {
    let len_max = usize::try_from(IMAGE_LEN_MAX).expect("fits in an address");
    // SAFETY: strnlen stops at the null byte that ends the text.
    let len = unsafe { libc::strnlen(start.cast(), len_max) };
    check_len("PTX", len as u64, IMAGE_LEN_MAX - 1)?;
    let mut bytes = head(Kind::Ptx, len + 1);
    // SAFETY: strnlen counted this many bytes, and the null byte follows them.
    unsafe { append(&mut bytes, start, len as u64 + 1) };
    Image::from_bytes(bytes)
}

/// # Safety
/// `len` bytes, at most `IMAGE_LEN_MAX`, can be read from `start`.
unsafe fn append(bytes: &mut Vec<u8>, start: *const u8, len: u64) {
    let len = usize::try_from(len).expect("at most IMAGE_LEN_MAX");
    // SAFETY: the caller says that they can be read; they do not change while they are copied.
    bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(start, len) });
}

/// What `__cudaRegisterFatBinary` and the load calls are given.
#[repr(C)]
#[derive(Clone, Copy)]
struct Wrapper {
    magic: u32,
    version: u32,
    container: *const u8,
    /// Of version 2: an array of containers that ends with a null.
    objects: *const *const u8,
}

const _: () = assert!(size_of::<Wrapper>() == 24);

/// 466243B1, little endian.
const WRAPPER_MAGIC: [u8; 4] = [0xb1, 0x43, 0x62, 0x46];
