//! The length of an ELF file, which its headers imply: a load call is told none.

use super::{IMAGE_LEN_MAX, ImageError, check_len};

/// Reads bytes at an offset of the file into a buffer, or says that they are not there.
pub(super) trait Read: FnMut(u64, &mut [u8]) -> Result<(), ImageError> {}
impl<F: FnMut(u64, &mut [u8]) -> Result<(), ImageError>> Read for F {}

/// A reader of bytes that are at hand.
pub(super) fn from_slice(bytes: &[u8]) -> impl Read {
    |offset, buffer: &mut [u8]| {
        let malformed = ImageError::Malformed {
            what: "ELF file",
            offset,
        };
        let start = usize::try_from(offset).ok();
        let from = start
            .and_then(|start| bytes.get(start..))
            .unwrap_or_default();
        buffer.copy_from_slice(from.get(..buffer.len()).ok_or(malformed)?);
        Ok(())
    }
}

/// The end of the last thing that the headers of a 64-bit little-endian ELF file name: sections
/// with contents, segments, and the two header tables. Reads headers only.
pub(super) fn elf_len(mut read: impl Read) -> Result<u64, ImageError> {
    let mut header = [0; HEADER_LEN];
    read(0, &mut header)?;
    if header[..4] != *b"\x7fELF" || header[4] != CLASS_64 || header[5] != LITTLE_ENDIAN {
        return Err(ImageError::Malformed {
            what: "ELF header",
            offset: 0,
        });
    }
    let (program_table, section_table) = (u64_at(&header, 32), u64_at(&header, 40));
    let (program_size, program_count) = (u16_at(&header, 54), u64::from(u16_at(&header, 56)));
    let (section_size, section_count) = (u16_at(&header, 58), u64::from(u16_at(&header, 60)));
    let mut len = HEADER_LEN as u64;

    if section_table != 0 {
        expect_size(section_size, SECTION_LEN, section_table)?;
        let mut section = [0; SECTION_LEN];
        let mut count = section_count;
        if count == 0 {
            // More sections than 16 bits count: the first section's size says how many.
            read(section_table, &mut section)?;
            count = u64_at(&section, 32);
            check_len("ELF section count", count, SECTIONS_MAX)?;
        }
        len = len.max(end(section_table, count * SECTION_LEN as u64)?);
        for index in 0..count {
            read(section_table + index * SECTION_LEN as u64, &mut section)?;
            if ![TYPE_NULL, TYPE_NOBITS].contains(&u32_at(&section, 4)) {
                len = len.max(end(u64_at(&section, 24), u64_at(&section, 32))?);
            }
        }
    }
    if program_count != 0 {
        expect_size(program_size, PROGRAM_LEN, program_table)?;
        len = len.max(end(program_table, program_count * PROGRAM_LEN as u64)?);
        let mut segment = [0; PROGRAM_LEN];
        for index in 0..program_count {
            read(program_table + index * PROGRAM_LEN as u64, &mut segment)?;
            len = len.max(end(u64_at(&segment, 8), u64_at(&segment, 32))?);
        }
    }
    Ok(len)
}

/// The end of a part, bounded so that sums of two such numbers cannot overflow.
fn end(offset: u64, len: u64) -> Result<u64, ImageError> {
    let end = offset.saturating_add(len);
    check_len("ELF file", end, IMAGE_LEN_MAX)?;
    Ok(end)
}

fn expect_size(size: u16, expected: usize, offset: u64) -> Result<(), ImageError> {
    if usize::from(size) == expected {
        return Ok(());
    }
    Err(ImageError::Malformed {
        what: "ELF header table",
        offset,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

const HEADER_LEN: usize = 64;
const SECTION_LEN: usize = 64;
const PROGRAM_LEN: usize = 56;
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const TYPE_NULL: u32 = 0;
const TYPE_NOBITS: u32 = 8;
/// A kernel makes some four sections: far more kernels than any module has.
const SECTIONS_MAX: u64 = 1 << 22;
