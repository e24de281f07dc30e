//! The container ("fatbin"): a header of 16 bytes, then entries, each a PTX text or a cubin.
//!
//! ```text
//! container  0 magic BA55ED50 | 4 version u16 | 6 header size u16 | 8 size of the entries u64
//! entry      0 kind u16 | 2 u16 | 4 header size u32 | 8 payload size u64 | 16 compressed size u32
//!           20 options u32 | 24 ISA minor u16, major u16 | 28 architecture u32 | 32 name u32, u32
//!           40 flags u64 | 48 u64 | 56 uncompressed size u64 | options, name, ... | payload
//! ```

use std::borrow::Cow;

use super::{DECODED_LEN_MAX, IMAGE_LEN_MAX, ImageError, check_len, compression};

/// What an entry holds. A number of its own, since newer toolkits add kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryKind(pub u16);

impl EntryKind {
    /// PTX text.
    pub const PTX: Self = Self(1);
    /// An ELF cubin.
    pub const CUBIN: Self = Self(2);
    /// Input for link-time optimisation, scrambled.
    pub const LTO: Self = Self(8);
}

/// One entry of a container.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// What it holds.
    pub kind: EntryKind,
    /// 80 for both sm_80 and compute_80.
    pub architecture: u32,
    /// Version of the PTX ISA, major and minor; of no meaning for cubins.
    pub isa_version: (u16, u16),
    flags: u64,
    compressed_len: u32,
    uncompressed_len: u64,
    payload: &'a [u8],
}

impl<'a> Entry<'a> {
    /// How the payload is compressed, if it is.
    #[must_use]
    pub fn compression(&self) -> Option<&'static str> {
        match self.flags & (FLAG_ZSTD | FLAG_LZ4) {
            0 => None,
            flags if flags & FLAG_ZSTD != 0 => Some("zstd"),
            _ => Some("LZ4"),
        }
    }

    /// Whether it is for exactly its architecture (sm_90a) and not for later ones.
    #[must_use]
    pub fn is_specific(&self) -> bool {
        self.flags & FLAG_SPECIFIC != 0
    }

    /// Whether it is PTX that [`linked_container`] put there: all such entries of a container
    /// together are one module.
    #[must_use]
    pub fn is_part(&self) -> bool {
        self.kind == EntryKind::PTX && self.flags & FLAG_PART == FLAG_PART
    }

    /// Bytes that the entry takes in its container, without header.
    #[must_use]
    pub fn stored_len(&self) -> usize {
        self.payload.len()
    }

    /// The payload, decompressed. Text may be followed by null bytes. The memory taken is bounded
    /// by [`DECODED_LEN_MAX`] and grows with what is really there.
    pub fn decode(&self) -> Result<Cow<'a, [u8]>, ImageError> {
        let Some(format) = self.compression() else {
            return Ok(Cow::Borrowed(self.payload));
        };
        check_len(
            "decompressed payload",
            self.uncompressed_len,
            DECODED_LEN_MAX,
        )?;
        let malformed = ImageError::Malformed {
            what: "compressed payload",
            offset: 0,
        };
        let compressed = usize::try_from(self.compressed_len).ok();
        let compressed = compressed
            .and_then(|len| self.payload.get(..len))
            .ok_or(malformed)?;
        let len = usize::try_from(self.uncompressed_len).expect("at most DECODED_LEN_MAX");
        let decoded = match format {
            "zstd" => compression::zstd(compressed, len),
            _ => compression::lz4(compressed, len),
        };
        decoded.map(Cow::Owned)
    }
}

/// A container of PTX texts that together are one module: what a link of them yields. A flag of
/// our own tells its entries from alternatives, so no other driver takes them for what they are
/// not.
#[must_use]
pub fn linked_container<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = Vec::from(CONTAINER_MAGIC);
    bytes.extend(1u16.to_le_bytes());
    bytes.extend(16u16.to_le_bytes());
    bytes.extend([0; 8]);
    for text in texts {
        // With at least one null byte at its end.
        let len = (text.len() + 1).next_multiple_of(8);
        let mut header = [0; ENTRY_HEADER_LEN];
        header[..2].copy_from_slice(&EntryKind::PTX.0.to_le_bytes());
        header[2..4].copy_from_slice(&0x0101u16.to_le_bytes());
        header[4..8].copy_from_slice(&64u32.to_le_bytes());
        header[8..16].copy_from_slice(&(len as u64).to_le_bytes());
        header[40..48].copy_from_slice(&FLAG_PART.to_le_bytes());
        bytes.extend(header);
        bytes.extend(text);
        bytes.resize(bytes.len() + len - text.len(), 0);
    }
    let len = (bytes.len() - CONTAINER_HEADER_LEN) as u64;
    bytes[8..16].copy_from_slice(&len.to_le_bytes());
    bytes
}

/// The length of the container that `bytes` start with, itself within `bytes`.
pub(super) fn container_len(bytes: &[u8]) -> Result<usize, ImageError> {
    let malformed = ImageError::Malformed {
        what: "container",
        offset: 0,
    };
    let header = bytes.first_chunk().ok_or(malformed)?;
    let (_, len) = container_lens(header)?;
    let len = usize::try_from(len).expect("at most IMAGE_LEN_MAX");
    if len > bytes.len() {
        return Err(ImageError::Malformed {
            what: "container",
            offset: bytes.len() as u64,
        });
    }
    Ok(len)
}

/// Length of a container's header and of all of it, by its header's first 16 bytes.
pub(super) fn container_lens(
    header: &[u8; CONTAINER_HEADER_LEN],
) -> Result<(u16, u64), ImageError> {
    let header_len = u16_at(header, 6);
    if header[..4] != CONTAINER_MAGIC || usize::from(header_len) < CONTAINER_HEADER_LEN {
        return Err(ImageError::Malformed {
            what: "container header",
            offset: 0,
        });
    }
    let len = u64_at(header, 8).saturating_add(u64::from(header_len));
    check_len("container", len, IMAGE_LEN_MAX)?;
    Ok((header_len, len))
}

/// The entries of the container that `bytes` start with; what follows the container is ignored.
pub fn entries(bytes: &[u8]) -> Result<Entries<'_>, ImageError> {
    let container = &bytes[..container_len(bytes)?];
    Ok(Entries {
        container,
        offset: usize::from(u16_at(container, 6)),
    })
}

/// Iterator over the entries of a container. Ends after the first malformed one.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    container: &'a [u8],
    offset: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, ImageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self
            .container
            .get(self.offset..)
            .filter(|rest| !rest.is_empty())?;
        let start = self.offset;
        let Some((entry, len)) = entry(rest) else {
            self.offset = self.container.len();
            let offset = start as u64;
            return Some(Err(ImageError::Malformed {
                what: "container entry",
                offset,
            }));
        };
        self.offset += len;
        Some(Ok(entry))
    }
}

/// The entry that `rest` starts with, and its whole length. `None` if it does not fit.
fn entry(rest: &[u8]) -> Option<(Entry<'_>, usize)> {
    let header = rest.get(..ENTRY_HEADER_LEN)?;
    let header_len = usize::try_from(u32_at(header, 4)).ok()?;
    let payload_len = usize::try_from(u64_at(header, 8)).ok()?;
    let len = header_len.checked_add(payload_len)?;
    if header_len < ENTRY_HEADER_LEN {
        return None;
    }
    let entry = Entry {
        kind: EntryKind(u16_at(header, 0)),
        architecture: u32_at(header, 28),
        isa_version: (u16_at(header, 26), u16_at(header, 24)),
        flags: u64_at(header, 40),
        compressed_len: u32_at(header, 16),
        uncompressed_len: u64_at(header, 56),
        payload: rest.get(header_len..len)?,
    };
    Some((entry, len))
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

/// BA55ED50, little endian.
pub(super) const CONTAINER_MAGIC: [u8; 4] = [0x50, 0xed, 0x55, 0xba];
pub(super) const CONTAINER_HEADER_LEN: usize = 16;
const ENTRY_HEADER_LEN: usize = 64;
const FLAG_LZ4: u64 = 0x2000;
const FLAG_ZSTD: u64 = 0x8000;
/// Ours: far from the bits that NVIDIA's tools set.
const FLAG_PART: u64 = 1 << 61 | 1;
/// Seen on entries for sm_90a (and, with others, for sm_100f).
const FLAG_SPECIFIC: u64 = 0x10_0000;
